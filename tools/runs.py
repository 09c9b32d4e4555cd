"""Trains beforehand what readers of the website try with the sliders of a lesson.

    python tools/runs.py [LESSON ...]     default: all lessons that have sliders

A website has no kernel, so nothing can train there. This executes a lesson's cells up to its panel
(`d2l.try_it`), and trains what the panel would train, with the panel's own code and seed: four
sizes, four learning rates, and each choice of its first menu. The runs go to site/runs/LESSON.json,
which the website shows. Run it again when a lesson's network, data or panel has changed. The
seconds are processor time, with the validation after every epoch.
"""

import argparse
import contextlib
import datetime
import io
import json
import platform
import re
import threading
import time
from pathlib import Path

import matplotlib
import nbformat
import torch

import course
import d2lmini as d2l
from d2lmini.sliders import try_it
from d2lmini.sliders.run import Run, build, train

RUNS = course.ROOT / "site" / "runs"
SIZES = (16, 32, 64, 128)
FACTORS = (0.1, 0.3, 1, 3)  # of the panel's own learning rate
MAX_POINTS = 26  # of a curve
MAX_SAMPLE = 60  # letters


def panels_of(lesson):
    """The panels of a lesson, as its cells make them."""
    panels = []

    def remember(*args, **kwargs):
        panels.append(try_it(*args, **kwargs))
        return panels[-1]

    cells = course.code_cells(nbformat.read(lesson, as_version=4))
    last = max((i for i, cell in enumerate(cells) if "d2l.try_it(" in cell.source), default=-1)
    d2l.try_it, names = remember, {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.chdir(lesson.parent):
        for cell in cells[: last + 1]:
            exec(compile(cell.source, lesson.name, "exec"), names)
    return panels


def grid(panel):
    """Everything that a reader can choose, and the run that each choice leads to."""
    recipe = panel.recipe
    name, menu = next(iter(recipe.choices.items()), (None, {"": None}))
    usual = {other: next(iter(labels)) for other, labels in recipe.choices.items()}
    sizes = sorted({*SIZES, panel.hidden.value})
    rates = [float(f"{panel.lr * factor:.2g}") for factor in FACTORS]
    runs = {}
    for label in menu:
        choices = usual | {name: label} if name else {}
        runs[label] = [[compute(recipe, size, lr, choices) for lr in rates] for size in sizes]
    common = max((run["e"] for rows in runs.values() for row in rows for run in row), key=len)
    for run in (run for rows in runs.values() for row in rows for run in row):
        if run["e"] == common:
            del run["e"]
    return {
        "epochs": recipe.num_epochs,
        "e": common,  # the epochs of the points of all runs that have no "e" of their own
        "guess": len(recipe.vocab),
        "sizes": sizes,
        "rates": rates,
        "size": panel.hidden.value,
        "rate": panel.lr,
        "menu": name.replace("_", " ") if name else "",
        "runs": runs,
    }


def compute(recipe, size, lr, choices):
    run = Run(size, lr, recipe.num_epochs, choices)
    build(run, recipe)
    began = time.process_time()  # a clock that stands still while other programs compute
    if run.state == "training":
        for _ in train(run, recipe, threading.Event(), lambda at_once: None):
            pass
    seconds = time.process_time() - began
    if run.state == "failed":
        raise SystemExit(f"{run.settings}: {run.error}\n{run.where}")
    history = run.history
    step = -(-len(history.epochs) // MAX_POINTS)
    kept = range((len(history.epochs) - 1) % step, len(history.epochs), step)  # with the last
    result = {"e": [history.epochs[i] for i in kept]}
    result |= {"t": [short(y) for y in history.train[kept.start :: step]], "s": short(seconds)}
    if history.val:
        result |= {
            "v": [short(y) for y in history.val[kept.start :: step]],
            "b": short(min(history.val)),
        }
    if history.samples:
        result["w"] = history.samples[-1][:MAX_SAMPLE]
    if run.state == "diverged":
        result["d"] = 1
    return result


def short(number):
    """Three digits, which is more than a curve shows."""
    return float(f"{number:.3g}") if number < 1e6 else 1e6  # NaN too


def machine():
    """What computed, in words."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        if name := re.search(r"model name\s*: (.+)", text):
            return "an " * (name[1][0] in "AI") + name[1].replace(" Processor", "").replace(
                "(R)", ""
            )
    return platform.machine()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("lessons", nargs="*", type=Path, metavar="LESSON")
    matplotlib.use("agg")
    torch.set_num_threads(1)
    for lesson in parser.parse_args().lessons or sorted(course.COURSE.glob("*.ipynb")):
        panels = panels_of(lesson.resolve())
        if not panels:
            continue
        today = datetime.date.today()
        made = f"one thread of {machine()}, torch {torch.__version__.partition('+')[0]}"
        made += f", on {today:%-d %B %Y}; the seconds are processor time"
        runs = {"made": made, "panels": [grid(panel) for panel in panels]}
        text = json.dumps(runs, separators=(",", ":"), ensure_ascii=False)
        course.write(RUNS / f"{lesson.stem}.json", text.encode() + b"\n")
        seconds = sum(
            run["s"] for p in runs["panels"] for g in p["runs"].values() for row in g for run in row
        )
        print(f"{lesson.stem}: {len(text) / 1000:.0f} KB, {seconds:.0f} s of training", flush=True)


if __name__ == "__main__":
    main()
