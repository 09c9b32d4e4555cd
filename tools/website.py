"""Builds the website from what is stored; executes nothing.

    python tools/website.py [FOLDER]      default: site/build

Needs site/requirements.txt. The pages are gathered in FOLDER/source: the lessons, solutions and
homework, the guides, and three pages that are made here: the contents with a picture of each
lesson, the list of solutions, and the reference of the package. Then Sphinx, with the settings of
site/conf.py, makes HTML of them, in FOLDER/html. It works from that folder, without any network.
"""

import argparse
import base64
import inspect
import io
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

from PIL import Image

import course

ROOT = course.ROOT
SITE = ROOT / "site"
PAGES = (  # what is taken as it is
    "course/*.ipynb", "course/images/*.png", "course/solutions/*.ipynb", "course/homework/*.ipynb",
    "instructors/README.md", "CONTRIBUTING.md",
)  # fmt: skip
CONTENTS = ("README.md", "course/README.md")  # instead of these there is the contents page
THUMBNAIL = (480, 270)


# --- facts for every page --------------------------------------------------------------------


def package_version():
    text = (ROOT / "d2lmini" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'__version__ = "(.+)"', text)[1]


def commit():
    """Which commit the pages are made of, in words; nothing where there is no git."""
    command = ["git", "log", "-1", "--format=%h of %cd", "--date=format:%-d %B %Y"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f", commit {done.stdout.strip()}"


def slug(heading):
    """A heading's anchor as JupyterLab writes it, so that links in notebooks work here too."""
    return heading.strip().replace(" ", "-")


def repository_link(words, target, page, source):
    """A link of `page` in Markdown, led to the repository where it leaves the website."""
    name, hash_, anchor = target.partition("#")
    place = os.path.normpath(Path(page).parent / name).replace(os.sep, "/")
    if place in CONTENTS:
        return f"[{words}]({'../' * (len(Path(page).parts) - 1)}index.md)"
    if (source / place).is_file() or place.startswith(".."):
        return f"[{words}]({target})"  # one that leads nowhere is for Sphinx to report
    if not (ROOT / place).exists():
        return f"[{words}]({target})"
    if not course.repository():
        return words
    kind = "tree" if (ROOT / place).is_dir() else "blob"
    return f"[{words}](https://github.com/{course.repository()}/{kind}/main/{place}{hash_}{anchor})"


# --- the pages -------------------------------------------------------------------------------


def gather(source):
    """Lay out everything that is to become a page in `source`; touch only what has changed."""
    kept = set()

    def put(name, content):
        kept.add(source / name)
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        course.write(source / name, content)

    for pattern in PAGES:
        for path in sorted(ROOT.glob(pattern)):
            put(path.relative_to(ROOT).as_posix(), path.read_bytes())
    notebooks = {
        path: nb for path, nb in course.read_notebooks().items() if course.COURSE in path.parents
    }
    lessons = {path: nb for path, nb in notebooks.items() if path.parent == course.COURSE}
    put("index.md", contents_page(lessons).encode())
    for path, nb in lessons.items():
        put(f"thumbnails/{path.stem}.png", thumbnail(nb)[0])
    put("course/solutions/index.md", solutions_page(lessons, notebooks).encode())
    put("reference.md", reference_page(lessons).encode())
    homework = (course.HOMEWORK / "README.md").read_text(encoding="utf-8")
    put("course/homework/README.md", (homework + tree("", "[0-9]*")).encode())
    for path in source.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()


def tree(caption, *entries):
    """A part of the sidebar."""
    caption = f":caption: {caption}\n" if caption else ""
    return "\n\n".join(
        ["", f"```{{toctree}}\n:hidden:\n:glob:\n{caption}", "\n".join(entries), "```", ""]
    )


def contents_page(lessons):
    cards = []
    for path, nb in lessons.items():
        name = path.relative_to(ROOT).as_posix()
        about = course.promise(path, nb)
        link = f"[{course.label(path, nb)}]({name})"
        picture = f"![{thumbnail(nb)[1]}](thumbnails/{path.stem}.png)"
        cards.append(f":::{{container}} lesson-card\n{picture}\n\n{link}\n\n{about}\n:::")
    page = (SITE / "index.md").read_text(encoding="utf-8")
    page = page.replace(
        "<!-- lessons -->", "::::{container} lesson-cards\n" + "\n".join(cards) + "\n::::"
    )
    names = [path.relative_to(ROOT).with_suffix("").as_posix() for path in lessons]
    more = ("course/solutions/index", "course/homework/README", "reference")
    page += tree("Lessons", *names) + tree("More", *more)
    return page + tree("About", "instructors/README", "CONTRIBUTING")


def thumbnail(nb):
    """The picture that a lesson is known by, else its first, small, and what it shows in words."""
    figures = [
        (cell, output.data["image/png"], following.source)
        for cell, following in zip(nb.cells, nb.cells[1:])
        if cell.cell_type == "code" and following.source.startswith("*Figure")
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
    words = re.match(r".{30,}?\.(?= |$)|.*", in_plain_words(caption))  # its first sentence
    return file.getvalue(), words[0]


def in_plain_words(caption):
    """A figure's caption as alt text: its first paragraph, without marks of Markdown and TeX."""
    paragraph = " ".join(caption.partition("\n\n")[0].split()).strip("*")
    paragraph = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", paragraph.removeprefix("Figure: "))
    paragraph = re.sub(r"\\(?:mathbf|mathrm|text|tilde)\b", "", paragraph)
    return re.sub(r"[*`${}\\]", "", paragraph)


def solutions_page(lessons, notebooks):
    solved = {
        path: course.label(path, lessons[course.COURSE / path.name])
        for path in notebooks
        if path.parent == course.COURSE / "solutions" and course.COURSE / path.name in lessons
    }
    text = "Worked solutions of the exercises, one notebook for each lesson. Try first."
    rows = [f"- [{label}]({path.name})" for path, label in solved.items()]
    entries = [f"{label} <{path.stem}>" for path, label in solved.items()]
    return "\n".join(["# Solutions", "", text, "", *rows, tree("", *entries)])


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
    used = {path: " ".join(cell.source for cell in course.code_cells(nb))
            for path, nb in lessons.items()}  # fmt: skip
    parts = [(SITE / "reference.md").read_text(encoding="utf-8").strip()]
    for module, names in sorted(groups.items()):
        about = inspect.getdoc(import_module(f"d2lmini{module}")) or ""
        parts.append(f"## {module[1:]}\n\n{about.partition(chr(10) + chr(10))[0]}")
        for name in sorted(names, key=str.lower):
            where = [path for path, code in used.items() if re.search(rf"\bd2l\.{name}\b", code)]
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
        links = ", ".join(f"[{p.name[:2]}]({p.relative_to(ROOT).as_posix()})" for p in lessons)
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
    source = folder / "source"
    gather(source)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-j", "2"]
    command += ["-c", SITE, "-d", folder / "doctrees", source, folder / "html"]
    done = subprocess.run(command)
    if done.returncode:
        raise SystemExit(done.returncode)
    print(f"The website: {folder / 'html' / 'index.html'}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=SITE / "build")
    build(parser.parse_args().folder.resolve())


if __name__ == "__main__":
    main()
