"""Which way of computing the same network trains fastest? The race of lesson 14.

The runners take turns, one training step each, so that a busy moment hits all of them, and the
median step counts. Ratios carry over to a similar machine; tokens per second do not.
"""

import statistics

import torch
from torch import nn

from . import by_hand, cells, readable
from .models import RNNModel, RNNModelScratch
from .plotting import set_figsize
from .tools import Timer
from .training import grad_clipping, parameters, sgd
from .weights import copy_weights

STAGES = {"literal": cells.unroll, "readable": readable.unroll, "by hand": by_hand.unroll}
CELLS = {
    "RNN": cells.rnn,
    "GRU": cells.gru,
    "GRU, reset after": cells.gru_reset_after,
    "LSTM": cells.lstm,
}
# The only GRU of torch.nn resets after the product. It runs beside both of ours.
IN_TORCH_NN = {
    cells.rnn: nn.RNN,
    cells.gru: nn.GRU,
    cells.gru_reset_after: nn.GRU,
    cells.lstm: nn.LSTM,
}


def runners(cell, vocab_size=28, num_hiddens=256, num_layers=1, bidirectional=False, device="cpu"):
    """The same model at every stage, and around the layer of `torch.nn`: {name: network}.

    All have the same weights and compute the same, except `cells.gru`, which torch.nn has not.
    ValueError for a cell that is not in the race.
    """
    readable.check_cell(cell, IN_TORCH_NN)
    layer = IN_TORCH_NN[cell](vocab_size, num_hiddens, num_layers, bidirectional=bidirectional)
    nets = {}
    for name, unroll in STAGES.items():
        functions = cells.network(cell, num_layers, bidirectional, unroll=unroll)
        one_hot = unroll is cells.unroll
        net = RNNModelScratch(vocab_size, num_hiddens, device, *functions, one_hot=one_hot)
        nets[name] = net
        literal = nets["literal"].params
        net.params = [param.detach().clone().requires_grad_() for param in literal]
    nets["torch.nn"] = RNNModel(layer, vocab_size).to(device)
    copy_weights(nets["literal"], nets["torch.nn"])
    return nets


def keep_freed_memory():
    """Let this process keep the memory that a training step frees, for the next step.

    The C library of most Linux systems, glibc, gives large freed blocks back to the system. Every
    step then asks for fresh memory, and the system has to fill each page of it with zeros. glibc
    keeps blocks up to the size of the largest that it has seen freed (M_MMAP_THRESHOLD in
    mallopt(3)). So one large block, of which no byte is used, changes this until the process
    ends. With another C library nothing happens.
    """
    torch.empty(30 * 2**20, dtype=torch.uint8, device="cpu")


def tokens_per_second(nets, X, Y, rounds=20):
    """The training speed of several networks on one batch, {name: tokens per second}.

    A step is all of it: forward, loss, backward, clipping, an update by gradient descent.
    """
    times = {name: [] for name in nets}
    for _ in range(rounds + 2):  # the first two turns do not count
        for name, net in nets.items():
            times[name].append(_step(net, X, Y))
    return {name: Y.numel() / statistics.median(times[name][2:]) for name in nets}


def _step(net, X, Y):
    timer = Timer()
    logits, _ = net(X, net.begin_state(batch_size=len(X), device=X.device))
    nn.functional.cross_entropy(logits, Y.T.reshape(-1)).backward()
    grad_clipping(net, 1)
    sgd(parameters(net), 0.1, 1)
    if X.device.type == "cuda":  # it has only been told what to do
        torch.cuda.synchronize(X.device)
    return timer.stop()


def draw(speeds):
    """A bar chart of {cell: {stage: tokens per second}}: how many times as fast as the literal."""
    import matplotlib.pyplot as plt

    stages = list(next(iter(speeds.values())))
    height = 0.8 / len(stages)
    set_figsize((7.2, 0.9 + 0.6 * len(speeds)))
    _, axes = plt.subplots(layout="constrained")
    for k, stage in enumerate(stages):
        ratios = [row[stage] / row[stages[0]] for row in speeds.values()]
        places = [place + k * height for place in range(len(speeds))]
        bars = axes.barh(places, ratios, 0.9 * height, label=stage)
        axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, fontsize=8)
    axes.set_yticks([place + 1.5 * height for place in range(len(speeds))], list(speeds))
    axes.invert_yaxis()
    axes.set_xlabel(f"training speed ({stages[0]} = 1)")
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return axes
