r"""The networks of the course as pictures: the inside of a cell, and networks unrolled in time.

The inside of a cell is data: GRU, GRU_RESET_AFTER and LSTM say of every node what it computes,
from what, and where it stands. `draw_gru` and `draw_lstm` draw these tables and nothing else, and
`evaluate` follows the same arrows with tensors. So a picture can be put to the test:

    diagrams.evaluate(diagrams.GRU, {"X": X, "H": H}, {"W_xz": W_xz, ...})["H_new"]
"""

from collections import namedtuple
from math import dist, isclose, prod

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from .figures import INK, ROWS
from .plotting import set_figsize
from .tools import check_count

STATE, INPUT, GREEN, GATE = ROWS  # green: candidates within a cell, outputs of a network
FAINT = "#cccccc"  # for the parts of a cell that a later picture has in ink

# Below the layers, X and H run along a line: where it begins, and where it enters a layer.
BUS = {"X": (1.45, 0.3, 0.24), "H": (1.06, 0.6, -0.24)}

# --- A cell is data ------------------------------------------------------------------------------

Node = namedtuple("Node", "part kind place label inputs bias", defaults=("", (), ""))
Node.__doc__ = """A node of a cell. part: the first picture with it in ink; kind: a key of KINDS;
inputs: where its arrows come from, each with the weight on its way, if there is one."""

LETTER, LAYER, CIRCLE = (0.3, 0.2), (0.53, 0.36), (0.19, 0.19)  # half of width and height
KINDS = {  # what is made of the list of terms, how that is written, the colour, the size
    "input": (sum, "", INPUT, LETTER),
    "state": (sum, "", STATE, LETTER),
    "gate": (lambda terms: torch.sigmoid(sum(terms)), r"\sigma({\cdot} + BIAS)", GATE, LAYER),
    "candidate": (lambda terms: torch.tanh(sum(terms)), r"\tanh({\cdot} + BIAS)", GREEN, LAYER),
    "linear": (sum, r"{\cdot} + BIAS", "white", (0.36, 0.18)),
    "product": (prod, r"\odot", "white", CIRCLE),
    "sum": (sum, "+", "white", CIRCLE),
    "one minus": (lambda terms: 1 - sum(terms), "{1}{-}", "white", CIRCLE),
    "tanh": (lambda terms: torch.tanh(sum(terms)), r"\tanh", "white", (0.21, 0.21)),
}

GRU = {  # reset before; every node stands below the nodes that it reads
    "X": Node("gates", "input", (1.45, -0.2), "X_t"),
    "H": Node("gates", "state", (0.4, 3.05), "H_t-1"),
    "Z": Node("gates", "gate", (1.8, 1.75), "Z_t", ("X W_xz", "H W_hz"), "b_z"),
    "R": Node("gates", "gate", (3.2, 1.75), "R_t", ("X W_xr", "H W_hr"), "b_r"),
    "RH": Node("candidate", "product", (4.35, 1.75), "", ("R", "H")),
    "H_tilde": Node("candidate", "candidate", (5.6, 1.75), "~H_t", ("X W_xh", "RH W_hh"), "b_h"),
    "ZH": Node("state", "product", (1.8, 3.05), "", ("Z", "H")),
    "1-Z": Node("state", "one minus", (3.2, 2.45), "", ("Z",)),
    "(1-Z)H_tilde": Node("state", "product", (5.6, 2.45), "", ("1-Z", "H_tilde")),
    "H_new": Node("state", "sum", (5.6, 3.05), "", ("ZH", "(1-Z)H_tilde")),
    "H_right": Node("state", "state", (7.0, 3.05), "H_t", ("H_new",)),
    "H_up": Node("state", "state", (6.2, 3.85), "H_t", ("H_new",)),
}

GRU_RESET_AFTER = {  # R meets H behind the weights; all else is the same
    **{name: GRU[name] for name in ("X", "H", "Z", "R")},
    "HW": Node("candidate", "linear", (4.35, 1.14), "", ("H W_hh",), "b_hh"),
    "RHW": Node("candidate", "product", (4.35, 1.75), "", ("R", "HW")),
    "H_tilde": GRU["H_tilde"]._replace(inputs=("X W_xh", "RHW")),
    **{name: GRU[name] for name in ("ZH", "1-Z", "(1-Z)H_tilde", "H_new", "H_right", "H_up")},
}

LSTM = {
    "X": Node("gates", "input", (1.45, -0.2), "X_t"),
    "H": Node("gates", "state", (0.4, 0.6), "H_t-1"),
    "F": Node("gates", "gate", (1.8, 1.75), "F_t", ("X W_xf", "H W_hf"), "b_f"),
    "I": Node("gates", "gate", (3.1, 1.75), "I_t", ("X W_xi", "H W_hi"), "b_i"),
    "C_tilde": Node("candidate", "candidate", (4.4, 1.75), "~C_t", ("X W_xc", "H W_hc"), "b_c"),
    "O": Node("gates", "gate", (5.7, 1.75), "O_t", ("X W_xo", "H W_ho"), "b_o"),
    "C": Node("memory", "state", (0.4, 3.6), "C_t-1"),
    "FC": Node("memory", "product", (1.8, 3.6), "", ("F", "C")),
    "IC_tilde": Node("memory", "product", (4.4, 2.5), "", ("I", "C_tilde")),
    "C_new": Node("memory", "sum", (4.4, 3.6), "", ("FC", "IC_tilde")),
    "C_right": Node("memory", "state", (7.0, 3.6), "C_t", ("C_new",)),
    "tanhC": Node("state", "tanh", (5.7, 3.08), "", ("C_new",)),
    "H_new": Node("state", "product", (5.7, 2.5), "", ("O", "tanhC")),
    "H_right": Node("state", "state", (7.0, 2.5), "H_t", ("H_new",)),
    "H_up": Node("state", "state", (6.2, 4.4), "H_t", ("H_new",)),
}


def evaluate(diagram, inputs, params):
    """The value of every node, by its name: the arrows of the picture, followed with tensors.

    inputs: the tensors that come into the cell: X, H (of the step before) and, for an LSTM, C.
    params: the weights and biases by the names in the picture, "W_xz" and so on.
    """
    values = {}
    for name, node in diagram.items():
        terms = [params[node.bias]] if node.bias else []
        for source, *weight in map(str.split, node.inputs):
            terms.append(values[source] @ params[weight[0]] if weight else values[source])
        values[name] = KINDS[node.kind][0](terms) if terms else inputs[name]
    return values


def draw_gru(part="state", reset="before"):
    r"""A gated recurrent unit, from the table GRU or GRU_RESET_AFTER, in ink as far as `part`.

    "gates": Z_t = σ(X_t W_xz + H_{t-1} W_hz + b_z), R_t = σ(X_t W_xr + H_{t-1} W_hr + b_r);
    "candidate": H̃_t = tanh(X_t W_xh + (R_t ⊙ H_{t-1}) W_hh + b_h) with reset "before" (Cho et al.
    2014), tanh(X_t W_xh + R_t ⊙ (H_{t-1} W_hh + b_hh) + b_h) with "after" (`torch.nn.GRU`);
    "state": H_t = Z_t ⊙ H_{t-1} + (1 - Z_t) ⊙ H̃_t.
    """
    if reset not in ("before", "after"):
        raise ValueError(f'reset must be "before" or "after", got {reset!r}')
    _draw_cell(GRU if reset == "before" else GRU_RESET_AFTER, part)


def draw_lstm(part="state"):
    r"""An LSTM (Hochreiter & Schmidhuber 1997), from the table LSTM, in ink as far as `part`.

    "gates": I_t = σ(X_t W_xi + H_{t-1} W_hi + b_i), O_t = σ(X_t W_xo + H_{t-1} W_ho + b_o) and the
    forget gate F_t = σ(X_t W_xf + H_{t-1} W_hf + b_f) (Gers et al. 2000);
    "candidate": C̃_t = tanh(X_t W_xc + H_{t-1} W_hc + b_c);
    "memory": C_t = F_t ⊙ C_{t-1} + I_t ⊙ C̃_t, which runs straight across the top;
    "state": H_t = O_t ⊙ tanh(C_t).
    """
    _draw_cell(LSTM, part)


def _draw_cell(diagram, part):
    parts = list(dict.fromkeys(node.part for node in diagram.values()))
    if part not in parts:
        raise ValueError(f"part must be one of {parts}, got {part!r}")
    top = max(node.place[1] for node in diagram.values())
    axes = _paper((0, 7.4), (-0.8, top + 0.25), inches=1)
    _box(axes, 3.7, top / 2 - 0.1, "", "white", (2.75, top / 2 - 0.3)).set(gid="cell", zorder=0)
    routes = []
    for name, node in diagram.items():
        _, sign, colour, size = KINDS[node.kind]
        shown, (x, y) = parts.index(node.part) <= parts.index(part), node.place
        ink, colour = (INK, colour) if shown else (FAINT, "white")
        up = 0.15 if node.label and sign else 0
        _box(axes, x, y, _bold(node.label), colour, size, ink, up).set_gid(name)
        sign = sign.replace("BIAS", _bold(node.bias))
        _write(axes, x, y - up, sign, 13 if size == CIRCLE else 10, ink)
        for source, *weight in map(str.split, node.inputs):
            route, side = _route(diagram, source, name), "left" if source == "X" else "right"
            _arrow(axes, route, _bold(*weight), side, ink).set_gid(f"{source} -> {name}")
            routes += [(source, route)] if shown else []
    for source, route in routes:  # a dot where an arrow leaves another one from the same node
        ways = [way for start, path in routes if start == source for way in zip(path, path[1:])]
        for c in route[1:-1]:
            if any(a != c != b and isclose(dist(a, c) + dist(c, b), dist(a, b)) for a, b in ways):
                axes.add_patch(Circle(c, 0.04, color=INK, zorder=3))
    legend = r"box: layer, $\cdot$ is the sum of its arrows     circle: elementwise     dot: copy"
    axes.text(3.7, -0.65, legend, ha="center", va="center", size=10, color=INK)


def _route(diagram, source, name):
    """The corners of an arrow, from the middle of one node to the edge of another."""
    (x, y), (end_x, end_y), node = diagram[source].place, diagram[name].place, diagram[name]
    if x == end_x or y == end_y:
        corners = [(x, y)]
    elif source in BUS:
        bus_x, bus_y, port = BUS[source]
        end_x += port if node.bias else 0
        corners = [(x, y), (bus_x, y), (bus_x, bus_y), (end_x, bus_y)]
    else:  # layers are left at the top, circles at the side
        corners = [(x, y), (x, end_y) if diagram[source].bias else (end_x, y)]
    (x, y), (width, height) = corners[-1], KINDS[node.kind][-1]
    end = end_x - width * ((end_x > x) - (end_x < x)), end_y - height * ((end_y > y) - (end_y < y))
    return [*corners, end]


# --- Networks unrolled in time -------------------------------------------------------------------


def draw_rnn(steps=("t-1", "t", "t+1")):
    r"""The RNN (Elman 1990): H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h), O_t = H_t W_hq + b_q."""
    draw_deep(1, steps)


def draw_backward(steps=("t-1", "t", "t+1")):
    r"""The RNN with the loss of each step; dashed, beside each arrow, the way of the gradient.

    ∂L/∂H_t = ∂L/∂O_t W_hq^T + (∂L/∂H_{t+1} ⊙ (1 - H_{t+1}^2)) W_hh^T: from above, and from the
    right (Werbos 1990).
    """
    axes = _paper((-0.8, 2.6 * len(steps) + 1.1), (-0.45, 4.35))
    for i, step in enumerate(steps):
        x, losses = 2.6 * i + 1.45, rf"\partial L / \partial {_bold('O', step)}"
        _box(axes, x, 0, _bold("X", step), INPUT)
        _box(axes, x, 1.3, _bold("H", step), STATE)
        _box(axes, x, 2.6, _bold("O", step), GREEN)
        _box(axes, x, 3.9, f"L_{{{step}}}", "white")
        labels = [("xh", None), ("hq", _bold("W", "hq", r"\top")), ("", losses)]
        for row, (weight, back) in enumerate(labels):
            low, high, left, right = 1.3 * row + 0.3, 1.3 * row + 1, x - 0.16, x + 0.16
            label = _bold("W", weight) if weight else ""
            _arrow(axes, [(left, low), (left, high)], label, "right")
            if back:
                _arrow(axes, [(right, high), (right, low)], back, dashed=True)
        for start in [x - 2.15, x + 0.45] if step == steps[-1] else [x - 2.15]:
            _arrow(axes, [(start, 1.42), (start + 1.7, 1.42)], _bold("W", "hh"))
            _arrow(axes, [(start + 1.7, 1.18), (start, 1.18)], dashed=True)
            _write(axes, start + 0.85, 0.94, _bold("W", "hh", r"\top"), 11)


def draw_deep(num_layers=2, steps=("t-1", "t", "t+1")):
    r"""The unrolled deep RNN (Graves, Mohamed & Hinton 2013): each layer reads the one below.

    H^(l)_t = tanh(H^(l-1)_t W_xh^(l) + H^(l)_{t-1} W_hh^(l) + b_h^(l)) with H^(0)_t = X_t, and
    O_t = H^(L)_t W_hq + b_q from the uppermost of the L layers. A single one needs no number.
    """
    check_count("num_layers", num_layers)
    rows = [("X", "", "", INPUT), ("O", "hq", "", GREEN)]
    for i in range(num_layers):
        rows.insert(-1, ("H", "xh", f"({i + 1})" if num_layers > 1 else "", STATE))
    axes = _paper((-0.5, 2.2 * len(steps) + 0.75), (-0.45, 1.3 * len(rows) - 0.85))
    for row, (letter, weight, layer, colour) in enumerate(rows):
        for i, step in enumerate(steps):
            x, y = 2.2 * i + 1.4, 1.3 * row
            _box(axes, x, y, _bold(letter, step, layer), colour)
            if row > 0:
                _arrow(axes, [(x, y - 1), (x, y - 0.3)], _bold("W", weight, layer))
            if letter == "H":
                _arrow(axes, [(x - 1.75, y), (x - 0.44, y)], _bold("W", "hh", layer))
        if letter == "H":
            _arrow(axes, [(x + 0.45, y), (x + 1.3, y)])


def draw_birnn(steps=("t-1", "t", "t+1")):
    r"""The unrolled bidirectional RNN (Schuster & Paliwal 1997): the upper row reads backwards.

    →H_t = tanh(X_t W_xh^(f) + →H_{t-1} W_hh^(f) + b_h^(f)),
    ←H_t = tanh(X_t W_xh^(b) + ←H_{t+1} W_hh^(b) + b_h^(b)),
    O_t = →H_t W_hq^(f) + ←H_t W_hq^(b) + b_q, which is [→H_t, ←H_t] W_hq + b_q.
    """
    axes = _paper((-1.3, 2.2 * len(steps) + 1.3), (-0.45, 4.35))
    columns = [(2.2 * i + 1.1, step) for i, step in enumerate(steps)]
    for x, step in columns:
        _box(axes, x, 0, _bold("X", step), INPUT)
        _box(axes, x, 3.9, _bold("O", step), GREEN)
    for side, ahead, y, mark in [("right", 1, 1.3, "(f)"), ("left", -1, 2.6, "(b)")]:
        for x, step in columns[::ahead]:
            middle, port = x - 0.45 * ahead, x - 0.22 * ahead
            _box(axes, middle, y, rf"\over{side}arrow{{\mathbf{{H}}}}_{{{step}}}", STATE)
            _arrow(axes, [(port, 0.3), (port, y - 0.3)], _bold("W", "xh", mark), side)
            _arrow(axes, [(port, y + 0.3), (port, 3.6)], _bold("W", "hq", mark), side)
            way = [(middle - 1.75 * ahead, y), (middle - 0.44 * ahead, y)]
            _arrow(axes, way, _bold("W", "hh", mark))
        _arrow(axes, [(middle + 0.45 * ahead, y), (middle + 1.3 * ahead, y)])


def _paper(xlim, ylim, inches=0.7):
    """Axes without a frame, so many inches for one unit in both directions."""
    set_figsize((inches * (xlim[1] - xlim[0]), inches * (ylim[1] - ylim[0])))
    axes = plt.figure().add_axes((0, 0, 1, 1), xlim=xlim, ylim=ylim)
    axes.axis("off")
    return axes


def _bold(letter="", below="", above=""):
    """A matrix or vector in mathtext: "W_xz", "~H_t" with a tilde, or ("H", "t-1", "(2)")."""
    letter, _, index = letter.partition("_")
    bold = rf"\tilde{{\mathbf{{{letter[1:]}}}}}" if "~" in letter else rf"\mathbf{{{letter}}}"
    return rf"{bold}_{{{index or below}}}^{{{above}}}" if letter else ""


def _write(axes, x, y, formula, size, ink=INK, align="center"):
    if formula:
        axes.text(x, y, f"${formula}$", ha=align, va="center", size=size, color=ink, zorder=5)


def _box(axes, x, y, label, colour, half=(0.42, 0.28), ink=INK, up=0):
    """A box with rounded corners, or a circle where it would be a square."""
    (width, height), corner = half, (x - half[0], y - half[1])
    shape = FancyBboxPatch(corner, 2 * width, 2 * height, "round,pad=0,rounding_size=0.1")
    shape = Circle((x, y), width) if width == height else shape
    shape.set(facecolor=colour, edgecolor=ink, zorder=4)
    _write(axes, x, y + up, label, 13, ink)
    return axes.add_patch(shape)


def _arrow(axes, points, label="", side="left", ink=INK, dashed=False):
    """An arrow around corners; its label stands beside its last stretch, or above it."""
    (x0, y0), (x, y) = points[-2:]
    if x0 == x:
        left = x + (0.06 if side == "left" else -0.06)
        _write(axes, left, max(y - 0.35, (y0 + y) / 2), label, 11, ink, side)
    else:
        _write(axes, (x0 + x) / 2, y + 0.19, label, 11, ink)
    height = 2 if ink == INK else 1
    # A white rim: where lines cross without a dot, one passes over the other.
    axes.plot(*zip(*points), color="white", linewidth=5, zorder=height)
    style = {"arrowstyle": "-|>", "mutation_scale": 12, "color": ink, "zorder": height}
    style |= {"linestyle": (0, (3, 2)), "linewidth": 1.5} if dashed else {}
    return axes.add_patch(FancyArrowPatch(path=Path(points), **style))
