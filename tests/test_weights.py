"""From scratch and torch.nn: with equal weights, equal logits, states and gradients throughout."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l
from d2lmini import cells, weights

CPU = torch.device("cpu")
PAIRS = [(cells.rnn, nn.RNN), (cells.gru_reset_after, nn.GRU), (cells.lstm, nn.LSTM)]


@pytest.fixture(autouse=True)
def default_dtype():
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)


def both(cell, layer, vocab_size=7, num_hiddens=5, num_layers=1, bidirectional=False, bias=True):
    """A network from scratch and one of torch.nn, each with random weights of its own."""
    three = cells.network(cell, num_layers, bidirectional, bias)
    scratch = d2l.RNNModelScratch(vocab_size, num_hiddens, CPU, *three)
    rnn = layer(
        vocab_size, num_hiddens, num_layers=num_layers, bidirectional=bidirectional, bias=bias
    )
    return scratch, d2l.RNNModel(rnn, vocab_size)


def loud(cell, layer):
    """The same weights in both, three times as large, so that a wrong place of one is heard."""
    scratch, concise = both(cell, layer)
    with torch.no_grad():
        for param in scratch.params:
            param.mul_(3)
    d2l.copy_weights(scratch, concise)
    return scratch, concise


def random_state(concise, batch_size):
    """Not zeros, and with a gradient."""
    state = concise.begin_state(batch_size=batch_size)
    parts = state if isinstance(state, tuple) else (state,)
    return tuple(torch.randn_like(part).requires_grad_() for part in parts)


def unpacked(concise, of=lambda param: param):
    """All tensors of a torch.nn network gate by gate, as its documentation says they stand.

    Of two biases that are only ever added, the first. `of` may turn a parameter into its gradient.
    """
    layer, found = getattr(concise, "rnn", concise), []
    order = {nn.RNN: [0], nn.GRU: [1, 0, 2], nn.LSTM: [0, 1, 3, 2]}[type(layer)]  # r z n; i f g o
    for params in layer.all_weights:
        gates = [of(param).chunk(len(order)) for param in params]
        W_x, W_h = gates[:2]
        for k in order:
            found += [W_x[k].T, W_h[k].T]
            found += [gates[2][k]] if layer.bias else []
        found += [gates[3][2]] if layer.bias and type(layer) is nn.GRU else []
    if layer is not concise:
        found += [of(concise.linear.weight).T, of(concise.linear.bias)]
    return found


def gradient(param):
    return param.grad


def differences(scratch, concise, X, state=None):
    """The largest difference of each: logits, last state, gradients of weights and first state."""
    single = not isinstance(concise.rnn, nn.LSTM)
    targets = torch.randint(scratch.vocab_size, (X.numel(),))
    rows = []
    for net in (scratch, concise):
        first = None if state is None else tuple(s.detach().clone() for s in state)
        for part in first or ():
            part.requires_grad_()
        given = first if net is scratch or first is None or not single else first[0]
        logits, last = net(X, given)
        last = (last,) if isinstance(last, torch.Tensor) else last
        # The last state is part of the loss, so that every part of it has a gradient.
        loss = F.cross_entropy(logits, targets) + sum((part**2).mean() for part in last)
        params = net.params if net is scratch else list(net.parameters())
        for param in params:
            param.grad = None
        loss.backward()
        named = {"logits": logits} | {f"last state {i}": part for i, part in enumerate(last)}
        named |= {f"gradient of first state {i}": part.grad for i, part in enumerate(first or ())}
        grads = [p.grad for p in params] if net is scratch else unpacked(net, gradient)
        named |= {f"gradient of parameter {i}": grad for i, grad in enumerate(grads)}
        rows.append({name: tensor.detach() for name, tensor in named.items()})
    ours, theirs = rows
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert ours[name].shape == theirs[name].shape, name
    return {name: float((ours[name] - theirs[name]).abs().max()) for name in ours}


# --- The grid ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("cell, layer", PAIRS)
def test_scratch_and_concise_agree(cell, layer, num_layers, directions, bias, dtype, tolerance):
    torch.set_default_dtype(dtype)
    for vocab_size, num_hiddens in itertools.product((2, 7), (1, 5)):
        scratch, concise = both(
            cell, layer, vocab_size, num_hiddens, num_layers, directions == 2, bias
        )
        d2l.copy_weights(scratch, concise)
        for batch_size, num_steps, given in itertools.product((1, 3), (1, 6), (False, True)):
            X = torch.randint(vocab_size, (batch_size, num_steps))
            state = random_state(concise, batch_size) if given else None
            found = differences(scratch, concise, X, state)
            wrong = {name: by for name, by in found.items() if not by <= tolerance}  # NaN is wrong
            assert not wrong, (
                f"{vocab_size=} {num_hiddens=} {batch_size=} {num_steps=} {given=} state: {wrong}"
            )
            # What is only ever added has the same gradient: no second bias goes unchecked.
            for _, _, *biases in concise.rnn.all_weights:
                if biases:
                    kept = 2 * num_hiddens if layer is nn.GRU else None
                    first, second = (bias.grad[:kept] for bias in biases)
                    torch.testing.assert_close(first, second, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "cell, layer, order",
    [
        (cells.lstm, nn.LSTM, ("ifoc", "ifoc")),  # torch.nn has i, f, g, o
        (cells.lstm, nn.LSTM, ("ifoc", "fico")),
        (cells.lstm, nn.LSTM, ("ifoc", "ocfi")),
        (cells.gru_reset_after, nn.GRU, ("zrh", "zrh")),  # torch.nn has r, z, n
    ],
)
def test_a_wrong_order_of_the_gates_would_be_noticed(cell, layer, order, monkeypatch, float64):
    scratch, concise = both(cell, layer)
    X = torch.randint(7, (3, 6))
    d2l.copy_weights(scratch, concise)
    assert max(differences(scratch, concise, X).values()) < 1e-10
    monkeypatch.setitem(weights.ORDERS, layer, order)
    d2l.copy_weights(scratch, concise)
    assert differences(scratch, concise, X)["logits"] > 1e-3


@pytest.mark.parametrize("cell, layer", PAIRS)
def test_swapped_parameters_would_be_noticed(cell, layer, float64):
    scratch, concise = both(cell, layer, num_layers=2)
    d2l.copy_weights(scratch, concise)
    X, state = torch.randint(7, (3, 6)), random_state(concise, 3)
    params = scratch.params
    names = cells.names(cell)
    alike = [(i, j) for i, j in itertools.combinations(range(len(params) - 2), 2)
             if params[i].shape == params[j].shape]  # fmt: skip
    assert len(alike) >= len(names)  # within a layer, and between them
    for i, j in alike:
        scratch.params = params.copy()
        scratch.params[i], scratch.params[j] = params[j], params[i]
        assert differences(scratch, concise, X, state)["logits"] > 1e-4, (i, j)


def test_two_of_the_lstms_gates_are_no_matter_of_taste(float64):
    scratch, concise = loud(cells.lstm, nn.LSTM)
    X, state = torch.randint(7, (3, 6)), random_state(concise, 3)
    params = scratch.params
    for a, b in itertools.combinations(range(4), 2):  # three tensors for each gate
        order = [0, 1, 2, 3]
        order[a], order[b] = b, a
        scratch.params = [p for k in order for p in params[3 * k : 3 * k + 3]] + params[12:]
        assert differences(scratch, concise, X, state)["logits"] > 1e-2, (a, b)


# --- Copying -------------------------------------------------------------------------------------

OPTIONS = [
    {},
    {"num_layers": 2},
    {"num_layers": 3, "bidirectional": True},
    {"num_layers": 2, "bias": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell, layer", [*PAIRS, (cells.gru, nn.GRU)])
def test_there_and_back_again_gives_exactly_our_weights(cell, layer, options):
    scratch, concise = both(cell, layer, **options)
    before = [param.detach().clone() for param in scratch.params]
    d2l.copy_weights(scratch, concise)
    assert all(torch.equal(param, old) for param, old in zip(scratch.params, before))
    with torch.no_grad():
        for param in scratch.params:
            param.fill_(9)
    d2l.copy_weights(concise, scratch)
    for param, old in zip(scratch.params, before):
        assert torch.equal(param, old) and param.is_leaf and param.requires_grad


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell, layer", PAIRS)
def test_every_tensor_stands_where_torch_documents_it(cell, layer, options):
    scratch, concise = both(cell, layer, **options)
    with torch.no_grad():
        for param in concise.parameters():
            param.fill_(9)
    d2l.copy_weights(scratch, concise)
    for param, its in zip(scratch.params, unpacked(concise), strict=True):
        assert torch.equal(param, its)
    for _, _, *biases in concise.rnn.all_weights:
        if biases:  # zeros where ours had none, so that the sum is ours
            kept = 10 if layer is nn.GRU else None
            assert not biases[1][:kept].any()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("cell, layer", PAIRS)
def test_a_layer_as_torch_initialises_it_is_copied_with_both_biases(cell, layer, options, float64):
    scratch, concise = both(cell, layer, **options)
    assert all(param.any() for param in concise.parameters())
    d2l.copy_weights(concise, scratch)
    X = torch.randint(7, (3, 6))
    found = differences(scratch, concise, X, random_state(concise, 3))
    assert max(found.values()) < 1e-10, found


@pytest.mark.parametrize("cell, layer", PAIRS)
def test_a_list_of_parameters_and_a_bare_layer(cell, layer, float64):
    scratch, concise = both(cell, layer, num_layers=2, bidirectional=True)
    params, rnn = scratch.params[:-2], concise.rnn
    linear = [param.detach().clone() for param in concise.linear.parameters()]
    d2l.copy_weights(params, rnn)
    inputs, state = torch.randn(6, 3, 7), random_state(concise, 3)
    size = len(cells.names(cell))
    rows = [params[k : k + size] for k in range(0, 4 * size, size)]
    ours, last = cells.stack(cell, inputs, state, rows, bidirectional=True)
    theirs, end = rnn(inputs, state if layer is nn.LSTM else state[0])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    torch.testing.assert_close(last, end if layer is nn.LSTM else (end,), rtol=0, atol=1e-10)
    assert all(torch.equal(old, new) for old, new in zip(linear, concise.linear.parameters()))

    before = [param.detach().clone() for param in params]
    tensors = [torch.full_like(param, 9) for param in params]  # plain tensors, not leaves to train
    d2l.copy_weights(rnn, tensors)
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before))
    d2l.copy_weights(scratch.params, concise)  # the whole network's list into the whole network
    assert torch.equal(concise.linear.weight, scratch.params[-2].T)


@pytest.mark.parametrize("there", [True, False])
def test_a_copy_shares_nothing_and_replaces_no_tensor(there):
    scratch, concise = both(cells.gru_reset_after, nn.GRU, num_layers=2)
    source, target = (scratch, concise) if there else (concise, scratch)
    of = lambda net: net.params if net is scratch else list(net.parameters())  # noqa: E731
    tensors, places = of(target), [param.data_ptr() for param in of(target)]
    d2l.copy_weights(source, target)
    # An optimizer made before still holds the same tensors, at the same places.
    assert all(a is b for a, b in zip(of(target), tensors))
    assert [param.data_ptr() for param in of(target)] == places
    assert all(param.is_leaf and param.requires_grad for param in tensors)
    copied = [param.detach().clone() for param in tensors]
    with torch.no_grad():
        for param in of(source):
            param.add_(1)
    assert all(torch.equal(param, old) for param, old in zip(tensors, copied))


def test_the_reset_before_the_product_is_another_network(float64):
    scratch, concise = loud(cells.gru, nn.GRU)
    X, state = torch.randint(7, (3, 6)), random_state(concise, 3)[0]
    difference = (scratch(X, (state,))[0] - concise(X, state)[0]).detach().abs().max()
    assert float(difference) > 1e-3
    with torch.no_grad():
        scratch.params[5].fill_(60)  # b_r: the reset gate is one
    d2l.copy_weights(scratch, concise)
    torch.testing.assert_close(scratch(X, (state,))[0], concise(X, state)[0], rtol=0, atol=1e-10)


def relu_cell(X, state, params):
    W_xh, W_hh, b_h = params
    return (torch.clamp(X @ W_xh + state[0] @ W_hh + b_h, min=0),), {}


def test_a_layer_with_relu_is_copied_too(float64):
    rnn = nn.RNN(7, 5, num_layers=2, nonlinearity="relu")
    params = [torch.zeros(n, 5) if n else torch.zeros(5) for n in (7, 5, 0, 5, 5, 0)]
    d2l.copy_weights(rnn, params)
    inputs, state = torch.randn(6, 3, 7), torch.randn(2, 3, 5)
    ours, (last,) = cells.stack(relu_cell, inputs, (state,), [params[:3], params[3:]])
    theirs, end = rnn(inputs, state)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    torch.testing.assert_close(last, end, rtol=0, atol=1e-10)
    assert ours.max() > 0 and torch.equal(ours, ours.abs())


# --- Gradients side by side ----------------------------------------------------------------------


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell, layer", PAIRS)
def test_gradients_side_by_side(cell, layer, bias, bidirectional, float64):
    scratch, concise = both(cell, layer, num_layers=1, bidirectional=bidirectional, bias=bias)
    d2l.copy_weights(scratch, concise)
    differences(scratch, concise, torch.randint(7, (3, 6)))
    pairs = d2l.compare_gradients(scratch, concise)
    marks = [" of cell 1", " of cell 2"] if bidirectional else [""]
    names = [name + mark for mark in marks for name in cells.names(cell, bias)] + ["W_hq", "b_q"]
    assert list(pairs) == names
    expected = unpacked(concise, gradient)
    for (ours, its), param, grad in zip(pairs.values(), scratch.params, expected, strict=True):
        assert ours is param.grad and ours.any()
        assert torch.equal(its, grad)
        torch.testing.assert_close(ours, its, rtol=0, atol=1e-10)


def test_gradients_of_different_weights_differ(float64):
    scratch, concise = both(cells.lstm, nn.LSTM)
    differences(scratch, concise, torch.randint(7, (3, 6)))
    for name, (ours, its) in d2l.compare_gradients(scratch, concise).items():
        assert float((ours - its).abs().max()) > 1e-6, name


def test_gradients_of_a_list_and_a_bare_layer(float64):
    params = [torch.randn(shape, requires_grad=True) for shape in ((7, 5), (5, 5), (5,))]
    rnn = nn.RNN(7, 5)
    d2l.copy_weights(params, rnn)
    inputs, state = torch.randn(4, 2, 7), torch.randn(1, 2, 5)
    cells.stack(cells.rnn, inputs, (state,), [params])[0].sum().backward()
    rnn(inputs, state)[0].sum().backward()
    pairs = d2l.compare_gradients(params, rnn)
    assert list(pairs) == ["W_xh", "W_hh", "b_h"]
    for ours, its in pairs.values():
        assert ours.any()
        torch.testing.assert_close(ours, its, rtol=0, atol=1e-10)


# --- What does not fit ---------------------------------------------------------------------------


def refused(scratch, concise, message):
    """Both directions raise ValueError with this message, and change nothing."""
    params = getattr(scratch, "params", scratch)
    tensors = [*params, *concise.parameters()]
    before = [tensor.detach().clone() for tensor in tensors]
    for source, target in ((scratch, concise), (concise, scratch)):
        with pytest.raises(ValueError, match=message):
            d2l.copy_weights(source, target)
    with pytest.raises(ValueError, match=message):
        d2l.compare_gradients(scratch, concise)
    assert all(torch.equal(tensor, old) for tensor, old in zip(tensors, before))


def test_a_wrong_number_of_parameters_is_refused_by_name():
    scratch, concise = both(cells.rnn, nn.RNN)
    names = "W_xh, W_hh, b_h, W_hq, b_q"
    refused(scratch.params[:-1], concise, f"must have 5 parameters, {names}; got 4")
    refused(scratch, concise.rnn, "must have 3 parameters, W_xh, W_hh, b_h; got 5")
    refused([], concise.rnn, "must have 3 parameters, .*; got 0")
    lstm, _ = both(cells.lstm, nn.LSTM)
    refused(lstm, concise, "must have 5 parameters, .*; got 14")
    two, _ = both(cells.rnn, nn.RNN, num_layers=2)
    refused(two, concise, "must have 5 parameters, .*; got 8")
    _, other = both(cells.rnn, nn.RNN, bias=False)
    refused(scratch, other, "must have 4 parameters, W_xh, W_hh, W_hq, b_q; got 5")


def test_a_wrong_shape_is_refused_by_name_with_what_was_wanted():
    wide, _ = both(cells.lstm, nn.LSTM, num_hiddens=6)
    _, concise = both(cells.lstm, nn.LSTM)
    refused(wide, concise, r"W_xi must have the shape \(7, 5\), got \(7, 6\)")
    scratch, concise = both(cells.gru_reset_after, nn.GRU, num_layers=2, bidirectional=True)
    scratch.params[21] = torch.zeros(9, 5)  # of 10 in each cell, the second of the third
    refused(scratch, concise, r"W_hz of cell 3 must have the shape \(5, 5\), got \(9, 5\)")
    scratch, concise = both(cells.rnn, nn.RNN)
    scratch.params[3] = scratch.params[3].detach().T  # the one that is most often turned
    refused(scratch, concise, r"W_hq must have the shape \(5, 7\), got \(7, 5\)")


def test_what_is_no_plain_recurrent_layer_is_refused():
    params = [torch.zeros(7, 5), torch.zeros(5, 5), torch.zeros(5)]
    refused(params, nn.LSTM(7, 5, proj_size=3), "without proj_size.*LSTM")
    refused(params, nn.Linear(7, 5), "nn.RNN, nn.GRU or nn.LSTM.*Linear")
    refused(params, nn.GRUCell(7, 5), "nn.RNN, nn.GRU or nn.LSTM.*GRUCell")
    with pytest.raises(ValueError, match="nn.RNN, nn.GRU or nn.LSTM"):
        d2l.copy_weights(params, params)
