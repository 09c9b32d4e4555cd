r"""The same cells with their backward pass written by hand: lesson 14, put into a package.

Each class is one layer in one direction: the forward loop, and the loop back through time that
autograd would have made of it. The way back has three parts:

1. What does not depend on the gradient is computed for all steps at once: the slopes of the
   gates, which stand in D at first.
2. The loop carries G, the gradient of the loss with respect to H_t, from the last step to the
   first, and multiplies the slopes with it. After that D is the gradient at every step's sum A.
3. D gives the gradients of all weights, in one product over all steps, or two.

Inside the classes every vector is a column, as in most papers: H_t is (num_hiddens, batch_size),
and a sequence is (num_steps, num_hiddens, batch_size). The gates of a step then stand below one
another, each in one piece of memory. What a step reads stands in one matrix, and so do the
weights, so that the whole sum is one product:

    S_t = [H_{t-1}; X_t; 1],  W = [W_h; W_x; b],  A_t = Wᵀ S_t = W_hᵀ H_{t-1} + W_xᵀ X_t + b.

    functions = cells.network(cells.gru, unroll=by_hand.unroll)
    net = d2l.RNNModelScratch(28, 256, device, *functions, one_hot=False)

G and D are called δ in many texts. Source: Rumelhart, Hinton and Williams (1986), Werbos (1990).
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import cells, readable
from .products import product

WORDS = 256  # a vocabulary of this size or more is one of words, not of letters


def unroll(cell, inputs, state, params):
    """As `readable.unroll`. The outputs must not be changed in place, and may not be contiguous.

    Tokens become one-hot columns here. With a vocabulary of WORDS or more, these would cost more
    than the way back by hand saves, and `readable.unroll` does the work.

    ValueError as `readable.unroll`. TypeError where inputs, state and params have several dtypes
    or are on several devices, and where tokens are not torch.int64 or torch.int32.
    """
    readable.check_cell(cell, LAYERS)
    W_x, b, W_h = readable.by_gate(cell, params)
    readable.check_shapes(inputs, state, W_x[0], W_h[0])
    tokens = inputs.dim() == 2
    check_kinds(*params, *state, *([] if tokens else [inputs]))
    if tokens and inputs.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"tokens must be torch.int64 or torch.int32, got {inputs.dtype}")
    vocab_size = len(W_x[0])
    if tokens and vocab_size >= WORDS:
        return readable.unroll(cell, inputs, state, params)
    if tokens:
        one_hot = W_x[0].new_zeros(len(inputs), vocab_size, inputs.shape[1])
        X = one_hot.scatter_(1, inputs.unsqueeze(1).long(), 1)
    else:
        X = inputs.transpose(1, 2)
    W = torch.cat([torch.cat(W_h, dim=1), torch.cat(W_x, dim=1), torch.cat(b).unsqueeze(0)])
    outputs, *C = LAYERS[cell].apply(X, W, *(part.T for part in state))
    outputs = outputs.T.unflatten(0, inputs.shape[:2])
    return outputs, (outputs[-1], *(part.T for part in C))


def check_kinds(*tensors):
    """TypeError where tensors have several dtypes or are on several devices."""
    kinds = {f"{tensor.dtype} on {tensor.device}" for tensor in tensors}
    if len(kinds) > 1:
        kinds = ", ".join(sorted(kinds))
        raise TypeError(f"inputs, state and params must be of one kind, got {kinds}")


def what_steps_read(H, X):
    """S for every step and one more, and the states in it, which the loop fills in step by step.

    H: (num_hiddens, batch_size), the first state. X: (num_steps, num_inputs, batch_size).
    S: (num_steps + 1, num_hiddens + num_inputs + 1, batch_size).
    """
    n, num_inputs = len(H), X.shape[1]
    S = H.new_empty(len(X) + 1, n + num_inputs + 1, H.shape[1])
    S[0, :n], S[:-1, n:-1], S[:, -1] = H, X, 1
    return S, S[:, :n]


def side_by_side(sequence):
    """(num_steps, rows, batch_size) as a matrix, (rows, num_steps * batch_size)."""
    return sequence.transpose(0, 1).flatten(1)


def as_steps(matrix, num_steps):
    """What `side_by_side` has put together, as steps again."""
    return matrix.unflatten(1, (num_steps, -1)).transpose(0, 1)


def input_gradient(ctx, W_x, D, num_steps):
    """The gradient of X; None where none is wanted, as for one-hot columns."""
    return as_steps(product(W_x, D), num_steps) if ctx.needs_input_grad[0] else None


def tanh(A, out):
    """tanh a = 2σ(2a) - 1, written into `out`.

    torch computes σ two to three times as fast as tanh on a CPU. The rounding error is that of a
    number near 1, which is 1e-7 in float32, also where the result is small.
    """
    if A.device.type != "cpu" or A.dtype != torch.float32:
        return torch.tanh(A, out=out)
    return torch.sigmoid(2 * A, out=out).mul_(2).sub_(1)


class RNN(Function):
    """H_t = tanh(A_t)."""

    @staticmethod
    def forward(ctx, X, W, H):
        S, H = what_steps_read(H, X)
        W_T = W.T.contiguous()
        for t in range(len(X)):
            tanh(product(W_T, S[t]), out=H[t + 1])
        ctx.save_for_backward(W, S)
        return (side_by_side(H[1:]),)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        W, S = ctx.saved_tensors
        n, num_steps = W.shape[1], len(S) - 1
        H, G_outputs = S[1:, :n], as_steps(G_outputs, num_steps)
        D = 1 - H**2
        G = torch.zeros_like(D[0])
        for t in reversed(range(num_steps)):
            G += G_outputs[t]
            D[t] *= G
            G = product(W[:n], D[t])
        D = side_by_side(D)
        W_grad = product(side_by_side(S[:-1]), D.T)
        return input_gradient(ctx, W[n:-1], D, num_steps), W_grad, G


class GRU(Function):
    """The reset gate before the product; rows r, z, h of A, and R_t H_{t-1} for H in the last."""

    @staticmethod
    def forward(ctx, X, W, H):
        n, num_steps = len(H), len(X)
        (S, H), (S_reset, RH) = what_steps_read(H, X), what_steps_read(H, X)
        RZ, H_tilde = H.new_empty(num_steps, 2 * n, H.shape[2]), torch.empty_like(H[1:])
        R, Z = RZ.chunk(2, dim=1)
        W_rz_T, W_hh_T = (part.T.contiguous() for part in W.split([2 * n, n], dim=1))
        for t in range(num_steps):
            torch.sigmoid(product(W_rz_T, S[t]), out=RZ[t])
            torch.mul(R[t], H[t], out=RH[t])
            tanh(product(W_hh_T, S_reset[t]), out=H_tilde[t])
            torch.lerp(H_tilde[t], H[t], Z[t], out=H[t + 1])
        ctx.save_for_backward(W, S, S_reset, RZ, H_tilde)
        return (side_by_side(H[1:]),)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        W, S, S_reset, RZ, H_tilde = ctx.saved_tensors
        num_steps, n, _ = H_tilde.shape
        (R, Z), H_before = RZ.chunk(2, dim=1), S[:-1, :n]
        G_outputs = as_steps(G_outputs, num_steps)
        D_r = H_before * R * (1 - R)
        D_z = (H_before - H_tilde) * Z * (1 - Z)
        D_h = (1 - Z) * (1 - H_tilde**2)
        D = torch.cat([D_r, D_z, D_h], dim=1)
        (D_r, D_z, D_h), D_rz = D.chunk(3, dim=1), D[:, : 2 * n]
        W_rz, W_hh = (part.contiguous() for part in W[:n].split([2 * n, n], dim=1))
        G = torch.zeros_like(H_tilde[0])
        for t in reversed(range(num_steps)):
            G += G_outputs[t]
            D_z[t] *= G
            D_h[t] *= G
            G_RH = product(W_hh, D_h[t])
            D_r[t] *= G_RH
            G = product(W_rz, D_rz[t]) + G * Z[t] + G_RH * R[t]
        D = side_by_side(D)
        W_rz_grad = product(side_by_side(S[:-1]), D[: 2 * n].T)
        W_hh_grad = product(side_by_side(S_reset[:-1]), D[2 * n :].T)
        W_grad = torch.cat([W_rz_grad, W_hh_grad], dim=1)
        return input_gradient(ctx, W[n:-1], D, num_steps), W_grad, G


class GRUResetAfter(Function):
    """The reset gate after the product; rows z, r, m, h of A, of which h does not read H."""

    @staticmethod
    def forward(ctx, X, W, H):
        n, num_steps = len(H), len(X)
        S, H = what_steps_read(H, X)
        ZRM, H_tilde = H.new_empty(num_steps, 3 * n, H.shape[2]), torch.empty_like(H[1:])
        ZR, (Z, R, M) = ZRM[:, : 2 * n], ZRM.chunk(3, dim=1)
        W_zrm_T, W_h_T = (part.T.contiguous() for part in W.split([3 * n, n], dim=1))
        A_h = as_steps(product(W_h_T[:, n:], side_by_side(S[:-1, n:])), num_steps)
        for t in range(num_steps):
            A_zr, A_m = product(W_zrm_T, S[t]).split([2 * n, n])
            torch.sigmoid(A_zr, out=ZR[t])
            M[t] = A_m
            tanh(A_h[t] + R[t] * A_m, out=H_tilde[t])
            torch.lerp(H_tilde[t], H[t], Z[t], out=H[t + 1])
        ctx.save_for_backward(W, S, ZRM, H_tilde)
        return (side_by_side(H[1:]),)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        W, S, ZRM, H_tilde = ctx.saved_tensors
        num_steps, n, _ = H_tilde.shape
        (Z, R, M), H_before = ZRM.chunk(3, dim=1), S[:-1, :n]
        G_outputs = as_steps(G_outputs, num_steps)
        D_z = (H_before - H_tilde) * Z * (1 - Z)
        D_h = (1 - Z) * (1 - H_tilde**2)
        D = torch.cat([D_z, D_h * M * R * (1 - R), D_h * R, D_h], dim=1)
        D_gates, D_zrm = D.unflatten(1, (4, n)), D[:, : 3 * n]
        W_zrm, G = W[:n, : 3 * n].contiguous(), torch.zeros_like(H_tilde[0])
        for t in reversed(range(num_steps)):
            G += G_outputs[t]
            D_gates[t] *= G
            G = product(W_zrm, D_zrm[t]) + G * Z[t]
        D, read = side_by_side(D), side_by_side(S[:-1])
        W_grad = torch.zeros_like(W)
        W_grad[:, : 3 * n] = product(read, D[: 3 * n].T)
        W_grad[n:, 3 * n :] = product(read[n:], D[3 * n :].T)
        return input_gradient(ctx, W[n:-1], D, num_steps), W_grad, G


class LSTM(Function):
    """Rows o, i, f, c of A. Two gradients travel back: G with respect to H_t, G_C to C_t."""

    @staticmethod
    def forward(ctx, X, W, H, C_first):
        n, num_steps = len(H), len(X)
        S, H = what_steps_read(H, X)
        gates, tanh_C = H.new_empty(num_steps, 4 * n, H.shape[2]), torch.empty_like(H[1:])
        OIF, (O, I, F, C_tilde) = gates[:, : 3 * n], gates.chunk(4, dim=1)
        C = torch.empty_like(H)
        C[0], W_T = C_first, W.T.contiguous()
        for t in range(num_steps):
            A_oif, A_c = product(W_T, S[t]).split([3 * n, n])
            torch.sigmoid(A_oif, out=OIF[t])
            tanh(A_c, out=C_tilde[t])
            torch.mul(F[t], C[t], out=C[t + 1]).addcmul_(I[t], C_tilde[t])
            torch.mul(O[t], tanh(C[t + 1], out=tanh_C[t]), out=H[t + 1])
        ctx.save_for_backward(W, S, gates, C, tanh_C)
        return side_by_side(H[1:]), C[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs, G_C):
        W, S, gates, C, tanh_C = ctx.saved_tensors
        num_steps, n, _ = tanh_C.shape
        O, I, F, C_tilde = gates.chunk(4, dim=1)
        G_outputs = as_steps(G_outputs, num_steps)
        D_o = tanh_C * O * (1 - O)
        D_i = C_tilde * I * (1 - I)
        D_f = C[:-1] * F * (1 - F)
        D_c = I * (1 - C_tilde**2)
        D = torch.cat([D_o, D_i, D_f, D_c], dim=1)
        D_o, D_ifc = D[:, :n], D.unflatten(1, (4, n))[:, 1:]
        slope_C = O * (1 - tanh_C**2)
        W_h, G = W[:n], torch.zeros_like(tanh_C[0])
        for t in reversed(range(num_steps)):
            G += G_outputs[t]
            G_C = G_C + G * slope_C[t]
            D_o[t] *= G
            D_ifc[t] *= G_C
            G, G_C = product(W_h, D[t]), G_C * F[t]
        D = side_by_side(D)
        W_grad = product(side_by_side(S[:-1]), D.T)
        return input_gradient(ctx, W[n:-1], D, num_steps), W_grad, G, G_C


LAYERS = {
    cells.rnn: RNN,
    cells.gru: GRU,
    cells.gru_reset_after: GRUResetAfter,
    cells.lstm: LSTM,
}
