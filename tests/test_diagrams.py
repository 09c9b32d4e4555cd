"""The pictures of cells and networks: they compute what torch does, and show what they compute."""

import re
from itertools import combinations

import numpy
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from d2lmini import diagrams
from d2lmini.figures import INK, ROWS

TABLES = {"GRU": diagrams.GRU, "GRU_RESET_AFTER": diagrams.GRU_RESET_AFTER, "LSTM": diagrams.LSTM}
CELLS = {
    "GRU": diagrams.draw_gru,
    "GRU_RESET_AFTER": lambda part="state": diagrams.draw_gru(part, reset="after"),
    "LSTM": diagrams.draw_lstm,
}
PARTS = {name: ["gates", "candidate", "state"] for name in CELLS}
PARTS["LSTM"] = ["gates", "candidate", "memory", "state"]
PICTURES = [(name, part) for name in CELLS for part in PARTS[name]]
NETWORKS = {
    "rnn": diagrams.draw_rnn,
    "backward": diagrams.draw_backward,
    "deep": diagrams.draw_deep,
    "three layers": lambda: diagrams.draw_deep(num_layers=3, steps=(1, 2)),
    "birnn": diagrams.draw_birnn,
    "five steps": lambda: diagrams.draw_birnn(steps=range(5)),
}


# --- The picture computes the cell ---------------------------------------------------------------


def params(names, num_inputs=3, num_hiddens=4):
    """Random parameters in float64: "W_x." reads X, "W_h." reads H, "b_." is a bias."""
    shapes = {"W_x": (num_inputs, num_hiddens), "W_h": (num_hiddens, num_hiddens)}
    return {
        name: torch.randn(shapes.get(name[:3], num_hiddens), dtype=torch.float64)
        for name in names.split()
    }


def state(num_inputs=3, num_hiddens=4, names="XHC"):
    shape = {"X": num_inputs}
    return {name: torch.randn(5, shape.get(name, num_hiddens)).double() for name in names}


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


GRU_NAMES = "W_xz W_hz b_z W_xr W_hr b_r W_xh W_hh b_h"
LSTM_NAMES = "W_xi W_hi b_i W_xf W_hf b_f W_xo W_ho b_o W_xc W_hc b_c"
NAMES = {"GRU": GRU_NAMES, "GRU_RESET_AFTER": GRU_NAMES + " b_hh", "LSTM": LSTM_NAMES}


def test_gru_with_reset_before_is_the_equation_of_the_paper():
    inputs, p = state(names="XH"), params(GRU_NAMES)
    X, H = inputs["X"], inputs["H"]
    Z = torch.sigmoid(X @ p["W_xz"] + H @ p["W_hz"] + p["b_z"])
    R = torch.sigmoid(X @ p["W_xr"] + H @ p["W_hr"] + p["b_r"])
    H_tilde = torch.tanh(X @ p["W_xh"] + (R * H) @ p["W_hh"] + p["b_h"])
    values = diagrams.evaluate(diagrams.GRU, inputs, p)
    for name, value in [("X", X), ("H", H), ("Z", Z), ("R", R), ("H_tilde", H_tilde)]:
        close(values[name], value)
    for name in ("H_new", "H_right", "H_up"):
        close(values[name], Z * H + (1 - Z) * H_tilde)
    assert set(values) == set(diagrams.GRU)


def from_torch(cell, gates):
    """The weights of a torch cell, whose rows are in the order of `gates`, by their names here."""
    p = {}
    for i, gate in enumerate(gates):
        rows = slice(i * cell.hidden_size, (i + 1) * cell.hidden_size)
        p["W_x" + gate], p["W_h" + gate] = cell.weight_ih[rows].T, cell.weight_hh[rows].T
        p["b_" + gate] = cell.bias_ih[rows] + cell.bias_hh[rows]
    return p


def test_gru_with_reset_after_is_torch():
    cell, inputs = nn.GRUCell(3, 4, dtype=torch.float64), state(names="XH")
    p = from_torch(cell, "rzh")
    p["b_h"], p["b_hh"] = cell.bias_ih[8:], cell.bias_hh[8:]  # R comes between these two
    values = diagrams.evaluate(diagrams.GRU_RESET_AFTER, inputs, p)
    expected = cell(inputs["X"], inputs["H"])
    close(values["H_new"], expected)
    before = diagrams.evaluate(diagrams.GRU, inputs, p | {"b_h": p["b_h"] + p["b_hh"]})
    assert (before["H_new"] - expected).abs().max() > 1e-3  # not the same cell


def test_lstm_is_torch():
    cell, inputs = nn.LSTMCell(3, 4, dtype=torch.float64), state()
    values = diagrams.evaluate(diagrams.LSTM, inputs, from_torch(cell, "ifco"))
    H, C = cell(inputs["X"], (inputs["H"], inputs["C"]))
    for name, value in [("H_new", H), ("H_right", H), ("H_up", H), ("C_new", C), ("C_right", C)]:
        close(values[name], value)


def test_gradients_flow_through_the_picture():
    inputs, p = state(), params(LSTM_NAMES)
    for tensor in p.values():
        tensor.requires_grad_()
    diagrams.evaluate(diagrams.LSTM, inputs, p)["H_new"].sum().backward()
    assert all(tensor.grad.abs().sum() > 0 for tensor in p.values())


@pytest.mark.parametrize("name", TABLES)
def test_no_arrow_may_start_elsewhere(name):
    """One arrow moved to another node, and something else leaves the cell."""
    table, inputs, p = TABLES[name], state(4), params(NAMES[name], 4)
    true = diagrams.evaluate(table, inputs, p)
    out = [letter for letter in ("H_right", "H_up", "C_right") if letter in table]
    moved = 0
    for letter, node in table.items():
        for i, arrow in enumerate(node.inputs):
            source, *weight = arrow.split()
            arrows = list(node.inputs)
            arrows[i] = " ".join(["X" if source != "X" else "H", *weight])
            wrong = table | {letter: node._replace(inputs=tuple(arrows))}
            values = diagrams.evaluate(wrong, inputs, p)
            assert any((values[each] - true[each]).abs().max() > 1e-6 for each in out)
            moved += 1
    assert moved == {"GRU": 17, "GRU_RESET_AFTER": 18, "LSTM": 20}[name]


@pytest.mark.parametrize("missing", ["X", "C", "W_xf", "b_c"])
def test_what_is_missing_is_named(missing):
    inputs, p = state(), params(LSTM_NAMES)
    inputs.pop(missing, None)
    p.pop(missing, None)
    with pytest.raises(KeyError, match=missing):
        diagrams.evaluate(diagrams.LSTM, inputs, p)


# --- The picture shows what it computes ----------------------------------------------------------


def shapes(axes):
    """The patches that have a name, by name: the nodes, and the arrows "X -> Z"."""
    named = [patch for patch in axes.patches if patch.get_gid()]
    assert len({patch.get_gid() for patch in named}) == len(named)
    return {patch.get_gid(): patch for patch in named}


def in_ink(patch):
    return to_hex(patch.get_edgecolor()) == INK


def letters(axes):
    """The letters that are written in ink: "Z_t", "~H_t", "W_xz", ..."""
    found = set()
    for text in axes.texts:
        if text.get_color() == INK:
            formula = re.sub(r"\\tilde\{\\mathbf\{(\w)\}\}", r"\\mathbf{~\1}", text.get_text())
            for letter, below, above in re.findall(
                r"\\mathbf\{(~?\w)\}+_\{([^}]*)\}\^\{([^}]*)\}", formula
            ):
                found.add(f"{letter}_{below}{above}")
    return found


def routes(axes):
    """The corners of each arrow, by its name; every arrow lies on a white line of the same form."""
    arrows = [patch for patch in axes.patches if hasattr(patch, "get_arrowstyle")]
    assert len(arrows) == len(axes.lines)
    assert all(a.get_zorder() == line.get_zorder() for a, line in zip(arrows, axes.lines))
    return {
        arrow.get_gid() or i: line.get_xydata()
        for i, (arrow, line) in enumerate(zip(arrows, axes.lines, strict=True))
    }


WRITTEN = {
    "GRU": [
        "X_t H_t-1 Z_t W_xz W_hz b_z R_t W_xr W_hr b_r",
        "~H_t W_xh W_hh b_h",
        "H_t",
    ],
    "LSTM": [
        "X_t H_t-1 I_t W_xi W_hi b_i F_t W_xf W_hf b_f O_t W_xo W_ho b_o",
        "~C_t W_xc W_hc b_c",
        "C_t-1 C_t",
        "H_t",
    ],
}
WRITTEN["GRU_RESET_AFTER"] = [*WRITTEN["GRU"]]
WRITTEN["GRU_RESET_AFTER"][1] += " b_hh"
SIGNS = {  # how often each is in ink: sigma, tanh (as a layer or alone), product, sum, one minus
    ("GRU", "gates"): (2, 0, 0, 0, 0),
    ("GRU", "candidate"): (2, 1, 1, 0, 0),
    ("GRU", "state"): (2, 1, 3, 1, 1),
    ("LSTM", "gates"): (3, 0, 0, 0, 0),
    ("LSTM", "candidate"): (3, 1, 0, 0, 0),
    ("LSTM", "memory"): (3, 1, 2, 1, 0),
    ("LSTM", "state"): (3, 2, 3, 1, 0),
}


@pytest.mark.parametrize("name, part", PICTURES)
def test_the_letters_of_the_equations_up_to_the_part(pyplot, name, part):
    CELLS[name](part)
    axes, steps = pyplot.gca(), PARTS[name].index(part) + 1
    assert letters(axes) == set(" ".join(WRITTEN[name][:steps]).split())
    texts = [text.get_text() for text in axes.texts if text.get_color() == INK]
    signs = [r"$\sigma(", r"$\tanh", r"$\odot$", "$+$", "$1-$"]
    counts = [sum(t.replace("{1}{-}", "1-").startswith(sign) for t in texts) for sign in signs]
    assert tuple(counts) == SIGNS[name.removesuffix("_RESET_AFTER"), part]


@pytest.mark.parametrize("name, part", PICTURES)
def test_the_nodes_and_arrows_up_to_the_part_are_in_ink(pyplot, name, part):
    CELLS[name](part)
    drawn, table = shapes(pyplot.gca()), TABLES[name]
    edges = {
        f"{arrow.split()[0]} -> {target}": target
        for target, node in table.items()
        for arrow in node.inputs
    }
    assert set(drawn) == {"cell", *table, *edges}
    reached = PARTS[name][: PARTS[name].index(part) + 1]
    for letter, node in table.items():
        assert in_ink(drawn[letter]) == (node.part in reached)
        colour = to_hex(drawn[letter].get_facecolor())
        tinted = node.kind in ("input", "state", "gate", "candidate") and node.part in reached
        assert (colour in ROWS) == tinted and (tinted or colour == "#ffffff")
    for edge, target in edges.items():
        assert in_ink(drawn[edge]) == (table[target].part in reached)
    levels = [(drawn[edge].get_zorder(), in_ink(drawn[edge])) for edge in edges]
    assert max([z for z, ink in levels if not ink], default=0) < min(z for z, ink in levels if ink)


@pytest.mark.parametrize("name", CELLS)
def test_nothing_moves_from_part_to_part(pyplot, name):
    places = []
    for part in PARTS[name]:
        CELLS[name](part)
        axes = pyplot.gca()
        boxes = {gid: patch.get_window_extent().bounds for gid, patch in shapes(axes).items()}
        words = sorted((text.get_text(), *text.get_position()) for text in axes.texts)
        places.append((boxes, words, tuple(pyplot.gcf().get_size_inches())))
    assert all(place == places[0] for place in places)


@pytest.mark.parametrize("name", CELLS)
def test_arrows_run_from_node_to_node(pyplot, name):
    CELLS[name]()
    axes, table = pyplot.gca(), TABLES[name]
    drawn = shapes(axes)
    boxes = {letter: drawn[letter].get_window_extent() for letter in table}
    for edge, path in routes(axes).items():
        source, target = edge.split(" -> ")
        assert tuple(path[0]) == table[source].place
        pixels = axes.transData.transform(path)
        (x, y), box = pixels[-1], boxes[target]
        assert box.x0 - 1 <= x <= box.x1 + 1 and box.y0 - 1 <= y <= box.y1 + 1
        assert min(abs(x - box.x0), abs(x - box.x1), abs(y - box.y0), abs(y - box.y1)) < 1
        for a, b in zip(pixels, pixels[1:]):
            assert min(abs(a - b)) < 1e-6  # along the axes, and through no other node
            for letter, box in boxes.items():
                assert letter in (source, target) or not crosses(a, b, box)


def crosses(a, b, box):
    """Whether a horizontal or vertical line in pixels meets a box."""
    low, high = numpy.minimum(a, b), numpy.maximum(a, b)
    return low[0] < box.x1 and high[0] > box.x0 and low[1] < box.y1 and high[1] > box.y0


@pytest.mark.parametrize("name", CELLS)
def test_lines_of_different_nodes_only_cross(pyplot, name):
    """No two arrows lie on each other, unless they carry the same value."""
    CELLS[name]()
    paths = routes(pyplot.gca())
    for (edge, path), (other, path2) in combinations(paths.items(), 2):
        if edge.split(" -> ")[0] != other.split(" -> ")[0]:
            for a, b in zip(path, path[1:]):
                for c, d in zip(path2, path2[1:]):
                    for along, across in ((0, 1), (1, 0)):
                        if a[across] == b[across] == c[across] == d[across]:
                            ends = sorted((a[along], b[along])), sorted((c[along], d[along]))
                            assert min(ends[0][1], ends[1][1]) <= max(ends[0][0], ends[1][0])


@pytest.mark.parametrize("name", CELLS)
def test_a_dot_where_a_line_forks(pyplot, name):
    CELLS[name]()
    axes = pyplot.gca()
    dots = {p.center for p in axes.patches if not p.get_gid() and hasattr(p, "center")}
    table, bus = TABLES[name], diagrams.BUS
    forks = {
        "GRU": [("H", (bus["H"][0], table["H"].place[1])), ("Z", (1.8, 2.45))],
        "LSTM": [("C_new", (5.7, 3.6))],
    }
    expected = {place for _, place in forks[name.removesuffix("_RESET_AFTER")]}
    expected.add((6.2, table["H_right"].place[1]))
    ports = [letter for letter, node in table.items() if "X W" in " ".join(node.inputs)]
    xs = sorted(table[letter].place[0] for letter in ports)
    expected |= {(x + bus["X"][2], bus["X"][1]) for x in xs[:-1]}
    xs = xs[:-1]  # the uppermost H stands at the last layer of an LSTM, at RH or HW of a GRU
    expected |= {(x + bus["H"][2], bus["H"][1]) for x in xs}
    assert {tuple(numpy.round(dot, 9)) for dot in dots} == {
        tuple(numpy.round(place, 9)) for place in expected
    }


# --- Any picture can be read ---------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*CELLS, *NETWORKS])
def test_labels_are_free_of_lines_and_of_each_other(pyplot, name):
    (CELLS | NETWORKS)[name]()
    figure, axes = pyplot.gcf(), pyplot.gca()
    figure.canvas.draw()
    assert 300 < figure.bbox.width <= 1200 and figure.get_facecolor() == (1, 1, 1, 1)
    boxes = [p.get_window_extent() for p in axes.patches if p.get_zorder() == 4]
    words = [(text.get_text(), text.get_window_extent()) for text in axes.texts]
    for _, word in words:
        assert word.x0 >= 0 and word.y0 >= 0
        assert word.x1 <= figure.bbox.width and word.y1 <= figure.bbox.height
    for (_, word), (_, other) in combinations(words, 2):
        assert not word.overlaps(other)
    for formula, word in words:
        inside = [box for box in boxes if box.overlaps(word)]
        if inside:  # the text of a node: it fits, and lies above all lines
            (box,) = inside
            assert box.x0 < word.x0 and word.x1 < box.x1, formula
            assert box.y0 < word.y0 and word.y1 < box.y1, formula
            continue
        for line in axes.lines:
            pixels = axes.transData.transform(line.get_xydata())
            for a, b in zip(pixels, pixels[1:]):
                assert not crosses(a, b, word), formula


@pytest.mark.parametrize("name", [*CELLS, *NETWORKS])
def test_one_style(pyplot, name):
    (CELLS | NETWORKS)[name]()
    axes = pyplot.gca()
    assert len(pyplot.get_fignums()) == 1 and not axes.axison
    assert {to_hex(line.get_color()) for line in axes.lines} == {"#ffffff"}
    colours = {to_hex(patch.get_facecolor()) for patch in axes.patches}
    assert colours <= {*ROWS, "#ffffff", INK}
    assert all(10 <= text.get_fontsize() <= 13 for text in axes.texts)


# --- Networks unrolled in time -------------------------------------------------------------------


def test_rnn_is_the_deep_network_of_one_layer(pyplot):
    diagrams.draw_rnn()
    axes = pyplot.gca()
    columns = {f"{letter}_{step}" for letter in "XHO" for step in ("t-1", "t", "t+1")}
    assert letters(axes) == columns | {"W_xh", "W_hh", "W_hq"}
    assert len(routes(axes)) == 3 + 3 + 4  # X to H, H to O, H to H and the last one out


def test_backward_goes_every_way_of_the_loss_the_other_way(pyplot):
    diagrams.draw_backward()
    axes, steps = pyplot.gca(), ("t-1", "t", "t+1")
    weights = {"W_xh", "W_hh", "W_hq", r"W_hh\top", r"W_hq\top"}
    assert letters(axes) == {f"{letter}_{step}" for letter in "XHO" for step in steps} | weights
    arrows = [patch for patch in axes.patches if hasattr(patch, "get_arrowstyle")]
    dashed = [patch.get_linestyle() != "solid" for patch in arrows]
    ways = [(tuple(path[0]), tuple(path[-1])) for path in routes(axes).values()]
    solid = [way for way, back in zip(ways, dashed) if not back]
    back = [way for way, back in zip(ways, dashed) if back]
    assert len(solid) == 3 * 3 + 4 and len(back) == 2 * 3 + 4  # no gradient for X is needed
    for (x, y), (end_x, end_y) in back:
        assert (end_x < x and end_y == y) or (end_x == x and end_y < y)
        twin = [w for w in solid if numpy.allclose(numpy.add(*w), (x + end_x, y + end_y), atol=0.7)]
        assert len(twin) == 1  # beside an arrow, and against it
        assert numpy.allclose(numpy.subtract(*twin[0]), (end_x - x, end_y - y))


@pytest.mark.parametrize("num_layers", [2, 3])
def test_deep(pyplot, num_layers):
    diagrams.draw_deep(num_layers, steps=("t-1", "t"))
    axes, layers = pyplot.gca(), [f"({layer + 1})" for layer in range(num_layers)]
    expected = {f"{letter}_{step}" for letter in "XO" for step in ("t-1", "t")} | {"W_hq"}
    for layer in layers:
        expected |= {f"H_t-1{layer}", f"H_t{layer}", f"W_xh{layer}", f"W_hh{layer}"}
    assert letters(axes) == expected
    places = {text.get_text(): text.get_position() for text in axes.texts}
    heights = [y for text, (_, y) in places.items() if "{t}" in text]
    assert len(set(heights)) == num_layers + 2
    up = [path for path in routes(axes).values() if path[0][0] == path[1][0]]
    along = [path for path in routes(axes).values() if path[0][1] == path[1][1]]
    assert len(up) == 2 * (num_layers + 1) and all(a[1] < b[1] for a, b in up)
    assert len(along) == 3 * num_layers and all(a[0] < b[0] for a, b in along)


def test_birnn(pyplot):
    diagrams.draw_birnn()
    axes, steps = pyplot.gca(), ("t-1", "t", "t+1")
    weights = {f"W_{name}({mark})" for name in ("xh", "hh", "hq") for mark in "fb"}
    assert letters(axes) == {f"{letter}_{step}" for letter in "XO" for step in steps} | weights
    places = {text.get_text(): text.get_position() for text in axes.texts}
    paths = list(routes(axes).values())
    assert len(paths) == 4 * 3 + 2 * 4
    for side, ahead in (("right", 1), ("left", -1)):
        row = [places[rf"$\over{side}arrow{{\mathbf{{H}}}}_{{{step}}}$"] for step in steps]
        ((height,),) = [{y for _, y in row}]
        along = [path for path in paths if path[0][1] == path[1][1] == height]
        assert len(along) == 4 and all((b[0] - a[0]) * ahead > 0 for a, b in along)
        along.sort(key=lambda path: path[0][0] * ahead)  # one after the other
        assert all((c[0] - b[0]) * ahead > 0.5 for (_, b), (c, _) in zip(along, along[1:]))
        for (x, y), step in zip(row, steps):  # one arrow from X below, one to O above
            up = [p for p in paths if p[0][0] == p[1][0] and abs(p[0][0] - x) < 0.42]
            into, out = ([p for p in up if abs(p[end][1] - y) < 0.31] for end in (1, 0))
            (into,), (out,) = into, out
            assert abs(into[0][0] - places[rf"$\mathbf{{X}}_{{{step}}}^{{}}$"][0]) < 0.42
            assert abs(into[0][1] - places[rf"$\mathbf{{X}}_{{{step}}}^{{}}$"][1]) < 0.31
            assert abs(out[1][0] - places[rf"$\mathbf{{O}}_{{{step}}}^{{}}$"][0]) < 0.42
            assert abs(out[1][1] - places[rf"$\mathbf{{O}}_{{{step}}}^{{}}$"][1]) < 0.31


@pytest.mark.parametrize(
    "draw, argument, wrong, wanted",
    [
        (diagrams.draw_gru, "part", "memory", "'gates', 'candidate', 'state'"),
        (diagrams.draw_gru, "part", 2, "'gates', 'candidate', 'state'"),
        (diagrams.draw_gru, "reset", "never", '"before" or "after"'),
        (diagrams.draw_gru, "reset", True, '"before" or "after"'),
        (diagrams.draw_lstm, "part", "forget", "'gates', 'candidate', 'memory', 'state'"),
        (diagrams.draw_deep, "num_layers", 0, "an integer of 1 or more"),
        (diagrams.draw_deep, "num_layers", 1.5, "an integer of 1 or more"),
    ],
)
def test_wrong_arguments_are_named(pyplot, draw, argument, wrong, wanted):
    with pytest.raises(ValueError) as caught:
        draw(**{argument: wrong})
    message = str(caught.value)
    assert message.startswith(argument + " must be ") and wanted in message
    assert message.endswith(f"got {wrong!r}")
    assert pyplot.get_fignums() == []  # nothing half drawn
