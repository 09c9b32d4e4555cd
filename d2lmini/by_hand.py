r"""The same cells with their backward pass written by hand: lesson 11, put into a package.

Each class is one layer in one direction: the forward loop, and the loop back through time that
autograd would have made of it. The way back has three parts:

1. What does not depend on the gradient is computed for all steps at once: the local derivatives
   of the gates, K.
2. The loop carries G, the gradient of the loss with respect to H_t, from the last step to the
   first, and fills D, the gradient at every step's sum A.
3. D gives the gradients of all weights, in one product over all steps, or two.

Inside the classes every vector is a column, as in most papers (see `columns`), and what a step
reads stands in one matrix, as do the weights. So the whole sum is one product:

    S_t = [H_{t-1}; X_t; 1],  W = [W_h; W_x; b],  A_t = Wᵀ S_t = W_hᵀ H_{t-1} + W_xᵀ X_t + b.

    net = d2l.RNNModelScratch(28, 256, device, *cells.network(cells.gru, unroll=by_hand.unroll))

G and D are called δ in many texts. Source: Rumelhart, Hinton and Williams (1986), Werbos (1990).
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import cells, readable
from .columns import Stack, backwards, begin_with, steps, wide
from .products import product, room, tanh, times

# What autograd itself calls, each one pass over the numbers: the derivatives of σ and tanh in
# terms of their result y.
d_sigmoid = torch.ops.aten.sigmoid_backward.grad_input  # grad_input = g y (1 - y)
d_tanh = torch.ops.aten.tanh_backward.grad_input  # grad_input = g (1 - y²)

MANY = 256


def unroll(cell, inputs, state, params):
    """As `readable.unroll`. The outputs must not be changed in place, and may not be contiguous.

    Tokens are one-hot columns here. From a vocabulary of MANY on, these would cost what the way
    back by hand saves, and it is `readable.unroll` that does the work.

    TypeError where inputs, state and params have several dtypes or are on several devices, and
    where tokens are not torch.int64 or torch.int32.
    """
    W_x, b, W_h = readable.by_gate(cell, params)
    readable.check_shapes(inputs, state, W_x[0], W_h[0])
    tokens = inputs.dim() == 2
    if tokens and inputs.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"tokens must be torch.int64 or torch.int32, got {inputs.dtype}")
    alike = [*params, *state] if tokens else [*params, *state, inputs]
    if len(kinds := {(part.dtype, part.device) for part in alike}) > 1:
        kinds = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
        raise TypeError(f"inputs, state and params must be of one kind, got {kinds}")
    if tokens and len(W_x[0]) >= MANY:
        return readable.unroll(cell, inputs, state, params)
    if tokens:
        one_hot = W_x[0].new_zeros(len(inputs), len(W_x[0]), inputs.shape[1])
        X = one_hot.scatter_(1, inputs.unsqueeze(1).long(), 1)
    else:
        X = inputs.transpose(1, 2)
    if cell is cells.gru_reset_after:
        W_h.append(torch.zeros_like(W_h[0]))  # the candidate does not read H
    W = Stack.apply(*W_h, *W_x, *b)
    outputs, *C = LAYERS[cell].apply(X, W, *(part.T for part in state))
    outputs = outputs.T.unflatten(0, inputs.shape[:2])
    return outputs, (outputs[-1], *(part.T for part in C))


def once(backward):
    """`once_differentiable`, also where the gradient that arrives is a constant.

    torch's own then takes the gradients for constants as well; but they depend on the weights.
    """
    refusing = once_differentiable(backward)

    def backward_once(ctx, *grads):
        if torch.is_grad_enabled():
            grads = [grad.detach().requires_grad_() for grad in grads]
        return refusing(ctx, *grads)

    return backward_once


class RNN(Function):
    """H_t = tanh(A_t)."""

    @staticmethod
    def forward(ctx, X, W, H):
        S, Hs = begin_with(H, X)
        times_W = times(W.T, S)
        for S_t, H_new in zip(S, Hs[1:]):
            tanh(times_W(S_t), out=H_new)
        ctx.save_for_backward(W, S)
        return (wide(Hs[1:]),)

    @staticmethod
    @once
    def backward(ctx, G_outputs):
        W, S = ctx.saved_tensors
        n = W.shape[1]
        Hs = S[1:, :n]
        G, D, times_W_h = torch.zeros_like(Hs[0]), room(Hs, Hs.shape), times(W[:n], S)
        for G_t, H, D_t in backwards(steps(G_outputs, D), Hs, D):
            d_tanh(G.add_(G_t), H, grad_input=D_t)
            G = times_W_h(D_t)
        D = wide(D)
        return input_gradient(ctx, W[n:-1], D, Hs), product(wide(S[:-1]), D.T), G


class GRU(Function):
    """The reset gate before the product; rows r, z, h of A, and R_t H_{t-1} for H in the last."""

    @staticmethod
    def forward(ctx, X, W, H):
        n, num_steps = len(H), len(X)
        (S, Hs), (S_reset, RHs) = begin_with(H, X), begin_with(H, X)
        RZ, H_tildes = room(H, (num_steps, 2 * n, H.shape[1])), room(H, (num_steps, *H.shape))
        times_W_rz, times_W_hh = times(W.T[: 2 * n], S), times(W.T[2 * n :], S)
        for S_t, S_reset_t, RZ_t, R, Z, H, RH, H_tilde, H_new in zip(
            S, S_reset, RZ, *RZ.chunk(2, dim=1), Hs, RHs, H_tildes, Hs[1:]
        ):
            torch.sigmoid(times_W_rz(S_t), out=RZ_t)
            torch.mul(R, H, out=RH)
            tanh(times_W_hh(S_reset_t), out=H_tilde)
            torch.lerp(H_tilde, H, Z, out=H_new)
        ctx.save_for_backward(W, S, S_reset, RZ, H_tildes)
        return (wide(Hs[1:]),)

    @staticmethod
    @once
    def backward(ctx, G_outputs):
        W, S, S_reset, RZ, H_tildes = ctx.saved_tensors
        num_steps, n, batch_size = H_tildes.shape
        (R, Z), H_before = RZ.chunk(2, dim=1), S[:-1, :n]
        D = room(RZ, (num_steps, 3 * n, batch_size))  # at first K
        D_r, D_z, D_h = D.chunk(3, dim=1)
        d_sigmoid(H_before, R, grad_input=D_r)
        d_sigmoid(torch.sub(H_before, H_tildes, out=D_h), Z, grad_input=D_z)
        d_tanh(torch.sub(1, Z, out=D_h), H_tildes, grad_input=D_h)
        G, D_rz = torch.zeros_like(H_tildes[0]), D[:, : 2 * n]
        times_W_rz, times_W_hh = times(W[:n, : 2 * n], D), times(W[:n, 2 * n :], D)
        for G_t, D_rz_t, D_r_t, D_z_t, D_h_t, R_t, Z_t in backwards(
            steps(G_outputs, D), D_rz, D_r, D_z, D_h, R, Z
        ):
            G.add_(G_t)
            D_z_t.mul_(G)
            G_RH = times_W_hh(D_h_t.mul_(G))
            D_r_t.mul_(G_RH)
            G = times_W_rz(D_rz_t).addcmul_(G, Z_t).addcmul_(G_RH, R_t)
        D, read, read_reset = wide(D), wide(S[:-1]), wide(S_reset[:-1])
        W_grads = product(read, D[: 2 * n].T), product(read_reset, D[2 * n :].T)
        return input_gradient(ctx, W[n:-1], D, H_tildes), torch.cat(W_grads, dim=1), G


class GRUResetAfter(Function):
    """The reset gate after the product; rows z, r, m, h of A, of which h does not read H."""

    @staticmethod
    def forward(ctx, X, W, H):
        n, num_steps = len(H), len(X)
        S, Hs = begin_with(H, X)
        ZRM, H_tildes = room(H, (num_steps, 3 * n, H.shape[1])), room(H, (num_steps, *H.shape))
        ZR, Ms = ZRM.split([2 * n, n], dim=1)
        A_h, times_W = product(W.T[3 * n :, n:], wide(S[:-1, n:])), times(W.T[: 3 * n], S)
        for S_t, A_h_t, ZR_t, Z, R, M, H, H_tilde, H_new in zip(
            S, steps(A_h, H_tildes), ZR, *ZR.chunk(2, dim=1), Ms, Hs, H_tildes, Hs[1:]
        ):
            A_zr, A_m = times_W(S_t).split([2 * n, n])
            torch.sigmoid(A_zr, out=ZR_t)
            torch.addcmul(A_h_t, R, M.copy_(A_m), out=H_tilde)
            torch.lerp(tanh(H_tilde, out=H_tilde), H, Z, out=H_new)
        ctx.save_for_backward(W, S, ZRM, H_tildes)
        return (wide(Hs[1:]),)

    @staticmethod
    @once
    def backward(ctx, G_outputs):
        W, S, ZRM, H_tildes = ctx.saved_tensors
        num_steps, n, batch_size = H_tildes.shape
        (Z, R, M), H_before = ZRM.chunk(3, dim=1), S[:-1, :n]
        D = room(ZRM, (num_steps, 4 * n, batch_size))  # at first K
        D_z, D_r, D_m, D_h = D.chunk(4, dim=1)
        d_sigmoid(torch.sub(H_before, H_tildes, out=D_h), Z, grad_input=D_z)
        d_tanh(torch.sub(1, Z, out=D_h), H_tildes, grad_input=D_h)
        torch.mul(D_h, R, out=D_m)
        d_sigmoid(M, R, grad_input=D_r).mul_(D_h)
        G, D_zrm = torch.zeros_like(H_tildes[0]), D[:, : 3 * n]
        times_W_h = times(W[:n, : 3 * n], D)
        for G_t, D_t, D_zrm_t, Z_t in backwards(
            steps(G_outputs, D), D.unflatten(1, (4, n)), D_zrm, Z
        ):
            D_t.mul_(G.add_(G_t))
            G = times_W_h(D_zrm_t).addcmul_(G, Z_t)
        D, read, W_grad = wide(D), wide(S[:-1]), torch.zeros_like(W)
        W_grad[:, : 3 * n] = product(read, D[: 3 * n].T)
        W_grad[n:, 3 * n :] = product(read[n:], D[3 * n :].T)
        return input_gradient(ctx, W[n:-1], D, H_tildes), W_grad, G


class LSTM(Function):
    """Rows o, i, f, c of A. Two gradients travel back: G with respect to H_t, G_C to C_t."""

    @staticmethod
    def forward(ctx, X, W, H, C):
        n, num_steps = len(H), len(X)
        S, Hs = begin_with(H, X)
        gates, tanhs = room(H, (num_steps, 4 * n, H.shape[1])), room(H, (num_steps, *H.shape))
        Cs, (OIF, C_tildes) = room(C, (num_steps + 1, *C.shape)), gates.split([3 * n, n], dim=1)
        Cs[0], times_W = C, times(W.T, S)
        for S_t, OIF_t, O, I, F, C_tilde, C, C_new, tanh_C, H_new in zip(
            S, OIF, *OIF.chunk(3, dim=1), C_tildes, Cs, Cs[1:], tanhs, Hs[1:]
        ):
            A_oif, A_c = times_W(S_t).split([3 * n, n])
            torch.sigmoid(A_oif, out=OIF_t)
            torch.mul(F, C, out=C_new).addcmul_(I, tanh(A_c, out=C_tilde))
            torch.mul(O, tanh(C_new, out=tanh_C), out=H_new)
        ctx.save_for_backward(W, S, gates, Cs, tanhs)
        return wide(Hs[1:]), Cs[-1].clone()

    @staticmethod
    @once
    def backward(ctx, G_outputs, G_C):
        W, S, gates, Cs, tanhs = ctx.saved_tensors
        (O, I, F, C_tilde), n = gates.chunk(4, dim=1), tanhs.shape[1]
        D, K_tanh = room(gates, gates.shape), room(tanhs, tanhs.shape)
        D_o, D_i, D_f, D_c = D.chunk(4, dim=1)  # at first K
        d_sigmoid(tanhs, O, grad_input=D_o)
        d_sigmoid(C_tilde, I, grad_input=D_i)
        d_sigmoid(Cs[:-1], F, grad_input=D_f)
        d_tanh(I, C_tilde, grad_input=D_c)
        d_tanh(O, tanhs, grad_input=K_tanh)
        G, G_C = torch.zeros_like(tanhs[0]), torch.zeros_like(tanhs[0]).copy_(G_C)
        D_ifc, times_W_h = D.unflatten(1, (4, n))[:, 1:], times(W[:n], D)
        for G_t, K_t, D_t, D_o_t, D_ifc_t, F_t in backwards(
            steps(G_outputs, D), K_tanh, D, D_o, D_ifc, F
        ):
            D_o_t.mul_(G.add_(G_t))
            D_ifc_t.mul_(G_C.addcmul_(G, K_t))
            G_C.mul_(F_t)
            G = times_W_h(D_t)
        D = wide(D)
        return input_gradient(ctx, W[n:-1], D, tanhs), product(wide(S[:-1]), D.T), G, G_C


LAYERS = {
    cells.rnn: RNN,
    cells.gru: GRU,
    cells.gru_reset_after: GRUResetAfter,
    cells.lstm: LSTM,
}


def input_gradient(ctx, W_x, D, like):
    """The gradient of X, in the steps of `like`; one-hot vectors want none."""
    if ctx.needs_input_grad[0]:
        return steps(product(W_x, D), like)
