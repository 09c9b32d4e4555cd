"""Grade a folder of submissions with nbgrader, and write a table.

    python instructors/grade.py 2_rnn SUBMISSIONS grades.csv

SUBMISSIONS holds a folder for each student with the notebook in it, or a notebook for each
student, named STUDENT.ipynb. Every one of them gets a row, which is written when it is known.
The same command again grades only what is new or changed. Graded notebooks and nbgrader's
gradebook.db stay in --course, where `nbgrader generate_feedback` and Formgrader find them.
"""

import argparse
import ast
import csv
import hashlib
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import grading  # by the name under which nbgrader finds it
import nbformat
from grading import first_line
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_grade, is_solution
from sqlalchemy.exc import SAWarning
from traitlets.config.loader import PyFileConfigLoader

import d2lmini
from d2lmini.tools import write_whole

warnings.simplefilter("ignore", SAWarning)  # about nbgrader's own use of its database

HERE = Path(__file__).resolve().parent
CHINESE = HERE.parent / "course" / "zh" / "homework"
ASSIGNMENTS = sorted(path.name for path in (HERE / "source").iterdir())
LARGEST = 5_000_000  # bytes of a notebook
MOST_CELLS = 1000
LONGEST = 200_000  # characters of all cells; a homework has 10,000
COLUMNS = ["student", "points", "of", "to_read", "reason", "look_at"]
# In the box there is nothing to steal. What is left is to use a finished function in place of
# one's own, or to reach what `check` knows. Who does so may have good reasons: a person looks.
FINISHED = {
    "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell", "_VF", "rnn_tanh", "rnn_tanh_cell",
    "gru_cell", "lstm_cell", "ops", "clip_grad_norm_", "clip_grad_norm", "get_total_norm",
    "clip_grads_with_norm_", "Vocab", "attrgetter", "_getframe",
    "SeqDataLoader", "seq_data_iter_sequential", "grad_clipping", "evaluate_perplexity",
    "EXERCISES", "modules", "environ", "getenv", "get_ipython", "eval", "exec", "open", "compile",
    "globals", "locals", "vars", "getattr", "setattr", "f_back", "displayhook", "not Python",
}  # fmt: skip
USUAL_IMPORTS = {
    "torch", "d2lmini", "math", "random", "re", "collections", "itertools", "functools", "typing",
    "matplotlib", "numpy", "time", "warnings",
}  # fmt: skip
IMPORTS = (ast.Import, ast.ImportFrom)
INSIDE = {path.stem for path in Path(d2lmini.__file__).parent.iterdir()} - {"__init__"}


# --- what was handed in ------------------------------------------------------------------------


def submissions(folder):
    """The files of every student: {student: paths}."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith((".", "__MACOSX")) for part in parts):
            continue  # an editor or an operating system made it
        is_file = not path.is_dir()
        student = parts[0].removesuffix(".ipynb") if is_file and len(parts) == 1 else parts[0]
        found.setdefault(student, []).extend([path] if is_file else [])
    return found


def choose(paths, assignment):
    """The one notebook that counts, and the others; ValueError where there is none."""
    notebooks = [path for path in paths if path.suffix.lower() == ".ipynb"]
    named = [path for path in notebooks if path.stem == assignment] or notebooks
    if len(named) != 1:
        got = ", ".join(path.name for path in (named or paths)[:3]) or "nothing"
        raise ValueError(f"it must be one notebook; got {got}")
    return named[0], [path for path in notebooks if path != named[0]]


def read(path):
    """A submitted notebook's cells; ValueError where it is none, or too long."""
    try:
        if not path.is_file() or path.stat().st_size == 0:
            raise ValueError("there is nothing in it")
        at_most(LARGEST, path.stat().st_size, "bytes")
        cells = json.loads(path.read_bytes().decode("utf-8-sig"))["cells"]
        at_most(MOST_CELLS, len(cells), "cells")
        at_most(LONGEST, sum(len("".join(cell["source"])) for cell in cells), "characters")
        return new_notebook(cells=[clean(cell) for cell in cells])
    except Exception as error:
        raise ValueError(f"it cannot be read as a notebook: {first_line(error)}") from error


def at_most(limit, found, what):
    if found > limit:
        raise ValueError(f"it has {found:,} {what}; {limit:,} are allowed")


def clean(cell):
    """A cell with its source, and the name by which nbgrader knows it."""
    make = new_code_cell if cell["cell_type"] == "code" else new_markdown_cell
    name = cell["metadata"].get("nbgrader", {}).get("grade_id")
    metadata = {"nbgrader": {"grade_id": name}} if name else {}
    source = "".join(cell["source"]).replace("\r\n", "\n")
    return make(source.encode(errors="replace").decode(), metadata=metadata)


def unusual(nb, ours):
    """What in a student's code a person should look at. ours: the sources of given cells."""
    found = {"### BEGIN SOLUTION" for cell in nb.cells if "### BEGIN SOLUTION" in cell.source}
    for cell in nb.cells:
        # One with a name becomes what the assignment has there, whatever the file calls it.
        if cell.source not in ours and (cell.cell_type == "code" or cell.metadata):
            found.update(name for node in program(cell) for name in unusual_in(node))
    return sorted(found)


def program(cell):
    """The nodes of a cell's tree. A line for IPython becomes the name `get_ipython`."""
    harmless = re.sub(r"(?m)^[ \t]*%matplotlib.*$|^.*\?[ \t]*$", "", cell.source)
    named = re.sub(r"(?m)^([ \t]*)(\w+ *= *)?[%!].*$", r"\1get_ipython", harmless)
    for code in (cell.source, harmless, named):
        try:
            return ast.walk(ast.parse(code))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return [ast.Name("not Python")] if cell.cell_type == "code" else []


def unusual_in(node):
    """What is unusual in one node of a program's tree."""
    for imported in getattr(node, "names", []) if isinstance(node, IMPORTS) else []:
        parts = f"{getattr(node, 'module', None) or ''}.{imported.name}".strip(".").split(".")
        yield from FINISHED.intersection(parts)
        yield from INSIDE.intersection(parts) if parts[0] == "d2lmini" else ()
        yield from {parts[0]} - USUAL_IMPORTS
    name = getattr(node, "id", None) or getattr(node, "attr", None) or ""
    if name in FINISHED or re.fullmatch(r"__(?!init__|name__)\w+__", name):
        yield name
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "d2l":
        yield from INSIDE.intersection([name])
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "torch":
        yield from {"gru", "lstm"}.intersection([name])
    for target in getattr(node, "targets", []):
        owner = getattr(getattr(target, "value", None), "id", "self")
        if isinstance(target, ast.Attribute) and owner != "self":
            yield f"{owner}.{target.attr} = ..."
    if isinstance(node, ast.FunctionDef):
        given = {part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg)}
        used = {part.id for line in node.body for part in ast.walk(line) if hasattr(part, "id")}
        if given and not given & used:
            yield f"{node.name} uses none of its parameters"


# --- one submission ----------------------------------------------------------------------------


def grade_one(assignment, course, box, student, paths):
    """The row of a student; that of the last time where nothing has changed."""
    name, file = known_as(student), f"{assignment}.ipynb"
    source = HERE / "source" / assignment / file
    given = nbformat.read(course / "release" / assignment / file, as_version=4).cells
    tests = [cell for cell in given if is_grade(cell) and not is_solution(cell)]
    points = sum(cell.metadata.nbgrader.points for cell in tests)
    row = dict.fromkeys(COLUMNS, "")
    row |= {"student": student, "points": 0, "of": f"{points:g}", "to_read": 0}
    given += nbformat.read(source, as_version=4).cells
    given += nbformat.read(CHINESE / file, as_version=4).cells if CHINESE.is_dir() else []
    kept = course / "rows" / assignment / f"{name}.json"
    try:
        path, others = choose(paths, assignment)
        nb = read(path)
        look_at = unusual(nb, {cell.source for cell in given})
        row["look_at"] = ", ".join([*look_at, *(f"not graded: {other.name}" for other in others)])
        state = digest(nb, source, box)
        last = json.loads(kept.read_text()) if kept.is_file() else {}
        if last.get("state") != state:
            kept.unlink(missing_ok=True)
            last = {"state": state, "row": run(assignment, course, box, name, nb)}
            write_whole(kept, json.dumps(last).encode())
        return row | last["row"]
    except Exception as error:
        kept.unlink(missing_ok=True)
        forget(course, assignment, name)
        return row | {"reason": first_line(error)}


def run(assignment, course, box, name, nb):
    """Have nbgrader grade a notebook: its points, and why some are missing."""
    place = course / "submitted" / name / assignment
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    nbformat.write(nb, place / f"{assignment}.ipynb")  # the notebook, and nothing beside it
    done = NbGraderAPI(config=settings(course, box)).autograde(assignment, name, force=True)
    if not done["success"]:
        lines = [line for line in done["log"].splitlines() if re.match(r"\s*[\w.]+: ", line)]
        raise RuntimeError(f"nbgrader could not grade it: {lines[-1] if lines else done['error']}")
    return grading.Run.rows.pop(name)


def settings(course, box=True):
    """nbgrader's settings for a course folder."""
    config = PyFileConfigLoader(str(HERE / "nbgrader_config.py")).load_config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.source_directory = str(HERE / "source")
    config.Run.box = box
    return config


def digest(nb, source, box):
    """All that points depend on, in short: the submission, the assignment, and this program."""
    words = json.dumps([box, [[cell.cell_type, cell.source, cell.metadata] for cell in nb.cells]])
    code = [source, *HERE.glob("*.py"), *Path(d2lmini.__file__).parent.glob("checking/*.py")]
    parts = [words.encode(), *(path.read_bytes() for path in sorted(code))]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def known_as(student):
    """A name that nbgrader does not take for a pattern, another one for every student."""
    name = re.sub(r"[^\w.@-]", "_", student, flags=re.ASCII)
    short = hashlib.sha256(student.encode(errors="surrogateescape")).hexdigest()[:8]
    return name if name == student and len(name) <= 100 else f"{name[:100]}_{short}"


def forget(course, assignment, name):
    """Remove an earlier submission, and the points that it had."""
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course / folder / name / assignment, ignore_errors=True)
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "d2lmini") as book:
        try:
            book.remove_submission(assignment, name)
        except MissingEntry:
            pass


# --- all of them -------------------------------------------------------------------------------


def grade(assignment, students, course, jobs, box):
    """Rows for the table, in the order in which they become known."""
    if not (course / "gradebook.db").exists():  # a new one: rows of an old one do not count
        shutil.rmtree(course / "rows", ignore_errors=True)
    (course / "rows" / assignment).mkdir(parents=True, exist_ok=True)
    done = NbGraderAPI(config=settings(course)).generate_assignment(assignment, force=True)
    if not done["success"]:
        raise SystemExit(f"nbgrader could not read the assignment:\n{done['log']}")
    jobs = min(jobs, len(students))
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    mine = signal.signal(signal.SIGINT, signal.SIG_IGN)  # its processes are deaf to Ctrl-C, too
    work = [pool.submit(grade_one, assignment, course, box, *one) for one in students.items()]
    signal.signal(signal.SIGINT, mine)
    try:
        for one in as_completed(work):
            yield one.result()
    except BrokenProcessPool:
        raise SystemExit("a process was stopped, or memory is short: run it again") from None
    finally:
        for worker in multiprocessing.active_children():
            worker.kill()  # and with it the box in which it runs a submission
        pool.shutdown(cancel_futures=True)


# --- the table ---------------------------------------------------------------------------------


def safe(value):
    """A value that no spreadsheet takes for a formula."""
    risky = isinstance(value, str) and value[:1] in tuple("=+-@\t\r")
    return f"'{value}" if risky else value


def write_table(rows, path):
    """Write the whole table, or leave the old one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({key: safe(value) for key, value in row.items()} for row in rows)
    # utf-8-sig: with a mark by which Excel knows the encoding
    write_whole(path, text.getvalue().encode("utf-8-sig", errors="replace"))


def checked(arguments):
    """An end with a word on what is wrong with the arguments."""
    course, folder = arguments.course.resolve(), arguments.submissions.resolve()
    if not folder.is_dir():
        raise SystemExit(f"submissions must be a folder; got {str(folder)!r}")
    if course / "submitted" in [folder, *folder.parents]:
        raise SystemExit("submissions are in nbgrader's course folder: use `nbgrader autograde`")
    if re.search(r"[\[\]*?%]", str(course)):
        raise SystemExit(f"course must have a path without [ ] * ? and %; got {str(course)!r}")
    if arguments.table.is_dir() or not arguments.table.resolve().parent.is_dir():
        raise SystemExit(f"table must be a file in a folder; got {str(arguments.table)!r}")
    if arguments.jobs < 1:
        raise SystemExit(f"jobs must be 1 or more; got {arguments.jobs}")
    if not hasattr(signal, "SIGALRM"):
        raise SystemExit("On Windows nothing can stop a cell: grade in a Linux container.")
    if not arguments.no_box and (why := grading.no_box()):
        raise SystemExit(f"{why} With --no-box, submissions have all of your rights.")
    course.mkdir(parents=True, exist_ok=True)
    return course, folder


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assignment", choices=ASSIGNMENTS)
    parser.add_argument("submissions", type=Path)
    parser.add_argument("table", type=Path, help="the CSV file to write")
    parser.add_argument("--course", type=Path, default=HERE, help="nbgrader's folder")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--no-box", action="store_true", help="run them with all of your rights")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # a student's name may not be in its alphabet
    course, folder = checked(arguments)
    if hasattr(os, "getuid") and os.getuid() == 0:
        print("You are root, whose processes nothing counts: better grade as an ordinary user.")
    # The text is looked for once, here, and not by every process that grades.
    found = grading.text()
    os.environ |= {"D2LMINI_DATA": str(found.parent)} if found else {"D2LMINI_OFFLINE": "1"}
    students, rows = submissions(folder), {}
    table, box = arguments.table, not arguments.no_box
    if not students:
        raise SystemExit(f"submissions must be a folder with notebooks; {folder} is empty")
    try:
        for row in grade(arguments.assignment, students, course, arguments.jobs, box):
            rows[row["student"]] = row
            print(f"{len(rows)} of {len(students)}: {row['student']}: {row['points']}", flush=True)
            write_table([rows[student] for student in students if student in rows], table)
    except KeyboardInterrupt:
        said = f"stopped: {len(rows)} of {len(students)} are graded; the same command goes on"
        raise SystemExit(said) from None
    print(f"{table}: {len(rows)} rows")
    if not box:
        print("Without the box: submissions had all of your rights, and could change these rows.")


if __name__ == "__main__":
    main()
