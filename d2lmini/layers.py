"""`RNN`, `GRU` and `LSTM` as those of `torch.nn`, with the backward pass by hand.

    d2l.RNNModel(layers.GRU(len(vocab), 256, num_layers=2), len(vocab))

They are `torch.nn`'s own layers, with their parameters, their names and their start, so that
`load_state_dict` and `copy_weights` work between the two; only `forward` is another. They also
read tokens, (num_steps, batch_size), and then need no one-hot vectors. They have no dropout, no
`batch_first`, no projections, no packed sequences and no second derivative. Their outputs must not
be changed in place, and may not be contiguous: `reshape` them, where you would `view`.
"""

from torch import nn

from . import by_hand, cells
from .weights import torch_params


class _ByHand:
    """What the three layers do in place of `torch.nn`'s `forward`."""

    reads_tokens = True

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, bidirectional=False, **where
    ):
        """where: `device` and `dtype` of the parameters."""
        if not where.keys() <= {"device", "dtype"}:
            raise TypeError(f"{type(self).__name__} has no {', '.join(where)}")
        super().__init__(
            input_size, hidden_size, num_layers, bias=bias, bidirectional=bidirectional, **where
        )

    def forward(self, input, hx=None):
        """The outputs of the top layer and the last state, as `torch.nn` gives them.

        input: (num_steps, batch_size, input_size), or tokens, (num_steps, batch_size).
        hx: H, or (H, C) of an LSTM, each (layers * directions, batch_size, hidden_size).
        """
        inputs, state = input, hx
        if inputs.dim() != (3 if inputs.is_floating_point() else 2):
            raise ValueError(
                "input must be vectors, (num_steps, batch_size, input_size), or tokens, "
                f"(num_steps, batch_size); got {inputs.dtype} of shape {tuple(inputs.shape)}"
            )
        parts = 2 if self.cell is cells.lstm else 1
        count = self.num_layers * (2 if self.bidirectional else 1)
        shape = (count, inputs.shape[1], self.hidden_size)
        if state is None:
            state = (self.weight_hh_l0.new_zeros(shape),) * parts
        elif parts == 1:
            state = (state,)
        for part in state:
            if part.shape != shape:
                raise ValueError(f"hx must have the shape {shape}, got {tuple(part.shape)}")
        outputs, state = cells.stack(
            self.cell, inputs, state, torch_params(self), self.bidirectional, by_hand.unroll
        )
        return outputs, (state if parts == 2 else state[0])


class RNN(_ByHand, nn.RNN):
    """As `torch.nn.RNN` with tanh, without dropout between layers."""

    cell = staticmethod(cells.rnn)


class GRU(_ByHand, nn.GRU):
    """As `torch.nn.GRU`, whose reset gate stands after the product."""

    cell = staticmethod(cells.gru_reset_after)


class LSTM(_ByHand, nn.LSTM):
    """As `torch.nn.LSTM`, without dropout between layers and without projections."""

    cell = staticmethod(cells.lstm)
