"""Runs the code cells of a submission, and writes a line for each: what it showed, its results.

grading.py starts this in the box, with the cells on standard input. The submission has the rights
of this program and can forge each of its lines, so nobody believes what the lines say of a test:
grading.py compares the results with its own.
"""

import json
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from ipykernel.inprocess.manager import InProcessKernelManager

SHOWN = 1_000_000  # characters that all cells together may show
RESULTS = 10_000_000  # characters that the tests may write
AFTERWARDS = 2  # seconds for each cell after one that took too long
SHOW = ("stream", "error", "display_data", "execute_result")  # messages that show something


def main():
    asked = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a program of the submission writes
    # The kernel runs in this process: there is no second one to start, to ask and to watch.
    manager = InProcessKernelManager()
    manager.start_kernel()
    shell = manager.kernel.shell
    shell.history_manager.enabled = False  # it complains where a disk is full
    shell._tee = lambda channel: nullcontext()  # IPython would keep all that is printed in memory
    client = manager.client()
    client.start_channels()
    outputs, room = [], SHOWN

    def show(message):
        nonlocal room
        if message["msg_type"] not in SHOW:
            return
        output = message["content"] | {"output_type": message["msg_type"]}
        length = len(json.dumps(output, default=str))
        if length <= room or "ename" in output:
            room -= length
            outputs.append(output)

    client.iopub_channel.call_handlers = show
    for stream in (manager.kernel.stdout, manager.kernel.stderr):
        stream.write = bounded(stream.write)
    seconds, read = asked["seconds"], 0
    for source in asked["cells"]:
        if run(client, source, seconds):
            words = {"ename": "TimeLimit", "evalue": f"{seconds} s were over", "traceback": []}
            outputs.append(words | {"output_type": "error"})
            seconds = min(seconds, AFTERWARDS)
        results = written()
        line = {"outputs": outputs, "results": results[read:]}
        print(json.dumps(line, default=str), file=answer, flush=True)
        read = len(results)
        outputs.clear()
    os._exit(0)  # to take torch apart in good order would take most of a second


def bounded(write):
    """The function `write` of a stream, until too much was written."""
    room = SHOWN

    def write_or_not(text):
        nonlocal room
        room -= len(text)
        return write(text) if room > 0 else len(text)

    return write_or_not


def run(client, source, seconds):
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
        client.execute(source, allow_stdin=False)
    except (KeyboardInterrupt, Exception):
        pass  # it came between the cell's code and its end, or the cell did harm to the kernel
    signal.setitimer(signal.ITIMER_REAL, 0)
    return bool(interruptions)


def written():
    """What the tests have written so far."""
    path = Path(os.environ["D2LMINI_RESULTS"])
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(RESULTS)


main()
