"""What `readable` and `by_hand` need from a CPU, done faster than torch does it by itself.

Products and tanh are the same numbers up to the rounding; `room` is memory that is used again.
"""

import sys
import threading

import torch
from torch.autograd import Function

# torch has no public names for these: oneDNN's product, which its compiler calls, and the number
# of those who hold a piece of memory. Where they are missing, everything works without.
ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
USE_COUNT = getattr(torch._C, "_storage_Use_Count", None)


def product(left, right):
    """left @ right, if large by oneDNN, for float32 on a CPU: the library under `torch.nn.LSTM`.

    `@` goes to MKL, which leaves half of an AMD processor's speed unused, and starts sooner.
    """
    if left.dtype != right.dtype or not goes_to_onednn(len(left), right):
        return left @ right
    return torch.ops.mkldnn._linear_pointwise(left, dense(right).T, None, "none", [], "")


def multiplier(right, sequence):
    """The function left -> left @ right, for every step of (num_steps, batch_size, ...)."""
    if sequence.dtype != right.dtype or not goes_to_onednn(sequence.shape[1], right):
        return lambda left: left @ right
    linear, weight = torch.ops.mkldnn._linear_pointwise.default, dense(right).T
    return lambda left: linear(left, weight, None, "none", [], "")


def times(left, sequence):
    """The function right -> left @ right, for every step of (num_steps, ..., columns)."""
    if left.dtype != sequence.dtype or not goes_to_onednn(sequence.shape[2], left):
        return lambda right: left @ right
    linear = torch.ops.mkldnn._linear_pointwise.default
    if not left.is_contiguous():
        left = room(left, left.shape).copy_(left)
    return lambda right: linear(left, right.T, None, "none", [], "")


LARGE = 2**19  # multiplications: from here on, oneDNN's later start is made up for


def goes_to_onednn(rows, right):
    """Whether oneDNN multiplies a matrix of so many rows with `right` sooner than `@` does."""
    large = rows * right.numel() > LARGE
    return large and ONEDNN and right.device.type == "cpu" and right.dtype == torch.float32


def dense(matrix):
    """A matrix that is only a part of another, copied: as it is, it would take a slow path."""
    rows, columns = matrix.shape
    return matrix if matrix.stride() in ((columns, 1), (1, rows)) else matrix.contiguous()


def tanh(A, out):
    """tanh a = 2σ(2a) - 1, in half of the time of torch's own. `out` may be A itself.

    The error is that of a number near 1, also where the result is small: 1e-7 in float32. Too much
    for half precision, which takes torch's own; so does a GPU, where three calls cost more.
    """
    if A.device.type != "cpu" or A.dtype not in (torch.float32, torch.float64):
        return torch.tanh(A, out=out)
    torch.add(A, A, out=out).sigmoid_()
    return torch.add(MINUS_ONE, out, alpha=2, out=out)


MINUS_ONE = torch.tensor(-1.0, device="cpu")


class Linear(Function):
    """b + H W, as `torch.addmm`: the output layer."""

    @staticmethod
    def forward(ctx, b, H, W):
        ctx.save_for_backward(H, W)
        return product(W.T, H.T).T.contiguous().add_(b)

    @staticmethod
    def backward(ctx, D):
        H, W = ctx.saved_tensors
        if torch.is_grad_enabled():  # only @ has a second derivative
            return D.sum(0), D @ W.T, H.T @ D
        G = product(W, D.T).T if H.stride(0) == 1 else product(D, W.T)  # in memory as H is
        # Hᵀ D, turned: a matrix that is turned must be copied, and D is the smaller one.
        return D.sum(0), G, product(D.T, H).T


def room(like, shape):
    """An uninitialised tensor of this shape, with the dtype and the device of `like`.

    What was given out before is given out again once nothing else holds it: every training step
    needs the same few buffers, and memory fresh from the system costs a page fault every four
    kilobytes. At most KEPT bytes stay, those of the shapes used last.
    """
    if like.device.type != "cpu" or USE_COUNT is None or torch.is_inference_mode_enabled():
        return like.new_empty(shape)
    with _lock:
        buffers = _rooms.pop((shape, like.dtype), [])
        _rooms[shape, like.dtype] = buffers  # the shape used last stands last
        for buffer in buffers:
            if _holders(buffer) == ALONE and not buffer.is_shared():  # nor by another process
                return buffer[:]
        buffer = like.new_empty(shape)
        if type(buffer) is torch.Tensor:
            buffers.append(buffer)
        while sum(b.nbytes for kept in _rooms.values() for b in kept) > KEPT:
            oldest = next(iter(_rooms.values()))
            if oldest:
                oldest.pop(0)
            else:
                del _rooms[next(iter(_rooms))]
        return buffer[:]


KEPT = 128 * 2**20
_rooms, _lock = {}, threading.Lock()

# The results of products cannot be given a room. glibc returns what is freed to the system, and
# every training step would ask for the same pages again. It keeps blocks of up to the size of the
# largest that it has seen freed (M_MMAP_THRESHOLD in mallopt(3)), in the whole process: here is
# one, of which no byte is ever touched.
torch.empty(30 * 2**20, dtype=torch.uint8, device="cpu")


def _holders(buffer):
    """How many tensors hold the memory of a tensor, and how many names its storage has."""
    storage = buffer.untyped_storage()
    return USE_COUNT(storage._cdata), sys.getrefcount(storage)


ALONE = USE_COUNT and _holders(torch.empty(1, device="cpu"))
