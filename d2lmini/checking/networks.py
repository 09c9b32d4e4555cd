r"""Networks with one thing wrong, or two, and the sentences that say what.

A network here is the forward function of a lesson, `forward(inputs, state, params)`. A mistake is
a sentence, and the arguments that make `forward` build the network with that mistake in it: whoever
wrote a function that computes the same has made that mistake. A sentence is only ever shown, in the
language of its reader (one with names in it is `Words`, for that); what is done with a mistake
depends on the table that it stands in.
"""

import itertools
from typing import NamedTuple

import torch

from .words import Words


class Network(NamedTuple):
    """What a network from scratch is made of, and what can go wrong inside of it.

    names: of its parameters, in their order, without W_hq and b_q of the output layer.
    states: the names of the parts of its state.
    read(inputs, state, P, **wrong): P are the parameters by their names, `wrong` what a mistake
    changes. It returns what the output layer reads, H before the first step and after every step,
    and the last state.
    mistakes: {sentence: the arguments of `forward` that make it}, of this network alone.
    rows: {name: rows of this parameter, in units of num_hiddens}, where W_x does not read the
    letters or W_hq reads more than one H.
    gates: {the letter at the end of their parameters' names: what they are called}, with the
    candidate; networks without gates have none.
    tied: pairs of those letters whose parameters need not be exchanged to find a mistake, because
    to exchange the gates themselves comes to the same and is in the table.
    """

    names: list
    states: tuple
    read: object
    mistakes: dict
    rows: dict = {}
    gates: dict = {}
    tied: tuple = ()


def right_logits(Hs, W_hq, b_q):
    """The logits of all steps, below one another."""
    return torch.cat(Hs[1:]) @ W_hq + b_q


def forward(
    network, change=lambda P: P, begin=lambda H: H, logits=right_logits,
    returned=lambda first, last: last, **wrong,
):  # fmt: skip
    """The forward function of a network. Each argument makes it a wrong one.

    change(P): the parameters by their names, before they are used. begin(H): what a part of the
    first state is turned into. logits(Hs, W_hq, b_q): what is returned as logits.
    returned(first, last): the state that is returned. wrong: for `network.read`.
    """

    def function(inputs, state, params):
        P = change(dict(zip([*network.names, "W_hq", "b_q"], params, strict=True)))
        first = tuple(begin(part) for part in state)
        Hs, last = network.read(inputs, first, P, **wrong)
        return logits(Hs, P["W_hq"], P["b_q"]), returned(first, last)

    return function


# --- mistakes in every network -----------------------------------------------------------------

IN_EVERY_NETWORK = {
    "The logits of a step come from H before that step; they need the new H.":
        {"logits": lambda Hs, W, b: torch.cat(Hs[:-1]) @ W + b},
    "The logits stand text by text; they must stand step by step.":
        {"logits": lambda Hs, W, b: torch.stack(Hs[1:], 1).flatten(0, 1) @ W + b},
    "The logits stand in the wrong order of time: the last step comes first.":
        {"logits": lambda Hs, W, b: torch.cat(Hs[:0:-1]) @ W + b},
    "There is a softmax; the loss wants logits.":
        {"logits": lambda *a: torch.softmax(right_logits(*a), 1)},
    "There is a log_softmax; the loss wants logits.":
        {"logits": lambda *a: torch.log_softmax(right_logits(*a), 1)},
    "There is a softmax, over the wrong axis at that; the loss wants logits.":
        {"logits": lambda *a: torch.softmax(right_logits(*a), 0)},
    "There is a tanh around the logits; nothing comes after W_hq and b_q.":
        {"logits": lambda *a: torch.tanh(right_logits(*a))},
    "There is a σ around the logits; nothing comes after W_hq and b_q.":
        {"logits": lambda *a: torch.sigmoid(right_logits(*a))},
    "The first state is returned; it must be the last one.":
        {"returned": lambda first, last: first},
    "The first state is not used: the function begins from zeros.": {"begin": torch.zeros_like},
}  # fmt: skip


def common_mistakes(network):
    """The mistakes that are made most: {sentence: the arguments of `forward`}."""
    found = network.mistakes | IN_EVERY_NETWORK
    if len(network.states) == 2:
        a, b = network.states
        words = "{a} and {b} are returned the wrong way round; the state is ({a}, {b})."
        found[Words(words, a=a, b=b)] = {"returned": lambda first, last: last[::-1]}
        for name, part in ((a, 0), (b, 1)):
            words = "{name} is returned twice; the state is ({a}, {b})."
            found[Words(words, name=name, a=a, b=b)] = {
                "returned": lambda first, last, part=part: (last[part], last[part])
            }
    biases = [name for name in network.names if name.startswith("b")]
    if len(biases) > 1:
        found["No bias is used but b_q."] = {"change": without(*biases)}
        found["No bias is used."] = {"change": without(*biases, "b_q")}
    for name in [*network.names, "W_hq", "b_q"]:
        found[Words("{name} is not used.", name=name)] = {"change": without(name)}
    return found


def rare_mistakes(network):
    """A parameter in another one's place: in the form of `common_mistakes`, seldom made."""
    found = {}
    for name in network.names:
        if name.startswith("W_h"):
            words = "{name} is turned: the product is H @ {name}, not H @ {name}.T."
            found[Words(words, name=name)] = {"change": lambda P, name=name: P | {name: P[name].T}}
    for a, b in itertools.combinations(network.gates, 2):
        for W in ("W_x", "W_h"):
            found[Words("{a} and {b} are exchanged.", a=W + a, b=W + b)] = {
                "change": replaced({W + a: W + b, W + b: W + a})
            }
        for kind, (used, lost) in itertools.product(("W_x", "W_h", "b_"), ((a, b), (b, a))):
            words = "{used} stands where {lost} belongs."
            found[Words(words, used=kind + used, lost=kind + lost)] = {
                "change": replaced({kind + lost: kind + used})
            }
        if (a, b) not in network.tied:
            words = "The parameters of {a} and {b} are exchanged."
            pairs = {k + x: k + y for k in ("W_x", "W_h", "b_") for x, y in ((a, b), (b, a))}
            found[Words(words, a=network.gates[a], b=network.gates[b])] = {
                "change": replaced(pairs)
            }
    return found


def without(*names):
    """A change of the parameters: zeros in the place of these."""
    return lambda P: P | {name: 0 * P[name] for name in names}


def replaced(pairs):
    """A change of the parameters: {a: b} uses b where a belongs."""
    return lambda P: P | {a: P[b] for a, b in pairs.items()}


def two_at_once(mistakes):
    """Any two of these mistakes in one network, as pairs of a sentence and the arguments."""
    for (a, one), (b, other) in itertools.combinations(mistakes.items(), 2):
        both = one | other
        if "change" in one and "change" in other:
            both["change"] = lambda P, f=one["change"], g=other["change"]: g(f(P))
        elif one.keys() & other.keys():
            continue
        yield Words("It looks like two things at once. {a} {b}", a=a, b=b), both


# --- networks of one cell ----------------------------------------------------------------------

IN_EVERY_CELL = {
    "The state is not carried on: a step starts from the state of the one before.":
        {"carry": lambda first, last: first},
    "The new state is used for the logits, and then forgotten: keep it for the next step.": {
        "carry": lambda first, last: first, "returned": lambda first, last: first,
    },
    "The text is read from its end.": {"backwards": True},
}  # fmt: skip
IN_EVERY_GATED_CELL = IN_EVERY_CELL | {
    "The candidate goes through σ; it needs tanh.": {"squash": torch.sigmoid},
    "The candidate goes through a ReLU; it needs tanh.": {"squash": torch.relu},
    "The candidate has no tanh.": {"squash": lambda A: A},
    "The gates go through tanh; they need σ.": {"gate": torch.tanh},
    "The gates have no σ.": {"gate": lambda A: A},
    "The gates go through a softmax; they need σ, each number by itself.":
        {"gate": lambda A: torch.softmax(A, 1)},
}  # fmt: skip


def network_of_cell(step, gates, mistakes, states=("H",), tied=()):
    """A cell, step after step, as a `Network`.

    step(X, state, params, **wrong): the new state and the gates by their letters, with the
    candidate, as a function of `d2lmini.cells` returns them. wrong: what a mistake changes.
    """

    def read(
        inputs, state, P, carry=lambda first, last: last, reads=lambda state, gates: state[0],
        backwards=False, **wrong,
    ):  # fmt: skip
        """carry: the state that a step starts from, of the very first and the last one.

        reads: what the output layer reads. backwards: the text is read from its end.
        """
        params = [P[name] for name in names]
        first, Hs = state, [state[0]]
        for X in inputs.flip(0) if backwards else inputs:
            state, gates = step(X, carry(first, state), params, **wrong)
            Hs.append(reads(state, gates))
        return Hs, state

    names = [kind + letter for letter in gates for kind in ("W_x", "W_h", "b_")]
    return Network(names, states, read, mistakes, gates=gates, tied=tied)
