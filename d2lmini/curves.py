"""The picture under the sliders of `try_it`: curves as SVG, and what came out in words.

Every function takes runs and returns HTML. A string of SVG is made many times faster than a
matplotlib figure, does not flicker, and takes its ink from the page, light or dark.
"""

import html
import math
import threading
import time
from dataclasses import dataclass, field

from .history import History

WIDTH, HEIGHT = 660, 276
LEFT, RIGHT, TOP, BOTTOM = 42, 440, 32, 234  # where the axes stand; the legend is right of them
LEGEND = RIGHT + 26

# Okabe and Ito's palette, as far as it shows on white and on black, and the text's own colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "currentColor")
MARKERS = (  # circle, square, triangle, diamond, cross: a run is known without its colour too
    "m-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0",
    "m-3,-3h6v6h-6z",
    "m0,-4l4,7h-8z",
    "m0,-4.5l4,4.5l-4,4.5l-4,-4.5z",
    "m-3.5,-3.5l7,7m0,-7l-7,7",
)
FONT = "font-family: var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, inherit)"
TEXT = f"style='{FONT}; font-size: 13px; line-height: 1.6; max-width: {WIDTH}px'"
CODE = "style='font-family: var(--jp-code-font-family, monospace); white-space: pre-wrap'"
TICKS = [digit * 10**power for power in range(9) for digit in (1, 2, 5)]
DASHED = "stroke-dasharray='6 4'"


@dataclass
class Run:
    """One training run and how it stands; `slot` is its place among colours and markers."""

    num_hiddens: int
    lr: float
    num_epochs: int
    slot: int = 0
    history: History = None
    state: str = "training"  # then "finished", "diverged", "stopped" or "failed"
    error: str = ""  # what failed, in a line
    where: str = ""  # its traceback
    started: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = None

    def __post_init__(self):
        self.history = History(self.num_epochs)

    @property
    def settings(self):
        return f"{self.num_hiddens} hidden, lr {self.lr:g}"

    @property
    def is_telling(self):
        """Whether it came far enough to be kept beside the next runs."""
        long_enough = self.history.epoch >= self.num_epochs / 10
        return self.state == "diverged" or (self.state != "failed" and long_enough)


def draw(runs, num_epochs, vocab_size):
    """All runs as one SVG: perplexity on a logarithmic axis over epochs, the newest on top."""
    # The axis stays where it is unless curves leave it; what diverged is drawn along its top.
    sound = [run.history for run in runs if not run.history.diverged]
    values = [v for history in sound for v in history.train + history.val if v < math.inf]
    top = min(max(2 * vocab_size, *values, 0), 20 * vocab_size)
    low = 0.95 * min(vocab_size / 4, *values, top)
    bottom = max(level for level in TICKS if level <= max(low, 1))

    def x(epoch):
        return LEFT + (RIGHT - LEFT) * epoch / num_epochs

    def y(perplexity):
        clipped = max(perplexity, bottom) if perplexity < top else top  # NaN too
        return BOTTOM - (BOTTOM - TOP) * math.log(clipped / bottom) / math.log(top / bottom)

    parts = [_axes(x, y, bottom, top, num_epochs, vocab_size)]
    parts += [_curves(run, x, y, run is runs[-1]) for run in runs]
    parts += [_entry(run, TOP + 2 + 36 * i) for i, run in enumerate(reversed(runs))]
    if any(run.history.val for run in runs):
        parts += [_line_key(LEGEND, "", "train"), _line_key(LEGEND + 68, DASHED, "validation")]

    data = "data-state='idle'"
    if runs:  # for tests in a browser
        run = runs[-1]
        data = f"data-state='{run.state}' data-hidden='{run.num_hiddens}' data-lr='{run.lr:g}'"
        data += f" data-points='{len(run.history.epochs)}' data-runs='{len(runs)}'"
    look = f"{FONT}; font-size: 12px; display: block; width: 100%; max-width: {WIDTH}px"
    return (
        f"<svg {data} role='img' aria-label='{html.escape(sentence(runs))}' "
        f"viewBox='0 0 {WIDTH} {HEIGHT}' style='{look}'>{''.join(parts)}</svg>"
    )


def _axes(x, y, bottom, top, num_epochs, vocab_size):
    levels = [level for level in TICKS if bottom <= level <= top]
    levels = levels if len(levels) < 8 else levels[::3]
    step = next(step for step in TICKS if num_epochs <= 5 * step)
    parts = [_text(LEFT - 34, TOP - 18, "perplexity"), _text(RIGHT, BOTTOM + 36, "epoch", "end")]
    for level in levels:
        parts.append(_line(LEFT, y(level), RIGHT, y(level), "stroke-opacity='.15'"))
        parts.append(_text(LEFT - 8, y(level) + 4, f"{level:,}", "end"))
    for epoch in range(0, num_epochs + 1, step):
        parts.append(_line(x(epoch), BOTTOM, x(epoch), BOTTOM + 4))
        parts.append(_text(x(epoch), BOTTOM + 18, str(epoch), "middle"))
    parts.append(_line(LEFT, BOTTOM, RIGHT, BOTTOM))
    guess = y(vocab_size)
    parts.append(_line(LEFT, guess, RIGHT, guess, "stroke-dasharray='1 4' stroke-width='1.5'"))
    parts.append(_text(RIGHT, guess - 7, f"uniform guess: {vocab_size}", "end"))
    return "".join(parts)


def _curves(run, x, y, newest):
    """The train curve with its markers, and the validation curve, dashed."""
    history, parts = run.history, []
    for values, dash in ((history.val, DASHED), (history.train, "")):
        points = [(x(e), y(v)) for e, v in zip(history.epochs, values)]
        path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in points) if points else ""
        parts.append(f"<path d='{path}' fill='none' {dash}/>")
        # Markers at every eighth of the way, where they stay while the curve grows, and at its end.
        eighths = [epoch * 8 // run.num_epochs for epoch in history.epochs[: len(values)]]
        ends = [point for point, eighth, before in zip(points, eighths, [0, *eighths])
                if eighth > before and not dash] + points[-1:]  # fmt: skip
        parts += [_marker(run, a, b) for a, b in ends]
    emphasis = "stroke-width='2.4'" if newest else "stroke-width='1.4' opacity='.85'"
    return (
        f"<g stroke='{COLOURS[run.slot]}' stroke-linejoin='round' {emphasis}>{''.join(parts)}</g>"
    )


def _marker(run, a, b):
    fill = COLOURS[run.slot]
    return f"<path d='M{a:.1f},{b:.1f}{MARKERS[run.slot]}' fill='{fill}' stroke-width='1.4'/>"


def _entry(run, height):
    """A run in the legend: its marker and settings, and below them what it reached."""
    marker = f"<g stroke='{COLOURS[run.slot]}'>{_marker(run, LEGEND, height - 4)}</g>"
    settings = _text(LEGEND + 12, height, run.settings, extra="font-weight='600'")
    return marker + settings + _text(LEGEND + 12, height + 15, outcome(run))


def _line_key(left, dash, label):
    stroke = f"stroke-width='1.8' {dash}"
    return _line(left - 4, BOTTOM - 4, left + 18, BOTTOM - 4, stroke) + _text(
        left + 24, BOTTOM, label
    )


def _line(x1, y1, x2, y2, extra=""):
    where = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {where} stroke='currentColor' {extra}/>"


def _text(x, y, words, anchor="start", extra=""):
    where = f"x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'"
    return f"<text {where} fill='currentColor' {extra}>{html.escape(words)}</text>"


# --- in words --------------------------------------------------------------------------------


def outcome(run):
    """The perplexity a run has reached: "train 3.4, validation 8.7"."""
    if run.state in ("diverged", "failed") or not run.history.epoch:
        return run.state
    reached = f"perplexity {_number(run.history.perplexity)}"
    if run.history.val:
        reached = reached.replace("perplexity", "train")
        reached += f", validation {_number(run.history.val[-1])}"
    return reached


def _number(perplexity):
    if not perplexity < 1e6:  # NaN too
        return "over a million"
    return f"{perplexity:.1f}" if perplexity < 100 else f"{perplexity:,.0f}"


def sentence(runs):
    """The picture for those who do not see it."""
    if not runs:
        return "Perplexity over epochs: no run yet."
    said = [f"{run.settings}: {progress(run)}, {outcome(run)}" for run in reversed(runs)]
    earlier = f" Earlier runs: {'; '.join(said[1:])}." if said[1:] else ""
    return f"Perplexity over epochs. {said[0]}.{earlier}"


def progress(run):
    """How far a run is, and the time left while it trains."""
    if run is None:
        return "Press Train to start"
    done, total = run.history.epoch, run.num_epochs
    if not done:
        return "starting" if run.state == "training" else run.state
    if run.state == "finished":
        return f"finished {total} epochs"
    if run.state != "training":
        return f"{run.state} at epoch {done} of {total}"
    left = math.ceil((time.monotonic() - run.started) / done * (total - done))
    left = f"{left} s" if left < 100 else f"{left / 60:.0f} min"
    return f"epoch {done} of {total}, {left} left"


def report(run, vocab_size):
    """The lines under the picture: speed and sampled text, and a clear word when it went wrong."""
    if run.state == "failed":
        return (
            f"<div role='alert' {TEXT}><b>This run failed.</b> {html.escape(run.error)}"
            f"<details><summary>Where it happened</summary>"
            f"<pre style='overflow: auto'>{html.escape(run.where)}</pre></details></div>"
        )
    lines = []
    if run.state == "diverged":
        lines.append(
            f"<b>This run diverged at epoch {run.history.epoch}.</b> Try a lower learning rate."
        )
    elif run.state == "finished" and run.history.perplexity > vocab_size:
        lines.append("<b>Worse than a uniform guess.</b> Try another learning rate.")
    if run.history.samples:
        speed = float(f"{run.history.speed:.2g}")  # more digits would only flicker
        lines.append(f"{speed:,.0f} tokens per second. It writes:")
        lines.append(f"<q {CODE}>{html.escape(run.history.samples[-1])}</q>")
    return "".join(f"<div {TEXT}>{line}</div>" for line in lines)
