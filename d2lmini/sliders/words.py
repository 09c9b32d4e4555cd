"""Runs in words and numbers: beside the button, below the picture, for a screen reader, as CSV."""

import csv
import io
import math
import time

from ..tools import write_whole


def progress(runs):
    """How far the newest runs are, and the time left while they train."""
    if not runs:
        return "Move a slider or press Train"
    going = [run for run in runs if run.state == "training"]
    done = sum(run.epochs_done for run in runs)
    if not going:
        ends = {run.state for run in runs}
        return standing(runs[0]) if len(runs) == 1 else " and ".join(sorted(ends))
    if not done:
        return "starting"
    to_do = sum(run.num_epochs - run.epochs_done for run in going)
    seconds = time.monotonic() - min(run.started for run in runs)
    left = math.ceil(seconds / done * to_do)
    left = f"{left} s" if left < 100 else f"{left / 60:.0f} min"
    epoch, total = max(run.history.epoch for run in going), going[0].num_epochs
    return f"epoch {epoch} of {total}, {left} left"


def standing(run):
    """What has become of one run."""
    done, total = run.history.epoch, run.num_epochs
    if run.state == "finished":
        return f"finished {total} epochs"
    if not done:
        return run.state
    return f"{run.state} at epoch {done} of {total}"


def outcome(run):
    """What a run has reached, and how fast: "train 3.4, validation 8.7, 2.0 s, 45,000 tokens/s"."""
    history = run.history
    if run.state == "failed" or not history.epoch:
        return standing(run)
    said = [] if run.state in ("training", "finished") else [standing(run)]
    if run.state != "diverged":
        said.append(f"train {_number(history.perplexity)}")
        if history.val:
            best = f" (best {_number(min(history.val))})" if len(history.val) > 1 else ""
            said.append(f"validation {_number(history.val[-1])}{best}")
    if history.seconds:
        said.append(f"{history.seconds[-1]:.1f}\u00a0s")
    speed = float(f"{history.speed:.2g}")  # more digits would only flicker
    return ", ".join([*said, f"{speed:,.0f}\u00a0tokens/s"])


def advice(run, vocab_size):
    """A clear word when a run went wrong, else nothing."""
    if run.state == "diverged":
        return f"This run diverged at epoch {run.history.epoch}. Try a lower learning rate."
    if run.state == "finished" and run.history.perplexity > vocab_size:
        return "Worse than a uniform guess. Try another learning rate."
    return f"This run failed. {run.error}" if run.state == "failed" else ""


def _number(perplexity):
    if not perplexity < 1e6:  # NaN too
        return "over a million"
    return f"{perplexity:.1f}" if perplexity < 100 else f"{perplexity:,.0f}"


def sentence(runs):
    """The picture for those who do not see it."""
    if not runs:
        return "Perplexity over epochs: no run yet."
    said = []
    for run in reversed(runs):
        words = (
            outcome(run) if standing(run) in outcome(run) else f"{standing(run)}, {outcome(run)}"
        )
        said.append(f"{run.settings}: {words}")
    earlier = f" Earlier runs: {'; '.join(said[1:])}." if said[1:] else ""
    return f"Perplexity over epochs. {said[0]}.{earlier}"


def save_table(runs, path):
    """Write the runs' settings and results as CSV (UTF-8): all of the file or nothing of it."""
    text = io.StringIO()
    for run in runs:
        history = run.history
        row = {
            **run.choices,
            "hidden size": run.num_hiddens,
            "learning rate": run.lr,
            "epochs": history.epochs[-1] if history.epochs else 0,
            "state": run.state,
            "train perplexity": history.train[-1] if history.train else "",
            "validation perplexity": history.val[-1] if history.val else "",
            "best validation perplexity": min(history.val) if history.val else "",
            "seconds": round(history.seconds[-1], 3) if history.seconds else "",
            "tokens per second": round(history.speed),
        }
        writer = csv.DictWriter(text, list(row))
        if run is runs[0]:
            writer.writeheader()
        writer.writerow(row)
    write_whole(path, text.getvalue())
