"""One training run under the sliders: its settings, how it stands, and that in words."""

import csv
import io
import math
import time
from dataclasses import dataclass, field

from ..history import History
from ..tools import write_whole


@dataclass(eq=False)
class Run:
    """A training run of a panel; `slot` and `colour` say how it is drawn."""

    num_hiddens: int
    lr: float
    num_epochs: int
    choices: dict = field(default_factory=dict)  # {name: label of what was chosen}
    unusual: list = field(default_factory=list)  # those of the labels that name the run
    start: int = 0  # which press of Train, or move of a slider, began it
    slot: int = 0
    colour: int = 0
    history: History = None
    state: str = "training"  # then "finished", "diverged", "stopped" or "failed"
    net: object = None
    first: tuple = None  # (epochs done, perplexity) after the first batch, where the curve begins
    latest: tuple = None  # the same for the epoch that is under way
    measured: tuple = None  # (xs, ys) of the panel's second picture
    error: str = ""  # what failed, in a line
    where: str = ""  # its traceback
    started: float = math.inf  # on time's monotonic clock
    row: object = None  # its widgets in the list below the picture

    def __post_init__(self):
        self.history = History(self.num_epochs)

    @property
    def settings(self):
        return ", ".join([*self.unusual, f"{self.num_hiddens} hidden", f"lr {self.lr:g}"])

    @property
    def key(self):
        """What two runs have in common that are the same experiment."""
        return self.num_hiddens, self.lr, tuple(self.choices.values())

    @property
    def epochs_done(self):
        """With the part of the epoch that is under way."""
        return max(self.history.epoch, self.latest[0] if self.latest else 0)

    @property
    def is_telling(self):
        """Whether it came far enough to be kept beside the next runs."""
        long_enough = self.history.epoch >= self.num_epochs / 10
        return self.state == "diverged" or (self.state != "failed" and long_enough)

    def points(self, over="epochs"):
        """The train curve: (epochs, perplexity) or (seconds, perplexity)."""
        history = self.history
        if over == "seconds":
            return list(zip(history.seconds, history.train))
        recorded = list(zip(history.epochs, history.train))
        last = recorded[-1][0] if recorded else 0
        beginning = [self.first] if self.first else []
        under_way = [self.latest] if self.latest != self.first and self.latest[0] > last else []
        return beginning + recorded + under_way


# --- in words --------------------------------------------------------------------------------


def progress(runs):
    """How far the newest runs are, and the time left while they train."""
    if not runs:
        return "Press Train to start"
    going = [run for run in runs if run.state == "training"]
    done = sum(run.epochs_done for run in runs)
    if not going:
        ends = {run.state for run in runs}
        return standing(runs[0]) if len(runs) == 1 else " and ".join(sorted(ends))
    if not done:
        return "starting"
    to_do = sum(run.num_epochs - run.epochs_done for run in going)
    seconds = time.monotonic() - min(run.started for run in runs)
    left = math.ceil(seconds / done * to_do)
    left = f"{left} s" if left < 100 else f"{left / 60:.0f} min"
    epoch, total = max(run.history.epoch for run in going), going[0].num_epochs
    return f"epoch {epoch} of {total}, {left} left"


def standing(run):
    """What has become of one run."""
    done, total = run.history.epoch, run.num_epochs
    if run.state == "finished":
        return f"finished {total} epochs"
    if not done:
        return run.state
    return f"{run.state} at epoch {done} of {total}"


def outcome(run):
    """What a run has reached, and how fast: "train 3.4, validation 8.7, 2.0 s, 45,000 tokens/s"."""
    history = run.history
    if run.state == "failed" or not history.epoch:
        return standing(run)
    said = [] if run.state in ("training", "finished") else [standing(run)]
    if run.state != "diverged":
        said.append(f"train {_number(history.perplexity)}")
        if history.val:
            best = f" (best {_number(min(history.val))})" if len(history.val) > 1 else ""
            said.append(f"validation {_number(history.val[-1])}{best}")
    if history.seconds:
        said.append(f"{history.seconds[-1]:.1f}\u00a0s")
    speed = float(f"{history.speed:.2g}")  # more digits would only flicker
    return ", ".join([*said, f"{speed:,.0f}\u00a0tokens/s"])


def advice(run, vocab_size):
    """A clear word when a run went wrong, else nothing."""
    if run.state == "diverged":
        return f"This run diverged at epoch {run.history.epoch}. Try a lower learning rate."
    if run.state == "finished" and run.history.perplexity > vocab_size:
        return "Worse than a uniform guess. Try another learning rate."
    return f"This run failed. {run.error}" if run.state == "failed" else ""


def _number(perplexity):
    if not perplexity < 1e6:  # NaN too
        return "over a million"
    return f"{perplexity:.1f}" if perplexity < 100 else f"{perplexity:,.0f}"


# --- as a table ------------------------------------------------------------------------------


def table(runs):
    """A dictionary for each run: its settings and what came of it."""
    rows = []
    for run in runs:
        history = run.history
        rows.append({
            **run.choices,
            "hidden size": run.num_hiddens,
            "learning rate": run.lr,
            "epochs": history.epochs[-1] if history.epochs else 0,
            "state": run.state,
            "train perplexity": history.train[-1] if history.train else "",
            "validation perplexity": history.val[-1] if history.val else "",
            "best validation perplexity": min(history.val) if history.val else "",
            "seconds": round(history.seconds[-1], 3) if history.seconds else "",
            "tokens per second": round(history.speed),
        })  # fmt: skip
    return rows


def save_table(runs, path):
    """Write the table as CSV (UTF-8): all of the file or nothing of it."""
    rows, text = table(runs), io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())
