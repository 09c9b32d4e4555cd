r"""The same cells with their backward pass written by hand: lesson 11, put into a package.

Each class is one layer in one direction: the forward loop, and the loop back through time that
autograd would have made of it. The way back has three parts:

1. What does not depend on the gradient is computed for all steps at once: the local derivatives
   of the gates, K.
2. The loop carries G, the gradient of the loss with respect to H_t, from the last step to the
   first, and fills D, the gradient at every step's sum X_t W_x + H_{t-1} W_h + b.
3. D gives the gradients of all weights, each in one product over all steps.

    net = d2l.RNNModelScratch(28, 256, device, *cells.network(cells.gru, unroll=by_hand.unroll))

G and D are called δ in many texts. Source: Rumelhart, Hinton and Williams (1986), Werbos (1990).
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from . import cells
from .kernels import Linear, multiplier, product, room, tanh
from .readable import check_shapes, side_by_side

# What autograd itself calls, each one pass over the numbers: the derivatives of σ and tanh in
# terms of their result y.
d_sigmoid = torch.ops.aten.sigmoid_backward.grad_input  # grad_input = g y (1 - y)
d_tanh = torch.ops.aten.tanh_backward.grad_input  # grad_input = g (1 - y²)


def unroll(cell, inputs, state, params):
    """As `readable.unroll`. The outputs must not be changed in place: torch refuses it."""
    W_x, b, W_h = side_by_side(cell, params)
    check_shapes(inputs, state, W_x, W_h)
    outputs, *C = LAYERS[cell].apply(inputs, W_x, b, W_h, *state)
    return outputs, (outputs[-1], *C)


unroll.reads_tokens = True
unroll.linear = Linear.apply


class RNN(Function):
    """H_t = tanh(A_t), A_t = X_t W_x + H_{t-1} W_h + b."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        A = project(inputs, W_x, b)
        Hs = begin_with(H, len(A))
        times_W_h = multiplier(W_h, A)
        for A_t, H, H_new in zip(A, Hs, Hs[1:]):
            tanh(A_t.add_(times_W_h(H)), out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, Hs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, Hs = ctx.saved_tensors
        G, D = torch.zeros_like(Hs[0]), room(G_outputs, G_outputs.shape)
        times_W_h_T = multiplier(W_h.T, D)
        for G_t, H, D_t in backwards(G_outputs, Hs[1:], D):
            d_tanh(G.add_(G_t), H, grad_input=D_t)
            G = times_W_h_T(D_t)
        return *input_gradients(inputs, [W_x], [D]), weight_gradient(Hs[:-1], D), G


class GRU(Function):
    """The reset gate before the product; columns r, z, h."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        n, steps = len(W_h), len(inputs)
        RZ, H_tildes = (project(inputs, *part) for part in zip(split(W_x, n), split(b, n)))
        times_W_rz, times_W_hh = (multiplier(W, RZ) for W in split(W_h, n))
        Hs, RHs = begin_with(H, steps), room(H_tildes, H_tildes.shape)
        for gates, H_tilde, H, RH, H_new in zip(RZ, H_tildes, Hs, RHs, Hs[1:]):
            R, Z = gates.add_(times_W_rz(H)).sigmoid_().chunk(2, dim=1)
            tanh(H_tilde.add_(times_W_hh(torch.mul(R, H, out=RH))), out=H_tilde)
            torch.lerp(H_tilde, H, Z, out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, RZ, H_tildes, Hs, RHs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, RZ, H_tildes, Hs, RHs = ctx.saved_tensors
        (R, Z), n = RZ.chunk(2, dim=2), len(W_h)
        times_W_rz_T, times_W_hh_T = (multiplier(W.T, RZ) for W in split(W_h, n))
        D_rz, D_h = room(RZ, RZ.shape), room(RHs, RHs.shape)  # at first K
        D_r, D_z = D_rz.chunk(2, dim=2)
        d_sigmoid(Hs[:-1], R, grad_input=D_r)
        d_sigmoid(torch.sub(Hs[:-1], H_tildes, out=D_h), Z, grad_input=D_z)
        d_tanh(torch.sub(1, Z, out=D_h), H_tildes, grad_input=D_h)
        G = torch.zeros_like(Hs[0])
        for G_t, D_rz_t, D_r_t, D_z_t, D_h_t, R_t, Z_t in backwards(
            G_outputs, D_rz, D_r, D_z, D_h, R, Z
        ):
            G.add_(G_t)
            D_z_t.mul_(G)
            G_RH = times_W_hh_T(D_h_t.mul_(G))
            D_r_t.mul_(G_RH)
            G = times_W_rz_T(D_rz_t).addcmul_(G, Z_t).addcmul_(G_RH, R_t)
        W_h_grad = torch.cat([weight_gradient(Hs[:-1], D_rz), weight_gradient(RHs, D_h)], dim=1)
        return *input_gradients(inputs, split(W_x, n), [D_rz, D_h]), W_h_grad, G


class GRUResetAfter(Function):
    """The reset gate after the product; columns z, r, m, h."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        n, steps = len(W_h), len(inputs)
        ZRM, H_tildes = (project(inputs, *part) for part in zip(split(W_x, n), split(b, n)))
        Hs, times_W_h = begin_with(H, steps), multiplier(W_h, ZRM)
        for zrm, H_tilde, H, H_new in zip(ZRM, H_tildes, Hs, Hs[1:]):
            zrm.add_(times_W_h(H))
            Z, R = zrm[:, : 2 * n].sigmoid_().chunk(2, dim=1)
            tanh(H_tilde.addcmul_(R, zrm[:, 2 * n :]), out=H_tilde)
            torch.lerp(H_tilde, H, Z, out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, ZRM, H_tildes, Hs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, ZRM, H_tildes, Hs = ctx.saved_tensors
        (Z, R, M), n = ZRM.chunk(3, dim=2), len(W_h)
        times_W_h_T = multiplier(W_h.T, ZRM)
        D_zrm, D_h = room(ZRM, ZRM.shape), room(H_tildes, H_tildes.shape)  # at first K
        D_z, D_r, D_m = D_zrm.chunk(3, dim=2)
        d_sigmoid(torch.sub(Hs[:-1], H_tildes, out=D_h), Z, grad_input=D_z)
        d_tanh(torch.sub(1, Z, out=D_h), H_tildes, grad_input=D_h)
        torch.mul(D_h, R, out=D_m)
        d_sigmoid(M, R, grad_input=D_r).mul_(D_h)
        G, gates = torch.zeros_like(Hs[0]), D_zrm.unflatten(2, (3, n))
        for G_t, D_t, gates_t, D_h_t, Z_t in backwards(G_outputs, D_zrm, gates, D_h, Z):
            G.add_(G_t)
            gates_t.mul_(G.unsqueeze(1))
            D_h_t.mul_(G)
            G = times_W_h_T(D_t).addcmul_(G, Z_t)
        return (
            *input_gradients(inputs, split(W_x, n), [D_zrm, D_h]),
            weight_gradient(Hs[:-1], D_zrm),
            G,
        )


class LSTM(Function):
    """Columns o, i, f, c. Two gradients travel back: G with respect to H_t, G_C to C_t."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H, C):
        A, n = project(inputs, W_x, b), H.shape[1]  # becomes O, I, F, C̃
        Hs, Cs = begin_with(H, len(A)), begin_with(C, len(A))
        tanhs, times_W_h = room(Cs, Cs[1:].shape), multiplier(W_h, A)
        for A_t, H, H_new, C, C_new, tanh_C in zip(A, Hs, Hs[1:], Cs, Cs[1:], tanhs):
            A_t.add_(times_W_h(H))
            O, I, F = A_t[:, : 3 * n].sigmoid_().chunk(3, dim=1)
            C_tilde = A_t[:, 3 * n :]
            tanh(C_tilde, out=C_tilde)
            torch.mul(F, C, out=C_new).addcmul_(I, C_tilde)
            torch.mul(O, tanh(C_new, out=tanh_C), out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, A, Hs, Cs, tanhs)
        return Hs[1:], Cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs, G_C):
        inputs, W_x, W_h, A, Hs, Cs, tanhs = ctx.saved_tensors
        (O, I, F, C_tilde), n = A.chunk(4, dim=2), Hs.shape[2]
        K, K_tanh = room(A, A.shape), room(tanhs, tanhs.shape)
        K_o, K_i, K_f, K_c = K.chunk(4, dim=2)
        d_sigmoid(tanhs, O, grad_input=K_o)
        d_sigmoid(C_tilde, I, grad_input=K_i)
        d_sigmoid(Cs[:-1], F, grad_input=K_f)
        d_tanh(I, C_tilde, grad_input=K_c)
        d_tanh(O, tanhs, grad_input=K_tanh)
        D, G, G_C = K, torch.zeros_like(Hs[0]), G_C.clone()
        ifc, times_W_h_T = D.unflatten(2, (4, n))[:, :, 1:], multiplier(W_h.T, D)
        for G_t, K_t, D_t, D_o, D_ifc, F_t in backwards(G_outputs, K_tanh, D, K_o, ifc, F):
            G.add_(G_t)
            G_C.addcmul_(G, K_t)
            D_o.mul_(G)
            D_ifc.mul_(G_C.unsqueeze(1))
            G_C.mul_(F_t)
            G = times_W_h_T(D_t)
        return *input_gradients(inputs, [W_x], [D]), weight_gradient(Hs[:-1], D), G, G_C


LAYERS = {
    cells.rnn: RNN,
    cells.gru: GRU,
    cells.gru_reset_after: GRUResetAfter,
    cells.lstm: LSTM,
}


def split(columns, n):
    """The columns of the gates, and the last n, which are those of the candidate H̃."""
    return columns.split([columns.shape[-1] - n, n], dim=-1)


def project(inputs, W_x, b):
    """X_t W_x + b for all steps at once, as in `readable`: (num_steps, batch_size, columns)."""
    if inputs.dim() == 2:
        A = room(W_x, (inputs.numel(), len(b)))
        torch.index_select(W_x + b, 0, inputs.flatten(), out=A)
        return A.unflatten(0, inputs.shape)
    return product(inputs.flatten(0, 1), W_x).add_(b).unflatten(0, inputs.shape[:2])


def begin_with(first, num_steps):
    """Room for the states of all steps, (num_steps + 1, ...), with the first in its place."""
    states = room(first, (num_steps + 1, *first.shape))
    states[0] = first
    return states


def backwards(*sequences):
    """Steps of several sequences together, the last step first."""
    return zip(*(reversed(sequence.unbind()) for sequence in sequences))


def weight_gradient(lefts, D):
    """The gradient of W in A_t = left_t W + ..., from those of all A_t: one product."""
    return product(lefts.flatten(0, 1).T, D.flatten(0, 1))


def input_gradients(inputs, W_x, D):
    """The gradients of the inputs (tokens have none), of W_x and of b.

    W_x, D: lists, where the columns stand apart.
    """
    tall = [part.flatten(0, 1) for part in D]
    if inputs.dim() == 2:  # every row of D belongs to one row of W_x
        grads = [
            torch.zeros_like(W).index_add_(0, inputs.flatten(), part) for W, part in zip(W_x, tall)
        ]
        W_x_grad = torch.cat(grads, dim=1)
        return None, W_x_grad, W_x_grad.sum(0)
    inputs_grad = sum(product(part, W.T) for W, part in zip(W_x, tall)).view_as(inputs)
    W_x_grad = torch.cat([weight_gradient(inputs, part) for part in D], dim=1)
    return inputs_grad, W_x_grad, torch.cat([part.sum(0) for part in tall])
