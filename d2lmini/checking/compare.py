r"""What a function gives in the cases of an exercise, and whether two results are the same."""

from typing import NamedTuple

import torch

from .answers import WrongAnswer
from .exercises import Exercise


class Trial(NamedTuple):
    """A function that is to do an exercise, and the seed of the numbers that it is given."""

    exercise: Exercise
    function: object
    seed: int

    def run(self, case):
        """All results in a case, by name; WrongAnswer where the arguments are changed."""
        exercise, arguments = self.exercise, self.arguments(case)
        results = exercise.results(self.function, arguments)
        for name, after, before in zip(exercise.names, arguments, self.arguments(case)):
            if not unchanged(after, before):
                words = "It changes its argument {name}; whoever calls it may need that."
                raise WrongAnswer(words, name=name)
        return results

    def right(self, case):
        """All results of a right function in a case."""
        return self.exercise.results(self.exercise.right, self.arguments(case))

    def arguments(self, case):
        """What the function is given in a case, made anew."""
        return self.exercise.make(case, self.seed)

    def describe(self, case):
        """The case in words."""
        return self.exercise.describe(case, self.arguments(case))


def unchanged(after, before):
    """Whether an argument is still what it was."""
    if isinstance(before, (list, tuple)):
        return len(after) == len(before) and all(map(unchanged, after, before))
    return torch.equal(after, before) if isinstance(before, torch.Tensor) else after == before


def outcome(call, *arguments):
    """What a call returns, or the name of the error that it raises."""
    try:
        return call(*arguments)
    except Exception as error:
        return type(error).__name__


def agree(found, expected):
    """Whether two outcomes are the same: all results, or the error."""
    if isinstance(found, str) or isinstance(expected, str):
        return found == expected
    return found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in expected)


def differences(found, expected):
    """The names of the results that differ."""
    names = [*expected, *(name for name in found if name not in expected)]
    return [name for name in names if not same(found.get(name), expected.get(name))]


def same(a, b):
    """Whether two results are equal; tensors up to float32's rounding through a few steps."""
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return type(a) is type(b) and a == b
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    scale = 1 + b.detach().abs().nan_to_num().max().item()
    return torch.allclose(a, b, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)
