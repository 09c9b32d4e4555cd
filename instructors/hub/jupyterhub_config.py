"""JupyterHub for one class on one Linux machine. README.md in this folder says how to use it."""

import sys
from pathlib import Path

INSTRUCTOR = "instructor"  # this account has the course folder, ~/instructors, and grades

HUB = Path(__file__).resolve().parent
COURSE = HUB.parent.parent / "course"
DATA = HUB.parent.parent / "data"
PROGRAMS = Path(sys.prefix) / "bin"


def config_path(spawner):
    """Where a user's server looks for its settings: Formgrader is for the instructor alone."""
    own = "instructor" if spawner.user.name == INSTRUCTOR else "student"
    return f"{HUB / own}:{HUB}"


c = get_config()  # noqa: F821 (JupyterHub gives it)
# Not for the world: a web server with a certificate stands before it.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.Authenticator.allow_all = True  # everybody with an account and a password on this machine
c.Spawner.environment = {
    "JUPYTER_CONFIG_PATH": config_path,
    "D2LMINI_DATA": str(DATA),
    "PATH": f"{PROGRAMS}:/usr/local/bin:/usr/bin:/bin",
}
# Everybody gets lessons that are not there yet. What a student has changed stays as it is.
start = f'cp -rn "{COURSE}" ~; exec "{PROGRAMS}/jupyterhub-singleuser" "$@"'
c.Spawner.cmd = ["sh", "-c", start, "sh"]
c.Spawner.default_url = "/lab/tree/course/00_text_and_language_models.ipynb"
