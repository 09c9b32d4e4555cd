"""How `by_hand` holds a sequence: every vector a column, every step one piece of memory.

H_t is (num_hiddens, batch_size), a sequence (num_steps, num_hiddens, batch_size). The gates of a
step then stand below one another, each in one piece, and a CPU multiplies W H sooner than H W.
"""

import torch
from torch.autograd import Function

from .products import room


class Stack(Function):
    """W: the W_h of all gates side by side, below them their W_x, below them their b."""

    @staticmethod
    def forward(ctx, *parts):
        ctx.gates = len(parts) // 3
        ctx.rows = [len(parts[0]), len(parts[ctx.gates]), 1]
        W = room(parts[0], (sum(ctx.rows), ctx.gates * ctx.rows[0]))
        for k, rows in enumerate(W.split(ctx.rows)):
            group = parts[k * ctx.gates : (k + 1) * ctx.gates]
            torch.cat(group, dim=-1, out=rows if k < 2 else rows[0])
        return W

    @staticmethod
    def backward(ctx, G):
        W_h, W_x, b = G.split(ctx.rows)
        b = b[0].clone()  # a part of G would hold all of it
        return *W_h.chunk(ctx.gates, 1), *W_x.chunk(ctx.gates, 1), *b.chunk(ctx.gates)


def begin_with(H, X):
    """S for all steps and one more, and the states in it, of which only the first is there yet.

    H: (num_hiddens, batch_size). X: (num_steps, num_inputs, batch_size).
    """
    n, num_inputs = len(H), X.shape[1]
    S = room(H, (len(X) + 1, n + num_inputs + 1, H.shape[1]))
    S[0, :n], S[:-1, n:-1], S[:, -1] = H, X, 1
    return S, S[:, :n]


def wide(sequence):
    """(num_steps, rows, batch_size), copied to (rows, num_steps * batch_size)."""
    num_steps, rows, batch_size = sequence.shape
    copy = room(sequence, (rows, num_steps, batch_size)).copy_(sequence.transpose(0, 1))
    return copy.flatten(1)


def steps(matrix, like):
    """The steps of a matrix that `wide` has made, or one of its shape, as there are in `like`."""
    return matrix.unflatten(1, (len(like), like.shape[2])).transpose(0, 1)


def backwards(*sequences):
    """Steps of several sequences together, the last step first."""
    return zip(*(reversed(sequence.unbind()) for sequence in sequences))
