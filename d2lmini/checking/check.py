r"""Is my function right? `check` answers at once, and names the mistake where it knows it.

    d2l.check(gru)                # a function from your own notebook, named as in the lessons
    d2l.check(mine, "lstm")       # or with any other name

It runs the function on several cases beside a right one and compares all results, of networks
also the gradient of every parameter. Where they differ, it tries the mistakes that are made most,
one by one and two by two: the one that computes what your function computes is the one you made.
"""

import itertools
import json
import os
import traceback

import torch

from ..plotting import in_notebook
from .exercises import EXERCISES, WrongAnswer


def check(function, task=None, *, seed=0):
    """Compare a function with a right one, on small cases.

    task: what the function is to be; without it, the function's name.
    "rnn", "gru", "lstm", "mgu", "coupled", "deep", "bidirectional": `function(inputs, state,
    params)` as in lessons 01, 03 and 05. inputs are one-hot vectors (num_steps, batch_size,
    vocab_size); state is (H,), (H, C) of an LSTM, (H1, H2) of two layers, (H_f, H_b) of two
    directions, each (batch_size, num_hiddens); params are the lesson's, W_hq and b_q last. It
    returns logits (num_steps * batch_size, vocab_size), and the new state, a tuple.
    "vocabulary", "batches", "perplexity", "clip": the functions of the homework.
    seed: other numbers for the same cases.

    Prints one line where all agrees. Raises `WrongAnswer` otherwise, and ValueError for a task
    that there is not.
    """
    task = task or getattr(function, "__name__", None)
    if task not in EXERCISES:
        raise ValueError(f"task must be one of {', '.join(map(repr, EXERCISES))}, got {task!r}")
    exercise, later = EXERCISES[task], []
    for case in exercise.cases:
        expected = run(exercise, exercise.right, case, seed)
        found = attempt(exercise, function, case, seed)
        wrong = differences(found, expected)
        if wrong and not wrong[0].startswith("the gradient"):
            complain(exercise, function, case, seed, wrong[0], found, expected)
        if wrong:
            later.append((case, seed, wrong[0], found, expected))
    if later:  # values come first, in every case
        complain(exercise, function, *later[0])
    print(f"{task}: {exercise.agreed}")


def complain(exercise, function, case, seed, name, found, expected):
    """Raise WrongAnswer, for a result that is not right."""
    found, expected = found.get(name), expected.get(name)
    words = other_shape(name, found, expected) or mistake(exercise, function, 0)
    if not words:
        words = clue(exercise, function, name, seed)
        draw(exercise, function, name, seed)
    raise WrongAnswer(
        f"{words}\n{described(exercise, case, seed)}, {name}:\n"
        f"yours\n{shown(found)}\nright\n{shown(expected)}"
    )


def other_shape(name, found, expected):
    """What is wrong with a tensor's shape, or nothing."""
    both = isinstance(found, torch.Tensor) and isinstance(expected, torch.Tensor)
    if both and found.shape != expected.shape:
        return f"{name} must have the shape {tuple(expected.shape)}, got {tuple(found.shape)}"
    return None


def run(exercise, function, case, seed):
    """All results of a function in a case; WrongAnswer where it changes what it was given."""
    arguments = exercise.make(case, seed)
    results = exercise.results(function, arguments)
    for name, after, before in zip(exercise.names, arguments, exercise.make(case, seed)):
        if not unchanged(after, before):
            raise WrongAnswer(f"It changes its argument {name}; whoever calls it may need that.")
    return results


def unchanged(after, before):
    """Whether an argument is still what it was."""
    if isinstance(before, (list, tuple)):
        return len(after) == len(before) and all(map(unchanged, after, before))
    return torch.equal(after, before) if isinstance(before, torch.Tensor) else after == before


def attempt(exercise, function, case, seed):
    """What the student's function gives; WrongAnswer where it does not get so far."""
    try:
        return run(exercise, function, case, seed)
    except NotImplementedError:
        raise WrongAnswer("Nothing is written yet: it raises NotImplementedError.") from None
    except WrongAnswer as error:
        raise WrongAnswer(f"{error}\n{described(exercise, case, seed)}") from None
    except Exception as error:
        words = f"It raises {type(error).__name__}: {str(error).partition('; ')[0]}"
        if "in-place" in str(error) or "inplace" in str(error):
            words = (
                "It changes a tensor in place (`*=`, `copy_`, `H[:] = ...`), and the way back "
                f"needs what was there: make a new one. {words}"
            )
        elif named := mistake(exercise, function, 0):
            words = f"{named}\n{words}"
        where = line_of(error, function) + described(exercise, case, seed)
        raise WrongAnswer(f"{words}\n{where}") from None


def line_of(error, function):
    """The line of the student's function at which an error was raised, or nothing."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"in line {frames[-1].lineno}: {frames[-1].line}\n" if frames else ""


def described(exercise, case, seed):
    """A case in words."""
    return exercise.describe(case, exercise.make(case, seed))


def mistake(exercise, function, seed):
    """The words of the mistake that computes what the function computes, in every case."""
    found = [outcome(exercise, function, case, seed) for case in exercise.cases]
    if all(isinstance(results, str) for results in found):
        return None
    for words, wrong in exercise.wrong():
        others = (outcome(exercise, wrong, case, seed) for case in exercise.cases)
        if all(agree(ours, theirs) for ours, theirs in zip(found, others)):
            return words
    return None


def outcome(exercise, function, case, seed):
    """All results, or the name of the error."""
    try:
        return run(exercise, function, case, seed)
    except Exception as error:
        return type(error).__name__


def clue(exercise, function, name, seed):
    """What can be said of a mistake that is not among those that are known."""
    if name.startswith("the gradient"):
        return (
            f"All values are right, {name} is not: is there a detach(), a .data, an item() or a "
            "no_grad() on the way?"
        )
    words = f"There is a difference in {name}, and it is none of the mistakes that are made most."
    if not exercise.clues:
        return words
    for axis, hint in (
        (0, "one letter: look at what a step hands to the next, and when."),
        (1, "one text: are several of them mixed up?"),
    ):
        cases = [case for case in exercise.cases if case[axis] == 1]
        if right_with(exercise, function, cases, seed):
            return f"{words} It is right for {hint}"
    found = [
        zero for zero in exercise.clues
        if right_with(exercise, function, exercise.cases, seed, zero=zero)
    ]  # fmt: skip
    if found:
        return f"{words} With {' or '.join(found)} = 0 all is right: look at where that is used."
    return words


def right_with(exercise, function, cases, seed, **how):
    """Whether values (not gradients) are right in these cases."""
    for case, more in itertools.product(cases, range(3)):  # once may be a coincidence
        results = []
        for one in (function, exercise.right):
            try:
                results.append(exercise.results(one, exercise.make(case, seed + more, **how)))
            except Exception:
                return False
        if any(not name.startswith("the gradient") for name in differences(*results)):
            return False
    return bool(cases)


def differences(found, expected):
    """The names of the results that differ."""
    names = [*expected, *(name for name in found if name not in expected)]
    return [name for name in names if not same(found.get(name), expected.get(name))]


def agree(found, expected):
    """Whether all results are the same, or the same error came."""
    if isinstance(found, str) or isinstance(expected, str):
        return found == expected
    return not differences(found, expected)


def same(a, b):
    """Whether two results are equal; tensors up to float32's rounding through a few steps."""
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return type(a) is type(b) and a == b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    scale = 1 + b.detach().abs().nan_to_num().max().item()
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)


def shown(value):
    """A result in words."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def draw(exercise, function, name, seed):
    """In a notebook, where words are few: values as heatmaps, in the first case that has many."""
    if not in_notebook():
        return
    for case in exercise.cases:
        found, expected = (outcome(exercise, one, case, seed) for one in (function, exercise.right))
        found = {} if isinstance(found, str) else found
        found, expected = found.get(name), expected.get(name)
        many = isinstance(found, torch.Tensor) and found.dim() == 2 and found.numel() >= 20
        if many and not same(found, expected):
            from ..figures import show_difference

            return show_difference(found, expected, name)


# --- for graders -------------------------------------------------------------------------------


def numbers(function, task, seed):
    """All results of a function in all cases, as plain numbers and words, for `json`."""
    exercise = EXERCISES[task]
    found = [run(exercise, function, case, seed) for case in exercise.cases]
    return [
        [value.detach().flatten().tolist() if isinstance(value, torch.Tensor) else value
         for value in results.values()]
        for results in found
    ]  # fmt: skip


def hand_in(function, task):
    """What a hidden test does: `check` with other numbers, and all results for the grader.

    A grader sets D2LMINI_SEED to a number that nobody knew before, and D2LMINI_RESULTS to a file.
    It compares what is written there in a process of its own: so it need not believe what the
    notebook says of itself. Without them, this is `check`.
    """
    seed = int(os.environ.get("D2LMINI_SEED", 1))
    check(function, task, seed=seed)
    if file := os.environ.get("D2LMINI_RESULTS"):
        with open(file, "a", encoding="utf-8") as results:
            results.write(json.dumps({task: numbers(function, task, seed)}) + "\n")
