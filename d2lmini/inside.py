"""Looking inside a network: what its gates do at every letter, and how far back a loss reaches."""

import torch
from torch.nn import functional as F

from .models import first_state


def trace(cell, inputs, state, params):
    """Read step by step and keep everything: a dictionary {letter: values}.

    cell: a function (X, state, params) that returns the state and a dictionary of gates, as those
    of `d2lmini.cells`. inputs: (num_steps, batch_size, num_inputs).

    The letters are H, C for a cell that has one, and those of the gates; each value has the shape
    (num_steps, batch_size, num_hiddens) and no gradient.
    """
    seen = []
    with torch.no_grad():
        for X in inputs:
            state, gates = cell(X, state, params)
            seen.append(dict(zip("HC", state)) | gates)
    return {letter: torch.stack([step[letter] for step in seen]) for letter in seen[0]}


def gradient_reach(net, X, Y):
    r"""How strongly the loss of the last letter depends on the state k steps before it.

    net: a model as in `d2lmini.models`; X, Y: indices, (batch_size, num_steps).

    Returns the mean over the texts of ‖∂loss/∂state‖, for k = 1, ..., num_steps: a tensor of shape
    (num_steps,). The loss is the cross-entropy of the last step alone. The state is the whole
    state: all layers, and for an LSTM both H and C, because the loss reaches back through either.
    It vanishes or explodes geometrically (Bengio, Simard and Frasconi, 1994).

    Raises ValueError for a network that reads in both directions: it cannot go letter by letter.
    """
    if getattr(net, "num_directions", 1) == 2:
        raise ValueError("net must read in one direction: the other begins with letters to come")
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):  # it would want net.train
        states, loss = _read_letter_by_letter(net, X, Y)
        grads = torch.autograd.grad(loss, [part for parts in states for part in parts])
    width = len(states[0])
    steps = [grads[t : t + width] for t in range(0, len(grads), width)]
    # The texts are in the last dimension but one: (batch, h), or (layers, batch, h).
    # In double precision, since the square of a small gradient is 0 in single precision.
    squares = [
        sum((g.double() ** 2).sum(-1).reshape(-1, g.shape[-2]).sum(0) for g in step)
        for step in steps
    ]
    return torch.stack([square.sqrt().mean() for square in squares]).flip(0).to(loss.dtype)


def _read_letter_by_letter(net, X, Y):
    """The parts of the state before each letter, and the loss at the last one."""
    states, state = [], first_state(net, X.shape[0], X.device)
    for t in range(X.shape[1]):
        parts = [state] if isinstance(state, torch.Tensor) else list(state)
        if t == 0:  # so that the first state, a constant, has a gradient too
            parts = [part.requires_grad_() for part in parts]
            state = parts[0] if isinstance(state, torch.Tensor) else tuple(parts)
        states.append(parts)
        logits, state = net(X[:, t : t + 1], state)
    return states, F.cross_entropy(logits, Y[:, -1].long(), reduction="sum")
