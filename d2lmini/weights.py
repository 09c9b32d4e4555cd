"""The weights of networks from scratch and of `torch.nn`, side by side: to copy, and to compare.

`torch.nn` keeps the matrices of all gates in one, transposed, in an order of its own, and has two
biases wherever the equations have one.
"""

import torch
from torch import nn

from .cells import LETTERS, gru, lstm, rnn

# The gates' letters in the order of our parameters, and in that of torch.nn.
ORDERS = {
    nn.RNN: (LETTERS[rnn], "h"),
    nn.GRU: (LETTERS[gru], "rzh"),
    nn.LSTM: (LETTERS[lstm], "ifco"),
}


def copy_weights(source, target):
    """Copy all weights from a network from scratch to one of `torch.nn`, or back.

    One of the two is an `RNNModelScratch`, or a list of parameters in the order that
    `d2lmini.cells` describes; the other is an `RNNModel`, or an `nn.RNN`, `nn.GRU` or `nn.LSTM`.
    Where `torch.nn` has two biases, ours goes into the first and zeros into the second; on the
    way back they are added. Only the candidate of a GRU that resets after the product needs
    both, as b_h and b_hh.

    Equal weights are not always equal networks: those of `cells.gru`, which resets before the
    product, fit into an `nn.GRU`, which then computes something else.

    Raises ValueError where number or shapes of the parameters do not fit.
    """
    there = isinstance(target, nn.Module)
    scratch, concise = (source, target) if there else (target, source)
    with torch.no_grad():
        for _, ours, its, second, view in _match(scratch, concise):
            if there:
                view(its).copy_(ours)
                if second is not None:
                    view(second).zero_()
            else:
                ours.copy_(view(its) if second is None else view(its) + view(second))


def compare_gradients(scratch, concise):
    """The gradients of two networks with equal weights: a dictionary {name: (ours, its)}.

    The arguments are those of `copy_weights`; call `backward` on both networks first. Both
    tensors of a pair have the shape of the parameter from scratch. Of two biases that are only
    ever added, the gradients are the same, and the first is taken. A network of several cells
    has the cell's number behind each name, counted layer by layer and direction by direction.
    """
    matches = _match(scratch, concise)
    if any(ours.grad is None or its.grad is None for _, ours, its, _, _ in matches):
        raise ValueError("both networks must have gradients: call backward on the loss of each")
    return {name: (ours.grad, view(its.grad)) for name, ours, its, _, view in matches}


def _match(scratch, concise):
    """For each of our parameters: name, tensor, torch.nn's tensor, its second bias or None, and
    the view that shows the same numbers in torch.nn's as ours."""
    params = getattr(scratch, "params", scratch)
    layer, linear = getattr(concise, "rnn", concise), getattr(concise, "linear", None)
    if isinstance(params, nn.Module) or not isinstance(layer, tuple(ORDERS)) or layer.proj_size:
        kinds = [type(network).__name__ for network in (scratch, layer)]
        raise ValueError(
            "one network must be from scratch, the other an RNNModel or an nn.RNN, nn.GRU or "
            f"nn.LSTM without proj_size; got {kinds[0]} and {kinds[1]}"
        )
    ends = ["", "_reverse"] if layer.bidirectional else [""]
    cells = [f"_l{k}{end}" for k in range(layer.num_layers) for end in ends]
    ours, its = _orders(layer)
    size = layer.hidden_size
    plain = len(cells) * len(ours) * (3 if layer.bias else 2) + (2 if linear is not None else 0)
    has_b_hh = isinstance(layer, nn.GRU) and layer.bias and len(params) == plain + len(cells)
    has_b_hh = has_b_hh and params[len(ours) * 3].dim() == 1  # and no surplus output layer

    places = []
    for number, cell in enumerate(cells, 1):
        mark = f" of cell {number}" if len(cells) > 1 else ""
        for letter in ours:
            view = _gate(its.index(letter), size)
            for kind, name in (("W_x", "weight_ih"), ("W_h", "weight_hh")):
                places.append((kind + letter + mark, getattr(layer, name + cell), None, view))
            if layer.bias:
                first, second = getattr(layer, "bias_ih" + cell), getattr(layer, "bias_hh" + cell)
                alone = has_b_hh and letter == "h"
                places.append(("b_" + letter + mark, first, None if alone else second, view))
                if alone:
                    places.append(("b_hh" + mark, second, None, view))
    if linear is not None:
        places.append(("W_hq", linear.weight, None, lambda weight: weight.T))
        places.append(("b_q", linear.bias, None, lambda bias: bias))

    names = [name for name, *_ in places]
    if len(params) != len(places):
        raise ValueError(
            f"the network from scratch must have {len(names)} parameters, "
            f"{', '.join(names)}; got {len(params)}"
        )
    for param, (name, tensor, _, view) in zip(params, places):
        if param.shape != view(tensor).shape:
            raise ValueError(
                f"{name} must have the shape {tuple(view(tensor).shape)}, got {tuple(param.shape)}"
            )
    return [(name, param, *rest) for param, (name, *rest) in zip(params, places)]


def _orders(layer):
    return next(orders for kind, orders in ORDERS.items() if isinstance(layer, kind))


def _gate(number, size):
    """The view of one gate in torch.nn's stacked tensors, as wide as our parameters."""
    return lambda stacked: stacked[number * size : (number + 1) * size].t()  # a bias stays
