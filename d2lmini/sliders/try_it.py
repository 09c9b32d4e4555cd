"""Sliders under a training run: `try_it` trains in the background while the notebook goes on.

The thread that trains never prints or displays, which would land in the wrong cell; it sets the
values of widgets, which works from anywhere.
"""

import math
import operator
import time

import torch
from torch import nn

from ..tools import check_count
from ..training import fit, run_epoch
from . import background
from .background import Batches, OwnRandom, Stopped
from .panel import Panel
from .picture import COLOURS


def try_it(
    make_net,
    train_iter,
    vocab,
    *,
    num_hiddens=64,
    lr=1.0,
    num_epochs=50,
    choices=None,
    measure=None,
    val_iter=None,
    optimizer=None,
    schedule=None,
    prefixes=None,
    seed=0,
    device=None,
):
    """Sliders for hidden size and learning rate, with the training runs that they lead to.

    Nothing runs until Train is pressed. From then on, letting go of a slider trains a new network
    from the start, in place of the run that may be under way; earlier curves stay for comparison
    until they are removed. Other cells can be run meanwhile. The Stop button, Jupyter's interrupt
    button, running the cell again, or another `try_it` stop the run.

    Every run begins as after `torch.manual_seed(seed)`, with random numbers of its own: it gives
    the same curve each time, and `torch.manual_seed` in other cells keeps its meaning. Only what
    takes no `generator`, such as dropout, draws from the one that all cells share. (So neither
    `make_net` nor `measure` should call `torch.manual_seed`.)

    make_net: a function of the number of hidden units that builds a network, on `device`.
    num_hiddens, lr: where the sliders start. They reach from 8 to 512 units, and from a hundredth
    of `lr` to ten times `lr`.
    choices: {name: {label: value}}, for each name a menu; `make_net` gets the chosen value as the
    argument `name`. A menu can train all of its choices side by side, an epoch each in turn; the
    first menu starts so.
    measure: a second picture, drawn while it trains: {"function": a function of the network that
    returns xs and ys, "xlabel": ..., "ylabel": ..., "yscale": "linear" or "log"}. The network is
    in evaluation mode.
    optimizer: a function of (params, lr), such as `torch.optim.Adam`.
    The other arguments are those of `train_ch8`.

    Returns an ipywidgets widget; `.runs` are the runs that it shows, each with its `settings`,
    `history` and `net`. Raises ImportError without ipywidgets, and ValueError for a setting that
    no run could use; what fails in a run is shown in the widget.
    """
    if not callable(make_net) or isinstance(make_net, nn.Module):
        raise ValueError("make_net must be a function of num_hiddens that builds a new network")
    if isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError("optimizer must be a function of (params, lr): every run has new params")
    check_count("num_hiddens", num_hiddens)
    check_count("num_epochs", num_epochs)
    if not 1e-9 <= lr <= 1e9:
        raise ValueError(f"lr must be a number from 1e-9 to 1e9, got {lr}")
    for name, menu in (choices or {}).items():
        labelled = isinstance(menu, dict) and all(isinstance(label, str) for label in menu)
        if not labelled or not 0 < len(menu) <= len(COLOURS):
            message = f"choices[{name!r}] must be {{label: value}}, with 1 to {len(COLOURS)} labels"
            raise ValueError(f"{message} that are strings, got {menu!r}")
    try:
        import ipywidgets
    except ImportError as error:
        message = "try_it needs ipywidgets: run `pip install ipywidgets`, then restart the kernel"
        raise ImportError(message) from error

    def train(run, chosen, stop, watch):
        """Yields after every epoch, and leaves network, history and measurement in the run."""
        if stop.is_set():  # before its turn came
            raise Stopped
        run.started = time.monotonic()
        own_random = OwnRandom(seed)
        with own_random:
            run.net = make_net(run.num_hiddens, **chosen)
        batches = Batches(train_iter, own_random, stop)
        unrelated = getattr(train_iter, "use_random_iter", False)
        next_look = 0.0
        for history in fit(
            run.net, batches, vocab, run.lr, num_epochs, device, unrelated,
            optimizer=optimizer, schedule=schedule, prefixes=prefixes, watch=watch,
        ):  # fmt: skip
            run.history = history
            if isinstance(run.net, nn.Module):
                run.net.eval()  # to look at it; `fit` begins every epoch with net.train()
            if val_iter is not None and len(history.val) < len(history.epochs):
                history.val.append(validate(run.net, stop))
            due = history.epoch == num_epochs or time.monotonic() > next_look
            if measure is not None and due and not history.diverged:
                began = time.monotonic()
                run.measured = look_into(run.net)
                next_look = time.monotonic() + 9 * (time.monotonic() - began)  # a tenth of the time
            yield

    def look_into(net):
        with OwnRandom(0):
            xs, ys = ([float(value) for value in values] for values in measure["function"](net))
        if len(xs) != len(ys) or not all(map(math.isfinite, xs)):
            raise ValueError(f"measure must return as many ys as finite xs, got {xs} and {ys}")
        return xs, ys

    def validate(net, stop):
        # As `evaluate_perplexity`, which would set the random generator of the other cells back.
        batches = Batches(val_iter, OwnRandom(0), stop)
        unrelated = getattr(val_iter, "use_random_iter", False)
        with torch.no_grad():
            return run_epoch(net, batches, nn.CrossEntropyLoss(), device, unrelated)[0]

    background.stop()
    background.stop_on_interrupt()
    num_batches = operator.length_hint(train_iter)
    panel = Panel(train, num_batches, len(vocab), num_epochs, choices or {}, measure)
    return panel.build(ipywidgets, num_hiddens, lr)
