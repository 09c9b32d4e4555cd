"""nbgrader's settings for this course. `nbgrader` commands in this folder find them."""

import os
import sys
from pathlib import Path

import bleach
from nbconvert.filters import markdown2html_mistune

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for grading.py
# nbgrader calls alembic by its name, also where the environment is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

c = get_config()  # noqa: F821 (nbgrader gives it)
c.CourseDirectory.course_id = "d2lmini"
c.ClearSolutions.code_stub = {"python": 'raise NotImplementedError("write this part")'}
c.ClearSolutions.text_stub = "Your answer goes here, in place of this line."
c.Autograde.sanitize_preprocessors = [
    "nbgrader.preprocessors.ClearOutput",
    "grading.Restore",  # in place of DeduplicateIds
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
]
# grading.Run in place of nbgrader's Execute: in the box, with limits; results are compared outside.
# c.Run.seconds_per_cell, c.Run.seconds, c.Run.megabytes and c.Run.box can be set here.
c.Autograde.autograde_preprocessors = [
    "grading.Run",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
]

# Formgrader and feedback show Markdown that a student wrote. Scripts in it, and links that are
# scripts, would act in the browser of its reader: what is not named here is shown as text.
SHOWN = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
    "img", "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr",
    "ul",
}  # fmt: skip
KEPT = {"*": ["class", "id"], "a": ["href", "title"], "img": ["src", "alt", "title"]}
c.HTMLExporter.filters = {
    "markdown2html": lambda text: bleach.clean(markdown2html_mistune(text), SHOWN, KEPT)
}
