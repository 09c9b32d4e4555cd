r"""What goes wrong in the cell of an LSTM, and of one with coupled gates."""

import torch

from .networks import ACTIVATIONS


def lstm(gate=torch.sigmoid, other="", squash=torch.tanh, memory=None, hidden=None):
    """A step of the LSTM, with something else in place of σ, tanh, or the equations of C and H.

    other: the gate that has tanh. memory and hidden take the gates by their letters in a
    dictionary, with C, the candidate "C_tilde", and for hidden the new C, "C_new".
    """

    def step(X, state, params):
        H, C = state
        sums = [X @ W_x + H @ W_h + b for W_x, W_h, b in zip(*[iter(params)] * 3)]
        letters = "IFO"[-len(sums[:-1]) :]  # coupled gates (Greff et al., 2017) have no W_xi
        G = {k: torch.tanh(A) if k == other else gate(A) for k, A in zip(letters, sums)}
        G = {"I": 1 - G["F"]} | G | {"C": C, "C_tilde": squash(sums[-1])}
        C_new = memory(G) if memory else G["F"] * C + G["I"] * G["C_tilde"]
        G |= {"C_new": C_new}
        return (hidden(G) if hidden else G["O"] * torch.tanh(C_new)), C_new

    return step


LSTM = ACTIVATIONS | {
    "H is O ⊙ C; there must be a tanh around C.": {"hidden": lambda G: G["O"] * G["C_new"]},
    "There is a σ around C where H needs tanh.": {
        "hidden": lambda G: G["O"] * torch.sigmoid(G["C_new"])
    },
    "The output gate is not used.": {"hidden": lambda G: torch.tanh(G["C_new"])},
    "The tanh stands around O ⊙ C; it belongs around C alone.": {
        "hidden": lambda G: torch.tanh(G["O"] * G["C_new"])
    },
    "H comes from C before the step; it needs the new C.": {
        "hidden": lambda G: G["O"] * torch.tanh(G["C"])
    },
    "The input gate is not used.": {"memory": lambda G: G["F"] * G["C"] + G["C_tilde"]},
    "The forget gate is not used.": {"memory": lambda G: G["C"] + G["I"] * G["C_tilde"]},
    "The forget gate counts the wrong way: C needs F, not 1 - F.": {
        "memory": lambda G: (1 - G["F"]) * G["C"] + G["I"] * G["C_tilde"]
    },
    "The old C is not used.": {"memory": lambda G: G["I"] * G["C_tilde"]},
    "The candidate is not used: C is only what is left of the old C.": {
        "memory": lambda G: G["F"] * G["C"]
    },
    "F and I, or their parameters, are exchanged: F belongs to the old C.": {
        "memory": lambda G: G["I"] * G["C"] + G["F"] * G["C_tilde"]
    },
    "The forget gate stands where the output gate belongs.": {
        "hidden": lambda G: G["F"] * torch.tanh(G["C_new"])
    },
    "The output gate stands where the forget gate belongs.": {
        "memory": lambda G: G["O"] * G["C"] + G["I"] * G["C_tilde"]
    },
    "H is made of the candidate; it is made of the new C.": {
        "hidden": lambda G: G["O"] * torch.tanh(G["C_tilde"])
    },
    "The forget gate goes through tanh; it needs σ.": {"other": "F"},
    "The output gate goes through tanh; it needs σ.": {"other": "O"},
    "The old C stands where the candidate belongs.": {
        "memory": lambda G: G["F"] * G["C"] + G["I"] * G["C"]
    },
    "The candidate has overwritten the old C.": {
        "memory": lambda G: G["F"] * G["C_tilde"] + G["I"] * G["C_tilde"]
    },
    "F multiplies the whole sum; it belongs to the old C alone.": {
        "memory": lambda G: G["F"] * (G["C"] + G["I"] * G["C_tilde"])
    },
    "The output gate stands where the input gate belongs.": {
        "memory": lambda G: G["F"] * G["C"] + G["O"] * G["C_tilde"]
    },
    "C itself goes through the tanh; only H is made of tanh(C).": {
        "memory": lambda G: torch.tanh(G["F"] * G["C"] + G["I"] * G["C_tilde"]),
        "hidden": lambda G: G["O"] * G["C_new"],
    },
    "There is a tanh around the new C; it belongs only into H.": {
        "memory": lambda G: torch.tanh(G["F"] * G["C"] + G["I"] * G["C_tilde"])
    },
}
FULL_LSTM = LSTM | {
    "The input gate goes through tanh; it needs σ.": {"other": "I"},
    "The input gate stands where the output gate belongs.": {
        "hidden": lambda G: G["I"] * torch.tanh(G["C_new"])
    },
    "The input gate multiplies the old C, too; that needs F.": {
        "memory": lambda G: G["I"] * G["C"] + G["I"] * G["C_tilde"]
    },
    "The forget gate multiplies the candidate, too; that needs I.": {
        "memory": lambda G: G["F"] * G["C"] + G["F"] * G["C_tilde"]
    },
    "The candidate has the factor 1 - F, as if this were a GRU; it needs I.": {
        "memory": lambda G: G["F"] * G["C"] + (1 - G["F"]) * G["C_tilde"]
    },
}
COUPLED = {
    words.replace("input gate", "factor 1 - F"): parts
    for words, parts in LSTM.items()
    if "F and I" not in words and "the wrong way" not in words
} | {
    "F and 1 - F are exchanged: F belongs to the old C.": {
        "memory": lambda G: G["I"] * G["C"] + G["F"] * G["C_tilde"]
    },
    "1 - F needs parentheses: without them only F multiplies the candidate.": {
        "memory": lambda G: G["F"] * G["C"] + 1 - G["F"] * G["C_tilde"]
    },
    "1 - F stands where the output gate belongs.": {
        "hidden": lambda G: (1 - G["F"]) * torch.tanh(G["C_new"])
    },
    "The candidate has the factor 1 - O; it needs 1 - F.": {
        "memory": lambda G: G["F"] * G["C"] + (1 - G["O"]) * G["C_tilde"]
    },
    "The candidate has the factor F, like the old C; it needs 1 - F.": {
        "memory": lambda G: G["F"] * G["C"] + G["F"] * G["C_tilde"]
    },
}
