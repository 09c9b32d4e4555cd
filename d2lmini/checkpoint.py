"""Where a training run stands, kept in a file, from which it goes on as if nothing had happened.

The file is one that `torch.save` writes; it is read with `weights_only=True`, so that nothing in
it is ever run, and only whole: its check sums are compared before anything is taken from it.
"""

import io
import os
import random
import zipfile
import zlib
from dataclasses import asdict

import numpy
import torch
from torch import nn

from .history import History
from .tools import write_whole

FORMAT = "d2lmini checkpoint, version 1"


def save(path, settings, net, updater, progress):
    """Write all that the next epoch depends on, or leave the old file as it is.

    settings: what tells this run from another, by name.
    progress: the `History`, and how many seconds and tokens the training has taken.
    """
    history, seconds, num_tokens = progress
    is_optimizer = isinstance(updater, torch.optim.Optimizer)
    content = {
        "format": FORMAT,
        "settings": settings,
        "weights": {name: tensor.detach() for name, tensor in weights(net).items()},
        "optimizer": updater.state_dict() if is_optimizer else None,
        "progress": (asdict(history), seconds, num_tokens),
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "random_python": random.getstate(),
        "random_numpy": numpy.random.get_state(),
    }
    file = io.BytesIO()
    torch.save(plain(content), file)
    write_whole(path, file.getvalue())


def load(path, settings, net, updater):
    """Put a run back to where `save` saw it, and return its progress; None without a file.

    Raises ValueError, and changes nothing, where the file is no whole checkpoint, or one of a run
    with other settings.
    """
    if not isinstance(path, (str, os.PathLike)):  # open(True) would be the standard output
        raise TypeError(f"checkpoint must be the path of a file, got {path!r}")
    if not os.path.exists(path):
        return None
    content = _read(path)
    for name, here in settings.items():
        there = content["settings"].get(name)
        if there != here:
            raise ValueError(
                f"checkpoint {path} is of another run: {name} was {there} and is now {here}; "
                "choose another file, or delete this one to start anew"
            )
    with torch.no_grad():
        for name, tensor in weights(net).items():
            tensor.copy_(content["weights"][name])
    if content["optimizer"] is not None:
        updater.load_state_dict(content["optimizer"])
    torch.set_rng_state(content["random"])
    if content["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(content["random_cuda"])
    random.setstate(content["random_python"])
    numpy.random.set_state(content["random_numpy"])
    history, seconds, num_tokens = content["progress"]
    return History(**history), seconds, num_tokens


def _read(path):
    try:
        with open(path, "rb") as file:
            if zipfile.ZipFile(file).testzip() is not None:
                raise ValueError("a check sum is wrong")
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True)
        found = content["format"]
    except OSError:
        raise
    except Exception as error:  # torch has a dozen kinds for a broken file
        raise ValueError(
            f"checkpoint {path} is not a whole checkpoint of d2lmini; choose another file, or "
            "delete this one to start anew"
        ) from error
    if found != FORMAT:
        raise ValueError(f"checkpoint {path} must be a {FORMAT}, got {found}")
    return content


def describe(net, updater, vocab, train_iter, val_iter, rates, **given):
    """The settings of a run by their names: what must be the same for it to go on.

    rates: the factor of the learning rate in every epoch, or None.
    """
    tensors = ", ".join(f"{n} {t.dtype} {tuple(t.shape)}" for n, t in weights(net).items())
    layers = repr(net) if isinstance(net, nn.Module) else ""
    groups = getattr(updater, "param_groups", [])
    unset = {"params"} if rates is None else {"params", "lr", "initial_lr"}
    groups = [{k: v for k, v in group.items() if k not in unset} for group in groups]
    return plain(
        {
            **given,
            "the schedule's check sum": rates and check_sum(rates),
            "the text": describe_loader(train_iter),
            "the validation text": describe_loader(val_iter),
            "the vocabulary's check sum": check_sum(list(getattr(vocab, "idx_to_token", vocab))),
            "the optimizer": f"{type(updater).__name__} {plain(groups)}",
            "the network": f"{type(net).__name__} {layers} with {tensors}",
        }
    )


def describe_loader(loader):
    """What a loader can be told by, in words."""
    if loader is None:
        return None
    names = ("batch_size", "num_steps", "use_random_iter")
    known = ", ".join(f"{name}={plain(getattr(loader, name, None))}" for name in names)
    corpus = getattr(loader, "corpus", ())
    corpus = corpus.tolist() if hasattr(corpus, "tolist") else list(corpus)
    return f"{type(loader).__name__} with {known}, check sum {check_sum(corpus)}"


def check_sum(content):
    """A number that is another for another content."""
    return zlib.crc32(repr(content).encode())


def plain(content):
    """The same without NumPy's numbers, which weights_only does not read."""
    if isinstance(content, dict):
        return {name: plain(part) for name, part in content.items()}
    if isinstance(content, (list, tuple)):
        return type(content)(map(plain, content))
    if isinstance(content, numpy.ndarray):
        return torch.as_tensor(content.astype("int64")) if content.dtype.kind in "iu" else content
    if isinstance(content, numpy.generic):
        return content.item()
    return content


def weights(net):
    """All tensors of a network that a run changes, by name."""
    if isinstance(net, nn.Module):
        state = net.state_dict(keep_vars=True)
        return {name: part for name, part in state.items() if isinstance(part, torch.Tensor)}
    return {str(k): param for k, param in enumerate(net.params)}
