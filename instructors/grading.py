"""Preprocessors for nbgrader: submissions run within limits, and are not believed.

nbgrader gives full points to a test cell without an error, even if it never ran. Here a test
leaves the results of the student's function for numbers that nobody knew before (`hand_in` in
d2lmini/checking), and this process compares them with its own.
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
from traitlets import Integer

from d2lmini.checking.exercises import EXERCISES
from d2lmini.checking.hand_in import numbers

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None


class TimeIsUp(Exception):
    """A notebook has had all of its time."""


class Client(NotebookClient):
    """Runs a notebook cell by cell, and keeps the first megabytes of what all of it shows."""

    budget = Integer(5_000_000)  # characters

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] != "status":  # which says that a cell has ended
            self.budget -= size(msg["content"])
            if self.budget < 0:
                return None
        return super().process_message(msg, cell, cell_index)


def size(content):
    """About how many characters a message has."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        return 10 + sum(map(size, content))
    return len(content) if isinstance(content, str) else 10


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

    passed = {}  # {grade id: whether the test passed}, of the notebook that was run last

    def preprocess(self, nb, resources):
        seed, Run.passed = secrets.randbelow(2**31), {}
        with TemporaryDirectory() as ours, TemporaryDirectory(ignore_cleanup_errors=True) as theirs:
            results = os.path.join(ours, "results")
            stopped = self.execute(nb, seed, theirs, results)
            found = read_results(results)
        for cell in nb.cells:
            if cell.cell_type == "code" and is_grade(cell) and not is_solution(cell):
                compare(cell, found, seed, stopped)
                errors = [output for output in cell.outputs if output.output_type == "error"]
                Run.passed[cell.metadata.nbgrader.grade_id] = not errors
        return nb, resources

    def execute(self, nb, seed, folder, results):
        """Run all cells. Returns why it stopped before the end, or None."""
        end = time.monotonic() + self.seconds

        def time_left(cell):
            if time.monotonic() >= end:
                raise TimeIsUp
            return min(self.seconds_per_cell, max(1, int(end - time.monotonic())))

        environment = os.environ | {
            "D2LMINI_SEED": str(seed), "D2LMINI_RESULTS": results,
            "HOME": folder, "OMP_NUM_THREADS": "1", "PYTHONUSERBASE": site.getuserbase(),
        }  # fmt: skip
        late = {"ename": "TimeLimit", "evalue": f"{self.seconds_per_cell} s were over"}
        client = Client(
            nb, kernel_name="python3", timeout_func=time_left, interrupt_on_timeout=True,
            error_on_timeout=late | {"traceback": []}, on_cell_executed=note_time_limit,
            allow_errors=True, skip_cells_with_tag="no tag keeps a cell from being run",
            resources={"metadata": {"path": folder}}, shutdown_kernel="immediate",
            record_timing=False, coalesce_streams=False, startup_timeout=120,
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
        lower(resource.RLIMIT_DATA, self.megabytes * 2**20)
        lower(resource.RLIMIT_FSIZE, 100 * 2**20)
        lower(resource.RLIMIT_CPU, 2 * self.seconds + 60)


def compare(cell, found, seed, stopped):
    """Leave a test what it printed, and one error if its results are not those of a right function.

    nbgrader would take a number that is shown for points, and a warning for a failure.
    """
    errors = [output for output in cell.outputs if output.output_type == "error"]
    printed = [output for output in cell.outputs if output.get("name") == "stdout"]
    task = re.search(r"(?m)^hand_in\(\w+, \"(\w+)\"\)", cell.source)
    if task and not errors and not right(found.get(task[1], []), task[1], seed):
        why = stopped or "it raised no error, but its results are not those of a right function"
        errors = [new_output("error", ename="NotPassed", evalue=why, traceback=[why])]
    late = [error for error in errors if error.ename == "TimeLimit"]
    cell.outputs = printed + (late or errors[-1:])


def read_results(path, most=10_000_000):
    """What the tests wrote: {task: the results of each time it was tested}."""
    found = {}
    if not os.path.isfile(path) or os.path.islink(path):  # no test came so far, or it is a pipe
        return found
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read(most).splitlines()
    for line in lines:
        try:
            ((task, results),) = json.loads(line).items()
        except (ValueError, AttributeError, RecursionError):
            continue
        found.setdefault(task, []).append(results)
    return found


def lower(what, most):
    """Set a limit of this process for good, if it has not got a lower one."""
    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def note_time_limit(cell, cell_index, execute_reply):
    """Where a cell was interrupted, its outputs say so."""
    content = execute_reply["content"]
    if content["status"] == "error" and content["ename"] == "TimeLimit":
        fields = {key: content[key] for key in ("ename", "evalue", "traceback")}
        cell.outputs.append(new_output("error", **fields))


def right(found, task, seed):
    """Whether the last results are those of a right function, as `numbers` has them."""
    expected = numbers(EXERCISES[task].right, task, seed)
    return bool(found) and close(found[-1], json.loads(json.dumps(expected)))


def close(a, b):
    """Whether two nested lists hold the same, numbers with a fraction up to rounding."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 2e-3 * (1 + abs(b))
    return a == b
