"""How fast d2lmini is on this machine, next to plain torch:  python -m d2lmini.bench

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

import torch
from torch import nn
from torch.nn import functional as F

from d2lmini import (
    RNNModel,
    RNNModelScratch,
    by_hand,
    cells,
    load_data_text,
    race,
    sgd,
    train_epoch_ch8,
)
from d2lmini.text import BUNDLED
from d2lmini.tools import Timer, write_whole

STORY = str(BUNDLED["time_machine"])  # always at hand, and the same everywhere
PACKAGES = str(Path(__file__).resolve().parent.parent)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": PACKAGES}

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
# A panel as in lesson 01 or 05: trained from scratch, validated, with 64 hidden units.
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

    None where there is no JupyterLab, playwright or Chromium.
    """
    try:
        import jupyterlab as _  # noqa: F401
        import nbformat
        import playwright  # noqa: F401
        from browser import find_chromium, jupyterlab, time_to_first_point
    except ImportError:
        return None
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


def measure_loader(rounds):
    """The share of a training step, GRU by hand, that its batch takes to come from the loader."""
    train_iter, vocab = load_data_text(STORY, 32, 35)
    functions = cells.network(cells.gru, unroll=by_hand.unroll)
    net = RNNModelScratch(len(vocab), 256, "cpu", *functions)
    updater, loss = lambda batch_size: sgd(net.params, 0.5, batch_size), nn.CrossEntropyLoss()

    def timed(action):
        timer = Timer()
        action()
        return timer.stop()

    loading, training = interleaved(
        [
            lambda: timed(lambda: list(train_iter)),
            lambda: timed(lambda: train_epoch_ch8(net, train_iter, loss, updater, "cpu", False)),
        ],
        rounds,
    )
    return {"epoch_s": training, "loader_s": loading, "share": loading / training}


def measure_epoch(num_hiddens, rounds):
    """Tokens per second in a training epoch of `RNNModel`, and in the same one in plain torch."""
    train_iter, vocab = load_data_text(STORY, 32, 35)
    batches, loss = list(train_iter), nn.CrossEntropyLoss()
    num_tokens = sum(Y.numel() for _, Y in batches)
    torch.manual_seed(0)
    net = RNNModel(nn.RNN(len(vocab), num_hiddens), len(vocab))
    torch.manual_seed(0)
    rnn, linear = nn.RNN(len(vocab), num_hiddens), nn.Linear(num_hiddens, len(vocab))
    params = [*rnn.parameters(), *linear.parameters()]
    optimizer = torch.optim.SGD(params, lr=0.5)

    def our_epoch():
        updater = lambda batch_size: sgd(net.parameters(), 0.5, batch_size)  # noqa: E731
        return train_epoch_ch8(net, batches, loss, updater, "cpu", False)

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


def load():
    """How many processes wanted a processor in the last minute; None where nobody counts them."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def main(arguments=None):
    """Measure, print, and write the figures to the file after `--json`: all of it or nothing."""
    parser = argparse.ArgumentParser(prog="python -m d2lmini.bench")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures to FILE too")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="draw the race into FILE")
    parser.add_argument("--quick", action="store_true", help="one rough round of everything")
    options = parser.parse_args(arguments)
    rounds, epochs, drags = (1, 3, 2) if options.quick else (9, 160, 20)

    result = {"torch": torch.__version__, "threads": ENVIRONMENT["OMP_NUM_THREADS"]}
    result |= {"processors": os.cpu_count(), "load_before": load()}
    result["import"], result["drawing"] = measure_import(rounds), measure_drawing(epochs)
    code = "import json; from d2lmini import bench, race; print(json.dumps({}))"
    result["epoch"] = {
        f"RNN, {n} hidden": in_new_process(code.format(f"bench.measure_epoch({n}, {3 * rounds})"))
        for n in (64, 256)
    }
    result["loader"] = in_new_process(code.format(f"bench.measure_loader({3 * rounds})"))
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    result["race"] = {
        device: in_new_process(code.format(f"race.run_all({2 * rounds}, {device!r})"))
        for device in devices
    }
    result["quality"] = in_new_process(code.format(f"race.time_to_quality(1.1, {options.quick})"))
    result |= {"slider": measure_slider(drags), "load_after": load()}
    show(result)
    if options.json:
        write_whole(options.json, json.dumps(result, indent=2) + "\n")
    if options.picture:
        race.draw(result["race"]["cpu"]).figure.savefig(options.picture, dpi=200)


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
    print("the loader: {share:.2%} of an epoch, GRU by hand".format(**result["loader"]))
    for device, rows in result["race"].items():
        print(f"\ntokens/s in a training step on {device}; by hand against literal and torch.nn")
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
        print("not measured: it needs JupyterLab, playwright and Chromium")
    for name, row in (result["slider"] or {}).items():
        label = name + " from scratch"
        print(f"{label:<52}{row['median_ms']:>18.0f}{row['slowest_ms']:>12.0f}  of {row['rounds']}")


if __name__ == "__main__":
    main()
