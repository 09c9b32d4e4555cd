"""The lessons and the panel of `try_it` in a real JupyterLab, in a real browser."""

import os
import random
import shutil
from pathlib import Path

import nbformat
import pytest
from browser import HIDDEN, RATE, find_chromium, jupyterlab
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

pytest.importorskip("playwright")
pytest.importorskip("jupyterlab")
if find_chromium() is None:
    pytest.skip("needs Chromium or Chrome", allow_module_level=True)

pytestmark = pytest.mark.long
COURSE = Path(__file__).resolve().parent.parent / "course"
HOMEWORK = COURSE.parent / "instructors" / "source" / "2_rnn" / "2_rnn.ipynb"  # solved
LESSONS = [*sorted(COURSE.glob("*.ipynb")), HOMEWORK]
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}

# The cells of the small notebooks, which a test runs by their numbers.
SET_UP = """
import threading
import d2lmini as d2l
from torch import nn

train_iter, vocab = d2l.load_data_text("the time traveller came back on thursday. " * 40, 8, 10)

def make_net(num_hiddens):
    return d2l.RNNModel(nn.RNN(len(vocab), num_hiddens), len(vocab))

def training():
    return [thread for thread in threading.enumerate() if thread.name == "d2lmini"]
"""
PANEL = "panel = d2l.try_it(make_net, train_iter, vocab, num_epochs=1_000_000)\npanel"
COUNT = "print(len(training()))"
JOIN = "for thread in training():\n    thread.join(300)\nprint(len(training()))"
SETTLE = "for thread in training():\n    thread.join(10)\nprint(len(training()))"
CLOSE = "panel.close()"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    for lesson in LESSONS:
        shutil.copy(lesson, folder)
    shutil.copytree(LESSONS[0].parent / "images", folder / "images")
    return folder


@pytest.fixture(scope="module")
def open_notebook(folder):
    with jupyterlab(folder) as open_notebook:
        yield open_notebook


@pytest.fixture
def small(folder, open_notebook, request):
    """Opens a notebook made of the given cells."""

    def new(*cells):
        name = f"{request.node.name}.ipynb"
        write(folder / name, cells)
        return open_notebook(name)

    return new


def write(path, cells):
    nb = new_notebook(metadata=KERNEL, cells=[new_code_cell(cell.strip()) for cell in cells])
    nbformat.write(nb, path)
    return nb


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_lesson(open_notebook, lesson, folder):
    with open_notebook(lesson.name) as notebook:
        notebook.run_all()
        assert notebook.problems() == []
        notebook.save()
        assert texts(folder / lesson.name) == texts(lesson)
        if "try_it" in lesson.read_text(encoding="utf-8"):
            before = notebook.outputs()
            try_the_panel(notebook.panel())
            assert notebook.outputs() == before
        if "D2LMINI_SCREENSHOTS" in os.environ:
            take_pictures(notebook, lesson.stem)
        assert notebook.problems() == []


def texts(path):
    """What the cells of a notebook show, without those whose outputs may vary."""
    return [
        [o.get("text") or o.data["text/plain"] for o in cell.outputs if o.get("data") != {}]
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code" and "nbval-ignore-output" not in cell.metadata.get("tags", [])
    ]


def try_the_panel(panel):
    assert panel.state()["state"] == "idle"
    panel.press("Train")
    panel.wait("points >= 1")
    first = panel.state()
    with panel.new_run():
        panel.handle(HIDDEN).press("ArrowLeft")
    second = panel.state()
    assert int(second["hidden"]) == int(first["hidden"]) // 2 and second["lr"] == first["lr"]
    with panel.new_run():
        panel.drag(RATE, panel.position(RATE) - 0.5)
    third = panel.state()
    assert 0.25 < float(third["lr"]) / float(first["lr"]) < 0.4
    assert third["hidden"] == second["hidden"] and third["state"] == second["state"] == "training"
    for state in (first, second, third):
        assert f"{state['hidden']} hidden, lr {state['lr']}" in state["settings"]
    panel.stop()


def take_pictures(notebook, name):
    folder = Path(os.environ["D2LMINI_SCREENSHOTS"])
    for theme in ("Dark", "Light"):
        notebook.theme(theme)
        notebook.take_pictures(folder / f"{name}-{theme.lower()}")


def test_cells_and_sliders_answer_while_a_long_run_trains(small):
    with small(SET_UP, PANEL, COUNT) as notebook:
        notebook.run_all()
        panel = notebook.panel()
        panel.press("Train")
        panel.wait("points >= 1")
        assert notebook.run_cell(2) == "1\n"
        with panel.new_run():
            panel.handle(RATE).press("ArrowLeft")
        with panel.new_run():
            panel.drag(HIDDEN, panel.position(HIDDEN) - 1)
        panel.wait("points >= 1")
        assert notebook.run_cell(2) == "1\n" and panel.state()["state"] == "training"
        assert notebook.problems() == []


MENU = """
from d2lmini import cells

def make_net(num_hiddens, cell):
    return d2l.RNNModelScratch(len(vocab), num_hiddens, "cpu", *cells.network(cell))

choices = {"cell": {"RNN": cells.rnn, "GRU": cells.gru}}
d2l.try_it(make_net, train_iter, vocab, num_epochs=3, choices=choices)
"""


def test_menus_and_the_list_of_runs(small, folder):
    with small(SET_UP, MENU) as notebook:
        notebook.run_all()
        panel = notebook.panel()
        panel.press("Train")
        panel.wait("runs == 2 && state == 'finished'")
        panel.box.locator("select").first.select_option("GRU")
        panel.wait("run == 2 && state == 'finished'")
        rows = panel.box.locator(".d2lmini-run")
        rows.nth(1).wait_for()
        assert "GRU, 64 hidden, lr 1" in rows.nth(0).text_content()
        assert "RNN, 64 hidden, lr 1" in rows.nth(1).text_content()
        rows.nth(1).get_by_role("button").click()
        panel.wait("runs == 1")
        panel.box.locator("select").last.select_option("seconds")
        panel.box.get_by_text("seconds of training").wait_for()
        panel.press("Save table")
        panel.box.get_by_text("Saved as").wait_for()
        (table,) = folder.glob("runs_*.csv")
        assert table.read_text(encoding="utf-8").count("GRU,64,1.0,3,finished") == 1
        assert notebook.problems() == []


def test_only_one_run_trains_after_fifty_random_events(small):
    dice = random.Random(0)
    with small(SET_UP, PANEL, PANEL, COUNT, JOIN, SETTLE) as notebook:
        notebook.run_all()
        for _ in range(50):
            random_event(notebook, dice)
        alive = int(notebook.run_cell(5))
        assert alive <= 1
        # The page shows a moment later what the kernel knows.
        training = "document.querySelectorAll('svg[data-state=training]').length"
        notebook.page.wait_for_function(f"{training} === {alive}")
        panels = [notebook.panel(number) for number in range(2)]
        for panel in panels:
            if panel.state()["state"] == "training":
                panel.stop()
        assert notebook.run_cell(4) == "0\n"
        panels[0].press("Train")
        panels[0].wait("state == 'training' && points >= 1")
        assert notebook.problems() == []


def random_event(notebook, dice):
    number, slider = dice.randrange(2), dice.choice((HIDDEN, RATE))
    panel = notebook.panel(number)
    event = dice.choice(("key", "mouse", "button", "panel", "cell", "interrupt"))
    if event == "key":
        panel.handle(slider).press(dice.choice(("ArrowLeft", "ArrowRight")))
    elif event == "mouse":
        panel.drag(slider, dice.uniform(0, 6) if slider == HIDDEN else dice.uniform(-2, 1))
    elif event == "button":
        panel.press("Train|Stop")
    elif event == "panel":
        notebook.run_cell(1 + number)
    elif event == "cell":
        assert notebook.run_cell(3) in ("0\n", "1\n")
    else:
        notebook.interrupt()


def test_the_panel_works_after_a_restart_of_the_kernel(small):
    with small(SET_UP, PANEL) as notebook:
        notebook.run_all()
        panel = notebook.panel()
        panel.press("Train")
        panel.wait("points >= 1")
        notebook.restart()
        notebook.run_all()
        panel.wait("state == 'idle'")
        panel.press("Train")
        panel.wait("run == 1 && points >= 1")
        assert notebook.problems() == []


def test_closing_the_panel_in_a_cell_ends_its_thread(small):
    with small(SET_UP, PANEL, COUNT, JOIN, CLOSE) as notebook:
        for cell in range(2):
            notebook.run_cell(cell)
        notebook.panel().press("Train")
        notebook.panel().wait("points >= 1")
        assert notebook.run_cell(2) == "1\n"
        notebook.run_cell(4)
        assert notebook.run_cell(3) == "0\n"
        assert notebook.problems() == []


def test_a_slider_trains_before_the_button_was_ever_pressed(small):
    with small(SET_UP, PANEL) as notebook:
        notebook.run_all()
        panel = notebook.panel()
        panel.wait("state == 'idle'")
        with panel.new_run():
            panel.handle(HIDDEN).press("ArrowLeft")
        panel.wait("hidden == 32 && points >= 1")
        panel.stop()
        assert notebook.problems() == []


def test_a_stored_panel_says_that_its_cell_is_to_be_run(folder, open_notebook):
    nb = write(folder / "stored.ipynb", (SET_UP, PANEL))
    NotebookClient(nb, kernel_name="python3").execute()
    del nb.metadata["widgets"]
    for output in nb.cells[1].outputs:
        del output.data["application/vnd.jupyter.widget-view+json"]
    nbformat.write(nb, folder / "stored.ipynb")
    with open_notebook("stored.ipynb") as notebook:
        assert "not trusted" in notebook.page.locator(".jp-StatusItem-trust").get_attribute("title")
        assert notebook.outputs() == [
            "Sliders for hidden size and learning rate: run this cell to use them."
        ]
        assert notebook.problems() == []
