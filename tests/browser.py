"""JupyterLab in a headless Chromium, for the tests and the benchmark. Needs playwright."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

PATIENCE = 600  # seconds: that a machine is slow is no failure
FOLDERS = (
    "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
)  # fmt: skip
SETTINGS = {
    # Every cell is in the page, in view or not.
    "notebook-extension/tracker": {"windowingMode": "none", "scrollPastEnd": False},
    # No question to the reader, and none to a server far away.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
DONE = r"\[( |\d+)\]"  # how the prompt of a cell looks that neither runs nor waits
HIDDEN, RATE = 0, 1  # a panel's sliders, from top to bottom
WATCH = """() => {
    const panel = document.querySelector('.d2lmini-panel');
    const data = () => panel.querySelector('svg[data-state]').dataset;
    const run = Number(data().run);
    let released;
    const release = () => { released = performance.now(); };
    window.addEventListener('pointerup', release, {capture: true, once: true});
    window.toFirstPoint = null;
    new MutationObserver((_, observer) => {
        if (data().run > run && data().points >= 1) {
            window.toFirstPoint = performance.now() - released;
            observer.disconnect();
        }
    }).observe(panel, {subtree: true, childList: true, attributes: true});
}"""


def find_chromium():
    """The path of a Chromium or Chrome on this machine, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


@contextmanager
def jupyterlab(folder):
    """A server for the notebooks in `folder` and a browser, gone at the end: what opens notebooks.

    `with open_notebook(NAME) as notebook` gives a `Notebook`; then its page and its kernel end.
    """
    from playwright.sync_api import sync_playwright

    chromium = find_chromium()  # before: it may want a playwright of its own
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own,
        _server(folder, Path(own)) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium) as browser,
    ):
        yield partial(_open, browser, server)


@contextmanager
def _server(folder, own):
    """What is to be known of a new server, which keeps all that it writes in the folder `own`."""
    env = os.environ | {name: str(own / name) for name in FOLDERS}
    for name, settings in SETTINGS.items():
        path = own / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", f"--notebook-dir={folder}"]
    command.append("--port=0")  # one of its own: of two that start at once, both may take 8888
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with open(own / "log", "wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        runtime = own / "JUPYTER_RUNTIME_DIR"
        while not (runtime / f"jpserver-{server.pid}-open.html").exists():  # the last of its files
            if server.poll() is not None:
                raise RuntimeError(
                    "JupyterLab did not start:\n" + (own / "log").read_text(encoding="utf-8")
                )
            time.sleep(0.05)
        yield json.loads((runtime / f"jpserver-{server.pid}.json").read_text(encoding="utf-8"))
    finally:
        server.terminate()  # it ends its kernels, too
        server.wait(PATIENCE)


@contextmanager
def _open(browser, server, name):
    key = {"Authorization": f"token {server['token']}"}
    with browser.new_page(viewport={"width": 1100, "height": 1400}, extra_http_headers=key) as page:
        try:
            yield Notebook(page, f"{server['url']}lab/tree/{name}?reset")
        finally:
            for kernel in page.request.get(f"{server['url']}api/kernels").json():
                page.request.delete(f"{server['url']}api/kernels/{kernel['id']}")


class Notebook:
    """An open notebook, used as a reader uses it. `page` is playwright's."""

    def __init__(self, page, address):
        self.page, self.errors = page, []
        page.set_default_timeout(PATIENCE * 1000)
        page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("websocket", lambda socket: socket.on("framereceived", self.hear))
        page.goto(address)
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        self.wait_until_idle()  # before there is a kernel, nothing would be run
        self.menu("View", "Appearance", "Show Left Sidebar")  # it is shown: put it away

    def hear(self, frame):
        """Note what a widget's callback or thread writes: JupyterLab hides it, or loses it."""
        message = frame if isinstance(frame, str) else frame.decode(errors="replace")
        types = re.findall(r'"msg_type": "(\w+)"', message)  # its own, then that of its cause
        written = types[1:2] == ["comm_msg"] and types[0] in ("stream", "error", "display_data")
        if written and "No such comm" not in message:  # as always before ipywidgets is imported
            self.errors.append(message[message.rindex("{}") + 2 :])

    def menu(self, title, *entries):
        self.page.click(f".lm-MenuBar-itemLabel:text-is('{title}')")
        for entry in entries:
            self.page.click(f".lm-Menu-itemLabel:text-is('{entry}')")

    def wait_until_idle(self):
        self.page.wait_for_selector("#jp-main-statusbar :text('| Idle')")

    def run_all(self):
        """Run all cells, and wait until they are done, or not to be run because one failed."""
        prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]"
        self.page.evaluate(f"{prompts}.forEach(prompt => prompt.textContent = '')")
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(f"{prompts}.every(e => /{DONE}/.test(e.textContent))")

    def run_cell(self, number):
        """Run a code cell, counted from 0, and wait for it: the text of its outputs."""
        cell = self.page.locator(".jp-CodeCell").nth(number)
        prompt = cell.locator(".jp-InputPrompt")
        prompt.click()
        prompt.evaluate("prompt => prompt.textContent = ''")
        self.page.keyboard.press("Control+Enter")
        prompt.filter(has_text=re.compile(DONE)).wait_for()
        return "".join(cell.locator(".jp-OutputArea-output").all_text_contents())

    def interrupt(self):
        with self.page.expect_response(re.compile("/interrupt")):
            self.page.click("[data-command='notebook:interrupt-kernel']")

    def restart(self):
        self.menu("Kernel", "Restart Kernel…")
        with self.page.expect_response(re.compile("/restart")):
            self.page.click(".jp-Dialog button:has-text('Restart')")
        self.wait_until_idle()

    def save(self):
        with self.page.expect_response(lambda answer: answer.request.method == "PUT"):
            self.menu("File", "Save Notebook")

    def outputs(self):
        """The texts of all outputs but the panels."""
        others = ".jp-OutputArea-output:not(:has(.d2lmini-panel))"
        return self.page.locator(others).all_text_contents()

    def problems(self):
        """Errors and warnings in the cells, in the page, and in the callbacks of widgets."""
        stderr = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        return [*stderr.all_text_contents(), *self.errors]

    def theme(self, name):
        """Switch to the theme "Light" or "Dark"."""
        self.menu("Settings", "Theme", f"JupyterLab {name}")
        self.page.wait_for_selector(f"[data-jp-theme-name='JupyterLab {name}']", state="attached")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")  # it covers the page

    def take_pictures(self, stem):
        """Save what a reader sees who scrolls from the top to the end, as STEM-01.png and so on."""
        notebook = self.page.locator(".jp-WindowedPanel-outer")
        height, step = notebook.evaluate("e => [e.scrollHeight, e.clientHeight]")
        for number, top in enumerate(range(0, height, step), 1):
            notebook.evaluate("(e, top) => e.scrollTop = top", top)
            notebook.screenshot(path=f"{stem}-{number:02}.png")

    def panel(self, number=0):
        return PanelOnPage(self.page, number)


class PanelOnPage:
    """One of the panels of `try_it` in a notebook, counted from 0.

    `box` is playwright's, so `panel.box.screenshot(path=...)` saves a picture of the panel alone.
    """

    def __init__(self, page, number):
        self.page, self.number = page, number
        self.box = page.locator(".d2lmini-panel").nth(number)

    def state(self):
        """The data attributes of its picture, all of them strings."""
        return self.box.locator("svg[data-state]").first.evaluate("svg => ({...svg.dataset})")

    def wait(self, condition):
        """Wait for a condition in JavaScript on the data attributes, such as "points >= 1"."""
        names = "state, run, settings, hidden, lr, points, runs"
        self.page.wait_for_function(f"""() => {{
            const panel = document.querySelectorAll('.d2lmini-panel')[{self.number}];
            const {{{names}}} = panel?.querySelector('svg[data-state]')?.dataset ?? {{}};
            return {condition};
        }}""")

    @contextmanager
    def new_run(self):
        """Wait at the end until a run has begun that was not there before."""
        run = self.state()["run"]
        yield
        self.wait(f"run > {run}")

    def press(self, text):
        """Click on the button that says `text`, a regular expression, as soon as there is one."""
        self.box.get_by_role("button").filter(has_text=re.compile(rf"^\s*({text})\s*$")).click()

    def stop(self):
        self.press("Stop")
        self.wait("state == 'stopped'")

    def handle(self, slider):
        return self.box.locator(".noUi-handle").nth(slider)

    def position(self, slider):
        """Where a slider stands: at which of the hidden sizes, or the learning rate's decade."""
        return float(self.handle(slider).get_attribute("aria-valuenow"))

    def drag(self, slider, position):
        """Drag a slider's handle with the mouse, and let go of it."""
        handle, mouse = self.handle(slider), self.page.mouse
        handle.scroll_into_view_if_needed()
        at, bar = handle.bounding_box(), self.box.locator(".noUi-base").nth(slider).bounding_box()
        low, high = (float(handle.get_attribute(f"aria-value{end}")) for end in ("min", "max"))
        y = at["y"] + at["height"] / 2
        mouse.move(at["x"] + at["width"] / 2, y)
        mouse.down()
        mouse.move(bar["x"] + bar["width"] * (position - low) / (high - low), y, steps=8)
        mouse.up()


def time_to_first_point(notebook, rounds):
    """Milliseconds from letting go of the slider, at 64 hidden units, to the new run's first point.

    A run is under way whenever the slider is moved. Each round goes to the next size and back.
    """
    panel = notebook.panel()
    if panel.state()["state"] != "training":
        with panel.new_run():
            panel.press("Train")
    while (hidden := int(panel.state()["hidden"])) != 64:
        with panel.new_run():
            panel.handle(HIDDEN).press("ArrowRight" if hidden < 64 else "ArrowLeft")
    position, milliseconds = panel.position(HIDDEN), []
    for _ in range(rounds):
        with panel.new_run():
            panel.drag(HIDDEN, position + 1)
        panel.wait("points >= 1")
        notebook.page.evaluate(WATCH)
        panel.drag(HIDDEN, position)
        milliseconds.append(notebook.page.wait_for_function("window.toFirstPoint").json_value())
    return milliseconds
