"""Curves: in a plain process, against a clock that we turn, and in a real Jupyter kernel."""

import base64
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

import d2lmini as d2l
from d2lmini import plotting


def curves(axes):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines]


# --- plot ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "X, Y, expected",
    [
        ([3, 1, 2], None, [([0, 1, 2], [3, 1, 2])]),
        ([5, 6], [3, 1], [([5, 6], [3, 1])]),
        ([5, 6], [[3, 1], [4, 2]], [([5, 6], [3, 1]), ([5, 6], [4, 2])]),
        ([[5, 6], [7]], [[3, 1], [4]], [([5, 6], [3, 1]), ([7], [4])]),
        ([[3, 1], [4]], None, [([0, 1], [3, 1]), ([0], [4])]),
        (range(2), (3, 1), [([0, 1], [3, 1])]),
        (torch.tensor([5.0, 6.0]), torch.tensor([3.0, 1.0]).requires_grad_(), [([5, 6], [3, 1])]),
        (numpy.array([5, 6]), [torch.tensor([3, 1]), [4, 2]], [([5, 6], [3, 1]), ([5, 6], [4, 2])]),
        (numpy.eye(2), None, [([0, 1], [1, 0]), ([0, 1], [0, 1])]),
    ],
)
def test_plot_one_curve_or_several(pyplot, X, Y, expected):
    d2l.plot(X, Y)
    assert curves(pyplot.gca()) == expected


def test_plot_settings_and_positions(pyplot):
    d2l.plot(
        [1, 2, 4], [[1, 10, 100], [2, 3, 4]], "time", "x", ["a", "b"], [1, 5], [1, 200],
        "linear", "log", ("-", "r:"), (5, 2.5),
    )  # fmt: skip
    axes = pyplot.gca()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time", "x")
    assert (axes.get_xlim(), axes.get_ylim()) == ((1, 5), (1, 200))
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert [line.get_linestyle() for line in axes.lines] == ["-", ":"]
    assert tuple(axes.figure.get_size_inches()) == (5, 2.5)


def test_plot_again_replaces_and_axes_can_be_given(pyplot):
    _, (left, right) = pyplot.subplots(1, 2)
    d2l.plot([1, 2], axes=left)
    d2l.plot([3, 4], axes=left)
    assert curves(left) == [([0, 1], [3, 4])] and curves(right) == []


def test_curves_refuse_lengths_that_differ(pyplot):
    with pytest.raises(ValueError):
        d2l.plot([[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]])


def test_set_axes_and_set_figsize(pyplot):
    d2l.set_figsize((4, 3))
    figure, axes = pyplot.subplots()
    assert tuple(figure.get_size_inches()) == (4, 3)
    axes.plot([1, 2], [30, 40])
    d2l.set_axes(axes, "x", "y", None, [0, 50], "linear", "linear", None)
    assert axes.get_ylim() == (0, 50) and axes.get_legend() is None
    assert axes.get_xlim()[0] < 1 and axes.get_xlim()[1] > 2  # None: matplotlib's own
    axes.plot([9], [9])
    assert axes.get_xlim()[1] > 9  # also later


def test_history_plot(pyplot):
    history = d2l.History(3, epochs=[1, 2, 3], train=[9.0, 5.0, 3.0], val=[9.5, 6.0, 7.0])
    history.plot()
    axes = pyplot.gca()
    assert curves(axes) == [([1, 2, 3], [9, 5, 3]), ([1, 2, 3], [9.5, 6, 7])]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
    assert (axes.get_xlabel(), axes.get_yscale()) == ("epoch", "log")
    d2l.History(3, epochs=[1], train=[9.0]).plot(yscale="linear")
    assert curves(pyplot.gca()) == [([1], [9])] and pyplot.gca().get_yscale() == "linear"


# --- Animator in a plain process -----------------------------------------------------------------


def test_points_are_kept():
    animator = d2l.Animator()
    animator.add(1, 5)
    animator.add(2, torch.tensor([4.0]))
    animator.add(3, numpy.float64(3))
    assert (animator.X, animator.Y) == ([[1, 2, 3]], [[5, 4, 3]])

    animator = d2l.Animator(legend=["a", "b", "c"])
    loss = torch.tensor(0.5, requires_grad=True) * 1  # carries a graph: no warning for it
    animator.add(1, (loss, None, 2))
    animator.add([2, 3, 4], [0.25, 7, None])
    assert animator.X == [[1, 2], [3], [1]] and animator.Y == [[0.5, 0.25], [7], [2]]
    with pytest.raises(ValueError):
        animator.add(5, [1, 2])


def test_the_figure_holds_the_curves_within_its_view():
    animator = d2l.Animator("epoch", "loss", ["a", "b"])
    assert curves(animator.fig.axes[0]) == []  # a look before the first point does no harm
    for x in range(5, 30):
        animator.add(x, [x * x, 1000 - x])
        if x == 7:
            assert curves(animator.axes[0])[0] == ([5, 6, 7], [25, 36, 49])
    axes = animator.fig.axes[0]
    xs = list(range(5, 30))
    assert curves(axes) == [(xs, [x * x for x in xs]), (xs, [1000 - x for x in xs])]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert 3 < left <= 5 and 29 <= right < 31 and -50 < low <= 25 and 995 <= high < 1060
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    colours = {line.get_color() for line in axes.lines}
    styles = {line.get_linestyle() for line in axes.lines}
    assert len(colours) == len(styles) == 2  # told apart without colours, too


def test_limits_and_scales_that_are_given_stay():
    animator = d2l.Animator(xlim=[1, 10], ylim=[1, 100], yscale="log", figsize=(5, 4))
    for x in range(1, 50):
        animator.add(x, [10.0**x])
    axes = animator.fig.axes[0]
    assert (axes.get_xlim(), axes.get_ylim(), axes.get_yscale()) == ((1, 10), (1, 100), "log")
    assert tuple(animator.fig.get_size_inches()) == (5, 4)


def test_more_curves_than_formats_and_a_grid():
    animator = d2l.Animator(nrows=2, ncols=2, fmts=("-", "r:"))
    animator.add(1, [1, 2, 3])
    assert len(animator.axes) == len(animator.fig.axes) == 4
    assert [line.get_linestyle() for line in animator.axes[0].lines] == ["-", ":", "-"]
    assert all(curves(axes) == [] for axes in animator.axes[1:])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[], [3.0], [numpy.inf], [5.0, numpy.nan, 4.0, numpy.inf]])
@pytest.mark.parametrize("yscale", ["linear", "log"])
def test_any_values_are_drawn_without_a_warning(values, yscale, tmp_path):
    animator = d2l.Animator("epoch", "y", ["train"], xlim=[1, 9], yscale=yscale)
    for x, y in enumerate(values):
        animator.add(x, [y])
    animator.save(tmp_path / "curve.png")
    assert imread(tmp_path / "curve.png").std() > 0.01  # axes, at least


def test_the_saved_picture_holds_the_curve(tmp_path):
    animator = d2l.Animator("epoch", "perplexity")
    points = [(1, 20.0), (2, 11.0), (5, 3.0), (8, 9.0)]
    for x, y in points:
        animator.add(x, y)
    animator.save(str(tmp_path / "curve.png"))
    image = imread(tmp_path / "curve.png")[:, :, :3]
    assert image.shape[:2] == (500, 700)  # 200 dots for each of 3.5 x 2.5 inches
    figure = animator.fig
    line = figure.axes[0].lines[0]
    for point in points:  # where each point must be, the picture has the colour of the line
        x, y = figure.axes[0].transData.transform(point) * 200 / figure.dpi
        around = image[500 - int(y) - 2 : 500 - int(y) + 2, int(x) - 2 : int(x) + 2].reshape(-1, 3)
        assert numpy.abs(around - to_rgb(line.get_color())).sum(axis=1).min() < 0.05
    # As much of that colour as a line of this length and width has, and not more.
    blue = (numpy.abs(image - to_rgb(line.get_color())).sum(axis=2) < 0.3).sum()
    pixels = figure.axes[0].transData.transform(points) * 200 / figure.dpi
    length = numpy.linalg.norm(numpy.diff(pixels, axis=0), axis=1).sum()
    width = line.get_linewidth() * 200 / 72
    assert 0.5 * length * width < blue < 1.5 * length * width


def test_save_in_every_format_and_never_half(tmp_path):
    animator = d2l.Animator()
    animator.add(1, 1)
    starts = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    for ending, start in starts.items():
        animator.save(tmp_path / f"a.{ending}")
        assert (tmp_path / f"a.{ending}").read_bytes().startswith(start)
    (tmp_path / "a.xyz").write_text("kept")
    with pytest.raises(ValueError):
        animator.save(tmp_path / "a.xyz")
    assert (tmp_path / "a.xyz").read_text() == "kept" and len(list(tmp_path.iterdir())) == 4


PLAIN = """
import sys
import d2lmini as d2l
animator = d2l.Animator("epoch", "loss", ["train"])
for x in range(9):
    animator.add(x, [x * x])
d2l.use_svg_display()
assert not [name for name in sys.modules if name.split(".")[0] in ("matplotlib", "IPython")]
animator.save(sys.argv[1])
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules, "pyplot looks for a display"
import IPython  # imported, but nobody runs it
animator.add(9, [81])
d2l.use_svg_display()
assert list(animator.fig.axes[0].lines[0].get_ydata()) == [x * x for x in range(10)]
"""


def checkout(**more):
    """The environment of a child process that is to import this d2lmini."""
    folder = str(Path(d2l.__file__).parents[1])
    hide = ("MPLBACKEND", "DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH")
    keep = {name: value for name, value in os.environ.items() if name not in hide}
    return keep | {"PYTHONPATH": folder, "OMP_NUM_THREADS": "1"} | more


@pytest.mark.long
def test_a_plain_script_needs_no_display_and_no_matplotlib(tmp_path):
    command = [sys.executable, "-c", PLAIN, str(tmp_path / "curve.png")]
    done = subprocess.run(command, env=checkout(), capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "curve.png").stat().st_size > 5000


# --- The share of time that goes into drawing ----------------------------------------------------


class Clock:
    now = 100.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that counts the frames, each of which takes 50 ms of a clock that we turn."""
    clock, kernel = Clock(), SimpleNamespace(frames=[], hooks=[])
    kernel.clock = clock
    kernel.events = SimpleNamespace(
        register=lambda event, hook: kernel.hooks.append(hook),
        unregister=lambda event, hook: kernel.hooks.remove(hook),
    )

    def paint(animator, _):
        if not kernel.frames:
            animator._handle = "shown"
            kernel.events.register("post_execute", animator._finish)
        kernel.frames.append(len(animator.X[0]))
        animator._pending = False
        clock.now += 0.05

    monkeypatch.setattr(plotting, "time", clock)
    monkeypatch.setattr(plotting, "running_shell", lambda: kernel)
    monkeypatch.setattr(d2l.Animator, "_paint", paint)
    return kernel


def test_a_tensor_without_dimensions_is_one_number():
    animator = d2l.Animator()
    animator.add(1, torch.tensor(2.0))
    assert (animator.X, animator.Y) == ([[1.0]], [[2.0]])


@pytest.mark.parametrize("points, seconds", [(20_000, 0.001), (500, 0.2), (50, 5.0), (3, 0.0)])
def test_drawing_takes_under_two_percent(kernel, points, seconds):
    animator, start = d2l.Animator(), kernel.clock.now
    for x in range(points):
        animator.add(x, [x])
        kernel.clock.now += seconds
    spent, elapsed = 0.05 * len(kernel.frames), kernel.clock.now - start
    assert kernel.frames[0] == 1  # the first comes at once
    assert spent + 0.05 <= max(0.02 * elapsed, 0.10)  # with the last frame, still to come
    if seconds == 5.0:
        assert len(kernel.frames) > 40  # a slow run is drawn at nearly every point
    for hook in list(kernel.hooks):  # the cell ends
        hook()
    assert kernel.frames[-1] == points and kernel.hooks == []
    assert len(set(kernel.frames)) == len(kernel.frames)  # no frame is drawn twice


# --- A real kernel -------------------------------------------------------------------------------

CELLS = [
    "import hashlib, sys\nimport d2lmini as d2l\nd2l.Animator.SHARE = float('inf')",
    # 1: every frame is drawn
    "every = d2l.Animator('epoch', 'loss', ['train', 'test'], xlim=[1, 6])\n"
    "for x in range(1, 7):\n    every.add(x, [7 - x, x * x])",
    # 2: the first frame, and the last at the end of the cell
    "d2l.Animator.SHARE = 0\nfirst_and_last = d2l.Animator(xlabel='epoch')\n"
    "for x in range(1, 7):\n    first_and_last.add(x, 7 - x)",
    # 3: what the stored pictures must be
    "def digest(animator):\n"
    "    return hashlib.sha256(animator._repr_png_()[0]).hexdigest()\n\n"
    "for animator in (every, first_and_last):\n"
    "    line = animator.fig.axes[0].lines[0]\n"
    "    print(digest(animator), list(line.get_xdata()), list(line.get_ydata()))\n"
    "if 'matplotlib.pyplot' in sys.modules:\n"
    "    assert d2l.plt.get_fignums() == []",
    # 4: a real run
    "train_iter, vocab = d2l.load_data_text('a time traveller told us a story. ' * 9, 2, 5)\n"
    "net = d2l.RNNModel(d2l.models.nn.RNN(len(vocab), 4), len(vocab))\n"
    "history = d2l.train_ch8(net, train_iter, vocab, 0.5, 3, 'cpu', val_iter=train_iter)",
]
ERROR = "d2l.Animator.SHARE = 0\nbroken = d2l.Animator()\nbroken.add(1, 1)\nbroken.add(2, 5)\n1 / 0"
AFTER = "print(digest(broken))"
SVG = "d2l.use_svg_display()\n_ = d2l.plt.plot([1, 2])"
PNG = "d2l.set_figsize()\n_ = d2l.plt.plot([1, 2])"


class Recorder(NotebookClient):
    """Executes a notebook and keeps every frame that was sent, not only the last."""

    frames = None

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("display_data", "update_display_data"):
            self.frames = self.frames or {}
            self.frames.setdefault(cell_index, []).append((msg["msg_type"], msg["content"]))
        return super().process_message(msg, cell, cell_index)


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """(notebook, frames of each cell) of the cells above, executed in a kernel."""
    folder = tmp_path_factory.mktemp("kernel")
    cells = [new_code_cell(source) for source in [*CELLS, ERROR, AFTER, SVG, PNG]]
    cells[4].metadata["tags"] = ["nbval-ignore-output"]  # its speed differs from run to run
    cells[5].metadata["tags"] = ["raises-exception"]
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernelspec})
    client = Recorder(notebook, kernel_name="python3", timeout=None)
    client.execute(cwd=str(folder), env=checkout(IPYTHONDIR=str(folder / "ipython")))
    return notebook, client.frames


def pictures(cell):
    return [output for output in cell.outputs if "image/png" in output.get("data", {})]


def test_one_output_is_stored_for_each_run(executed):
    notebook, _ = executed
    for cell in notebook.cells[1:3]:
        (output,) = cell.outputs
        assert output.output_type == "display_data"
        assert set(output.data) == {"image/png", "text/plain"}
    assert len(pictures(notebook.cells[4])) == 1
    for cell in notebook.cells:
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]


def test_frames_are_updates_with_the_same_text(executed):
    _, frames = executed
    for index, count, text in ((1, 6, "loss over epoch"), (2, 2, "y over epoch")):
        kinds = [kind for kind, _ in frames[index]]
        assert kinds == ["display_data"] + ["update_display_data"] * (count - 1)
        assert {content["data"]["text/plain"] for _, content in frames[index]} == {
            f"<Animator: {text}>"
        }
        ids = {content["transient"]["display_id"] for _, content in frames[index]}
        assert len(ids) == 1
        drawn = [content["data"]["image/png"] for _, content in frames[index]]
        assert len(set(drawn)) == count  # each shows more than the one before


def stored_digest(cell):
    (picture,) = pictures(cell)
    return hashlib.sha256(base64.b64decode(picture.data["image/png"])).hexdigest()


def test_the_stored_frame_holds_the_last_point(executed):
    notebook, _ = executed
    lines = notebook.cells[3].outputs[0].text.splitlines()
    for cell, line in zip(notebook.cells[1:3], lines, strict=True):
        digest, points = line.split(maxsplit=1)
        assert stored_digest(cell) == digest
        numbers = re.findall(r"\d+\.\d", points)
        assert list(map(float, numbers)) == [1, 2, 3, 4, 5, 6, 6, 5, 4, 3, 2, 1]
    # Also where the cell ended in an error.
    assert stored_digest(notebook.cells[5]) == notebook.cells[6].outputs[0].text.strip()


def test_a_run_in_a_notebook_prints_what_the_contract_says(executed):
    outputs = executed[0].cells[4].outputs
    printed = "".join(output.text for output in outputs if "text" in output)
    last = r"perplexity \d+\.\d, \d+\.\d tokens/sec on cpu\ntime traveller.+\ntraveller.+\n"
    assert re.fullmatch(last, printed)


def test_formats_of_ordinary_figures(executed):
    svg, png = executed[0].cells[7:9]
    assert ["image/svg+xml" in output.data for output in svg.outputs] == [True]
    assert len(pictures(png)) == len(png.outputs) == 1


@pytest.mark.long
def test_strict_nbval_passes(executed, tmp_path):
    notebook = nbformat.from_dict({**executed[0], "cells": executed[0].cells[: len(CELLS)]})
    nbformat.write(notebook, tmp_path / "lesson.ipynb")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "lesson.ipynb", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=checkout(IPYTHONDIR=str(tmp_path / "ipython")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(CELLS)} passed" in done.stdout


def test_there_are_no_half_epochs():
    d2l.plot([1, 2, 3, 4], [[8, 5, 4, 3]], "epoch", "perplexity", xlim=[1, 4])
    assert all(tick == int(tick) for tick in d2l.plt.gca().get_xticks())
    d2l.plot([1, 2, 3, 4], [[8, 5, 4, 3]], "seconds", "perplexity", xlim=[1, 4])
    assert any(tick != int(tick) for tick in d2l.plt.gca().get_xticks())
