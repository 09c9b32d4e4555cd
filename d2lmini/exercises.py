r"""What `check` can check: cases to try, the right answer, and what is known to go wrong."""

from typing import NamedTuple

import torch

from . import cell_mistakes, function_mistakes, stack_mistakes
from .mistakes import forward, mistakes, two_mistakes

SHAPES = [  # (num_steps, batch_size, vocab_size, num_hiddens), the smallest first
    (1, 1, 2, 2),
    (2, 1, 3, 2),
    (1, 2, 3, 4),
    (3, 2, 4, 5),
    (5, 3, 7, 4),
    (7, 4, 5, 8),
]


class WrongAnswer(AssertionError):
    """What `check` raises: the mistake in words, the smallest case that shows it, both values."""


class Exercise(NamedTuple):
    """One function to write.

    cases: what tells one case from another, the smallest first. make(case, seed): fresh
    arguments. describe(case, arguments): the case in words. results(function, arguments): what
    counts, by name; WrongAnswer where that has not even the right form.
    right: a right function. wrong: an iterator over mistakes, (sentence, function).
    agreed: what to say when all is well. clues: the names that `make` can replace by zeros.
    """

    cases: list
    make: object
    describe: object
    results: object
    right: object
    wrong: object
    agreed: str
    clues: tuple = ()


# --- networks ----------------------------------------------------------------------------------


def network_exercise(network):
    """The forward function of a network, compared in logits, states and gradients."""
    leaves = [*network.names, "W_hq", "b_q"]

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
        return "With " + ", ".join(f"{name}={size}" for name, size in zip(names, shape))

    def results(function, arguments):
        inputs, state, params = arguments
        logits, new_state = in_form(function(inputs, state, params), network.states, arguments)
        found = {"logits": logits, **dict(zip(network.states, new_state))}
        total = torch.zeros((), requires_grad=True)  # has a gradient, whatever the function did
        for part in found.values():
            total = total + (part * torch.linspace(1, 2, part.numel()).view_as(part)).sum()
        grads = torch.autograd.grad(total, [*params, *state], allow_unused=True)
        names = [*leaves, *(f"the first {name}" for name in network.states)]
        for name, leaf, grad in zip(names, [*params, *state], grads):
            found[f"the gradient of {name}"] = torch.zeros_like(leaf) if grad is None else grad
        return found

    def wrong():
        for words, parts in [*mistakes(network).items(), *two_mistakes(network)]:
            yield words, forward(network, **parts)

    return Exercise(
        SHAPES, make, describe, results, forward(network), wrong,
        f"logits, states and gradients agree with the equations in {len(SHAPES)} shapes",
        (*network.names, *network.states),
    )  # fmt: skip


def in_form(returned, states, arguments):
    """Logits and the new state; WrongAnswer where they have not the right types and shapes."""
    inputs, state, params = arguments
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise WrongAnswer(f"It must return logits and the new state, got {type(returned).__name__}")
    logits, new_state = returned
    if not isinstance(new_state, (tuple, list)) or len(new_state) != len(states):
        length = f" of {len(new_state)}" if isinstance(new_state, (tuple, list)) else ""
        raise WrongAnswer(
            f"The new state must be the tuple ({', '.join(states)}{',' * (len(states) == 1)}), "
            f"got {type(new_state).__name__}{length}"
        )
    num_steps, batch_size, vocab_size = inputs.shape
    shapes = {"logits": (num_steps * batch_size, vocab_size)}
    shapes |= {name: tuple(part.shape) for name, part in zip(states, state)}
    for part, (name, wanted) in zip((logits, *new_state), shapes.items()):
        if type(part) is not torch.Tensor or part.shape != wanted:
            got = tuple(part.shape) if type(part) is torch.Tensor else type(part).__name__
            steps_apart = name == "logits" and got == tuple(inputs.shape)
            hint = ": put the steps below one another, with torch.cat" if steps_apart else ""
            raise WrongAnswer(f"{name} must have the shape {wanted}, got {got}{hint}")
    return logits, new_state


# --- other functions ---------------------------------------------------------------------------


def function_exercise(cases, make, right, wrong, form, names):
    """A function of plain arguments. form(found): results by name; names: of the arguments."""

    def describe(case, arguments):
        return "With " + ", ".join(f"{n}={brief(value)}" for n, value in zip(names, arguments))

    def results(function, arguments):
        return form(function(*arguments))

    agreed = f"right in {len(cases)} cases"
    return Exercise(cases, make, describe, results, right, lambda: wrong.items(), agreed)


def brief(value):
    """A value in one line."""
    if isinstance(value, list) and value and isinstance(value[0], torch.Tensor):
        return "[" + ", ".join(map(brief, value)) + "]"
    return str(value.tolist() if isinstance(value, torch.Tensor) else value)


def letters(text, seed):
    """A text, and the same with other letters for another seed."""
    return (list(text.translate({c: c + seed % 7 for c in map(ord, set(text) - {" "})})),)


def dictionary(found):
    """A dictionary, in an order that does not depend on how it was made."""
    if type(found) is not dict:
        raise WrongAnswer(f"It must return a dict, got {type(found).__name__}")
    return {"the dictionary": {key: found[key] for key in sorted(found, key=str)}}


def numbers_from(case, seed):
    """A corpus in which every token is its own position, and the other arguments."""
    length, batch_size, num_steps, offset = case
    return list(range(seed, seed + length)), batch_size, num_steps, offset


def list_of_batches(found):
    """The batches as lists; WrongAnswer where they are none."""
    if not hasattr(found, "__iter__") or isinstance(found, torch.Tensor):
        raise WrongAnswer(f"It must return a list of (X, Y), got {type(found).__name__}")
    found = [batch for batch, _ in zip(found, range(1000))]
    for batch in found:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise WrongAnswer(f"A batch must be a pair (X, Y), got {brief(batch)}")
        for part in batch:
            if type(part) is not torch.Tensor or part.dim() != 2:
                got = tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__
                raise WrongAnswer(f"X and Y must be tensors (batch_size, num_steps), got {got}")
    return {"the batches": [[part.tolist() for part in batch] for batch in found]}


def probabilities(length, seed):
    """Probabilities between 0.02 and 0.98."""
    generator = torch.Generator().manual_seed(100 * seed + length)
    return (0.02 + 0.96 * torch.rand(length, generator=generator),)


def one_number(found):
    """A perplexity; WrongAnswer where it is not one number."""
    found = torch.as_tensor(found) if isinstance(found, (int, float)) else found
    if type(found) is not torch.Tensor or found.numel() != 1:
        got = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise WrongAnswer(f"It must return one number, got {got}")
    return {"the perplexity": found.detach().reshape(()).float()}


def gradients(case, seed):
    """Two gradients of different shapes, scaled, and theta."""
    scale, theta = case
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(2, 2, generator=generator), scale * torch.ones(3)], theta


def list_of_gradients(found):
    """The gradients by their numbers; WrongAnswer where they are no list of tensors."""
    if not isinstance(found, (list, tuple)) or any(type(g) is not torch.Tensor for g in found):
        raise WrongAnswer(f"It must return a list of tensors, got {type(found).__name__}")
    return {f"gradient {k}": gradient for k, gradient in enumerate(found)}


F = function_mistakes
EXERCISES = {
    name: network_exercise(network)
    for name, network in (cell_mistakes.NETWORKS | stack_mistakes.NETWORKS).items()
} | {
    "vocabulary": function_exercise(
        ["a", "bba", "ab ba cbc", "the time machine", "hello world of h g wells"],
        letters, F.vocabulary, F.VOCABULARY, dictionary, ["tokens"],
    ),
    "batches": function_exercise(
        [(5, 2, 2, 0), (10, 2, 2, 1), (14, 2, 3, 0), (31, 3, 4, 2), (47, 2, 5, 3), (64, 4, 3, 1)],
        numbers_from, F.batches, F.BATCHES, list_of_batches,
        ["corpus", "batch_size", "num_steps", "offset"],
    ),
    "perplexity": function_exercise(
        [1, 2, 3, 10], probabilities, F.perplexity, F.PERPLEXITY, one_number, ["probabilities"]
    ),
    "clip": function_exercise(
        [(1.0, 1.0), (0.1, 1.0), (3.0, 2.0), (0.5, 0.1), (0.0, 1.0)],
        gradients, F.clip, F.CLIP, list_of_gradients, ["gradients", "theta"],
    ),
}  # fmt: skip
