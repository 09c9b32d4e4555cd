r"""Networks with one thing wrong, and the sentence that says what: for `feedback.check`.

A network here is the forward function of a lesson, `forward(inputs, state, params)`. Each mistake
is the right network with one thing wrong, so whoever computes the same has made that mistake.
"""

import itertools
from typing import NamedTuple

import torch


class Network(NamedTuple):
    """What a network from scratch is made of, and what can go wrong inside of it.

    names: of its parameters, those of the output layer, W_hq and b_q, left out.
    states: the names of the parts of its state.
    read(inputs, state, P, **parts): P are the parameters by their names. It returns what the
    output layer reads, H before the first step and after every step, and the new state.
    wrong: {sentence: the `parts` that make this mistake}.
    rows: the rows of parameters, in units of num_hiddens, where W_x does not read the letters or
    W_hq reads more than one H.
    """

    names: list
    states: tuple
    read: object
    wrong: dict
    rows: dict = {}
    gates: dict = {}  # the letters at the end of the names, and what they stand for


def forward(network, change=None, begin=None, finish=None, **parts):
    """The forward function of a network. Each argument makes it a wrong one.

    change(P): the parameters by their names, before they are used. begin: what each part of the
    first state is turned into. finish(Hs, state, first, W_hq, b_q): what is returned. parts: for
    `network.read`.
    """

    def function(inputs, state, params):
        P = dict(zip([*network.names, "W_hq", "b_q"], params, strict=True))
        P = change(P) if change else P
        state = tuple(map(begin, state)) if begin else tuple(state)
        Hs, new_state = network.read(inputs, state, P, **parts)
        return (finish or right_finish)(Hs, new_state, state, P["W_hq"], P["b_q"])

    return function


def mistakes(network):
    """All that is known to go wrong with a network: {sentence: the arguments of `forward`}."""
    found = {words: dict(parts) for words, parts in network.wrong.items()}
    found |= {words: {"finish": finish} for words, finish in FINISHES.items()}
    if len(network.states) == 2:
        a, b = network.states
        found[f"{a} and {b} are returned the wrong way round; the state is ({a}, {b})."] = {
            "finish": lambda Hs, state, first, W, b: (logits(Hs, W, b), state[::-1])
        }
        for name, part in ((a, 0), (b, 1)):
            found[f"{name} is returned twice; the state is ({a}, {b})."] = {
                "finish": lambda Hs, state, first, W, b, part=part: (
                    logits(Hs, W, b), (state[part], state[part])
                )
            }  # fmt: skip
    found["The first state is not used: the function begins from zeros."] = {
        "begin": torch.zeros_like
    }
    biases = [name for name in network.names if name.startswith("b")]
    if len(biases) > 1:
        for words, zeros in (
            ("No bias is used but b_q.", biases), ("No bias is used.", [*biases, "b_q"])
        ):  # fmt: skip
            found[words] = {"change": lambda P, zeros=zeros: P | {b: 0 * P[b] for b in zeros}}
    for name in [*network.names, "W_hq", "b_q"]:
        found[f"{name} is not used."] = {"change": lambda P, n=name: P | {n: 0 * P[n]}}
        if name.startswith("W_h") and name != "W_hq":
            found[f"{name} is turned: the product is H @ {name}, not H @ {name}.T."] = {
                "change": lambda P, n=name: P | {n: P[n].T}
            }
    for a, b in itertools.combinations(network.gates, 2):
        for k in ("W_x", "W_h"):
            found[f"{k + a} and {k + b} are exchanged."] = {
                "change": lambda P, a=k + a, b=k + b: P | {a: P[b], b: P[a]}
            }
        for k, (x, y) in itertools.product(("W_x", "W_h", "b_"), ((a, b), (b, a))):
            found[f"{k + x} stands where {k + y} belongs."] = {
                "change": lambda P, used=k + x, lost=k + y: P | {lost: P[used]}
            }
        if a + b != "if":  # the same as F and I in each other's place in the equation of C
            pairs = {k + x: k + y for k in ("W_x", "W_h", "b_") for x, y in ((a, b), (b, a))}
            words = f"The parameters of {network.gates[a]} and {network.gates[b]} are exchanged."
            found[words] = {
                "change": lambda P, pairs=pairs: P | {x: P[y] for x, y in pairs.items()}
            }
    return found


def two_mistakes(network):
    """Two of the commonest mistakes at once, in the form of `mistakes`."""
    rare = ("is turned", "stands where", "exchanged")
    common = {w: parts for w, parts in mistakes(network).items() if not any(r in w for r in rare)}
    for (a, one), (b, other) in itertools.combinations(common.items(), 2):
        both = one | other
        if "change" in one and "change" in other:
            both["change"] = lambda P, f=one["change"], g=other["change"]: g(f(P))
        elif one.keys() & other.keys():
            continue
        yield f"It looks like two things at once. {a} {b}", both


def logits(Hs, W_hq, b_q):
    """The logits of all steps, below one another."""
    return torch.cat(Hs[1:]) @ W_hq + b_q


def right_finish(Hs, state, first, W_hq, b_q):
    """What the lessons return."""
    return logits(Hs, W_hq, b_q), state


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
    "The logits stand in the wrong order of time: the last step comes first.": (
        lambda Hs, state, first, W, b: (torch.cat(Hs[:0:-1]) @ W + b, state)
    ),
    "There is a softmax; the loss wants logits.": (
        lambda Hs, state, first, W, b: (torch.softmax(logits(Hs, W, b), 1), state)
    ),
    "There is a log_softmax; the loss wants logits.": (
        lambda Hs, state, first, W, b: (torch.log_softmax(logits(Hs, W, b), 1), state)
    ),
    "There is a softmax, over the wrong axis at that; the loss wants logits.": (
        lambda Hs, state, first, W, b: (torch.softmax(logits(Hs, W, b), 0), state)
    ),
    "There is a tanh around the logits; nothing comes after W_hq and b_q.": (
        lambda Hs, state, first, W, b: (torch.tanh(logits(Hs, W, b)), state)
    ),
    "There is a σ around the logits; nothing comes after W_hq and b_q.": (
        lambda Hs, state, first, W, b: (torch.sigmoid(logits(Hs, W, b)), state)
    ),
}


def nothing(A):
    """No activation at all."""
    return A


ACTIVATIONS = {
    "The candidate goes through σ; it needs tanh.": {"squash": torch.sigmoid},
    "The candidate goes through a ReLU; it needs tanh.": {"squash": torch.relu},
    "The candidate has no tanh.": {"squash": nothing},
    "The gates go through tanh; they need σ.": {"gate": torch.tanh},
    "The gates have no σ.": {"gate": nothing},
    "The gates go through a softmax; they need σ, each number by itself.": {
        "gate": lambda A: torch.softmax(A, 1)
    },
}
