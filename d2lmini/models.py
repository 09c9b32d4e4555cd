"""Character-level language models: the shell around a cell from scratch, and around `torch.nn`.

Both read token indices X of shape (batch_size, num_steps) and a state, and return logits of
shape (num_steps * batch_size, vocab_size), time step by time step, and the new state.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .tools import check_count


class RNNModelScratch:
    """A language model made of three functions, as in the scratch lessons.

    get_params(vocab_size, num_hiddens, device): the list of parameters.
    init_state(batch_size, num_hiddens, device): the first state, a tuple of tensors.
    forward_fn(inputs, state, params): logits and state, for one-hot inputs of shape
    (num_steps, batch_size, vocab_size).
    one_hot: False gives `forward_fn` the indices themselves, (num_steps, batch_size), as
    `readable.unroll` and `by_hand.unroll` take them.
    """

    def __init__(
        self,
        vocab_size,
        num_hiddens,
        device,
        get_params,
        init_state,
        forward_fn,
        *,
        one_hot=True,
    ):
        check_count("vocab_size", vocab_size)
        check_count("num_hiddens", num_hiddens)
        self.vocab_size, self.num_hiddens = vocab_size, num_hiddens
        self.params = get_params(vocab_size, num_hiddens, device)
        self.init_state, self.forward_fn, self.one_hot = init_state, forward_fn, one_hot

    def __call__(self, X, state=None):
        if state is None:
            state = self.begin_state(X.shape[0], X.device)
        X = X.T.long()
        if self.one_hot:
            X = F.one_hot(X, self.vocab_size).to(self.params[0].dtype)
        return self.forward_fn(X, state, self.params)

    def begin_state(self, batch_size=1, device=None):
        """The state before the first token; the two arguments may also stand the other way."""
        batch_size, device = _batch_size_and_device(batch_size, device)
        return self.init_state(batch_size, self.num_hiddens, device)


class RNNModel(nn.Module):
    """A language model around any recurrent layer of `torch.nn`: the layer, then a linear one.

    rnn_layer: an `nn.RNN`, `nn.GRU` or `nn.LSTM` with `input_size=vocab_size`, of any depth, in
    one direction or two, and not `batch_first`.
    """

    def __init__(self, rnn_layer, vocab_size):
        super().__init__()
        # A layer of your own needs no more than hidden_size, num_layers and bidirectional.
        input_size = getattr(rnn_layer, "input_size", vocab_size)
        if input_size != vocab_size:
            raise ValueError(
                f"rnn_layer must have input_size=vocab_size={vocab_size}, got {input_size}"
            )
        if getattr(rnn_layer, "batch_first", False):
            raise ValueError("rnn_layer must have batch_first=False, got True")
        if getattr(rnn_layer, "proj_size", 0):
            raise ValueError(f"rnn_layer must have proj_size=0, got {rnn_layer.proj_size}")
        self.rnn, self.vocab_size = rnn_layer, vocab_size
        self.num_hiddens = rnn_layer.hidden_size
        self.num_directions = 2 if rnn_layer.bidirectional else 1
        self.linear = nn.Linear(self.num_hiddens * self.num_directions, vocab_size)

    def forward(self, inputs, state=None):
        X = F.one_hot(inputs.T.long(), self.vocab_size).to(self.linear.weight.dtype)
        H, state = self.rnn(X, state)  # (num_steps, batch_size, directions * hiddens)
        return self.linear(H.reshape(-1, H.shape[-1])), state

    def begin_state(self, device=None, batch_size=1):
        """Zeros: H, or the pair (H, C) of an LSTM, each (layers * directions, batch, hiddens)."""
        batch_size, device = _batch_size_and_device(batch_size, device)
        shape = (self.num_directions * self.rnn.num_layers, batch_size, self.num_hiddens)
        H = torch.zeros(shape, device=device, dtype=self.linear.weight.dtype)
        return (H, torch.zeros_like(H)) if isinstance(self.rnn, nn.LSTM) else H


def first_state(net, batch_size, device):
    """The state of a model before the first token; None for one that has no `begin_state`."""
    if hasattr(net, "begin_state"):
        return net.begin_state(batch_size=batch_size, device=device)
    return None


def _batch_size_and_device(batch_size, device):
    # D2L's two models take these in opposite orders; only one of the two is ever a number.
    if isinstance(device, int) or isinstance(batch_size, (str, torch.device)):
        batch_size, device = device, batch_size
    # The default of the one that was not given has been swapped as well.
    return 1 if batch_size is None else batch_size, None if isinstance(device, int) else device
