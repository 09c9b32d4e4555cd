"""The widget of `try_it`: sliders, menus and buttons, and what happens when they are used.

The thread that trains never prints or displays, which would land in the wrong cell. It sets the
values of widgets, which works from anywhere.
"""

import itertools
import math
import threading
import time

from . import background
from .picture import COLOURS, draw_measured, draw_perplexity, row
from .run import Run, build, train
from .words import progress, save_table

try:
    import ipywidgets
    from ipywidgets import HTML, Button, Dropdown, FloatProgress, HBox, Label, VBox
except ImportError as error:
    message = "try_it needs ipywidgets: run `pip install ipywidgets`, then restart the kernel"
    raise ImportError(message) from error

ALL = "all, side by side"
CONTROL = {"style": {"description_width": "100px"}}
SLIDER = {
    **CONTROL,
    "layout": {"width": "100%", "max_width": "520px", "margin": "2px"},
    "continuous_update": False,  # a run for the value that a drag ends on, and for none before
}


class Panel(VBox):
    """The widget. `runs` are those that it shows, the oldest first."""

    def __init__(self, recipe, num_hiddens, lr):
        super().__init__()
        self.recipe = recipe
        self.runs, self.newest = [], []  # what is shown, and those that were started last
        self.starts, self.painted, self.message = 0, -math.inf, ""
        self.stop = threading.Event()  # ends the runs that are under way, and no other panel's
        self.lock = threading.RLock()  # the buttons and the training change the same things

        self.lr = lr
        sizes = sorted({8, 16, 32, 64, 128, 256, 512, num_hiddens})
        self.hidden = ipywidgets.SelectionSlider(
            description="Hidden size", options=sizes, value=num_hiddens, **SLIDER
        )
        decade = math.log10(lr)
        self.rate = ipywidgets.FloatLogSlider(
            description="Learning rate", value=lr, min=decade - 2, max=decade + 1, step=0.1,
            readout_format=".2", **SLIDER,
        )  # fmt: skip
        self.menus = {}
        for name, menu in recipe.choices.items():
            options = [*menu, ALL] if len(menu) > 1 else [*menu]
            self.menus[name] = Dropdown(
                description=name.replace("_", " ").capitalize(), options=options,
                value=options[0] if self.menus else options[-1],
                layout={"width": "260px", "margin": "2px"}, **CONTROL,
            )  # fmt: skip
        self.button = Button(layout={"width": "100px"})
        self.progress = FloatProgress(layout={"width": "auto", "flex": "1 1 100px"})
        self.note = Label(layout={"flex": "0 0 200px"})
        self.over = Dropdown(
            description="over", options=["epochs", "seconds"], layout={"width": "150px"},
            style={"description_width": "40px"},
        )  # fmt: skip
        screen = {"flex": "1 1 320px", "max_width": "660px", "margin": "0"}
        self.screens = [HTML(layout=screen) for _ in range(2 if recipe.measure else 1)]
        self.rows, self.row_of = VBox(), {}  # the list below the picture; {run: its row there}
        self.spare_rows = []  # used again, since a new widget costs the browser time
        self.save = Button(description="Save table", icon="download")
        self.save.tooltip = "Keep these runs as a CSV file beside the notebook"
        self.saved = Label()

        self.add_class("d2lmini-panel")
        self.layout.max_width = "980px" if recipe.measure else "664px"
        self.children = [
            self.hidden,
            self.rate,
            HBox([*self.menus.values()], layout={"flex_flow": "row wrap"}),
            HBox([self.button, self.progress, self.note, self.over]),
            HBox(self.screens, layout={"flex_flow": "row wrap"}),
            self.rows,
            HBox([self.save, self.saved]),
        ]
        self.paint()
        self.button.on_click(lambda _: self.stop.set() if self.training else self.start())
        self.save.on_click(lambda _: self.save_table())
        self.over.observe(lambda _: self.paint(), "value")
        for control in [self.hidden, self.rate, *self.menus.values()]:
            control.observe(lambda _: self.start(), "value")
            control.tooltip = "The arrow keys move it too"

    def __repr__(self):  # what a stored notebook shows, the same every time
        return "Sliders for hidden size and learning rate: run this cell to use them."

    def close(self):
        self.stop.set()
        for child in [*self.children, *self.spare_rows]:
            close(child)
        super().close()

    @property
    def training(self):
        return any(run.state == "training" for run in self.newest)

    # --- new runs --------------------------------------------------------------------------

    def start(self):
        """Replace the runs that are under way, here or in another panel, by new ones."""
        runs = self.chosen_runs()
        if len(runs) > len(COLOURS):
            self.stop.set()
            self.message = f"{len(runs)} networks: at most {len(COLOURS)}"
            return self.paint()
        for run in runs:
            build(run, self.recipe)
        with self.lock:
            self.stop.set()  # first: an interrupt in what follows leaves nothing that trains unseen
            for run in self.newest:  # the thread will notice it soon
                run.state = "stopped" if run.state == "training" else run.state
            # If there are not colours for all, what was stopped goes first, then the oldest.
            telling = [run for run in self.runs if run.is_telling]
            telling.sort(key=lambda run: (run.state != "stopped", run.start))
            kept = telling[max(0, len(telling) + len(runs) - len(COLOURS)) :]
            full = f"Only {len(COLOURS)} runs fit: the oldest were removed."
            self.message, self.saved.value = "", full if len(kept) < len(telling) else ""
            free = set(range(len(COLOURS))) - {run.slot for run in kept}
            self.starts += 1
            for run, slot in zip(runs, sorted(free)):
                run.start, run.slot, run.colour = self.starts, slot, self.colour(run, slot)
                self.add_row(run)
            self.newest = runs
            self.keep([*sorted(kept, key=lambda run: run.start), *runs])
            self.stop = background.start(lambda stop: self.work(runs, stop))
            self.paint()

    def chosen_runs(self):
        """A new run for every network that the sliders and menus ask for."""
        # The slider's value is ten to a power; what trains is the number that it shows.
        untouched = math.isclose(self.rate.value, self.lr, rel_tol=1e-6)
        lr = self.lr if untouched else float(f"{self.rate.value:.2g}")
        chosen = [
            list(self.recipe.choices[name]) if menu.value == ALL else [menu.value]
            for name, menu in self.menus.items()
        ]
        # A run is named by the first menu, and by the others where they are not as they were.
        usual = [None, *(menu.options[0] for menu in list(self.menus.values())[1:])]
        runs = []
        for labels in itertools.product(*chosen):
            choices = dict(zip(self.menus, labels))
            run = Run(self.hidden.value, lr, self.recipe.num_epochs, choices)
            run.unusual = [label for label, other in zip(labels, usual) if label != other]
            runs.append(run)
        return runs

    def colour(self, run, slot):
        """What is chosen in the first menu has a colour of its own; without menus, each run has."""
        name = next(iter(self.menus), None)
        return slot if name is None else self.menus[name].options.index(run.choices[name])

    # --- the list of runs ------------------------------------------------------------------

    def add_row(self, run):
        """A run in the list below the picture, with a button that removes it."""
        row = self.spare_rows.pop() if self.spare_rows else self.new_row()
        row.children[0].tooltip = f"Remove this run: {run.settings}"
        self.row_of[run] = row

    def new_row(self):
        button = Button(description="✕", layout={"width": "32px", "flex": "none"})
        row = HBox([button, HTML(layout={"flex": "1 1 auto"})])
        row.add_class("d2lmini-run")
        button.on_click(lambda _: self.remove(row))
        return row

    def remove(self, row):
        with self.lock:
            run = next((run for run, its_row in self.row_of.items() if its_row is row), None)
            if run and run.state != "training":
                self.keep([other for other in self.runs if other is not run])
                self.paint()

    def keep(self, runs):
        """Show these runs and no others."""
        gone = [run for run in self.runs if run not in runs]
        self.runs, self.newest = runs, [run for run in self.newest if run in runs]
        for run in gone:
            self.spare_rows.append(self.row_of.pop(run))

    def save_table(self):
        path = time.strftime("runs_%Y-%m-%d_%H-%M-%S.csv")  # a new one every time
        try:
            save_table(self.runs, path)
            self.saved.value = f"Saved as {path}, beside the notebook."
        except OSError as error:
            self.saved.value = f"Not saved: {error}"

    # --- in the thread that trains ---------------------------------------------------------

    def work(self, runs, stop):
        """Train the runs, an epoch each in turn, and keep the picture up to date."""
        going = {
            run: train(run, self.recipe, stop, self.paint_if_due)
            for run in runs
            if run.state == "training"
        }
        try:
            while going:
                for run, training in list(going.items()):
                    if next(training, "ended") == "ended":
                        del going[run]
                        self.end(run)
                    else:
                        self.paint_if_due()
        finally:  # even where a picture could not be drawn
            for run in going:
                run.state = "failed"
            self.show_button()

    def end(self, run):
        with self.lock:
            if run.state in ("finished", "diverged"):  # in place of an earlier one like it
                self.keep([o for o in self.runs if o.key != run.key or o.start >= run.start])
            self.paint()

    # --- what is seen ----------------------------------------------------------------------

    def paint_if_due(self, at_once=False):
        if at_once or time.monotonic() - self.painted > 0.1:  # ten pictures a second are enough
            self.paint()

    def paint(self):
        """Show everything as it is."""
        recipe = self.recipe
        with self.lock:
            self.painted = time.monotonic()
            self.progress.max = max(1, recipe.num_epochs * len(self.newest))
            self.progress.value = sum(run.epochs_done for run in self.newest)
            self.note.value = self.message or progress(self.newest)
            width = 470 if recipe.measure else 660
            self.screens[0].value = draw_perplexity(
                self.runs, self.newest, self.over.value, recipe.num_epochs, len(recipe.vocab),
                width, self.starts,
            )  # fmt: skip
            if recipe.measure:
                self.screens[1].value = draw_measured(self.runs, self.newest, recipe.measure, width)
            for run in self.runs:
                remove, words = self.row_of[run].children
                remove.disabled = run.state == "training"
                words.value = row(run, len(recipe.vocab))
            rows = [self.row_of[run] for run in sorted(self.runs, key=lambda run: -run.start)]
            if tuple(rows) != self.rows.children:
                self.rows.children = rows
            self.save.layout.display = "" if self.runs else "none"
            self.show_button()

    def show_button(self):
        self.button.description = "Stop" if self.training else "Train"
        self.button.icon = "stop" if self.training else "play"


def close(widget):
    """Close a widget with all its parts: ipywidgets would keep each of them for ever."""
    for child in getattr(widget, "children", ()):
        close(child)
    for part in (getattr(widget, "style", None), widget.layout):
        if part is not None:
            part.close()
    widget.close()
