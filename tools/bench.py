"""How fast d2lmini is on this machine, next to plain torch:

    python tools/bench.py [--quick] [--json FILE] [--picture FILE]

Only the ratios say anything about another machine. The two sides of a ratio are measured in turns
and their medians compared, so that a busy moment hits both. Everything is measured in processes of
its own, on one thread unless OMP_NUM_THREADS says otherwise: with more threads than idle
processors, torch's threads wait for each other, and that can slow either side down tenfold.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import find_chromium, jupyterlab, time_to_first_point

import d2lmini as d2l
from d2lmini import by_hand, cells, race
from d2lmini.text import BUNDLED
from d2lmini.tools import write_whole

STORY = str(BUNDLED["time_machine"])  # always at hand, and the same everywhere
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "tools")])
ENVIRONMENT = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": PATHS}

# matplotlib is imported before the clock starts: a notebook pays for it once, whoever draws.
DRAWING = f"""
import json, time
import d2lmini as d2l, matplotlib.figure
from torch import nn

frames, paint = [], d2l.Animator._paint
def timed_paint(*args):
    start = time.perf_counter()
    paint(*args)
    frames.append(time.perf_counter() - start)
d2l.Animator._paint = timed_paint
train_iter, vocab = d2l.load_data_text({STORY!r}, 32, 35)
net = d2l.RNNModel(nn.RNN(len(vocab), 256), len(vocab))
start = time.perf_counter()
_ = d2l.train_ch8(net, train_iter, vocab, 0.5, EPOCHS, "cpu")
"""
# A panel as in lesson 01 or 06: trained from scratch, validated, with 64 hidden units.
PANEL = f"""
import d2lmini as d2l
from d2lmini import cells

train_iter, vocab = d2l.load_data_text({STORY!r}, 32, 35)
val_iter, _ = d2l.load_data_text({STORY!r}, 32, 35, start=10_000)

def make_net(num_hiddens):
    return d2l.RNNModelScratch(len(vocab), num_hiddens, "cpu", *cells.network(cells.CELL))

d2l.try_it(make_net, train_iter, vocab, num_epochs=100_000, val_iter=val_iter)
"""
# In a cell of its own: the last frame is drawn when the training cell ends.
RESULTS = "print(json.dumps([time.perf_counter() - start, frames]))"


def interleaved(measures, rounds):
    """The median of each of several measures, taken in turns after one turn that does not count."""
    turns = [[measure() for measure in measures] for _ in range(rounds + 1)]
    return [statistics.median(results) for results in zip(*turns[1:])]


def in_new_process(code):
    """The last line that the code prints, read as JSON; one before it may name the text."""
    printed = subprocess.check_output([sys.executable, "-c", code], env=ENVIRONMENT, text=True)
    return json.loads(printed.splitlines()[-1])


def measure_import(rounds):
    """Seconds that `import d2lmini` and `import torch` take, each in a process of its own."""
    code = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    modules = [lambda m=module: in_new_process(code.format(m)) for module in ("d2lmini", "torch")]
    ours, plain = interleaved(modules, rounds)
    return {"d2lmini_s": ours, "torch_s": plain, "ratio": ours / plain}


def measure_drawing(epochs):
    """The live curve's share of a training run in a Jupyter kernel: elsewhere nothing is drawn."""
    from jupyter_client.manager import start_new_kernel

    messages = []
    manager, client = start_new_kernel(env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        for code in (DRAWING.replace("EPOCHS", str(epochs)), RESULTS):
            client.execute_interactive(code, output_hook=messages.append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    for message in messages:
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))
    printed = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    seconds, frames = json.loads(printed.splitlines()[-1])
    share, frame = sum(frames) / seconds, statistics.median(frames)
    return {"training_s": seconds, "frames": len(frames), "share": share, "frame_ms": 1000 * frame}


def measure_slider(rounds):
    """Milliseconds from letting go of a slider to the new run's first point, as a reader sees it.

    None where there is no Chromium.
    """
    if find_chromium() is None:
        return None
    taken = {}
    with tempfile.TemporaryDirectory() as folder, jupyterlab(folder) as open_notebook:
        for name, cell in (("RNN", "rnn"), ("LSTM", "lstm")):
            source = PANEL.replace("CELL", cell)
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
            nbformat.write(notebook, f"{folder}/{cell}.ipynb")
            with open_notebook(f"{cell}.ipynb") as page:
                page.run_all()
                times = time_to_first_point(page, rounds)
            row = {"median_ms": statistics.median(times), "slowest_ms": max(times)}
            taken[f"{name}, 64 hidden"] = row | {"rounds": len(times)}
    return taken


def measure_epoch(num_hiddens, rounds):
    """Tokens per second in a training epoch of `RNNModel`, and in the same one in plain torch."""
    train_iter, vocab = d2l.load_data_text(STORY, 32, 35)
    batches, loss = list(train_iter), nn.CrossEntropyLoss()
    num_tokens = sum(Y.numel() for _, Y in batches)
    torch.manual_seed(0)
    net = d2l.RNNModel(nn.RNN(len(vocab), num_hiddens), len(vocab))
    torch.manual_seed(0)
    rnn, linear = nn.RNN(len(vocab), num_hiddens), nn.Linear(num_hiddens, len(vocab))
    params = [*rnn.parameters(), *linear.parameters()]
    optimizer = torch.optim.SGD(params, lr=0.5)

    def our_epoch():
        updater = lambda batch_size: d2l.sgd(net.parameters(), 0.5, batch_size)  # noqa: E731
        return d2l.train_epoch_ch8(net, batches, loss, updater, "cpu", False)

    def plain_epoch():
        start, total, state = time.perf_counter(), 0.0, None
        for X, Y in batches:
            hidden, state = rnn(F.one_hot(X.T, len(vocab)).float(), state)
            mean_loss = loss(linear(hidden.flatten(0, 1)), Y.T.flatten())
            optimizer.zero_grad()
            mean_loss.backward()
            nn.utils.clip_grad_norm_(params, 1)
            optimizer.step()
            state, total = state.detach(), total + mean_loss.item()
        return math.exp(total / len(batches)), num_tokens / (time.perf_counter() - start)

    perplexities = our_epoch()[0], plain_epoch()[0]
    assert math.isclose(*perplexities, rel_tol=1e-3), f"not the same step: {perplexities}"
    ours, plain = interleaved([lambda: our_epoch()[1], lambda: plain_epoch()[1]], rounds)
    return {"d2lmini_tokens_per_s": ours, "torch_tokens_per_s": plain, "ratio": ours / plain}


def seconds_to(goal, net, train_iter, vocab, lr, num_epochs, **recipe):
    """Seconds of training, and the epoch, in which the training perplexity first is at `goal`;
    (None, None) where it never is.

    recipe: `optimizer` and `schedule`, as those of `train_ch8`.
    """
    timer = d2l.Timer()
    for history in d2l.fit(net, train_iter, vocab, lr, num_epochs, prefixes=[], **recipe):
        if history.perplexity <= goal:
            return timer.stop(), history.epoch
    return None, None


def measure_race(rounds):
    """Training speed of every cell at every stage, beside the literal equations and torch.nn.

    {name: {stage: tokens per second}}: batches of 32 texts of 35 letters, 256 hidden units.
    """
    race.keep_freed_memory()
    torch.manual_seed(0)
    X, Y = torch.randint(28, (2, 32, 35))
    races = {name: (cell, 1, False) for name, cell in race.CELLS.items()}
    races["LSTM, 2 layers"] = cells.lstm, 2, False
    races["LSTM, 2 layers, both directions"] = cells.lstm, 2, True
    taken = {}
    for name, (cell, num_layers, bidirectional) in races.items():
        nets = race.runners(cell, 28, 256, num_layers, bidirectional)
        taken[name] = race.tokens_per_second(nets, X, Y, rounds)
    return taken


def time_to_quality(goal, quick=False):
    """Seconds and epochs to a training perplexity, with D2L's recipe and with the course's.

    Both train the same cell, from scratch for D2L's recipe and by hand for the course's, on the
    first 10,000 letters of the course's text. D2L's weights start from N(0, 0.01²) and its biases
    from zero; that recipe was made to be simple, and the course's was tuned.
    """
    train_iter, vocab = d2l.load_data_time_machine(32, 35)
    adam = {"optimizer": torch.optim.Adam, "schedule": lambda done: 1 - done}
    taken = {}
    for name, lr, num_epochs in (("GRU", 0.01, 60), ("LSTM", 0.01, 80)):
        recipes = {
            "D2L": (cells.unroll, 1, 500, {}),
            "course": (by_hand.unroll, lr, num_epochs, adam),
        }
        rows = {}
        for recipe, (unroll, rate, epochs, options) in recipes.items():
            torch.manual_seed(0)
            functions = cells.network(race.CELLS[name], unroll=unroll)
            net = d2l.RNNModelScratch(
                len(vocab), 256, "cpu", *functions, one_hot=unroll is cells.unroll
            )
            if recipe == "D2L":
                for param in net.params:
                    nn.init.normal_(param, 0, 0.01 if param.dim() == 2 else 0)
            epochs = 2 if quick else epochs
            seconds, epoch = seconds_to(goal, net, train_iter, vocab, rate, epochs, **options)
            rows[recipe] = {"seconds": seconds, "epoch": epoch, "epochs": epochs}
        taken[name] = rows
    return taken


def load():
    """How many processes wanted a processor in the last minute; None where nobody counts them."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def main(arguments=None):
    """Measure, print, and write the figures to the file after `--json`: all of it or nothing."""
    parser = argparse.ArgumentParser(description="Measure d2lmini beside plain torch.")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to FILE too")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="draw the race into FILE")
    parser.add_argument("--quick", action="store_true", help="one rough round of everything")
    options = parser.parse_args(arguments)
    rounds, epochs, drags = (1, 3, 2) if options.quick else (9, 160, 20)

    result = {"torch": torch.__version__, "threads": ENVIRONMENT["OMP_NUM_THREADS"]}
    result |= {"processors": os.cpu_count(), "load_before": load()}
    result["import"], result["drawing"] = measure_import(rounds), measure_drawing(epochs)
    run = "import json, bench; print(json.dumps(bench.{}))"
    result["epoch"] = {
        f"RNN, {n} hidden": in_new_process(run.format(f"measure_epoch({n}, {3 * rounds})"))
        for n in (64, 256)
    }
    result["race"] = in_new_process(run.format(f"measure_race({2 * rounds})"))
    result["quality"] = in_new_process(run.format(f"time_to_quality(1.1, {options.quick})"))
    result |= {"slider": measure_slider(drags), "load_after": load()}
    show(result)
    if options.json:
        write_whole(options.json, json.dumps(result, indent=2) + "\n")
    if options.picture:
        race.draw(result["race"]).figure.savefig(options.picture, dpi=200)


def show(result):
    """Print the figures as tables."""
    print("torch {torch}, threads: {threads} of {processors} processors, ".format(**result), end="")
    print("load {load_before} before and {load_after} after\n".format(**result))
    print("import d2lmini: {ratio:.3f} × import torch".format(**result["import"]))
    print("Animator: {share:.2%} of a {training_s:.0f} s training run".format(**result["drawing"]))
    print("one frame of it: {frame_ms:.1f} ms\n".format(**result["drawing"]))
    print("tokens/s in a training epoch    d2lmini       torch   ratio")
    for name, row in result["epoch"].items():
        ours, plain, ratio = row.values()
        print(f"{name:<28}{ours:>11,.0f}{plain:>12,.0f}{ratio:>8.2f}")
    print("\ntokens/s in a training step; by hand against literal and torch.nn")
    rows = result["race"]
    print(f"{'':<32}" + "".join(f"{name:>11}" for name in next(iter(rows.values()))))
    for name, row in rows.items():
        ratios = [row["by hand"] / row[other] for other in ("literal", "torch.nn")]
        speeds = "".join(f"{speed:>11,.0f}" for speed in row.values())
        print(f"{name:<32}{speeds}{ratios[0]:>8.2f}{ratios[1]:>6.2f}")
    print("\nseconds (epochs) to training perplexity 1.1")
    for name, recipes in result["quality"].items():
        for recipe, row in recipes.items():
            reached = (
                "not in {epochs} epochs" if row["epoch"] is None else "{seconds:.1f} ({epoch})"
            )
            print(f"{name:<6}{recipe:<8}{reached.format(**row):>22}")
    print("\nms from a slider's release to the first point, in JupyterLab    median     slowest")
    if result["slider"] is None:
        print("not measured: it needs Chromium")
    for name, row in (result["slider"] or {}).items():
        label = name + " from scratch"
        print(f"{label:<52}{row['median_ms']:>18.0f}{row['slowest_ms']:>12.0f}  of {row['rounds']}")


if __name__ == "__main__":
    main()
