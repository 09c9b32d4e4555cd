"""Whether a translated notebook still says what its original says. `tools/course.py` uses it.

Each cell of a translation carries the hash of the cell that it translates, in its metadata. So a
cell whose original has changed, is new or is gone is known by itself, wherever it stands. Code is
not translated but for comments and docstrings, and outputs are copies: nothing is executed twice.
"""

import ast
import difflib
import hashlib
import json
import re
import subprocess
from itertools import zip_longest

import nbformat

HASH = "translates"  # in a cell's metadata: the English cell that it translates
NEXT = "translates_next"  # the English cell below the mark DUE, until that is translated
DUE = "<!-- to translate; in English: -->"
BLOCK = r"(?ms)^```.*?^```"  # of code, in Markdown
GENERATED = r"\s*<!-- navigation -->\s*.*"  # a line that course.py writes
PUBLISHED = r"(<!-- published -->\n)(?:\n\[.*\n)?"  # and a line of links in a published copy
SET_UP = "# 准备：已经装好 d2lmini 时什么也不做；在别处（例如 Colab）会安装它。"
# One line more in the set-up cell of the Chinese homework. Nothing else of the code differs.
IN_CHINESE = """

import os

os.environ["D2LMINI_LANGUAGE"] = "zh"  # d2l.check 用中文回答"""


def is_set_up(cell):
    return "set-up" in cell.metadata.get("tags", [])


def own_text(cell):
    """What a person wrote in a cell: nothing of the parts that course.py generates."""
    if is_set_up(cell):
        return ""
    return re.sub(GENERATED, "", cell.source)


def digest(cell):
    return hashlib.sha256(f"{cell.cell_type}\n{own_text(cell)}".encode()).hexdigest()[:12]


def steps(original, translation):
    """Pairs (cell of the original, its translation), in order; None where there is no other."""
    wanted = [digest(cell) for cell in original.cells]
    found = [cell.metadata.get(NEXT, cell.metadata.get(HASH)) for cell in translation.cells]
    matcher = difflib.SequenceMatcher(None, found, wanted, autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        yield from zip_longest(original.cells[c:d], translation.cells[a:b])


def in_step(cell, translated):
    """Whether a cell is the translation of this one."""
    return bool(cell and translated) and translates(translated) == digest(cell)


def translates(translated):
    """The hash of the English cell that a text translates; nothing where it is not translated."""
    before = translated.metadata.get(HASH, "")
    return before if DUE in translated.source else translated.metadata.get(NEXT, before)


def bring_in_step(path, original, translation):
    """The translation with the original's cells, code, outputs and metadata.

    A Markdown cell that is new or has changed keeps its text, and gets the English one below a
    mark. It is translated when the mark and all below it are gone.
    """
    cells = []
    for cell, translated in steps(original, translation):
        if not cell:
            continue
        new = nbformat.from_dict(cell)
        new.metadata[HASH] = digest(cell)
        if is_set_up(cell):
            new.source = set_up(path, cell)
        elif in_step(cell, translated):
            new.source = translated.source
        elif cell.cell_type == "markdown":
            old = translated if translated and translated.cell_type == "markdown" else {}
            text = re.sub(GENERATED, "", old.get("source", "")).partition(DUE)[0].strip()
            new.source = f"{text}\n\n{DUE}\n\n{own_text(cell)}".strip()
            new.metadata[HASH] = translates(old) if old else ""
            new.metadata[NEXT] = digest(cell)
        cells.append(new)
    return nbformat.v4.new_notebook(cells=cells, metadata=original.metadata)


def set_up(path, cell):
    """The text of a set-up cell in Chinese, whose first line stays in view when it is folded."""
    source = re.sub(r"\A#.*", SET_UP, cell.source)
    return source + IN_CHINESE * (path.parent.name == "homework")


# --- what is wrong -----------------------------------------------------------------------------


def faults(path, original, translation, glossary):
    """A sentence for everything that is wrong with a translation of the notebook at `path`."""
    for number, (cell, translated) in enumerate(steps(original, translation)):
        place = f"cell {number} ({(cell or translated).cell_type})"
        now = f"now:\n{own_text(cell)}" if cell else "now there is none."
        if in_step(cell, translated):
            for fault in faults_of_cell(path, cell, translated, glossary):
                yield f"{place}: {fault}"
        elif translated and translates(translated):
            before = earlier_text(path, translates(translated))
            what = "has changed" if cell else "is gone"
            yield f"{place}: the English cell {what}.\nbefore:\n{before}\n{now}"
        elif cell:
            yield f"{place}: it is not translated yet.\n{now}"
        else:
            yield f"{place}: it translates nothing:\n{translated.source}"


def earlier_text(path, wanted):
    """The cell with this hash, from the newest commit in which the notebook had it."""
    git = ["git", "-C", str(path.parent)]
    commits = subprocess.run(
        [*git, "log", "--format=%H", "--", path.name], capture_output=True, text=True
    )
    for commit in commits.stdout.split():
        shown = subprocess.run([*git, "show", f"{commit}:./{path.name}"], capture_output=True)
        if shown.returncode:
            continue  # this commit deleted it
        for cell in nbformat.reads(shown.stdout.decode(), as_version=4).cells:
            if digest(cell) == wanted:
                return own_text(cell)
    return "(this copy's history does not have it)"


def faults_of_cell(path, cell, translated, glossary):
    if plain_metadata(cell) != plain_metadata(translated):
        yield "its tags or other metadata differ"
    if cell.cell_type != translated.cell_type:
        yield "Markdown is code, or code is Markdown"
    elif cell.cell_type == "code":
        if json.dumps(cell.outputs) != json.dumps(translated.outputs):
            yield "its outputs are not those of the English cell"
        if is_set_up(cell):
            wanted, found = set_up(path, cell), translated.source
        else:
            wanted, found = code_of(cell.source), code_of(translated.source)
        if wanted != found:
            yield f"its code differs:\n{first_difference(wanted, found)}"
    else:
        yield from faults_of_text(own_text(cell), own_text(translated), glossary)


def plain_metadata(cell):
    return {key: value for key, value in cell.metadata.items() if key not in (HASH, NEXT)}


def code_of(source):
    """The code as its syntax tree says it: without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body[0].value.value = ""
    return ast.unparse(tree)


def first_difference(original, translated):
    pairs = zip_longest(original.splitlines(), translated.splitlines(), fillvalue="(nothing)")
    return next(f"  {a.strip()}\n  {b.strip()}" for a, b in pairs if a != b)


def faults_of_text(original, translated, glossary):
    for kind, find in (
        ("headings", headings), ("formulas", formulas), ("code", code_spans), ("links", links)
    ):  # fmt: skip
        wanted, found = find(original), find(translated)
        if wanted != found:
            lost = [part for part in wanted if wanted.count(part) > found.count(part)]
            more = [part for part in found if found.count(part) > wanted.count(part)]
            yield f"the {kind} differ: {lost or 'nothing'} in English, {more or 'nothing'} here"
    for words in dead_stars(translated):
        yield f"the stars are shown, not bold or slanted: {words!r} (no punctuation beside them)"
    yield from terms_off_the_glossary(original, translated, glossary)


def without_code(text):
    """Text without code and formulas; a letter stands for each, between the marks."""
    text = re.sub(r"(`+).*?\1", "`c`", re.sub(BLOCK, "", text))
    return re.sub(r"(?s)\$\$.*?\$\$|\$[^$\n]+\$", "$f$", text)


def headings(text):
    return re.findall(r"(?m)^#+(?= )", re.sub(BLOCK, "", text))


def formulas(text):
    text = re.sub(r"(`+).*?\1", "", re.sub(BLOCK, "", text))
    found = re.findall(r"(?s)\$\$.*?\$\$|\$[^$\n]+\$", text)
    return sorted(re.sub(r"\\text\{[^}]*\}", r"\\text{}", " ".join(one.split())) for one in found)


def code_spans(text):
    """Code in a sentence, and blocks of it, but for a block's comments."""
    blocks = [re.sub(r"(?m)\s*#.*$", "", block) for block in re.findall(BLOCK, text)]
    spans = re.findall(r"(`+)(.*?)\1", re.sub(BLOCK, "", text))
    return sorted([*blocks, *(span for _, span in spans)])


def links(text):
    """Where the links lead, without the headings, which have other names."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    return sorted(re.sub(r"#.+", "#", target) for target in found)


def dead_stars(text):
    """Stars that CommonMark does not take as the beginning or end of bold or slanted words.

    Between Chinese letters, that is where punctuation stands at their inner side.
    """
    text = re.sub(r"(?m)^\s*\* ", "", without_code(text))
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-|])", text):
        for star in (r"\*\*", r"(?<!\*)\*(?!\*)"):
            for number, mark in enumerate(re.finditer(star, paragraph)):
                before = paragraph[mark.start() - 1 : mark.start()] or " "
                after = paragraph[mark.end() : mark.end() + 1] or " "
                inner, outer = (before, after) if number % 2 else (after, before)
                dead = inner.isspace() or (re.match(r"[^\w\s*]", inner) and re.match(r"\w", outer))
                if dead:
                    yield paragraph[max(0, mark.start() - 12) : mark.end() + 12]
            paragraph = re.sub(r"\*\*", "", paragraph)


# --- the glossary ------------------------------------------------------------------------------


def read_glossary(path):
    """{English term: (Chinese term, [words that are not used for it])} from a table in Markdown."""
    rows = re.findall(r"(?m)^\| (.+?) \| (.+?) \|(.*)\|$", path.read_text(encoding="utf-8"))[1:]
    english = [row[0].lower() for row in rows]
    chinese = [row[1] for row in rows]
    for name, column in (("English", english), ("Chinese", chinese)):
        twice = sorted({term for term in column if column.count(term) > 1})
        if twice:
            raise ValueError(f"{path.name} has a term twice in the column {name}: {twice}")
    return {row[0]: (row[1], row[2].strip().split("、") if row[2].strip() else []) for row in rows}


def terms_off_the_glossary(original, translated, glossary):
    original, translated = without_code(original), without_code(translated)
    for term, (chinese, avoided) in glossary.items():
        said = re.search(rf"(?i)(?<![\w-]){re.escape(term)}(?:s|es)?(?![\w-])", original)
        if said and chinese not in translated:
            yield f"{said[0]!r} is {chinese} in the glossary, and {chinese} is not in the text"
        for word in avoided:
            if word in translated.replace(chinese, ""):
                yield f"the glossary has {chinese}, not {word}"


# --- pages of Markdown ---------------------------------------------------------------------------


def faults_of_page(page, translated):
    """What is wrong with the translation of a page, whose last line names what it translates."""
    text = re.sub(r"(?s)<!-- lessons -->.*<!-- end of lessons -->", "", page)
    text = re.sub(PUBLISHED, r"\1", text)
    mark = f"<!-- translates {hashlib.sha256(text.encode()).hexdigest()[:12]} -->"
    if mark not in translated:
        yield f"the English page has changed: when this one says the same, end it with {mark}"
    blocks, found = (re.findall(BLOCK, text) for text in (page, translated))
    if blocks != [block.replace("course/zh/", "course/") for block in found]:
        yield "the blocks of code differ"
    for words in dead_stars(translated):
        yield f"the stars are shown, not bold or slanted: {words!r} (no punctuation beside them)"
