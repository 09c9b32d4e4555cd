"""`try_it`: sliders under a training run, which goes on in the background of the notebook."""

import torch
from torch import nn

from ..tools import check_count
from . import background
from .panel import Panel
from .picture import COLOURS
from .run import Recipe


def try_it(
    make_net,
    train_iter,
    vocab,
    *,
    num_hiddens=64,
    lr=1.0,
    num_epochs=50,
    choices=None,
    measure=None,
    val_iter=None,
    optimizer=None,
    schedule=None,
    prefixes=None,
    seed=0,
    device=None,
):
    """Sliders for hidden size and learning rate, with the training runs that they lead to.

    Letting go of a slider trains a new network from the start, and so does the button Train. It
    takes the place of the run that may be under way; earlier curves stay for comparison until
    they are removed. Other cells can be run meanwhile. The button Stop, running the cell again,
    and another `try_it` stop the run; Jupyter's interrupt button does not.

    Every run begins as after `torch.manual_seed(seed)`: the same settings give the same curve. A
    run does not change the random numbers of other cells, nor they its own. Three things draw from
    torch's shared generator all the same: dropout, what `measure` draws, and an iterator of your
    own, unless it has a method `batches(generator)` as the package's loaders have. One moment is
    shared, too: do not move a slider while a cell draws random numbers, for `make_net` draws some.

    make_net: a function of the number of hidden units that builds a network, on `device`.
    num_hiddens, lr: where the sliders start. They reach from 8 to 512 units, and from a hundredth
    of `lr` to ten times `lr`.
    choices: {name: {label: value}}, for each name a menu; `make_net` gets the chosen value as the
    argument `name`. A menu can train all of its choices side by side, an epoch each in turn; the
    first menu starts so.
    measure: a second picture, drawn while it trains: {"function": a function of the network that
    returns xs and ys, "xlabel": ..., "ylabel": ..., "yscale": "linear" or "log"}. The network is
    in evaluation mode.
    optimizer: a function of (params, lr), such as `torch.optim.Adam`.
    The other arguments are those of `train_ch8`.

    Returns an ipywidgets widget; `.runs` are the runs that it shows, each with its `settings`,
    `history` and `net`. Raises ImportError without ipywidgets, and ValueError for a setting that
    no run could use; what fails in a run is shown in the widget.
    """
    if not callable(make_net) or isinstance(make_net, nn.Module):
        raise ValueError("make_net must be a function of num_hiddens that builds a new network")
    if isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError("optimizer must be a function of (params, lr): every run has new params")
    check_count("num_hiddens", num_hiddens)
    check_count("num_epochs", num_epochs)
    if not 1e-9 <= lr <= 1e9:
        raise ValueError(f"lr must be a number from 1e-9 to 1e9, got {lr}")
    choices = choices or {}
    for name, menu in choices.items():
        labelled = isinstance(menu, dict) and all(isinstance(label, str) for label in menu)
        if not labelled or not 0 < len(menu) <= len(COLOURS):
            message = f"choices[{name!r}] must be {{label: value}}, with 1 to {len(COLOURS)} labels"
            raise ValueError(f"{message} that are strings, got {menu!r}")

    background.stop()  # the run of another panel, or of this cell's last one
    recipe = Recipe(
        make_net, train_iter, vocab, num_epochs, choices, measure,
        val_iter, optimizer, schedule, prefixes, seed, device,
    )  # fmt: skip
    return Panel(recipe, num_hiddens, lr)
