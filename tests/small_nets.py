"""Small networks whose every number the tests know: from scratch, and as a homework has them."""

import torch
from torch import nn

import d2lmini as d2l

TEXT = "the time traveller came back on thursday and told us a long story. " * 6


def small_data(batch_size=2, num_steps=5, text=TEXT, **kwargs):
    """A loader over a short text, and its vocabulary."""
    return d2l.load_data_text(text, batch_size, num_steps, **kwargs)


def rnn_params(vocab_size, num_hiddens, device, dtype=torch.float64):
    shapes = [
        (vocab_size, num_hiddens),
        (num_hiddens, num_hiddens),
        (num_hiddens,),
        (num_hiddens, vocab_size),
        (vocab_size,),
    ]
    params = [0.3 * torch.randn(shape, device=device, dtype=dtype) for shape in shapes]
    return [param.requires_grad_() for param in params]


def rnn_state(batch_size, num_hiddens, device, dtype=torch.float64):
    return (torch.zeros((batch_size, num_hiddens), device=device, dtype=dtype),)


def rnn_forward(inputs, state, params):
    W_xh, W_hh, b_h, W_hq, b_q = params
    (H,) = state
    outputs = []
    for X in inputs:
        H = torch.tanh(X @ W_xh + H @ W_hh + b_h)
        outputs.append(H @ W_hq + b_q)
    return torch.cat(outputs), (H,)


def scratch_rnn(vocab_size, num_hiddens=8):
    """A float64 RNN from scratch."""
    return d2l.RNNModelScratch(
        vocab_size, num_hiddens, torch.device("cpu"), rnn_params, rnn_state, rnn_forward
    )


def concise_rnn(vocab_size, num_hiddens=8, layer=nn.RNN, **kwargs):
    """A float64 model around a layer of torch.nn."""
    return d2l.RNNModel(layer(vocab_size, num_hiddens, **kwargs), vocab_size).double()


def twin(scratch):
    """The `RNNModel` with the weights of a scratch RNN."""
    net = concise_rnn(scratch.vocab_size, scratch.num_hiddens)
    W_xh, W_hh, b_h, W_hq, b_q = (param.detach() for param in scratch.params)
    with torch.no_grad():
        net.rnn.weight_ih_l0.copy_(W_xh.T)
        net.rnn.weight_hh_l0.copy_(W_hh.T)
        net.rnn.bias_ih_l0.copy_(b_h)
        net.rnn.bias_hh_l0.zero_()
        net.linear.weight.copy_(W_hq.T)
        net.linear.bias.copy_(b_q)
    return net


class Alphabet(nn.Module):
    """Answers every token with the one behind it in the vocabulary, around in a circle.

    The state counts the tokens read, so that a test sees whether it is carried on.
    """

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size
        self.modes, self.seen = [], []

    def begin_state(self, batch_size, device):
        return torch.zeros(1, batch_size)

    def forward(self, X, state):
        self.modes.append(self.training)
        self.seen += X.reshape(-1).tolist()
        successors = (X.T.reshape(-1) + 1) % self.vocab_size
        return nn.functional.one_hot(successors, self.vocab_size).float(), state + X.shape[1]
