"""How Sphinx makes the website; `python tools/website.py` gathers the pages and calls it.

The pages are the files of the repository as they are. What the website shows in another way is
changed here, on the way in, so that the button "download" still gives the stored notebook.
The tag zh (`sphinx -t zh`) makes the Chinese pages, which stand in the folder zh of the website.
"""

import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile

SITE = Path(__file__).resolve().parent
ROOT = SITE.parent
sys.path.insert(0, str(ROOT / "tools"))

import website  # noqa: E402
from docutils import nodes  # noqa: E402
from sphinx.search import SearchLanguage  # noqa: E402

import course  # noqa: E402

LANGUAGE = "zh" if tags.has("zh") else "en"  # noqa: F821 (Sphinx puts `tags` here)
WORDS = {
    "en": {
        "show answer": "Show the answer",
        "hide answer": "Hide the answer",
        "show set-up": "Show the set-up cell",
        "hide set-up": "Hide the set-up cell",
        "search": "Search the course",
    },
    "zh": {
        "show answer": "显示答案",
        "hide answer": "隐藏答案",
        "show set-up": "显示准备单元格",
        "hide set-up": "隐藏准备单元格",
        "search": "搜索课程",
    },
}[LANGUAGE]

project = "d2lmini"
author = "the d2lmini authors"
language = {"en": "en", "zh": "zh_CN"}[LANGUAGE]
smartquotes = False
version = release = website.package_version()
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.mathjax"]
root_doc = "index"

# --- notebooks and Markdown ------------------------------------------------------------------

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = WORDS["show set-up"]
nb_code_prompt_hide = WORDS["hide set-up"]
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_dmath_allow_labels = False
myst_heading_anchors = 4
myst_heading_slug_func = "website.slug"
myst_links_external_new_tab = False

# --- the look --------------------------------------------------------------------------------

html_context = {"default_mode": "auto"}
templates_path = ["templates"]
html_theme = "sphinx_book_theme"
html_title = "d2lmini"
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["course.css"]
html_js_files = ["words.js", "course.js", "runs.js"]
html_copy_source = True
html_sourcelink_suffix = ""
html_domain_indices = html_use_index = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "navbar_persistent": [],  # the search button stands in the sidebar and in the article's header
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navigation_with_keys": False,
    "primary_sidebar_end": [],
    "article_header_end": ["language.html", "article-header-buttons.html"],
    "search_bar_text": WORDS["search"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "extra_footer": f"<p>d2lmini {release}{website.commit(LANGUAGE)}</p>",
}
if course.repository():
    html_theme_options |= {
        "repository_url": f"https://github.com/{course.repository()}",
        "repository_branch": "main",
        "path_to_docs": website.HOME[LANGUAGE].relative_to(ROOT).as_posix().strip("."),
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }

# Formulas by our own copy of MathJax: one file, from a package, nothing from another host. The
# Chinese pages take it from the English ones.
mathjax_path = {"en": "mathjax.js", "zh": "../../_static/mathjax.js"}[LANGUAGE]
mathjax3_config = {"options": {"enableMenu": False}}


# --- on the way in ---------------------------------------------------------------------------


def read_source(app, docname, content):
    path = Path(app.env.doc2path(docname)).relative_to(app.srcdir)
    if path.suffix == ".ipynb":
        if (SITE / "runs" / f"{path.stem}.json").exists():
            app.env.note_dependency(str(SITE / "runs" / f"{path.stem}.json"))
        nb = notebook_for_reading(json.loads(content[0]), path, app.srcdir)
        content[0] = json.dumps(nb)
    else:
        content[0] = repository_links(content[0], path, app.srcdir)


def notebook_for_reading(nb, path, source):
    cells = nb["cells"]
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if cell["cell_type"] == "markdown":
            cell["source"] = repository_links(without_navigation(cell["source"]), path, source)
        elif cell["cell_type"] == "code":
            code_for_reading(cell, following)
    runs = SITE / "runs" / f"{path.stem}.json"
    if path.parent.name in ("course", "") and runs.exists():
        show_runs(cells, json.loads(runs.read_text(encoding="utf-8")))
    number = re.match(r"# ", cells[0]["source"]) and re.match(r"\d\d(?=_)", path.name)
    if number and path.parent.name != "solutions":
        cells[0]["source"] = f"# {number[0]} {cells[0]['source'][2:]}"
    return nb


def without_navigation(text):
    return re.sub(rf"\s*{course.NAVIGATION}\s*.*", "", text)


def code_for_reading(cell, following):
    metadata = cell["metadata"]
    tags = metadata.setdefault("tags", [])
    cell["outputs"] = [output for output in cell["outputs"] if output.get("data") != {}]
    jupyter = metadata.get("jupyter", {})
    if jupyter.get("source_hidden"):
        tags.append("hide-input")
    if jupyter.get("outputs_hidden"):
        tags.append("hide-output")
        metadata["mystnb"] = {
            "code_prompt_show": WORDS["show answer"],
            "code_prompt_hide": WORDS["hide answer"],
        }
    caption = following and following["cell_type"] == "markdown" and following["source"]
    if caption and caption.startswith(website.CAPTION):
        metadata.setdefault("mystnb", {})["image"] = {"alt": website.in_plain_words(caption)}
        following["source"] = "{.about-figure}\n" + caption


def show_runs(cells, runs):
    """In place of each panel, sliders over the runs that tools/runs.py has computed for it."""
    panels = iter(runs["panels"])
    for cell in cells:
        for output in cell.get("outputs", []):
            stored = "".join(output.get("data", {}).get("text/plain", ""))
            if stored.startswith("Sliders for hidden size") and (panel := next(panels, None)):
                data = json.dumps(panel | {"made": runs["made"]}, ensure_ascii=False)
                data = data.replace("</", "<\\/")
                script = f'<script type="application/json">{data}</script>'
                output["data"]["text/html"] = f'<div class="d2lmini-panel">{script}</div>'


def repository_links(text, path, source):
    """Leads links that leave this language's pages to where they belong; all others stay."""

    def lead(match):
        words, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        return website.lead(words, target, path, source, LANGUAGE)

    code = r"(?s:```.*?```)|`[^`\n]+`"
    link = r"(?<!!)\[((?:[^][]|!\[[^]]*\]\([^)]*\))*)\]\(([^()\s]+)\)"
    return re.sub(rf"{code}|{link}", lambda m: m[0] if m[2] is None else lead(m), text)


def prepare(app, doctree):
    # Each section gets a second anchor, which is the same in both languages.
    for number, section in enumerate(doctree.findall(nodes.section)):
        section["ids"].append(f"section-{number}")
    # In Chinese, only Latin letters are slanted.
    for words in doctree.findall(nodes.emphasis):
        if words.astext().isascii():
            words["classes"].append("latin")


# --- on the way out --------------------------------------------------------------------------


def fill_in_page(app, pagename, templatename, context, doctree):
    # The words on a folded cell are its name; the theme would call each of them the same.
    context["body"] = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    other = {"en": ("zh-CN", "中文"), "zh": ("en", "English")}[LANGUAGE]
    top = "../" * (pagename.count("/") + website.FOLDER[LANGUAGE].count("/"))
    context["other_language"] = (top + website.counterpart(LANGUAGE, pagename), *other)


def add_mathjax(app):
    if LANGUAGE == "en":
        (folder,) = find_spec("sphinx-mathjax-offline").submodule_search_locations
        static = Path(app.outdir) / "_static"
        static.mkdir(parents=True, exist_ok=True)
        copyfile(Path(folder) / "static" / "mathjax" / "tex-svg-full.js", static / "mathjax.js")


class Chinese(SearchLanguage):
    """Words for the search: Sphinx's own Chinese search needs a dictionary, and has an error.

    Chinese has no spaces between words. So each letter is a word here, and so are each two letters
    that stand side by side. A search for three letters or more asks for all their pairs.
    """

    lang = "zh"
    language_name = "Chinese"
    js_splitter_code = """
function splitQuery(query) {
  const words = [];
  for (const [run] of query.matchAll(/[\\u4e00-\\u9fff]+|[a-z0-9_]+/gi)) {
    if (!/[\\u4e00-\\u9fff]/.test(run) || run.length === 1) words.push(run);
    else for (let i = 0; i + 1 < run.length; i++) words.push(run.slice(i, i + 2));
  }
  return words;
}
"""

    def split(self, text):
        words = re.findall(r"[A-Za-z0-9_]+", text)
        for run in re.findall(r"[\u4e00-\u9fff]+", text):
            words += [*run, *(run[i : i + 2] for i in range(len(run) - 1))]
        return words


def setup(app):
    app.add_search_language(Chinese)
    app.connect("source-read", read_source)
    app.connect("doctree-read", prepare)
    app.connect("html-page-context", fill_in_page)
    app.connect("builder-inited", add_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
