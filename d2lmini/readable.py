r"""The same cells, readable and fast: four changes to the order of the work, none to the result.

1. A one-hot vector times a matrix is a row of the matrix. Tokens are looked up, not multiplied.
2. No input waits for a state: all steps' inputs are projected at once, before the loop.
3. The matrices of all gates stand side by side in one, so that a step is one product.
4. The gradient of W_h is a sum over the steps of H_{t-1}ᵀ D_t. Put below one another, the steps
   make two tall matrices, and the sum is one product of them (`OneWeightGradient`).

    functions = cells.network(cells.gru, unroll=readable.unroll)
    net = d2l.RNNModelScratch(28, 256, device, *functions, one_hot=False)

The parameters are those of `d2lmini.cells`, one by one. They are put side by side anew in every
pass, which costs little beside the pass itself.
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from . import cells
from .products import product


def unroll(cell, inputs, state, params):
    """As `cells.unroll`: H after every step, (num_steps, batch_size, num_hiddens), and the state.

    cell: `rnn`, `gru`, `gru_reset_after` or `lstm` of `d2lmini.cells`.
    inputs: vectors, (num_steps, batch_size, num_inputs), or tokens, (num_steps, batch_size).

    There is no second derivative. ValueError for another cell, and where inputs, state and params
    do not fit.
    """
    check_cell(cell, LOOPS)
    W_x, b, W_h = (torch.cat(parts, dim=-1) for parts in by_gate(cell, params))
    check_shapes(inputs, state, W_x, W_h)
    state = [part.clone() for part in state]  # the caller may change the first state in place
    return LOOPS[cell](project(inputs, W_x, b), state, W_h)


def project(inputs, W_x, b):
    """X_t W_x + b for all steps at once: (num_steps, batch_size, columns)."""
    if inputs.dim() == 2:  # tokens: b is added to every row of W_x before they are looked up
        return F.embedding(inputs, W_x + b)
    return torch.addmm(b, inputs.flatten(0, 1), W_x).unflatten(0, inputs.shape[:2])


class OneWeightGradient(Function):
    """Passes the projected inputs on, and gives W_h its gradient in one product on the way back.

    What arrives here on the way back is D, the gradient at every step's sum X_t W_x + H W_h + b.
    `read` is an empty list. The loop fills it step by step with what stood to the left of W_h,
    and multiplies with W_h detached or with `TimesFixed`: W_h gets no gradient a second time.
    """

    @staticmethod
    def forward(ctx, projected, W_h, read):
        ctx.read = read
        return projected.view_as(projected)

    @staticmethod
    @once_differentiable
    def backward(ctx, D):
        return D, product(torch.cat(ctx.read).T, D.flatten(0, 1)), None


class TimesFixed(Function):
    """H W_h, with a gradient for H and none for W_h."""

    @staticmethod
    def forward(ctx, H, W_h):
        ctx.save_for_backward(W_h)
        return product(H, W_h)

    @staticmethod
    @once_differentiable
    def backward(ctx, G):
        (W_h,) = ctx.saved_tensors
        return product(G, W_h.T), None


times_fixed = TimesFixed.apply


def _rnn(projected, state, W_h):
    (H,), read, outputs = state, [], []
    fixed = W_h.detach()
    for A in OneWeightGradient.apply(projected, W_h, read):
        read.append(H.detach())
        H = torch.tanh(torch.addmm(A, H, fixed))  # product and sum in one operation
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _gru(projected, state, W_h):
    (H,), read, read_reset, outputs = state, [], [], []
    n = len(W_h)
    W_rz, W_hh = (part.contiguous() for part in W_h.split([2 * n, n], dim=1))
    A_rz, A_h = projected.split([2 * n, n], dim=2)
    A_rz = OneWeightGradient.apply(A_rz, W_rz, read)
    A_h = OneWeightGradient.apply(A_h, W_hh, read_reset)
    for A_rz_t, A_h_t in zip(A_rz, A_h):
        read.append(H.detach())
        R, Z = torch.sigmoid(A_rz_t + times_fixed(H, W_rz)).chunk(2, dim=1)
        RH = R * H
        read_reset.append(RH.detach())
        H_tilde = torch.tanh(A_h_t + times_fixed(RH, W_hh))
        H = torch.lerp(H_tilde, H, Z)  # H_tilde + Z * (H - H_tilde)
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _gru_reset_after(projected, state, W_h):
    (H,), read, outputs = state, [], []
    n = len(W_h)
    W_zrm = W_h[:, : 3 * n].contiguous()
    A_zrm, A_h = projected.split([3 * n, n], dim=2)
    for A_zrm_t, A_h_t in zip(OneWeightGradient.apply(A_zrm, W_zrm, read), A_h):
        read.append(H.detach())
        A_zr, M = (A_zrm_t + times_fixed(H, W_zrm)).split([2 * n, n], dim=1)
        Z, R = torch.sigmoid(A_zr).chunk(2, dim=1)
        H_tilde = torch.tanh(A_h_t + R * M)
        H = torch.lerp(H_tilde, H, Z)
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _lstm(projected, state, W_h):
    (H, C), read, outputs = state, [], []
    n = len(W_h)
    for A in OneWeightGradient.apply(projected, W_h, read):
        read.append(H.detach())
        A_oif, A_c = (A + times_fixed(H, W_h)).split([3 * n, n], dim=1)
        O, I, F = torch.sigmoid(A_oif).chunk(3, dim=1)
        C = F * C + I * torch.tanh(A_c)
        H = O * torch.tanh(C)
        outputs.append(H)
    return torch.stack(outputs), (H, C)


LOOPS = {
    cells.rnn: _rnn,
    cells.gru: _gru,
    cells.gru_reset_after: _gru_reset_after,
    cells.lstm: _lstm,
}
# The order in which the gates and candidates stand side by side. The m of the GRU that resets
# after the product is the product that R is multiplied with, M = H W_hh + b_hh.
SIDE_BY_SIDE = {cells.rnn: "h", cells.gru: "rzh", cells.gru_reset_after: "zrmh", cells.lstm: "oifc"}


def by_gate(cell, params):
    """Three lists, W_x, b and W_h of every gate, in the order of `SIDE_BY_SIDE`.

    In the GRU that resets after the product, m does not read X, and h does not read H: their W_x
    and W_h are zeros. ValueError where a parameter has not the shape that its name asks for.
    """
    named = dict(zip(cells.names(cell), params, strict=True))
    num_inputs, num_hiddens = (len(param) for param in params[:2])  # the first W_x and W_h
    shapes = {"W_x": (num_inputs, num_hiddens), "W_h": (num_hiddens, num_hiddens)}
    for name, param in named.items():
        shape = shapes.get(name[:3], (num_hiddens,))
        if param.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, got {tuple(param.shape)}")
    if cell is cells.gru_reset_after:
        named["W_xm"], named["W_hm"] = torch.zeros_like(named["W_xh"]), named["W_hh"]
        named["b_m"], named["W_hh"] = named["b_hh"], torch.zeros_like(named["W_hh"])
    return [[named[kind + k] for k in SIDE_BY_SIDE[cell]] for kind in ("W_x", "b_", "W_h")]


def check_cell(cell, known):
    """ValueError where a table of cells has no such cell."""
    if cell not in known:
        names = ", ".join(each.__name__ for each in known)
        raise ValueError(f"cell must be one of {names} (d2lmini.cells), got {cell}")


def check_shapes(inputs, state, W_x, W_h):
    """ValueError where a state, or the inputs' width, is not that of the parameters."""
    if inputs.dim() == 3 and inputs.shape[2] != len(W_x):
        raise ValueError(f"inputs must have {len(W_x)} numbers a step, got {inputs.shape[2]}")
    wanted = (inputs.shape[1], len(W_h))
    for part in state:
        if part.shape != wanted:
            raise ValueError(
                f"state must have the shape (batch_size, num_hiddens) = {wanted}, "
                f"got {tuple(part.shape)}"
            )
