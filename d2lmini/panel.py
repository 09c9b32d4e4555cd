"""The panel of `try_it`: sliders, menus and buttons, and what happens when they are used."""

import itertools
import math
import threading
import time
import traceback

from . import background
from .background import Stopped
from .curves import COLOURS, draw_measured, draw_perplexity, row
from .runs import Run, progress, save_table
from .still import show_with_still
from .tools import one_thread

ALL = "all, side by side"


class Panel:
    """The parts of the widget and its runs.

    train: a generator of (run, {name: chosen value}, stop, watch) that trains epoch by epoch.
    num_batches: in an epoch, 0 if unknown; vocab_size: the perplexity of a uniform guess.
    """

    def __init__(self, train, num_batches, vocab_size, num_epochs, choices, measure):
        self.train, self.num_batches, self.vocab_size = train, num_batches, vocab_size
        self.num_epochs, self.choices, self.measure = num_epochs, choices, measure
        self.runs, self.newest = [], []  # what is shown, and those that were started last
        self.starts, self.painted, self.message = 0, -math.inf, ""
        self.lock = threading.RLock()  # the buttons and the training change the same things

    # --- the parts ---------------------------------------------------------------------------

    def build(self, w, num_hiddens, lr):
        """The widget, made of the parts of the module `w`, which is ipywidgets."""
        self.w, self.lr, panel = w, lr, self
        look = {
            "style": {"description_width": "100px"},
            "layout": w.Layout(width="100%", max_width="520px", margin="2px"),
        }
        slider = {**look, "continuous_update": False}  # a run for the value that a drag ends on
        sizes = sorted({8, 16, 32, 64, 128, 256, 512, num_hiddens})
        self.hidden = w.SelectionSlider(
            description="Hidden size", options=sizes, value=num_hiddens, **slider
        )
        decade = math.log10(lr)
        self.rate = w.FloatLogSlider(
            description="Learning rate", value=lr, min=decade - 2, max=decade + 1, step=0.1,
            readout_format=".2", **slider,
        )  # fmt: skip
        self.menus, menu_look = {}, {**look, "layout": w.Layout(width="260px", margin="2px")}
        for name, menu in self.choices.items():
            options = [*menu, ALL] if len(menu) > 1 else [*menu]
            value = options[0] if self.menus else options[-1]
            label = name.replace("_", " ").capitalize()
            self.menus[name] = w.Dropdown(
                description=label, options=options, value=value, **menu_look
            )
        self.button = w.Button(layout=w.Layout(width="100px"))
        self.progress = w.IntProgress(layout=w.Layout(width="auto", flex="1 1 100px"))
        self.note = w.Label(layout=w.Layout(flex="0 0 190px"))
        self.over = w.Dropdown(options=["epochs", "seconds"], layout=w.Layout(width="100px"))
        self.over.tooltip = "What the curves are drawn over"
        wide = {"flex": "1 1 320px", "max_width": "660px", "margin": "0"}
        self.screens = [w.HTML(layout=w.Layout(**wide)) for _ in range(2 if self.measure else 1)]
        self.rows = w.VBox()
        self.save = w.Button(description="Save table", icon="download")
        self.save.tooltip = "Keep these runs as a CSV file beside the notebook"
        self.saved = w.Label()

        class Box(w.VBox):
            @property
            def runs(self):
                return list(panel.runs)

            def __repr__(self):  # what stands in the notebook where there is no kernel
                return "Sliders for hidden size and learning rate: run this cell to use them."

            def _ipython_display_(self, **kwargs):
                show_with_still(self, panel)

            def close(self):
                if panel.training:
                    background.stop(wait=True)
                super().close()

        controls = [self.hidden, self.rate, *self.menus.values()]
        menus = w.HBox(list(self.menus.values()), layout=w.Layout(flex_flow="row wrap"))
        line = w.HBox([self.button, self.progress, self.note, self.over])
        pictures = w.HBox(self.screens, layout=w.Layout(flex_flow="row wrap"))
        kept = w.HBox([self.save, self.saved])
        box = Box([self.hidden, self.rate, menus, line, pictures, self.rows, kept])
        box.layout.max_width = "980px" if self.measure else "664px"
        box.add_class("d2lmini-panel")
        self.paint()
        self.button.on_click(self.clicked)
        self.save.on_click(self.save_table)
        self.over.observe(lambda _: self.paint(), "value")
        for control in controls:
            control.observe(self.moved, "value")
            control.tooltip = "The arrow keys move it too"
        return box

    def make_row(self, run):
        """A run in the list below the picture, with a button that removes it."""
        button = self.w.Button(description="✕", layout=self.w.Layout(width="32px", flex="none"))
        button.tooltip = "Remove this run"
        button.on_click(lambda _: self.remove(run))
        run.row = self.w.HBox([button, self.w.HTML(layout=self.w.Layout(flex="1 1 auto"))])
        run.row.add_class("d2lmini-run")

    # --- what the reader does ----------------------------------------------------------------

    @property
    def training(self):
        return any(run.state == "training" for run in self.newest)

    def clicked(self, _):
        if self.training:
            background.stop()
        else:
            self.start()

    def moved(self, _):
        if self.starts:  # not before Train was pressed for the first time
            self.start()

    def remove(self, run):
        with self.lock:
            if run in self.runs and run.state != "training":
                self.runs.remove(run)
                self.newest = [other for other in self.newest if other is not run]
                self.paint()
                run.row.close()

    def save_table(self, _):
        path = time.strftime("runs_%Y-%m-%d_%H-%M-%S.csv")  # a new one every time
        try:
            save_table(self.runs, path)
            self.saved.value = f"Saved as {path}, beside the notebook."
        except OSError as error:
            self.saved.value = f"Not saved: {error}"

    def chosen_runs(self):
        """A new run for every network that the sliders and menus ask for."""
        # The slider's value is ten to a power; what trains is the number that it shows.
        untouched = math.isclose(self.rate.value, self.lr, rel_tol=1e-6)
        lr = self.lr if untouched else float(f"{self.rate.value:.2g}")
        chosen = [
            list(self.choices[name]) if menu.value == ALL else [menu.value]
            for name, menu in self.menus.items()
        ]
        usual = [None, *(menu.options[0] for menu in list(self.menus.values())[1:])]
        runs = []
        for labels in itertools.product(*chosen):
            run = Run(self.hidden.value, lr, self.num_epochs, dict(zip(self.menus, labels)))
            run.unusual = [label for label, other in zip(labels, usual) if label != other]
            runs.append(run)
        return runs

    def start(self):
        """Replace the runs that are under way, here or in another panel, by new ones."""
        runs = self.chosen_runs()
        if len(runs) > len(COLOURS):
            background.stop()
            self.message = f"at most {len(COLOURS)} networks at once"
            return self.paint()
        with self.lock:
            for run in self.newest:  # the thread will notice it soon
                run.state = "stopped" if run.state == "training" else run.state
            again = [run.settings for run in runs]
            kept = [run for run in self.runs if run.is_telling and run.settings not in again]
            kept = kept[max(0, len(kept) + len(runs) - len(COLOURS)) :]
            free = set(range(len(COLOURS))) - {run.slot for run in kept}
            for run, slot in zip(runs, sorted(free)):
                run.slot = slot
                self.make_row(run)
            gone = [run for run in self.runs if run not in kept]
            self.runs, self.newest, self.message = [*kept, *runs], runs, ""
            self.starts += 1
            background.start(lambda stop: self.work(runs, stop))
            self.paint()
        for run in gone:
            run.row.close()

    # --- what the thread does ----------------------------------------------------------------

    @one_thread()
    def work(self, runs, stop):
        """Train the runs, an epoch each in turn, and keep the picture up to date."""
        going = {}
        for run in runs:
            chosen = {name: self.choices[name][label] for name, label in run.choices.items()}
            going[run] = self.train(run, chosen, stop, self.watcher(run))
        while going:
            for run, training in list(going.items()):
                if self.advance(run, training):
                    self.paint_if_due()
                else:
                    del going[run]
                    self.paint()

    def advance(self, run, training):
        """Train for an epoch; False when the run has ended, with its state set."""
        try:
            next(training)
            return True
        except StopIteration:
            run.state = "diverged" if run.history.diverged else "finished"
        except Stopped:
            run.state = "stopped"
        except BaseException as error:  # in a thread, SystemExit too would be seen by nobody
            run.error, run.where = f"{type(error).__name__}: {error}", traceback.format_exc()
            run.state = "failed"  # last, since others look at it
        return False

    def watcher(self, run):
        """What training calls after every batch: a curve grows within an epoch, too."""

        tokens_per_epoch = 0

        def watch(perplexity, num_tokens):
            nonlocal tokens_per_epoch
            tokens_per_epoch = tokens_per_epoch or num_tokens * self.num_batches
            if tokens_per_epoch:
                part = min(1.0, num_tokens / tokens_per_epoch)
                run.latest = run.history.epoch + part, perplexity
            if run.first is None and run.latest is not None:
                run.first = run.latest
                self.paint()  # at once, so that the reader sees an answer
            else:
                self.paint_if_due()

        return watch

    def paint_if_due(self):
        if time.monotonic() - self.painted > 0.1:  # ten pictures a second are enough
            self.paint()

    def paint(self):
        """Show everything as it is."""
        with self.lock:
            self.painted = time.monotonic()
            self.progress.max = max(1, self.num_epochs * len(self.newest))
            self.progress.value = sum(run.history.epoch for run in self.newest)
            self.note.value = self.message or progress(self.newest)
            width = 470 if self.measure else 660
            self.screens[0].value = draw_perplexity(
                self.runs, self.newest, self.over.value, self.num_epochs, self.vocab_size, width,
                self.starts,
            )  # fmt: skip
            if self.measure:
                self.screens[1].value = draw_measured(self.runs, self.newest, self.measure, width)
            for run in self.runs:
                remove, words = run.row.children
                remove.disabled, words.value = run.state == "training", row(run, self.vocab_size)
            older = [run for run in reversed(self.runs) if run not in self.newest]
            rows = tuple(run.row for run in [*self.newest, *older])
            if rows != self.rows.children:
                self.rows.children = rows
            self.save.layout.display = "" if self.runs else "none"
            self.button.description = "Stop" if self.training else "Train"
            self.button.icon = "stop" if self.training else "play"
