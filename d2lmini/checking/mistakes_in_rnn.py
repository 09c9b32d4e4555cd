r"""What goes wrong in the cell of an RNN."""

import torch

from .networks import IN_EVERY_CELL, network_of_cell


def step(X, state, params, new_H=lambda XW, HW, b_h, **_: torch.tanh(XW + HW + b_h)):
    """A step of the RNN; new_H: another equation, of X @ W_xh, H @ W_hh, b_h and the old H."""
    W_xh, W_hh, b_h = params
    (H,) = state
    return (new_H(XW=X @ W_xh, HW=H @ W_hh, b_h=b_h, H=H),), {}


MISTAKES = IN_EVERY_CELL | {
    "There is no tanh.": {"new_H": lambda XW, HW, b_h, **_: XW + HW + b_h},
    "There is a σ where the RNN has tanh.":
        {"new_H": lambda XW, HW, b_h, **_: torch.sigmoid(XW + HW + b_h)},
    "There is a ReLU where the RNN has tanh.":
        {"new_H": lambda XW, HW, b_h, **_: torch.relu(XW + HW + b_h)},
    "There are two tanh, one inside the other.":
        {"new_H": lambda XW, HW, b_h, **_: torch.tanh(torch.tanh(XW + HW + b_h))},
    "The tanh is around X @ W_xh alone; it belongs around the whole sum.":
        {"new_H": lambda XW, HW, b_h, **_: torch.tanh(XW) + HW + b_h},
    "The old H is added to the new one; an RNN has only the tanh.":
        {"new_H": lambda XW, HW, b_h, H: H + torch.tanh(XW + HW + b_h)},
    "b_h is added after the tanh; it belongs inside.":
        {"new_H": lambda XW, HW, b_h, **_: torch.tanh(XW + HW) + b_h},
    "The state that is carried on lacks the tanh.": {
        "new_H": lambda XW, HW, b_h, **_: XW + HW + b_h,
        "reads": lambda state, gates: torch.tanh(state[0]),
    },
}  # fmt: skip
NETWORK = network_of_cell(step, {"h": "the candidate"}, MISTAKES)
