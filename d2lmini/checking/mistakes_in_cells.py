r"""The networks of one layer that can be checked, and the mistakes that are made in their cells."""

import torch

from .. import cells
from .mistakes_in_lstm import COUPLED, FULL_LSTM, lstm
from .networks import ACTIVATIONS, Network, logits, nothing


def unrolled(step):
    """A cell, step after step: `read` of a network.

    step(X, state, params): another one than the cell's makes a mistake. carry: what a step goes
    on from, of the first state and of the state of the step before. seen: what the output layer
    reads of a state. turned: the text is read from its end.
    """

    def read(
        inputs, state, P, step=step, carry=lambda first, last: last,
        seen=lambda state: state[0], turned=False,
    ):  # fmt: skip
        params = [P[name] for name in P if name not in ("W_hq", "b_q")]
        first, Hs = state, [state[0]]
        for X in inputs.flip(0) if turned else inputs:
            state = step(X, carry(first, state), params)
            Hs.append(seen(state))
        return Hs, state

    return read


def rnn(squash=torch.tanh):
    """A step of the RNN, with something else in place of tanh."""

    def step(X, state, params):
        W_xh, W_hh, b_h = params
        return (squash(X @ W_xh + state[0] @ W_hh + b_h),)

    return step


def tanh_of_one(X, state, params):
    """A step of the RNN with the old state outside of the tanh."""
    W_xh, W_hh, b_h = params
    return (torch.tanh(X @ W_xh) + state[0] @ W_hh + b_h,)


def bias_outside(X, state, params):
    """A step of the RNN with the bias at the wrong place."""
    W_xh, W_hh, b_h = params
    return (torch.tanh(X @ W_xh + state[0] @ W_hh) + b_h,)


def gru(gate=torch.sigmoid, update=None, squash=torch.tanh, reset=None, mix=None):
    """A step of the GRU, with something else in place of σ, tanh, the reset or the mixture."""

    def step(X, state, params):
        W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
        (H,) = state
        Z, R = (update or gate)(X @ W_xz + H @ W_hz + b_z), gate(X @ W_xr + H @ W_hr + b_r)
        product = reset(R, H, W_hh, Z, b_h) if reset else (R * H) @ W_hh
        H_tilde = squash(X @ W_xh + product + b_h)
        return (mix(Z, H, H_tilde, R) if mix else Z * H + (1 - Z) * H_tilde,)

    return step


def mgu(gate=torch.sigmoid, squash=torch.tanh, reset=None, mix=None):
    """A step of the minimal gated unit (Zhou et al., 2016, equations 4): one gate, two tasks."""

    def step(X, state, params):
        W_xf, W_hf, b_f, W_xh, W_hh, b_h = params
        (H,) = state
        F = gate(X @ W_xf + H @ W_hf + b_f)
        product = reset(F, H, W_hh, b_h) if reset else (F * H) @ W_hh
        H_tilde = squash(X @ W_xh + product + b_h)
        return (mix(F, H, H_tilde) if mix else (1 - F) * H + F * H_tilde,)

    return step


RNN = {
    "There is no tanh.": {"squash": nothing},
    "There is a σ where the RNN has tanh.": {"squash": torch.sigmoid},
    "There is a ReLU where the RNN has tanh.": {"squash": torch.relu},
    "There are two tanh, one inside the other.": {"squash": lambda A: torch.tanh(torch.tanh(A))},
}
GRU = ACTIVATIONS | {
    "R goes through tanh; it needs σ.": {"gate": torch.tanh, "update": torch.sigmoid},
    "Z goes through tanh; it needs σ.": {"update": torch.tanh},
    "The reset gate multiplies after the product with W_hh; it is to do so before.": {
        "reset": lambda R, H, W, Z, b: R * (H @ W)
    },
    "The reset gate multiplies the product with W_hh and b_h, too; only H is to be reset.": {
        "reset": lambda R, H, W, Z, b: R * (H @ W + b) - b
    },
    "The reset gate is not used.": {"reset": lambda R, H, W, Z, b: H @ W},
    "The candidate uses 1 - R in place of R.": {"reset": lambda R, H, W, Z, b: ((1 - R) * H) @ W},
    "The candidate uses Z in place of R, or R has the parameters of Z.": {
        "reset": lambda R, H, W, Z, b: (Z * H) @ W
    },
    "The candidate is made of R @ W_hh without H.": {"reset": lambda R, H, W, Z, b: R @ W},
    "1 - Z needs parentheses: without them only Z multiplies the candidate.": {
        "mix": lambda Z, H, H_tilde, R: Z * H + 1 - Z * H_tilde
    },
    "Z and 1 - Z are exchanged: Z says how much of the old H is kept.": {
        "mix": lambda Z, H, H_tilde, R: (1 - Z) * H + Z * H_tilde
    },
    "The candidate is added whole; it needs the factor 1 - Z.": {
        "mix": lambda Z, H, H_tilde, R: Z * H + H_tilde
    },
    "The old H is added whole; it needs the factor Z.": {
        "mix": lambda Z, H, H_tilde, R: H + (1 - Z) * H_tilde
    },
    "Z multiplies both the old H and the candidate; the candidate needs 1 - Z.": {
        "mix": lambda Z, H, H_tilde, R: Z * H + Z * H_tilde
    },
    "H is mixed with the reset gate; it needs the update gate Z.": {
        "mix": lambda Z, H, H_tilde, R: R * H + (1 - R) * H_tilde
    },
    "H is the candidate; Z must mix it with the old H, before that is overwritten.": {
        "mix": lambda Z, H, H_tilde, R: H_tilde
    },
    "The old H is missing from the new one.": {"mix": lambda Z, H, H_tilde, R: (1 - Z) * H_tilde},
    "There is a tanh around the new H; it belongs only into the candidate.": {
        "mix": lambda Z, H, H_tilde, R: torch.tanh(Z * H + (1 - Z) * H_tilde)
    },
}
MGU = ACTIVATIONS | {
    "The gate multiplies after the product with W_hh; it is to do so before.": {
        "reset": lambda F, H, W, b: F * (H @ W)
    },
    "The gate multiplies the product with W_hh and b_h, too; it is to multiply H.": {
        "reset": lambda F, H, W, b: F * (H @ W + b) - b
    },
    "The gate does not multiply the H that the candidate sees.": {
        "reset": lambda F, H, W, b: H @ W
    },
    "The candidate uses 1 - F in place of F.": {"reset": lambda F, H, W, b: ((1 - F) * H) @ W},
    "F and 1 - F are exchanged: F says how much of the candidate comes in.": {
        "mix": lambda F, H, H_tilde: F * H + (1 - F) * H_tilde
    },
    "The candidate is added whole; it needs the factor F.": {
        "mix": lambda F, H, H_tilde: (1 - F) * H + H_tilde
    },
    "The old H is added whole; it needs the factor 1 - F.": {
        "mix": lambda F, H, H_tilde: H + F * H_tilde
    },
    "The old H is missing from the new one.": {"mix": lambda F, H, H_tilde: F * H_tilde},
    "1 - F needs parentheses: without them only F multiplies the old H.": {
        "mix": lambda F, H, H_tilde: 1 - F * H + F * H_tilde
    },
    "H is the candidate; the gate must mix it with the old H, before that is overwritten.": {
        "mix": lambda F, H, H_tilde: H_tilde
    },
}


def one_layer(step, letters, wrong, states=("H",)):
    """The network of a cell."""
    wrong = {words: {"step": step(**parts)} for words, parts in wrong.items()}
    wrong["The state is not carried on: a step starts from the state of the one before."] = {
        "carry": lambda first, last: first
    }
    wrong[
        "The new state is used for the logits, and then forgotten: keep it for the next step."
    ] = {
        "carry": lambda first, last: first,
        "finish": lambda Hs, state, first, W, b: (logits(Hs, W, b), first),
    }
    wrong["The text is read from its end."] = {"turned": True}
    if step is rnn:
        wrong["The tanh is around X @ W_xh alone; it belongs around the whole sum."] = {
            "step": tanh_of_one
        }
        wrong["The old H is added to the new one; an RNN has only the tanh."] = {
            "step": lambda X, state, params: (state[0] + rnn()(X, state, params)[0],)
        }
        wrong["b_h is added after the tanh; it belongs inside."] = {"step": bias_outside}
        wrong["The state that is carried on lacks the tanh."] = {
            "step": rnn(nothing), "seen": lambda state: torch.tanh(state[0]),
        }  # fmt: skip
    if len(states) == 2:
        wrong["The logits are made of C; they are made of H."] = {"seen": lambda state: state[1]}
        wrong["C is not carried on: every step starts from the first C."] = {
            "carry": lambda first, last: (last[0], first[1])
        }
        wrong["H is not carried on: every step starts from the first H."] = {
            "carry": lambda first, last: (first[0], last[1])
        }
        wrong["H and C are taken out of the state the wrong way round; it is (H, C)."] = {
            "carry": lambda first, last: last[::-1] if last is first else last
        }
    names = [kind + letter for letter in letters for kind in ("W_x", "W_h", "b_")]
    gates = {letter: GATES[letter] for letter in letters}
    if letters == "fh":  # the MGU has only one
        gates["f"] = "the gate"
    return Network(names, states, unrolled(step()), wrong, gates=gates)


GATES = {
    "z": "the update gate", "r": "the reset gate", "h": "the candidate",
    "i": "the input gate", "f": "the forget gate", "o": "the output gate", "c": "the candidate",
}  # fmt: skip
NETWORKS = {
    "rnn": one_layer(rnn, cells.LETTERS[cells.rnn], RNN),
    "gru": one_layer(gru, cells.LETTERS[cells.gru], GRU),
    "lstm": one_layer(lstm, cells.LETTERS[cells.lstm], FULL_LSTM, ("H", "C")),
    "mgu": one_layer(mgu, "fh", MGU),
    "coupled": one_layer(lstm, "foc", COUPLED, ("H", "C")),
}
