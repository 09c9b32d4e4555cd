"""One thread beside the cells of a notebook, which does one job at a time."""

import atexit
import threading
import traceback

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
