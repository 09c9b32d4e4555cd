r"""Is my network right? `check` answers at once, and names the mistake where it knows it.

    d2l.check(gru)                # a function from your own notebook, named as in the lessons
    d2l.check(mine, "lstm")       # or with any other name

It runs the function on several shapes beside the equations, and compares logits, states and the
gradient of every parameter. Where they differ, it tries the mistakes that are made most, one by
one: each is the right network with that one thing wrong, and the one that computes what your
function computes is the one that you made.
"""

import torch

from . import cells
from .mistakes import mistakes, network

SHAPES = [  # (num_steps, batch_size, vocab_size, num_hiddens), the smallest first
    (1, 1, 2, 2),
    (2, 1, 3, 2),
    (1, 2, 3, 4),
    (3, 2, 4, 5),
    (5, 3, 7, 4),
    (7, 4, 5, 8),
]
TASKS = {"rnn": cells.rnn, "gru": cells.gru, "lstm": cells.lstm}


class WrongAnswer(AssertionError):
    """What `check` raises: the mistake in words, the smallest case that shows it, both values."""


def check(function, task=None):
    """Compare `function(inputs, state, params)` with the equations of a lesson.

    function: as in lessons 01, 03 and 05: inputs are one-hot vectors (num_steps, batch_size,
    vocab_size); state is (H,), or (H, C) of an LSTM; params are those of the lesson, W_hq and b_q
    last. It returns logits (num_steps * batch_size, vocab_size), and the new state, a tuple.
    task: "rnn", "gru" or "lstm"; without it, the function's name.

    Prints one line where all agrees. Raises `WrongAnswer` otherwise, and ValueError for a task
    that there is not.
    """
    task = task or getattr(function, "__name__", None)
    if task not in TASKS:
        raise ValueError(f"task must be one of {', '.join(map(repr, TASKS))}, got {task!r}")
    cell = TASKS[task]
    for shape in SHAPES:
        expected = run(network(cell), cell, make_case(cell, shape))
        found = attempt(function, cell, shape)
        wrong = [name for name in expected if not same(found[name], expected[name])]
        if wrong:
            words = mistake(function, cell) or without_a_name(wrong)
            raise WrongAnswer(
                f"{words}\n{in_words(shape)}, {wrong[0]}:\nyours\n{found[wrong[0]].detach()}\n"
                f"the equations\n{expected[wrong[0]].detach()}"
            )
    print(f"{task}: logits, states and gradients agree with the equations in {len(SHAPES)} shapes")


def make_case(cell, shape):
    """Random inputs, state and parameters of a shape, the same every time."""
    num_steps, batch_size, vocab_size, num_hiddens = shape
    generator = torch.Generator().manual_seed(sum(shape))

    def draw(*size):
        return torch.randn(*size, generator=generator).requires_grad_()

    rows = {"W_x": vocab_size, "W_h": num_hiddens}
    params = [
        draw(rows[name[:3]], num_hiddens) if name[0] == "W" else draw(num_hiddens)
        for name in cells.names(cell)
    ]
    params += [draw(num_hiddens, vocab_size), draw(vocab_size)]
    state = tuple(draw(batch_size, num_hiddens) for _ in range(2 if cell is cells.lstm else 1))
    tokens = torch.randint(vocab_size, (num_steps, batch_size), generator=generator)
    return torch.eye(vocab_size)[tokens], state, params


def run(function, cell, case):
    """Logits, new state, and the gradients of a weighted sum of them, by name."""
    inputs, state, params = case
    logits, new_state = function(inputs, state, params)
    results = {"logits": logits, **dict(zip(("H", "C"), new_state))}
    total = torch.zeros((), requires_grad=True)  # has a gradient, whatever the function did
    for part in results.values():
        total = total + (part * torch.linspace(1, 2, part.numel()).view_as(part)).sum()
    leaves = [*params, *state]
    names = [*cells.names(cell), "W_hq", "b_q", "the first H", "the first C"]
    grads = torch.autograd.grad(total, leaves, allow_unused=True)
    for name, leaf, grad in zip(names, leaves, grads):
        results[f"the gradient of {name}"] = torch.zeros_like(leaf) if grad is None else grad
    return results


def attempt(function, cell, shape):
    """What the student's function gives; WrongAnswer where that has not even the right form."""
    num_steps, batch_size, vocab_size, num_hiddens = shape
    inputs, state, params = make_case(cell, shape)
    try:
        returned = function(inputs, state, params)
    except NotImplementedError as error:
        raise WrongAnswer("Nothing is written yet: it raises NotImplementedError.") from error
    except Exception as error:
        raise WrongAnswer(
            f"It raises {type(error).__name__}: {error}\n{in_words(shape)}"
        ) from error
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise WrongAnswer(f"It must return logits and the new state, got {type(returned).__name__}")
    logits, new_state = returned
    if not isinstance(new_state, (tuple, list)) or len(new_state) != len(state):
        wanted = "(H, C)" if len(state) == 2 else "(H,)"
        raise WrongAnswer(
            f"The new state must be the tuple {wanted}, got {type(new_state).__name__}"
            + (f" of {len(new_state)}" if isinstance(new_state, (tuple, list)) else "")
        )
    shapes = {"logits": (num_steps * batch_size, vocab_size)}
    shapes |= {name: (batch_size, num_hiddens) for name, _ in zip("HC", state)}
    for part, (name, wanted) in zip((logits, *new_state), shapes.items()):
        if not isinstance(part, torch.Tensor) or part.shape != wanted:
            got = tuple(part.shape) if isinstance(part, torch.Tensor) else type(part).__name__
            hint = ""
            if name == "logits" and got == (num_steps, batch_size, vocab_size):
                hint = ": put the steps below one another, with torch.cat"
            raise WrongAnswer(
                f"{name} must have the shape {wanted}, got {got}{hint}\n{in_words(shape)}"
            )
    try:
        return run(function, cell, make_case(cell, shape))
    except RuntimeError as error:  # a parameter or a state was changed in place
        raise WrongAnswer(f"Its gradients cannot be taken: {error}\n{in_words(shape)}") from error


def mistake(function, cell):
    """The words of the mistake that computes what the function computes, on every shape."""
    cases = [make_case(cell, shape) for shape in SHAPES]
    found = [run(function, cell, case) for case in cases]
    for words, parts in mistakes(cell).items():
        wrong = network(cell, **parts)
        if all(agree(ours, run(wrong, cell, case)) for ours, case in zip(found, cases)):
            return words
    return None


def without_a_name(wrong):
    """What can be said of a mistake that is not among those that are known."""
    if wrong[0].startswith("the gradient"):
        return (
            f"Logits and states are right, {wrong[0]} is not: is there a detach(), a .data, an "
            "item() or a no_grad() on the way?"
        )
    return f"{wrong[0]} is wrong, and it is none of the mistakes that are made most."


def in_words(shape):
    """The shape as its four numbers with their names."""
    names = ("num_steps", "batch_size", "vocab_size", "num_hiddens")
    return "With " + ", ".join(f"{name}={size}" for name, size in zip(names, shape))


def same(a, b):
    """Whether two tensors are equal up to float32's rounding through a few steps."""
    scale = 1 + b.detach().abs().nan_to_num().max().item()
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)


def agree(found, expected):
    """Whether all results are the same."""
    return all(same(found[name], expected[name]) for name in expected)
