"""The package as it is installed: the wheel, what importing it costs, docstrings."""

import ast
import graphlib
import importlib
import inspect
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import d2lmini

FOLDER = Path(d2lmini.__file__).parent
ROOT = Path(__file__).resolve().parent.parent
MODULES = [module.name for module in pkgutil.walk_packages([str(FOLDER)], "d2lmini.")]


def run(*command, **kwargs):
    done = subprocess.run(command, capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- The wheel -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the checkout, so that nothing is left behind in it."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("no pyproject.toml beside these tests: nothing to build a wheel from")
    pytest.importorskip("setuptools")
    copy = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    shutil.copytree(ROOT / "d2lmini", copy / "d2lmini", ignore=shutil.ignore_patterns("__pyc*"))
    run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet",
        "--wheel-dir", copy / "dist", copy,
    )  # fmt: skip
    (path,) = (copy / "dist").glob("*.whl")
    return path


def test_what_is_in_the_wheel(wheel):
    assert wheel.name == f"d2lmini-{d2lmini.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        sources = {path.relative_to(ROOT).as_posix() for path in FOLDER.rglob("*.py")}
        assert names == sources | {"d2lmini/story.txt", "d2lmini/five_minutes.txt"}
        story = (ROOT / "d2lmini" / "story.txt").read_bytes()
        assert archive.read("d2lmini/story.txt") == story
        assert any(name.endswith("/LICENSE") for name in archive.namelist())


USE = """
import d2lmini as d2l
print(d2l.__file__)
train_iter, vocab = d2l.load_data_time_machine(32, 35)
print(len(vocab), len(train_iter))
"""


def test_the_wheel_works_outside_the_checkout(wheel, tmp_path):
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--no-index"]
    run(*pip, "--target", target, wheel)
    environment = {name: value for name, value in os.environ.items() if name != "D2LMINI_DATA"}
    environment |= {"PYTHONPATH": str(target), "D2LMINI_OFFLINE": "1"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    out = run(sys.executable, "-c", USE, cwd=tmp_path, env=environment).splitlines()
    assert Path(out[0]) == target / "d2lmini" / "__init__.py"
    assert "Using the story bundled with d2lmini" in out[1]
    assert out[2:] == ["28 8"]  # (10000 - 1) // (32 * 35) batches


# --- Importing it --------------------------------------------------------------------------------

LOADED = """
import json, sys, torch
before = set(sys.modules)
import d2lmini
print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""


def test_importing_it_imports_torch_and_nothing_else():
    environment = os.environ | {"PYTHONPATH": str(FOLDER.parent)}
    by_torch, loaded = json.loads(run(sys.executable, "-c", LOADED, env=environment))
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert foreign == {"d2lmini"}, f"imported too early: {sorted(foreign - {'d2lmini'})}"
    # Nor did torch bring these along, which would hide them here.
    assert not {"matplotlib", "IPython", "ipywidgets", "pooch", "requests"} & set(by_torch)


def imports(path):
    """The names of our modules that a file imports, at its top or inside of a function."""
    package = ["d2lmini", *path.relative_to(FOLDER).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = package[: len(package) + 1 - node.level] + (node.module or "").split(".")
            whole = ".".join(filter(None, start))
            modules = [f"{whole}.{name.name}" for name in node.names]
            yield from (name if name in MODULES else whole for name in modules)


def test_imports_point_one_way():
    """No module imports itself by way of others: the package can be read from the bottom up."""
    graph = {name: set() for name in MODULES}
    for path in FOLDER.rglob("*.py"):
        name = ".".join(path.relative_to(FOLDER.parent).with_suffix("").parts)
        graph[name.removesuffix(".__init__")] = set(imports(path)) - {"d2lmini"}
    order = list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError
    assert order[-1] == "d2lmini" and len(order) == len(MODULES) + 1


# --- Reading it ----------------------------------------------------------------------------------


def public_things(module):
    for name, thing in vars(module).items():
        own = getattr(thing, "__module__", None) == module.__name__
        if name.startswith("_") or not own or not (inspect.isclass(thing) or callable(thing)):
            continue
        yield name, thing
        if inspect.isclass(thing) and hasattr(d2lmini, name):
            for method, value in vars(thing).items():
                value = value.fget if isinstance(value, property) else value
                # What torch calls is described by the class.
                if inspect.isfunction(value) and not method.startswith("_") and method != "forward":
                    yield f"{name}.{method}", value


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what is in it"
    missing = [thing for thing, value in public_things(module) if not (value.__doc__ or "").strip()]
    assert missing == []
    # What a dataclass or nn.Module inherits is no description of its own.
    generated = [
        thing for thing, value in public_things(module) if value.__doc__.startswith(f"{thing}(")
    ]
    assert generated == []


def test_every_public_name_is_ours():
    for name in vars(d2lmini):
        if not name.startswith("_"):
            thing = getattr(d2lmini, name)
            assert getattr(thing, "__module__", "d2lmini").startswith("d2lmini")
