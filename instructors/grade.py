"""Grade a folder of submissions with nbgrader, and write a table.

    python instructors/grade.py 2_rnn SUBMISSIONS grades.csv

SUBMISSIONS holds a folder for each student with the notebook in it, or a notebook for each
student, named STUDENT.ipynb. Every one of them gets a row. Graded notebooks and nbgrader's
gradebook.db stay in --course, where `nbgrader generate_feedback` and formgrader find them.
"""

import argparse
import ast
import csv
import io
import os
import re
import shutil
import warnings
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.utils import is_grade, is_solution
from sqlalchemy.exc import SAWarning
from traitlets.config.loader import PyFileConfigLoader

HERE = Path(__file__).resolve().parent
LARGEST = 5_000_000  # bytes of a notebook
COLUMNS = ["student", "points", "of", "to_read", "reason", "look_at"]
# A right answer needs none of these. Who uses them may have good reasons: a person should look.
UNUSUAL_NAMES = {
    "get_ipython", "builtins", "__builtins__", "modules", "importlib", "__import__", "eval", "exec",
    "_exit", "system", "subprocess", "socket", "urllib", "requests", "open", "inspect", "setattr",
    "RNN", "GRU", "LSTM", "RNNCell", "GRUCell", "LSTMCell", "_VF", "cells", "exercises",
    "feedback", "mistakes", "cell_mistakes", "stack_mistakes", "function_mistakes", "readable",
    "by_hand", "layers", "environ", "D2LMINI_SEED",
}  # fmt: skip


def submissions(folder):
    """The notebook of every student, or None: {student: path}."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            paths = sorted(entry.rglob("*.ipynb"))
            found[entry.name] = [p for p in paths if ".ipynb_checkpoints" not in p.parts]
        elif entry.suffix == ".ipynb":
            found[entry.stem] = [entry]
    return found


def choose(notebooks, assignment):
    """The one notebook that counts; ValueError where there is none."""
    if not notebooks:
        raise ValueError("nothing was handed in")
    named = [path for path in notebooks if path.stem == assignment] or notebooks
    if len(named) > 1:
        raise ValueError(f"{len(named)} notebooks were handed in, and none is {assignment}.ipynb")
    return named[0]


def read(path):
    """A submitted notebook without what could harm; ValueError where it is none."""
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"it has {size / 1e6:.1f} MB; {LARGEST / 1e6:.0f} MB are allowed")
    if size == 0:
        raise ValueError("the file is empty")
    try:
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
    except Exception as error:
        raise ValueError(f"this is no notebook: {first_line(error)}") from error
    return nb


def first_line(error):
    """The first line of an error, without colours, short enough for a table."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.partition("\n")[0][:200]


def unusual(nb, assignment):
    """Names in a student's code that a person should look at."""
    given = nbformat.read(HERE / "source" / assignment / f"{assignment}.ipynb", as_version=4)
    ours, found = {cell.source for cell in given.cells}, set()
    for cell in nb.cells:
        if cell.cell_type != "code" or cell.source in ours:
            continue
        source = re.sub(r"(?m)^\s*[%!].*$", "", cell.source)
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            names = [getattr(node, "id", None), getattr(node, "attr", None)]
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names += [getattr(node, "module", None), *(alias.name for alias in node.names)]
                names = [part for name in names if name for part in name.split(".")]
            found |= UNUSUAL_NAMES.intersection(names)
            for target in getattr(node, "targets", []):
                if isinstance(target, ast.Attribute):
                    found.add(f"{ast.unparse(target)} = ...")
    return sorted(found)


def grade(assignment, folder, course):
    """Rows for the table, one for each student, the reason in words where points are missing."""
    if not (HERE / "source" / assignment).is_dir():
        known = ", ".join(sorted(path.name for path in (HERE / "source").iterdir()))
        raise SystemExit(f"assignment must be one of {known}; got {assignment!r}")
    if not folder.is_dir():
        raise SystemExit(f"submissions must be a folder; got {str(folder)!r}")
    course.mkdir(parents=True, exist_ok=True)
    config = PyFileConfigLoader(str(HERE / "nbgrader_config.py")).load_config()
    config.CourseDirectory.root = str(course)
    config.CourseDirectory.source_directory = str(HERE / "source")
    api = NbGraderAPI(config=config)
    done = api.generate_assignment(assignment, force=True)
    if not done["success"]:
        raise SystemExit(f"nbgrader could not read the assignment:\n{done['log']}")
    students = submissions(folder)
    for number, (student, notebooks) in enumerate(students.items(), 1):
        row = grade_one(api, course, assignment, student, notebooks)
        print(f"{number} of {len(students)}: {student}: {row['points']} of {row['of']}", flush=True)
        yield row


def grade_one(api, course, assignment, student, notebooks):
    """One student's row."""
    name = re.sub(r"[^\w.@-]", "_", student)  # nbgrader takes some characters for patterns
    most = whole(api.gradebook.find_assignment(assignment).max_code_score)
    row = dict.fromkeys(COLUMNS, "") | {"student": student, "points": 0, "of": most, "to_read": 0}
    place = course / "submitted" / name / assignment
    shutil.rmtree(place, ignore_errors=True)
    try:
        nb = read(choose(notebooks, assignment))
        row["look_at"] = ", ".join(unusual(nb, assignment))
        place.mkdir(parents=True)
        nbformat.write(nb, place / f"{assignment}.ipynb")  # the notebook, and nothing beside it
    except (ValueError, OSError) as error:
        return row | {"reason": first_line(error)}
    done = api.autograde(assignment, name, force=True)
    if not done["success"]:
        lines = [line for line in done["log"].splitlines() if re.match(r"\s*\w+(\.\w+)*: ", line)]
        return row | {"reason": f"nbgrader could not grade it: {first_line(lines[-1:] or ['?'])}"}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "d2lmini") as gradebook:
        submission = gradebook.find_submission(assignment, name)
        grades = [g for notebook in submission.notebooks for g in notebook.grades]
        row["points"] = whole(sum(g.auto_score or 0 for g in grades))
        row["to_read"] = whole(sum(g.max_score for g in grades if g.needs_manual_grade))
    graded = nbformat.read(course / "autograded" / name / assignment / f"{assignment}.ipynb", 4)
    return row | {"reason": "; ".join(reasons(graded))}


def reasons(nb):
    """What the tests said that did not pass."""
    for cell in nb.cells:
        if cell.cell_type == "code" and is_grade(cell) and not is_solution(cell):
            for output in cell.outputs:
                if output.output_type == "error":
                    words = first_line(output.evalue) or output.ename
                    yield f"{cell.metadata.nbgrader.grade_id}: {words}"
                    break


def whole(points):
    """8 for 8.0."""
    return int(points) if points == int(points) else points


def safe(value):
    """A value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def write_table(rows, path):
    """Write the whole table, or leave the old one."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows({key: safe(value) for key, value in row.items()} for row in rows)
    draft = path.with_name(path.name + ".part")
    draft.write_text(text.getvalue(), encoding="utf-8-sig", newline="")  # so that Excel reads it
    os.replace(draft, path)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("assignment", help="the name of a folder in instructors/source")
    parser.add_argument("submissions", type=Path)
    parser.add_argument("table", type=Path, help="the CSV file to write")
    parser.add_argument("--course", type=Path, default=HERE, help="nbgrader's folder")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", SAWarning)  # about nbgrader's own use of its database
    rows = list(grade(arguments.assignment, arguments.submissions, arguments.course.resolve()))
    write_table(rows, arguments.table)
    print(f"{arguments.table}: {len(rows)} rows")


if __name__ == "__main__":
    main()
