"""What a training run leaves behind."""

import math
from dataclasses import dataclass, field

from .plotting import plot


@dataclass
class History:
    """What a run left behind. The lists have an entry for about fifty of its epochs.

    `epochs`: their numbers. `seconds`: training time so far, without validation, sampling and
    plotting. `train`, `val`: perplexities. `samples`: texts written from the first prefix.
    """

    num_epochs: int
    epochs: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    train: list = field(default_factory=list)
    val: list = field(default_factory=list)
    samples: list = field(default_factory=list)
    epoch: int = 0
    perplexity: float = math.nan
    training_seconds: float = 0.0
    num_tokens: float = 0.0
    diverged: bool = False

    @property
    def speed(self):
        """Tokens per second, over the whole run."""
        return self.num_tokens / self.training_seconds if self.training_seconds else 0.0

    def is_recorded(self, epoch):
        """Whether an epoch gets an entry in the lists: about fifty do, the first and last too."""
        return epoch in (1, self.num_epochs) or epoch % max(1, self.num_epochs // 50) == 0

    def record(self, perplexity, seconds, num_tokens, diverged, entry=None):
        """Add an epoch. entry: its validation perplexity and sample, each in a list of one or none.

        Everything changes at once: a run that is interrupted has curves of equal length.
        """
        self.epoch, self.perplexity, self.diverged = self.epoch + 1, perplexity, diverged
        self.training_seconds += seconds
        self.num_tokens += num_tokens
        if entry is not None:
            val, samples = entry
            self.epochs.append(self.epoch)
            self.seconds.append(self.training_seconds)
            self.train.append(perplexity)
            self.val += val
            self.samples += samples

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
