r"""The mistakes that are made most when a cell is written for the first time: for `feedback.check`.

Each is the right network with one thing wrong, and a sentence that says what.
"""

import itertools

import torch

from . import cells


def network(cell, step=None, change=None, finish=None, carry=True, begin=None):
    """The forward function of a lesson for a cell. The other arguments make it a wrong one.

    step(X, state, params): instead of the cell. change(named): the parameters by their names,
    before they are used. finish(Hs, state, first, W_hq, b_q): what is returned, from H before
    the first and after every step. carry: whether a step goes on from the one before. begin: what
    the first state is turned into.
    """

    def forward(inputs, state, params):
        named = dict(zip([*cells.names(cell), "W_hq", "b_q"], params, strict=True))
        *params, W_hq, b_q = (change(named) if change else named).values()
        state = tuple(map(begin, state)) if begin else state
        first, Hs = state, [state[0]]
        for X in inputs:
            read = state if carry else first
            state = step(X, read, params) if step else cell(X, read, params)[0]
            Hs.append(state[0])
        if finish:
            return finish(Hs, state, first, W_hq, b_q)
        return torch.cat(Hs[1:]) @ W_hq + b_q, state

    return forward


def mistakes(cell):
    """The mistakes for a cell: {sentence: the arguments of `network` that make it}."""
    found = {words: {"step": step} for words, step in STEPS[cell].items()}
    found |= {words: {"finish": finish} for words, finish in FINISHES.items()}
    if cell is cells.lstm:
        found["H and C are returned the wrong way round; the state is (H, C)."] = {
            "finish": lambda Hs, state, first, W, b: (logits(Hs, W, b), state[::-1])
        }
    found["The state is not carried on: a step starts from the state of the one before."] = {
        "carry": False
    }
    found["The first state is not used: the function begins from zeros."] = {
        "begin": torch.zeros_like
    }
    for name in [*cells.names(cell), "W_hq", "b_q"]:
        found[f"{name} is not used."] = {"change": lambda P, n=name: P | {n: 0 * P[n]}}
        if name.startswith("W_h") and name != "W_hq":
            found[f"{name} is turned: the product is H @ {name}, not H @ {name}.T."] = {
                "change": lambda P, n=name: P | {n: P[n].T}
            }
    for a, b in itertools.combinations(cells.LETTERS[cell], 2):
        if a + b == "if":  # the same as F and I in each other's place in the equation of C
            continue
        found[f"The parameters of {NAMES[a]} and {NAMES[b]} are exchanged."] = {
            "change": lambda P, a=a, b=b: (
                P | {k + x: P[k + y] for k in ("W_x", "W_h", "b_") for x, y in ((a, b), (b, a))}
            )
        }
    return found


NAMES = {
    "z": "the update gate", "r": "the reset gate", "h": "the candidate",
    "i": "the input gate", "f": "the forget gate", "o": "the output gate", "c": "the candidate",
}  # fmt: skip


def logits(Hs, W_hq, b_q):
    """The logits of all steps, below one another."""
    return torch.cat(Hs[1:]) @ W_hq + b_q


FINISHES = {
    "The logits of a step come from H before that step; they need the new H.": (
        lambda Hs, state, first, W, b: (torch.cat(Hs[:-1]) @ W + b, state)
    ),
    "The first state is returned; it must be the last one.": (
        lambda Hs, state, first, W, b: (logits(Hs, W, b), first)
    ),
    "The logits stand text by text; they must stand step by step.": (
        lambda Hs, state, first, W, b: (torch.stack(Hs[1:], 1).flatten(0, 1) @ W + b, state)
    ),
    "There is a softmax; the loss wants logits.": (
        lambda Hs, state, first, W, b: (torch.softmax(logits(Hs, W, b), 1), state)
    ),
    "There is a softmax, over the wrong axis at that; the loss wants logits.": (
        lambda Hs, state, first, W, b: (torch.softmax(logits(Hs, W, b), 0), state)
    ),
    "There is a tanh around the logits; nothing comes after W_hq and b_q.": (
        lambda Hs, state, first, W, b: (torch.tanh(logits(Hs, W, b)), state)
    ),
}


def rnn(squash):
    """A step of the RNN with something else in place of tanh."""

    def step(X, state, params):
        W_xh, W_hh, b_h = params
        return (squash(X @ W_xh + state[0] @ W_hh + b_h),)

    return step


def gru(gate=torch.sigmoid, squash=torch.tanh, reset=None, mix=None):
    """A step of the GRU with something else in place of σ, tanh, the reset or the mixture."""

    def step(X, state, params):
        W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
        (H,) = state
        Z, R = gate(X @ W_xz + H @ W_hz + b_z), gate(X @ W_xr + H @ W_hr + b_r)
        product = reset(R, H, W_hh) if reset else (R * H) @ W_hh
        H_tilde = squash(X @ W_xh + product + b_h)
        return (mix(Z, H, H_tilde) if mix else Z * H + (1 - Z) * H_tilde,)

    return step


def lstm(gate=torch.sigmoid, squash=torch.tanh, memory=None, hidden=None):
    """A step of the LSTM with something else in place of σ, tanh, or the equations of C and H."""

    def step(X, state, params):
        H, C = state
        sums = [X @ W_x + H @ W_h + b for W_x, W_h, b in zip(*[iter(params)] * 3)]
        I, F, O = map(gate, sums[:3])
        C_tilde = squash(sums[3])
        C_new = memory(I, F, C, C_tilde) if memory else F * C + I * C_tilde
        return (hidden(O, C_new, C) if hidden else O * torch.tanh(C_new)), C_new

    return step


def nothing(A):
    """No activation at all."""
    return A


STEPS = {
    cells.rnn: {
        "There is no tanh.": rnn(nothing),
        "There is a σ where the RNN has tanh.": rnn(torch.sigmoid),
        "There is a ReLU where the RNN has tanh.": rnn(torch.relu),
        "There are two tanh, one inside the other.": rnn(lambda A: torch.tanh(torch.tanh(A))),
    },
    cells.gru: {
        "The reset gate multiplies after the product with W_hh; it is to do so before.": gru(
            reset=lambda R, H, W: R * (H @ W)
        ),
        "The reset gate is not used.": gru(reset=lambda R, H, W: H @ W),
        "Z and 1 - Z are exchanged: Z says how much of the old H is kept.": gru(
            mix=lambda Z, H, H_tilde: (1 - Z) * H + Z * H_tilde
        ),
        "The candidate is added whole; it needs the factor 1 - Z.": gru(
            mix=lambda Z, H, H_tilde: Z * H + H_tilde
        ),
        "The old H is added whole; it needs the factor Z.": gru(
            mix=lambda Z, H, H_tilde: H + (1 - Z) * H_tilde
        ),
        "The update gate is not used: H is the candidate.": gru(mix=lambda Z, H, H_tilde: H_tilde),
        "The candidate goes through σ; it needs tanh.": gru(squash=torch.sigmoid),
        "The candidate has no tanh.": gru(squash=nothing),
        "The gates go through tanh; they need σ.": gru(gate=torch.tanh),
        "The gates have no σ.": gru(gate=nothing),
    },
    cells.lstm: {
        "H is O ⊙ C; there must be a tanh around C.": lstm(hidden=lambda O, C, old: O * C),
        "The output gate is not used.": lstm(hidden=lambda O, C, old: torch.tanh(C)),
        "H comes from C before the step; it needs the new C.": lstm(
            hidden=lambda O, C, old: O * torch.tanh(old)
        ),
        "The input gate is not used.": lstm(memory=lambda I, F, C, C_tilde: F * C + C_tilde),
        "The forget gate is not used.": lstm(memory=lambda I, F, C, C_tilde: C + I * C_tilde),
        "The old C is not used.": lstm(memory=lambda I, F, C, C_tilde: I * C_tilde),
        "F and I, or their parameters, are exchanged: F belongs to the old C.": lstm(
            memory=lambda I, F, C, C_tilde: I * C + F * C_tilde
        ),
        "The candidate has the factor 1 - F, as if this were a GRU; it needs I.": lstm(
            memory=lambda I, F, C, C_tilde: F * C + (1 - F) * C_tilde
        ),
        "There is a tanh around the new C; it belongs only into H.": lstm(
            memory=lambda I, F, C, C_tilde: torch.tanh(F * C + I * C_tilde)
        ),
        "The candidate goes through σ; it needs tanh.": lstm(squash=torch.sigmoid),
        "The candidate has no tanh.": lstm(squash=nothing),
        "The gates go through tanh; they need σ.": lstm(gate=torch.tanh),
        "The gates have no σ.": lstm(gate=nothing),
    },
}
