"""Preprocessors for nbgrader: submissions run in a box, and are not believed.

nbgrader gives full points to a test cell without an error, even if it never ran. Here a test
leaves the results of the student's function for numbers that nobody knew before (`hand_in` in
d2lmini/checking), and this process, which is not in the box, compares them with its own.
"""

import functools
import json
import os
import re
import secrets
import shutil
import signal
import site
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import matplotlib.font_manager  # makes its list of fonts where there is none
import nbformat
from nbformat.v4 import new_output
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from nbgrader.utils import determine_grade, is_grade, is_solution
from traitlets import Bool, Integer

import d2lmini
from d2lmini.checking.exercises import EXERCISES
from d2lmini.checking.hand_in import numbers

HERE = Path(__file__).resolve().parent
NO_ANSWER = "在这里写下你的答案，替换这一行。"  # the line in the Chinese homework
LARGEST = 5_000_000  # bytes that are read of what a submission shows and returns
TEXT = 20_000  # characters that are kept of what a cell prints
SYSTEM = [
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives",
]  # fmt: skip


class Restore(NbGraderPreprocessor):
    """Says again what each cell is, and puts graded cells that were deleted back, at the end.

    What a student's file says about its cells is not used, but for their names: it may be missing
    (not every program keeps it), doubled (a copied cell takes it along) or made up.
    """

    def preprocess(self, nb, resources):
        names, course = resources["nbgrader"], CourseDirectory(parent=self)
        folder = course.format_path(course.release_directory, ".", names["assignment"])
        released = nbformat.read(Path(folder, f"{names['notebook']}.ipynb"), as_version=4).cells
        known = {c.metadata.nbgrader.grade_id: c for c in released if "nbgrader" in c.metadata}
        for cell in reversed(nb.cells):  # of doubles, the last one counts
            about = cell.metadata.pop("nbgrader", None)
            name = about.get("grade_id") if isinstance(about, dict) else None
            if isinstance(name, str) and name in known:
                ours = known.pop(name)
                cell.metadata["nbgrader"] = ours.metadata.nbgrader
                if cell.source.strip() == NO_ANSWER:  # then it is as it was handed out
                    cell.source = ours.source
            cell.source = cell.source.replace("\r\n", "\n")  # as Windows writes them
        nb.cells += filter(is_grade, known.values())
        return nb, resources


class Run(NbGraderPreprocessor):
    """Executes a submission in the box, and compares the results of its tests."""

    box = Bool(True, help="Run submissions in bubblewrap; False: with all of your rights.").tag(
        config=True
    )
    seconds_per_cell = Integer(8, help="Time for one cell.").tag(config=True)
    seconds = Integer(18, help="Time for a whole notebook.").tag(config=True)
    megabytes = Integer(4000, help="Memory of each process (on Linux).").tag(config=True)

    rows = {}  # {student: points, to_read and reason of the notebook that was run}, for grade.py

    def preprocess(self, nb, resources):
        if self.box and (why := no_box()):
            raise RuntimeError(why)  # nbgrader logs it and takes the submission back
        seed, cells = secrets.randbelow(2**31), [c for c in nb.cells if c.cell_type == "code"]
        stopped, found = self.execute(cells, seed)
        points, to_read, reasons = 0, 0, []
        others = [error for cell in cells if not is_grade(cell) for error in errors(cell)]
        others = [error for error in others if error.ename != "NotImplementedError"]  # not begun
        for cell in filter(is_grade, nb.cells):
            about = cell.metadata.nbgrader
            if is_solution(cell):  # an answer in words: a person reads it, if there is one
                if cell.source.strip() and determine_grade(cell)[0] is None:
                    to_read += about.points
                else:
                    reasons.append(f"{about.grade_id}: no answer")
                continue
            compare(cell, found, seed, stopped)
            points += 0 if errors(cell) else about.points
            for error in errors(cell):
                reasons.append(f"{about.grade_id}: {first_line(error.evalue or error.ename)}")
                if error.ename == "NameError" and others:  # a cell that should have defined it
                    words = ", ".join(first_line(other.evalue) for other in others[:3])
                    reasons.append(f"other cells: {words}")
        row = {"points": f"{points:g}", "to_read": f"{to_read:g}", "reason": "; ".join(reasons)}
        Run.rows[resources["nbgrader"]["student"]] = row
        return nb, resources

    def execute(self, cells, seed):
        """Run the code cells. Returns why not all of them ran, or None, and the tests' results."""
        asked = {"cells": [cell.source for cell in cells], "seconds": self.seconds_per_cell}
        with (
            TemporaryFile() as given,
            TemporaryFile() as answer,
            TemporaryDirectory(ignore_cleanup_errors=True) as folder,  # in the box: not in sight
        ):
            given.write(json.dumps(asked).encode())
            given.seek(0)
            process = subprocess.Popen(
                [*limited(self.megabytes, self.box), sys.executable, HERE / "boxed.py"],
                stdin=given, stdout=answer, stderr=subprocess.DEVNULL, cwd=folder,
                env=environment("/tmp" if self.box else folder, self.box)
                | {"D2LMINI_SEED": str(seed)}, start_new_session=True,
            )  # fmt: skip
            stopped = "Python ended: an exit, too much memory, or a loop that nothing stops"
            try:
                process.wait(self.seconds)
            except subprocess.TimeoutExpired:
                stopped = f"the whole notebook has {self.seconds} s, and they were over"
            finally:
                end(process)
            answer.seek(0)
            lines = answer.read(LARGEST).decode(errors="replace").splitlines()
        results = ""
        for cell, line in zip(cells, lines):
            try:
                ran = json.loads(line)
                cell.outputs = shown(ran)
                results += ran["results"]
            except Exception:  # the submission can write anything there
                continue
        return (None if len(lines) >= len(cells) else stopped), read_results(results)


# --- the box -----------------------------------------------------------------------------------


def box():
    """The command under which a submission sees nothing but Python and the text.

    No network, no other process, no capability; of the disk only what is listed here, read-only;
    /tmp and /dev/shm are its own, in memory, with a size. All of it ends with this process.
    """
    shown = {Path(path) for path in SYSTEM} | {Path(d2lmini.__file__).parent, HERE / "boxed.py"}
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        shown |= {Path(prefix), Path(prefix).resolve()}
    if site.ENABLE_USER_SITE:
        shown.add(Path(site.getusersitepackages()))
    # Where one of these lies in a folder that is shown, as a course in /usr/src does, hide it.
    hidden = {HERE.parent, Path.cwd(), Path.home()} - shown
    hidden = {path for path in hidden if shown & set(path.parents)}
    mounts = {path: ["--ro-bind", path, path] for path in shown if path.exists()}
    mounts |= {path: ["--tmpfs", path] for path in hidden}
    mounts |= {
        Path("/dev"): ["--dev", "/dev"], Path("/proc"): ["--proc", "/proc"],
        Path("/tmp"): ["--size", str(100 * 2**20), "--tmpfs", "/tmp"],
        Path("/dev/shm"): ["--size", str(64 * 2**20), "--tmpfs", "/dev/shm"],
    }  # fmt: skip
    if text():
        mounts[Path("/text")] = ["--ro-bind", text(), f"/text/{text().name}"]
    # matplotlib's list of fonts: each box would make it anew, in a third of a second.
    for path in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):
        inside = Path("/tmp/.cache/matplotlib", path.name)
        mounts[inside] = ["--dir", inside.parent, "--ro-bind", path, inside]
    command = [
        "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent",
        "--new-session", "--cap-drop", "ALL", "--hostname", "box",
    ]  # fmt: skip
    for path in sorted(mounts):  # a folder before what lies in it
        command += mounts[path]
    for path in ("/", "/dev", "/proc", *hidden):  # they have no size; root could write to /proc/sys
        command += ["--remount-ro", path]
    return [*map(str, command), "--chdir", "/tmp", "--"]


def limited(megabytes, boxed):
    """The beginning of a submission's command: the box, and what one process may use."""
    command = box() if boxed else []
    if shutil.which("choom") and shutil.which("prlimit"):  # not on macOS and Windows
        # Where memory is short, Linux ends the submission, and nothing else.
        command = ["choom", "-n", "1000", "--", *command, "prlimit", "--core=0"]
        command += [f"--data={megabytes * 2**20}", f"--fsize={100 * 2**20}"]
        command += ["--nproc=200"] if boxed else []  # without it, all of the user's would count
    return command


def environment(home, boxed):
    """The environment variables of a submission; in the box none of the user's."""
    ours = {
        "HOME": home, "TMPDIR": home, "D2LMINI_RESULTS": os.path.join(home, ".d2lmini_results"),
        "D2LMINI_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONUSERBASE": site.getuserbase(),
        "MPLBACKEND": "agg",
    }  # fmt: skip
    if text():
        ours["D2LMINI_DATA"] = "/text" if boxed else str(text().parent)
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    fresh = {"PATH": path, "USER": "student", "LANG": "C.UTF-8"}
    fresh["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    return (fresh if boxed else os.environ) | ours


@functools.cache
def text():
    """The path of the real text, looked for once; None where only the bundled story is there."""
    path = Path(d2lmini.download("time_machine")).resolve()
    return None if path.parent == Path(d2lmini.__file__).resolve().parent else path


@functools.cache
def no_box():
    """Why there can be no box, and what to do, in a sentence; None where it works."""
    if sys.platform != "linux":
        return "The box needs Linux: grade in a Linux container or on a Linux machine."
    if not shutil.which("bwrap"):
        return "The box needs bubblewrap: `sudo apt install bubblewrap`, or your system's command."
    command = [*limited(4000, True), sys.executable, "-c", "import d2lmini, IPython"]
    done = subprocess.run(
        command, env=environment("/tmp", True), capture_output=True, text=True, timeout=300
    )
    if done.returncode == 0:
        return None
    said = f"bubblewrap does not work here ({first_line(done.stderr.strip()[-200:])})"
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if "KUBERNETES_SERVICE_HOST" in os.environ or Path("/.dockerenv").exists():
        return (
            f"{said}: let this container be the box: without a network, with nothing in it "
            "but the course and one submission, and with --no-box."
        )
    if restricted.exists() and restricted.read_text().strip() == "1":
        return f"{said}: it needs the AppArmor profile that stands in instructors/README.md."
    return f"{said}: it needs version 0.8 or newer, and a kernel that allows user namespaces."


def end(process):
    """End a process and all that it started; the box ends with it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (AttributeError, ProcessLookupError):  # Windows has no groups; or it has ended
        process.kill()
    process.wait()


# --- what came out of it -----------------------------------------------------------------------


def shown(ran):
    """The outputs of a cell: text, and an error. Anything else could act in a reader's browser."""
    outputs = [new_output("stream", text=plain(ran["text"][:TEXT]))] if ran["text"] else []
    if error := ran["error"]:
        name, value = (plain(str(error[key])[:1000]) for key in ("ename", "evalue"))
        lines = [plain(str(line)[:1000]) for line in error["traceback"][:30]]
        outputs.append(new_output("error", ename=name, evalue=value, traceback=lines))
    return outputs


def plain(text):
    """Text without colours, signs that a terminal obeys, and halves of characters."""
    text = re.sub(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)
    return text.encode(errors="replace").decode()


def compare(cell, found, seed, stopped):
    """Give a test without an error one, if its results are not those of a right function."""
    task = re.search(r"(?m)^hand_in\(\w+, \"(\w+)\"\)", cell.source)
    if task and not errors(cell) and not right(found.get(task[1], []), task[1], seed):
        why = stopped or "it raised no error, but its results are not those of a right function"
        cell.outputs += [new_output("error", ename="NotPassed", evalue=why, traceback=[why])]


def errors(cell):
    return [output for output in cell.outputs if output.output_type == "error"]


def read_results(lines):
    """What the tests wrote: {task: the results of each time it was tested}."""
    found = {}
    for line in lines.splitlines()[-100:]:
        try:
            ((task, results),) = json.loads(line).items()
        except (ValueError, AttributeError, RecursionError):
            continue
        found.setdefault(task, []).append(results)
    return found


def first_line(error):
    """The first line of an error, short enough for a table."""
    words = plain(str(error)).strip()
    return words.partition("\n")[0][:200] or type(error).__name__


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
