r"""What goes wrong in the cell of a GRU. A new mistake is a row of the table.

A row may change a part of `step`, or what is around it: `reads(state, gates)` is what the output
layer reads, the new H; for all else see `network_of_cell` and `forward` in networks.py.
"""

import torch

from .networks import IN_EVERY_GATED_CELL, network_of_cell


def step(
    X, state, params, gate=torch.sigmoid, tanh_in="", squash=torch.tanh,
    recurrent=lambda R, H, W_hh, **_: (R * H) @ W_hh,
    new_H=lambda Z, H, H_tilde, **_: Z * H + (1 - Z) * H_tilde,
):  # fmt: skip
    """A step of the GRU, as `cells.gru`, with the candidate beside the gates.

    What a mistake changes: `gate` is what the gates go through; `tanh_in` the one, "Z" or "R",
    that goes through tanh; `squash` what the candidate goes through; `recurrent` the part of the
    candidate that comes from H; `new_H` the equation of the new H.
    """
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
    (H,) = state
    Z = (torch.tanh if tanh_in == "Z" else gate)(X @ W_xz + H @ W_hz + b_z)
    R = (torch.tanh if tanh_in == "R" else gate)(X @ W_xr + H @ W_hr + b_r)
    XW = X @ W_xh
    H_tilde = squash(XW + recurrent(R=R, Z=Z, H=H, XW=XW, W_hh=W_hh, b_h=b_h) + b_h)
    return (new_H(Z=Z, R=R, H=H, H_tilde=H_tilde),), {"Z": Z, "R": R, "H_tilde": H_tilde}


MISTAKES = IN_EVERY_GATED_CELL | {
    "R goes through tanh; it needs σ.": {"tanh_in": "R"},
    "Z goes through tanh; it needs σ.": {"tanh_in": "Z"},
    "The reset gate multiplies after the product with W_hh; it is to do so before.":
        {"recurrent": lambda R, H, W_hh, **_: R * (H @ W_hh)},
    "The reset gate multiplies the product with W_hh and b_h, too; only H is to be reset.":
        {"recurrent": lambda R, H, W_hh, b_h, **_: R * (H @ W_hh + b_h) - b_h},
    "The reset gate multiplies the whole sum; only H is to be reset.":
        {"recurrent": lambda R, H, XW, W_hh, b_h, **_: R * (XW + H @ W_hh + b_h) - XW - b_h},
    "The reset gate is not used.": {"recurrent": lambda H, W_hh, **_: H @ W_hh},
    "The candidate uses 1 - R in place of R.":
        {"recurrent": lambda R, H, W_hh, **_: ((1 - R) * H) @ W_hh},
    "The candidate uses Z in place of R, or R has the parameters of Z.":
        {"recurrent": lambda Z, H, W_hh, **_: (Z * H) @ W_hh},
    "The candidate is made of R @ W_hh without H.": {"recurrent": lambda R, W_hh, **_: R @ W_hh},
    "1 - Z needs parentheses: without them only Z multiplies the candidate.":
        {"new_H": lambda Z, H, H_tilde, **_: Z * H + 1 - Z * H_tilde},
    "Z and 1 - Z are exchanged: Z says how much of the old H is kept.":
        {"new_H": lambda Z, H, H_tilde, **_: (1 - Z) * H + Z * H_tilde},
    "The candidate is added whole; it needs the factor 1 - Z.":
        {"new_H": lambda Z, H, H_tilde, **_: Z * H + H_tilde},
    "The old H is added whole; it needs the factor Z.":
        {"new_H": lambda Z, H, H_tilde, **_: H + (1 - Z) * H_tilde},
    "Z multiplies both the old H and the candidate; the candidate needs 1 - Z.":
        {"new_H": lambda Z, H, H_tilde, **_: Z * H + Z * H_tilde},
    "H is mixed with the reset gate; it needs the update gate Z.":
        {"new_H": lambda R, H, H_tilde, **_: R * H + (1 - R) * H_tilde},
    "H is the candidate; Z must mix it with the old H, before that is overwritten.":
        {"new_H": lambda H_tilde, **_: H_tilde},
    "R ⊙ H has overwritten the old H; Z is to mix the candidate with the old H.":
        {"new_H": lambda Z, R, H, H_tilde: Z * R * H + (1 - Z) * H_tilde},
    "The old H is missing from the new one.": {"new_H": lambda Z, H_tilde, **_: (1 - Z) * H_tilde},
    "There is a tanh around the new H; it belongs only into the candidate.":
        {"new_H": lambda Z, H, H_tilde, **_: torch.tanh(Z * H + (1 - Z) * H_tilde)},
    "The logits are made of the candidate; they are made of the new H.":
        {"reads": lambda state, gates: gates["H_tilde"]},
}  # fmt: skip
GATES = {"z": "the update gate", "r": "the reset gate", "h": "the candidate"}
NETWORK = network_of_cell(step, GATES, MISTAKES)
