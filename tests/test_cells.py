"""The cells against torch.nn's and their papers' equations, and the networks made of them."""

import math

import pytest
import torch
from torch import nn

import d2lmini as d2l
from d2lmini import cells

CPU = torch.device("cpu")
CELLS = [cells.rnn, cells.gru, cells.gru_reset_after, cells.lstm]
TORCH_CELLS = [
    (cells.rnn, nn.RNNCell),
    (cells.gru_reset_after, nn.GRUCell),
    (cells.lstm, nn.LSTMCell),
]
# As the papers and the docstrings name them, in that order.
NAMES = {
    cells.rnn: "W_xh W_hh b_h",
    cells.gru: "W_xz W_hz b_z W_xr W_hr b_r W_xh W_hh b_h",
    cells.gru_reset_after: "W_xz W_hz b_z W_xr W_hr b_r W_xh W_hh b_h b_hh",
    cells.lstm: "W_xi W_hi b_i W_xf W_hf b_f W_xo W_ho b_o W_xc W_hc b_c",
}


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def random_params(cell, num_inputs=4, num_hiddens=3):
    """Parameters by name, large enough that no gate stays near one half."""
    shapes = {"W_x": (num_inputs, num_hiddens), "W_h": (num_hiddens, num_hiddens)}
    return {name: torch.randn(shapes.get(name[:3], (num_hiddens,))) for name in NAMES[cell].split()}


def random_state(cell, *shape):
    return tuple(torch.randn(shape) for _ in range(2 if cell is cells.lstm else 1))


def step(cell, X, state, params):
    return cell(X, state, list(params.values()))


def close(actual, expected, tolerance=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


# --- One step ------------------------------------------------------------------------------------


def params_of(theirs):
    """The parameters of a torch.nn cell, taken apart as its documentation describes them."""
    gates = theirs.weight_hh.shape[0] // theirs.hidden_size
    W_x, W_h, b, b2 = (param.detach().chunk(gates) for param in theirs.parameters())
    if isinstance(theirs, nn.GRUCell):  # r, z, n
        r, z, n = range(3)
        gate = lambda k: [W_x[k].T, W_h[k].T, b[k] + b2[k]]  # noqa: E731
        return gate(z) + gate(r) + [W_x[n].T, W_h[n].T, b[n], b2[n]]
    order = (0, 1, 3, 2) if gates == 4 else (0,)  # i, f, g, o: our candidate is last
    return [part for k in order for part in (W_x[k].T, W_h[k].T, b[k] + b2[k])]


@pytest.mark.parametrize("batch_size, num_inputs, num_hiddens", [(1, 1, 1), (5, 4, 3), (2, 7, 6)])
@pytest.mark.parametrize("cell, theirs", TORCH_CELLS)
def test_a_step_is_that_of_torch(cell, theirs, batch_size, num_inputs, num_hiddens):
    theirs = theirs(num_inputs, num_hiddens)
    X = torch.randn(batch_size, num_inputs)
    state = random_state(cell, batch_size, num_hiddens)
    expected = theirs(X, state if cell is cells.lstm else state[0])
    new, _ = cell(X, state, params_of(theirs))
    close(new, expected if cell is cells.lstm else (expected,))


def in_plain_floats(cell, x, state, params):
    """The papers' equations for one text, number by number: the new state, and the gates."""
    p = {name: param.tolist() for name, param in params.items()}
    h, units = state[0], range(len(state[0]))

    def dot(v, W, j):
        return math.fsum(v[i] * W[i][j] for i in range(len(v)))

    def gate(letter):
        sums = [
            dot(x, p["W_x" + letter], j) + dot(h, p["W_h" + letter], j) + p["b_" + letter][j]
            for j in units
        ]
        return [1 / (1 + math.exp(-a)) for a in sums]

    if cell is cells.rnn:
        return [
            [math.tanh(dot(x, p["W_xh"], j) + dot(h, p["W_hh"], j) + p["b_h"][j]) for j in units]
        ], {}
    if cell is cells.lstm:
        i, f, o = (gate(letter) for letter in "ifo")
        new = [math.tanh(dot(x, p["W_xc"], j) + dot(h, p["W_hc"], j) + p["b_c"][j]) for j in units]
        c = [f[j] * state[1][j] + i[j] * new[j] for j in units]
        return [[o[j] * math.tanh(c[j]) for j in units], c], {"I": i, "F": f, "O": o}
    z, r = gate("z"), gate("r")
    if cell is cells.gru:  # the state is reset, then multiplied
        reset = [r[j] * h[j] for j in units]
        second = [dot(reset, p["W_hh"], j) for j in units]
    else:  # the product is reset, and with it its bias
        second = [r[j] * (dot(h, p["W_hh"], j) + p["b_hh"][j]) for j in units]
    new = [math.tanh(dot(x, p["W_xh"], j) + second[j] + p["b_h"][j]) for j in units]
    return [[z[j] * h[j] + (1 - z[j]) * new[j] for j in units]], {"Z": z, "R": r}


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_is_the_equations_in_plain_floats(cell):
    params = random_params(cell)
    X, state = torch.randn(2, 4), random_state(cell, 2, 3)
    new, gates = step(cell, X, state, params)
    for i in range(2):
        ours = [part[i].tolist() for part in state]
        expected, expected_gates = in_plain_floats(cell, X[i].tolist(), ours, params)
        assert len(new) == len(expected) and list(gates) == list(expected_gates)
        for part, numbers in zip([*new, *gates.values()], [*expected, *expected_gates.values()]):
            assert part[i].tolist() == pytest.approx(numbers, rel=0, abs=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_a_step_are_those_of_finite_differences(cell):
    params = random_params(cell)
    X, state = torch.randn(2, 4), random_state(cell, 2, 3)
    width = len(state)

    def outcome(X, *rest):
        new, gates = cell(X, rest[:width], rest[width:])
        return *new, *gates.values()

    inputs = [part.requires_grad_() for part in (X, *state, *params.values())]
    assert torch.autograd.gradcheck(outcome, inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_gates_bias_opens_that_gate_alone(cell):
    params = random_params(cell)
    X, state = torch.randn(2, 4), random_state(cell, 2, 3)
    _, before = step(cell, X, state, params)
    for letter in before:
        opened = params | {f"b_{letter.lower()}": torch.full((3,), 60.0)}
        _, after = step(cell, X, state, opened)
        for other, values in after.items():
            close(values, torch.ones(2, 3) if other == letter else before[other], 0)


def test_a_gru_keeps_its_state_where_the_update_gate_is_one():
    for cell in (cells.gru, cells.gru_reset_after):
        params = random_params(cell)
        X, (H,) = torch.randn(2, 4), random_state(cell, 2, 3)
        kept, _ = step(cell, X, (H,), params | {"b_z": torch.full((3,), 60.0)})
        close(kept, (H,), 0)


def test_an_lstm_keeps_its_memory_where_it_neither_forgets_nor_reads():
    params = random_params(cells.lstm)
    params |= {"b_f": torch.full((3,), 60.0), "b_i": torch.full((3,), -60.0)}
    X, (H, C) = torch.randn(2, 4), random_state(cells.lstm, 2, 3)
    (_, kept), _ = step(cells.lstm, X, (H, C), params)
    close(kept, C)
    (shown, _), _ = step(cells.lstm, X, (H, C), params | {"b_o": torch.full((3,), 60.0)})
    close(shown, torch.tanh(C))


@pytest.mark.parametrize("bias, equal", [(40.0, True), (-40.0, True), (0.0, False)])
def test_before_or_after_matters_only_where_the_reset_gate_is_half_open(bias, equal):
    params = random_params(cells.gru) | {"b_r": torch.full((3,), bias)}
    X, state = torch.randn(2, 4), random_state(cells.gru, 2, 3)
    (before,), _ = step(cells.gru, X, state, params)
    (after,), _ = step(cells.gru_reset_after, X, state, params | {"b_hh": torch.zeros(3)})
    difference = float((before - after).abs().max())
    assert difference < 1e-12 if equal else difference > 1e-2


def test_the_second_bias_is_reset_and_the_first_is_not():
    params = random_params(cells.gru_reset_after)
    X, state = torch.randn(2, 4), random_state(cells.gru, 2, 3)
    swapped = params | {"b_h": params["b_hh"], "b_hh": params["b_h"]}
    for bias, equal in ((40.0, True), (0.0, False)):
        gate = {"b_r": torch.full((3,), bias)}
        (one,), _ = step(cells.gru_reset_after, X, state, params | gate)
        (other,), _ = step(cells.gru_reset_after, X, state, swapped | gate)
        difference = float((one - other).abs().max())
        assert difference < 1e-12 if equal else difference > 1e-2


# --- Many steps, layers, directions --------------------------------------------------------------


@pytest.mark.parametrize("cell, theirs", TORCH_CELLS)
def test_unroll_is_one_step_after_the_other(cell, theirs):
    theirs = theirs(4, 3)
    inputs, state = torch.randn(6, 2, 4), random_state(cell, 2, 3)
    outputs, last = cells.unroll(cell, inputs, state, params_of(theirs))
    assert len(outputs) == 6
    for X, H in zip(inputs, outputs):
        new = theirs(X, state if cell is cells.lstm else state[0])
        state = new if cell is cells.lstm else (new,)
        close(H, state[0])
    close(last, state)


def summing(X, state, params):
    """A cell of one's own: it adds up what it reads, and counts."""
    H, count = state
    return (H + params[0] * X, count + 1), {}


def test_a_stack_of_sums_in_both_directions():
    inputs = torch.randn(5, 2, 3)
    zeros = torch.zeros(4, 2, 3), torch.zeros(4, 2, 3)
    (one, two), params = (part[:2] for part in zeros), [[2.0], [-1.0]]
    outputs, (H, count) = cells.stack(summing, inputs, (one, two), params)
    twice = inputs.cumsum(0).cumsum(0)
    close(outputs, -2 * twice)
    close(H, torch.stack([2 * inputs.sum(0), -2 * twice[-1]]))
    close(count, torch.full((2, 2, 3), 5.0))

    # From the left and from the right; a layer above would read both, so here is one layer.
    outputs, (H, count) = cells.stack(summing, inputs, (one, two), params, bidirectional=True)
    to_the_right = inputs.flip(0).cumsum(0).flip(0)
    close(outputs, torch.cat([2 * inputs.cumsum(0), -to_the_right], dim=2))
    close(H, torch.stack([2 * inputs.sum(0), -inputs.sum(0)]))
    close(count, torch.full((2, 2, 3), 5.0))


def layers_of(cell, num_layers, directions=1, num_inputs=4, num_hiddens=3):
    params = []
    for layer in range(num_layers):
        width = num_inputs if layer == 0 else directions * num_hiddens
        params += [list(random_params(cell, width).values()) for _ in range(directions)]
    return params


def part_of(state, *rows):
    return tuple(part[list(rows)] for part in state)


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_are_two_runs_one_of_them_from_the_end(cell):
    inputs, params = torch.randn(5, 2, 4), layers_of(cell, 1, directions=2)
    state = random_state(cell, 2, 2, 3)
    outputs, last = cells.stack(cell, inputs, state, params, bidirectional=True)
    there, end = cells.stack(cell, inputs, part_of(state, 0), params[:1])
    back, start = cells.stack(cell, inputs.flip(0), part_of(state, 1), params[1:])
    close(outputs[:, :, :3], there)
    for t in range(5):
        close(outputs[t, :, 3:], back[4 - t])
    close(part_of(last, 0), end)
    close(part_of(last, 1), start)
    assert float((there[-1] - back[-1]).abs().max()) > 1e-2


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_reads_the_outputs_of_the_one_below(cell, directions):
    both_ways, d = directions == 2, directions
    inputs, params = torch.randn(5, 2, 4), layers_of(cell, 3, directions)
    state = random_state(cell, 3 * d, 2, 3)
    outputs, last = cells.stack(cell, inputs, state, params, both_ways)
    for k in range(3):
        rows = range(k * d, (k + 1) * d)
        own = params[k * d : (k + 1) * d]
        inputs, end = cells.stack(cell, inputs, part_of(state, *rows), own, both_ways)
        close(part_of(last, *rows), end)
    close(outputs, inputs)


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_goes_on_where_it_was_left(cell):
    net = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cell, num_layers=2))
    X = torch.randint(7, (3, 7))
    whole, last = net(X)
    first, state = net(X[:, :3])
    second, state = net(X[:, 3:], state)
    close(torch.cat([first, second]), whole)
    close(state, last)
    afresh, _ = net(X[:, 3:])
    assert float((afresh - second).detach().abs().max()) > 1e-3


def test_a_network_of_two_directions_sees_the_letters_to_come():
    net = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cells.gru, 2, bidirectional=True))
    X = torch.randint(6, (1, 7))
    other = X.clone()
    other[0, -1] += 1
    assert bool(((net(X)[0] - net(other)[0]).abs().amax(1) > 1e-6).all())
    net = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cells.gru, 2))
    close(net(X)[0][:-1], net(other)[0][:-1], 0)


# --- Parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_the_names_stand_in_the_order_of_the_cell(cell):
    assert cells.names(cell) == NAMES[cell].split()
    weights = [name for name in NAMES[cell].split() if name[0] == "W"]
    assert cells.names(cell, bias=False) == weights


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_parameters_stand_layer_by_layer_and_start_as_those_of_torch(cell, directions, bias):
    get_params, _, _ = cells.network(cell, 3, directions == 2, bias)
    params = get_params(20, 16, CPU)
    shapes = []
    for width in (20, 16 * directions, 16 * directions):
        for _ in range(directions):
            for name in NAMES[cell].split():
                if name[0] == "W":
                    shapes.append((width, 16) if name[:3] == "W_x" else (16, 16))
                elif bias:
                    shapes.append((16,))
    shapes += [(16 * directions, 20), (20,)]
    assert [tuple(param.shape) for param in params] == shapes
    for param in params:
        assert param.is_leaf and param.requires_grad and param.dtype == torch.float64
        assert float(param.detach().abs().max()) <= 0.25  # 1 / sqrt(16)
        # All of 256 numbers below 0.24 would be one case in thirty thousand.
        assert param.numel() < 256 or float(param.detach().abs().max()) > 0.24
    numbers = torch.cat([param.detach().flatten() for param in params])
    # A uniform distribution on ±1/4: mean 0, deviation 1/(4√3); six standard errors.
    assert abs(float(numbers.mean())) < 6 * 0.25 / math.sqrt(3 * len(numbers))
    assert float(numbers.std()) == pytest.approx(0.25 / math.sqrt(3), rel=0.1)
    assert len({float(param.detach().flatten()[0]) for param in params}) == len(params)


def test_a_seed_repeats_the_parameters():
    get_params, _, _ = cells.network(cells.lstm, 2)
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        runs.append(get_params(7, 5, CPU))
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1]))
    assert not any(torch.equal(a, b) for a, b in zip(runs[0], runs[2]))


def test_parameters_and_state_have_the_default_type():
    for dtype in (torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
        net = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cells.lstm))
        logits, state = net(torch.randint(7, (2, 3)))
        assert {tensor.dtype for tensor in (*net.params, *state, logits)} == {dtype}


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_no_biases_are_biases_of_zero(cell, directions):
    with_bias = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cell, 2, directions == 2))
    without = d2l.RNNModelScratch(7, 5, CPU, *cells.network(cell, 2, directions == 2, bias=False))
    weights = iter(without.params)
    for param in with_bias.params[:-1]:
        with torch.no_grad():
            param.copy_(next(weights)) if param.dim() == 2 else param.zero_()
    with torch.no_grad():
        with_bias.params[-1].copy_(next(weights))  # b_q stays
    assert next(weights, None) is None
    X, state = torch.randint(7, (3, 4)), random_state(cell, 2 * directions, 3, 5)
    close(without(X, state), with_bias(X, state))


@pytest.mark.parametrize("cell", CELLS)
def test_the_first_state_is_zeros_of_its_own(cell):
    for directions in (1, 2):
        _, init_state, _ = cells.network(cell, 3, directions == 2)
        state = init_state(4, 5, CPU)
        assert isinstance(state, tuple) and len(state) == (2 if cell is cells.lstm else 1)
        for part in state:
            assert torch.equal(part, torch.zeros(3 * directions, 4, 5))
        state[0].fill_(1)  # neither the other part nor the next state is the same memory
        assert not any(bool(part.any()) for part in (*state[1:], *init_state(4, 5, CPU)))
