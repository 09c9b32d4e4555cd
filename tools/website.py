"""Builds the website from what is stored; executes nothing.

    python tools/website.py [FOLDER]      default: site/build

Needs site/requirements.txt. The English pages are gathered in FOLDER/source/en: the lessons,
solutions and homework, the guides, and three pages that are made here: the contents with a picture
of each lesson, the list of solutions, and the reference of the package. The Chinese pages are
gathered in FOLDER/source/zh: what is in course/zh, the contents and the list of solutions. Then
Sphinx, with the settings of site/conf.py, makes HTML of each, in FOLDER/html and FOLDER/html/zh. It
works from that folder, without any network.
"""

import argparse
import base64
import inspect
import io
import os
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import nbformat
from PIL import Image

import course

ROOT = course.ROOT
SITE = ROOT / "site"
HOME = {"en": ROOT, "zh": course.CHINESE}  # a page stands in its tree as its file stands there
AT = {"en": "course/", "zh": ""}  # where the lessons stand in their tree
FOLDER = {"en": "", "zh": "zh/"}  # where the tree stands in the website
PAGES = {  # what is taken as it is
    "en": (
        "course/*.ipynb", "course/images/*.png", "course/solutions/*.ipynb",
        "course/homework/*.ipynb", "course/homework/README.md", "instructors/README.md",
        "instructors/hub/README.md", "CONTRIBUTING.md",
    ),
    "zh": (
        "*.ipynb", "images/*.png", "solutions/*.ipynb", "homework/*.ipynb",
        "homework/README.md", "glossary.md",
    ),
}  # fmt: skip
CONTENTS = {  # instead of these there are the two contents pages
    "README.md": "en", "course/README.md": "en",
    "README.zh-CN.md": "zh", "course/zh/README.md": "zh",
}  # fmt: skip
WORDS = {
    "en": {
        "lessons": "Lessons",
        "more": "More",
        "about": "About",
        "solutions": "Solutions",
        "about solutions": "Worked solutions of the exercises, one notebook for each lesson. "
        "Try first.",
    },
    "zh": {
        "lessons": "课程",
        "more": "更多",
        "solutions": "练习解答",
        "about solutions": "各课练习的解答，每课一个笔记本。先自己试一试。",
    },
}
CAPTION = ("*Figure", "*图：")
LANGUAGE_TAG = {"en": "en", "zh": "zh-CN"}
THUMBNAIL = (480, 270)


# --- facts for every page --------------------------------------------------------------------


def package_version():
    text = (ROOT / "d2lmini" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text)[1]


def commit(language):
    """Which commit the pages are made of, in words; nothing where there is no git."""
    words, date = (
        (", commit %h of %cd", "%-d %B %Y") if language == "en"
        else ("，提交 %h，%cd", "%Y 年 %-m 月 %-d 日")
    )  # fmt: skip
    command = ["git", "log", "-1", f"--format={words}", f"--date=format:{date}"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def slug(heading):
    """A heading's anchor as JupyterLab writes it, so that links in notebooks work here too."""
    return heading.strip().replace(" ", "-")


@cache
def pages_as_they_are(language):
    """The files of the repository that are pages in this language, by their place in its tree."""
    home = HOME[language]
    found = [path for pattern in PAGES[language] for path in sorted(home.glob(pattern))]
    return {path.relative_to(home).as_posix(): path for path in found}


def lead(words, target, page, source, language):
    """A link in Markdown, led to where the website has its target, else to the repository.

    `page` is the place of the page with the link, in the tree `source` of its language.
    """
    name, hash_, anchor = target.partition("#")
    file = os.path.normpath(HOME[language] / Path(page).parent / name)
    place = os.path.relpath(file, ROOT).replace(os.sep, "/")
    top = "../" * (len(Path(page).parts) - 1)
    if CONTENTS.get(place) == language and str(page) != "index.md":
        return f"[{words}]({top}index.md)"
    own = os.path.relpath(file, HOME[language])
    if not own.startswith("..") and (source / own).is_file():
        return f"[{words}]({target})"
    top += "../" * FOLDER[language].count("/")
    for other in {"en", "zh"} - {language}:  # Sphinx does not know the other tree: plain HTML
        at = os.path.relpath(file, HOME[other]).replace(os.sep, "/")
        at = "index.md" if CONTENTS.get(place) == other else at
        if at in pages_as_they_are(other) or at in ("index.md", "reference.md"):
            at = f"{top}{FOLDER[other]}{Path(at).with_suffix('.html').as_posix()}{hash_}{anchor}"
            return f'<a href="{at}" hreflang="{LANGUAGE_TAG[other]}">{words}</a>'
    if place.startswith("..") or not (ROOT / place).exists():
        return f"[{words}]({target})"  # one that leads nowhere is for Sphinx to report
    if not course.repository():
        return words
    kind = "tree" if (ROOT / place).is_dir() else "blob"
    return f"[{words}](https://github.com/{course.repository()}/{kind}/main/{place}{hash_}{anchor})"


def counterpart(language, page):
    """The same page in the other language, else its contents.

    `page` is a page's place in its tree, without suffix; the result is a file of the website.
    """
    both = {"index": "index", "search": "search", "course/solutions/index": "solutions/index"}
    for name in pages_as_they_are("zh"):
        if f"course/{name}" in pages_as_they_are("en"):
            name = os.path.splitext(name)[0]
            both[f"course/{name}"] = name
    if language == "zh":
        return {zh: en for en, zh in both.items()}.get(page, "index") + ".html"
    return f"zh/{both.get(page, 'index')}.html"


# --- the pages -------------------------------------------------------------------------------


def gather(source, language):
    """Lay out everything that is to become a page in `source`; touch only what has changed."""
    kept = set()

    def put(name, content):
        kept.add(source / name)
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        course.write(source / name, content)

    at = AT[language]
    for name, path in pages_as_they_are(language).items():
        put(name, path.read_bytes())
    notebooks = {
        name: nbformat.read(path, as_version=4)
        for name, path in pages_as_they_are(language).items()
        if path.suffix == ".ipynb"
    }
    lessons = {name: nb for name, nb in notebooks.items() if "/" not in name.removeprefix(at)}
    put("index.md", contents_page(lessons, language).encode())
    for name, nb in lessons.items():
        put(f"thumbnails/{Path(name).stem}.png", thumbnail(nb)[0])
    solved = [name for name in notebooks if name.startswith(f"{at}solutions/")]
    put(f"{at}solutions/index.md", solutions_page(solved, lessons, language).encode())
    readme = f"{at}homework/README.md"
    put(readme, (source / readme).read_bytes() + tree("", "[0-9]*").encode())
    if language == "en":
        put("reference.md", reference_page(lessons).encode())
    for path in source.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def tree(caption, *entries):
    """A part of the sidebar."""
    caption = f":caption: {caption}\n" if caption else ""
    return "\n\n".join(
        ["", f"```{{toctree}}\n:hidden:\n:glob:\n{caption}", "\n".join(entries), "```", ""]
    )


def contents_page(lessons, language):
    cards = []
    for name, nb in lessons.items():
        about = course.promise(HOME[language] / name, nb)
        link = f"[{course.label(HOME[language] / name, nb)}]({name})"
        picture = f"![{thumbnail(nb)[1]}](thumbnails/{Path(name).stem}.png)"
        cards.append(f":::{{container}} lesson-card\n{picture}\n\n{link}\n\n{about}\n:::")
    page = (SITE / ("index.md" if language == "en" else "index.zh.md")).read_text(encoding="utf-8")
    page = page.replace(
        "<!-- lessons -->", "::::{container} lesson-cards\n" + "\n".join(cards) + "\n::::"
    )
    words = WORDS[language]
    page += tree(words["lessons"], *(os.path.splitext(name)[0] for name in lessons))
    if language == "zh":
        return page + tree(words["more"], "solutions/index", "homework/README", "glossary")
    page += tree(words["more"], "course/solutions/index", "course/homework/README", "reference")
    return page + tree(
        words["about"], "instructors/README", "instructors/hub/README", "CONTRIBUTING"
    )


def thumbnail(nb):
    """The picture that a lesson is known by, else its first, small, and what it shows in words."""
    figures = [
        (cell, output.data["image/png"], following.source)
        for cell, following in zip(nb.cells, nb.cells[1:])
        if cell.cell_type == "code" and following.source.startswith(CAPTION)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    figures.sort(key=lambda figure: not any("picture:" in tag for tag in course.tags(figure[0])))
    if not figures:
        course.stop(course.COURSE / "README.md", f"{nb.cells[0].source[:40]!r} has no figure")
    _, image, caption = figures[0]
    whole = Image.open(io.BytesIO(base64.b64decode(image))).convert("RGB")
    whole.thumbnail((THUMBNAIL[0] - 24, THUMBNAIL[1] - 24), Image.Resampling.LANCZOS)
    picture = Image.new("RGB", THUMBNAIL, "white")
    picture.paste(whole, tuple((a - b) // 2 for a, b in zip(THUMBNAIL, whole.size)))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    first_sentence = re.match(r".{30,}?\.(?= |$)|.{12,}?。|.*", in_plain_words(caption))
    return file.getvalue(), first_sentence[0]


def in_plain_words(caption):
    """A figure's caption as alt text: its first paragraph, without marks of Markdown and TeX."""
    paragraph = " ".join(caption.partition("\n\n")[0].split()).strip("*")
    paragraph = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub("^(Figure: |图：)", "", paragraph))
    paragraph = re.sub(r"\\(?:mathbf|mathrm|text|tilde)\b", "", paragraph)
    return re.sub(r"[*`${}\\]", "", paragraph)


def solutions_page(solved, lessons, language):
    labels = {
        Path(name).stem: course.label(HOME[language] / name, nb) for name, nb in lessons.items()
    }
    names = [Path(name).stem for name in solved]
    rows = [f"- [{labels[name]}]({name}.ipynb)" for name in names]
    entries = [f"{labels[name]} <{name}>" for name in names]
    words = WORDS[language]
    top = [f"# {words['solutions']}", "", words["about solutions"], ""]
    return "\n".join([*top, *rows, tree("", *entries)])


# --- the reference ---------------------------------------------------------------------------


def reference_page(lessons):
    """Every public name of the package, with its signature and its docstring, by module."""
    sys.path.insert(0, str(ROOT))
    import d2lmini

    # The lines of __init__.py that import, in its order; then the names that it imports late.
    text = (ROOT / "d2lmini" / "__init__.py").read_text(encoding="utf-8")
    groups = {}
    for module, names in re.findall(r"(?m)^from (\.\w+) import (\([^)]*\)|.*)$", text):
        groups[module] = re.findall(r"\w+", names)
    groups[".sliders"] = ["try_it"]
    used = {
        name: " ".join(cell.source for cell in course.code_cells(nb))
        for name, nb in lessons.items()
    }
    parts = [(SITE / "reference.md").read_text(encoding="utf-8").strip()]
    for module, names in sorted(groups.items()):
        about = inspect.getdoc(import_module(f"d2lmini{module}")) or ""
        parts.append(f"## {module[1:]}\n\n{about.partition(chr(10) + chr(10))[0]}")
        for name in sorted(names, key=str.lower):
            where = [at for at, code in used.items() if re.search(rf"\bd2l\.{name}\b", code)]
            parts += describe(name, getattr(d2lmini, name), where)
    return "\n\n".join(parts) + "\n"


def describe(name, thing, lessons):
    parts = [f"### {name}"]
    if callable(thing):
        parts += [signature(f"d2l.{name}", thing), *docstring(thing)]
    else:
        parts.append(f"```python\nd2l.{name} = {thing!r}\n```")
    if inspect.isclass(thing):
        for method, function in vars(thing).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                parts.append(signature(f"{name}.{method}", function))
                parts += docstring(function)
    if lessons:
        links = ", ".join(f"[{Path(lesson).name[:2]}]({lesson})" for lesson in lessons)
        parts.append(f"{{.used-in}}\nIn lesson {links}." if len(lessons) == 1
                     else f"{{.used-in}}\nIn lessons {links}.")  # fmt: skip
    return parts


def signature(name, thing):
    """A call, on one line where it fits, else with an argument on each line."""
    arguments, last = [], None
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and last not in (
            parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL
        ):  # fmt: skip
            arguments.append("*")
        arguments.append(str(parameter))
        last = parameter.kind
    text = f"{name}({', '.join(arguments)})"
    if len(text) > 88:
        text = f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"
    return f"```python\n{text}\n```"


def docstring(thing):
    """The docstring in Markdown: the lines `name: what it is` of arguments become a list."""
    text = inspect.getdoc(thing) if not inspect.isclass(thing) else thing.__doc__
    names = set(inspect.signature(thing).parameters) - {"self"}
    parts = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        lines = []
        for line in paragraph.split("\n"):
            said = re.match(r"([\w, *]+): (.*)", line)
            if said and set(re.findall(r"\w+", said[1])) <= names:
                start = "" if lines and lines[-1].startswith(("-", "  ")) else "\n"
                words = re.sub(r"\w+", lambda match: f"`{match[0]}`", said[1])
                lines.append(f"{start}- {words}: {said[2]}")
            elif lines and lines[-1].lstrip("\n").startswith(("- ", "  ")):
                lines.append(f"  {line}")
            else:
                lines.append(line)
        parts.append("\n".join(lines))
    return parts


# --- the command -----------------------------------------------------------------------------


def build(folder):
    running = []
    for language in PAGES:  # the two at the same time
        source = folder / "source" / language
        gather(source, language)
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E"]
        command += ["-t", language, "-c", SITE, "-d", folder / "doctrees" / language]
        running.append(subprocess.Popen([*command, source, folder / "html" / FOLDER[language]]))
    if any([process.wait() for process in running]):
        raise SystemExit(1)
    print(f"The website: {folder / 'html' / 'index.html'}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SITE / "build")
    build(parser.parse_args().folder.resolve())


if __name__ == "__main__":
    main()
