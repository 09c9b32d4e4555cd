"""Curves: `plot` for finished numbers, `Animator` for numbers that are still coming in.

matplotlib is imported by the first figure, not by `import d2lmini`.
"""

import contextlib
import sys
import time
from io import BytesIO
from pathlib import Path

from .tools import write_whole

FMTS = ("-", "m--", "g-.", "r:")  # every curve has a line style of its own, not only a colour

STYLE = {
    "figure.facecolor": "white",  # a figure stays readable on a dark page
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    # Okabe and Ito's palette: told apart by colour-blind readers.
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00'])",
}


def in_notebook():
    """Whether a Jupyter or Colab kernel is there to show figures."""
    return running_shell() is not None


def running_shell():
    """The shell of the Jupyter kernel that this code runs in, or None."""
    # Nobody runs IPython without having imported it: so a plain script never pays for it.
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None


def use_svg_display():
    """Show matplotlib's figures as SVG in this notebook (larger files than the usual PNG)."""
    _figure_format("svg")


def set_figsize(figsize=(3.5, 2.5)):
    """The size in inches of the figures that pyplot makes from now on, and the course's style."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)
    matplotlib.rcParams["figure.figsize"] = figsize
    _figure_format("retina")


def _figure_format(name):
    if in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats(name)


def set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend):
    """Name and scale the axes of a matplotlib plot; `None` leaves the limits to matplotlib."""
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.set_xscale(xscale)
    axes.set_yscale(yscale)
    if xlim is not None:  # a given limit, even None, would end the autoscaling
        axes.set_xlim(xlim)
    if ylim is not None:
        axes.set_ylim(ylim)
    for axis, scale in ((axes.xaxis, xscale), (axes.yaxis, yscale)):
        if scale == "log":
            _plain_log_ticks(axis)
    if xlabel == "epoch" and xscale == "linear":
        axes.locator_params(axis="x", integer=True)  # there are no half epochs
    if legend:
        axes.legend(legend)
    axes.grid(True)


def _plain_log_ticks(axis):
    """1, 2, 5, 10, 20 instead of powers of ten, and all of 1 to 9 where the axis is short."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    def span():
        low, high = axis.get_view_interval()
        return high / low if low > 0 else 1

    if span() < 1e4:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if span() < 5 else ""))


def plot(
    X,
    Y=None,
    xlabel=None,
    ylabel=None,
    legend=None,
    xlim=None,
    ylim=None,
    xscale="linear",
    yscale="linear",
    fmts=FMTS,
    figsize=(3.5, 2.5),
    axes=None,
):
    """Draw one curve or several: `plot(x, y)`, `plot(y)`, `plot(x, [y1, y2])`, `plot([y1, y2])`.

    X, Y: a list of numbers (an array, a tensor), or a list of such, one for each curve.
    axes: the matplotlib axes to draw on; by default those of pyplot's current figure.
    """
    set_figsize(figsize)
    if Y is None:
        ys = _curves(X)
        xs = [range(len(y)) for y in ys]
    else:
        xs, ys = _curves(X), _curves(Y)
        xs = xs * len(ys) if len(xs) == 1 else xs
    axes = axes if axes is not None else _pyplot().gca()
    axes.cla()
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        axes.plot(x, y, fmts[i % len(fmts)])
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)


def _curves(values):
    """A list of curves, from one curve or several."""
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    several = len(values) > 0 and _is_several(values[0])
    return [list(curve) for curve in values] if several else [values]


def _is_several(value):
    # A tensor without dimensions has a length by name, and refuses to tell it.
    return hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0


def _pyplot():
    import matplotlib.pyplot

    return matplotlib.pyplot


class Animator:
    """A figure that grows: `add(x, y)` puts a point on each curve and shows it while it trains.

    In a notebook, one output is updated in place, never cleared, so nothing flickers. Drawing
    takes a small fixed share of the time however often points arrive, and the last frame is
    drawn when the cell ends. Elsewhere the points are kept in `X` and `Y`, and `save` or `fig`
    draw them.

    The arguments are those of `plot`; `nrows` and `ncols` make a grid of `axes`, the first of
    which holds the curves.
    """

    SHARE = 0.018  # of the time since the first point may go into drawing

    def __init__(
        self,
        xlabel=None,
        ylabel=None,
        legend=None,
        xlim=None,
        ylim=None,
        xscale="linear",
        yscale="linear",
        fmts=FMTS,
        nrows=1,
        ncols=1,
        figsize=(3.5, 2.5),
    ):
        self.X, self.Y = None, None  # a list of points for each curve, from the first add() on
        self.fmts = fmts
        self._axes_settings = (xlabel, ylabel, xlim, ylim, xscale, yscale, legend)
        self._grid, self._figsize = (nrows, ncols), figsize
        self._fig = self._handle = self._first = None
        self._lines = []
        self._spent, self._cost, self._pending = 0.0, 0.0, False

    def add(self, x, y):
        """Add a point to each curve: `add(3, [0.5, 0.7])`; a `None` in y leaves a curve out."""
        y = list(y) if _is_several(y) else [y]
        x = list(x) if _is_several(x) else [x] * len(y)
        if self.X is None:
            self.X, self.Y = [[] for _ in y], [[] for _ in y]
        for X, Y, a, b in zip(self.X, self.Y, x, y, strict=True):
            if a is not None and b is not None:
                X.append(float(a))
                # A loss still carries its graph; float() of such a tensor warns.
                Y.append(float(b.detach() if hasattr(b, "detach") else b))
        self._pending = True
        if (shell := running_shell()) is not None:
            self._show_in(shell)

    @property
    def fig(self):
        """The matplotlib figure with all points so far; not one of pyplot's, so never left open."""
        import matplotlib
        from matplotlib.figure import Figure

        with matplotlib.rc_context(STYLE):
            if self._fig is None:
                self._fig = Figure(figsize=self._figsize, layout="constrained")
                self._axes = list(self._fig.subplots(*self._grid, squeeze=False).flat)
                set_axes(self._axes[0], *self._axes_settings)
            if self.X and not self._lines:
                for i, (X, Y) in enumerate(zip(self.X, self.Y)):
                    self._lines += self._axes[0].plot(X, Y, self.fmts[i % len(self.fmts)])
                set_axes(self._axes[0], *self._axes_settings)  # with a legend for the curves
        for line, X, Y in zip(self._lines, self.X or [], self.Y or []):
            line.set_data(X, Y)
        self._axes[0].relim()
        self._axes[0].autoscale_view()
        return self._fig

    @property
    def axes(self):
        """The list of axes of the figure."""
        return self.fig and self._axes

    def save(self, path):
        """Write the figure to a file; its ending says the format: .png, .svg, .pdf."""
        picture = BytesIO()
        self.fig.savefig(picture, format=Path(path).suffix[1:], dpi=200)
        write_whole(path, picture.getvalue())

    def __repr__(self):
        # The same from the first frame to the last: nbval compares the first with the last.
        return f"<Animator: {self._axes_settings[1] or 'y'} over {self._axes_settings[0] or 'x'}>"

    def _repr_png_(self):
        picture = BytesIO()
        self.fig.savefig(picture, format="png", dpi=200)
        self._pending = False
        width, height = (int(100 * inches) for inches in self._figsize)
        return picture.getvalue(), {"width": width, "height": height}

    def _show_in(self, shell):
        now = time.perf_counter()
        if self._handle is None:
            self._first = now
        elif self._spent + 2 * self._cost > self.SHARE * (now - self._first):
            return  # the last frame, which comes in any case, is paid for in advance
        self._paint(shell)
        self._cost = time.perf_counter() - now
        self._spent += self._cost

    def _paint(self, shell):
        from IPython.display import display

        if self._handle is None:
            self._handle = display(self, display_id=True)
            shell.events.register("post_execute", self._finish)
        else:
            self._handle.update(self)

    def _finish(self):
        """The cell has ended: draw what is still missing."""
        shell = running_shell()
        with contextlib.suppress(ValueError):
            shell.events.unregister("post_execute", self._finish)
        if self._pending:
            self._paint(shell)
