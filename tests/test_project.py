"""The lists of versions agree with one another, and the README's commands are the ones we run."""

import re
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
BOUNDS = PROJECT["dependencies"] + EXTRAS["notebook"] + EXTRAS["dev"]
INSTALL = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && "


def requirements():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins():
    return dict(line.split("==") for line in requirements()[:-1])


def test_requirements_end_with_the_package_itself():
    assert requirements()[-1] == "."


@pytest.mark.parametrize("bound", BOUNDS)
def test_what_the_package_asks_for_is_pinned_within_its_bounds(bound):
    wanted = Requirement(bound)
    assert wanted.name in pins()
    assert wanted.specifier.contains(pins()[wanted.name])


@pytest.mark.parametrize("extra, folder", [("grading", "instructors"), ("site", "site")])
def test_what_graders_and_the_website_need_besides_is_pinned(extra, folder):
    lines = (ROOT / folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    bounds = {bound.name: bound.specifier for bound in map(Requirement, EXTRAS[extra])}
    assert pinned.keys() == bounds.keys()
    assert all(bounds[name].contains(version) for name, version in pinned.items())


def test_the_package_is_loose_upwards():
    operators = {part.operator for bound in BOUNDS for part in Requirement(bound).specifier}
    assert operators == {">="}


def test_conda_takes_its_list_from_requirements():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    channel, python, *rest = re.findall(r"(?m)^ *- (.+)$", text)
    assert rest == ["pip", "pip:", "-r requirements.txt"]
    version = python.removeprefix("python=")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(version)


def code_blocks():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"(?ms)^```(.*?)\n(.*?)\n```$", readme)


def test_readme_has_two_commands():
    options = "-n 2 --dist loadfile --nbval tests course --ignore course/solutions"
    tests = f".venv/bin/python -m pytest {options}"
    first = INSTALL + ".venv/bin/jupyter lab course/00_text_and_language_models.ipynb"
    assert [code for kind, code in code_blocks() if kind == "sh"] == [first, INSTALL + tests]
    assert (ROOT / first.split()[-1]).exists()


def test_the_small_torch_is_the_pinned_one():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    build = f"torch=={pins()['torch']} --index-url https://download.pytorch.org/whl/cpu`"
    assert f"`python3 -m venv .venv && .venv/bin/pip install {build}" in readme


def test_readme_example_prints_what_the_readme_says(capsys):
    (example,) = [code for kind, code in code_blocks() if kind == "python"]
    (printed,) = [code for kind, code in code_blocks() if kind == "text"]
    threads = torch.get_num_threads()
    exec(example, {})
    torch.set_num_threads(threads)

    def outline(text):
        """The lines without their numbers, without what was sampled, and without the notice."""
        lines = [re.sub(r"\d+\.\d+", "0", line) for line in text.strip().splitlines()]
        lines = [line for line in lines if not line.startswith("Using the story")]
        return [*lines[:-1], lines[-1][:15], len(lines[-1])]

    ran = capsys.readouterr().out
    assert outline(ran) == outline(printed)
    first, *_, last = [float(number) for number in re.findall(r"perplexity ([\d.]+)", ran)]
    assert last < 2.5 < 5 < first
