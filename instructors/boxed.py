"""Runs the code cells of a submission, and writes a line for each: its text, its error, results.

grading.py starts this in the box, with the cells on standard input. The submission has the rights
of this program and can forge each of its lines, so nobody believes what the lines say of a test:
grading.py compares the results with its own.
"""

import gc
import io
import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell

WRITTEN = Path(os.environ["D2LMINI_RESULTS"])
SHOWN = 200_000  # characters that all cells together may print
RESULTS = 1_000_000  # characters that the tests may write
AFTERWARDS = 2  # seconds for each cell after one that took too long


class Shell(InteractiveShell):
    """IPython without a kernel: there is no second process to start, to ask and to watch."""

    error = None

    def _showtraceback(self, etype, evalue, stb):
        """Keep an error where IPython would print it."""
        self.error = {"ename": etype.__name__, "evalue": str(evalue), "traceback": stb}

    def enable_gui(self, gui=None):
        """For %matplotlib: there is no window, and nothing to prepare."""

    def _tee(self, channel):
        """IPython would keep all that is printed in its history, and fill the memory."""
        return nullcontext()


class Printed(io.StringIO):
    """What the cells print, until it is too much."""

    encoding = "utf-8"

    def fileno(self):
        return 1

    def write(self, text):
        super().write(text[: max(0, SHOWN - self.tell())])
        return len(text)


def main():
    asked = json.load(sys.stdin)
    sys.path[0] = ""  # as in a kernel: a module that a cell wrote can be imported
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a program of the submission writes
    sys.stdout = printed = Printed()
    gc.disable()  # to search all of torch for garbage would take a quarter of the time
    import matplotlib.pyplot  # noqa: F401

    import d2lmini  # noqa: F401

    gc.freeze()
    gc.enable()
    shell = Shell.instance()
    shell.history_manager.enabled = False  # it complains where a disk is full
    seconds, shown, read = asked["seconds"], 0, 0
    for source in asked["cells"]:
        shell.error = None
        if run(shell, source, seconds):
            words = {"ename": "TimeLimit", "evalue": f"{seconds} s were over", "traceback": []}
            shell.error = words
            seconds = min(seconds, AFTERWARDS)
        text, results = printed.getvalue(), written()
        line = {"text": text[shown:], "error": shell.error, "results": results[read:]}
        print(json.dumps(line, default=str), file=answer, flush=True)
        shown, read = len(text), len(results)
    os._exit(0)  # to take torch apart in good order would take most of a second


def run(shell, source, seconds):
    """Run a cell, and say whether it was interrupted; one that goes on then ends this process."""
    interruptions = []

    def interrupt(*_):
        if interruptions:
            os._exit(1)
        interruptions.append(True)
        raise KeyboardInterrupt

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds, AFTERWARDS)
    try:
        shell.run_cell(source)
    except (KeyboardInterrupt, Exception):
        pass  # it came between the cell's code and its end, or the cell did harm to the shell
    signal.setitimer(signal.ITIMER_REAL, 0)
    return bool(interruptions)


def written():
    """What the tests have written so far."""
    if not WRITTEN.is_file():
        return ""
    with WRITTEN.open(encoding="utf-8", errors="replace") as file:
        return file.read(RESULTS)


main()
