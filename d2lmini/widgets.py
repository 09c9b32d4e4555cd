"""Sliders under a training run: `try_it` trains in the background while the notebook goes on.

The training runs in a thread, and there is only ever one. The thread never prints or displays,
which would land in the wrong cell; it sets the values of widgets, which works from anywhere.
"""

import math
import threading
import time
import traceback

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .curves import COLOURS, Run, draw, progress, report
from .tools import check_count
from .training import fit, run_epoch

_lock = threading.RLock()  # Jupyter may answer sliders on another thread than it runs cells
_running = None  # the run that was started last, whichever widget it belongs to


def try_it(
    make_net,
    train_iter,
    vocab,
    *,
    num_hiddens=64,
    lr=1.0,
    num_epochs=50,
    val_iter=None,
    optimizer=None,
    schedule=None,
    seed=0,
    device=None,
):
    """Sliders for hidden size and learning rate, with the training run that they lead to.

    Nothing runs until Train is pressed. From then on, letting go of a slider trains a new network
    from the start, in place of the run that may be under way; finished curves stay for comparison.
    Other cells can be run meanwhile. Running the cell again, or another `try_it`, stops the run.

    Every run begins as after `torch.manual_seed(seed)`, with random numbers of its own: it gives
    the same curve each time, and `torch.manual_seed` in other cells keeps its meaning. Only what
    takes no `generator`, such as dropout, draws from the one that all cells share.

    make_net: a function of the number of hidden units that builds a network, on `device`.
    num_hiddens, lr: where the sliders start. They reach from 8 to 512 units, and from a hundredth
    of `lr` to ten times `lr`.
    optimizer: a function of (params, lr), such as `torch.optim.Adam`.
    The other arguments are those of `train_ch8`.

    Returns an ipywidgets widget. Raises ImportError without ipywidgets, and ValueError for a
    setting that no run could use; what fails in a run is shown in the widget.
    """
    if not callable(make_net) or isinstance(make_net, nn.Module):
        raise ValueError("make_net must be a function of num_hiddens that builds a new network")
    if isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError("optimizer must be a function of (params, lr): every run has new params")
    check_count("num_hiddens", num_hiddens)
    check_count("num_epochs", num_epochs)
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be a number above 0, got {lr}")
    try:
        import ipywidgets
    except ImportError as error:
        message = "try_it needs ipywidgets: run `pip install ipywidgets`, then restart the kernel"
        raise ImportError(message) from error

    def train(run):
        own_random = OwnRandom(seed)
        with own_random:
            net = make_net(run.num_hiddens)
        batches = Batches(train_iter, own_random, run.stop)
        unrelated = getattr(train_iter, "use_random_iter", False)
        for history in fit(
            net, batches, vocab, run.lr, num_epochs, device, unrelated,
            optimizer=optimizer, schedule=schedule,
        ):  # fmt: skip
            if val_iter is not None and len(history.val) < len(history.epochs):
                history.val.append(validate(net, run.stop))
            yield history

    def validate(net, stop):
        # As `evaluate_perplexity`, which would set the random generator of the other cells back.
        if isinstance(net, nn.Module):
            net.eval()  # `fit` begins every epoch with net.train()
        batches = Batches(val_iter, OwnRandom(0), stop)
        unrelated = getattr(val_iter, "use_random_iter", False)
        with torch.no_grad():
            return run_epoch(net, batches, nn.CrossEntropyLoss(), device, unrelated)[0]

    stop_running()
    return Panel(ipywidgets, train, num_hiddens, lr, num_epochs, len(vocab)).box


class OwnRandom(TorchFunctionMode):
    """Under `with`, torch draws from a generator of our own, not from the one all threads share."""

    DRAWS = {
        "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "uniform_",
        "normal_", "random_", "bernoulli_", "exponential_", "kaiming_uniform_",
    }  # fmt: skip

    def __init__(self, seed):
        super().__init__()
        self.seed, self.generators = seed, {}  # one generator for each device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in self.DRAWS and kwargs.get("generator") is None:
            tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
            device = (tensors or [torch.empty(0, device=kwargs.get("device"))])[0].device
            if device not in self.generators:
                self.generators[device] = torch.Generator(device).manual_seed(self.seed)
            kwargs["generator"] = self.generators[device]
        return func(*args, **kwargs)


class Stopped(Exception):
    """Ends a run in the middle of an epoch."""


class Batches:
    """The batches of an iterator, drawn under `own_random`, until the event `stop` is set."""

    def __init__(self, data_iter, own_random, stop):
        self.data_iter, self.own_random, self.stop = data_iter, own_random, stop

    def __iter__(self):
        with self.own_random:
            batches = iter(self.data_iter)
        while True:
            if self.stop.is_set():
                raise Stopped
            with self.own_random:  # never while the network computes: it would cost time there
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


def stop_running():
    """End the run that is under way, of whichever widget, and wait for it: a batch at the most."""
    with _lock:
        if _running is not None:
            _running.stop.set()
            _running.thread.join()


class Panel:
    """The widget's parts, and what happens when they are used."""

    def __init__(self, ipywidgets, train, num_hiddens, lr, num_epochs, vocab_size):
        self.train, self.lr, self.num_epochs, self.vocab_size = train, lr, num_epochs, vocab_size
        self.runs, self.painted = [], -math.inf
        look = {
            "style": {"description_width": "100px"},
            "layout": ipywidgets.Layout(width="100%", max_width="520px", margin="2px"),
            "continuous_update": False,  # a run for the value that a drag ends on, none on the way
        }
        sizes = sorted({8, 16, 32, 64, 128, 256, 512, num_hiddens})
        self.hidden = ipywidgets.SelectionSlider(
            description="Hidden size", options=sizes, value=num_hiddens, **look
        )
        decade = math.log10(lr)
        self.rate = ipywidgets.FloatLogSlider(
            description="Learning rate", value=lr, min=decade - 2, max=decade + 1, step=0.1,
            readout_format=".2", **look,
        )  # fmt: skip
        self.button = ipywidgets.Button(layout=ipywidgets.Layout(width="100px"))
        self.progress = ipywidgets.IntProgress(
            max=num_epochs, layout=ipywidgets.Layout(width="auto", flex="1 1 120px")
        )
        self.note = ipywidgets.Label(layout=ipywidgets.Layout(flex="0 0 222px"))
        self.screen = ipywidgets.HTML()
        panel = self

        class Box(ipywidgets.VBox):
            def __repr__(self):  # what stands in the notebook where there is no kernel
                return "Sliders for hidden size and learning rate: run this cell to use them."

            def close(self):
                if panel.training:
                    stop_running()
                super().close()

        row = ipywidgets.HBox([self.button, self.progress, self.note])
        self.box = Box(
            [self.hidden, self.rate, row, self.screen],
            layout=ipywidgets.Layout(max_width="664px"),
        )
        self.settle()
        self.button.on_click(self.clicked)
        for slider in (self.hidden, self.rate):
            slider.observe(self.moved, "value")
            slider.tooltip = "The arrow keys move it too"

    @property
    def training(self):
        return bool(self.runs) and self.runs[-1].state == "training"

    def clicked(self, _):
        if self.training:
            stop_running()
        else:
            self.start()

    def moved(self, _):
        if self.runs:  # not before Train was pressed for the first time
            self.start()

    def start(self):
        """Replace the run that is under way, here or in another widget, by one for the sliders."""
        global _running
        with _lock:
            stop_running()
            # The slider's value is ten to a power; what trains is the number that it shows.
            start = math.isclose(self.rate.value, self.lr, rel_tol=1e-6)
            lr = self.lr if start else float(f"{self.rate.value:.2g}")
            run = Run(self.hidden.value, lr, self.num_epochs)
            kept = [old for old in self.runs if old.is_telling and old.settings != run.settings]
            kept = kept[1 - len(COLOURS) :]
            run.slot = min(set(range(len(COLOURS))) - {old.slot for old in kept})
            self.runs = [*kept, run]
            run.thread = threading.Thread(target=self.work, args=(run,), daemon=True)
            self.settle()
            run.thread.start()
            _running = run

    def work(self, run):
        """What the thread does: train to the end, and keep the picture up to date."""
        try:
            for history in self.train(run):
                run.history = history
                # At most ten pictures a second, but the first point of a curve at once.
                if history.epoch == 1 or time.monotonic() - self.painted > 0.1:
                    self.paint()
            run.state = "diverged" if run.history.diverged else "finished"
        except Stopped:
            run.state = "stopped"
        except BaseException as error:  # in a thread, SystemExit too would be seen by nobody
            run.state, run.error = "failed", f"{type(error).__name__}: {error}"
            run.where = traceback.format_exc()
        self.settle()

    def settle(self):
        """Show whether the button trains or stops, and the picture as it is."""
        self.button.description = "Stop" if self.training else "Train"
        self.button.icon = "stop" if self.training else "play"
        self.paint()

    def paint(self):
        self.painted = time.monotonic()
        run = self.runs[-1] if self.runs else None
        self.progress.value, self.note.value = run.history.epoch if run else 0, progress(run)
        picture = draw(self.runs, self.num_epochs, self.vocab_size)
        self.screen.value = picture + (report(run, self.vocab_size) if run else "")
