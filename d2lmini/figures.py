r"""The pictures of the lessons: what a batch is made of, a network at work.

Each draws on pyplot's current figure in the course's style: white ground, so that it can be read
on a dark page, and colours that colour-blind readers can tell apart.
"""

import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle

from .plotting import set_figsize

ROWS = ("#9ecae9", "#fdc287", "#a8dcc3", "#e3b8d3")  # tints of the course's palette, under black
INK = "#222222"


def show_batches(text, data_iter, num_batches=4):
    """Which characters of a text stand in which minibatch, one line for each batch.

    data_iter: an iterator over `range(len(text))`, so that its X are positions in the text:
    `show_batches(text, d2l.seq_data_iter_random(range(len(text)), 2, 6))`. Each row of a batch
    has a colour of its own.
    """
    batches = [X.tolist() for X, _ in data_iter][:num_batches]
    set_figsize((7.2, 0.42 * len(batches) + 0.2))
    _, axes = plt.subplots()
    for line, rows in enumerate(batches):
        for position, character in enumerate(text):
            used = [row for row, positions in enumerate(rows) if position in positions]
            colour = ROWS[used[0] % len(ROWS)] if used else "none"
            axes.add_patch(Rectangle((position, line), 1, 0.8, color=colour, linewidth=0))
            axes.text(
                position + 0.5, line + 0.42, character, ha="center", va="center",
                family="monospace", size=9, color=INK if used else "#999999",
            )  # fmt: skip
        axes.text(-0.7, line + 0.42, f"batch {line + 1}", ha="right", va="center", size=9)
    axes.set(xlim=(0, len(text)), ylim=(len(batches), -0.1))
    axes.axis("off")


def show_over_text(values, text, labels, limits=(-1, 1), name=""):
    """A heatmap over readable text: one column for each character, one row for each label.

    values: (len(labels), len(text)).
    limits: the values at the two ends of the colour scale. From -1 to 1 it runs from purple over
    white to orange; from 0 upwards, from white to orange.
    name: what the colours mean, written beside the scale.
    """
    values = torch.as_tensor(values).detach().cpu()
    if values.shape != (len(labels), len(text)):
        raise ValueError(
            f"values must have the shape (len(labels), len(text)) = "
            f"({len(labels)}, {len(text)}), got {tuple(values.shape)}"
        )
    set_figsize((7.2, 0.28 * len(labels) + 0.9))
    _, axes = plt.subplots(layout="constrained")
    colours = "PuOr_r" if limits[0] < 0 else "Oranges"
    low, high = limits
    picture = axes.imshow(
        values.numpy(), cmap=colours, vmin=low, vmax=high, aspect="auto", interpolation="nearest"
    )
    letters = ["␣" if letter == " " else letter for letter in text]
    axes.set_xticks(range(len(text)), letters, family="monospace", size=9)
    axes.set_yticks(range(len(labels)), labels, size=8)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.figure.colorbar(picture, ax=axes, pad=0.01, label=name)


def show_difference(found, expected, name):
    """Your values, the right ones, and the difference, as three heatmaps side by side."""
    parts = {"yours": found, "right": expected, "yours - right": found - expected}
    low_high = max(part.detach().abs().nan_to_num().max().item() for part in parts.values()) or 1.0
    set_figsize((7.2, 2.4))
    figure, axes = plt.subplots(1, 3, layout="constrained")
    for ax, (title, part) in zip(axes, parts.items()):
        picture = ax.imshow(
            part.detach().numpy(), cmap="PuOr_r", vmin=-low_high, vmax=low_high,
            aspect="auto", interpolation="nearest",
        )  # fmt: skip
        ax.set(title=title, xlabel="column")
        ax.grid(False)
    axes[0].set_ylabel(f"row of {name}")
    figure.colorbar(picture, ax=axes, pad=0.01)
    plt.show()
