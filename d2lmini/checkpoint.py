"""Where a training run stands, kept in a file, from which it goes on as if nothing had happened.

The file is one that `torch.save` writes; it is read with `weights_only=True`, so that nothing in
it is ever run, and only whole: its check sums are compared before anything is taken from it.
"""

import io
import os
import zipfile
import zlib
from dataclasses import asdict

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
    }
    file = io.BytesIO()
    torch.save(content, file)
    write_whole(path, file.getvalue())


def load(path, settings, net, updater):
    """Put a run back to where `save` saw it, and return its progress; None without a file.

    Raises ValueError, and changes nothing, where the file is no whole checkpoint, or one of a run
    with other settings.
    """
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
    if content["optimizer"] is not None:
        updater.load_state_dict(content["optimizer"])
    with torch.no_grad():
        for name, tensor in weights(net).items():
            tensor.copy_(content["weights"][name])
    torch.set_rng_state(content["random"])
    if content["random_cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(content["random_cuda"])
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
            f"checkpoint {path} is not a whole checkpoint of d2lmini ({error}); "
            "choose another file, or delete this one to start anew"
        ) from error
    if found != FORMAT:
        raise ValueError(f"checkpoint {path} must be a {FORMAT}, got {found}")
    return content


def describe(net, train_iter, vocab, updater, **given):
    """The settings of a run by their names: what must be the same for it to go on."""
    tensors = ", ".join(f"{t.dtype} {tuple(t.shape)}" for t in weights(net).values())
    loader = {
        name: getattr(train_iter, name, None)
        for name in ("batch_size", "num_steps", "use_random_iter")
    }
    tokens = list(getattr(vocab, "idx_to_token", vocab))
    corpus = getattr(train_iter, "corpus", None)
    if corpus is not None:
        corpus = torch.as_tensor(corpus).cpu().numpy().tobytes()
    settings = {
        **given,
        **{f"the loader's {name}": value for name, value in loader.items()},
        "the text's check sum": corpus and zlib.crc32(corpus),
        "the vocabulary's check sum": zlib.crc32(repr(tokens).encode()),
        "the optimizer": type(updater).__name__,
        "the network": f"{type(net).__name__} with {tensors}",
    }
    return {  # plain numbers, not NumPy's, which weights_only does not read
        name: value.item() if hasattr(value, "item") else value for name, value in settings.items()
    }


def weights(net):
    """All tensors of a network that a run changes, by name."""
    if isinstance(net, nn.Module):
        return net.state_dict(keep_vars=True)
    return {str(k): param for k, param in enumerate(net.params)}
