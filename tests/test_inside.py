"""Inside a network: every number of a trace from torch's cells, and the reach from Jacobians."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l
from d2lmini import cells

CPU = torch.device("cpu")
LAYERS = [(cells.rnn, nn.RNN), (cells.gru_reset_after, nn.GRU), (cells.lstm, nn.LSTM)]


@pytest.fixture(autouse=True)
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def close(actual, expected, tolerance=1e-12):
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


def logistic(x):
    return 1 / (1 + torch.exp(-x))


# --- trace ---------------------------------------------------------------------------------------


def test_the_trace_of_an_lstm_is_that_of_torchs_cell():
    theirs = nn.LSTMCell(4, 3)
    # Its rows are i, f, g, o; ours i, f, o and the candidate.
    W, U, b, b2 = (param.chunk(4) for param in theirs.parameters())
    params = [part for k in (0, 1, 3, 2) for part in (W[k].T, U[k].T, b[k] + b2[k])]
    inputs, state = torch.randn(6, 2, 4), (torch.randn(2, 3), torch.randn(2, 3))
    seen = d2l.trace(cells.lstm, inputs, state, params)
    assert sorted(seen) == ["C", "F", "H", "I", "O"]
    for t, X in enumerate(inputs):
        sums = F.linear(X, theirs.weight_ih, theirs.bias_ih)
        gates = logistic(sums + F.linear(state[0], theirs.weight_hh, theirs.bias_hh)).chunk(4, 1)
        state = theirs(X, state)
        for letter, expected in zip("IFOHC", (gates[0], gates[1], gates[3], *state)):
            close(seen[letter][t], expected.detach())
    assert all(len(values) == 6 for values in seen.values())


def test_the_trace_of_a_gru_is_that_of_torchs_cell():
    theirs = nn.GRUCell(4, 3)
    W, U, b, b2 = (param.chunk(3) for param in theirs.parameters())  # r, z, n
    params = [W[1].T, U[1].T, b[1] + b2[1], W[0].T, U[0].T, b[0] + b2[0]]
    params += [W[2].T, U[2].T, b[2], b2[2]]
    inputs, H = torch.randn(6, 2, 4), torch.randn(2, 3)
    seen = d2l.trace(cells.gru_reset_after, inputs, (H,), params)
    assert sorted(seen) == ["H", "R", "Z"]
    for t, X in enumerate(inputs):
        sums = F.linear(X, theirs.weight_ih, theirs.bias_ih)
        gates = logistic(sums + F.linear(H, theirs.weight_hh, theirs.bias_hh)).chunk(3, 1)
        H = theirs(X, H)
        for letter, expected in zip("RZH", (*gates[:2], H)):
            close(seen[letter][t], expected.detach())


def test_the_trace_of_an_rnn_is_its_states_alone():
    theirs = nn.RNN(4, 3)
    W, U, b, b2 = theirs.parameters()
    inputs, H = torch.randn(6, 2, 4), torch.randn(1, 2, 3)
    seen = d2l.trace(cells.rnn, inputs, (H[0],), [W.T, U.T, b + b2])
    assert list(seen) == ["H"]
    close(seen["H"], theirs(inputs, H)[0].detach())


def test_a_trace_has_no_gradient_and_leaves_none():
    params = cells.network(cells.lstm)[0](4, 3, CPU)[:-2]
    state = tuple(torch.randn(2, 3, requires_grad=True) for _ in range(2))
    seen = d2l.trace(cells.lstm, torch.randn(6, 2, 4), state, params)
    assert not any(values.requires_grad for values in seen.values())
    assert all(tensor.grad is None and tensor.requires_grad for tensor in (*params, *state))
    assert torch.is_grad_enabled()


def test_the_trace_of_a_cell_of_ones_own():
    def cell(X, state, params):
        return (state[0] + X, state[1] + 1), {"half": X / 2}

    inputs = torch.randn(5, 2, 3)
    seen = d2l.trace(cell, inputs, (torch.zeros(2, 3), torch.zeros(2, 3)), [])
    close(seen["H"], inputs.cumsum(0))
    close(seen["C"], torch.arange(1.0, 6).view(5, 1, 1).expand(5, 2, 3))
    close(seen["half"], inputs / 2)


# --- gradient_reach ------------------------------------------------------------------------------


def concise(layer, **kwargs):
    return d2l.RNNModel(layer(7, 5, **kwargs), 7)


def scratch(cell, num_layers=1):
    return d2l.RNNModelScratch(7, 5, CPU, *cells.network(cell, num_layers))


def parts_of(state):
    return (state,) if isinstance(state, torch.Tensor) else tuple(state)


def losses_after(net, X, Y, k, like):
    """The last letter's loss of each text, as a function of the state k steps before its end."""

    def losses(*parts):
        state = parts[0] if isinstance(like, torch.Tensor) else parts
        logits, _ = net(X[:, -k:], state)
        return F.cross_entropy(logits[-len(X) :], Y[:, -1], reduction="none")

    return losses


def state_before(net, X, k):
    """The state k steps before the end, the letters up to there read in one go."""
    with torch.no_grad():
        before = X[:, :-k]
        return net(before)[1] if before.shape[1] else net.begin_state(batch_size=len(X))


NETS = {
    "scratch RNN": lambda: scratch(cells.rnn),
    "scratch GRU of two layers": lambda: scratch(cells.gru, 2),
    "scratch LSTM": lambda: scratch(cells.lstm),
    "RNN": lambda: concise(nn.RNN),
    "RNN of two layers": lambda: concise(nn.RNN, num_layers=2),
    "GRU of two layers": lambda: concise(nn.GRU, num_layers=2),
    "LSTM": lambda: concise(nn.LSTM),
    "LSTM of two layers": lambda: concise(nn.LSTM, num_layers=2),
}


@pytest.mark.parametrize("name", NETS)
def test_the_reach_is_the_norm_of_the_jacobian(name):
    net = NETS[name]()
    X, Y = torch.randint(7, (2, 3, 6))
    reach = d2l.gradient_reach(net, X, Y)
    assert reach.shape == (6,) and not reach.requires_grad
    for k in range(1, 7):
        state = state_before(net, X, k)
        losses = losses_after(net, X, Y, k, state)
        jacobians = torch.autograd.functional.jacobian(losses, parts_of(state))
        norms = []
        for i in range(3):  # (texts, layers, texts, hiddens): a text's own state, and no other's
            own = torch.cat([part[i, :, i].flatten() for part in jacobians])
            everything = torch.cat([part[i].flatten() for part in jacobians])
            norms.append(own.norm())
            close(own.norm(), everything.norm())
        close(reach[k - 1], sum(norms) / 3)
    assert len({round(float(r), 12) for r in reach}) == 6


@pytest.mark.parametrize("name", NETS)
def test_the_reach_is_that_of_finite_differences(name):
    net, step = NETS[name](), 1e-5
    X, Y = torch.randint(7, (2, 1, 4))
    reach = d2l.gradient_reach(net, X, Y)
    for k in (1, 2, 4):
        state = state_before(net, X, k)
        losses = losses_after(net, X, Y, k, state)
        slopes = []
        with torch.no_grad():
            for number, part in enumerate(parts_of(state)):
                for place in torch.eye(part.numel()).view(-1, *part.shape):
                    up, down = (
                        losses(*(p + s * place * (i == number) for i, p in enumerate(parts)))
                        for s, parts in ((step, parts_of(state)), (-step, parts_of(state)))
                    )
                    slopes.append(float(up - down) / (2 * step))
        assert float(reach[k - 1]) == pytest.approx(math.hypot(*slopes), rel=1e-7)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1])
def test_in_a_linear_network_the_reach_shrinks_by_the_factor_every_step(factor):
    net = scratch(cells.rnn)
    W_xh, W_hh, b_h, W_hq, b_q = net.params
    with torch.no_grad():
        W_xh.mul_(1e-4)  # so that tanh is the identity
        b_h.zero_()
        W_hh.copy_(factor * torch.linalg.qr(torch.randn(5, 5))[0])
    X, Y = torch.randint(7, (2, 3, 20))
    reach = d2l.gradient_reach(net, X, Y)
    assert (reach[1:] / reach[:-1]).tolist() == pytest.approx([factor] * 19, rel=1e-2)
    # And the last step by hand: the gradient of the logits is softmax - one-hot.
    errors = b_q.softmax(0) - torch.eye(7)[Y[:, -1]]
    assert float(reach[0]) == pytest.approx(
        factor * float((errors @ W_hq.T).detach().norm(dim=1).mean()), rel=1e-2
    )


@pytest.mark.parametrize("forget", [1.0, 0.8, 0.3])
def test_through_an_lstms_memory_the_reach_shrinks_by_its_forget_gate(forget):
    net = scratch(cells.lstm)
    b_f, W_hq, b_q = net.params[5], net.params[-2], net.params[-1]
    with torch.no_grad():
        for param in net.params[:-2]:
            param.zero_()  # every gate is one half and nothing is ever written: C stays 0
        b_f.fill_(math.log(forget / (1 - forget)) if forget < 1 else 60)
    X, Y = torch.randint(7, (2, 3, 12))
    errors = b_q.softmax(0) - torch.eye(7)[Y[:, -1]]
    last = 0.5 * float((errors @ W_hq.T).detach().norm(dim=1).mean())  # H = 1/2 tanh(C)
    expected = [last * forget**k for k in range(1, 13)]
    # Nothing goes through H here; who counts H alone sees 0.
    assert d2l.gradient_reach(net, X, Y).tolist() == pytest.approx(expected, rel=1e-9)


def test_through_a_gru_the_reach_shrinks_by_its_update_gate():
    net = concise(nn.GRU)
    with torch.no_grad():
        for param in net.rnn.parameters():
            param.zero_()
        net.rnn.bias_ih_l0[5:10] = math.log(9.0)  # r, z, n: Z = 0.9, and no new candidate
    X, Y = torch.randint(7, (2, 3, 12))
    errors = net.linear.bias.softmax(0) - torch.eye(7)[Y[:, -1]]
    last = float((errors @ net.linear.weight).detach().norm(dim=1).mean())
    expected = [last * 0.9**k for k in range(1, 13)]
    assert d2l.gradient_reach(net, X, Y).tolist() == pytest.approx(expected, rel=1e-9)


def test_the_reach_is_the_mean_over_the_texts():
    net = concise(nn.LSTM)
    X, Y = torch.randint(7, (2, 4, 5))
    alone = [d2l.gradient_reach(net, X[i : i + 1], Y[i : i + 1]) for i in range(4)]
    close(d2l.gradient_reach(net, X, Y), sum(alone) / 4)


def test_only_the_last_letter_counts():
    net = concise(nn.GRU)
    X, Y = torch.randint(7, (2, 3, 5))
    reach = d2l.gradient_reach(net, X, Y)
    other = (Y + 1) % 7
    other[:, -1] = Y[:, -1]
    assert torch.equal(d2l.gradient_reach(net, X, other), reach)
    other[:, -1] = (Y[:, -1] + 1) % 7
    assert float((d2l.gradient_reach(net, X, other) - reach).abs().min()) > 1e-9
    assert torch.equal(d2l.gradient_reach(net, X.int(), Y.int()), reach)  # any integers


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell, layer", LAYERS)
def test_scratch_and_concise_reach_equally_far(cell, layer, num_layers):
    ours, theirs = scratch(cell, num_layers), concise(layer, num_layers=num_layers)
    d2l.copy_weights(ours, theirs)
    X, Y = torch.randint(7, (2, 3, 8))
    close(d2l.gradient_reach(ours, X, Y), d2l.gradient_reach(theirs, X, Y), 1e-10)


@pytest.mark.parametrize("name", ["scratch LSTM", "LSTM of two layers"])
def test_looking_leaves_no_trace(name):
    net = NETS[name]()
    params = net.params if name.startswith("scratch") else list(net.parameters())
    weights = [param.detach().clone() for param in params]
    X, Y = torch.randint(7, (2, 3, 5))
    before = torch.get_rng_state()
    first = d2l.gradient_reach(net, X, Y)
    assert all(param.grad is None for param in params)
    for param in params:
        param.grad = torch.full_like(param, 3)
    assert torch.equal(d2l.gradient_reach(net, X, Y), first)
    assert all(bool((param.grad == 3).all()) for param in params)
    assert all(torch.equal(param, old) for param, old in zip(params, weights))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM])
def test_the_reach_of_a_network_that_trains_and_of_one_that_does_not(layer):
    net = concise(layer, num_layers=2)
    X, Y = torch.randint(7, (2, 3, 5))
    training = d2l.gradient_reach(net.train(), X, Y)
    assert net.training
    assert torch.equal(d2l.gradient_reach(net.eval(), X, Y), training) and not net.training
    for param in net.parameters():
        param.requires_grad_(False)  # a frozen network has a reach as well
    close(d2l.gradient_reach(net, X, Y), training)
