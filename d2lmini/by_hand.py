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
from torch.nn.functional import embedding

from . import cells
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


class RNN(Function):
    """H_t = tanh(A_t), A_t = X_t W_x + H_{t-1} W_h + b."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        A = project(inputs, W_x, b)
        Hs = begin_with(H, len(A))
        for A_t, H, H_new in zip(A, Hs, Hs[1:]):
            torch.add(A_t, product(H, W_h), out=H_new).tanh_()
        ctx.save_for_backward(inputs, W_x, W_h, Hs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, Hs = ctx.saved_tensors
        G, D = torch.zeros_like(Hs[0]), torch.empty_like(G_outputs)
        for G_t, H, D_t in backwards(G_outputs, Hs[1:], D):
            d_tanh(G.add_(G_t), H, grad_input=D_t)
            G = product(D_t, W_h.T)
        return *input_gradients(inputs, W_x, D), weight_gradient(Hs[:-1], D), G


class GRU(Function):
    """The reset gate before the product; columns r, z, h."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        A, n = project(inputs, W_x, b), H.shape[1]  # becomes R, Z, H̃
        W_rz, W_hh = (W.contiguous() for W in W_h.split([2 * n, n], dim=1))
        Hs, RHs = begin_with(H, len(A)), A.new_empty(*A.shape[:2], n)
        for gates, A_h, H, RH, H_new in zip(A[..., : 2 * n], A[..., 2 * n :], Hs, RHs, Hs[1:]):
            R, Z = gates.add_(product(H, W_rz)).sigmoid_().chunk(2, dim=1)
            torch.mul(R, H, out=RH)
            H_tilde = A_h.add_(product(RH, W_hh)).tanh_()
            torch.lerp(H_tilde, H, Z, out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, A, Hs, RHs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, A, Hs, RHs = ctx.saved_tensors
        (R, Z, H_tilde), n = A.chunk(3, dim=2), Hs.shape[2]
        W_rz, W_hh = (W.contiguous() for W in W_h.split([2 * n, n], dim=1))
        K = torch.empty_like(A)
        K_r, K_z, K_h = K.chunk(3, dim=2)
        d_sigmoid(Hs[:-1], R, grad_input=K_r)
        d_sigmoid(Hs[:-1] - H_tilde, Z, grad_input=K_z)
        d_tanh(1 - Z, H_tilde, grad_input=K_h)
        D, G = K, torch.zeros_like(Hs[0])
        both = K.unflatten(2, (3, n))[:, :, 1:]  # z and h
        steps = (G_outputs, both, D[..., : 2 * n], K_r, K_h, R, Z)
        for G_t, D_zh, D_rz, D_r, D_h, R_t, Z_t in backwards(*steps):
            G.add_(G_t)
            D_zh.mul_(G.unsqueeze(1))
            G_RH = product(D_h, W_hh.T)
            D_r.mul_(G_RH)
            G = product(D_rz, W_rz.T).addcmul_(G, Z_t).addcmul_(G_RH, R_t)
        W_h_grad = torch.cat(
            [weight_gradient(Hs[:-1], D[..., : 2 * n]), weight_gradient(RHs, D[..., 2 * n :])],
            dim=1,
        )
        return *input_gradients(inputs, W_x, D), W_h_grad, G


class GRUResetAfter(Function):
    """The reset gate after the product; columns z, r, m, h."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H):
        A, n = project(inputs, W_x, b), H.shape[1]  # becomes Z, R, M, H̃
        Hs = begin_with(H, len(A))
        for zrm, A_h, H, H_new in zip(A[..., : 3 * n], A[..., 3 * n :], Hs, Hs[1:]):
            zrm.add_(product(H, W_h))
            Z, R = zrm[:, : 2 * n].sigmoid_().chunk(2, dim=1)
            H_tilde = A_h.addcmul_(R, zrm[:, 2 * n :]).tanh_()
            torch.lerp(H_tilde, H, Z, out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, A, Hs)
        return (Hs[1:],)

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs):
        inputs, W_x, W_h, A, Hs = ctx.saved_tensors
        (Z, R, M, H_tilde), n = A.chunk(4, dim=2), Hs.shape[2]
        K = torch.empty_like(A)
        K_z, K_r, K_m, K_h = K.chunk(4, dim=2)
        d_sigmoid(Hs[:-1] - H_tilde, Z, grad_input=K_z)
        d_tanh(1 - Z, H_tilde, grad_input=K_h)
        torch.mul(K_h, R, out=K_m)
        d_sigmoid(M, R, grad_input=K_r)
        K_r.mul_(K_h)
        D, G = K, torch.zeros_like(Hs[0])
        for G_t, D_t, D_zrm, Z_t in backwards(
            G_outputs, D.unflatten(2, (4, n)), D[..., : 3 * n], Z
        ):
            G.add_(G_t)
            D_t.mul_(G.unsqueeze(1))
            G = product(D_zrm, W_h.T).addcmul_(G, Z_t)
        W_h_grad = weight_gradient(Hs[:-1], D[..., : 3 * n])
        return *input_gradients(inputs, W_x, D), W_h_grad, G


class LSTM(Function):
    """Columns o, i, f, c. Two gradients travel back: G with respect to H_t, G_C to C_t."""

    @staticmethod
    def forward(ctx, inputs, W_x, b, W_h, H, C):
        A, n = project(inputs, W_x, b), H.shape[1]  # becomes O, I, F, C̃
        Hs, Cs = begin_with(H, len(A)), begin_with(C, len(A))
        tanhs = torch.empty_like(Cs[1:])
        for A_t, H, H_new, C, C_new, tanh in zip(A, Hs, Hs[1:], Cs, Cs[1:], tanhs):
            A_t.add_(product(H, W_h))
            O, I, F = A_t[:, : 3 * n].sigmoid_().chunk(3, dim=1)
            C_tilde = A_t[:, 3 * n :].tanh_()
            torch.mul(F, C, out=C_new).addcmul_(I, C_tilde)
            torch.mul(O, torch.tanh(C_new, out=tanh), out=H_new)
        ctx.save_for_backward(inputs, W_x, W_h, A, Hs, Cs, tanhs)
        return Hs[1:], Cs[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, G_outputs, G_C):
        inputs, W_x, W_h, A, Hs, Cs, tanhs = ctx.saved_tensors
        (O, I, F, C_tilde), n = A.chunk(4, dim=2), Hs.shape[2]
        K, K_tanh = torch.empty_like(A), torch.empty_like(tanhs)
        K_o, K_i, K_f, K_c = K.chunk(4, dim=2)
        d_sigmoid(tanhs, O, grad_input=K_o)
        d_sigmoid(C_tilde, I, grad_input=K_i)
        d_sigmoid(Cs[:-1], F, grad_input=K_f)
        d_tanh(I, C_tilde, grad_input=K_c)
        d_tanh(O, tanhs, grad_input=K_tanh)
        D, G, G_C = K, torch.zeros_like(Hs[0]), G_C.clone()
        ifc = D.unflatten(2, (4, n))[:, :, 1:]
        for G_t, K_t, D_t, D_o, D_ifc, F_t in backwards(G_outputs, K_tanh, D, K_o, ifc, F):
            G.add_(G_t)
            G_C.addcmul_(G, K_t)
            D_o.mul_(G)
            D_ifc.mul_(G_C.unsqueeze(1))
            G_C.mul_(F_t)
            G = product(D_t, W_h.T)
        return *input_gradients(inputs, W_x, D), weight_gradient(Hs[:-1], D), G, G_C


LAYERS = {
    cells.rnn: RNN,
    cells.gru: GRU,
    cells.gru_reset_after: GRUResetAfter,
    cells.lstm: LSTM,
}


def project(inputs, W_x, b):
    """X_t W_x + b for all steps at once, as in `readable`: (num_steps, batch_size, columns)."""
    if inputs.dim() == 2:
        return embedding(inputs, W_x + b)
    return product(inputs.flatten(0, 1), W_x).add_(b).unflatten(0, inputs.shape[:2])


def begin_with(first, num_steps):
    """Room for the states of all steps, (num_steps + 1, ...), with the first in its place."""
    states = first.new_empty(num_steps + 1, *first.shape)
    states[0] = first
    return states


def backwards(*sequences):
    """Steps of several sequences together, the last step first."""
    return zip(*(reversed(sequence.unbind()) for sequence in sequences))


def product(left, right):
    """left @ right, by oneDNN for float32 on a CPU: the library under `torch.nn.LSTM`.

    `@` goes to MKL, which leaves half of an AMD processor's speed unused. torch has no public
    name for the other; this one is what its compiler calls.
    """
    if ONEDNN and left.device.type == "cpu" and left.dtype == torch.float32 and left.numel():
        if right.stride() not in ((right.shape[1], 1), (1, right.shape[0])):
            right = (
                right.contiguous()
            )  # a part of a matrix would take a path a thousand times slower
        return torch.ops.mkldnn._linear_pointwise(left, right.T, None, "none", [], "")
    return left @ right


ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def weight_gradient(lefts, D):
    """The gradient of W in A_t = left_t W + ..., from those of all A_t: one product."""
    return product(lefts.flatten(0, 1).T, D.flatten(0, 1))


def input_gradients(inputs, W_x, D):
    """The gradients of the inputs (tokens have none), of W_x and of b."""
    if inputs.dim() == 2:  # every row of D belongs to one row of W_x
        W_x_grad = torch.zeros_like(W_x)
        W_x_grad.index_add_(0, inputs.flatten(), D.flatten(0, 1))
        return None, W_x_grad, W_x_grad.sum(0)
    return (
        product(D.flatten(0, 1), W_x.T).view_as(inputs),
        weight_gradient(inputs, D),
        D.sum((0, 1)),
    )
