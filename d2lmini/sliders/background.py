"""What lets a run live beside the cells of a notebook: one thread, and random numbers of its own.

There is only ever one such thread, and it does one job at a time.
"""

import atexit
import threading
import traceback

import torch
from torch.overrides import TorchFunctionMode

from ..plotting import running_shell

_lock = threading.RLock()  # Jupyter may answer sliders on another thread than it runs cells
_jobs = []  # pairs (job, stop), the one that is under way first
_thread = None


def start(job):
    """Stop what is under way, then do `job(stop)`. Returns the event `stop` at once.

    A job has to end soon after `stop` is set, and to deal with its own exceptions. A job that was
    stopped before its turn is called all the same, so that it can say so.
    """
    global _thread
    with _lock:
        stop()
        if not _jobs:
            _thread = threading.Thread(target=_work, name="d2lmini", daemon=True)
            _thread.start()  # it waits for the lock
        event = threading.Event()
        _jobs.append((job, event))
        return event


def stop(timeout=0.0):
    """Stop every job, and wait `timeout` seconds at the most until they have ended."""
    with _lock:
        for _, event in _jobs:
            event.set()
        thread = _thread
    if timeout and thread is not None:
        thread.join(timeout)


atexit.register(stop, timeout=10)  # a thread in the middle of a product would crash the exit


def stop_on_interrupt():
    """Let the interrupt button stop the job, where an idle kernel would ignore it."""
    if (shell := running_shell()) is not None:
        # Called from a cell: what the kernel puts back when the cell has ended.
        shell.kernel.saved_sigint_handler = lambda *_: stop()


def _work():
    while True:
        with _lock:
            job, event = _jobs[0]
        try:
            job(event)
        except BaseException:
            traceback.print_exc()
        with _lock:
            del _jobs[0]
            if not _jobs:
                return


class Stopped(Exception):
    """Ends a run in the middle of an epoch."""


class Batches:
    """The batches of an iterator, drawn under `own_random`, until the event `stop` is set."""

    def __init__(self, data_iter, own_random, stop):
        self.data_iter, self.own_random, self.stop = data_iter, own_random, stop

    def __iter__(self):
        with self.own_random:
            batches = iter(self.data_iter)
        while True:
            if self.stop.is_set():
                raise Stopped
            with self.own_random:  # never while the network computes: it would cost time there
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


class OwnRandom(TorchFunctionMode):
    """Under `with`, torch draws from a generator of our own, not from the one all threads share."""

    DRAWS = {
        "rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "uniform_",
        "normal_", "random_", "bernoulli_", "exponential_", "kaiming_uniform_",
    }  # fmt: skip

    def __init__(self, seed):
        super().__init__()
        self.seed, self.generators = seed, {}  # one generator for each device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") in self.DRAWS and kwargs.get("generator") is None:
            tensors = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
            device = (tensors or [torch.empty(0, device=kwargs.get("device"))])[0].device
            if device not in self.generators:
                self.generators[device] = torch.Generator(device).manual_seed(self.seed)
            kwargs["generator"] = self.generators[device]
        return func(*args, **kwargs)
