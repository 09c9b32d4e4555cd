"""A training run under the sliders: what it is, and how it is trained."""

import math
import operator
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import nn

from ..history import History
from ..loaders import batches_of
from ..training import fit


@dataclass
class Recipe:
    """What all runs of a panel have in common: the arguments of `try_it`, which explains them."""

    make_net: Callable
    train_iter: Iterable
    vocab: object
    num_epochs: int
    choices: dict
    measure: dict | None
    val_iter: Iterable | None
    optimizer: Callable | None
    schedule: Callable | None
    prefixes: list | None
    seed: int
    device: object


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
    generator: torch.Generator = None  # for the batches
    first: tuple = None  # (epochs done, perplexity) after the first batch, where the curve begins
    latest: tuple = None  # the same for the epoch that is under way
    measured: tuple = None  # (xs, ys) of the panel's second picture
    error: str = ""  # what failed, in a line
    where: str = ""  # its traceback
    started: float = math.inf  # on time's monotonic clock

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

    def fail(self, error):
        """Keep what an exception says: in the background, nobody would see it."""
        self.error, self.where = f"{type(error).__name__}: {error}", traceback.format_exc()
        self.state = "failed"  # last, since other threads look at it


# --- training --------------------------------------------------------------------------------


def build(run, recipe):
    """Build the run's network, as after `torch.manual_seed(seed)`.

    It draws from the generator that all threads share, and sets it back. So this is done in the
    thread that answers the sliders, between two cells, and not in the one that trains.
    """
    chosen = {name: recipe.choices[name][label] for name, label in run.choices.items()}
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(recipe.seed)
            run.net = recipe.make_net(run.num_hiddens, **chosen)
            run.generator = torch.Generator()
            run.generator.set_state(torch.get_rng_state())  # the batches go on from there
    except Exception as error:
        run.fail(error)


class Stopped(Exception):
    """Ends a run in the middle of an epoch."""


def train(run, recipe, stop, show):
    """Train a run: a generator that yields after every epoch, so that several can take turns.

    At its end `run.state` says what has become of the run. It ends soon after the event `stop` is
    set. `show(at_once)` is called after every batch, with True after the first of all.
    """
    try:
        yield from _epochs(run, recipe, stop, show)
        run.state = "diverged" if run.history.diverged else "finished"
    except Stopped:
        run.state = "stopped"
    except BaseException as error:  # in a thread, SystemExit too would be seen by nobody
        run.fail(error)


def _epochs(run, recipe, stop, show):
    batches = Batches(recipe.train_iter, stop, run.generator)
    val_iter = recipe.val_iter and Batches(recipe.val_iter, stop)
    num_batches = operator.length_hint(recipe.train_iter)  # 0 where it is unknown

    def after_batch(perplexity, _):
        if num_batches:
            part = min(1.0, batches.given / num_batches)
            run.latest = run.history.epoch + part, perplexity
            run.first = run.first or run.latest
        show(run.history.epoch == 0 and batches.given == 1)

    if stop.is_set():  # before its turn came
        raise Stopped
    run.started = time.monotonic()
    next_look = 0.0
    for history in fit(
        run.net, batches, recipe.vocab, run.lr, recipe.num_epochs, recipe.device,
        batches.use_random_iter, val_iter=val_iter,
        optimizer=recipe.optimizer, schedule=recipe.schedule, prefixes=recipe.prefixes,
        watch=after_batch,
    ):  # fmt: skip
        run.history = history
        if isinstance(run.net, nn.Module):
            run.net.eval()  # to look at it; `fit` begins every epoch with net.train()
        due = history.epoch == recipe.num_epochs or time.monotonic() > next_look
        if recipe.measure is not None and due and not history.diverged:
            began = time.monotonic()
            run.measured = _look_into(run.net, recipe.measure["function"])
            next_look = time.monotonic() + 9 * (time.monotonic() - began)  # a tenth of the time
        yield


class Batches:
    """The batches of `data_iter`, an epoch each time, until the event `stop` is set."""

    def __init__(self, data_iter, stop, generator=None):
        self.data_iter, self.stop, self.generator = data_iter, stop, generator
        self.use_random_iter = getattr(data_iter, "use_random_iter", False)
        self.given = 0  # of the epoch's batches

    def __iter__(self):
        return self.batches(self.generator)

    def batches(self, generator):
        """As those of the package's loaders; a run that was stopped ends between two of them."""
        self.given = 0
        for batch in batches_of(self.data_iter, generator):
            if self.stop.is_set():
                raise Stopped
            self.given += 1
            yield batch


def _look_into(net, measure):
    xs, ys = ([float(value) for value in values] for values in measure(net))
    if len(xs) != len(ys) or not all(map(math.isfinite, xs)):
        raise ValueError(f"measure must return as many ys as finite xs, got {xs} and {ys}")
    return xs, ys
