r"""What `check` can check: cases to try, the right answer, and what is known to go wrong."""

from typing import NamedTuple

import torch

from . import mistakes_in_cells, mistakes_in_functions, mistakes_in_stacks, mistakes_in_text
from .networks import forward, mistakes, two_mistakes

SHAPES = [  # (num_steps, batch_size, vocab_size, num_hiddens), the smallest first
    (1, 1, 3, 2),  # not square, so that a product the wrong way round is noticed at once
    (2, 1, 2, 2),
    (1, 2, 3, 4),
    (3, 2, 4, 5),
    (5, 3, 7, 4),
    (7, 4, 5, 8),
]


class WrongAnswer(AssertionError):
    """What `check` raises: the mistake in words, the smallest case that shows it, both values."""

    def _render_traceback_(self):  # IPython shows these lines in place of a long way through here
        return [f"WrongAnswer: {self}"]


class Exercise(NamedTuple):
    """One function to write.

    names: of the arguments. cases: what tells one case from another, the smallest first.
    make(case, seed): fresh arguments. describe(case, arguments): the case in words.
    results(function, arguments): what counts, by name; WrongAnswer where that has not even the
    right form. right: a right function. wrong: an iterator over mistakes, (sentence, function).
    agreed: what to say when all is well. clues: the names that `make` can replace by zeros.
    """

    names: tuple

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
        ("inputs", "state", "params"), SHAPES, make, describe, results, forward(network), wrong,
        f"logits, states and gradients agree with the equations in {len(SHAPES)} shapes",
        (*network.names, *network.states),
    )  # fmt: skip


def in_form(returned, states, arguments):
    """Logits and the new state; WrongAnswer where they have not the right types and shapes."""
    inputs, state, _ = arguments
    wanted = f"({', '.join(states)}{',' * (len(states) == 1)})"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise WrongAnswer(f"It must return two things, logits and {wanted}; got {kind(returned)}")
    logits, new_state = returned
    if not isinstance(new_state, (tuple, list)) or len(new_state) != len(states):
        raise WrongAnswer(f"The new state must be the tuple {wanted}, got {kind(new_state)}")
    num_steps, batch_size, vocab_size = inputs.shape
    hints = {
        (num_steps, batch_size, vocab_size): ": put the steps below one another, with torch.cat",
        (batch_size, num_steps * vocab_size): ": put the steps below one another, along axis 0",
        (batch_size, vocab_size): ", as of one step: collect those of every step, and return "
        "after the loop",
    }
    shapes = {"logits": (num_steps * batch_size, vocab_size)}
    shapes |= {name: tuple(part.shape) for name, part in zip(states, state)}
    for part, (name, shape) in zip((logits, *new_state), shapes.items()):
        if type(part) is not torch.Tensor:
            raise WrongAnswer(f"{name} must be a tensor of the shape {shape}, got {kind(part)}")
        if part.shape != shape:
            hint = hints.get(tuple(part.shape), "") if name == "logits" else ""
            raise WrongAnswer(f"{name} must have the shape {shape}, got {tuple(part.shape)}{hint}")
        if part.dtype != inputs.dtype:
            raise WrongAnswer(f"{name} must be {inputs.dtype} like the inputs, got {part.dtype}")
    return logits, tuple(new_state)


def kind(value):
    """What somebody returned, in words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of the shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        parts = " and ".join(sorted({type(part).__name__ for part in value}))
        return f"a {type(value).__name__} of {len(value)}" + f" ({parts})" * bool(parts)
    return "nothing" if value is None else f"{type(value).__name__}"


# --- other functions ---------------------------------------------------------------------------


def function_exercise(cases, make, right, wrong, form, names):
    """A function of plain arguments. form(found): results by name; names: of the arguments."""

    def describe(case, arguments):
        return "With " + ", ".join(f"{n}={brief(value)}" for n, value in zip(names, arguments))

    def results(function, arguments):
        return form(function(*arguments))

    agreed = f"right in {len(cases)} cases"
    return Exercise(names, cases, make, describe, results, right, lambda: wrong.items(), agreed)


def brief(value):
    """A value in one line, numbers with four digits, long lists cut."""
    value = value.tolist() if isinstance(value, torch.Tensor) else value
    if isinstance(value, list):
        more = f", ... {len(value)} in all" if len(value) > 70 else ""
        return "[" + ", ".join(map(brief, value[: 12 if more else 70])) + more + "]"
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def some_tokens(length, seed):
    """Tokens, fewer different ones than there are places."""
    generator = torch.Generator().manual_seed(100 * seed + length)
    tokens = ["b", "a", "c", "The", " ", "the", "7", "it's", "ö", "d", "e", "f", "g", "h", "E", "A"]
    drawn = torch.randint(min(2 + length // 3, len(tokens)), (length,), generator=generator)
    return ([tokens[number] for number in drawn.tolist()],)


def dictionary(found):
    """A dictionary, in an order that does not depend on how it was made."""
    if not isinstance(found, dict):
        raise WrongAnswer(f"It must return a dict, got {kind(found)}")
    found = {key: found[key] for key in sorted(found, key=str)}
    for key, index in found.items():
        found[key] = int(index) if hasattr(index, "__index__") else index  # also NumPy's integers
    return {"the dictionary": found}


def numbers_from(case, seed):
    """A corpus in which no token occurs twice, and the other arguments."""
    length, batch_size, num_steps, offset = case
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(length, generator=generator).tolist(), batch_size, num_steps, offset


def list_of_batches(found):
    """The batches as lists; WrongAnswer where they are none."""
    if not hasattr(found, "__iter__") or isinstance(found, torch.Tensor):
        raise WrongAnswer(f"It must return a list of (X, Y), got {kind(found)}")
    found = [batch for batch, _ in zip(found, range(1000))]
    for batch in found:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise WrongAnswer(f"A batch must be a pair (X, Y), got {kind(batch)}")
        for part in batch:
            if type(part) is not torch.Tensor or part.dim() != 2:
                wanted = "tensors of the shape (batch_size, num_steps)"
                raise WrongAnswer(f"X and Y must be {wanted}, got {kind(part)}")
            if part.is_floating_point():
                raise WrongAnswer(f"X and Y must hold whole numbers, got {part.dtype}")
    return {"the batches": [[part.tolist() for part in batch] for batch in found]}


def probabilities(length, seed):
    """Probabilities between 0.02 and 0.98; among many, one that is almost zero."""
    generator = torch.Generator().manual_seed(100 * seed + length)
    drawn = 0.02 + 0.96 * torch.rand(length, generator=generator)
    drawn[100:101] = 1e-30
    return (drawn,)


def one_number(found):
    """A perplexity; WrongAnswer where it is not one number."""
    if getattr(found, "shape", ()) != () or not hasattr(found, "__float__"):
        raise WrongAnswer(f"It must return one number, got {kind(found)}")
    return {"the perplexity": torch.tensor(float(found))}


def gradients(case, seed):
    """Gradients of different shapes with a norm, and theta."""
    norm, theta, shapes = case
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(*shape, generator=generator) for shape in shapes]
    return [norm / mistakes_in_functions.norm(drawn) * gradient for gradient in drawn], theta


def list_of_gradients(found):
    """The gradients by their numbers; WrongAnswer where they are no list of tensors."""
    if not isinstance(found, (list, tuple)) or any(type(g) is not torch.Tensor for g in found):
        raise WrongAnswer(f"It must return a list of tensors, got {kind(found)}")
    return {f"gradient {k}": gradient for k, gradient in enumerate(found)}


F, T = mistakes_in_functions, mistakes_in_text
EXERCISES = {
    name: network_exercise(network)
    for name, network in (mistakes_in_cells.NETWORKS | mistakes_in_stacks.NETWORKS).items()
} | {
    "vocabulary": function_exercise(
        [1, 3, 9, 16, 24, 40],
        some_tokens, T.vocabulary, T.VOCABULARY, dictionary, ["tokens"],
    ),
    "batches": function_exercise(
        [(5, 2, 2, 0), (10, 2, 2, 1), (12, 2, 3, 0), (14, 2, 3, 0), (31, 3, 4, 6), (47, 2, 5, 3),
         (64, 4, 3, 1)],
        numbers_from, T.batches, T.BATCHES, list_of_batches,
        ["corpus", "batch_size", "num_steps", "offset"],
    ),
    "perplexity": function_exercise(
        [1, 2, 3, 10, 200], probabilities, F.perplexity, F.PERPLEXITY, one_number, ["probabilities"]
    ),
    "clip": function_exercise(
        [(2.0, 1.0, [(2, 2), (3,)]), (0.3, 1.0, [(2, 2), (3,)]), (6.0, 2.0, [(4,)]),
         (1.5, 2.0, [(2,), (3,)]), (0.8, 0.5, [(2,), (3, 2), (1,)]), (0.0, 1.0, [(2, 2), (3,)])],
        gradients, F.clip, F.CLIP, list_of_gradients, ["gradients", "theta"],
    ),
}  # fmt: skip
