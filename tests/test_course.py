"""Holds every notebook of the course to its shape, and proves that the checks would notice.

A check takes a notebook and yields a complaint for everything that is wrong with it.
"""

import copy
import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
COURSE = ROOT / "course"
SOURCES = ROOT / "instructors" / "source"  # the homework, solved
HOMEWORK = sorted((COURSE / "homework").glob("*.ipynb"))  # with gaps to fill: never executed
NOTEBOOKS = sorted(
    path
    for path in [*COURSE.rglob("*.ipynb"), *SOURCES.rglob("*.ipynb")]
    if not {".ipynb_checkpoints", "zh"} & set(path.parts) and path not in HOMEWORK
)
LESSONS = [path for path in NOTEBOOKS if path.parent == COURSE]
READMES = [ROOT, COURSE, COURSE / "homework", ROOT / "instructors"]
ZH = COURSE / "zh"  # what a translation must be like: tests/test_translation.py
CHINESE = [ROOT / "README.zh-CN.md", *sorted(ZH.rglob("*.md")), *sorted(ZH.rglob("*.ipynb"))]
PAGES = [*(folder / "README.md" for folder in READMES), ROOT / "CONTRIBUTING.md", *CHINESE]
KNOWN_TAGS = {"set-up", "answer", "nbval-ignore-output"}  # and picture:NAME
FOLDED, COLLAPSED = {"source_hidden": True}, {"outputs_hidden": True}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
# Folders of somebody's machine, and where an object lies in its memory.
PLACES = r"(?<![\w.])/(?:home|root|tmp|usr|opt|var|content|Users)/|\b[A-Z]:\\Users|\b0x[0-9a-f]{6,}"


def name(path):
    return path.relative_to(ROOT).as_posix()


@functools.cache
def read(path):
    """A notebook that several tests look at and none changes."""
    return nbformat.read(path, as_version=4)


def code_cells(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def texts(cell):
    """What a cell shows in words: the source, streams, and the text form of what it displays."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield output.get("data", {}).get("text/plain", "")


def shows_png(cell):
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))


def prose(markdown):
    """Markdown without its code and its formulas, which may hold brackets that are no links."""
    for pattern in (r"(?ms)^```.*?^```", r"`[^`\n]*`", r"(?s)\$\$.*?\$\$", r"\$[^$\n]+\$"):
        markdown = re.sub(pattern, "", markdown)
    return markdown


# --- the checks ------------------------------------------------------------------------------


def executed_in_order(nb):
    counts = [cell.execution_count for cell in code_cells(nb)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"execution counts are {counts}: not run from top to bottom, or stripped"


def outputs_are_clean(nb):
    for number, cell in enumerate(code_cells(nb), 1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {number} stores an error, {output.ename}"
            if output.get("name") == "stderr":
                yield f"code cell {number} writes to stderr: {output.text[:80]!r}"
            for kind in sorted(output.get("data", {}).keys() - {"text/plain", "image/png"}):
                yield f"code cell {number} shows {kind}; only text/plain and image/png last"


def names_no_place(nb):
    for number, cell in enumerate(nb.cells, 1):
        for text in texts(cell):
            if found := re.search(PLACES, text):
                yield f"cell {number} names a path or an address: {found[0]!r}"


def metadata_is_clean(nb):
    if nb.metadata.keys() != {"kernelspec", "language_info"}:
        yield f"metadata holds {sorted(nb.metadata)}"
    for number, cell in enumerate(nb.cells, 1):
        graded = {"nbgrader", "editable", "deletable"} if "nbgrader" in cell.metadata else set()
        if cell.metadata.keys() - {"tags", "jupyter"} - graded:
            yield f"the metadata of cell {number} holds {sorted(cell.metadata)}"
        if cell.metadata.get("jupyter", COLLAPSED) not in (FOLDED, COLLAPSED):
            yield f"the metadata of cell {number} holds {cell.metadata.jupyter}"


def tags_are_known(nb):
    for number, cell in enumerate(nb.cells, 1):
        for tag in tags(cell):
            if tag not in KNOWN_TAGS and not re.fullmatch(r"picture:\w+", tag):
                yield f"cell {number} has the unknown tag {tag!r}"
        if re.search(r"(?m)^\s*#+\s*(NBVAL|PYTEST_VALIDATE)_\w+\s*$", cell.source):
            yield f"cell {number} talks to nbval in a comment; use a tag"


def set_up_comes_first(nb):
    marked = ["set-up" in tags(cell) for cell in code_cells(nb)]
    if marked != [True] + [False] * (len(marked) - 1):
        yield "the first code cell, and no other, must be tagged 'set-up'"
    elif code_cells(nb)[0].outputs:
        yield "the set-up cell shows something"
    for number, cell in enumerate(nb.cells, 1):
        if ("set-up" in tags(cell)) != (cell.metadata.get("jupyter") == FOLDED):
            yield f"cell {number}: the set-up cell must be folded, and no other"


def answers_are_collapsed(nb):
    """After each "Predict first" the next output is collapsed; so is that of a tagged cell.

    JupyterLab shows the first line of a collapsed output: an empty one comes first.
    """
    answers = [number for number, cell in enumerate(nb.cells) if "answer" in tags(cell)]
    for number, cell in enumerate(nb.cells):
        if cell.cell_type == "markdown" and "**Predict first" in cell.source:
            after = range(number + 1, len(nb.cells))
            answers.append(next((i for i in after if nb.cells[i].get("outputs")), number))
    for number, cell in enumerate(nb.cells):
        collapsed = cell.metadata.get("jupyter") == COLLAPSED
        if number in answers and not (collapsed and cell.get("outputs")):
            yield f"cell {number + 1} answers a question, and no collapsed output is in it"
        elif collapsed and cell.outputs[0].get("data") != {}:
            yield f"the first line that cell {number + 1} shows is in sight"
        if number not in answers and collapsed:
            yield f"the output of cell {number + 1} is collapsed, and it answers no question"


def ignored_outputs_are_asserted(nb):
    for number, cell in enumerate(code_cells(nb), 1):
        if "nbval-ignore-output" in tags(cell):
            if not re.search(r"(?m)^\s*assert\b|\.assert_close\(", cell.source):
                yield f"code cell {number} has an ignored output and asserts nothing"


def code_cells_are_short(nb):
    for number, cell in enumerate(code_cells(nb), 1):
        lines = len(cell.source.splitlines())
        if lines > 20:
            yield f"code cell {number} has {lines} lines; 20 is the most"


def prose_stands_before_code(nb):
    before = None
    for number, cell in enumerate(nb.cells, 1):
        if cell.cell_type == "code":
            if before is None or (before.cell_type == "code" and "set-up" not in tags(before)):
                yield f"cell {number} is code without prose before it"
        before = cell


def pictures_are_described(nb):
    for number, cell in enumerate(nb.cells, 1):
        if shows_png(cell):
            after = nb.cells[number].source if number < len(nb.cells) else ""
            caption = after.partition("\n\n")[0]
            if not caption.startswith("*Figure") or len(caption.split()) < 8:
                yield f"cell {number} shows a picture; '*Figure ...' in words must come next"
        if cell.cell_type == "markdown":
            yield from images_have_alt_text(cell.source)


def images_have_alt_text(markdown):
    for image in re.findall(r"!\[\s*\]\([^)]*\)|<img\b(?![^>]*\balt=[\"']\w)[^>]*>", markdown):
        yield f"an image has no alt text: {image}"


def is_not_executed(nb):
    if any(cell.outputs or cell.execution_count for cell in code_cells(nb)):
        yield "holds outputs or execution counts; students begin with none"


CHECKS = [
    executed_in_order,
    outputs_are_clean,
    names_no_place,
    metadata_is_clean,
    tags_are_known,
    set_up_comes_first,
    answers_are_collapsed,
    ignored_outputs_are_asserted,
    code_cells_are_short,
    prose_stands_before_code,
    pictures_are_described,
]
CHECKS_OF_HOMEWORK = [
    is_not_executed,
    names_no_place,
    metadata_is_clean,
    tags_are_known,
    set_up_comes_first,
    code_cells_are_short,
    prose_stands_before_code,
]


def lacks_headings(nb, wanted):
    markdown = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    headings = re.findall(r"(?m)^(#+ .+?)\s*$", markdown)
    return [f"has no heading {heading!r}" for heading in wanted if heading not in headings]


def markdown_of(path):
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def anchors(path):
    """The anchors of a page's headings: GitHub's form, and for notebooks also JupyterLab's."""
    for heading in re.findall(r"(?m)^#+ (.+?)\s*$", markdown_of(path)):
        yield re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-")
        if path.suffix == ".ipynb":
            yield heading.replace(" ", "-")


def broken_links(path):
    text = prose(markdown_of(path))
    for link in re.findall(r"\]\(([^)\s]+)\)|(?:href|src)=\"([^\"]+)\"", text):
        target, _, anchor = "".join(link).partition("#")
        if re.match(r"\w+:", target):
            continue  # another site
        page = (path.parent / target).resolve() if target else path
        if not page.exists():
            yield f"links to {target!r}, which is not there"
        elif anchor and anchor not in anchors(page):
            yield f"links to {target}#{anchor}, and there is no such heading"


# --- the course ------------------------------------------------------------------------------


def test_there_are_lessons():
    assert LESSONS


def lesson_is_whole(path):
    wanted = ["## Summary", "## Exercises"]
    if not path.name.startswith("00_"):
        wanted.append("## Try it")
    yield from lacks_headings(read(path), wanted)
    if not (COURSE / "solutions" / path.name).exists():
        yield "has no solutions"


def headings(path):
    lines = [line for cell in read(path).cells for line in cell.source.splitlines()]
    return [line for line in lines if line.startswith("## ")]


def pair_has_the_same_headings(path):
    number, rest = path.name.split("_", 1)
    concise = COURSE / f"{int(number) + 1:02}_{rest.replace('scratch', 'concise')}"
    proof = "## Are they the same network?"
    if proof not in headings(concise):
        yield f"{concise.name} has no heading {proof!r}"
    if headings(path) != [heading for heading in headings(concise) if heading != proof]:
        yield f"{concise.name} has other headings: {headings(path)}, {headings(concise)}"


def complaints_about(path):
    for check in CHECKS_OF_HOMEWORK if path in HOMEWORK else CHECKS:
        for complaint in check(read(path)):
            yield f"{check.__name__}: {complaint}"
    if path in LESSONS:
        yield from lesson_is_whole(path)
        if path.stem.endswith("_scratch"):
            yield from pair_has_the_same_headings(path)
    if path.stat().st_size >= 300_000:
        yield "is larger than 300 KB"
    yield from broken_links(path)


@pytest.mark.parametrize("path", [*NOTEBOOKS, *HOMEWORK], ids=name)
def test_notebook(path):
    complaints = list(complaints_about(path))
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_and_images(path):
    complaints = [*broken_links(path), *images_have_alt_text(prose(markdown_of(path)))]
    assert not complaints, "\n".join(complaints)


def test_generated_parts_are_current(tmp_path):
    for part in ("pyproject.toml", "README.md", "README.zh-CN.md"):
        shutil.copy(ROOT / part, tmp_path)
    for part in ("tools", "course", "instructors"):
        shutil.copytree(ROOT / part, tmp_path / part)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    subprocess.run([sys.executable, tmp_path / "tools" / "course.py", "generate"], check=True)
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    changed = [p.relative_to(tmp_path) for p in after if after[p] != before.get(p)]
    assert not changed, "run python tools/course.py generate"


# --- tests of the tests: each fault must be noticed --------------------------------------------


def sound_notebook():
    """A notebook that no check complains about."""
    picture = new_output("display_data", data={"image/png": "iVBO", "text/plain": "<Figure>"})
    cells = [
        new_markdown_cell("# Title\n\nA promise."),
        new_code_cell("", metadata={"tags": ["set-up"], "jupyter": FOLDED}),
        new_code_cell("print(1)", outputs=[new_output("stream", text="1\n")]),
        new_markdown_cell("Prose with `x[i](y)` and $f[x](y)$. **Predict first.** How low?"),
        new_code_cell(
            "loss = train()\nassert loss < 1",
            metadata={"tags": ["nbval-ignore-output", "picture:loss"], "jupyter": COLLAPSED},
            outputs=[new_output("display_data"), picture],
        ),
        new_markdown_cell("*Figure 1: the loss falls from three to one.*\n\n## Summary"),
    ]
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "language_info": {"name": "python"},
    }
    nb = new_notebook(cells=cells, metadata=metadata)
    for count, cell in enumerate(code_cells(nb), 1):
        cell.execution_count = count
    return nb


def strip(nb):
    for cell in code_cells(nb):
        cell.execution_count, cell.outputs = None, []


def swap_counts(nb):
    nb.cells[1].execution_count, nb.cells[2].execution_count = 2, 1


def show(kind):
    def fault(nb):
        nb.cells[2].outputs.append(new_output("display_data", data={kind: "x"}))

    return fault


def output(kind, **fields):
    def fault(nb):
        nb.cells[2].outputs.append(new_output(kind, **fields))

    return fault


def source(index, text):
    def fault(nb):
        nb.cells[index].source = text

    return fault


def jupyter(index, metadata):
    def fault(nb):
        nb.cells[index].metadata.jupyter = metadata

    return fault


def tag(index, *names):
    def fault(nb):
        nb.cells[index].metadata.tags = list(names)

    return fault


FAULTS = {
    "stripped": (strip, executed_in_order),
    "one count missing": (lambda nb: nb.cells[2].update(execution_count=None), executed_in_order),
    "counts swapped": (swap_counts, executed_in_order),
    "stderr": (output("stream", name="stderr", text="UserWarning"), outputs_are_clean),
    "homework with outputs": (output("stream", text="1\n"), is_not_executed),
    "error": (output("error", ename="ValueError", evalue="no", traceback=[]), outputs_are_clean),
    "SVG": (show("image/svg+xml"), outputs_are_clean),
    "GIF": (show("image/gif"), outputs_are_clean),
    "HTML": (show("text/html"), outputs_are_clean),
    "JavaScript": (show("application/javascript"), outputs_are_clean),
    "a widget's random id": (show(WIDGET_VIEW), outputs_are_clean),
    "a path in the source": (source(2, "open('/home/ada/book.txt')"), names_no_place),
    "a Windows path": (source(0, r"# T" + "\n\nIn C:\\Users\\ada."), names_no_place),
    "a path in an output": (output("stream", text="saved to /tmp/x.pt"), names_no_place),
    "an address": (
        output("execute_result", data={"text/plain": "<object at 0x7f3a5c0d2e50>"}),
        names_no_place,
    ),
    "widget state": (lambda nb: nb.metadata.update(widgets={}), metadata_is_clean),
    "execution times": (lambda nb: nb.cells[2].metadata.update(execution={}), metadata_is_clean),
    "another way of folding": (jupyter(1, {"source_hidden": False}), metadata_is_clean),
    "set-up not folded": (lambda nb: nb.cells[1].metadata.pop("jupyter"), set_up_comes_first),
    "another cell folded": (jupyter(2, FOLDED), set_up_comes_first),
    "an answer in sight": (lambda nb: nb.cells[4].metadata.pop("jupyter"), answers_are_collapsed),
    "its first line in sight": (lambda nb: nb.cells[4].outputs.pop(0), answers_are_collapsed),
    "a question later": (source(5, "*Figure.*\n\n**Predict first.**"), answers_are_collapsed),
    "a further answer in sight": (tag(2, "answer"), answers_are_collapsed),
    "a collapsed output": (jupyter(2, COLLAPSED), answers_are_collapsed),
    "nbval-skip": (tag(2, "nbval-skip"), tags_are_known),
    "an unknown tag": (tag(2, "hide"), tags_are_known),
    "a comment to nbval": (source(2, "# NBVAL_IGNORE_OUTPUT\nprint(1)"), tags_are_known),
    "no set-up": (tag(1), set_up_comes_first),
    "a second set-up": (tag(2, "set-up"), set_up_comes_first),
    "ignored, no assert": (source(4, "train()  # assert?"), ignored_outputs_are_asserted),
    "a long cell": (source(2, "x = 1\n" * 21), code_cells_are_short),
    "no prose": (lambda nb: nb.cells.pop(3), prose_stands_before_code),
    "code at the top": (lambda nb: nb.cells.pop(0), prose_stands_before_code),
    "no caption": (source(5, "## Summary"), pictures_are_described),
    "a short caption": (source(5, "*Figure 1: the loss.*"), pictures_are_described),
    "nothing after the picture": (lambda nb: nb.cells.pop(5), pictures_are_described),
    "no alt text": (source(3, "![](images/a.png)"), pictures_are_described),
    "no alt text in HTML": (source(3, '<img src="a.png" alt="">'), pictures_are_described),
}


def test_no_complaint_about_a_sound_notebook(tmp_path):
    nb = sound_notebook()
    assert not [complaint for check in CHECKS for complaint in check(nb)]
    assert not lacks_headings(nb, ["## Summary"])
    nbformat.write(nb, tmp_path / "sound.ipynb")
    assert not list(broken_links(tmp_path / "sound.ipynb"))


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_noticed(fault):
    break_it, check = FAULTS[fault]
    nb = sound_notebook()
    break_it(nb)
    assert list(check(nb))


def test_missing_heading_is_noticed():
    assert lacks_headings(sound_notebook(), ["## Exercises"])


def test_broken_links_are_noticed(tmp_path):
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# A heading, with `code`\n")
    page.write_text("[a](other.md#a-heading-with-code) [b](https://d2l.ai) [c](#here)\n\n# Here\n")
    assert not list(broken_links(page))
    page.write_text("[a](gone.md) [b](other.md#gone) [c](#gone) ![d](gone.png)")
    assert len(list(broken_links(page))) == 4


# --- nbval, as an instructor runs it ------------------------------------------------------------


def nbval(nb, folder, *options, **environment):
    """Run `pytest --nbval` on a notebook in a folder of its own, beside course/conftest.py."""
    folder.mkdir()
    shutil.copy(COURSE / "conftest.py", folder)
    nbformat.write(nb, folder / "copy.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "no:cacheprovider", *options, "."]
    environment = {**os.environ, "D2LMINI_OFFLINE": "1", **environment}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def compared(cell):
    """The stored outputs of a cell that nbval compares: tagged cells and pictures are not."""
    if "nbval-ignore-output" in tags(cell):
        return []
    return [o for o in cell.get("outputs", []) if "text" in o or "text/plain" in o.get("data", {})]


def change_an_output(nb):
    shown = next(output for cell in nb.cells for output in compared(cell))
    if "text" in shown:
        shown.text += "changed"
    else:
        shown.data["text/plain"] += "changed"


def assert_nbval_notices_a_change(nb, tmp_path):
    sound = nbval(nb, tmp_path / "sound")
    assert sound.returncode == 0, sound.stdout
    changed = copy.deepcopy(nb)
    change_an_output(changed)
    failed = nbval(changed, tmp_path / "changed")
    assert failed.returncode == 1 and "Cell outputs differ" in failed.stdout, failed.stdout


def test_nbval_notices_a_change(tmp_path):
    cells = [
        new_code_cell("x = 1", execution_count=1),
        new_code_cell(
            "x + 1",
            execution_count=2,
            outputs=[new_output("execute_result", data={"text/plain": "2"}, execution_count=2)],
        ),
    ]
    # A kernel that nobody has: course/conftest.py must make nbval take the current one.
    kernel = {"name": "no-such-kernel", "display_name": "No such kernel"}
    assert_nbval_notices_a_change(
        new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path
    )


@pytest.mark.long
@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_nbval_finds_figures_where_mplbackend_is_set(options, tmp_path):
    plot = "from matplotlib import pyplot as plt\n_ = plt.plot([1, 2])"
    figure = {"image/png": "iVBO", "text/plain": "<Figure size 640x480 with 1 Axes>"}
    cell = new_code_cell(plot, outputs=[new_output("display_data", data=figure)], execution_count=1)
    result = nbval(new_notebook(cells=[cell]), tmp_path / "it", *options, MPLBACKEND="Agg")
    assert result.returncode == 0, result.stdout
