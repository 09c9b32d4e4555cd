"""Grading as an instructor does it: every solution, every blank, and a class of a hundred.

Needs nbgrader: `pip install -r instructors/requirements.txt`.
"""

import copy
import csv
import importlib.util
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from small_nets import rnn_forward

Gradebook = pytest.importorskip("nbgrader.api").Gradebook

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "instructors" / "source"
HOMEWORK = ROOT / "course" / "homework"
NAMES = sorted(path.name for path in SOURCES.iterdir())


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """The instructor's folder, with less time for endless submissions."""
    folder = tmp_path_factory.mktemp("office") / "instructors"
    shutil.copytree(
        ROOT / "instructors", folder, ignore=shutil.ignore_patterns("submitted", "*.db")
    )
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write("\nc.Run.seconds_per_cell = 15\nc.Run.seconds = 120\nc.Run.megabytes = 3000\n")
    return folder


def grade(office, assignment, submissions):
    """The table's rows, by student, from the documented command."""
    table = submissions.parent / "grades.csv"
    command = [sys.executable, office / "grade.py", assignment, submissions, table]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    with table.open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def nbgrader(course, *arguments):
    """An nbgrader command in a course folder."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    subprocess.run(command, cwd=course, env=environment, check=True, capture_output=True)


# --- every solution, every blank ---------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_solutions_get_all_points_and_blanks_get_none(office, tmp_path, name):
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    shutil.copy(SOURCES / name / f"{name}.ipynb", submissions / "solved.ipynb")
    shutil.copy(HOMEWORK / f"{name}.ipynb", submissions / "blank.ipynb")
    rows = grade(office, name, submissions)
    assert rows["solved"] == {
        "student": "solved", "points": "8", "of": "8", "to_read": "2", "reason": "", "look_at": "",
    }  # fmt: skip
    assert (rows["blank"]["points"], rows["blank"]["to_read"]) == ("0", "0")
    assert "Nothing is written yet" in rows["blank"]["reason"]


def test_the_students_notebooks_are_current(tmp_path):
    for part in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / part, tmp_path)
    for part in ("tools", "course", "instructors"):
        shutil.copytree(ROOT / part, tmp_path / part)
    for path in (tmp_path / "course" / "homework").glob("*.ipynb"):
        path.unlink()
    command = [sys.executable, tmp_path / "tools" / "course.py", "homework"]
    subprocess.run(command, check=True, capture_output=True)
    for path in HOMEWORK.glob("*.ipynb"):
        made = (tmp_path / "course" / "homework" / path.name).read_bytes()
        assert made == path.read_bytes(), "run python tools/course.py homework"


# --- a class -----------------------------------------------------------------------------------

RNN = inspect.getsource(rnn_forward).replace("rnn_forward", "rnn")
CLIP = """
def clip(gradients, theta):
    norm = torch.sqrt(sum((g**2).sum() for g in gradients))
    return [g * theta / norm for g in gradients] if norm > theta else gradients
"""


def made(rnn=None, clip=None, first="", change=None):
    """A student's notebook: the blank one with these cells written."""
    nb = nbformat.read(HOMEWORK / "2_rnn.ipynb", as_version=4)
    cells = {cell.metadata.get("nbgrader", {}).get("grade_id"): cell for cell in nb.cells}
    for name, source in (("rnn", rnn), ("clip", clip)):
        if source is not None:
            cells[name].source = source
    for name in ("predict-gradient", "predict-clip"):
        cells[name].source = "prediction = 'a'"
    if rnn or clip:
        cells["explain-gradient"].source = "Each step multiplies by the same factor."
    if first:
        nb.cells.insert(4, new_code_cell(first))
    if change:
        change(nb, cells)
    return nb


def each_test(do):
    """A change of both test cells."""
    return lambda nb, cells: [do(nb, cells[name]) for name in ("test-rnn", "test-clip")]


def points_of_100(nb, cell):
    cell.metadata.nbgrader["points"] = 100


def another_cell_with_its_id(nb, cell):
    twin = copy.deepcopy(cell)
    twin.source = "print('passed')"
    nb.cells.insert(nb.cells.index(cell), twin)


def without_metadata(nb, cells):
    for cell in nb.cells:
        cell.metadata = {"colab": {"height": 17}}


def without_ids(nb, cells):
    nb.nbformat_minor = 4
    for cell in nb.cells:
        del cell["id"]


def ids_of_another_version(nb, cells):
    nb.nbformat_minor = 4  # where cells have none


def wrong(old, new, source=RNN):
    assert old in source
    return source.replace(old, new)


NO_TANH = wrong("torch.tanh(", "(")
IGNORES_INTERRUPTS = """
def rnn(inputs, state, params):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
PRETENDS = "print('rnn: logits, states and gradients agree with the equations in 6 shapes')"
FAKE_HARNESS = """
import sys, types
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "d2lmini.checking.hand_in":
            import importlib.machinery
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        return types.ModuleType(spec.name)
    def exec_module(self, module):
        module.check = module.hand_in = lambda *a, **k: print("results: [[1.0]]")
        module.WrongAnswer = AssertionError
sys.meta_path.insert(0, Finder())
"""
SPEAKS = """
from IPython.display import display
shown = display("x", display_id=True)
for _ in range(3000):
    shown.update("x" * 10_000)
    print("y" * 10_000)
"""
# How many of them, what they hand in, their points (of 8), and a part of the reason.
CLASS = {
    "right": (12, lambda: made(RNN, CLIP), 8, ""),
    "helper": (4, lambda: made(wrong("torch.tanh", "squash"), CLIP, "squash = torch.tanh"), 8, ""),
    # Not wrong, only unusual: another program's metadata, a warning, talk without a line's end.
    "stripped": (
        1, lambda: made(RNN, CLIP, change=without_metadata), 8, "explain-gradient: no answer",
    ),
    "mixed_minor": (1, lambda: made(RNN, CLIP, change=ids_of_another_version), 8, ""),
    "results": (1, lambda: made(RNN, CLIP, "import os; os.makedirs('results')"), 8, ""),
    "old_minor": (1, lambda: made(RNN, CLIP, change=without_ids), 8, ""),
    "copied": (1, lambda: made(RNN, CLIP, change=lambda nb, cells: nb.cells.append(
        copy.deepcopy(cells["rnn"]))), 8, ""),
    "warns": (1, lambda: made(wrong("outputs = []", "outputs = []; warn('deprecated')"), CLIP,
        "from warnings import warn, simplefilter; simplefilter('always')"), 8, ""),
    "dots": (1, lambda: made(wrong("return", "print('.', end=''); return"), CLIP), 8, ""),
    "half": (6, lambda: made(RNN), 4, "test-clip: Nothing is written yet"),
    "blank": (10, lambda: made(), 0, "test-rnn: Nothing is written yet"),
    "no_tanh": (5, lambda: made(NO_TANH, CLIP), 4, "test-rnn: There is no tanh."),
    "turned": (5, lambda: made(wrong("W_hh +", "W_hh.T +"), CLIP), 4, "W_hh is turned"),
    "squared": (3, lambda: made(RNN, wrong("torch.sqrt", "", CLIP)), 4, "lacks its square root"),
    "shows_points": (
        1, lambda: made("import sys\ndef rnn(*a):\n    sys.displayhook(4)\n    return 1", CLIP), 4,
        "test-rnn: It must return two things",
    ),
    # empty and broken files
    "empty": (3, lambda: b"", 0, "the file is empty"),
    "nothing": (2, lambda: None, 0, "nothing was handed in"),
    "text": (1, lambda: b"my solution is H = tanh(...)", 0, "this is no notebook"),
    "list": (1, lambda: b"[1, 2, 3]", 0, "this is no notebook"),
    "picture": (1, lambda: b"\x89PNG\r\n\x1a\n\x00\xff", 0, "this is no notebook"),
    "old_format": (1, lambda: b'{"nbformat": 2, "cells": 7}', 0, "no notebook"),
    # crashing
    "syntax": (2, lambda: made("def rnn(:", CLIP), 4, "test-rnn: name 'rnn' is not defined"),
    "raises": (1, lambda: made(wrong("outputs = []", "1 / 0"), CLIP), 4, "ZeroDivisionError"),
    "no_module": (1, lambda: made("import notthere", CLIP), 4, "'rnn' is not defined"),
    "killed": (1, lambda: made(RNN, CLIP, "import os; os.kill(os.getpid(), 9)"), 0, "died"),
    "sys_exit": (1, lambda: made(wrong("outputs = []", "raise SystemExit"), CLIP), 4, "test-rnn"),
    "os_exit": (1, lambda: made(wrong("outputs = []", "import os; os._exit(0)"), CLIP), 0, "died"),
    "segfault": (
        1, lambda: made(RNN, CLIP, "import ctypes; ctypes.string_at(0)"), 0, "the kernel died",
    ),
    # endless
    "endless": (1, lambda: made(wrong("outputs = []", "while True: pass"), CLIP), 4, "15 s were"),
    "sleeps": (1, lambda: made(RNN, CLIP, "import time; time.sleep(3600)"), 8, ""),
    "stubborn": (1, lambda: made(IGNORES_INTERRUPTS, CLIP), 0, "test-rnn: "),
    # cheating
    "edited": (1, lambda: made(NO_TANH, CLIP, change=each_test(
        lambda nb, cell: cell.update(source="pass"))), 4, "There is no tanh"),
    "deleted": (1, lambda: made(NO_TANH, CLIP, change=each_test(
        lambda nb, cell: nb.cells.remove(cell))), 4, "There is no tanh"),
    "all_gone": (1, lambda: made(change=lambda nb, cells: nb.cells.clear()), 0, "is not defined"),
    "markdown": (1, lambda: made(NO_TANH, CLIP, change=each_test(
        lambda nb, cell: (cell.update(cell_type="markdown"), cell.pop("outputs"),
                          cell.pop("execution_count")))), 4, "There is no tanh"),
    "skipped": (1, lambda: made(NO_TANH, CLIP, change=each_test(
        lambda nb, cell: cell.metadata.update(tags=["skip-execution"]))), 4, "There is no tanh"),
    "more_points": (1, lambda: made(RNN, CLIP, change=each_test(points_of_100)), 8, ""),
    "twins": (1, lambda: made(
        NO_TANH, CLIP, change=each_test(another_cell_with_its_id)), 4, "There is no tanh"),
    "no_check": (1, lambda: made(NO_TANH, CLIP, "d2l.check = print"), 4, "There is no tanh"),
    "check_patched": (1, lambda: made(NO_TANH, CLIP, "import d2lmini.checking.hand_in as f\n"
        "f.check = f.hand_in = lambda *a, **k: None"), 4, "There is no tanh"),
    "allclose": (
        1, lambda: made(NO_TANH, CLIP, "torch.allclose = lambda *a, **k: True"), 4, "not those",
    ),
    "fake": (1, lambda: made(NO_TANH, CLIP, FAKE_HARNESS), 0, "not those of a right function"),
    "printed": (1, lambda: made(NO_TANH + PRETENDS, CLIP + PRETENDS), 4, "There is no tanh"),
    "swallowed": (1, lambda: made(
        NO_TANH, CLIP, "get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)"),
        4, "test-rnn"),
    "not_run": (1, lambda: made(
        NO_TANH, CLIP, "get_ipython().input_transformers_post.append(lambda lines: ['pass'])"),
        0, "not those of a right function"),
    "library": (1, lambda: made("from d2lmini.checking import exercises\n"
        "rnn = exercises.EXERCISES['rnn'].right", CLIP), 8, ""),
    # enormous
    "many_cells": (
        1, lambda: made(change=lambda nb, cells: nb.cells.extend(new_code_cell("1") for _ in
        range(2000))), 0, "cells; 1000 are allowed",
    ),
    "newlines": (1, lambda: made(RNN, CLIP, "\n" * 100_000), 8, ""),
    "speaks": (1, lambda: made(RNN, CLIP, SPEAKS), 8, ""),
    "nested": (1, lambda: made(RNN, CLIP, "if 0: x" + ".a" * 400 + " = 1"), 8, ""),
    "large_file": (1, lambda: b'{"cells": "' + b"x" * 6_000_000, 0, "6.0 MB; 5 MB are allowed"),
    "talks": (1, lambda: made(RNN, CLIP, "print('x' * 50_000_000)"), 8, ""),
    "talks_on": (1, lambda: made(RNN, CLIP, "while True: print('x' * 10_000)"), 8, ""),
    "memory": (1, lambda: made(
        wrong("outputs = []", "outputs = [torch.ones(10**10)]"), CLIP), 4, "test-rnn: It raises"),
    "lists": (1, lambda: made(RNN, CLIP, "x = [0]\nwhile True: x = x * 2"), 8, ""),
    "disk": (1, lambda: made(
        RNN, CLIP, "with open('x', 'wb') as f:\n    while True: f.write(bytes(10**7))"), 8, ""),
}  # fmt: skip
SUSPICIOUS = {
    "no_check": "d2l.check = ...", "allclose": "torch.allclose = ...", "fake": "importlib",
    "swallowed": "get_ipython", "not_run": "get_ipython", "library": "checking",
    "os_exit": "_exit", "check_patched": "checking", "disk": "open",
}  # fmt: skip


def test_a_class_of_a_hundred(office, tmp_path):
    submissions, expected = tmp_path / "submissions", {}
    for kind, (count, make, points, reason) in CLASS.items():
        for number in range(count):
            student = f"{kind}_{number}"
            expected[student] = (str(points), reason)
            folder = submissions / student
            folder.mkdir(parents=True)
            work = make()
            if isinstance(work, bytes):
                (folder / "2_rnn.ipynb").write_bytes(work)
            elif work is not None:
                name = "2_rnn.ipynb" if number % 2 else "My homework.ipynb"
                (folder / name).write_text(json.dumps(work), encoding="utf-8-sig")
    # What lies beside a notebook does not get into its tests.
    (submissions / "right_0" / "torch.py").write_text("raise SystemExit('not this one')")
    (submissions / "blank_0" / "d2lmini.py").write_text("check = print")
    for number, name in enumerate(("=Ada, [Lovelace] *", "रीना", "रेनू", "a b", "a_b")):
        (submissions / f"right_{number}").rename(submissions / name)
        expected[("'" if name[0] == "=" else "") + name] = expected.pop(f"right_{number}")
    macos = submissions / "a b" / "__MACOSX"
    macos.mkdir()
    (macos / "._My homework.ipynb").write_bytes(bytes(100))
    (submissions / "zed.zip").write_bytes(b"PK")
    (submissions / "gone.ipynb").symlink_to("nowhere")
    expected |= {"zed.zip": ("0", "this is no notebook: zed.zip"), "gone": ("0", "no file")}
    assert len(expected) == 100

    rows = grade(office, "2_rnn", submissions)
    found = {student: (row["points"], row["reason"]) for student, row in rows.items()}
    assert found.keys() == expected.keys()
    faults = [
        f"{student}: {found[student]}, expected {wanted}"
        for student, wanted in expected.items()
        if found[student][0] != wanted[0]
        or wanted[1] not in found[student][1]
        or (wanted[1] == "") != (found[student][1] == "")
    ]
    assert not faults, "\n".join(faults)
    for kind, word in SUSPICIOUS.items():
        assert word in rows[f"{kind}_0"]["look_at"], kind
    assert not any(rows[f"{kind}_1"]["look_at"] for kind in ("helper", "half", "blank"))
    nbgrader(office, "export", "--to", office / "all.csv")
    with (office / "all.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) >= 80 and max(scores) == 8
    largest = max(path.stat().st_size for path in office.rglob("autograded/**/*.ipynb"))
    assert largest < 3_000_000


def test_bad_arguments(office, tmp_path):
    table, collected = tmp_path / "table.csv", office / "submitted"
    collected.mkdir(exist_ok=True)
    for arguments, words in (
        (["9_gan", tmp_path, table], "assignment must be one of 1_text, 2_rnn"),
        (["", tmp_path, table], "assignment must be one of 1_text, 2_rnn"),
        (["2_rnn", tmp_path / "gone", table], "submissions must be a folder"),
        (["2_rnn", collected, table], "use `nbgrader autograde`"),
        (["2_rnn", tmp_path, tmp_path], "table must be a file in a folder"),
        (["2_rnn", tmp_path, tmp_path / "gone" / "table.csv"], "table must be a file in a folder"),
        (["2_rnn", tmp_path, table, "--course", tmp_path / "[1]"], "course must have a path"),
    ):
        command = [sys.executable, office / "grade.py", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and words in done.stderr
        assert not table.exists()


def test_graded_twice(office, tmp_path):
    """Points that a person gave are kept; what is handed in again takes the old one's place."""
    submissions, database = tmp_path / "submissions", f"sqlite:///{office / 'gradebook.db'}"
    submissions.mkdir()
    notebook = submissions / "ada.ipynb"
    shutil.copy(SOURCES / "3_gru" / "3_gru.ipynb", notebook)
    assert grade(office, "3_gru", submissions)["ada"]["to_read"] == "2"
    with Gradebook(database, "d2lmini") as book:
        book.find_grade("explain-gates", "3_gru", "3_gru", "ada").manual_score = 1
        book.db.commit()
    row = grade(office, "3_gru", submissions)["ada"]
    assert (row["points"], row["to_read"]) == ("8", "0")
    with Gradebook(database, "d2lmini") as book:
        assert book.find_submission("3_gru", "ada").score == 9
    notebook.write_bytes(b"")
    assert grade(office, "3_gru", submissions)["ada"]["points"] == "0"
    with Gradebook(database, "d2lmini") as book:
        assert not book.student_submissions("ada")


def test_an_interrupt_leaves_the_rows_that_there_are(office, tmp_path):
    submissions, table = tmp_path / "submissions", tmp_path / "table.csv"
    submissions.mkdir()
    (submissions / "a.ipynb").write_bytes(b"")
    shutil.copy(SOURCES / "2_rnn" / "2_rnn.ipynb", submissions / "b.ipynb")
    command = [sys.executable, office / "grade.py", "2_rnn", submissions, table]
    # A shell's background jobs, and what they start, are deaf to Ctrl-C unless told otherwise.
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        while not table.exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert "stopped: " in process.stderr.read()
    assert process.returncode == 1
    assert table.read_text(encoding="utf-8-sig").splitlines()[1:] == ["a,0,8,0,the file is empty,"]


def test_plain_nbgrader_gives_the_same(office, tmp_path):
    """Where `nbgrader autograde` is used as on a JupyterHub, with the settings of this folder."""
    course = tmp_path / "course"
    old = ("submitted", "autograded", "release", "gradebook.db")
    shutil.copytree(office, course, ignore=shutil.ignore_patterns(*old))
    for student, nb in (("ada", made(RNN, CLIP)), ("bob", made(NO_TANH, CLIP))):
        folder = course / "submitted" / student / "2_rnn"
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / "2_rnn.ipynb")
    nbgrader(course, "generate_assignment", "2_rnn")
    nbgrader(course, "autograde", "2_rnn")
    nbgrader(course, "export")
    with (course / "grades.csv").open(newline="") as file:
        scores = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert scores == {"ada": 8, "bob": 4}


def test_the_parts_that_compare():
    spec = importlib.util.spec_from_file_location("grading", ROOT / "instructors" / "grading.py")
    grading = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(grading)
    assert grading.close([[1.0, "a", {"x": 1}]], [[1.001, "a", {"x": 1}]])
    assert not grading.close([1.0], [1.1]) and not grading.close([1.0], [1.0, 2.0])
    assert not grading.close([float("nan")], [1.0]) and not grading.close("1", 1)
    assert not grading.right([], "clip", 1) and not grading.right([[]], "clip", 1)
    assert not grading.right([1e400, {}, "x"], "clip", 1)
    assert not grading.close(10**400, 1.0) and not grading.close(2**31, 2**31 + 1)
