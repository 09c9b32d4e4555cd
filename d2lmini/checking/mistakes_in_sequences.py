r"""Texts of different lengths in one batch, what a decoder reads, and the mistakes made in them."""

import torch

# outputs: (num_steps, batch_size, num_hiddens); lengths: (batch_size,), each at least 1. Step t of
# a text is padding where t >= its length.

# --- masked_mean(outputs, lengths) -----------------------------------------------------------


def mask(outputs, lengths, longer=0):
    """1 at the words and 0 at the padding, (num_steps, batch_size, 1)."""
    steps = torch.arange(len(outputs))[:, None]
    return (steps < lengths + longer).to(outputs.dtype)[:, :, None]


def masked_sum(outputs, lengths, longer=0):
    """The sum over the words of each text."""
    return (mask(outputs, lengths, longer) * outputs).sum(dim=0)


def masked_mean(outputs, lengths):
    """The mean over the words of each text."""
    return masked_sum(outputs, lengths) / lengths[:, None]


MASKED_MEAN_MISTAKES = {
    "Padding is read as text: both the sum and the division must stop where a text ends.":
        lambda outputs, lengths: outputs.mean(dim=0),
    "The sum is right, but it is divided by num_steps: each text has a length of its own.":
        lambda outputs, lengths: masked_sum(outputs, lengths) / len(outputs),
    "The mask is forgotten in the sum: the padding must not count there either.":
        lambda outputs, lengths: outputs.sum(dim=0) / lengths[:, None],
    "The mask is one step too long: step t counts where t < length, and t begins with 0.":
        lambda outputs, lengths: masked_sum(outputs, lengths, 1) / lengths[:, None],
    "The mask is one step too short: step t counts where t < length, and t begins with 0.":
        lambda outputs, lengths: masked_sum(outputs, lengths, -1) / lengths[:, None],
    "The sum and the division both take one step too many.":
        lambda outputs, lengths: masked_sum(outputs, lengths, 1) / (lengths[:, None] + 1),
    "It is divided by the greatest length: each text has a length of its own.":
        lambda outputs, lengths: masked_sum(outputs, lengths) / lengths.max(),
    "It is divided by all words of the batch: each text has a length of its own.":
        lambda outputs, lengths: masked_sum(outputs, lengths) / lengths.sum(),
    "Every text is cut where the shortest one ends: each text has a length of its own.":
        lambda outputs, lengths: outputs[: lengths.min()].mean(dim=0),
    "This is the sum: divide it by the lengths.": masked_sum,
    "This is the sum over all steps: the mask and the division are missing.":
        lambda outputs, lengths: outputs.sum(dim=0),
    "The mask is turned round: it keeps the padding and drops the words.":
        lambda outputs, lengths: (outputs.sum(dim=0) - masked_sum(outputs, lengths))
        / lengths[:, None],
    "This is the last word's state; take the mean over all words of a text.":
        lambda outputs, lengths: outputs[lengths - 1, torch.arange(len(lengths))],
    "This is the last step of the batch, which is padding for a shorter text.":
        lambda outputs, lengths: outputs[-1],
    "The mean goes over the texts, too: each text has a mean of its own.":
        lambda outputs, lengths: masked_mean(outputs, lengths).mean(0).expand_as(outputs[0]),
    "This is the maximum over the words; take the mean.":
        lambda outputs, lengths: outputs.where(mask(outputs, lengths) > 0, -torch.inf).amax(0),
}  # fmt: skip

# --- last_states(outputs, lengths) -----------------------------------------------------------


def last_states(outputs, lengths, forward_at=None, backward_at=None, halves=lambda f, b: (f, b)):
    """Of two directions, each one's state after it has read a whole text.

    What a mistake changes: the steps from which the two halves are taken, one for each text; what
    is put side by side of them.
    """
    texts, h = torch.arange(len(lengths)), outputs.shape[2] // 2
    forward_at = lengths - 1 if forward_at is None else forward_at
    backward_at = 0 * lengths if backward_at is None else backward_at
    found = halves(outputs[forward_at, texts, :h], outputs[backward_at, texts, h:])
    return torch.cat(found, dim=1)


LAST_STATES_MISTAKES = {
    "outputs[-1] is the batch's last step: padding for a shorter text, for both halves.":
        lambda outputs, lengths: outputs[-1],
    "The backward half is wrong: at the last word it has read one word. At step 0 it has read all.":
        lambda outputs, lengths: last_states(outputs, lengths, backward_at=lengths - 1),
    "The forward half is wrong: at step 0 it has read one word. At the last word it has read all.":
        lambda outputs, lengths: outputs[0],
    "The forward half comes from the batch's last step, which is padding for a shorter text.":
        lambda outputs, lengths: last_states(outputs, lengths, 0 * lengths + len(outputs) - 1),
    "The backward half comes from the batch's last step: it goes backwards, and ends at step 0.":
        lambda outputs, lengths: last_states(
            outputs, lengths, backward_at=0 * lengths + len(outputs) - 1
        ),
    "The steps are exchanged: the forward half ends at the last word, the backward half at step 0.":
        lambda outputs, lengths: last_states(outputs, lengths, 0 * lengths, lengths - 1),
    "The forward half comes one step too late: the last word stands at step length - 1.":
        lambda outputs, lengths: last_states(outputs, lengths, lengths.clamp(max=len(outputs) - 1)),
    "The forward half comes one step too early: the last word stands at step length - 1.":
        lambda outputs, lengths: last_states(outputs, lengths, lengths - 2),
    "The forward half is the first text's in every row: index steps and texts together.":
        lambda outputs, lengths: last_states(
            outputs, lengths, halves=lambda f, b: (outputs[lengths - 1, 0, : f.shape[1]], b)
        ),
    "The first text's length is used for all texts.":
        lambda outputs, lengths: last_states(outputs, lengths, 0 * lengths + lengths[0] - 1),
    "The halves are exchanged: the forward one comes first.":
        lambda outputs, lengths: last_states(outputs, lengths, halves=lambda f, b: (b, f)),
    "The forward half stands twice; the second one must be the backward half.":
        lambda outputs, lengths: last_states(outputs, lengths, halves=lambda f, b: (f, f)),
    "The backward half stands twice; the first one must be the forward half.":
        lambda outputs, lengths: last_states(outputs, lengths, halves=lambda f, b: (b, b)),
    "These are means over the words; take each direction's last state.": masked_mean,
}  # fmt: skip

# --- decoder_inputs(targets, bos) ------------------------------------------------------------


def decoder_inputs(targets, bos, first=None, then=lambda T: T[:-1]):
    """`bos`, then every letter of the target but the last: one step behind the targets.

    What a mistake changes: the `first` row, and the rows that come `then`.
    """
    first = torch.full_like(targets[:1], bos) if first is None else first
    return torch.cat([first, then(targets)])


DECODER_INPUTS_MISTAKES = {
    "The decoder reads the letter that it is to guess: the inputs must be one step behind.":
        lambda targets, bos: targets.clone(),
    "The shift goes the wrong way: the decoder reads the letter after the one that it guesses.":
        lambda targets, bos: torch.cat([targets[1:], torch.full_like(targets[:1], bos)]),
    "The shift goes the wrong way, and the first letter comes last.":
        lambda targets, bos: targets.roll(-1, dims=0),
    "The last letter comes first; bos must come first, and the last letter is left out.":
        lambda targets, bos: targets.roll(1, dims=0),
    "bos stands in the place of the first letter: all letters have to move one step.":
        lambda targets, bos: decoder_inputs(targets, bos, then=lambda T: T[1:]),
    "bos comes last; it must come first.":
        lambda targets, bos: torch.cat([targets[:-1], torch.full_like(targets[:1], bos)]),
    "The letters are two steps behind; one is enough.":
        lambda targets, bos: decoder_inputs(decoder_inputs(targets, bos), bos),
    "The shift goes over the texts; it must go over the steps, axis 0.":
        lambda targets, bos: decoder_inputs(targets.T, bos).T,
    "Every input is bos; after the first step the decoder reads the target's letters.":
        lambda targets, bos: torch.full_like(targets, bos),
    "The first row is 0; it must be bos.":
        lambda targets, bos: decoder_inputs(targets, bos, first=torch.zeros_like(targets[:1])),
    "The first letter stands twice; bos must come first.":
        lambda targets, bos: decoder_inputs(targets, bos, first=targets[:1]),
    "The letters are turned round.":
        lambda targets, bos: decoder_inputs(targets, bos, then=lambda T: T[:-1].flip(0)),
}  # fmt: skip
