r"""What `check` can check: cases to try, the right answer, and what is known to go wrong."""

from typing import NamedTuple

import torch

from . import mistakes_in_gru, mistakes_in_lstm, mistakes_in_mgu, mistakes_in_rnn
from .answers import (
    dictionary,
    letters_of_texts,
    list_of_batches,
    list_of_gradients,
    logits_and_state,
    one_number,
    states_of_texts,
)
from .mistakes_in_functions import CLIP_MISTAKES, PERPLEXITY_MISTAKES, clip, norm, perplexity
from .mistakes_in_sequences import (
    DECODER_INPUTS_MISTAKES,
    LAST_STATES_MISTAKES,
    MASKED_MEAN_MISTAKES,
    decoder_inputs,
    last_states,
    masked_mean,
)
from .mistakes_in_stacks import BIDIRECTIONAL, DEEP
from .mistakes_in_text import BATCHES_MISTAKES, VOCABULARY_MISTAKES, batches, vocabulary
from .networks import common_mistakes, forward, rare_mistakes, two_at_once
from .words import Words, say

# (num_steps, batch_size, vocab_size, num_hiddens), the smallest first; the first one is not square,
# so that a product the wrong way round is noticed at once
SHAPES = [(1, 1, 3, 2), (2, 1, 2, 2), (1, 2, 3, 4), (3, 2, 4, 5), (5, 3, 7, 4), (7, 4, 5, 8)]


class Exercise(NamedTuple):
    """One function to write.

    names: of the arguments. cases: what tells one case from another, the smallest first.
    make(case, seed): fresh arguments. describe(case, arguments): the case in words.
    results(function, arguments): what counts, by name; WrongAnswer where that has not even the
    right form. right: a right function. mistakes: {sentence: a function with this mistake}.
    agreed: what to say when all is well. pairs(): an iterator over two mistakes at once,
    (sentence, function). gradients: the names of results that are told only when all others are
    right. clues: the names that `make` can replace by zeros.
    """

    names: tuple
    cases: list
    make: object
    describe: object
    results: object
    right: object
    mistakes: dict
    agreed: str
    pairs: object = tuple
    gradients: tuple = ()
    clues: tuple = ()


# --- networks ----------------------------------------------------------------------------------


def network_exercise(network):
    """The forward function of a network, compared in logits, states and gradients."""
    leaves = [*network.names, "W_hq", "b_q"]
    gradients = [Words("the gradient of {name}", name=name) for name in leaves]
    gradients += [Words("the gradient of the first {name}", name=name) for name in network.states]

    def make(shape, seed, zero=None):
        num_steps, batch_size, vocab_size, num_hiddens = shape
        generator = torch.Generator().manual_seed(1000 * seed + sum(shape))
        sizes = {"W_h": num_hiddens, "W_x": vocab_size}
        sizes |= {name: k * num_hiddens for name, k in network.rows.items()}

        def draw(name, *size):
            drawn = torch.randn(*size, generator=generator)
            return (0 * drawn if name == zero else drawn).requires_grad_()

        params = []
        for name in leaves:
            columns = vocab_size if name.endswith("q") else num_hiddens
            rows = (sizes.get(name, sizes.get(name[:3])),) if name[0] == "W" else ()
            params.append(draw(name, *rows, columns))
        state = tuple(draw(name, batch_size, num_hiddens) for name in network.states)
        tokens = torch.randint(vocab_size, (num_steps, batch_size), generator=generator)
        return torch.eye(vocab_size)[tokens], state, params

    def describe(shape, arguments):
        names = ("num_steps", "batch_size", "vocab_size", "num_hiddens")
        return with_arguments(f"{name}={size}" for name, size in zip(names, shape))

    def results(function, arguments):
        inputs, state, params = arguments
        returned = function(inputs, state, params)
        logits, new_state = logits_and_state(returned, network.states, arguments)
        found = {"logits": logits, **dict(zip(network.states, new_state))}
        total = torch.zeros((), requires_grad=True)  # has a gradient, whatever the function did
        for part in found.values():
            total = total + (part * torch.linspace(1, 2, part.numel()).view_as(part)).sum()
        grads = torch.autograd.grad(total, [*params, *state], allow_unused=True)
        for name, leaf, grad in zip(gradients, [*params, *state], grads):
            found[name] = torch.zeros_like(leaf) if grad is None else grad
        return found

    def functions(mistakes):
        return {words: forward(network, **wrong) for words, wrong in mistakes.items()}

    def pairs():
        for words, wrong in two_at_once(common):
            yield words, forward(network, **wrong)

    common = common_mistakes(network)
    return Exercise(
        ("inputs", "state", "params"), SHAPES, make, describe, results, forward(network),
        functions(common | rare_mistakes(network)),
        Words(
            "logits, states and gradients agree with the equations in {count} shapes",
            count=len(SHAPES),
        ),
        pairs, gradients, (*network.names, *network.states),
    )  # fmt: skip


# --- other functions ---------------------------------------------------------------------------


def function_exercise(cases, make, right, mistakes, form, *names):
    """A function of plain arguments. form(found): results by name; names: of the arguments."""

    def describe(case, arguments):
        return with_arguments(f"{n}={brief(value)}" for n, value in zip(names, arguments))

    def results(function, arguments):
        return form(function(*arguments))

    agreed = Words("right in {count} cases", count=len(cases))
    return Exercise(names, cases, make, describe, results, right, mistakes, agreed)


def with_arguments(named):
    """The arguments of a case, each as NAME=VALUE, in words."""
    return say("With {arguments}", arguments=", ".join(named))


def brief(value):
    """A value in one line, numbers with four digits, long lists cut."""
    value = value.tolist() if isinstance(value, torch.Tensor) else value
    if isinstance(value, list):
        more = f", ... {say('{count} in all', count=len(value))}" if len(value) > 70 else ""
        return "[" + ", ".join(map(brief, value[: 12 if more else 70])) + more + "]"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def some_tokens(length, seed):
    """Tokens, fewer different ones than there are places."""
    generator = torch.Generator().manual_seed(100 * seed + length)
    tokens = ["b", "a", "c", "The", " ", "the", "7", "it's", "ö", "d", "e", "f", "g", "h", "E", "A"]
    drawn = torch.randint(min(2 + length // 3, len(tokens)), (length,), generator=generator)
    return ([tokens[number] for number in drawn.tolist()],)


def some_corpus(case, seed):
    """A corpus in which no token occurs twice, and the other arguments."""
    length, batch_size, num_steps, offset = case
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(length, generator=generator).tolist(), batch_size, num_steps, offset


def some_probabilities(length, seed):
    """Probabilities between 0.02 and 0.98; among many, one that is almost zero."""
    generator = torch.Generator().manual_seed(100 * seed + length)
    drawn = 0.02 + 0.96 * torch.rand(length, generator=generator)
    drawn[100:101] = 1e-30
    return (drawn,)


def some_gradients(case, seed):
    """Gradients of different shapes with a norm, and theta."""
    length, theta, shapes = case
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(*shape, generator=generator) for shape in shapes]
    return [length / norm(drawn) * gradient for gradient in drawn], theta


def some_outputs(case, seed):
    """The outputs of a layer that went on through the padding, and the lengths of the texts."""
    num_hiddens, num_steps, *lengths = case
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(num_steps, len(lengths), num_hiddens, generator=generator)
    return outputs, torch.tensor(lengths)


def some_targets(case, seed):
    """Letters without 0 and without `bos`, which is the greatest index, and `bos`."""
    num_steps, batch_size, bos = case
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, bos, (num_steps, batch_size), generator=generator), bos


NETWORKS = {
    "rnn": mistakes_in_rnn.NETWORK,
    "gru": mistakes_in_gru.NETWORK,
    "lstm": mistakes_in_lstm.NETWORK,
    "mgu": mistakes_in_mgu.NETWORK,
    "coupled": mistakes_in_lstm.COUPLED_NETWORK,
    "deep": DEEP,
    "bidirectional": BIDIRECTIONAL,
}
# num_hiddens of both directions together, num_steps, and the length of each text
TEXTS = [(2, 1, 1), (2, 3, 2), (4, 3, 3, 1), (4, 4, 2, 4, 1), (6, 7, 3, 7, 7, 5)]
EXERCISES = {name: network_exercise(network) for name, network in NETWORKS.items()} | {
    "vocabulary": function_exercise(
        [1, 3, 9, 16, 24, 40],
        some_tokens, vocabulary, VOCABULARY_MISTAKES, dictionary, "tokens",
    ),
    "batches": function_exercise(
        [(5, 2, 2, 0), (10, 2, 2, 1), (12, 2, 3, 0), (14, 2, 3, 0), (31, 3, 4, 6), (47, 2, 5, 3),
         (64, 4, 3, 1)],
        some_corpus, batches, BATCHES_MISTAKES, list_of_batches,
        "corpus", "batch_size", "num_steps", "offset",
    ),
    "perplexity": function_exercise(
        [1, 2, 3, 10, 200],
        some_probabilities, perplexity, PERPLEXITY_MISTAKES, one_number, "probabilities",
    ),
    "clip": function_exercise(
        [(2.0, 1.0, [(2, 2), (3,)]), (0.3, 1.0, [(2, 2), (3,)]), (6.0, 2.0, [(4,)]),
         (1.5, 2.0, [(2,), (3,)]), (0.8, 0.5, [(2,), (3, 2), (1,)]), (0.0, 1.0, [(2, 2), (3,)])],
        some_gradients, clip, CLIP_MISTAKES, list_of_gradients, "gradients", "theta",
    ),
    "masked_mean": function_exercise(
        TEXTS, some_outputs, masked_mean, MASKED_MEAN_MISTAKES, states_of_texts,
        "outputs", "lengths",
    ),
    "last_states": function_exercise(
        TEXTS, some_outputs, last_states, LAST_STATES_MISTAKES, states_of_texts,
        "outputs", "lengths",
    ),
    "decoder_inputs": function_exercise(
        [(1, 1, 3), (2, 1, 4), (3, 2, 5), (4, 3, 9), (5, 4, 20)],
        some_targets, decoder_inputs, DECODER_INPUTS_MISTAKES, letters_of_texts,
        "targets", "bos",
    ),
}  # fmt: skip
