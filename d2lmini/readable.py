r"""The same cells, readable and fast: four changes to the order of the work, none to the result.

1. A one-hot vector times a matrix is a row of the matrix. Tokens are looked up, not multiplied.
2. No input waits for a state: all steps' inputs are projected at once, before the loop.
3. The matrices of all gates stand side by side in one, so that a step is one product.
4. The gradient of W_h is a sum over the steps of H_{t-1}ᵀ D_t. Put below one another, the steps
   make two tall matrices, and the sum is one product of them (see `OneProduct` and `Times`).

    net = d2l.RNNModelScratch(28, 256, device, *cells.network(cells.gru, unroll=readable.unroll))

The parameters are those of `d2lmini.cells`, one by one; they are put together anew in every pass,
which costs little beside the passes themselves.
"""

import torch
from torch.nn import functional as F

from . import cells
from .products import multiplier, product


def unroll(cell, inputs, state, params):
    """As `cells.unroll`: H after every step, (num_steps, batch_size, num_hiddens), and the state.

    cell: `rnn`, `gru`, `gru_reset_after` or `lstm` of `d2lmini.cells`.
    inputs: vectors, (num_steps, batch_size, num_inputs), or tokens, (num_steps, batch_size).

    There is no second derivative. Raises ValueError where inputs, state and params do not fit.
    """
    W_x, b, W_h = (torch.cat(parts, dim=-1) for parts in by_gate(cell, params))
    check_shapes(inputs, state, W_x, W_h)
    return LOOPS[cell](project(inputs, W_x, b), [Once.apply(part) for part in state], W_h)


def by_gate(cell, params):
    """Three lists, W_x, b and W_h of every gate, in the order in which they stand side by side.

    rnn: h. gru: r, z, h. gru_reset_after: z, r, m, h, where m = H W_hh + b_hh is the product that
    R is multiplied with (so h has no columns in W_h, and m none in W_x). lstm: o, i, f, c.
    """
    if cell not in LOOPS:
        raise ValueError(f"cell must be one of d2lmini.cells, got {cell}")
    named = dict(zip(cells.names(cell), params, strict=True))
    num_inputs, num_hiddens = (len(param) for param in params[:2])  # the first W_x and W_h
    shapes = {"W_x": (num_inputs, num_hiddens), "W_h": (num_hiddens, num_hiddens)}
    for name, param in named.items():
        shape = shapes.get(name[:3], (num_hiddens,))
        if param.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, got {tuple(param.shape)}")
    if cell is cells.gru_reset_after:
        named["W_xm"], named["W_hm"] = torch.zeros_like(named["W_xh"]), named["W_hh"]
        named["b_m"] = named["b_hh"]
        columns = {"W_x": "zrmh", "b_": "zrmh", "W_h": "zrm"}
    else:
        letters = {cells.rnn: "h", cells.gru: "rzh", cells.lstm: "oifc"}[cell]
        columns = {"W_x": letters, "b_": letters, "W_h": letters}
    return [[named[kind + letter] for letter in columns[kind]] for kind in ("W_x", "b_", "W_h")]


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


def project(inputs, W_x, b):
    """X_t W_x + b for all steps at once: (num_steps, batch_size, columns)."""
    if inputs.dim() == 2:  # tokens: b rides along on every row of W_x
        return F.embedding(inputs, W_x + b)
    return torch.addmm(b, inputs.flatten(0, 1), W_x).unflatten(0, inputs.shape[:2])


class Once(torch.autograd.Function):
    """Passes a copy of the first state on, and refuses a second derivative by way of it."""

    @staticmethod
    def forward(ctx, first):
        return first.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad):
        return grad


class OneProduct(torch.autograd.Function):
    """Passes the projected inputs on, and gives W_h its gradient in one product on the way back.

    What arrives here on the way back is D, the gradient at every step's sum X_t W_x + H W_h + b.
    `read` is the list of what stood to the left of W_h, to be filled step by step by the loop,
    which multiplies with `W_h.detach()`: autograd is not to collect that gradient a second time.
    """

    @staticmethod
    def forward(ctx, projected, W_h, read):
        ctx.read = read
        return projected.view_as(projected)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, D):
        return D, product(torch.cat(ctx.read).T, D.flatten(0, 1)), None


class Times(torch.autograd.Function):
    """H -> H W_h, where W_h gets no gradient from here but from `OneProduct`.

    times and back: `multiplier`s of W_h and of its transpose.
    """

    @staticmethod
    def forward(ctx, H, times, back):
        ctx.back = back
        return times(H)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, G):
        return ctx.back(G), None, None


def fixed(W_h, projected):
    """The function H -> H W_h for the steps of `projected`, with no gradient for W_h."""
    times, back = (multiplier(W, projected) for W in (W_h.detach(), W_h.detach().T))
    return lambda H: Times.apply(H, times, back)


def _rnn(projected, state, W_h):
    (H,), fixed, read, outputs = state, W_h.detach(), [], []
    for A in OneProduct.apply(projected, W_h, read):
        read.append(H.detach())
        H = torch.tanh(torch.addmm(A, H, fixed))
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _gru(projected, state, W_h):
    (H,), read, read_reset, outputs = state, [], [], []
    n = H.shape[1]
    W_rz, W_hh = W_h.split([2 * n, n], dim=1)
    times_W_rz, fixed_hh = fixed(W_rz, projected), W_hh.detach()
    gates, candidates = projected.split([2 * n, n], dim=2)
    gates = OneProduct.apply(gates, W_rz, read)
    candidates = OneProduct.apply(candidates, W_hh, read_reset)
    for A, A_h in zip(gates, candidates):
        read.append(H.detach())
        R, Z = torch.sigmoid(A + times_W_rz(H)).chunk(2, dim=1)
        RH = R * H
        read_reset.append(RH.detach())
        H_tilde = torch.tanh(torch.addmm(A_h, RH, fixed_hh))
        H = torch.lerp(H_tilde, H, Z)  # H_tilde + Z * (H - H_tilde)
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _gru_reset_after(projected, state, W_h):
    (H,), times_W_h, read, outputs = state, fixed(W_h, projected), [], []
    n = H.shape[1]
    A_zrm, candidates = projected.split([3 * n, n], dim=2)
    for A, A_h in zip(OneProduct.apply(A_zrm, W_h, read), candidates):
        read.append(H.detach())
        gates, M = (A + times_W_h(H)).split([2 * n, n], dim=1)
        Z, R = torch.sigmoid(gates).chunk(2, dim=1)
        H_tilde = torch.tanh(torch.addcmul(A_h, R, M))
        H = torch.lerp(H_tilde, H, Z)
        outputs.append(H)
    return torch.stack(outputs), (H,)


def _lstm(projected, state, W_h):
    (H, C), times_W_h, read, outputs = state, fixed(W_h, projected), [], []
    n = H.shape[1]
    for A in OneProduct.apply(projected, W_h, read):
        read.append(H.detach())
        gates, C_tilde = (A + times_W_h(H)).split([3 * n, n], dim=1)
        O, I, F = torch.sigmoid(gates).chunk(3, dim=1)
        C = torch.addcmul(F * C, I, torch.tanh(C_tilde))
        H = O * torch.tanh(C)
        outputs.append(H)
    return torch.stack(outputs), (H, C)


LOOPS = {
    cells.rnn: _rnn,
    cells.gru: _gru,
    cells.gru_reset_after: _gru_reset_after,
    cells.lstm: _lstm,
}
