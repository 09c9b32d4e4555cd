"""Grade a folder of submissions with nbgrader, and write a table.

    python instructors/grade.py 2_rnn SUBMISSIONS grades.csv

SUBMISSIONS holds a folder for each student with the notebook in it, or a notebook for each
student, named STUDENT.ipynb. Every one of them gets a row, which is written when it is known.
Graded notebooks and nbgrader's gradebook.db stay in --course, where `nbgrader generate_feedback`
and Formgrader find them.
"""

import argparse
import ast
import csv
import hashlib
import io
import multiprocessing
import os
import re
import shutil
import sys
import warnings
from pathlib import Path

import grading  # by the name under which nbgrader finds it
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_grade
from sqlalchemy.exc import SAWarning
from traitlets.config.loader import PyFileConfigLoader

from d2lmini.tools import write_whole

HERE = Path(__file__).resolve().parent
ASSIGNMENTS = sorted(path.name for path in (HERE / "source").iterdir())
LARGEST = 5_000_000  # bytes of a notebook
MOST_CELLS = 1000
COLUMNS = ["student", "points", "of", "to_read", "reason", "look_at"]
# A right answer needs none of these. Who uses them may have good reasons: a person should look.
UNUSUAL_NAMES = {
    "get_ipython", "builtins", "__builtins__", "modules", "importlib", "__import__", "eval", "exec",
    "_exit", "fork", "system", "subprocess", "socket", "urllib", "requests", "open", "inspect",
    "setattr", "displayhook", "excepthook", "environ", "getenv", "D2LMINI_SEED", "D2LMINI_RESULTS",
    "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell", "_VF", "clip_grad_norm_", "Vocab",
    "SeqDataLoader", "seq_data_iter_sequential", "grad_clipping", "evaluate_perplexity",
    "checking", "by_hand",
}  # fmt: skip
MODULES = {"cells", "loaders", "readable", "text", "training"}  # of d2lmini


# --- what was handed in ------------------------------------------------------------------------


def submissions(folder):
    """The files of every student: {student: paths}."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            paths = [path for path in sorted(entry.rglob("*")) if path.is_file()]
            found[entry.name] = [path for path in paths if not is_rubbish(path)]
        else:
            name = entry.stem if entry.suffix == ".ipynb" else entry.name
            found[entry.name if name in found else name] = [entry]
    return found


def is_rubbish(path):
    """Whether an editor or an operating system made this file."""
    return path.name.startswith(".") or {"__MACOSX", ".ipynb_checkpoints"} & set(path.parts)


def choose(paths, assignment):
    """The one notebook that counts; ValueError where there is none."""
    notebooks = [path for path in paths if path.suffix == ".ipynb"]
    named = [path for path in notebooks if path.stem == assignment] or notebooks
    if not paths:
        raise ValueError("nothing was handed in")
    if not named:
        raise ValueError(f"this is no notebook: {', '.join(path.name for path in paths[:3])}")
    if len(named) > 1:
        names = ", ".join(path.name for path in named[:3])
        raise ValueError(f"{len(named)} notebooks were handed in ({names}); which one counts?")
    return named[0]


def read(path):
    """A submitted notebook's cells, and nothing else of it; ValueError where it is none."""
    if not path.is_file():
        raise ValueError("this is no file")
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"it has {size / 1e6:.1f} MB; {LARGEST / 1e6:.0f} MB are allowed")
    if size == 0:
        raise ValueError("the file is empty")
    try:
        cells = nbformat.reads(path.read_bytes().decode("utf-8-sig"), as_version=4).cells
        nb = new_notebook(cells=[clean(cell) for cell in cells[:MOST_CELLS] if cell.source])
    except Exception as error:
        raise ValueError(f"this is no notebook: {first_line(error)}") from error
    if len(cells) > MOST_CELLS:
        raise ValueError(f"it has {len(cells)} cells; {MOST_CELLS} are allowed")
    return nb


def clean(cell):
    """A cell with its source, and the name by which nbgrader knows it."""
    make = new_code_cell if cell.cell_type == "code" else new_markdown_cell
    source = cell.source if isinstance(cell.source, str) else "".join(cell.source)
    about = cell.get("metadata", {}).get("nbgrader")
    name = about.get("grade_id") if isinstance(about, dict) else None
    return make(source, metadata={"nbgrader": {"grade_id": name}} if name else {})


def first_line(error):
    """The first line of an error, without colours, short enough for a table."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.partition("\n")[0][:200] or type(error).__name__


def unusual(nb, ours):
    """Names in a student's code that a person should look at. ours: the sources of given cells."""
    found = set()
    for cell in nb.cells:
        if cell.cell_type != "code" or cell.source in ours:
            continue
        try:
            tree = ast.parse(re.sub(r"(?m)^[ \t]*[%!].*$", "", cell.source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            names = [getattr(node, "id", None), getattr(node, "attr", None)]
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names += [getattr(node, "module", None), *(alias.name for alias in node.names)]
                names = [part for name in names if name for part in name.split(".")]
                found |= MODULES.intersection(names)
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "d2l":
                found |= MODULES.intersection(names)
            found |= UNUSUAL_NAMES.intersection(names)
            for target in getattr(node, "targets", []):
                if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                    found.add(f"{target.value.id}.{target.attr} = ...")
    return sorted(found)


# --- grading -----------------------------------------------------------------------------------


def grade(assignment, folder, course):
    """Rows for the table, one for each student, the reason in words where points are missing."""
    config = settings(course)
    done = NbGraderAPI(config=config).generate_assignment(assignment, force=True)
    if not done["success"]:
        raise SystemExit(f"nbgrader could not read the assignment:\n{done['log']}")
    with gradebook(course) as book:
        most = whole(book.find_assignment(assignment).max_code_score)
    source = nbformat.read(HERE / "source" / assignment / f"{assignment}.ipynb", as_version=4)
    ours = {cell.source for cell in source.cells}
    students = submissions(folder)
    for number, (student, paths) in enumerate(students.items(), 1):
        row = dict.fromkeys(COLUMNS, "")
        row |= {"student": student, "points": 0, "of": most, "to_read": 0}
        try:
            nb = read(choose(paths, assignment))
            row["look_at"] = ", ".join(unusual(nb, ours))
            row |= apart(config, course, assignment, known_as(student), nb)
        except (ValueError, OSError) as error:
            row["reason"] = first_line(error)
            forget(course, assignment, known_as(student))
        print(f"{number} of {len(students)}: {student}: {row['points']} of {most}", flush=True)
        yield row


def settings(course):
    """nbgrader's settings for a course folder."""
    config = PyFileConfigLoader(str(HERE / "nbgrader_config.py")).load_config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.source_directory = str(HERE / "source")
    return config


def gradebook(course):
    """nbgrader's database of a course folder."""
    return Gradebook(f"sqlite:///{course / 'gradebook.db'}", "d2lmini")


def known_as(student):
    """A name that nbgrader does not take for a pattern, another one for every student."""
    name = re.sub(r"[^\w.@-]", "_", student, flags=re.ASCII)
    digest = hashlib.sha256(student.encode(errors="surrogateescape")).hexdigest()[:8]
    return student if name == student else f"{name[:100]}_{digest}"


def apart(config, *submission):
    """What `grade_one` returns, called in a process of its own, with an end and with limits."""
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if "fork" in methods else "spawn")
    receive, send = context.Pipe(duplex=False)
    megabytes = config.Run.get("megabytes", 4000)
    process = context.Process(target=work, args=(send, megabytes, submission))
    process.start()
    send.close()
    try:
        if not receive.poll(config.Run.get("seconds", 300) + 120):
            return {"reason": "grading it came to no end"}
        return receive.recv()
    except EOFError:
        return {"reason": "grading it needed more memory than there is, or was stopped"}
    finally:
        process.kill()
        process.join()


def work(send, megabytes, submission):
    """The other process."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C is for the process that waits; it stops this one
    if grading.resource:
        grading.lower(grading.resource.RLIMIT_DATA, megabytes * 2**20)
    warnings.simplefilter("ignore", SAWarning)  # about nbgrader's own use of its database
    try:
        send.send(grade_one(*submission))
    except Exception as error:
        send.send({"reason": f"it could not be graded: {first_line(error)}"})


def grade_one(course, assignment, name, nb):
    """Points and reasons of one student."""
    forget(course, assignment, name, scores=False)
    place = course / "submitted" / name / assignment
    place.mkdir(parents=True)
    nbformat.write(nb, place / f"{assignment}.ipynb")  # the notebook, and nothing beside it
    done = NbGraderAPI(config=settings(course)).autograde(assignment, name, force=True)
    if not done["success"]:
        lines = [line for line in done["log"].splitlines() if re.match(r"\s*[\w.]+: ", line)]
        return {"reason": f"nbgrader could not grade it: {lines[-1] if lines else done['error']}"}
    graded = nbformat.read(course / "autograded" / name / assignment / f"{assignment}.ipynb", 4)
    with gradebook(course) as book:
        notebooks = book.find_submission(assignment, name).notebooks
        scores = {grade.name: grade for notebook in notebooks for grade in notebook.grades}
        tests = [scores[test] for test in grading.Run.passed]
        points = sum(test.max_score for test in tests if grading.Run.passed[test.name])
        others = [score for score in scores.values() if score.name not in grading.Run.passed]
        answers = [other for other in others if other.auto_score is None]
        unread = sum(answer.max_score for answer in answers if answer.manual_score is None)
        why = [*reasons(graded), *(f"{o.name}: no answer" for o in others if o not in answers)]
        if sum(test.auto_score or 0 for test in tests) != points:
            why.append("the points in gradebook.db are others: look into this notebook")
    return {"points": whole(points), "to_read": whole(unread), "reason": "; ".join(why)}


def forget(course, assignment, name, scores=True):
    """Remove an earlier submission, and the points that it had."""
    for folder in ("submitted", "autograded", "feedback"):
        shutil.rmtree(course / folder / name / assignment, ignore_errors=True)
    if scores:
        with gradebook(course) as book:
            try:
                book.remove_submission(assignment, name)
            except MissingEntry:
                pass


def reasons(nb):
    """What the tests said that did not pass."""
    for cell in nb.cells:
        if cell.cell_type == "code" and is_grade(cell):
            for output in cell.outputs:
                if output.output_type == "error":
                    words = first_line(output.evalue) if output.evalue else output.ename
                    yield f"{cell.metadata.nbgrader.grade_id}: {words}"


def whole(points):
    """8 for 8.0."""
    return int(points) if points == int(points) else points


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
    """The arguments, or an end with a word on what is wrong with them."""
    course, folder = arguments.course.resolve(), arguments.submissions.resolve()
    if arguments.assignment not in ASSIGNMENTS:
        known = ", ".join(ASSIGNMENTS)
        raise SystemExit(f"assignment must be one of {known}; got {arguments.assignment!r}")
    if not folder.is_dir():
        raise SystemExit(f"submissions must be a folder; got {str(folder)!r}")
    if course in folder.parents and course / "submitted" in [folder, *folder.parents]:
        raise SystemExit("submissions are in nbgrader's course folder: use `nbgrader autograde`")
    if re.search(r"[\[\]*?%]", str(course)):
        raise SystemExit(f"course must have a path without [ ] * ? and %; got {str(course)!r}")
    if arguments.table.is_dir() or not arguments.table.resolve().parent.is_dir():
        raise SystemExit(f"table must be a file in a folder; got {str(arguments.table)!r}")
    course.mkdir(parents=True, exist_ok=True)
    return arguments.assignment, folder, course


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assignment", help=", ".join(ASSIGNMENTS))
    parser.add_argument("submissions", type=Path)
    parser.add_argument("table", type=Path, help="the CSV file to write")
    parser.add_argument("--course", type=Path, default=HERE, help="nbgrader's folder")
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")  # a student's name may not be in its alphabet
    rows = []
    try:
        for row in grade(*checked(arguments)):
            rows.append(row)
            write_table(rows, arguments.table)
    except KeyboardInterrupt:
        raise SystemExit(f"stopped: {arguments.table} has {len(rows)} rows") from None
    write_table(rows, arguments.table)
    print(f"{arguments.table}: {len(rows)} rows")


if __name__ == "__main__":
    main()
