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

HASH = "translates"  # in a cell's metadata
DUE = "<!-- to translate; in English: -->"  # in a cell, before the text of which nothing is done
GENERATED = r"\s*<!-- navigation -->\s*.*"  # a line that course.py writes
CHINESE = r"[\u4e00-\u9fff]"


def own_text(cell):
    """What a person wrote in a cell: nothing of the parts that course.py generates."""
    if "set-up" in cell.metadata.get("tags", []):
        return ""
    return re.sub(GENERATED, "", cell.source)


def digest(cell):
    return hashlib.sha256(f"{cell.cell_type}\n{own_text(cell)}".encode()).hexdigest()[:12]


def steps(original, translation):
    """Pairs (cell of the original, its translation), in order; None where there is no other."""
    wanted = [digest(cell) for cell in original.cells]
    found = [cell.metadata.get(HASH) for cell in translation.cells]
    matcher = difflib.SequenceMatcher(None, found, wanted, autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        yield from zip_longest(original.cells[c:d], translation.cells[a:b])


def in_step(cell, translated):
    return bool(cell and translated) and translated.metadata.get(HASH) == digest(cell)


def bring_in_step(original, translation):
    """The translation with the original's cells, code, outputs and metadata.

    A Markdown cell that is new or has changed gets the English text, below a mark.
    """
    cells = []
    for cell, translated in steps(original, translation):
        if not cell:
            continue
        new = nbformat.from_dict(cell)
        new.metadata[HASH] = digest(cell)
        if in_step(cell, translated):
            new.source = translated.source
        elif cell.cell_type == "markdown":
            old = translated.source if translated and translated.cell_type == "markdown" else ""
            old = re.sub(GENERATED, "", old).partition(DUE)[0].strip()
            new.source = f"{old}\n\n{DUE}\n\n{own_text(cell)}".strip()
        cells.append(new)
    return nbformat.v4.new_notebook(cells=cells, metadata=original.metadata)


# --- what is wrong -----------------------------------------------------------------------------


def faults(path, original, translation, glossary):
    """A sentence for everything that is wrong with a translation of the notebook at `path`."""
    for number, (cell, translated) in enumerate(steps(original, translation)):
        if in_step(cell, translated):
            for fault in faults_of_cell(cell, translated, glossary):
                yield f"{place(number, cell)}: {fault}"
        elif cell and translated:
            before = earlier_text(path, translated.metadata.get(HASH))
            yield (
                f"{place(number, cell)}: the English cell has changed.\n"
                f"before:\n{before}\nnow:\n{own_text(cell)}"
            )
        elif cell:
            yield f"{place(number, cell)}: it is missing from the translation:\n{own_text(cell)}"
        else:
            before = earlier_text(path, translated.metadata.get(HASH))
            yield (
                f"{place(number, translated)}: it translates no cell that there is.\n"
                f"before:\n{before}\nits text:\n{translated.source}"
            )


def place(number, cell):
    return f"cell {number} ({cell.cell_type})"


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


def faults_of_cell(cell, translated, glossary):
    if plain_metadata(cell) != plain_metadata(translated):
        yield "its tags or other metadata differ"
    if cell.cell_type != translated.cell_type:
        yield "Markdown is code, or code is Markdown"
    elif cell.cell_type == "code":
        if json.dumps(cell.outputs) != json.dumps(translated.outputs):
            yield "its outputs are not those of the English cell"
        if code_of(cell) != code_of(translated):
            yield f"its code differs:\n{first_difference(code_of(cell), code_of(translated))}"
    else:
        yield from faults_of_text(own_text(cell), own_text(translated), glossary)


def plain_metadata(cell):
    return {key: value for key, value in cell.metadata.items() if key != HASH}


def code_of(cell):
    """The code as its syntax tree says it: without comments and docstrings."""
    tree = ast.parse(cell.source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node):
            node.body[0].value.value = ""
    return ast.unparse(tree)


def first_difference(original, translated):
    pairs = zip_longest(original.splitlines(), translated.splitlines(), fillvalue="(nothing)")
    return next(f"  {a.strip()}\n  {b.strip()}" for a, b in pairs if a != b)


def faults_of_text(original, translated, glossary):
    if DUE in translated:
        yield f"not translated yet:\n{translated.partition(DUE)[2].strip()}"
        return
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
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    text = re.sub(r"(`+).*?\1", "`c`", text)
    return re.sub(r"(?s)\$\$.*?\$\$|\$[^$\n]+\$", "$f$", text)


def headings(text):
    return re.findall(r"(?m)^#+(?= )", re.sub(r"(?ms)^```.*?^```", "", text))


def formulas(text):
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    text = re.sub(r"(`+).*?\1", "", text)
    found = re.findall(r"(?s)\$\$.*?\$\$|\$[^$\n]+\$", text)
    return sorted(re.sub(r"\\text\{[^}]*\}", r"\\text{}", " ".join(one.split())) for one in found)


def code_spans(text):
    """Code in a sentence, and blocks of it, but for a block's comments."""
    blocks = re.findall(r"(?ms)^```.*?^```", text)
    blocks = [re.sub(r"(?m)\s*#.*$", "", block) for block in blocks]
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    return sorted([*blocks, *(one[1] for one in re.findall(r"(`+)(.*?)\1", text))])


def links(text):
    """Where the links lead: the same page, and as many of its headings."""
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
                dead = inner.isspace() or (
                    re.match(r"[^\w\s*]", inner) and re.match(r"\w", outer)
                )
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
