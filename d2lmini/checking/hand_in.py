r"""What the hidden tests of the homework do, so that a grader need not believe a notebook."""

import json
import os

import torch

from .check import check
from .compare import Trial
from .exercises import EXERCISES


def hand_in(function, task):
    """`check` with other numbers, and all results written down for the grader.

    A grader sets D2LMINI_SEED to a number that nobody knew before, and D2LMINI_RESULTS to a file.
    It compares what is written there in a process of its own: so it need not believe what the
    notebook says of itself. Without them, this is `check`.
    """
    torch.set_default_dtype(torch.float32)  # as in the process that compares
    seed = int(os.environ.get("D2LMINI_SEED", 1))
    check(function, task, seed=seed)
    if file := os.environ.get("D2LMINI_RESULTS"):
        with open(file, "a", encoding="utf-8") as results:
            results.write(json.dumps({task: numbers(function, task, seed)}) + "\n")


def numbers(function, task, seed):
    """All results of a function in all cases, as plain numbers and words, for `json`."""
    trial = Trial(EXERCISES[task], function, seed)
    return [list(map(plain, trial.run(case).values())) for case in trial.exercise.cases]


def plain(value):
    """A tensor as a list of its numbers; other results as they are."""
    return value.detach().flatten().tolist() if isinstance(value, torch.Tensor) else value
