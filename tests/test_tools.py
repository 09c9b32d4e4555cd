"""tools/course.py on a course of two tiny lessons."""

import base64
import contextlib
import re
import runpy
import shutil
import subprocess
import sys
import venv
import zipfile
from io import BytesIO, StringIO
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import translation  # noqa: E402

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (250, 250, 250)]


def picture():
    """A PNG of four pixels with an alpha channel, as matplotlib writes them."""
    image, file = Image.new("RGBA", (2, 2)), BytesIO()
    for i, colour in enumerate(COLOURS):
        image.putpixel((i % 2, i // 2), (*colour, 255))
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PNG = picture()
SHOW = f"from IPython.display import display\ndisplay({{'image/png': {PNG!r}}}, raw=True)"
README = "# Top\n\n<!-- published -->\n\n<!-- lessons -->\n<!-- end of lessons -->\n\nAfter.\n"


def lesson(title, source):
    return new_notebook(
        cells=[
            new_markdown_cell(f"# {title}\n\nYou *count*: as H. G. Wells did. And more.\n\nGoals."),
            new_code_cell("", metadata={"tags": ["set-up"], "collapsed": True}),
            new_markdown_cell("Prose."),
            new_code_cell(source, metadata={"tags": ["picture:seen"]}),
            new_markdown_cell("The end."),
        ],
        metadata={"widgets": {}, "kernelspec": {"name": "mine", "display_name": "Mine"}},
    )


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tools").mkdir()
    source = tmp_path / "instructors" / "source" / "1_x"
    for folder in ("course/solutions", "course/homework", source):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "course.py", tmp_path / "tools")
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    unpublished = re.sub(r'(?m)^repository = ".*"$', 'repository = ""', pyproject)
    (tmp_path / "pyproject.toml").write_text(unpublished, encoding="utf-8")
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    for folder in ("course", "course/homework"):
        (tmp_path / folder / "README.md").write_text(README, encoding="utf-8")
    # d2lmini itself is slow to import, and only its presence matters to the set-up cell.
    for folder in ("course", "course/solutions", source):
        (tmp_path / folder / "d2lmini.py").write_text("")
    nbformat.write(lesson("Words", "print('one')\nprint('two')"), tmp_path / "course/00_a.ipynb")
    nbformat.write(lesson("RNN", SHOW), tmp_path / "course/01_b.ipynb")
    nbformat.write(lesson("Solved", "1 + 1"), tmp_path / "course/solutions/01_b.ipynb")
    homework = lesson("Homework", "1 + 2")
    homework.cells[0].source += "\n\nNeeds lesson 01. An hour."
    homework.cells[3].metadata = {"nbgrader": {"grade_id": "x"}, "editable": False}
    nbformat.write(homework, source / "1_x.ipynb")
    homework.cells[3].source = "raise NotImplementedError"  # nobody runs it
    nbformat.write(homework, tmp_path / "course/homework/1_x.ipynb")
    return tmp_path


def course(project, *arguments):
    """Run the project's own tools/course.py, in this process, which has imported what it needs."""
    path, stdout, stderr = project / "tools" / "course.py", StringIO(), StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        patch.chdir(project)
        patch.setattr(sys, "argv", [str(path), *arguments])
        try:
            runpy.run_path(str(path), run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                code, _ = 1, stderr.write(code)
    return SimpleNamespace(returncode=code, stdout=stdout.getvalue(), stderr=stderr.getvalue())


def snapshot(project):
    return {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}


def set_up(project):
    return nbformat.read(project / "course/00_a.ipynb", as_version=4).cells[1].source


def test_run_executes_and_stores(project):
    result = course(project, "run")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "course/00_a", "course/01_b", "course/solutions/01_b", "instructors/source/1_x/1_x",
    ]  # fmt: skip
    assert all(re.fullmatch(r"[\w/]+: 5 cells, \d+ s, \d+ KB", line) for line in lines)

    nb = nbformat.read(project / "course/00_a.ipynb", as_version=4)
    assert [nb.cells[i].execution_count for i in (1, 3)] == [1, 2]
    assert [output.text for output in nb.cells[3].outputs] == ["one\ntwo\n"]
    assert nb.metadata.kernelspec.name == "python3" and "widgets" not in nb.metadata
    assert nb.cells[1].metadata == {"tags": ["set-up"], "jupyter": {"source_hidden": True}}
    stored = Image.open(project / "course/images/seen.png")
    assert stored.mode == "P"  # with a palette, so a third of the size
    stored = stored.convert("RGB")
    assert [stored.getpixel((i % 2, i // 2)) for i in range(4)] == COLOURS

    first = snapshot(project)
    assert course(project, "run", "course/00_a.ipynb").returncode == 0
    assert snapshot(project) == first


def test_generated_parts(project):
    assert course(project, "generate").returncode == 0
    one = nbformat.read(project / "course/00_a.ipynb", as_version=4)
    two = nbformat.read(project / "course/01_b.ipynb", as_version=4)
    solved = nbformat.read(project / "course/solutions/01_b.ipynb", as_version=4)
    assert one.cells[1].source == two.cells[1].source == solved.cells[1].source
    for cell in (one.cells[0], one.cells[-1]):
        assert cell.source.endswith("\n\n[Contents](README.md) | [01 RNN →](01_b.ipynb)")
    assert two.cells[0].source.endswith("\n\n[← 00 Words](00_a.ipynb) | [Contents](README.md)")
    assert solved.cells[-1].source.endswith("[← 01 RNN](../01_b.ipynb) | [Contents](../README.md)")
    row = "| 01 | [RNN](course/01_b.ipynb) | You count: as H. G. Wells did. |\n"
    assert row in (project / "README.md").read_text(encoding="utf-8")
    assert row.replace("course/", "") in (project / "course/README.md").read_text(encoding="utf-8")

    for place, to in (("course/homework/", "../"), ("instructors/source/1_x/", "../../../course/")):
        nb = nbformat.read(project / place / "1_x.ipynb", as_version=4)
        links = f"[← 01 RNN]({to}01_b.ipynb) | [Homework]({to}homework/README.md)"
        assert nb.cells[0].source.endswith(links) and nb.cells[1].source == one.cells[1].source
        assert nb.cells[3].metadata == {"nbgrader": {"grade_id": "x"}, "editable": False}
    row = "| 1 | [Homework](1_x.ipynb) | You count: as H. G. Wells did. |\n"
    assert row in (project / "course/homework/README.md").read_text(encoding="utf-8")

    first = snapshot(project)
    assert course(project, "generate").returncode == 0
    assert snapshot(project) == first


@pytest.fixture
def chinese(project):
    """The project with a Chinese edition, in which nothing is translated yet."""
    (project / "course/zh/homework").mkdir(parents=True)
    glossary = "| English | 中文 | 不用 |\n|---|---|---|\n| gate | 门 | |\n"
    (project / "course/zh/glossary.md").write_text(glossary, encoding="utf-8")
    for page in ("README.zh-CN.md", "course/zh/README.md", "course/zh/homework/README.md"):
        (project / page).write_text(README, encoding="utf-8")
    return project


def test_the_chinese_edition_is_kept_in_step(chinese):
    result = course(chinese, "chinese")
    assert result.returncode == 0, result.stderr
    waiting = "course/zh/01_b.ipynb, cell 0 (markdown): it is not translated yet.\nnow:\n# RNN"
    assert waiting in result.stdout
    path = chinese / "course/zh/01_b.ipynb"
    nb = nbformat.read(path, as_version=4)
    assert nb.cells[0].source.startswith("<!-- to translate; in English: -->\n\n# RNN\n\nYou")
    for cell, text in zip(
        nb.cells, ("# 网络\n\n你来*数*：一句话。还有。", None, "正文。", None, "完。")
    ):
        cell.source = text or cell.source
    nbformat.write(nb, path)
    assert course(chinese, "publish", "ada/x").returncode == 0

    nb = nbformat.read(path, as_version=4)
    assert nb.cells[2].source == "正文。"
    assert nb.cells[-1].source.endswith("[← 00 Words](00_a.ipynb) | [目录](README.md)")
    assert "ada/x/blob/main/course/zh/01_b.ipynb" in nb.cells[0].source
    code = set_up(chinese).partition("\n")[2]
    assert nb.cells[1].source == f"{translation.SET_UP}\n{code}"
    work = nbformat.read(chinese / "course/zh/homework/1_x.ipynb", as_version=4)
    assert code in work.cells[1].source and '"zh"' in work.cells[1].source
    row = "| 01 | [网络](course/zh/01_b.ipynb) | 你来数：一句话。 |"
    assert row in (chinese / "README.zh-CN.md").read_text(encoding="utf-8")
    assert row.replace("course/zh/", "") in (chinese / "course/zh/README.md").read_text("utf-8")
    assert "course/zh/01_b" not in course(chinese, "chinese").stdout

    first = snapshot(chinese)
    assert course(chinese, "generate").returncode == 0
    assert snapshot(chinese) == first
    # What is executed, and read as English, are the English notebooks alone.
    assert "zh" not in course(chinese, "run").stdout


def test_answers_are_collapsed_by_rule(project):
    path = project / "course/00_a.ipynb"
    nb = lesson("Words", "print(1)")
    for source in ("x = 2", "print(x)", "print(x + 1)", "print(x + 2)"):
        nb.cells[-1:-1] = [new_markdown_cell("And?"), new_code_cell(source)]
    nb.cells[4].source = "**Predict first.** What is it?"
    nb.cells[9].metadata.tags = ["answer"]
    nb.cells[3].metadata.jupyter = {"outputs_hidden": True}  # by hand, and not after a question
    nbformat.write(nb, path)
    result = course(project, "run", "course/00_a.ipynb")
    assert result.returncode == 0, result.stderr
    cells = nbformat.read(path, as_version=4).cells
    collapsed = [
        i for i, cell in enumerate(cells) if "outputs_hidden" in cell.metadata.get("jupyter", {})
    ]
    assert collapsed == [7, 9]  # the first that shows something, and the tagged one
    # An empty output comes first, since JupyterLab shows the first line of what is collapsed.
    shown = [
        [output.get("text", output.get("data")) for output in cells[i].outputs] for i in (7, 9)
    ]
    assert shown == [[{}, "2\n"], [{}, "3\n"]]


def test_run_stores_figures_where_mplbackend_is_set(project, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    path = project / "course/00_a.ipynb"
    nbformat.write(lesson("Words", "from matplotlib import pyplot as plt\n_ = plt.plot([1])"), path)
    result = course(project, "run", "course/00_a.ipynb")
    assert result.returncode == 0, result.stderr
    (output,) = nbformat.read(path, as_version=4).cells[3].outputs
    assert "image/png" in output.data


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\nx / 0", ["x / 0", "ZeroDivisionError"]),
        ("import warnings\nwarnings.warn('careful')", ["stderr", "careful"]),
        (SHOW.replace("image/png", "image/svg+xml"), ["SVG"]),
    ],
)
def test_run_refuses_what_must_not_be_stored(project, source, words):
    path = project / "course/00_a.ipynb"
    nbformat.write(lesson("Words", source), path)
    course(project, "generate")
    before = path.read_bytes()
    result = course(project, "run", "course/00_a.ipynb")
    assert result.returncode == 1 and "00_a.ipynb" in result.stderr
    assert all(word in result.stderr for word in words), result.stderr
    assert path.read_bytes() == before


def test_publish_and_publish_again(project):
    for repository in ("ada/rnn-course", "class-of-27/rnn.course"):
        assert course(project, "publish", repository).returncode == 0
        assert f'REPOSITORY = "{repository}"' in set_up(project)
        page = f"https://colab.research.google.com/github/{repository}/blob/main/course/00_a.ipynb"
        nb = nbformat.read(project / "course/00_a.ipynb", as_version=4)
        top = (project / "README.md").read_text(encoding="utf-8")
        for text in (
            nb.cells[0].source,
            top,
            (project / "course/README.md").read_text(encoding="utf-8"),
        ):
            assert text.count(f"({page})") == 1
        owner, name = repository.split("/")
        assert f"[Read the website](https://{owner}.github.io/{name}/)" in top
        binder = f"(https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/course)"
        assert top.count(binder) == 1
    assert not [p for p, content in snapshot(project).items() if b"ada/rnn-course" in content]


def test_publish_names_what_came_and_what_it_wants(project):
    before = snapshot(project)
    for wrong in ("", "ada", "https://github.com/ada/x", "ada/x.git", "a b/c"):
        result = course(project, "publish", wrong)
        assert result.returncode == 1
        assert repr(wrong) in result.stderr and "OWNER/NAME" in result.stderr
        assert snapshot(project) == before


# --- the set-up cell, on a machine without d2lmini ----------------------------------------------


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    # torch and what the set-up cell adds to it are there, as far as Python and pip can see.
    site = next(folder.glob("lib/python*/site-packages"))
    for name in ("torch", "matplotlib", "pooch", "ipywidgets"):
        (site / f"{name}.py").write_text("")
        info = site / f"{name}-9.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n")
    return folder / "bin" / "python"


def run_set_up(project, python, folder, then=""):
    folder.mkdir(exist_ok=True)
    course(project, "generate")
    command = [python, "-E", "-c", set_up(project) + "\n" + then]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.long
def test_set_up_says_what_to_do(project, bare_python, tmp_path):
    result = run_set_up(project, bare_python, tmp_path / "alone")
    assert "ModuleNotFoundError: d2lmini is not installed: run" in result.stderr


@pytest.mark.long
def test_set_up_installs_the_wheel_beside_it(project, bare_python, tmp_path):
    folder = tmp_path / "beside"
    folder.mkdir()
    with zipfile.ZipFile(folder / "d2lmini-7.0-py3-none-any.whl", "w") as wheel:
        info = "d2lmini-7.0.dist-info"
        wheel.writestr("d2lmini/__init__.py", "__version__ = '7.0'")
        # --no-deps: a dependency that is nowhere to be found must not matter.
        needs = "Requires-Dist: no-such-package-for-d2lmini"
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: d2lmini\nVersion: 7.0\n{needs}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    then = "import d2lmini\nprint(d2lmini.__version__)"
    first = run_set_up(project, bare_python, folder, then)
    assert first.stdout.endswith("7.0\n"), first.stderr
    next(folder.glob("*.whl")).unlink()
    second = run_set_up(project, bare_python, folder, then)  # idempotent: nothing to do, no word
    assert (second.stdout, second.stderr) == ("7.0\n", "")


@pytest.fixture
def pip_runs(project, monkeypatch, tmp_path):
    """Run the set-up cell where only the named packages are: what it asks of pip."""

    def run(*there, repository="", wheel=False):
        folder = tmp_path / "lessons"
        folder.mkdir()
        if wheel:
            (folder / "d2lmini-7.0-py3-none-any.whl").write_text("")
        monkeypatch.chdir(folder)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there or None)
        asked = []
        monkeypatch.setattr("subprocess.run", lambda command, check: asked.append(command))
        exec(source.replace('REPOSITORY = ""', f'REPOSITORY = "{repository}"'), {})
        assert all(command[:5] == [*PIP, "--quiet"] for command in asked)
        return [command[5:] for command in asked]

    course(project, "generate")
    source = set_up(project)
    return run


PIP = [sys.executable, "-m", "pip", "install"]
WHERE_MISSING = ["matplotlib", "pooch", "ipywidgets"]
WHEEL = "d2lmini-7.0-py3-none-any.whl"


def test_set_up_does_nothing_where_d2lmini_is(pip_runs):
    assert pip_runs("d2lmini", wheel=True) == []


def test_set_up_leaves_a_torch_that_is_there_alone(pip_runs):
    assert pip_runs("torch", wheel=True) == [["--no-deps", WHEEL], WHERE_MISSING]


def test_set_up_installs_the_dependencies_where_torch_is_missing(pip_runs):
    source = "git+https://github.com/ada/rnn"
    assert pip_runs(repository="ada/rnn") == [[source], WHERE_MISSING]


def test_set_up_without_wheel_and_repository_says_so(pip_runs):
    with pytest.raises(ModuleNotFoundError, match="README, or put a d2lmini-.*whl beside"):
        pip_runs("torch")
