"""How Sphinx makes the website; `python tools/website.py` gathers the pages and calls it.

The pages are the files of the repository as they are. What the website shows in another way is
changed here, on the way in, so that the button "download" still gives the stored notebook.
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

from website import commit, in_plain_words, package_version, repository_link  # noqa: E402

import course  # noqa: E402

project = "d2lmini"
author = "the d2lmini authors"
language = "en"
smartquotes = False
version = release = package_version()
extensions = ["myst_nb", "sphinx_copybutton", "sphinx.ext.mathjax"]
root_doc = "index"

# --- notebooks and Markdown ------------------------------------------------------------------

nb_execution_mode = "off"
nb_merge_streams = True
nb_code_prompt_show = "Show the set-up cell"
nb_code_prompt_hide = "Hide the set-up cell"
myst_enable_extensions = ["amsmath", "attrs_block", "colon_fence", "dollarmath"]
myst_dmath_allow_labels = False
myst_heading_anchors = 4
myst_heading_slug_func = "website.slug"
myst_links_external_new_tab = False

# --- the look --------------------------------------------------------------------------------

html_context = {"default_mode": "auto"}
html_theme = "sphinx_book_theme"
html_title = "d2lmini"
html_favicon = "static/icon.svg"
html_static_path = ["static"]
html_css_files = ["course.css"]
html_js_files = ["course.js", "runs.js"]
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
    "search_bar_text": "Search the course",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "extra_footer": f"<p>d2lmini {release}{commit()}</p>",
}
if course.repository():
    html_theme_options |= {
        "repository_url": f"https://github.com/{course.repository()}",
        "repository_branch": "main",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }

# Formulas by our own copy of MathJax: one file, from a package, nothing from another host.
mathjax_path = "mathjax.js"
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
    if path.parent.name == "course" and runs.exists():
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
        words = {"code_prompt_show": "Show the answer", "code_prompt_hide": "Hide the answer"}
        metadata["mystnb"] = words
    caption = following and following["cell_type"] == "markdown" and following["source"]
    if caption and caption.startswith("*Figure"):
        metadata.setdefault("mystnb", {})["image"] = {"alt": in_plain_words(caption)}
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
    """Leads links that leave the website to the repository; links within it stay."""

    def lead(match):
        words, target = match.groups()
        if re.match(r"[a-z]+:|#", target):
            return match[0]
        return repository_link(words, target, path, source)

    code = r"(?s:```.*?```)|`[^`\n]+`"
    link = r"(?<!!)\[((?:[^][]|!\[[^]]*\]\([^)]*\))*)\]\(([^()\s]+)\)"
    return re.sub(rf"{code}|{link}", lambda m: m[0] if m[2] is None else lead(m), text)


# --- on the way out --------------------------------------------------------------------------


def name_buttons(app, pagename, templatename, context, doctree):
    """The words on a folded cell are its name; the theme would call each of them the same."""
    context["body"] = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")


def add_mathjax(app):
    (folder,) = find_spec("sphinx-mathjax-offline").submodule_search_locations
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    copyfile(Path(folder) / "static" / "mathjax" / "tex-svg-full.js", static / "mathjax.js")


def setup(app):
    app.connect("source-read", read_source)
    app.connect("html-page-context", name_buttons)
    app.connect("builder-inited", add_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
