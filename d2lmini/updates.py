"""One step of training: gradient descent, and the clipping that goes before it."""

import math
from collections.abc import Iterable
from numbers import Real

import torch
from torch import nn

from .tools import check_amount


def sgd(params, lr, batch_size):
    """One step of minibatch stochastic gradient descent: param -= lr * grad / batch_size."""
    check_amount("lr", lr)
    check_amount("batch_size", batch_size)
    if batch_size == 0:
        raise ValueError("batch_size must be above 0, got 0")
    step = float(lr) / float(batch_size)
    with torch.no_grad():
        for param in params:
            if param.grad is not None:
                # float16 ends at 65,504; a larger factor would be an error, and no divergence.
                param.sub_(param.grad, alpha=min(step, torch.finfo(param.dtype).max))
                param.grad.zero_()


def grad_clipping(net, theta, device=None):
    """Scale all gradients together so that their joint L2 norm is at most `theta`.

    g <- min(1, theta / ||g||) g (Pascanu et al. 2013, algorithm 1). Returns the norm before,
    as a tensor. A norm that is NaN or infinite has no direction left: the gradients are set to
    zero, so that one broken batch does not wipe out the weights.

    net: an `nn.Module`, a model with `params`, or the parameters themselves.
    device: not used; the older edition passes it.
    """
    if not (isinstance(theta, Real) and theta == math.inf):  # which clips nothing
        check_amount("theta", theta)
    theta = float(theta)
    grads = [param.grad for param in parameters(net) if param.grad is not None]
    if not grads:
        return torch.zeros(())
    norms = [g.norm().to(torch.promote_types(g.dtype, torch.float32)) for g in grads]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    # No `if` on a number that a GPU has yet to compute: it would have to be waited for.
    if norm.device.type == "cpu" and norm <= theta:
        return norm
    scale = (theta / norm).clamp(max=1).nan_to_num(0.0)
    for grad in grads:
        grad.mul_(scale.to(grad.dtype)).nan_to_num_(0.0, 0.0, 0.0)  # 0 * NaN is NaN
    return norm


def parameters(net):
    """The parameters of an `nn.Module`, of a model with `params`, or of any iterable of them."""
    if isinstance(net, nn.Module):
        return list(net.parameters())
    params = getattr(net, "params", net)
    is_list = isinstance(params, Iterable) and not isinstance(params, torch.Tensor)
    params = list(params) if is_list else [params]
    for param in params:
        if not isinstance(param, torch.Tensor):
            raise TypeError(f"net must be a model or its parameters, got {param!r} among them")
    return params
