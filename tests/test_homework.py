"""The students' homework is what is left of its sources, and says so where something is missing."""

import re

import nbformat
import pytest
from test_course import HOMEWORK, SOURCES

from d2lmini.checking.exercises import EXERCISES

NAMES = sorted(path.name for path in SOURCES.iterdir())
REGION = r"(?ms)^( *)### BEGIN {0}\n.*?^ *### END {0}\n?"


def read(path):
    return nbformat.read(path, as_version=4).cells


def pairs(name):
    """Each cell of a source with the student's."""
    solved = read(SOURCES / name / f"{name}.ipynb")
    blank = read(next(path for path in HOMEWORK if path.stem == name))
    assert len(solved) == len(blank)
    return list(zip(solved, blank))


def kind(cell):
    about = cell.metadata.get("nbgrader", {})
    return bool(about.get("grade")), bool(about.get("solution"))


def test_there_are_six():
    assert [path.stem for path in HOMEWORK] == NAMES and len(NAMES) == 6


@pytest.mark.parametrize("name", NAMES)
def test_students_get_all_but_solutions_and_hidden_tests(name):
    for solved, blank in pairs(name):
        assert kind(solved) == kind(blank)
        if kind(solved) == (True, True):  # a question to be answered in words
            assert blank.source == "Your answer goes here, in place of this line."
            assert len(solved.source.split()) > 40
            continue
        stub = r'\1raise NotImplementedError("write this part")' + "\n"
        left = re.sub(REGION.format("SOLUTION"), stub, solved.source + "\n")
        left = re.sub(REGION.format("HIDDEN TESTS"), "", left)
        links = r"(?s)<!-- navigation -->.*"  # lead to the same lessons from another folder
        assert re.sub(links, "", left).rstrip() == re.sub(links, "", blank.source).rstrip()
        assert "BEGIN" not in blank.source and "hand_in" not in blank.source


@pytest.mark.parametrize("name", NAMES)
def test_points_and_ids(name):
    points, ids = 0, []
    for solved, blank in pairs(name):
        about = blank.metadata.get("nbgrader")
        if not about:
            continue
        ids.append(about["grade_id"])
        points += about.get("points", 0)
        assert about["points"] == solved.metadata.nbgrader["points"] if about["grade"] else True
        locked = not about["solution"]
        assert blank.metadata.get("editable", True) != locked
        if kind(solved) == (True, False):  # a test
            (function,) = re.findall(r"\Ad2l\.check\((\w+), \"\w+\"\)", solved.source)
            (task,) = re.findall(rf'(?m)^hand_in\({function}, "(\w+)"\)', solved.source)
            assert task in EXERCISES and about["grade_id"] == f"test-{function}"
    assert points == 10 and len(ids) == len(set(ids))


@pytest.mark.parametrize("name", NAMES)
def test_every_function_says_its_shapes_and_is_not_written(name):
    tested = 0
    for _, blank in pairs(name):
        if kind(blank) != (False, True) or not blank.source.startswith("def "):
            continue
        space = {}
        exec(blank.source, space)
        function = space[re.match(r"def (\w+)", blank.source)[1]]
        assert "Returns" in function.__doc__ or "the same" in function.__doc__
        exercise = EXERCISES[function.__name__]
        with pytest.raises(NotImplementedError, match="write this part"):
            function(*exercise.make(exercise.cases[0], 0))
        tested += 1
    assert tested >= 2
