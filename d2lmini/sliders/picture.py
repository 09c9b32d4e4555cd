"""The pictures under the sliders of `try_it`: curves as SVG, and the rows that name them.

Every function returns HTML. A string of SVG is made many times faster than a matplotlib figure,
does not flicker, and takes its ink from the page, light or dark.
"""

import html
import math

from .words import advice, outcome, sentence

HEIGHT, TOP, BOTTOM, LEFT = 270, 30, 230, 46  # where the axes stand

# Okabe and Ito's palette without the yellow, which does not show on white, and the text's colour.
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "currentColor", "#E69F00", "#56B4E9", "#888888"
)  # fmt: skip
MARKERS = (  # a run is known without its colour too
    "m-3.5,0a3.5,3.5 0 1,0 7,0a3.5,3.5 0 1,0 -7,0",  # circle
    "m-3,-3h6v6h-6z",  # square
    "m0,-4l4,7h-8z",  # triangle
    "m0,-4.5l4,4.5l-4,4.5l-4,-4.5z",  # diamond
    "m-3.5,-3.5l7,7m0,-7l-7,7",  # cross
    "m0,4l4,-7h-8z",  # triangle, point down
    "m-4,0h8m-4,-4v8",  # plus
    "m-4,-2h8v4h-8z",  # bar
)
FONT = "font-family: var(--jp-ui-font-family, sans-serif); color: var(--jp-ui-font-color1, inherit)"
CODE = "font-family: var(--jp-code-font-family, monospace)"
ONE_LINE = "white-space: pre; overflow: hidden; text-overflow: ellipsis"
DASHED = "stroke-dasharray='6 4'"
STEPS = [digit * 10.0**power for power in range(-2, 9) for digit in (1, 2, 5)]


def draw_perplexity(runs, newest, over, num_epochs, vocab_size, width, number):
    """Perplexity, on a logarithmic axis, over epochs or seconds; the newest runs on top.

    number: how many times the panel was started. It stands in the picture for tests in a browser,
    with the state, settings and number of points of the first of the newest runs.
    """
    # The axis stays where it is unless curves leave it; what diverged is drawn along its top.
    sound = [run for run in runs if not run.history.diverged]
    values = [y for run in sound for y in _heights(run) if y < math.inf]
    top = min(max(2 * vocab_size, *values, 0), 4 * vocab_size)
    low = 0.95 * min(vocab_size / 4, *values, top)
    bottom = max(step for step in STEPS if step <= max(low, 1))
    longest = max([1.0, *(run.history.seconds[-1] for run in runs if run.history.seconds)])
    axes = Axes(width, (0, num_epochs if over == "epochs" else longest), (bottom, top), "log")

    guess = axes.y(vocab_size)
    parts = [axes.draw("perplexity", "epoch" if over == "epochs" else "seconds of training")]
    parts.append(_line(LEFT, guess, axes.right, guess, "stroke-dasharray='1 4' stroke-width='1.5'"))
    parts.append(_text(axes.right, guess - 7, f"uniform guess: {vocab_size}", "end"))
    for run in runs:
        xs = run.history.epochs if over == "epochs" else run.history.seconds
        curves = [(list(zip(xs, run.history.val)), DASHED), (run.points(over), "")]
        parts.append(axes.curves(run, curves, run in newest))
    if any(run.history.val for run in runs):
        parts += [_key(axes.right - 150, "", "train"), _key(axes.right - 86, DASHED, "validation")]

    data = f"data-run='{number}' data-state='idle'"
    if newest:
        run = next((run for run in newest if run.state == "training"), newest[0])
        data = f"data-run='{number}' data-state='{run.state}' data-hidden='{run.num_hiddens}'"
        data += f" data-lr='{run.lr:g}' data-settings='{html.escape(run.settings)}'"
        data += f" data-points='{len(newest[0].points())}' data-runs='{len(runs)}'"
    return _svg("".join(parts), width, sentence(runs), data)


def draw_measured(runs, newest, measure, width):
    """What `measure` found in the network of each run."""
    found = [run for run in runs if run.measured is not None]
    ys = [y for run in found for y in run.measured[1] if abs(y) < 1e100]  # nor NaN
    xs = [x for run in found for x in run.measured[0]] or [1, 10]
    scale = measure["yscale"]
    if scale == "log":
        ys = [y for y in ys if y > 1e-100] or [0.1, 1]
        low, high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))
        limits = 10.0**low, 10.0 ** max(high, low + 1)
    else:
        limits = min([0.0, *ys]), max([1.0, *ys])
    axes = Axes(width, (min(xs), max(xs)), limits, scale)
    parts = [axes.draw(measure["ylabel"], measure["xlabel"])]
    if found and not any(run.measured[0] for run in found):
        middle = (LEFT + axes.right) / 2, (TOP + BOTTOM) / 2
        parts.append(_text(*middle, "not to be measured for these runs", "middle"))
    for run in found:
        points = [(x, y) for x, y in zip(*run.measured) if scale == "linear" or y > 1e-100]
        points = [(x, y) for x, y in points if not math.isnan(y)]
        parts.append(axes.curves(run, [(points, "")], run in newest))
    words = f"{measure['ylabel']} over {measure['xlabel']}, for {len(found)} runs."
    return _svg("".join(parts), width, words, f"data-measured='{len(found)}'")


def _heights(run):
    return [y for _, y in run.points()] + run.history.val


def _svg(content, width, words, data=""):
    look = f"{FONT}; font-size: 12px; display: block; width: 100%"
    return (
        f"<svg {data} role='img' aria-label='{html.escape(words)}' "
        f"viewBox='0 0 {width} {HEIGHT}' style='{look}'>{content}</svg>"
    )


class Axes:
    """A frame for curves: x linear, y linear or logarithmic."""

    def __init__(self, width, xlim, ylim, yscale):
        self.right, self.xlim, self.ylim = width - 14, xlim, ylim
        self.log = yscale == "log"

    def x(self, value):
        first, last = self.xlim
        return LEFT + (self.right - LEFT) * (value - first) / ((last - first) or 1)

    def y(self, value):
        low, high = self.ylim
        value = max(value, low) if value < high else high  # NaN too
        if self.log:
            low, high, value = (math.log(v) for v in (low, high, value))
        return BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low)

    def draw(self, ylabel, xlabel):
        parts = [_text(LEFT - 38, TOP - 16, ylabel), _text(self.right, BOTTOM + 36, xlabel, "end")]
        levels = self.levels()
        as_powers = self.log and levels[0] < 1e-3
        for level in levels:
            y, label = self.y(level), _power(level) if as_powers else f"{level:,g}"
            parts.append(_line(LEFT, y, self.right, y, "stroke-opacity='.15'"))
            parts.append(_text(LEFT - 8, y + 4, label, "end"))
        first, last = self.xlim
        step = next((step for step in STEPS if last - first <= 5 * step), last - first)
        for i in range(math.ceil(first / step), math.floor(last / step) + 1):
            parts.append(_line(self.x(i * step), BOTTOM, self.x(i * step), BOTTOM + 4))
            parts.append(_text(self.x(i * step), BOTTOM + 18, f"{i * step:g}", "middle"))
        parts.append(_line(LEFT, BOTTOM, self.right, BOTTOM))
        return "".join(parts)

    def levels(self):
        """Where horizontal lines are drawn: at most seven."""
        low, high = self.ylim
        if not self.log:
            return [low + (high - low) * quarter / 4 for quarter in range(5)]
        tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        levels = [digit * 10.0**power for power in tens for digit in (1, 2, 5)]
        levels = [level for level in levels if low * 0.999 <= level <= high * 1.001]
        if len(levels) > 7:
            levels = [level for level in levels if f"{level:e}"[0] == "1"]
        return levels[:: math.ceil(len(levels) / 7)]

    def curves(self, run, curves, newest):
        """Pairs of (points, dashes) in the colour of a run; markers on those without dashes."""
        parts = []
        for points, dashes in curves:
            places = [(self.x(x), self.y(y)) for x, y in points]
            path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in places) if places else ""
            parts.append(f"<path d='{path}' fill='none' {dashes}/>")
            # Markers at every eighth of the way, where they stay while the curve grows, and at
            # its end.
            eighths = [int(8 * (a - LEFT) / (self.right - LEFT)) for a, _ in places]
            ends = [
                place for place, now, before in zip(places, eighths, [0, *eighths])
                if now > before and not dashes
            ] + places[-1:]  # fmt: skip
            parts += [_marker(run, a, b) for a, b in ends]
        emphasis = "stroke-width='2.4'" if newest else "stroke-width='1.4' opacity='.8'"
        look = f"stroke='{COLOURS[run.colour]}' stroke-linejoin='round' {emphasis}"
        return f"<g {look}>{''.join(parts)}</g>"


def _power(level):
    power = f"{math.log10(level):.0f}"
    return "10" + power.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _marker(run, a, b):
    look = f"fill='{COLOURS[run.colour]}' stroke-width='1.4'"
    return f"<path d='M{a:.1f},{b:.1f}{MARKERS[run.slot]}' {look}/>"


def _key(left, dashes, label):
    stroke = f"stroke-width='1.8' {dashes}"
    return _line(left - 4, TOP - 20, left + 18, TOP - 20, stroke) + _text(
        left + 24, TOP - 16, label
    )


def _line(x1, y1, x2, y2, extra=""):
    where = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {where} stroke='currentColor' {extra}/>"


def _text(x, y, words, anchor="start"):
    where = f"x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'"
    return f"<text {where} fill='currentColor'>{html.escape(words)}</text>"


def row(run, vocab_size):
    """A run by its marker: settings, what it reached, what it writes, and what went wrong."""
    marker = (
        f"<svg width='16' height='12' viewBox='0 0 16 12' aria-hidden='true'>"
        f"<g stroke='{COLOURS[run.colour]}'>{_marker(run, 8, 6)}</g></svg>"
    )
    lines = [f"{marker} <b>{html.escape(run.settings)}</b>&ensp;{html.escape(outcome(run))}"]
    if said := advice(run, vocab_size):
        role = "role='alert' " if run.state == "failed" else ""
        lines.append(f"<div {role}><b>{html.escape(said)}</b></div>")
    if run.where:
        where = f"<pre style='overflow: auto'>{html.escape(run.where)}</pre>"
        lines.append(f"<details><summary>Where it happened</summary>{where}</details>")
    elif run.history.samples:
        text = html.escape(run.history.samples[-1])
        lines.append(f"<q style='{CODE}; {ONE_LINE}; display: block'>{text}</q>")
    return f"<div style='{FONT}; font-size: 13px; line-height: 1.5'>{''.join(lines)}</div>"
