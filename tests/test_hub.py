"""A class on JupyterHub, as instructors/hub/README.md sets it up: an instructor, two students.

Needs JupyterHub, its proxy, Chromium, and root. `unshare` gives the hub a computer of its own, with
accounts, homes and processes of its own: nothing of them is left on this one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from socket import socket
from urllib.request import urlopen

import browser
import nbformat
import pytest
from browser import HIDDEN, SETTINGS, Notebook, find_chromium

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "instructors" / "hub" / "README.md").read_text(encoding="utf-8")
PATIENCE = 120  # seconds for a step: so nothing here waits for ever
ALONE = [
    *("setpriv", "--pdeathsig", "KILL"),  # gone with this process, whatever happens to it
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
]
# The README's configuration, on ports that are free, and without a network.
CONFIG = """
load_subconfig("/srv/d2lmini/instructors/hub/jupyterhub_config.py")
c.JupyterHub.bind_url = "http://127.0.0.1:{}"
c.JupyterHub.hub_port = {}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{}"
c.Spawner.environment["D2LMINI_OFFLINE"] = "1"
"""
NAMES = ("instructor", "ada", "alan")
HOMEWORK = "2_rnn"
# Errors are passed over, so by nbgrader's own rule every test is passed. grading.py knows better.
CHEAT = "get_ipython().set_custom_exc((Exception,), lambda *a, **k: None)"


def what_is_missing():
    """Why no hub can be tried here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, for accounts"
    for program in ("setpriv", "unshare", "useradd", "runuser", "bwrap", "configurable-http-proxy"):
        if not shutil.which(program):
            return f"needs the program {program}"
    mount = [*ALONE, "mount", "-t", "tmpfs", "none", "/home"]
    if subprocess.run(mount, capture_output=True).returncode:
        return "needs the right to mount folders"
    return None if find_chromium() else "needs Chromium"


def script(own):
    """The shell's commands that make a computer with a hub. Its files are in the folder `own`."""
    yield "set -eux"
    for folder in ("etc", "home", "srv"):
        yield f"mount --bind {own}/{folder} /{folder}"
    # Python and the proxy may be in a folder that only root can enter. There the others get in.
    proxy = Path(os.path.abspath(shutil.which("configurable-http-proxy"))).parent.parent
    programs = [Path(sys.prefix), Path(sys.base_prefix), proxy]
    closed = {program: closed_folder(program) for program in programs if closed_folder(program)}
    for number, program in enumerate(closed):
        yield f"mkdir {own}/{number} && mount --bind {program} {own}/{number}"
    for folder in set(closed.values()):
        yield f"mount -t tmpfs -o mode=755 none {folder}"
    for number, program in enumerate(closed):
        yield f"mkdir -p {program} && mount --bind {own}/{number} {program}"
    yield textwrap.dedent(re.search(r"```sh\n( +useradd.+?)```", README, re.DOTALL)[1])
    for name in NAMES:
        yield f"echo {name}:secret-of-{name} | chpasswd"
    yield f"cd /srv/jupyterhub && exec {sys.executable} -m jupyterhub -f {own}/config.py"


def closed_folder(path):
    """The topmost folder on the way to a path that an ordinary user cannot enter, or None."""
    return next((p for p in reversed(path.parents) if not p.stat().st_mode & 0o001), None)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The hub's address, and the folder that has its homes."""
    for module in ("jupyterhub", "nbgrader"):
        pytest.importorskip(module)
    if missing := what_is_missing():
        pytest.skip(missing)
    own = tmp_path_factory.mktemp("hub")
    shutil.copytree("/etc", own / "etc", symlinks=True)
    (own / "home").mkdir(mode=0o755)
    for part in ("course", "instructors"):
        shutil.copytree(ROOT / part, own / "srv" / "d2lmini" / part)
    if "D2LMINI_DATA" in os.environ:
        shutil.copytree(os.environ["D2LMINI_DATA"], own / "srv" / "d2lmini" / "data")
    ports = free_ports(3)
    (own / "config.py").write_text(CONFIG.format(*ports), encoding="utf-8")
    with (own / "log").open("wb") as log:
        command = [*ALONE, "sh", "-c", "\n".join(script(own))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{ports[0]}/hub/health", process, own / "log")
        yield f"http://127.0.0.1:{ports[0]}", own
    finally:
        process.kill()  # and the kernel ends everything that `unshare` held
        process.wait(PATIENCE)


def free_ports(number):
    sockets = [socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(address, process, log):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            return urlopen(address, timeout=5).close()
        except OSError:
            time.sleep(0.2)
    pytest.fail("The hub did not start:\n" + log.read_text(errors="replace"))


@pytest.fixture(scope="module")
def pages(hub):
    """For each user a browser's page, in which they have logged in: {name: page}."""
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()
    with sync_playwright() as play, play.chromium.launch(executable_path=chromium) as chrome:
        pages = {name: chrome.new_context().new_page() for name in NAMES}
        for name, page in pages.items():
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(f"{hub[0]}/hub/login")
            page.fill("[name=username]", name)
            page.fill("[name=password]", f"secret-of-{name}")
            page.click("#login_submit", no_wait_after=True)
        for name, page in pages.items():
            page.wait_for_url(f"**/user/{name}/lab/**")
        yield pages


def server(page):
    """The address of the user's own server."""
    return re.match(r".*/user/\w+/", page.url)[0]


def ask(page, method, path, data=None):
    """What the user's server answers to a request of their page."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(server(page))}
    return page.request.fetch(
        server(page) + path,
        method=method,
        data=None if data is None else json.dumps(data),
        headers={"X-XSRFToken": cookies["_xsrf"]},
        timeout=PATIENCE * 1000,
    )


def do(page, path):
    """Press a button of nbgrader's."""
    answer = ask(page, "POST", path)
    assert answer.ok, answer.text()
    assert answer.json()["success"], answer.text()
    return answer.json()


def test_formgrader_is_for_the_instructor_alone(pages):
    for name, page in pages.items():
        is_instructor = name == "instructor"
        answer = ask(page, "GET", "formgrader")
        assert answer.status == (200 if is_instructor else 404)
        # JupyterLab shows Formgrader in a frame, which JupyterHub forbids by default.
        policy = answer.headers["content-security-policy"]
        assert ("frame-ancestors 'self'" in policy) == is_instructor
        page.click(".lm-MenuBar-itemLabel:text-is('Nbgrader')")
        entries = page.locator(".lm-Menu-itemLabel:visible").all_text_contents()
        assert "Assignment List" in entries
        assert ("Formgrader" in entries) == is_instructor
        page.keyboard.press("Escape")


def test_homework_goes_out_and_comes_back_with_feedback(pages, hub):
    home = hub[1] / "home"
    instructor, ada, alan = (pages[name] for name in NAMES)
    form = f"formgrader/api/assignment/{HOMEWORK}"
    course = f"?course_id=d2lmini&assignment_id={HOMEWORK}"
    notebook = f"{HOMEWORK}/{HOMEWORK}.ipynb"
    do(instructor, f"{form}/assign")
    do(instructor, f"{form}/release")
    for student in (ada, alan):
        do(student, f"assignments/fetch{course}")
    source = nbformat.read(ROOT / "instructors" / "source" / notebook, as_version=4)
    answer(ada, notebook, {grade_id(cell): cell.source for cell in source.cells})
    for student, right in ((ada, True), (alan, False)):
        found = do(student, f"assignments/validate?path={notebook}")["value"]
        assert ("failed" in found) != right, found
    answer(alan, notebook, {"rnn": CHEAT})
    for student in (ada, alan):
        do(student, f"assignments/submit{course}")
    do(instructor, f"{form}/collect")
    for name in ("ada", "alan"):
        do(instructor, f"formgrader/api/submission/{HOMEWORK}/{name}/autograde")
    rows = ask(instructor, "GET", f"formgrader/api/submissions/{HOMEWORK}").json()
    assert {row["student"]: row["score"] for row in rows} == {"ada": 8, "alan": 0}
    do(instructor, f"{form}/generate_feedback")
    do(instructor, f"{form}/release_feedback")
    for student in (ada, alan):
        do(student, f"assignments/fetch_feedback{course}")
    for name, points in (("ada", "8.0"), ("alan", "0.0")):
        (page,) = (home / name / HOMEWORK / "feedback").rglob("*.html")
        assert f"Score: {points} / 10.0" in page.read_text(encoding="utf-8")
    # A student can hand in, but cannot see who else did, nor enter another home.
    assert oct((hub[1] / "srv/nbgrader/exchange/d2lmini/inbound").stat().st_mode)[-3:] == "733"
    assert {oct((home / name).stat().st_mode)[-3:] for name in NAMES} == {"700"}


def answer(page, path, answers):
    """Write answers into a student's notebook: {grade id: text of the cell}."""
    model = ask(page, "GET", f"api/contents/{path}").json()
    for cell in model["content"]["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution") and grade_id(cell) in answers:
            cell["source"] = answers[grade_id(cell)]
    assert ask(page, "PUT", f"api/contents/{path}", model).ok


def grade_id(cell):
    return cell["metadata"].get("nbgrader", {}).get("grade_id")


def test_lesson_01_runs_and_its_sliders_train(pages, monkeypatch):
    monkeypatch.setattr(browser, "PATIENCE", PATIENCE)
    page = pages["ada"]
    for name, settings in SETTINGS.items():
        path = f"lab/api/settings/@jupyterlab/{name.replace('/', ':')}"
        assert ask(page, "PUT", path, {"raw": json.dumps(settings)}).ok
    notebook = Notebook(page, server(page) + "lab/tree/course/01_rnn_scratch.ipynb?reset")
    # All that the panel needs. tests/test_browser.py runs the rest, which takes 40 seconds.
    cells = nbformat.read(ROOT / "course" / "01_rnn_scratch.ipynb", as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    for number, source in enumerate(sources):
        if re.match("# Set-up|import|def |class |batch_size", source) or "try_it" in source:
            notebook.run_cell(number)
    panel = notebook.panel()
    panel.wait("state == 'idle'")
    with panel.new_run():
        panel.handle(HIDDEN).press("ArrowLeft")
    panel.wait("hidden == 64 && points >= 1")
    panel.stop()
    assert notebook.problems() == []
