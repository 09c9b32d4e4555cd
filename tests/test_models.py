"""The models against torch.nn: the same weights must give the same numbers and gradients."""

import pytest
import torch
from small_nets import concise_rnn, scratch_rnn, twin
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l


def test_scratch_and_concise_are_the_same_network():
    scratch = scratch_rnn(vocab_size=11)
    concise = twin(scratch)
    X = torch.randint(11, (3, 6))
    (H,) = state = (torch.randn(3, 8, dtype=torch.float64),)
    logits, (new_H,) = scratch(X, state)
    logits2, new_H2 = concise(X, H.unsqueeze(0))
    torch.testing.assert_close(logits, logits2)
    torch.testing.assert_close(new_H, new_H2[0])

    targets = torch.randint(11, (18,))
    F.cross_entropy(logits, targets).backward()
    F.cross_entropy(logits2, targets).backward()
    W_xh, W_hh, b_h, W_hq, b_q = (param.grad for param in scratch.params)
    for mine, theirs in [
        (W_xh.T, concise.rnn.weight_ih_l0),
        (W_hh.T, concise.rnn.weight_hh_l0),
        (b_h, concise.rnn.bias_ih_l0),
        (W_hq.T, concise.linear.weight),
        (b_q, concise.linear.bias),
    ]:
        torch.testing.assert_close(mine, theirs.grad)


LAYERS = [
    (nn.RNN, {}),
    (nn.RNN, {"nonlinearity": "relu", "bias": False}),
    (nn.GRU, {"num_layers": 2}),
    (nn.LSTM, {"num_layers": 2}),
    (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
    (nn.GRU, {"bidirectional": True}),
]


@pytest.mark.parametrize("layer, kwargs", LAYERS)
def test_rnn_model_is_its_layer_and_a_linear_one(layer, kwargs):
    net = concise_rnn(9, 5, layer, **kwargs)
    X = torch.randint(9, (4, 7))
    logits, state = net(X, net.begin_state(X.device, 4))
    # Sequence by sequence, without a state, in torch's other layout.
    for i, x in enumerate(X):
        H, last = net.rnn(torch.eye(9, dtype=torch.float64)[x])
        expected = H @ net.linear.weight.T + net.linear.bias
        torch.testing.assert_close(logits.view(7, 4, 9)[:, i], expected)  # row t * 4 + i
        for part, whole in zip(*((s,) if torch.is_tensor(s) else s for s in (last, state))):
            torch.testing.assert_close(part, whole[:, i])
    torch.testing.assert_close(net(X)[0], logits)
    torch.testing.assert_close(net(X, None)[0], logits)


@pytest.mark.parametrize("layer, kwargs", LAYERS[:4])  # not both directions: no second half yet
def test_a_state_goes_on_where_it_was_left(layer, kwargs):
    net = concise_rnn(9, 5, layer, **kwargs)
    X = torch.randint(9, (2, 8))
    whole, last = net(X)
    first, state = net(X[:, :3])
    second, state = net(X[:, 3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("layer, kwargs", LAYERS)
def test_begin_state_in_both_orders(layer, kwargs):
    net = concise_rnn(9, 5, layer, **kwargs)
    cpu = torch.device("cpu")
    rows = kwargs.get("num_layers", 1) * (2 if kwargs.get("bidirectional") else 1)
    zeros = torch.zeros(rows, 4, 5, dtype=torch.float64)  # of the weights' type
    expected = (zeros, zeros) if layer is nn.LSTM else zeros
    for state in (
        net.begin_state(cpu, 4),
        net.begin_state(4, cpu),
        net.begin_state("cpu", batch_size=4),
        net.begin_state(device=cpu, batch_size=4),
        net.begin_state(batch_size=4, device=cpu),
        net.begin_state(batch_size=4),
        net.begin_state(4),
    ):
        torch.testing.assert_close(state, expected)
    one = net.begin_state(cpu)
    assert (one[0] if layer is nn.LSTM else one).shape[1] == 1


def test_begin_state_of_a_scratch_model_in_both_orders():
    asked = []
    net = d2l.RNNModelScratch(
        4, 3, "cpu", lambda *args: [], lambda *args: asked.append(args), lambda *args: None
    )
    cpu = torch.device("cpu")
    for positional, keywords in [
        ((2, cpu), {}),
        ((cpu, 2), {}),
        ((), {"batch_size": 2, "device": cpu}),
        ((), {"device": cpu, "batch_size": 2}),
        ((2,), {"device": cpu}),
    ]:
        net.begin_state(*positional, **keywords)
    assert asked == [(2, 3, cpu)] * 5
    net.begin_state(2)
    net.begin_state(cpu)
    assert asked[5:] == [(2, 3, None), (1, 3, cpu)]


def test_a_scratch_model_calls_its_three_functions():
    calls = []

    def forward(inputs, state, params):
        calls.append((inputs, state, params))
        return "logits", "state"

    weights = torch.zeros(2, dtype=torch.float64)
    net = d2l.RNNModelScratch(
        5, 7, "cpu", lambda *args: [weights, args], lambda *args: args, forward
    )
    assert net.params[1] == (5, 7, "cpu")
    X = torch.tensor([[0, 4, 2], [1, 1, 3]], dtype=torch.int32)  # any integers
    assert net(X, "old") == ("logits", "state")
    inputs, state, params = calls[0]
    assert state == "old" and params is net.params
    torch.testing.assert_close(inputs, torch.eye(5, dtype=torch.float64)[X.T.long()])
    net(X)
    assert calls[1][1] == (2, 7, torch.device("cpu"))


def test_a_layer_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="input_size=vocab_size=28, got 27"):
        d2l.RNNModel(nn.GRU(27, 8), 28)
    with pytest.raises(ValueError, match="batch_first=False, got True"):
        d2l.RNNModel(nn.GRU(28, 8, batch_first=True), 28)
    with pytest.raises(ValueError, match="proj_size=0, got 4"):
        d2l.RNNModel(nn.LSTM(28, 8, proj_size=4), 28)


def test_a_layer_of_ones_own():
    class Homework(nn.Module):
        """What D2L's shell asks for, and no more."""

        hidden_size, num_layers, bidirectional = 6, 1, False

        def __init__(self, vocab_size):
            super().__init__()
            self.cell = nn.GRUCell(vocab_size, self.hidden_size)

        def forward(self, X, state):
            H, outputs = state[0], []
            for x in X:
                H = self.cell(x, H)
                outputs.append(H)
            return torch.stack(outputs), H.unsqueeze(0)

    net = d2l.RNNModel(Homework(9), 9).double()
    X = torch.randint(9, (3, 4))
    logits, H = net(X, net.begin_state(batch_size=3, device="cpu"))
    gru = nn.GRU(9, 6).double()
    gru.load_state_dict({f"{name}_l0": value for name, value in net.rnn.cell.state_dict().items()})
    expected, last = gru(F.one_hot(X.T, 9).double())
    torch.testing.assert_close(logits, net.linear(expected).reshape(-1, 9))
    torch.testing.assert_close(H, last)
