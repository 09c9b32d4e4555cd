r"""What goes wrong in the cell of an LSTM, and of one with coupled gates."""
# ruff: noqa: E741 - I and O are gates, as in the equations

import torch

from .networks import IN_EVERY_GATED_CELL, network_of_cell


def step(
    X, state, params, gate=torch.sigmoid, tanh_in="", squash=torch.tanh,
    new_C=lambda I, F, C, C_tilde, **_: F * C + I * C_tilde,
    new_H=lambda O, C_new, **_: O * torch.tanh(C_new),
):  # fmt: skip
    """A step of the LSTM, as `cells.lstm`, with the candidate beside the gates.

    Without parameters of an input gate, I is 1 - F: coupled gates (Greff et al., 2017).

    What a mistake changes: `gate` is what the gates go through; `tanh_in` the one, "I", "F" or
    "O", that goes through tanh; `squash` what the candidate goes through; `new_C` and `new_H` the
    equations of C and H. C is the old one in both, and C_new the new one.
    """
    H, C = state
    *sums, of_candidate = [X @ W_x + H @ W_h + b for W_x, W_h, b in zip(*[iter(params)] * 3)]
    letters = "IFO" if len(sums) == 3 else "FO"
    G = {letter: (torch.tanh if letter == tanh_in else gate)(A) for letter, A in zip(letters, sums)}
    G = {"I": 1 - G["F"]} | G | {"C_tilde": squash(of_candidate)}
    C_new = new_C(C=C, **G)
    return (new_H(C=C, C_new=C_new, **G), C_new), G


IN_BOTH = IN_EVERY_GATED_CELL | {
    "H is O ⊙ C; there must be a tanh around C.": {"new_H": lambda O, C_new, **_: O * C_new},
    "There is a σ around C where H needs tanh.":
        {"new_H": lambda O, C_new, **_: O * torch.sigmoid(C_new)},
    "The output gate is not used.": {"new_H": lambda C_new, **_: torch.tanh(C_new)},
    "The tanh stands around O ⊙ C; it belongs around C alone.":
        {"new_H": lambda O, C_new, **_: torch.tanh(O * C_new)},
    "H comes from C before the step; it needs the new C.":
        {"new_H": lambda O, C, **_: O * torch.tanh(C)},
    "The forget gate is not used.": {"new_C": lambda I, C, C_tilde, **_: C + I * C_tilde},
    "The old C is not used.": {"new_C": lambda I, C_tilde, **_: I * C_tilde},
    "The candidate is not used: C is only what is left of the old C.":
        {"new_C": lambda F, C, **_: F * C},
    "The forget gate stands where the output gate belongs.":
        {"new_H": lambda F, C_new, **_: F * torch.tanh(C_new)},
    "The output gate stands where the forget gate belongs.":
        {"new_C": lambda I, O, C, C_tilde, **_: O * C + I * C_tilde},
    "H is made of the candidate; it is made of the new C.":
        {"new_H": lambda O, C_tilde, **_: O * torch.tanh(C_tilde)},
    "The forget gate goes through tanh; it needs σ.": {"tanh_in": "F"},
    "The output gate goes through tanh; it needs σ.": {"tanh_in": "O"},
    "The old C stands where the candidate belongs.": {"new_C": lambda I, F, C, **_: F * C + I * C},
    "The candidate has overwritten the old C.":
        {"new_C": lambda I, F, C_tilde, **_: F * C_tilde + I * C_tilde},
    "F multiplies the whole sum; it belongs to the old C alone.":
        {"new_C": lambda I, F, C, C_tilde, **_: F * (C + I * C_tilde)},
    "C itself goes through the tanh; only H is made of tanh(C).": {
        "new_C": lambda I, F, C, C_tilde, **_: torch.tanh(F * C + I * C_tilde),
        "new_H": lambda O, C_new, **_: O * C_new,
    },
    "There is a tanh around the new C; it belongs only into H.":
        {"new_C": lambda I, F, C, C_tilde, **_: torch.tanh(F * C + I * C_tilde)},
    "The logits are made of C; they are made of H.": {"reads": lambda state, gates: state[1]},
    "The logits are made of tanh(C); they are made of H, which has the output gate.":
        {"reads": lambda state, gates: torch.tanh(state[1])},
    "The logits are made of the candidate; they are made of H.":
        {"reads": lambda state, gates: gates["C_tilde"]},
    "C is not carried on: every step starts from the first C.":
        {"carry": lambda first, last: (last[0], first[1])},
    "H is not carried on: every step starts from the first H.":
        {"carry": lambda first, last: (first[0], last[1])},
    "H and C are taken out of the state the wrong way round; it is (H, C).":
        {"carry": lambda first, last: last[::-1] if last is first else last},
}  # fmt: skip
MISTAKES = IN_BOTH | {
    "The input gate is not used.": {"new_C": lambda F, C, C_tilde, **_: F * C + C_tilde},
    "The forget gate counts the wrong way: C needs F, not 1 - F.":
        {"new_C": lambda I, F, C, C_tilde, **_: (1 - F) * C + I * C_tilde},
    "F and I, or their parameters, are exchanged: F belongs to the old C.":
        {"new_C": lambda I, F, C, C_tilde, **_: I * C + F * C_tilde},
    "The output gate stands where the input gate belongs.":
        {"new_C": lambda F, O, C, C_tilde, **_: F * C + O * C_tilde},
    "The input gate goes through tanh; it needs σ.": {"tanh_in": "I"},
    "The input gate stands where the output gate belongs.":
        {"new_H": lambda I, C_new, **_: I * torch.tanh(C_new)},
    "The input gate multiplies the old C, too; that needs F.":
        {"new_C": lambda I, C, C_tilde, **_: I * C + I * C_tilde},
    "The forget gate multiplies the candidate, too; that needs I.":
        {"new_C": lambda F, C, C_tilde, **_: F * C + F * C_tilde},
    "The candidate has the factor 1 - F, as if this were a GRU; it needs I.":
        {"new_C": lambda F, C, C_tilde, **_: F * C + (1 - F) * C_tilde},
}  # fmt: skip
COUPLED_MISTAKES = IN_BOTH | {
    "The factor 1 - F is not used.": {"new_C": lambda F, C, C_tilde, **_: F * C + C_tilde},
    "The output gate stands where the factor 1 - F belongs.":
        {"new_C": lambda F, O, C, C_tilde, **_: F * C + O * C_tilde},
    "F and 1 - F are exchanged: F belongs to the old C.":
        {"new_C": lambda F, C, C_tilde, **_: (1 - F) * C + F * C_tilde},
    "1 - F needs parentheses: without them only F multiplies the candidate.":
        {"new_C": lambda F, C, C_tilde, **_: F * C + 1 - F * C_tilde},
    "1 - F stands where the output gate belongs.":
        {"new_H": lambda F, C_new, **_: (1 - F) * torch.tanh(C_new)},
    "The candidate has the factor 1 - O; it needs 1 - F.":
        {"new_C": lambda F, O, C, C_tilde, **_: F * C + (1 - O) * C_tilde},
    "The candidate has the factor F, like the old C; it needs 1 - F.":
        {"new_C": lambda F, C, C_tilde, **_: F * C + F * C_tilde},
}  # fmt: skip
GATES = {"f": "the forget gate", "o": "the output gate", "c": "the candidate"}
COUPLED_NETWORK = network_of_cell(step, GATES, COUPLED_MISTAKES, ("H", "C"))
NETWORK = network_of_cell(
    step, {"i": "the input gate"} | GATES, MISTAKES, ("H", "C"), tied=[("i", "f")]
)
