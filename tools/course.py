"""Keeps what is stored in the course's notebooks true.

    python tools/course.py run [NOTEBOOK ...]    write the generated parts, execute, store
    python tools/course.py generate              write the generated parts only
    python tools/course.py homework              write the students' homework from its sources
    python tools/course.py chinese               say what is to be translated
    python tools/course.py publish OWNER/NAME    name this copy's GitHub repository, then generate

Generated parts: the set-up cell, what is folded, the navigation lines, the Colab badges; in the
READMEs the tables of lessons, and a published copy's links to its website and to Binder; and the
pictures in course/images (the last PNG of a cell tagged `picture:NAME`). In the Chinese notebooks
also the outputs and all code but its comments: translation.py has them.
"""

import argparse
import base64
import os
import re
import shutil
import tempfile
import time
import tomllib
from io import BytesIO
from pathlib import Path

import nbformat
import translation
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image  # matplotlib brings it

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"
CHINESE = COURSE / "zh"  # the same notebooks in Chinese, kept in step by translation.py
PAGES = {  # and their translations
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    COURSE / "README.md": CHINESE / "README.md",
    COURSE / "homework" / "README.md": CHINESE / "homework" / "README.md",
}
HOMEWORK = COURSE / "homework"  # for students; written from:
SOURCES = ROOT / "instructors" / "source"
PYPROJECT = ROOT / "pyproject.toml"

# The first code cell of every notebook; @REPOSITORY@ is filled in from pyproject.toml.
SET_UP = """\
# Set-up: does nothing where d2lmini is installed. Elsewhere (in Colab, say) it installs it.
import subprocess
import sys
from importlib import invalidate_caches, util
from pathlib import Path

REPOSITORY = "@REPOSITORY@"
if util.find_spec("d2lmini") is None:
    wheels = sorted(Path().glob("d2lmini-*.whl"), key=lambda wheel: wheel.stat().st_mtime)
    if not (wheels or REPOSITORY):
        raise ModuleNotFoundError(
            "d2lmini is not installed: run the first command of the README, or put a "
            "d2lmini-*.whl beside this notebook, and run this cell again."
        )
    package = str(wheels[-1]) if wheels else f"git+https://github.com/{REPOSITORY}"
    alone = ["--no-deps"] if util.find_spec("torch") else []  # a torch that is there stays
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *alone, package], check=True)
    subprocess.run([*pip, "matplotlib", "pooch", "ipywidgets"], check=True)  # where missing
    invalidate_caches()"""

NAVIGATION = "<!-- navigation -->"
TABLE = "<!-- lessons -->"
TABLE_END = "<!-- end of lessons -->"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# Of a cell's metadata:
KEPT = {"tags", "jupyter", "nbgrader", "deletable", "editable", translation.HASH, translation.NEXT}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def stop(path, message):
    raise SystemExit(f"{path.relative_to(ROOT)}: {message}")


def write(path, content):
    """Write all of the file or nothing of it: an interrupted run leaves the old file."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)


def read_notebooks():
    """Every English notebook by its path, in reading order: lessons, then other folders."""
    paths = [*COURSE.rglob("*.ipynb"), *SOURCES.rglob("*.ipynb")]
    paths = [path for path in paths if not {".ipynb_checkpoints", "zh"} & set(path.parts)]
    paths.sort(key=lambda path: (path.parent != COURSE, path))
    return {path: nbformat.read(path, as_version=4) for path in paths}


def write_notebook(path, nb):
    """Write without what differs from run to run or from editor to editor."""
    nb.metadata = nbformat.from_dict(METADATA)
    for cell in nb.cells:
        cell.metadata = {key: cell.metadata[key] for key in KEPT & cell.metadata.keys()}
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)  # a random id that shows nothing
    write(path, (nbformat.writes(nb).rstrip("\n") + "\n").encode())


def code_cells(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


# --- the generated parts ---------------------------------------------------------------------


def repository():
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["d2lmini"]["repository"]


def badge(path):
    """The Colab badge of a notebook; nothing until the course is published."""
    if not repository():
        return ""
    page = f"github/{repository()}/blob/main/{path.relative_to(ROOT).as_posix()}"
    image = "https://colab.research.google.com/assets/colab-badge.svg"
    return f"[![Open in Colab]({image})](https://colab.research.google.com/{page})"


def title(path, nb):
    heading = re.match(r"# (.+)", written(nb))
    if not heading or nb.cells[0].cell_type != "markdown":
        stop(path, "its first cell must be Markdown and begin with the title, '# ...'")
    return heading[1].strip()


def written(nb):
    """The first cell; of a Chinese one that is not translated yet, the English text."""
    text = nb.cells[0].source if nb.cells else ""
    return text.removeprefix(translation.DUE).strip()


def label(path, nb):
    return f"{path.stem.split('_')[0]} {title(path, nb)}"


def promise(path, nb):
    """The first sentence after the title."""
    text = written(nb).partition("\n")[2].strip().partition("\n\n")[0]
    sentence = re.match(r".+?(?:(?<![A-Z])[.!?](?=[\s*]|$)|[。！？])", " ".join(text.split()))
    if not sentence:
        stop(path, "a sentence that promises something must follow the title")
    return sentence[0].replace("*", "")


def navigation(path, notebooks):
    """The links to other notebooks; those of the Chinese edition stay in it."""
    edition = CHINESE if CHINESE in path.parents else COURSE
    contents, work = ("目录", "作业") if edition == CHINESE else ("Contents", "Homework")

    def link(form, target, folder=""):
        return f"[{form.format(label(target, notebooks[target]))}]({folder}{target.name})"

    if path.parent.name == "homework" or SOURCES in path.parents:
        folder = "../../../course/" if SOURCES in path.parents else "../"
        needs = re.search(
            r"(?:Needs lessons? |需要先学第 )([^.。]*)", notebooks[path].cells[0].source
        )
        numbers = re.findall(r"\d\d", needs[1] if needs else "")
        lessons = [p for p in notebooks if p.parent == edition and p.name[:2] in numbers]
        return [
            *(link("← {}", p, folder) for p in lessons),
            f"[{work}]({folder}homework/README.md)",
        ]
    if path.parent != edition:  # a solutions notebook: back to its lesson
        lesson = edition / path.name
        back = [link("← {}", lesson, "../")] if lesson in notebooks else []
        return [*back, f"[{contents}](../README.md)"]
    lessons = [p for p in notebooks if p.parent == edition]
    place = lessons.index(path)
    before = [link("← {}", p) for p in lessons[:place][-1:]]
    after = [link("{} →", p) for p in lessons[place + 1 :][:1]]
    return [*before, f"[{contents}](README.md)", *after]


def write_navigation(path, notebooks):
    links = navigation(path, notebooks)
    cells = [cell for cell in notebooks[path].cells if cell.cell_type == "markdown"]
    for cell in cells:
        cell.source = re.sub(rf"\s*{NAVIGATION}\s*.*", "", cell.source)
    cells[-1].source += f"\n\n{NAVIGATION}\n\n{' | '.join(links)}"
    if cells[0] is not cells[-1]:
        links += [badge(path)] if badge(path) else []
        cells[0].source += f"\n\n{NAVIGATION}\n\n{' | '.join(links)}"


def write_set_up(path, nb):
    first = next(iter(code_cells(nb)), None)
    if first is None or "set-up" not in tags(first):
        stop(path, "its first code cell must be tagged 'set-up' (its text is written for you)")
    first.source = SET_UP.replace("@REPOSITORY@", repository())


def fold(nb):
    """Fold the set-up cell to one line, and collapse the outputs that answer a question.

    After a Markdown cell with "**Predict first", that is the next code cell that shows something.
    The tag `answer` marks a further cell that gives the answer away. JupyterLab shows the first
    line of a collapsed output, so an empty output comes first.
    """
    asked = False
    for cell in nb.cells:
        cell.metadata.pop("jupyter", None)
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
        if cell.cell_type == "markdown":
            asked = asked or "**Predict first" in cell.source
        elif "set-up" in tags(cell):
            cell.metadata["jupyter"] = {"source_hidden": True}
        elif cell.outputs and (asked or "answer" in tags(cell)):
            cell.metadata["jupyter"] = {"outputs_hidden": True}
            cell.outputs.insert(0, nbformat.v4.new_output("display_data"))
            asked = False


def write_pictures(nb):
    for cell in code_cells(nb):
        images = [o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})]
        for tag in tags(cell):
            if tag.startswith("picture:") and images:
                name = tag.removeprefix("picture:") + ".png"
                write(COURSE / "images" / name, base64.b64decode(images[-1]))


def write_links(readme, words, folder):
    """Below a mark: the website and Binder of a published copy, and nothing for another one."""
    line = ""
    if repository():
        owner, name = repository().split("/")
        site = f"https://{owner.lower()}.github.io/{name}/{'zh/' if folder == CHINESE else ''}"
        place = f"{repository()}/main?urlpath=lab/tree/{folder.relative_to(ROOT).as_posix()}"
        line = f"\n[{words[0]}]({site}) | [{words[1]}](https://mybinder.org/v2/gh/{place})\n"
    text = readme.read_text(encoding="utf-8")
    text = re.sub(translation.PUBLISHED, lambda found: found[1] + line, text)
    write(readme, text.encode())


def write_table(readme, notebooks, folder, *columns):
    colab = bool(repository())
    rows = ["|".join(["", " ", *(f" {column} " for column in columns), ""]), "|---|---|---|"]
    if colab:
        rows = [row + column for row, column in zip(rows, [" Colab |", "---|"], strict=True)]
    for path, nb in notebooks.items():
        if path.parent == folder:
            number = path.stem.split("_")[0]
            link = f"[{title(path, nb)}]({path.relative_to(readme.parent).as_posix()})"
            row = f"| {number} | {link} | {promise(path, nb)} |"
            rows.append(row + f" {badge(path)} |" * colab)
    before, start, rest = readme.read_text(encoding="utf-8").partition(TABLE)
    _, end, after = rest.partition(TABLE_END)
    if not (start and end):
        stop(readme, f"the lines {TABLE} and {TABLE_END} must stand around the table of lessons")
    table = "\n".join(rows)
    write(readme, f"{before}{TABLE}\n\n{table}\n\n{TABLE_END}{after}".encode())


def generate():
    notebooks = read_notebooks()
    for path, nb in notebooks.items():
        write_set_up(path, nb)
        fold(nb)
        write_navigation(path, notebooks)
        write_pictures(nb)
        write_notebook(path, nb)
    for readme in (ROOT / "README.md", COURSE / "README.md"):
        write_table(readme, notebooks, COURSE, "lesson", "in one sentence")
    write_table(HOMEWORK / "README.md", notebooks, HOMEWORK, "homework", "in one sentence")
    write_links(ROOT / "README.md", ("Read the website", "Start it on Binder"), COURSE)
    generate_chinese(notebooks)


def translations(notebooks):
    """(path, notebook, path of its translation, the translation: empty where there is none yet)."""
    for path, nb in notebooks.items():
        if COURSE in path.parents:
            translated, old = CHINESE / path.relative_to(COURSE), nbformat.v4.new_notebook()
            if translated.exists():
                old = nbformat.read(translated, as_version=4)
            yield path, nb, translated, old


def generate_chinese(notebooks):
    """Bring the Chinese notebooks in step with the English ones."""
    if not CHINESE.is_dir():  # a copy of the course in English only
        return
    chinese = {
        translated: translation.bring_in_step(path, nb, old)
        for path, nb, translated, old in translations(notebooks)
    }
    for picture in (COURSE / "images").glob("*.png"):  # JupyterLab shows nothing above zh/
        write(CHINESE / "images" / picture.name, picture.read_bytes())
    for path, nb in chinese.items():
        write_navigation(path, chinese)
        write_notebook(path, nb)
    for readme in (ROOT / "README.zh-CN.md", CHINESE / "README.md"):
        write_table(readme, chinese, CHINESE, "课", "一句话简介")
    write_links(ROOT / "README.zh-CN.md", ("在网站上读", "在 Binder 上启动"), CHINESE)
    homework = CHINESE / "homework"
    write_table(homework / "README.md", chinese, homework, "作业", "一句话简介")


# --- the commands ----------------------------------------------------------------------------


def execute(path):
    nb = nbformat.read(path, as_version=4)
    start = time.time()
    client = NotebookClient(
        nb,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},  # the folder that nbval uses too
        coalesce_streams=True,
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],  # no word about the transport for each kernel
    )
    # With MPLBACKEND set, as in many CI images, the kernel would not show figures in the notebook.
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    try:
        client.execute(env=environment)
    except CellExecutionError as error:
        stop(path, re.sub(r"\x1b\[[0-9;]*m", "", str(error)))  # source and traceback, no colours
    for cell in code_cells(nb):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                stop(path, f"a cell writes to stderr:\n{cell.source}\n\n{output.text}")
            if "image/svg+xml" in output.get("data", {}):
                stop(path, f"a cell shows an SVG, which GitHub and nbval refuse:\n{cell.source}")
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = shrink(output.data["image/png"])
    write_notebook(path, nb)
    seconds, size = time.time() - start, path.stat().st_size / 1000
    name = path.relative_to(ROOT).with_suffix("").as_posix()
    print(f"{name}: {len(nb.cells)} cells, {seconds:.0f} s, {size:.0f} KB", flush=True)


def shrink(png):
    """The same picture with 256 colours: a third of the bytes, and no difference to be seen."""
    picture = Image.open(BytesIO(base64.b64decode(png))).convert("RGB")
    small = BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def run(chosen):
    known = [path for path in read_notebooks() if path.parent != HOMEWORK]  # has gaps to fill
    paths = [Path(name).resolve() for name in chosen] or known
    for path in paths:
        if path not in known:
            raise SystemExit(f"run wants notebooks of the course, it got {path.name!r}")
    generate()
    for path in paths:
        execute(path)
    generate()  # the pictures come from the new outputs


def homework():
    """Write course/homework from instructors/source: no solutions, no hidden tests, no outputs."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader(str(SOURCES.parent / "nbgrader_config.py")).load_config()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCES, Path(folder) / "source")
        config.CourseDirectory.root = folder
        for source in sorted(SOURCES.iterdir()):
            done = NbGraderAPI(config=config).generate_assignment(source.name, force=True)
            if not done["success"]:
                stop(source, done.get("error") or done["log"])
            for notebook in (Path(folder) / "release" / source.name).glob("*.ipynb"):
                write_notebook(HOMEWORK / notebook.name, nbformat.read(notebook, as_version=4))
    generate()


def faults_of_chinese():
    """What of the Chinese edition is to be done: (file, what is wrong), one by one."""
    glossary = translation.read_glossary(CHINESE / "glossary.md")
    for path, nb, translated, old in translations(read_notebooks()):
        for fault in translation.faults(path, nb, old, glossary):
            yield translated, fault
    for page, translated in PAGES.items():
        texts = (path.read_text(encoding="utf-8") for path in (page, translated))
        for fault in translation.faults_of_page(*texts):
            yield translated, fault


def chinese():
    """Put what is to be translated into the Chinese notebooks, below a mark, and say it."""
    generate()
    found = list(faults_of_chinese())
    for path, fault in found:
        print(f"{path.relative_to(ROOT).as_posix()}, {fault}\n")
    print(f"{len(found)} to do")


def publish(name):
    if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+(?<!\.git)", name):
        raise SystemExit(
            f"publish wants OWNER/NAME, as in github.com/OWNER/NAME (ada/d2lmini); it got {name!r}"
        )
    text = PYPROJECT.read_text(encoding="utf-8")
    text = re.sub(r'^repository = ".*"$', f'repository = "{name}"', text, flags=re.MULTILINE)
    write(PYPROJECT, text.encode())
    generate()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("notebooks", nargs="*", metavar="NOTEBOOK")
    commands.add_parser("generate")
    commands.add_parser("homework")
    commands.add_parser("chinese")
    commands.add_parser("publish").add_argument("repository", metavar="OWNER/NAME")
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments.notebooks)
    elif arguments.command == "generate":
        generate()
    elif arguments.command == "homework":
        homework()
    elif arguments.command == "chinese":
        chinese()
    else:
        publish(arguments.repository)


if __name__ == "__main__":
    main()
