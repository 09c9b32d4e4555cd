"""Preprocessors for nbgrader: submissions run within limits, and are not believed.

nbgrader gives full points to a test cell without an error, even if it never ran. Here a test
leaves the results of the student's function for numbers that nobody knew before (`hand_in` in
d2lmini/feedback.py), and this process compares them with its own.
"""

import json
import os
import re
import secrets
import site
import time
from tempfile import TemporaryDirectory

from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from nbgrader.api import Gradebook
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import is_grade, is_solution
from traitlets import Dict, Integer

from d2lmini import feedback

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None


class TimeIsUp(Exception):
    """A notebook has had all of its time."""


class Client(NotebookClient):
    """Runs a notebook cell by cell, and keeps a million characters of what each prints."""

    kept = Dict()  # characters, by the cell's number

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] in ("stream", "display_data", "execute_result", "error"):
            self.kept[cell_index] = self.kept.get(cell_index, 0) + len(str(msg["content"]))
            if self.kept[cell_index] > 1_000_000:
                return None
        return super().process_message(msg, cell, cell_index)


class Restore(NbGraderPreprocessor):
    """Says again what each cell is, and puts graded cells that were deleted back, at the end.

    What a student's file says about its cells is not used, but for their names: it may be missing
    (not every program keeps it), doubled (a copied cell takes it along) or made up.
    """

    def preprocess(self, nb, resources):
        names = resources["nbgrader"]
        with Gradebook(names["db_url"]) as gradebook:
            source = gradebook.find_notebook(names["notebook"], names["assignment"])
            written = {cell.name for cell in source.solution_cells}
            points = {cell.name: cell.max_score for cell in source.grade_cells}
            known = {}
            for cell in source.source_cells:
                known[cell.name] = cell, {
                    "grade_id": cell.name, "grade": cell.name in points,
                    "solution": cell.name in written, "locked": cell.name not in written,
                    "task": False, "schema_version": 3, "cell_type": cell.cell_type,
                    "checksum": cell.checksum,
                }  # fmt: skip
                if cell.name in points:
                    known[cell.name][1]["points"] = points[cell.name]
            for cell in reversed(nb.cells):  # of doubles, the last one counts
                about = cell.metadata.pop("nbgrader", None)
                name = about.get("grade_id") if isinstance(about, dict) else None
                if isinstance(name, str) and name in known:
                    cell.metadata["nbgrader"] = known.pop(name)[1]
            for cell, about in known.values():
                if about["grade"]:
                    new = new_code_cell if cell.cell_type == "code" else new_markdown_cell
                    nb.cells.append(new(cell.source, metadata={"nbgrader": about}))
        return nb, resources


class Run(NbGraderPreprocessor):
    """Executes a submission in a folder of its own, and compares the results of its tests."""

    seconds_per_cell = Integer(60, help="Time for one cell.").tag(config=True)
    seconds = Integer(300, help="Time for a whole notebook.").tag(config=True)
    megabytes = Integer(4000, help="Memory of the kernel (not on Windows and macOS).").tag(
        config=True
    )

    def preprocess(self, nb, resources):
        seed = secrets.randbelow(2**31)
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            stopped = self.execute(nb, seed, folder)
            found = read_results(os.path.join(folder, "results"))
        for cell in nb.cells:
            if cell.cell_type == "code" and is_grade(cell) and not is_solution(cell):
                compare(cell, found, seed, stopped)
        return nb, resources

    def execute(self, nb, seed, folder):
        """Run all cells. Returns why it stopped before the end, or None."""
        end = time.monotonic() + self.seconds

        def time_left(cell):
            if time.monotonic() >= end:
                raise TimeIsUp
            return min(self.seconds_per_cell, max(1, int(end - time.monotonic())))

        environment = os.environ | {
            "D2LMINI_SEED": str(seed), "D2LMINI_RESULTS": os.path.join(folder, "results"),
            "HOME": folder, "OMP_NUM_THREADS": "1", "PYTHONUSERBASE": site.getuserbase(),
        }  # fmt: skip
        late = {"ename": "TimeLimit", "evalue": f"{self.seconds_per_cell} s were over"}
        client = Client(
            nb, kernel_name="python3", timeout_func=time_left, interrupt_on_timeout=True,
            error_on_timeout=late | {"traceback": []}, on_cell_executed=note_time_limit,
            allow_errors=True, skip_cells_with_tag="no tag keeps a cell from being run",
            resources={"metadata": {"path": folder}}, shutdown_kernel="immediate",
            record_timing=False, coalesce_streams=True, startup_timeout=120,
            extra_arguments=["--log-level=ERROR"],
        )  # fmt: skip
        limits = {"preexec_fn": self.limit} if resource else {}
        try:
            client.execute(env=environment, **limits)
        except TimeIsUp:
            return f"the whole notebook has {self.seconds} s, and they were over"
        except DeadKernelError:
            return "the kernel died: an exit, or more memory than there is"
        return None

    def limit(self):
        """What the kernel may use; runs in its process, before it starts."""
        for what, most in (
            (resource.RLIMIT_DATA, self.megabytes * 2**20),
            (resource.RLIMIT_FSIZE, 100 * 2**20),
            (resource.RLIMIT_CPU, 2 * self.seconds + 60),
        ):
            resource.setrlimit(what, (most, most))


def compare(cell, found, seed, stopped):
    """An error for a test whose results are not those of a right function."""
    task = re.search(r"(?m)^hand_in\(\w+, \"(\w+)\"\)", cell.source)
    if task is None or any(output.output_type == "error" for output in cell.outputs):
        return
    if right(found.get(task[1], []), task[1], seed):
        # nbgrader would give no points where a function warns
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    else:
        why = stopped or "it raised no error, but its results are not those of a right function"
        cell.outputs.append(new_output("error", ename="NotPassed", evalue=why, traceback=[why]))


def read_results(path, most=10_000_000):
    """What the tests wrote: {task: the results of each time it was tested}."""
    found = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read(most).splitlines()
    except OSError:  # no test came so far
        return found
    for line in lines:
        try:
            ((task, results),) = json.loads(line).items()
        except (ValueError, AttributeError, RecursionError):
            continue
        found.setdefault(task, []).append(results)
    return found


def note_time_limit(cell, cell_index, execute_reply):
    """Where a cell was interrupted, its first output says so."""
    content = execute_reply["content"]
    if content["status"] == "error" and content["ename"] == "TimeLimit":
        fields = {key: content[key] for key in ("ename", "evalue", "traceback")}
        cell.outputs.insert(0, new_output("error", **fields))


def right(found, task, seed):
    """Whether the last results are those of a right function, as `feedback.numbers` has them."""
    expected = feedback.numbers(feedback.EXERCISES[task].right, task, seed)
    return bool(found) and close(found[-1], json.loads(json.dumps(expected)))


def close(a, b):
    """Whether two nested lists hold the same, numbers up to rounding."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return abs(a - b) <= 2e-3 * (1 + abs(b))
    return a == b
