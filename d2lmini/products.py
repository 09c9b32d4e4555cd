"""The matrix product that `readable` and `by_hand` spend most of their time in.

`left @ right` goes to MKL on most CPUs, and MKL uses the wide AVX-512 instructions of Intel's
processors only. oneDNN, the library under `torch.nn.LSTM`, uses them on every processor that has
them. torch has no public name for oneDNN's product, so there is a private one below; where it is
missing, everything works with `@`.
"""

import torch

ONEDNN_IS_FASTER = (
    torch.backends.cpu.get_cpu_capability() == "AVX512"
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
)
LARGE = 2**19  # multiplications; oneDNN takes longer to start, and in a small product it shows


def product(left, right):
    """left @ right for two matrices, with the fastest library that torch has here.

    The two libraries add up in another order, so their results differ in the last digits. In a
    loop, `left` should be contiguous: a part of a larger matrix would be copied at every step.
    """
    large = len(left) * right.numel() > LARGE
    float32 = left.dtype == right.dtype == torch.float32
    if ONEDNN_IS_FASTER and large and float32 and right.device.type == "cpu":
        return torch.ops.mkldnn._linear_pointwise(left, right.T, None, "none", [], "")
    return left @ right
