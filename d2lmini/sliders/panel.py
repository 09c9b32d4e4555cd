"""The panel of `try_it`: sliders, menus and buttons, and what happens when they are used."""

import itertools
import math
import threading
import time
import traceback

from . import background
from .background import Stopped
from .picture import COLOURS, draw_measured, draw_perplexity, row
from .run import Run, progress, save_table
from .still import box_class, close

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
        self.stop = threading.Event()  # ends the runs that are under way, and no other panel's
        self.lock = threading.RLock()  # the buttons and the training change the same things

    def build(self, w, num_hiddens, lr):
        """The widget, made of the parts of the module `w`, which is ipywidgets."""
        self.w, self.lr = w, lr
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
        self.progress = w.FloatProgress(layout=w.Layout(width="auto", flex="1 1 100px"))
        self.note = w.Label(layout=w.Layout(flex="0 0 190px"))
        self.over = w.Dropdown(
            description="over", options=["epochs", "seconds"], layout=w.Layout(width="150px"),
            style={"description_width": "40px"},
        )  # fmt: skip
        wide = w.Layout(flex="1 1 320px", max_width="660px", margin="0")
        self.screens = [w.HTML(layout=wide) for _ in range(2 if self.measure else 1)]
        self.rows = w.VBox()
        self.save = w.Button(description="Save table", icon="download")
        self.save.tooltip = "Keep these runs as a CSV file beside the notebook"
        self.saved = w.Label()

        menus = w.HBox(list(self.menus.values()), layout=w.Layout(flex_flow="row wrap"))
        line = w.HBox([self.button, self.progress, self.note, self.over])
        pictures = w.HBox(self.screens, layout=w.Layout(flex_flow="row wrap"))
        below = [self.rows, w.HBox([self.save, self.saved])]
        box = box_class(w, self)([self.hidden, self.rate, menus, line, pictures, *below])
        box.layout.max_width = "980px" if self.measure else "664px"
        box.add_class("d2lmini-panel")
        self.paint()
        self.button.on_click(self.clicked)
        self.save.on_click(self.save_table)
        self.over.observe(lambda _: self.paint(), "value")
        for control in [self.hidden, self.rate, *self.menus.values()]:
            control.observe(self.moved, "value")
            control.tooltip = "The arrow keys move it too"
        return box

    def make_row(self, run):
        """A run in the list below the picture, with a button that removes it."""
        button = self.w.Button(description="✕", layout=self.w.Layout(width="32px", flex="none"))
        button.tooltip = f"Remove this run: {run.settings}"
        button.on_click(lambda _: self.remove(run))
        run.row = self.w.HBox([button, self.w.HTML(layout=self.w.Layout(flex="1 1 auto"))])
        run.row.add_class("d2lmini-run")

    @property
    def training(self):
        return any(run.state == "training" for run in self.newest)

    def clicked(self, _):
        if self.training:
            self.stop.set()
        else:
            self.start()

    def moved(self, _):
        self.message = ""
        if self.starts:  # not before Train was pressed for the first time
            self.start()
        else:
            self.paint()

    def remove(self, run):
        with self.lock:
            if run.state != "training":
                self.keep([other for other in self.runs if other is not run])
                self.paint()

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
            self.stop.set()
            self.message = f"{len(runs)} networks: at most {len(COLOURS)}"
            return self.paint()
        with self.lock:
            for run in self.newest:  # the thread will notice it soon
                run.state = "stopped" if run.state == "training" else run.state
            # Where there is no room for all, what was stopped goes first, then what is oldest.
            telling = [run for run in self.runs if run.is_telling]
            telling.sort(key=lambda run: (run.state != "stopped", run.start))
            kept = telling[max(0, len(telling) + len(runs) - len(COLOURS)) :]
            full = f"Only {len(COLOURS)} runs fit: the oldest were removed."
            self.message, self.saved.value = "", full if len(kept) < len(telling) else ""
            free = set(range(len(COLOURS))) - {run.slot for run in kept}
            self.starts += 1
            for run, slot in zip(runs, sorted(free)):
                run.start, run.slot, run.colour = self.starts, slot, self.colour(run, slot)
                self.make_row(run)
            self.newest = runs
            self.keep([*sorted(kept, key=lambda run: run.start), *runs])
            self.stop = background.start(lambda stop: self.work(runs, stop))
            self.paint()

    def colour(self, run, slot):
        """What is chosen in the first menu has a colour of its own; without menus, each run has."""
        name = next(iter(self.choices), None)
        return slot if name is None else list(self.choices[name]).index(run.choices[name])

    def keep(self, runs):
        gone = [run for run in self.runs if run not in runs]
        self.runs, self.newest = runs, [run for run in self.newest if run in runs]
        for run in gone:
            close(run.row)

    def work(self, runs, stop):
        """Train the runs, an epoch each in turn, and keep the picture up to date."""
        going = {}
        for run in runs:
            chosen = {name: self.choices[name][label] for name, label in run.choices.items()}
            going[run] = self.train(run, chosen, stop, self.watcher(run))
        try:
            while going:
                for run, training in list(going.items()):
                    if self.advance(run, training):
                        self.paint_if_due()
                    else:
                        del going[run]
                        self.end(run)
        finally:  # even where a picture could not be drawn
            for run in going:
                run.state = "failed"
            self.settle()

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

    def end(self, run):
        with self.lock:
            if run.state in ("finished", "diverged"):  # in place of an earlier one like it
                self.keep([o for o in self.runs if o.key != run.key or o.start >= run.start])
            self.paint()

    def watcher(self, run):
        """What training calls after every batch: a curve grows within an epoch, too."""
        num_seen = batches = 0

        def watch(perplexity, num_tokens):
            nonlocal num_seen, batches
            batches = batches + 1 if num_tokens > num_seen else 1  # a new epoch counts from 1
            num_seen = num_tokens
            if self.num_batches:
                part = min(1.0, batches / self.num_batches)
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
            self.progress.value = sum(run.epochs_done for run in self.newest)
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
            rows = tuple(run.row for run in sorted(self.runs, key=lambda run: -run.start))
            if rows != self.rows.children:
                self.rows.children = rows
            self.save.layout.display = "" if self.runs else "none"
            self.settle()

    def settle(self):
        self.button.description = "Stop" if self.training else "Train"
        self.button.icon = "stop" if self.training else "play"
