"""The readable cells and those by hand, against the literal equations and torch.nn, in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import d2lmini as d2l
from d2lmini import by_hand, cells, products, race, readable, training

STAGES = [readable.unroll, by_hand.unroll]
IN_TORCH_NN = {
    "RNN": (cells.rnn, nn.RNN),
    "GRU": (cells.gru_reset_after, nn.GRU),
    "LSTM": (cells.lstm, nn.LSTM),
}
# The products of float32 on a CPU can take a path of their own.
ONEDNN = [False]
if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
    ONEDNN.append(True)
CELLS = [cells.rnn, cells.gru, cells.gru_reset_after, cells.lstm]
few = st.integers(1, 5)


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def leaves(tensors):
    return [tensor.detach().clone().requires_grad_() for tensor in tensors]


def random_cell(cell):
    """Random parameters of a cell, 4 inputs and 3 hidden units, and a state of 2 texts."""
    torch.manual_seed(0)
    shapes = {"W_x": (4, 3), "W_h": (3, 3)}
    params = [torch.randn(shapes.get(name[:3], (3,))) for name in cells.names(cell)]
    state = [torch.randn(2, 3) for _ in range(2 if cell is cells.lstm else 1)]
    return leaves(params), leaves(state)


def results(net, X, state):
    """Logits, new state, and the gradients of a random sum of them: weights', then state's."""
    state = leaves(state)
    logits, new_state = net(X, tuple(state))
    torch.manual_seed(1)
    sum((part * torch.randn_like(part)).sum() for part in (logits, *new_state)).backward()
    return [logits, *new_state, *(part.grad for part in [*net.params, *state])]


def assert_same(actual, expected, atol=1e-12):
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(2, 6), few, few, few),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_stage_is_the_literal_network(
    cell, unroll, shape, num_layers, bidirectional, bias, one_hot
):
    vocab_size, num_hiddens, batch_size, num_steps = shape
    torch.manual_seed(0)
    sizes = vocab_size, num_hiddens, "cpu"
    literal = d2l.RNNModelScratch(*sizes, *cells.network(cell, num_layers, bidirectional, bias))
    fast = d2l.RNNModelScratch(
        *sizes,
        *cells.network(cell, num_layers, bidirectional, bias, unroll=unroll),
        one_hot=one_hot,
    )
    fast.params = leaves(literal.params)
    X = torch.randint(vocab_size, (batch_size, num_steps))
    state = [torch.randn_like(part) for part in literal.begin_state(batch_size)]
    assert_same(results(fast, X, state), results(literal, X, state))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokens", [False, True])
def test_gradcheck(cell, tokens):
    params, state = random_cell(cell)
    inputs = torch.randint(4, (5, 2)) if tokens else torch.randn(5, 2, 4, requires_grad=True)

    def run(inputs, *rest):
        outputs, last = by_hand.unroll(cell, inputs, rest[: len(state)], rest[len(state) :])
        return outputs, *last

    assert torch.autograd.gradcheck(run, (inputs, *state, *params))


def network_beside_torch_nn(name, unroll, vocab_size, num_hiddens, **options):
    """A network at one stage, and one around the layer of `torch.nn`, with the same weights."""
    cell, layer = IN_TORCH_NN[name]
    theirs = d2l.RNNModel(layer(vocab_size, num_hiddens, **options), vocab_size)
    functions = cells.network(cell, unroll=unroll, **options)
    ours = d2l.RNNModelScratch(vocab_size, num_hiddens, "cpu", *functions, one_hot=False)
    d2l.copy_weights(theirs, ours)
    return ours, theirs


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_stages_are_the_layers_of_torch_nn(name, num_layers, bidirectional, bias, unroll):
    torch.manual_seed(0)
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    ours, theirs = network_beside_torch_nn(name, unroll, 5, 4, **options)
    for one_hot in (False, True):
        ours.one_hot = one_hot
        X, found = torch.randint(5, (3, 6)), []
        for net in (ours, theirs):
            logits, state = net(X)
            parts = [logits, *(state if isinstance(state, tuple) else [state])]
            torch.manual_seed(1)
            sum((part * torch.randn(part.shape)).sum() for part in parts).backward()
            found.append(parts)
        assert_same(*found)
        for mine, its in d2l.compare_gradients(ours, theirs).values():
            torch.testing.assert_close(mine, its, rtol=0, atol=1e-12)
        theirs.zero_grad()
        for param in ours.params:
            param.grad = None


@pytest.mark.parametrize("onednn", ONEDNN)
@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_float32_is_as_near_to_float64_as_torch_nn_is(name, unroll, onednn, monkeypatch):
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", onednn)
    torch.manual_seed(0)
    ours, theirs = network_beside_torch_nn(name, unroll, 28, 64, num_layers=2)
    X, found = torch.randint(28, (8, 35)), []
    for dtype in (torch.float64, torch.float32):
        for net in (ours, theirs):
            for param in training.parameters(net):
                param.data, param.grad = param.data.to(dtype), None
            state = net.begin_state(batch_size=8)
            state = tuple(part.to(dtype) for part in state) if type(state) is tuple else state
            net(X, state)[0].square().sum().backward()
        found.append(d2l.compare_gradients(ours, theirs))
    exact, single = found
    scales = {name: its.abs().max() for name, (_, its) in exact.items()}
    errors = [
        max((single[name][k] - its).abs().max() / scales[name] for name, (_, its) in exact.items())
        for k in (0, 1)
    ]
    assert errors[0] < 1e-5 and errors[0] < 10 * errors[1]


@pytest.mark.parametrize("onednn", ONEDNN)
def test_float32_of_the_gru_that_resets_before(onednn, monkeypatch):
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", onednn)
    params, state = random_cell(cells.gru)
    X, found = torch.randn(5, 2, 4), []
    for dtype, unroll in ((torch.float64, cells.unroll), (torch.float32, by_hand.unroll)):
        given = leaves(part.detach().to(dtype) for part in [*state, *params])
        outputs, last = unroll(cells.gru, X.to(dtype), given[:1], given[1:])
        (outputs.square().sum() + last[0].sum()).backward()
        found.append([outputs.double(), *(part.grad.double() for part in given)])
    assert_same(*found, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_words_are_looked_up(cell, monkeypatch):
    params, state = random_cell(cell)
    tokens, found = torch.randint(4, (5, 2), dtype=torch.int32), []
    for words in (5, 4):
        monkeypatch.setattr(by_hand, "WORDS", words)
        outputs, last = by_hand.unroll(cell, tokens, state, params)
        assert (outputs.stride(2) == 1) == (words == 4)  # the steps are columns, or they are rows
        total = outputs.square().sum() + sum(part.sum() for part in last)
        found.append([outputs, *last, *torch.autograd.grad(total, [*params, *state])])
    assert_same(*found)


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_second_backward_pass_and_none_at_all(cell, unroll):
    torch.manual_seed(0)
    functions = cells.network(cell, unroll=unroll)
    net = d2l.RNNModelScratch(5, 4, "cpu", *functions, one_hot=False)
    X = torch.randint(5, (2, 3))
    loss = net(X)[0].square().sum()
    loss.backward(retain_graph=True)
    once = [param.grad.clone() for param in net.params]
    loss.backward()
    assert_same([param.grad for param in net.params], [2 * grad for grad in once])
    with torch.no_grad():
        assert net(X)[0].grad_fn is None
    grads = torch.autograd.grad(net(X)[0].square().sum(), net.params, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sum(grad.sum() for grad in grads).backward()


def test_tanh_to_the_last_digits():
    values = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        A, atol = values.to(dtype), 2 * torch.finfo(dtype).eps
        expected = torch.tanh(A.double())
        out = by_hand.tanh(A, out=torch.empty_like(A))
        torch.testing.assert_close(out.double(), expected, rtol=0, atol=atol)
        assert by_hand.tanh(A, out=A) is A and A.equal(out)
    far = torch.tensor([float("inf"), -float("inf"), float("nan")], dtype=torch.float32)
    expected = torch.tanh(far)
    torch.testing.assert_close(by_hand.tanh(far, out=far), expected, equal_nan=True)


def test_a_trained_network_learns_the_same_at_every_stage():
    losses = []
    for unroll in (cells.unroll, *STAGES):
        torch.manual_seed(0)
        text = "the time traveller for so it will be convenient to speak of him " * 3
        train_iter, vocab = d2l.load_data_text(text, 2, 8)
        functions = cells.network(cells.lstm, unroll=unroll)
        net = d2l.RNNModelScratch(len(vocab), 8, "cpu", *functions)
        *_, history = d2l.fit(net, train_iter, vocab, 1, 5, "cpu", seed=0, prefixes=[])
        losses.append(torch.tensor(history.train))
    assert losses[0][-1] < losses[0][0]
    assert_same(losses[1:], [losses[0]] * 2, atol=1e-10)


def test_a_cell_that_a_stage_has_not_is_named():
    known = r"cell must be one of rnn, gru, gru_reset_after, lstm \(d2lmini.cells\), got"
    for unroll in STAGES:
        with pytest.raises(ValueError, match=known):
            unroll(nn.RNNCell, None, (), [])
    with pytest.raises(ValueError, match=known):
        race.runners(nn.RNNCell)


def test_bad_arguments_are_named():
    params = [torch.randn(5, 4), torch.randn(4, 4), torch.randn(4)]
    for unroll in STAGES:
        with pytest.raises(ValueError, match=r"num_hiddens\) = \(3, 4\), got \(1, 4\)"):
            unroll(cells.rnn, torch.zeros(2, 3, 5), (torch.zeros(1, 4),), params)
        with pytest.raises(ValueError, match="inputs must have 5 numbers a step, got 6"):
            unroll(cells.rnn, torch.zeros(2, 3, 6), (torch.zeros(3, 4),), params)


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_parameter_of_a_wrong_shape_is_named(cell, unroll):
    params, state = random_cell(cell)
    X, (*_, last) = torch.randn(5, 2, 4), cells.names(cell)
    for k, right in enumerate(params):
        for wrong in (torch.cat([right, right]), right[..., :1], right.unsqueeze(0)):
            with pytest.raises(ValueError, match="must have"):
                unroll(cell, X, state, [*params[:k], wrong.detach(), *params[k + 1 :]])
    with pytest.raises(ValueError, match=rf"{last} must have the shape \(3,\), got \(2,\)"):
        unroll(cell, X, state, [*params[:-1], params[-1][:2]])


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("cell", CELLS)
def test_nothing_is_cast_silently(cell, unroll):
    params, state = random_cell(cell)
    X, tokens = torch.randn(5, 2, 4), torch.randint(4, (5, 2))
    if unroll is by_hand.unroll:  # readable puts the gates together as torch.cat does
        for k, param in enumerate(params):
            others = [*params[:k], param.detach().float(), *params[k + 1 :]]
            with pytest.raises(TypeError, match="got torch.float32 on cpu, torch.float64 on cpu"):
                unroll(cell, X, state, others)
    for inputs in (X.float(), X.half(), tokens.double(), tokens > 1, tokens + 4, tokens - 4):
        with pytest.raises((RuntimeError, TypeError, IndexError)):
            unroll(cell, inputs, state, params)
    with pytest.raises((RuntimeError, TypeError)):
        unroll(cell, X, [part.float() for part in state], params)


@pytest.mark.parametrize("unroll", STAGES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_state_that_is_changed_afterwards_does_not_change_the_gradient(cell, unroll):
    params, first = random_cell(cell)
    inputs, found = torch.randn(5, 2, 4), []
    for change in (False, True):
        state = [part.detach().clone() for part in first]
        outputs, _ = unroll(cell, inputs, state, params)
        if change:
            state[0].zero_()
        found.append(torch.autograd.grad(outputs.sum(), params))
    assert_same(*found)
