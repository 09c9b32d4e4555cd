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
# A page that shows HTML or JavaScript of a submission would let it act for the one who reads it.
PICTURES_AND_TEXT = ("text/plain", "image/png", "image/jpeg")
PARENT = os.getppid()


def main():
    asked = json.load(sys.stdin)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=DEVNULL, stderr=DEVNULL)
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
            words = f"{seconds} s were over"
            outputs.append(error("TimeLimit", words, []))
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
        if time.monotonic() > end:
            if late:  # the cell does not let itself be interrupted
                return None, late
            late, end = True, time.monotonic() + AFTERWARDS
            manager.interrupt_kernel()
        if message is None or message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        if content.get("execution_state") == "idle":
            return outputs, late
        output = shown(message["msg_type"], content)
        if output and (output["output_type"] == "error" or length(output) <= room):
            room -= length(output)
            outputs.append(output)


def shown(kind, content):
    """A message of the kernel as a notebook keeps it; None for those that it does not keep."""
    if kind == "stream":
        return {"output_type": kind, "name": content["name"], "text": content["text"]}
    if kind == "error":
        return error(content["ename"][:200], content["evalue"][:10_000], content["traceback"][:30])
    if kind in ("display_data", "execute_result"):
        data = {key: content["data"][key] for key in PICTURES_AND_TEXT if key in content["data"]}
        return {"output_type": "display_data", "data": data, "metadata": {}}
    return None


def error(ename, evalue, traceback):
    return {"output_type": "error", "ename": ename, "evalue": evalue, "traceback": traceback}


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
