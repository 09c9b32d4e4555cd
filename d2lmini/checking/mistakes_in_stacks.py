r"""Networks of two layers or two directions that can be checked, and what goes wrong in them."""

import torch

from .networks import Network


def rnn(X, H, P, k, squash=torch.tanh):
    """A step of the RNN with the parameters whose names end in k."""
    return squash(X @ P["W_xh" + k] + H @ P["W_hh" + k] + P["b_h" + k])


def deep(
    inputs, state, P, reads=lambda X, old, H1: H1, past=lambda H1, H2: H2, own="2", top=None,
    squash1=torch.tanh, squash2=torch.tanh, carry=lambda first, last: last,
    turned=False, last=False,
):  # fmt: skip
    """Two layers. reads: what the second reads, of X and the first layer's old and new H.

    past: what the second goes on from, of the first layer's new H and its own. own: whose
    parameters it has. top: what the output layer reads. turned: the state comes in backwards.
    last: the second reads only the last H of the first.
    """
    first, Hs = state, [state[1]]
    H1, H2 = state[::-1] if turned else state
    end = direction(inputs, H1, P, "1")[-1] if last else None
    for X in inputs:
        old, own_old = carry(first, (H1, H2))
        H1 = rnn(X, old, P, "1", squash1)
        read = end if last else reads(X, old, H1)
        H2 = rnn(read, past(H1, own_old), P, own, squash2)
        Hs.append(top(H1, H2) if top else H2)
    return Hs, (H1, H2)


DEEP_WRONG = {
    "The second layer reads X; it must read H of the first layer.": {"reads": lambda X, old, H1: X},
    "The second layer reads H of the first layer before the step; it needs the new one.": {
        "reads": lambda X, old, H1: old
    },
    "The second layer goes on from the first layer's H; it has a state of its own.": {
        "past": lambda H1, H2: H1
    },
    "Both layers use the parameters of the first.": {"own": "1"},
    "Both layers use W_hh1.": {"change": lambda P: P | {"W_hh2": P["W_hh1"]}},
    "Both layers use b_h1.": {"change": lambda P: P | {"b_h2": P["b_h1"]}},
    "The output layer reads the first layer; it must read the second.": {"top": lambda H1, H2: H1},
    "The output layer reads the sum of both layers; it must read the second alone.": {
        "top": lambda H1, H2: H1 + H2
    },
    "W_hh1 and W_hh2 are exchanged.": {
        "change": lambda P: P | {"W_hh1": P["W_hh2"], "W_hh2": P["W_hh1"]}
    },
    "The second layer reads only the last H of the first; it needs that of each step.": {
        "last": True
    },
    "W_xh2 and W_hh2 are exchanged.": {
        "change": lambda P: P | {"W_xh2": P["W_hh2"], "W_hh2": P["W_xh2"]}
    },
    "There is no tanh.": {"squash1": lambda A: A, "squash2": lambda A: A},
    "There is a σ where both layers have tanh.": {
        "squash1": torch.sigmoid,
        "squash2": torch.sigmoid,
    },
    "The first layer has no tanh.": {"squash1": lambda A: A},
    "The second layer has no tanh.": {"squash2": lambda A: A},
    "The first layer's state is not carried on.": {
        "carry": lambda first, last: (first[0], last[1])
    },
    "The second layer's state is not carried on.": {
        "carry": lambda first, last: (last[0], first[1])
    },
    "No layer's state is carried on.": {"carry": lambda first, last: first},
    "H1 and H2 are taken out of the state the wrong way round; it is (H1, H2).": {"turned": True},
}


def direction(inputs, H, P, k, squash=torch.tanh, carry=True):
    """H after every step, by one direction."""
    Hs, first = [], H
    for X in inputs:
        H = rnn(X, H if carry else first, P, k, squash)
        Hs.append(H)
    return torch.stack(Hs)


def both(
    inputs, state, P, turn=lambda inputs: inputs.flip(0), back=lambda Hs: Hs.flip(0), own="b",
    halves=lambda f, b: (f, b), first=lambda f, b, last: b, last=None, only_f=(), only_b=(),
    **parts,
):  # fmt: skip
    """Two directions. turn: what the backward one reads, and back: how its states are laid out.

    own: whose parameters it has. first: what it begins from, of the first states and the forward
    direction's last one. only_f, only_b: parts of one direction. halves: what the output layer
    reads. last: the state that is returned, of both directions' H in the order of the text.
    """
    forwards = direction(inputs, state[0], P, "f", **parts, **dict(only_f))
    begin = first(*state, forwards[-1])
    backwards = direction(turn(inputs), begin, P, own, **parts, **dict(only_b))
    laid_out = back(backwards)
    Hs = torch.cat(halves(forwards, laid_out), 2)
    new = last(forwards, laid_out) if last else (forwards[-1], backwards[-1])
    return [torch.cat(state, 1), *Hs], new


BOTH_WRONG = {
    "The backward direction reads the text forwards.": {
        "turn": lambda inputs: inputs, "back": lambda Hs: Hs,
    },
    "The backward states are not turned round: step t must meet step t.": {
        "back": lambda Hs: Hs
    },
    "The backward direction reads the text forwards, and its states are turned round.": {
        "turn": lambda inputs: inputs
    },
    "The texts of the batch are turned round in place of the steps: flip axis 0.": {
        "turn": lambda inputs: inputs.flip(1), "back": lambda Hs: Hs.flip(1),
    },
    "The backward direction gets the batch turned round, not the steps: flip axis 0, not 1.": {
        "turn": lambda inputs: inputs.flip(1)
    },
    "The halves are exchanged: the forward H comes first.": {"halves": lambda f, b: (b, f)},
    "The output layer reads the forward H twice.": {"halves": lambda f, b: (f, f)},
    "The output layer reads the backward H twice.": {"halves": lambda f, b: (b, b)},
    "Both directions use the parameters of the forward one.": {"own": "f"},
    "Both directions use W_xhf.": {"change": lambda P: P | {"W_xhb": P["W_xhf"]}},
    "Both directions use W_hhf.": {"change": lambda P: P | {"W_hhb": P["W_hhf"]}},
    "Both directions use b_hf.": {"change": lambda P: P | {"b_hb": P["b_hf"]}},
    "The backward direction goes on from the forward direction's last H.": {
        "first": lambda f, b, last: last
    },
    "Both directions begin from the forward direction's first H.": {
        "first": lambda f, b, last: f
    },
    "The backward state that is returned has read one letter; the one at step 0 has read all.": {
        "last": lambda forwards, backwards: (forwards[-1], backwards[-1])
    },
    "The states that are returned have read one letter each; the last ones have read all.": {
        "last": lambda forwards, backwards: (forwards[0], backwards[-1])
    },
    "There is no tanh.": {"squash": lambda A: A},
    "There is a σ where both directions have tanh.": {"squash": torch.sigmoid},
    "The forward direction has no tanh.": {"only_f": {"squash": lambda A: A}},
    "The backward direction has no tanh.": {"only_b": {"squash": lambda A: A}},
    "The states are not carried on: every step starts from the first ones.": {"carry": False},
}  # fmt: skip


def names(*ends):
    """W_xh, W_hh and b_h for each layer or direction."""
    return [name + end for end in ends for name in ("W_xh", "W_hh", "b_h")]


NETWORKS = {
    "deep": Network(names("1", "2"), ("H1", "H2"), deep, DEEP_WRONG, {"W_xh2": 1}),
    "bidirectional": Network(names("f", "b"), ("H_f", "H_b"), both, BOTH_WRONG, {"W_hq": 2}),
}
