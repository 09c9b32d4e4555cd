"""What a training run leaves behind."""

import math
from dataclasses import dataclass, field

from .plotting import plot


@dataclass
class History:
    """What a run left behind: one entry for each recorded epoch, about fifty in all.

    `seconds` is training time so far, without validation, sampling and plotting; `train`
    and `val` are perplexities; `samples` are texts written from the first prefix.
    """

    num_epochs: int
    epochs: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    train: list = field(default_factory=list)
    val: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    epoch: int = 0
    perplexity: float = math.nan
    speed: float = 0.0  # tokens per second, over the whole run
    diverged: bool = False

    def __repr__(self):
        val = f", validation {self.val[-1]:.4g}" if self.val else ""
        end = f"diverged at epoch {self.epoch}" if self.diverged else f"{self.epoch} epochs"
        return f"History({end}, perplexity {self.perplexity:.4g}{val}, {self.speed:.0f} tokens/sec)"

    def plot(self, **kwargs):
        """Draw perplexity over epochs; keywords go to `d2lmini.plot`."""
        curves = {"train": self.train, "validation": self.val}
        curves = {name: values for name, values in curves.items() if values}
        defaults = {"xlabel": "epoch", "ylabel": "perplexity", "yscale": "log"}
        plot(self.epochs, list(curves.values()), legend=list(curves), **{**defaults, **kwargs})
