"""Small tools of every training script: a stopwatch, running sums, the choice of a device."""

import math
import os
import time
from numbers import Integral, Real
from pathlib import Path

import torch


class Timer:
    """A stopwatch that keeps every interval, in seconds, in `times`. It runs from the start."""

    def __init__(self):
        self.times = []
        self.start()

    def start(self):
        """Start the next interval."""
        self._started = time.perf_counter()

    def stop(self):
        """End the interval, keep it, and return it in seconds."""
        self.times.append(time.perf_counter() - self._started)
        return self.times[-1]

    def avg(self):
        """The mean interval in seconds; 0.0 before the first `stop`."""
        return self.sum() / len(self.times) if self.times else 0.0

    def sum(self):
        """All intervals together, in seconds."""
        return sum(self.times)

    def cumsum(self):
        """The running totals, one for each interval."""
        totals, total = [], 0.0
        for interval in self.times:
            total += interval
            totals.append(total)
        return totals


class Accumulator:
    """`n` running sums: `add(1.5, 20)` adds 1.5 to the first and 20 to the second."""

    def __init__(self, n):
        check_count("n", n, least=0)
        self.data = [0.0] * n

    def add(self, *args):
        """Add one number (or one-element tensor) to each sum."""
        if len(args) != len(self.data):
            raise ValueError(f"add() got {len(args)} values for {len(self.data)} sums")
        # A loss still carries its graph; float() of such a tensor warns from torch 2.13 on.
        values = [float(a.detach() if isinstance(a, torch.Tensor) else a) for a in args]
        self.data = [total + value for total, value in zip(self.data, values, strict=True)]

    def reset(self):
        """Set every sum to zero."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, idx):
        return self.data[idx]


def try_gpu(i=0):
    """The i-th CUDA device, or the CPU where there is none.

    Apple's MPS is not tried: its recurrent layers have been silently wrong (pytorch#92615).
    """
    if not isinstance(i, Integral):
        raise ValueError(f"i must be an integer, got {i!r}")
    if 0 <= i < torch.cuda.device_count():
        return torch.device(f"cuda:{i}")
    return torch.device("cpu")


def try_all_gpus():
    """A list of all CUDA devices, or of the CPU alone."""
    return [try_gpu(i) for i in range(torch.cuda.device_count())] or [torch.device("cpu")]


def check_count(name, value, least=1):
    """ValueError, with the argument's name, unless `value` is an integer of `least` or more."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be an integer of {least} or more, got {value!r}")


def check_amount(name, value):
    """ValueError, with the argument's name, unless `value` is a finite number of 0 or more."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if not isinstance(value, Real) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number of 0 or more, got {value!r}")


def write_whole(path, content):
    """Write text or bytes all or nothing: a full disk or a stop leaves the old file as it was."""
    path = Path(os.path.realpath(path))  # where a link leads, not the link
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")  # two processes, two drafts
    try:
        with open(draft, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())  # on the disk, before its name says so
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
