r"""What goes wrong in the cell of a minimal gated unit."""

import torch

from .networks import IN_EVERY_GATED_CELL, network_of_cell


def step(
    X, state, params, gate=torch.sigmoid, squash=torch.tanh,
    recurrent=lambda F, H, W_hh, **_: (F * H) @ W_hh,
    new_H=lambda F, H, H_tilde: (1 - F) * H + F * H_tilde,
):  # fmt: skip
    """A step of the minimal gated unit (Zhou et al., 2016, equations 4): one gate, two tasks.

    The further arguments are what a mistake changes, as in the GRU's step.
    """
    W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
    (H,) = state
    F = gate(X @ W_xf + H @ W_hf + b_f)
    XW = X @ W_xh
    H_tilde = squash(XW + recurrent(F=F, H=H, XW=XW, W_hh=W_hh, b_h=b_h) + b_h)
    return (new_H(F=F, H=H, H_tilde=H_tilde),), {"F": F, "H_tilde": H_tilde}


MISTAKES = IN_EVERY_GATED_CELL | {
    "The gate multiplies after the product with W_hh; it is to do so before.":
        {"recurrent": lambda F, H, W_hh, **_: F * (H @ W_hh)},
    "The gate multiplies the product with W_hh and b_h, too; it is to multiply H.":
        {"recurrent": lambda F, H, W_hh, b_h, **_: F * (H @ W_hh + b_h) - b_h},
    "The gate multiplies the whole sum; it is to multiply H.":
        {"recurrent": lambda F, H, XW, W_hh, b_h: F * (XW + H @ W_hh + b_h) - XW - b_h},
    "The gate does not multiply the H that the candidate sees.":
        {"recurrent": lambda H, W_hh, **_: H @ W_hh},
    "The candidate uses 1 - F in place of F.":
        {"recurrent": lambda F, H, W_hh, **_: ((1 - F) * H) @ W_hh},
    "F and 1 - F are exchanged: F says how much of the candidate comes in.":
        {"new_H": lambda F, H, H_tilde: F * H + (1 - F) * H_tilde},
    "The candidate is added whole; it needs the factor F.":
        {"new_H": lambda F, H, H_tilde: (1 - F) * H + H_tilde},
    "The old H is added whole; it needs the factor 1 - F.":
        {"new_H": lambda F, H, H_tilde: H + F * H_tilde},
    "F ⊙ H has overwritten the old H; the new H is made of the old one.":
        {"new_H": lambda F, H, H_tilde: (1 - F) * F * H + F * H_tilde},
    "The old H is missing from the new one.": {"new_H": lambda F, H, H_tilde: F * H_tilde},
    "1 - F needs parentheses: without them only F multiplies the old H.":
        {"new_H": lambda F, H, H_tilde: 1 - F * H + F * H_tilde},
    "H is the candidate; the gate must mix it with the old H, before that is overwritten.":
        {"new_H": lambda F, H, H_tilde: H_tilde},
    "The logits are made of the candidate; they are made of the new H.":
        {"reads": lambda state, gates: gates["H_tilde"]},
}  # fmt: skip
NETWORK = network_of_cell(step, {"f": "the gate", "h": "the candidate"}, MISTAKES)
