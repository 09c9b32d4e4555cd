"""A training run kept in a file, from which it goes on as if nothing had happened.

The file is written by `torch.save` and read with `weights_only=True`, so that nothing in it is
ever executed. Its check sums are compared before anything is taken from it.
"""

import io
import os
import time
import warnings
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from .tools import write_whole

FORMAT = "d2lmini checkpoint, version 2"
SAVE_EVERY = 1.0  # seconds between two checkpoints


class Checkpoint:
    """A file with all that the next epoch depends on.

    settings: {name: words}, what tells this run from another (see `describe`). The weights of
    `net`, the state of `optimizer` (None for plain gradient descent), the `history` and the state
    of torch's random generators are kept.
    """

    def __init__(self, path, settings, net, optimizer, history):
        if not isinstance(path, (str, os.PathLike)):  # open(True) would be the standard output
            raise TypeError(f"checkpoint must be the path of a file, got {path!r}")
        self.path, self.settings = path, settings
        self.net, self.optimizer, self.history = net, optimizer, history
        self.saved = time.monotonic()

    def restore_or_begin(self):
        """Put the run back to where the file has it; without a file, write the first one.

        So a folder that cannot be written to is noticed now, and not after an hour. Raises
        ValueError, and changes nothing, where the file is no whole checkpoint, or one of a run
        with other settings.
        """
        if not os.path.exists(self.path):
            return self._save()
        content = _read(self.path)
        for name, here in self.settings.items():
            there = content["settings"].get(name)
            if there != here:
                raise ValueError(
                    f"checkpoint {self.path} is of another run: {name} was {there} and is now "
                    f"{here}; choose another file, or delete this one to start anew"
                )
        with torch.no_grad():
            for name, tensor in weights(self.net).items():
                tensor.copy_(content["weights"][name])
        if self.optimizer is not None:
            self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["random"])
        if content["random_cuda"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(content["random_cuda"])
        for name, value in content["history"].items():
            setattr(self.history, name, value)

    def save_if_due(self, at_once=False):
        """Write the file if the last time was a second ago, or `at_once`.

        A full disk warns and does not end the run; the old file stays whole.
        """
        if at_once or time.monotonic() - self.saved >= SAVE_EVERY:
            try:
                self._save()
            except OSError as error:
                warnings.warn(f"checkpoint {self.path} was not written: {error}", stacklevel=3)
            self.saved = time.monotonic()

    def _save(self):
        content = {
            "format": FORMAT,
            "settings": self.settings,
            "weights": {name: tensor.detach() for name, tensor in weights(self.net).items()},
            "optimizer": self.optimizer and self.optimizer.state_dict(),
            "history": asdict(self.history),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        }
        file = io.BytesIO()
        torch.save(content, file)
        write_whole(self.path, file.getvalue())


def _read(path):
    file = io.BytesIO(Path(path).read_bytes())  # an OSError from here on is one of the content
    try:
        if zipfile.ZipFile(file).testzip() is not None:
            raise ValueError("a check sum is wrong")
        file.seek(0)
        content = torch.load(file, map_location="cpu", weights_only=True)
        found = content["format"]
    except Exception as error:  # torch has a dozen kinds for a broken file
        raise ValueError(
            f"checkpoint {path} is not a whole checkpoint of d2lmini; choose another file, or "
            "delete this one to start anew"
        ) from error
    if found != FORMAT:
        raise ValueError(f"checkpoint {path} must be a {FORMAT}, got {found}")
    return content


def describe(net, optimizer, vocab, train_iter, val_iter, rates, **given):
    """The settings of a run in words, by name: what must be the same for it to go on.

    rates: the factor of the learning rate in every epoch, or None.
    """
    tensors = ", ".join(f"{n} {t.dtype} {tuple(t.shape)}" for n, t in weights(net).items())
    layers = repr(net) if isinstance(net, nn.Module) else ""
    unset = {"params"} if rates is None else {"params", "lr", "initial_lr"}
    groups = [
        {name: value for name, value in group.items() if name not in unset}
        for group in getattr(optimizer, "param_groups", [])
    ]
    return {name: str(value) for name, value in given.items()} | {
        "the schedule's check sum": rates and check_sum(rates),
        "the text": describe_loader(train_iter),
        "the validation text": describe_loader(val_iter),
        "the vocabulary's check sum": check_sum(list(getattr(vocab, "idx_to_token", vocab))),
        "the optimizer": f"{type(optimizer).__name__} {groups}",
        "the network": f"{type(net).__name__} {layers} with {tensors}",
    }


def describe_loader(loader):
    """What a loader can be told by, in words."""
    if loader is None:
        return None
    names = ("batch_size", "num_steps", "use_random_iter")
    known = ", ".join(f"{name}={getattr(loader, name, None)}" for name in names)
    corpus = torch.as_tensor(getattr(loader, "corpus", ())).tolist()
    return f"{type(loader).__name__} with {known}, check sum {check_sum(corpus)}"


def check_sum(content):
    """A number that is another for another content."""
    return zlib.crc32(repr(content).encode())


def weights(net):
    """All tensors of a network that a run changes, by name."""
    if isinstance(net, nn.Module):
        state = net.state_dict(keep_vars=True)
        return {name: part for name, part in state.items() if isinstance(part, torch.Tensor)}
    return {str(k): param for k, param in enumerate(net.params)}
