"""Runs the code cells of a submission, and writes a line for each: what it showed, its results.

grading.py starts this in the box, with the cells on standard input. The submission has the rights
of this program and can forge each of its lines, so nobody believes what the lines say of a test:
grading.py compares the results with its own.
"""

import json
import os
import queue
import sys
import time
from pathlib import Path
from subprocess import DEVNULL

from jupyter_client.manager import KernelManager

SHOWN = 1_000_000  # characters that all cells together may show
RESULTS = 10_000_000  # characters that the tests may write
AFTERWARDS = 2  # seconds for each cell after one that took too long
SHOW = ("stream", "error", "display_data", "execute_result")  # messages that show something
PARENT = os.getppid()


def main():
    asked = json.load(sys.stdin)
    manager = KernelManager(kernel_name="python3")
    no_history = ["--HistoryManager.enabled=False"]  # it complains in a cell where a disk is full
    manager.start_kernel(stdout=DEVNULL, stderr=DEVNULL, extra_arguments=no_history)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    seconds, room, read = asked["seconds"], SHOWN, 0
    for source in asked["cells"]:
        outputs, late = run(manager, client, source, seconds, room)
        if outputs is None:
            break
        room -= sum(map(length, outputs))
        if late:
            late = {"ename": "TimeLimit", "evalue": f"{seconds} s were over", "traceback": []}
            outputs.append(late | {"output_type": "error"})
            seconds = min(seconds, AFTERWARDS)
        results = written()
        print(json.dumps({"outputs": outputs, "results": results[read:]}), flush=True)
        read = len(results)
    manager.shutdown_kernel(now=True)


def run(manager, client, source, seconds, room):
    """What a cell shows, and whether it took too long; None where the kernel ended with it."""
    request = client.execute(source, allow_stdin=False)
    outputs, late, end = [], False, time.monotonic() + seconds
    while True:
        try:
            message = client.get_iopub_msg(timeout=0.2)
        except queue.Empty:
            message = None
        if not manager.is_alive() or os.getppid() != PARENT:
            return None, late
        if time.monotonic() > end and not late:
            late, end = True, time.monotonic() + AFTERWARDS
            manager.interrupt_kernel()
        elif time.monotonic() > end and message is None:  # nothing interrupts it
            return None, late
        if message is None or message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if content.get("execution_state") == "idle":
            return outputs, late
        output = content | {"output_type": message["msg_type"]}
        if message["msg_type"] == "error":
            output["evalue"] = output["evalue"][:10_000]
            output["traceback"] = [line[:10_000] for line in output["traceback"][:30]]
        if message["msg_type"] in SHOW and (length(output) <= room or "ename" in output):
            room -= length(output)
            outputs.append(output)


def length(output):
    return len(json.dumps(output))


def written():
    """What the tests have written so far."""
    path = Path(os.environ["D2LMINI_RESULTS"])
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(RESULTS)


main()
