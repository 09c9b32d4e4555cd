"""Grading as an instructor does it: every solution, every blank, a class, and what attacks it.

Needs nbgrader: `pip install -r instructors/requirements.txt`; most of it also bubblewrap.
"""

import copy
import csv
import inspect
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import nbformat
import pytest
from nbconvert.exporters import HTMLExporter
from nbformat.v4 import new_code_cell
from small_nets import rnn_forward

Gradebook = pytest.importorskip("nbgrader.api").Gradebook

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "instructors" / "source"
HOMEWORK = ROOT / "course" / "homework"
NAMES = sorted(path.name for path in SOURCES.iterdir())


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    """grade.py in a copy of the instructors' folder, with time for a computer that is busy."""
    folder = tmp_path_factory.mktemp("office") / "instructors"
    homework = folder.parent / "course" / "zh" / "homework"
    shutil.copytree(ROOT / "course" / "zh" / "homework", homework)
    left = ("submitted", "autograded", "release", "rows", "*.db")
    shutil.copytree(ROOT / "instructors", folder, ignore=shutil.ignore_patterns(*left))
    with (folder / "nbgrader_config.py").open("a") as config:
        config.write("\nc.Run.seconds_per_cell = 15\nc.Run.seconds = 90\nc.Run.megabytes = 3000\n")
    sys.path.insert(0, str(folder))  # where the processes that grade find it, too
    import grade

    yield grade
    sys.path.remove(str(folder))


@pytest.fixture
def office(tool):
    """The same, where there can be a box."""
    if why := tool.grading.no_box():
        pytest.skip(why)
    return tool


def grade(tool, assignment, submissions, *options, jobs=1):
    """The table's rows, by student."""
    table = submissions.parent / "grades.csv"
    arguments = ["grade.py", assignment, str(submissions), str(table), *options]
    arguments += ["--jobs", str(jobs)]
    with mock.patch.object(sys, "argv", arguments), mock.patch.dict(os.environ):
        tool.main()
    with table.open(encoding="utf-8-sig", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def nbgrader(course, *arguments):
    """An nbgrader command in a course folder."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    return subprocess.run(
        command, cwd=course, env=environment, capture_output=True, text=True, timeout=300
    )


# --- every solution, every blank ---------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_solutions_get_all_points_and_blanks_get_none(office, tmp_path, name):
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    chinese = ROOT / "course" / "zh" / "homework" / f"{name}.ipynb"
    shutil.copy(SOURCES / name / f"{name}.ipynb", submissions / "solved.ipynb")
    shutil.copy(HOMEWORK / f"{name}.ipynb", submissions / "blank.ipynb")
    shutil.copy(chinese, submissions / "blank_zh.ipynb")
    solutions = nbformat.read(submissions / "solved.ipynb", as_version=4).cells
    solutions = [cell for cell in solutions if cell.metadata.get("nbgrader", {}).get("solution")]
    answers = {cell.metadata["nbgrader"]["grade_id"]: cell.source for cell in solutions}
    solved = nbformat.read(chinese, as_version=4)
    for cell in solved.cells:
        cell.source = answers.get(cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source)
    nbformat.write(solved, submissions / "solved_zh.ipynb")
    rows = grade(office, name, submissions)
    for language in ("", "_zh"):
        row = rows[f"solved{language}"]
        assert (row["points"], row["of"], row["to_read"], row["reason"]) == ("8", "8", "2", "")
        blank = rows[f"blank{language}"]
        assert (blank["points"], blank["to_read"]) == ("0", "0")
        assert "Nothing is written yet" in blank["reason"]
        assert row["look_at"] == "### BEGIN SOLUTION" and not blank["look_at"]
        with Gradebook(f"sqlite:///{office.HERE / 'gradebook.db'}", "d2lmini") as book:
            assert not book.find_submission(name, f"blank{language}").needs_manual_grade


def test_the_students_notebooks_are_current(tmp_path):
    for part in ("pyproject.toml", "README.md", "README.zh-CN.md"):
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


def with_tests(change_rnn, change_clip):
    """One change of the first test cell, another one of the second."""

    def change(nb, cells):
        change_rnn(nb, cells["test-rnn"])
        change_clip(nb, cells["test-clip"])

    return change


def edited(nb, cell):
    cell.source = "pass"
    cell.metadata.nbgrader["points"] = 100


def deleted(nb, cell):
    nb.cells.remove(cell)


def markdown(nb, cell):
    cell.cell_type = "markdown"
    del cell["outputs"], cell["execution_count"]


def skipped(nb, cell):
    cell.metadata["tags"] = ["skip-execution"]


def another_with_its_id(nb, cell):
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


def unusual_but_right(nb, cells):
    nb.cells.append(copy.deepcopy(cells["rnn"]))  # a copied cell
    own_module = "%%writefile mine.py\nfrom torch import tanh as squash"
    nb.cells.insert(4, new_code_cell(own_module))
    cells["explain-gradient"].source += " $a<b$ `<b>`"
    for cell in nb.cells:
        cell.source = cell.source.replace("\n", "\r\n")  # as Windows writes them


def wrong(old, new, source=RNN):
    assert old in source
    return source.replace(old, new)


NO_TANH, SQUARED = wrong("torch.tanh(", "("), wrong("torch.sqrt", "", CLIP)
HELPED = wrong("torch.tanh", "squash").replace("return", "warn('old'); print('.', end=''); return")
HELPER = """%matplotlib inline
import sys, warnings
from mine import squash
from warnings import warn
torch.set_default_dtype(torch.float64)
print("\\udcff", sys.stdout.encoding.lower())
warnings.simplefilter("always")
__import__("os").makedirs("results")
"""
IGNORES_INTERRUPTS = """
def rnn(inputs, state, params):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""
PATCHED = """
import d2lmini.checking.hand_in as f
f.check = f.hand_in = d2l.check = lambda *a, **k: None
print("rnn: logits, states and gradients agree with the equations in 6 shapes")
"""
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
FORGED = """
import os
for line in ('{"outputs": 7, "results": 7}', "[" * 100_000, "{}", '{"outputs": [], "results": ""}'):
    os.write(os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY), (line + "\\n").encode())
"""
LOUD = (
    """
from IPython.display import display
print("x" * 20_000_000)
shown = display("x", display_id=True)
for _ in range(500):
    shown.update("x" * 10_000)
    print("y" * 10_000)
if 0: x"""
    + ".a" * 400
    + " = 1"
    + "\n" * 100_000
)
GREEDY = """
import warnings
try:
    x = [0]
    while True: x = x * 2
except MemoryError:
    pass
with open("x", "wb") as f:
    while True: f.write(bytes(10**7))
"""
SHOWS_POINTS = "import sys\ndef rnn(*a):\n    sys.displayhook(4)\n    return 1"
LIBRARY = "from d2lmini.checking import exercises\nrnn = exercises.EXERCISES['rnn'].right"
NEXT = [new_code_cell("1") for _ in range(2000)]
# Student, what is handed in, points (of 8), a part of the reason.
CLASS = {
    "=Ada, [Lovelace] *": (lambda: made(RNN, CLIP), 8, ""),
    "रीना": (lambda: made(HELPED, CLIP, HELPER, unusual_but_right), 8, ""),
    "रेनू": (lambda: made(RNN, CLIP, change=without_ids), 8, ""),
    "a b": (lambda: made(RNN, change=ids_of_another_version), 4, "test-clip: Nothing is written"),
    "a_b": (lambda: made(RNN, CLIP, change=without_metadata), 8, "explain-gradient: no answer"),
    "x" * 250: (lambda: made(NO_TANH, SQUARED), 0, "There is no tanh."),
    "shows_points": (lambda: made(SHOWS_POINTS, CLIP), 4, "test-rnn: It must return two things"),
    # empty and broken files
    "empty": (lambda: b"", 0, "there is nothing in it"),
    "nothing": (lambda: None, 0, "it must be one notebook; got nothing"),
    "text": (lambda: b"my solution is H = tanh(...)", 0, "it cannot be read as a notebook"),
    "list": (lambda: b"[1, 2, 3]", 0, "it cannot be read as a notebook"),
    "deep": (lambda: b"[" * 200_000, 0, "it cannot be read as a notebook"),
    "picture": (lambda: b"\x89PNG\r\n\x1a\n\x00\xff", 0, "it cannot be read as a notebook"),
    "old_format": (lambda: b'{"nbformat": 2, "cells": 7}', 0, "it cannot be read as a notebook"),
    "large": (
        lambda: b'{"cells": "' + b"x" * 6_000_000, 0, "6,000,011 bytes; 5,000,000 are allowed",
    ),
    "many": (lambda: made(change=lambda nb, _: nb.cells.extend(NEXT)), 0, "1,000 are allowed"),
    # crashing
    "syntax": (
        lambda: made("def rnn(:", CLIP, "import gone"),
        4, "test-rnn: name 'rnn' is not defined; other cells: No module named 'gone', ",
    ),
    "killed": (lambda: made(RNN, CLIP, "import os; os.kill(os.getpid(), 9)"), 0, "Python ended"),
    "exit": (lambda: made(wrong("outputs = []", "raise SystemExit"), CLIP), 4, "test-rnn"),
    # endless
    "endless": (lambda: made(wrong("outputs = []", "while True: pass"), CLIP), 4, "15 s were"),
    "stubborn": (lambda: made(IGNORES_INTERRUPTS, CLIP), 0, "test-rnn: "),
    "talks": (lambda: made(RNN, CLIP, "while True: print('x' * 10_000)"), 8, ""),
    # cheating
    "edited": (
        lambda: made(NO_TANH, SQUARED, change=with_tests(edited, deleted)), 0, "square root",
    ),
    "tagged": (
        lambda: made(NO_TANH, SQUARED, change=with_tests(skipped, markdown)), 0, "square root",
    ),
    "twins": (
        lambda: made(NO_TANH, CLIP, change=with_tests(another_with_its_id, edited)), 4, "tanh",
    ),
    "gone": (lambda: made(change=lambda nb, cells: nb.cells.clear()), 0, "is not defined"),
    "patched": (lambda: made(NO_TANH, CLIP, PATCHED), 4, "There is no tanh"),
    "allclose": (
        lambda: made(NO_TANH, CLIP, "torch.allclose = lambda *a, **k: True"), 4, "not those",
    ),
    "fake": (lambda: made(NO_TANH, CLIP, FAKE_HARNESS), 0, "not those of a right function"),
    "swallowed": (lambda: made(
        NO_TANH, CLIP, "get_ipython().set_custom_exc((BaseException,), lambda *a, **k: None)"),
        4, "test-rnn"),
    "not_run": (lambda: made(
        NO_TANH, CLIP, "get_ipython().input_transformers_post.append(lambda lines: ['pass'])"),
        0, "not those of a right function"),
    "fr": (lambda: made(NO_TANH, CLIP, "%env D2LMINI_LANGUAGE=fr"), 4, "There is no tanh."),
    "zh": (lambda: made(NO_TANH, CLIP, "%env D2LMINI_LANGUAGE=zh"), 4, "There is no tanh."),
    "library": (lambda: made(LIBRARY, CLIP), 8, ""),
    "forged": (lambda: made(NO_TANH, CLIP, FORGED), 4, "test-rnn"),
    # enormous
    "loud": (lambda: made(RNN, CLIP, LOUD), 8, ""),
    "greedy": (lambda: made(
        wrong("outputs = []", "outputs = [torch.ones(10**10)]"), CLIP, GREEDY), 0, "No space left"),
}  # fmt: skip


def test_a_class(office, tmp_path):
    submissions, expected = tmp_path / "submissions", {}
    for number, (student, (make, points, reason)) in enumerate(CLASS.items()):
        expected[("'" if student[0] == "=" else "") + student] = (str(points), reason)
        folder = submissions / student
        folder.mkdir(parents=True)
        work = make()
        if isinstance(work, bytes):
            (folder / "2_rnn.ipynb").write_bytes(work)
        elif work is not None:
            name = "2_rnn.ipynb" if number % 2 else "My homework.ipynb"
            (folder / name).write_text(json.dumps(work), encoding="utf-8-sig")
    # What lies beside a notebook does not get into its tests, and is not passed over in silence.
    (submissions / "रीना" / "torch.py").write_text("raise SystemExit('not this one')")
    (submissions / "रीना" / "2_rnn (1).ipynb").write_bytes(b"{}")
    macos = submissions / "a b" / "__MACOSX"
    macos.mkdir()
    (macos / "._My homework.ipynb").write_bytes(bytes(100))
    (submissions / "two").mkdir()
    (submissions / "two" / "a.ipynb").write_bytes(b"{}")
    (submissions / "two" / "b.ipynb").write_bytes(b"{}")
    (submissions / "zed.zip").write_bytes(b"PK")
    (submissions / "link.ipynb").symlink_to("nowhere")
    expected |= {
        "zed.zip": ("0", "one notebook; got zed.zip"), "link": ("0", "there is nothing in it"),
        "two": ("0", "it must be one notebook; got a.ipynb, b.ipynb"),
    }  # fmt: skip

    rows = grade(office, "2_rnn", submissions, jobs=2)
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
    assert (
        rows["रीना"]["look_at"] == "__import__, get_ipython, mine, sys, not graded: 2_rnn (1).ipynb"
    )
    assert rows["library"]["look_at"] == "EXERCISES, checking"
    assert not any(
        rows[name]["look_at"] for name in ("'=Ada, [Lovelace] *", "रेनू", "a b", "x" * 250)
    )
    nbgrader(office.HERE, "export", "--to", office.HERE / "all.csv")
    with (office.HERE / "all.csv").open(newline="") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert len(scores) >= 20 and max(scores) == 8
    graded = [path.read_text("utf-8") for path in office.HERE.rglob("autograded/**/*.ipynb")]
    assert max(map(len, graded)) < 3_000_000


def test_what_a_person_should_look_at(tool):
    for code, words in {
        "d2l.check = print": ["d2l.check = ..."],
        "torch.allclose = f": ["torch.allclose = ..."],
        "import os, torch": ["os"],
        "from d2lmini.checking import hand_in": ["checking"],
        "from d2lmini import by_hand as b": ["by_hand"],
        "import d2lmini.cells": ["cells"],
        "f = d2l.cells.gru": ["cells"],
        "from torch.nn import GRU as G": ["GRU"],
        "f = torch.nn.GRUCell(3, 4)": ["GRUCell"],
        "f = d2l.check.__globals__['EXERCISES']['gru'].right": ["__globals__"],
        "f = vars(d2l.check)": ["vars"],
        "def gru(inputs, state, params):\n    return answer()": ["gru uses none of its parameters"],
        "def gru(*a, **k): return f": ["gru uses none of its parameters"],
        "!pip install x": ["get_ipython"],
        "%time gru = f.right": ["get_ipython"],
        "%matplotlib inline\ndef f(): return 1": [],
        "f = torch.gru_cell": ["gru_cell"],
        "f = torch.lstm": ["lstm"],
        "class A:\n    def __init__(self):\n        super().__init__()\n        self.x = 1": [],
        "def gru(inputs, state, params):\n    H, = state\n    return torch.tanh(H)": [],
        "import math\nfrom torch import nn\nfrom matplotlib import pyplot": [],
        "def f(:": ["not Python"],
        "x?\nf = torch.nn.GRU": ["GRU"],
        "x = !ls\nf = torch.nn.GRU": ["GRU", "get_ipython"],
        '"""Why?\n%\n"""': [],
        "!a\n" * 501: ["get_ipython"],
        "a." * 40_000 + "?": [],
    }.items():
        cell = new_code_cell(code)
        assert tool.unusual(nbformat.v4.new_notebook(cells=[cell]), set()) == words, code[:99]
        assert tool.unusual(nbformat.v4.new_notebook(cells=[cell]), {code}) == []
    # Too deep for Python's parser, or for some versions of it.
    for code in (".a" * 200_000, "+1" * 200_000, "-" * 200_000 + "1", "[" * 200_000):
        cells = [new_code_cell(f"x = 1{code}")]
        assert tool.unusual(nbformat.v4.new_notebook(cells=cells), set()) in ([], ["not Python"])


def test_what_a_student_wrote_does_nothing_in_its_readers_browser(tool, tmp_path):
    text = "**a** $x < y$ `<b>` <script>alert(1)</script> <p onclick='alert(2)'>b</p> "
    text += "[c](javascript:alert(3)) [d](java&#115;cript:alert(4)) [e](https://example.org)"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    page, _ = HTMLExporter(config=tool.settings(tmp_path)).from_notebook_node(nb)
    (shown,) = re.findall(r"<p>(?=<strong>a).*", page)
    assert "$x &lt; y$" in shown and '<a href="https://example.org">e</a>' in shown
    assert not re.search(r"<script|onclick=[^&]*>|href=.java", shown.replace("&lt;p onclick", ""))


# --- what is in the box cannot get out ---------------------------------------------------------

# What a submission may try, harmlessly: each cell raises an error unless it succeeds. The names
# in capital letters are defined in the first one.
ATTACKS = {
    "read a solution": "open(SOLUTION).read()",
    "read another submission": "open(FOLDER + '/other.ipynb').read()",
    "list the home": "assert os.listdir(HOME)",
    "read a secret of the environment": "os.environ['D2LMINI_TEST_SECRET']",
    "write into the course folder": "open(FOLDER + '/course.py', 'w').write('x')",
    "write into the package": "open(PACKAGE + '/x', 'w'); os.remove(PACKAGE + '/x')",
    "write into the environment": "open(PREFIX + '/x', 'w'); os.remove(PREFIX + '/x')",
    "change a grade": """
book = sqlite3.connect(f"file:{FOLDER}/gradebook.db?mode=rw", uri=True)
book.execute("update grade set manual_score = 10")
book.commit()""",
    "reach a server": "socket.create_connection(('127.0.0.1', PORT), 1)",
    "reach a socket of the desktop": "socket.socket(socket.AF_UNIX).connect(f'\\0d2lmini-{PORT}')",
    "see a process": "os.kill(PID, 0)",
    "read what a process knows": "open(f'/proc/{PID}/environ', 'rb').read()",
    "leave a file": "open(HOME + '/left', 'w').write('x')",
    "leave a process": """
subprocess.Popen(["sleep", "3617.25"], start_new_session=True)""",
    "fill the disk": """
for name in "abc":
    with open(f"{os.environ['HOME']}/{name}", "wb") as file:
        for _ in range(9):
            file.write(bytes(10**7))""",
}  # fmt: skip
# What limits forbid without the box, too, or what would do harm without it.
ONLY_BOXED = {
    "write beside the folders": "open('/x', 'w')",
    "write beside the devices": "open('/dev/x', 'w')",
    "change the system": "open('/proc/sys/kernel/domainname', 'r+')",
    "change which process goes first": "open('/proc/self/oom_score_adj', 'w').write('0')",
    "mount": "assert ctypes.CDLL(None).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0",
    "another box": "subprocess.run(['unshare', '-Ur', 'true'], check=True)",
    "fill the memory that looks like a disk": """
with open("/dev/shm/a", "wb") as file:
    for _ in range(9):
        file.write(bytes(10**7))""",
    "a large file": "open('/tmp/a', 'wb').truncate(2 * 10**8)",
    "much memory": "x = bytearray(5 * 2**30)",
}
MANY_PROCESSES = """
try:
    started = [subprocess.Popen(["sleep", "9"]) for _ in range(300)]
finally:
    subprocess.run(["kill", *[str(p.pid) for p in started]])"""


def left_behind():
    """The processes that the attack leaves."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"sleep\x003617.25\x00":
                yield int(path.parent.name)
        except OSError:  # it has ended
            pass


@pytest.mark.parametrize("boxed", [True, False])
def test_attacks(tool, tmp_path, monkeypatch, boxed, request):
    """Each fails in the box. Each succeeds without it, which shows that these are attacks."""
    if boxed:
        request.getfixturevalue("office")
    elif sys.platform != "linux":
        pytest.skip("these attacks are for Linux")
    monkeypatch.setenv("D2LMINI_TEST_SECRET", "x")
    (tmp_path / "other.ipynb").write_text("{}")
    with sqlite3.connect(tmp_path / "gradebook.db") as book:
        book.execute("create table grade (manual_score)")
    attacks = dict(ATTACKS) | (ONLY_BOXED if boxed else {})
    if boxed and os.getuid() != 0:  # the processes of root are not counted
        attacks["many processes"] = "started = []" + MANY_PROCESSES
    package = str(Path(inspect.getfile(tool.d2lmini)).parent)
    for name, folder in (("package", package), ("environment", sys.prefix)):
        if not boxed and not os.access(folder, os.W_OK):  # somebody else installed it
            del attacks[f"write into the {name}"]
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as desk:
        port = server.getsockname()[1]
        desk.bind(f"\0d2lmini-{port}")
        desk.listen()
        names = {
            "FOLDER": str(tmp_path), "HOME": str(home), "PORT": port, "PID": os.getpid(),
            "SOLUTION": str(SOURCES / "2_rnn" / "2_rnn.ipynb"), "PREFIX": sys.prefix,
            "PACKAGE": package,
        }  # fmt: skip
        known = [f"{name} = {value!r}" for name, value in names.items()]
        first = "\n".join(["import ctypes, os, socket, sqlite3, subprocess", *known])
        cells = [new_code_cell(source) for source in (first, *attacks.values())]
        run = tool.grading.Run(box=boxed, seconds=120, seconds_per_cell=30)
        stopped, _ = run.execute(cells, 1)
    left = list(left_behind())
    for process in left:
        os.kill(process, signal.SIGKILL)
    failed = {
        name: cell.outputs[-1].ename
        for name, cell in zip(attacks, cells[1:])
        if cell.outputs and cell.outputs[-1].output_type == "error"
    }
    assert stopped is None and not cells[0].outputs
    if boxed:  # a process may well be started there; it ends with the box
        assert failed.keys() == attacks.keys() - {"leave a process"} and not left
        assert "NameError" not in failed.values() and "SyntaxError" not in failed.values()
        assert {path.name for path in tmp_path.iterdir()} == {"home", "gradebook.db", "other.ipynb"}
    else:
        assert not failed and left and (tmp_path / "course.py").exists()


def test_what_a_submission_shows_does_nothing_in_a_browser(tool, tmp_path):
    script = "<script>steal()</script>"
    error = {"ename": script, "evalue": script, "traceback": ["x", f"\x1b[31m{script}"]}
    cell = new_code_cell("", outputs=tool.grading.shown({"text": script, "error": error}))
    nb = nbformat.v4.new_notebook(cells=[cell])
    page, _ = HTMLExporter(config=tool.settings(tmp_path)).from_notebook_node(nb)
    assert page.count("&lt;script&gt;steal()") == 2 and script not in page


def test_where_there_can_be_no_box(tool, tmp_path, monkeypatch):
    grading = tool.grading
    for module, name, value, words in (
        (grading.sys, "platform", "darwin", "needs Linux"),
        (grading.shutil, "which", lambda name: None, "apt install bubblewrap"),
        (grading, "box", lambda: ["sh", "-c", "echo refused >&2; false"], "(refused)"),
    ):
        grading.no_box.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(module, name, value)
            if name == "box":
                patch.setattr(grading.shutil, "which", lambda name: name)
            with pytest.raises(SystemExit, match="With --no-box") as refused:
                grade(tool, "2_rnn", tmp_path)
            assert words in str(refused.value)
            with pytest.raises(RuntimeError, match="box"):
                grading.Run().preprocess(made(), {})
    grading.no_box.cache_clear()


def test_without_the_box_the_last_line_says_so(tool, tmp_path, capsys):
    submissions = tmp_path / "submissions"
    submissions.mkdir()
    nbformat.write(made(RNN, CLIP), submissions / "ada.ipynb")
    options = ["--no-box", "--course", str(tmp_path / "course")]
    assert grade(tool, "2_rnn", submissions, *options)["ada"]["points"] == "8"
    assert capsys.readouterr().out.splitlines()[-1].startswith("Without the box")


# --- the rest ----------------------------------------------------------------------------------


def test_bad_arguments(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tool.grading, "no_box", lambda: None)
    table, collected = tmp_path / "table.csv", tool.HERE / "submitted"
    collected.mkdir(exist_ok=True)
    for arguments, words in (
        (["9_gan", tmp_path, table], "invalid choice: '9_gan'"),
        (["2_rnn", tmp_path / "gone", table], "submissions must be a folder"),
        (["2_rnn", collected, table], "use `nbgrader autograde`"),
        (["2_rnn", tmp_path, tmp_path], "table must be a file in a folder"),
        (["2_rnn", tmp_path, tmp_path / "gone" / "table.csv"], "table must be a file in a folder"),
        (["2_rnn", tmp_path, table, "--course", tmp_path / "[1]"], "course must have a path"),
        (["2_rnn", tmp_path, table, "--jobs", "0"], "jobs must be 1 or more"),
    ):
        monkeypatch.setattr(sys, "argv", ["grade.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            tool.main()
        assert words in f"{ended.value} {capsys.readouterr().err}"
        assert not table.exists()


def test_interrupted_and_graded_again(office, tmp_path):
    """What is there stays, only what is new or changed is graded, points given by hand are kept."""
    submissions, table = tmp_path / "submissions", tmp_path / "grades.csv"
    submissions.mkdir()
    ada, bob = submissions / "ada.ipynb", submissions / "bob.ipynb"
    ada.write_bytes(b"")
    shutil.copy(SOURCES / "3_gru" / "3_gru.ipynb", bob)
    command = [sys.executable, office.HERE / "grade.py", "3_gru", submissions, table, "--jobs", "1"]
    # A shell's background jobs, and what they start, are deaf to Ctrl-C unless told otherwise.
    listen = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listen) as process:
        while not table.exists():
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 1 and "stopped: " in words
    assert table.read_text(encoding="utf-8-sig").splitlines()[1:] == [
        "ada,0,8,0,it cannot be read as a notebook: there is nothing in it,"
    ]

    def book():
        return Gradebook(f"sqlite:///{office.HERE / 'gradebook.db'}", "d2lmini")

    assert grade(office, "3_gru", submissions)["bob"]["to_read"] == "2"
    with book() as open_book:  # the database is not believed: these points are not in the table
        open_book.find_grade("explain-gates", "3_gru", "3_gru", "bob").manual_score = 1
        open_book.find_grade("test-gru", "3_gru", "3_gru", "bob").manual_score = 0
        open_book.db.commit()
    graded = office.HERE / "autograded" / "bob" / "3_gru" / "3_gru.ipynb"
    before = graded.stat().st_mtime_ns
    row = grade(office, "3_gru", submissions)["bob"]
    assert (row["points"], row["to_read"], row["reason"]) == ("8", "2", "")
    assert graded.stat().st_mtime_ns == before
    bob.write_text(bob.read_text().replace("    ### BEGIN SOLUTION", "    # changed"))
    assert grade(office, "3_gru", submissions)["bob"]["points"] == "8"
    assert graded.stat().st_mtime_ns != before
    with book() as open_book:
        assert open_book.find_submission("3_gru", "bob").score == 5
    bob.write_bytes(b"")
    assert grade(office, "3_gru", submissions)["bob"]["points"] == "0"
    with book() as open_book:
        assert not open_book.student_submissions("bob")


def test_plain_nbgrader_gives_the_same(office, tmp_path):
    """Where `nbgrader autograde` is used as on a JupyterHub, with the settings of this folder."""
    course = tmp_path / "course"
    old = ("submitted", "autograded", "release", "rows", "gradebook.db")
    shutil.copytree(office.HERE, course, ignore=shutil.ignore_patterns(*old))
    for student, nb in (("ada", made(RNN, CLIP)), ("bob", made(NO_TANH, CLIP))):
        folder = course / "submitted" / student / "2_rnn"
        folder.mkdir(parents=True)
        nbformat.write(nb, folder / "2_rnn.ipynb")
    nbgrader(course, "generate_assignment", "2_rnn")
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("\nimport grading\ngrading.no_box = lambda: 'no box here'\n")
    refused = nbgrader(course, "autograde", "2_rnn")
    assert refused.returncode == 1 and "no box here" in refused.stderr
    with (course / "nbgrader_config.py").open("a") as config:
        config.write("\ngrading.no_box = lambda: None\n")
    nbgrader(course, "autograde", "2_rnn")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}", "d2lmini") as book:
        scores = {one.student.id: one.score for one in book.assignment_submissions("2_rnn")}
    assert scores == {"ada": 8, "bob": 4}


def test_the_parts_that_compare(tool):
    grading = tool.grading
    assert grading.close([[1.0, "a", {"x": 1}]], [[1.001, "a", {"x": 1}]])
    assert not grading.close([1.0], [1.1]) and not grading.close([1.0], [1.0, 2.0])
    assert not grading.close([float("nan")], [1.0]) and not grading.close("1", 1)
    assert not grading.right([], "clip", 1) and not grading.right([[]], "clip", 1)
    assert not grading.right([1e400, {}, "x"], "clip", 1)
    assert not grading.close(10**400, 1.0) and not grading.close(2**31, 2**31 + 1)
