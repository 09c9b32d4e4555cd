r"""Is my function right? `check` answers at once, and names the mistake where it knows it.

    d2l.check(gru)                # a function from your own notebook, named as in the lessons
    d2l.check(mine, "lstm")       # or with any other name

It runs the function on several cases beside a right one and compares all results, of networks
also the gradient of every parameter. Where they differ, it tries the mistakes that are made most,
one by one and two by two: the one that computes what your function computes is the one you made.
"""

import itertools
import re
import traceback

import torch

from ..plotting import in_notebook
from .answers import WrongAnswer, other_shape
from .compare import Trial, agree, differences, outcome, same
from .exercises import EXERCISES
from .words import Words, language, say

# What is often behind an error: {a pattern of its message: what to do}.
HINTS = {
    r"\((\d+x\d+) and \1\)": "`@` is the product of matrices; ⊙ is `*`, number by number.",
    "step must be greater than zero": "A tensor is turned round by `flip(0)`, not by `[::-1]`.",
}


def check(function, task=None, *, seed=0):
    """Compare a function with a right one, on small cases.

    task: what the function is to be; without it, the function's name.
    "rnn", "gru", "lstm", "mgu", "coupled", "deep", "bidirectional": `function(inputs, state,
    params)` as in lessons 01, 04 and 06. inputs are one-hot vectors (num_steps, batch_size,
    vocab_size); state is (H,), (H, C) of an LSTM, (H1, H2) of two layers, (H_f, H_b) of two
    directions, each (batch_size, num_hiddens); params are the lesson's, W_hq and b_q last. It
    returns logits (num_steps * batch_size, vocab_size), and the new state, a tuple.
    "vocabulary", "batches", "perplexity", "clip", "masked_mean", "last_states", "decoder_inputs":
    the functions of the homework.
    seed: other numbers for the same cases.

    Prints one line where all agrees. Raises `WrongAnswer` otherwise, and ValueError for a task
    that there is not.

    It speaks English, or Chinese where the environment variable D2LMINI_LANGUAGE is "zh". In a
    notebook, `%env D2LMINI_LANGUAGE=zh` works at once.
    """
    language()  # where it is wrong, that is said before anything else
    task = task or getattr(function, "__name__", None)
    if task not in EXERCISES:
        names = ", ".join(map(repr, EXERCISES))
        words = "task must be one of {names}, got {got}"
        raise ValueError(say(words, names=names, got=repr(task)))
    exercise = EXERCISES[task]
    trial, wrong_gradients = Trial(exercise, function, seed), []
    for case in exercise.cases:
        found, expected = attempt(trial, case), trial.right(case)
        for name in differences(found, expected):
            difference = case, name, found.get(name), expected.get(name)
            if name not in exercise.gradients:
                complain(trial, *difference)
            wrong_gradients.append(difference)
    if wrong_gradients:  # they are told only if the values are right in every case
        complain(trial, *wrong_gradients[0])
    print(say("{task}: {agreed}", task=task, agreed=exercise.agreed))


def attempt(trial, case):
    """What the student's function gives; WrongAnswer where it does not get so far."""
    try:
        return trial.run(case)
    except NotImplementedError:
        raise WrongAnswer("Nothing is written yet: it raises NotImplementedError.") from None
    except WrongAnswer as error:
        raise WrongAnswer(f"{error}\n{trial.describe(case)}") from None
    except Exception as error:
        raised = f"{type(error).__name__}: {str(error).partition('; ')[0]}"
        words = say("It raises {error}", error=raised)
        if "in-place" in str(error) or "inplace" in str(error):  # as torch words it
            words = say(
                "It changes a tensor in place (`*=`, `copy_`, `H[:] = ...`), and the way back "
                "needs what was there: make a new one. {words}",
                words=words,
            )
        elif named := known_mistake(trial) or hint(error):
            words = f"{say(named)}\n{words}"
        where = line_of(error, trial.function) + trial.describe(case)
        raise WrongAnswer(f"{words}\n{where}") from None


def hint(error):
    """What is often behind such an error, or nothing."""
    found = (words for pattern, words in HINTS.items() if re.search(pattern, str(error)))
    return next(found, None)


def line_of(error, function):
    """The line of the student's function at which an error was raised, or nothing."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    words = "in line {number}: {code}\n"
    return say(words, number=frames[-1].lineno, code=frames[-1].line) if frames else ""


def complain(trial, case, name, found, expected):
    """Raise WrongAnswer, for a result that is not right."""
    both = isinstance(found, torch.Tensor) and isinstance(expected, torch.Tensor)
    if both and found.shape != expected.shape:
        words = other_shape(name, found, expected.shape)
    elif not (words := known_mistake(trial)):
        words = clue(trial, name)
        draw(trial, name)
    values = {"found": shown(found), "expected": shown(expected)}
    there = "{words}\n{case}, {name}:\nyours\n{found}\nright\n{expected}"
    raise WrongAnswer(there, words=words, case=trial.describe(case), name=name, **values)


def shown(value):
    """A result in words."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def known_mistake(trial):
    """The words of the mistake that computes what the function computes, in every case."""
    exercise, trial = trial.exercise, trial._replace(seed=0)  # the same words with every seed
    found = [outcome(trial.run, case) for case in exercise.cases]
    if all(isinstance(results, str) for results in found):
        return None
    arguments = [trial.arguments(case) for case in exercise.cases]
    for words, wrong in itertools.chain(exercise.mistakes.items(), exercise.pairs()):
        others = (outcome(exercise.results, wrong, given) for given in arguments)
        if all(map(agree, found, others)):
            return words
    return None


def clue(trial, name):
    """What can be said of a mistake that is not among those that are known."""
    exercise = trial.exercise
    if name in exercise.gradients:
        return say(
            "All values are right, {name} is not: is there a detach(), a .data, an item() or a "
            "no_grad() on the way?",
            name=name,
        )
    words = "There is a difference in {name}, and it is none of the mistakes that are made most."
    words = say(words, name=name)
    if not exercise.clues:
        return words
    for axis, hint in (
        (0, "It is right for one letter: look at what a step hands to the next, and when."),
        (1, "It is right for one text and wrong for several: are they mixed up?"),
    ):
        if values_are_right(trial, [case for case in exercise.cases if case[axis] == 1]):
            return say("{words} {hint}", words=words, hint=hint)
    found = [zero for zero in exercise.clues if values_are_right(trial, exercise.cases, zero=zero)]
    if found:
        hint = "With {names} = 0 all is right: look at where that is used."
        hint = Words(hint, names=say(" or ").join(found))
    else:
        hint = "Go through the case below step by step: where do you first differ?"
    return say("{words} {hint}", words=words, hint=hint)


def values_are_right(trial, cases, **how):
    """Whether all but gradients is right in these cases, whose arguments are made in this way."""
    exercise, function, seed = trial
    for case, more in itertools.product(cases, range(3)):  # once may be a coincidence
        results = []
        for one in (function, exercise.right):
            try:
                results.append(exercise.results(one, exercise.make(case, seed + more, **how)))
            except Exception:
                return False
        if set(differences(*results)).difference(exercise.gradients):
            return False
    return bool(cases)


def draw(trial, name):
    """In a notebook, where words are few: values as heatmaps, in the first case that has many."""
    if not in_notebook():
        return
    for case in trial.exercise.cases:
        both = outcome(trial.run, case), trial.right(case)
        if isinstance(both[0], str):
            continue
        found, expected = (results.get(name) for results in both)
        many = isinstance(found, torch.Tensor) and found.dim() == 2 and found.numel() >= 20
        if many and not same(found, expected):
            from ..figures import show_difference

            return show_difference(found, expected, name)
