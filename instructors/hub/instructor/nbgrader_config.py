"""nbgrader's settings for the instructor: where the course folder is, and what stands there."""

from pathlib import Path

COURSE = Path.home() / "instructors"

c = get_config()  # noqa: F821 (nbgrader gives it)
c.CourseDirectory.root = str(COURSE)
load_subconfig("nbgrader_config.py", path=str(COURSE))  # noqa: F821 (grading as in grade.py)
