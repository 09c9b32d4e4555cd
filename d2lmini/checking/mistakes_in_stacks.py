r"""What goes wrong in networks of two layers, and of two directions."""

import torch

from .networks import Network, replaced


def rnn(X, H, P, which, squash=torch.tanh):
    """A step of the RNN with the parameters whose names end in `which`."""
    return squash(X @ P["W_xh" + which] + H @ P["W_hh" + which] + P["b_h" + which])


def direction(inputs, H, P, which, squash=torch.tanh, carry=True):
    """H after every step of an RNN."""
    Hs, first = [], H
    for X in inputs:
        H = rnn(X, H if carry else first, P, which, squash)
        Hs.append(H)
    return torch.stack(Hs)


def parameters(*ends):
    """W_xh, W_hh and b_h for each layer or direction."""
    return [name + end for end in ends for name in ("W_xh", "W_hh", "b_h")]


# --- two layers --------------------------------------------------------------------------------


def deep(
    inputs, state, P, second_reads=lambda X, old_H1, H1: H1, second_state=lambda H1, H2: H2,
    second="2", output_reads=lambda H1, H2: H2, squash1=torch.tanh, squash2=torch.tanh,
    carry=lambda first, last: last, states_exchanged=False, second_reads_last=False,
):  # fmt: skip
    """Two layers. What a mistake changes:

    second_reads: what the second layer reads, of X and the first layer's old and new H.
    second_reads_last: it reads only the first layer's last H. second_state: what it goes on from.
    second: the end of its parameters' names. output_reads: what the output layer reads. carry: the
    states that a step starts from, of the very first and the last ones. states_exchanged: the first
    state is taken apart the wrong way round.
    """
    first, Hs = state, [state[1]]
    H1, H2 = state[::-1] if states_exchanged else state
    last_of_first = direction(inputs, H1, P, "1")[-1] if second_reads_last else None
    for X in inputs:
        old_H1, old_H2 = carry(first, (H1, H2))
        H1 = rnn(X, old_H1, P, "1", squash1)
        read = last_of_first if second_reads_last else second_reads(X, old_H1, H1)
        H2 = rnn(read, second_state(H1, old_H2), P, second, squash2)
        Hs.append(output_reads(H1, H2))
    return Hs, (H1, H2)


DEEP_MISTAKES = {
    "The second layer reads X; it must read H of the first layer.":
        {"second_reads": lambda X, old_H1, H1: X},
    "The second layer reads H of the first layer before the step; it needs the new one.":
        {"second_reads": lambda X, old_H1, H1: old_H1},
    "The second layer goes on from the first layer's H; it has a state of its own.":
        {"second_state": lambda H1, H2: H1},
    "Both layers share one H; each has a state of its own.": {
        "carry": lambda first, last: last if last[0] is first[0] else last[1:] * 2,
        "second_state": lambda H1, H2: H1, "returned": lambda first, last: last[1:] * 2,
    },
    "Both layers use the parameters of the first.": {"second": "1"},
    "Both layers use W_hh1.": {"change": replaced({"W_hh2": "W_hh1"})},
    "Both layers use b_h1.": {"change": replaced({"b_h2": "b_h1"})},
    "The output layer reads the first layer; it must read the second.":
        {"output_reads": lambda H1, H2: H1},
    "The output layer reads the sum of both layers; it must read the second alone.":
        {"output_reads": lambda H1, H2: H1 + H2},
    "W_hh1 and W_hh2 are exchanged.":
        {"change": replaced({"W_hh1": "W_hh2", "W_hh2": "W_hh1"})},
    "The second layer reads only the last H of the first; it needs that of each step.":
        {"second_reads_last": True},
    "W_xh2 and W_hh2 are exchanged.":
        {"change": replaced({"W_xh2": "W_hh2", "W_hh2": "W_xh2"})},
    "There is no tanh.": {"squash1": lambda A: A, "squash2": lambda A: A},
    "There is a σ where both layers have tanh.":
        {"squash1": torch.sigmoid, "squash2": torch.sigmoid},
    "The first layer has no tanh.": {"squash1": lambda A: A},
    "The second layer has no tanh.": {"squash2": lambda A: A},
    "The first layer's state is not carried on.":
        {"carry": lambda first, last: (first[0], last[1])},
    "The second layer's state is not carried on.":
        {"carry": lambda first, last: (last[0], first[1])},
    "No layer's state is carried on.": {"carry": lambda first, last: first},
    "H1 and H2 are taken out of the state the wrong way round; it is (H1, H2).":
        {"states_exchanged": True},
}  # fmt: skip
DEEP = Network(parameters("1", "2"), ("H1", "H2"), deep, DEEP_MISTAKES, {"W_xh2": 1})

# --- two directions ----------------------------------------------------------------------------


def bidirectional(
    inputs, state, P, turned=lambda inputs: inputs.flip(0), turned_back=lambda Hs: Hs.flip(0),
    backward="b", backward_begins=lambda H_f, H_b, last_H_f: H_b,
    output_reads=lambda forwards, backwards: (forwards, backwards), last=None,
    squash=torch.tanh, squash_f=None, squash_b=None, carry=True,
):  # fmt: skip
    """Two directions. What a mistake changes:

    turned: what the backward direction reads, and turned_back: how its states are laid out.
    backward: the end of its parameters' names. backward_begins: what it begins from, of the first
    states and the forward direction's last one. output_reads: the two halves that the output layer
    reads. last: the state that is returned, of both directions' H in the order of the text.
    squash_f, squash_b: an activation of one direction alone. carry: False starts every step from
    the first states.
    """
    forwards = direction(inputs, state[0], P, "f", squash_f or squash, carry)
    begin = backward_begins(*state, forwards[-1])
    backwards = direction(turned(inputs), begin, P, backward, squash_b or squash, carry)
    laid_out = turned_back(backwards)
    Hs = torch.cat(output_reads(forwards, laid_out), 2)
    new = last(forwards, laid_out) if last else (forwards[-1], backwards[-1])
    return [torch.cat(state, 1), *Hs], new


BIDIRECTIONAL_MISTAKES = {
    "The backward direction reads the text forwards.":
        {"turned": lambda inputs: inputs, "turned_back": lambda Hs: Hs},
    "The backward states are not turned round: step t must meet step t.":
        {"turned_back": lambda Hs: Hs},
    "The backward direction reads the text forwards, and its states are turned round.":
        {"turned": lambda inputs: inputs},
    "The texts of the batch are turned round in place of the steps: flip axis 0.":
        {"turned": lambda inputs: inputs.flip(1), "turned_back": lambda Hs: Hs.flip(1)},
    "The backward direction gets the batch turned round, not the steps: flip axis 0, not 1.":
        {"turned": lambda inputs: inputs.flip(1)},
    "The halves are exchanged: the forward H comes first.":
        {"output_reads": lambda forwards, backwards: (backwards, forwards)},
    "The output layer reads the forward H twice.":
        {"output_reads": lambda forwards, backwards: (forwards, forwards)},
    "The output layer reads the backward H twice.":
        {"output_reads": lambda forwards, backwards: (backwards, backwards)},
    "Both directions use the parameters of the forward one.": {"backward": "f"},
    "Both directions use W_xhf.": {"change": replaced({"W_xhb": "W_xhf"})},
    "Both directions use W_hhf.": {"change": replaced({"W_hhb": "W_hhf"})},
    "Both directions use b_hf.": {"change": replaced({"b_hb": "b_hf"})},
    "The backward direction goes on from the forward direction's last H.":
        {"backward_begins": lambda H_f, H_b, last_H_f: last_H_f},
    "Both directions begin from the forward direction's first H.":
        {"backward_begins": lambda H_f, H_b, last_H_f: H_f},
    "The backward state that is returned has read one letter; the one at step 0 has read all.":
        {"last": lambda forwards, backwards: (forwards[-1], backwards[-1])},
    "The states that are returned have read one letter each; the last ones have read all.":
        {"last": lambda forwards, backwards: (forwards[0], backwards[-1])},
    "There is no tanh.": {"squash": lambda A: A},
    "There is a σ where both directions have tanh.": {"squash": torch.sigmoid},
    "The forward direction has no tanh.": {"squash_f": lambda A: A},
    "The backward direction has no tanh.": {"squash_b": lambda A: A},
    "The states are not carried on: every step starts from the first ones.": {"carry": False},
}  # fmt: skip
BIDIRECTIONAL = Network(
    parameters("f", "b"), ("H_f", "H_b"), bidirectional, BIDIRECTIONAL_MISTAKES, {"W_hq": 2}
)
