"""The faster products, tanh and memory, against what torch computes in float64."""

import gc

import pytest
import torch

from d2lmini import kernels


@pytest.fixture(params=["oneDNN", "without"], autouse=True)
def onednn(request, monkeypatch):
    monkeypatch.setattr(kernels, "LARGE", 0)
    if request.param == "without":
        monkeypatch.setattr(kernels, "ONEDNN", False)


def assert_near(actual, expected):
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("columns", [slice(0, 8), slice(4, 12), slice(0, 12, 2)])
def test_products_of_parts_of_matrices(columns):
    torch.manual_seed(0)
    left, right = torch.randn(3, 7).double(), torch.randn(7, 12).double()[:, columns]
    for a, b in ((left, right), (left[:, ::2], right[::2]), (right.T, left.T)):
        assert_near(kernels.product(a.float(), b.float()), a @ b)
        assert_near(kernels.multiplier(b.float(), a.float().expand(5, *a.shape))(a.float()), a @ b)
        assert_near(kernels.times(a.float(), b.float().expand(5, *b.shape))(b.float()), a @ b)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_go_the_usual_way(dtype):
    torch.manual_seed(0)
    left, right = torch.randn(3, 7, dtype=dtype), torch.randn(7, 5, dtype=dtype)
    times_right = kernels.multiplier(right, left.expand(5, 3, 7))
    times_left = kernels.times(left, right.expand(5, 7, 5))
    for found in (kernels.product(left, right), times_right(left), times_left(right)):
        torch.testing.assert_close(found, left @ right, rtol=0, atol=0)


def test_no_rows():
    assert kernels.product(torch.randn(0, 3), torch.randn(3, 2)).shape == (0, 2)
    assert kernels.product(torch.randn(2, 0), torch.randn(0, 3)).equal(torch.zeros(2, 3))


def test_tanh_to_the_last_digits():
    values = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        A, atol = values.to(dtype), 2 * torch.finfo(dtype).eps
        expected = torch.tanh(A.double())
        out = kernels.tanh(A, out=torch.empty_like(A))
        torch.testing.assert_close(out.double(), expected, rtol=0, atol=atol)
        assert kernels.tanh(A, out=A) is A and A.equal(out)
    far = torch.tensor([float("inf"), -float("inf"), float("nan")])
    expected = torch.tanh(far)
    torch.testing.assert_close(kernels.tanh(far, out=far), expected, equal_nan=True)


def test_linear_is_addmm():
    torch.manual_seed(0)
    shapes = ((3,), (5, 4), (4, 3))
    arguments = [torch.randn(shape).double().requires_grad_() for shape in shapes]
    assert torch.autograd.gradcheck(kernels.Linear.apply, arguments)
    assert torch.autograd.gradgradcheck(kernels.Linear.apply, arguments)
    torch.addmm(*arguments).square().sum().backward()
    for turned in (False, True):
        single = [part.detach().float().requires_grad_() for part in arguments]
        if turned:
            single[1] = single[1].detach().T.contiguous().T.requires_grad_()
        loss = kernels.Linear.apply(*single).square().sum()
        grads = torch.autograd.grad(loss, single)
        assert grads[1].stride() == single[1].stride()
        for ours, theirs in zip(grads, arguments):
            assert_near(ours, theirs.grad)


def test_room_is_given_again_only_when_nobody_holds_it(monkeypatch):
    monkeypatch.setattr(kernels, "_rooms", {})
    like = torch.zeros(1)
    first = kernels.room(like, (3, 4))
    held, place = first[1:].view(-1), first.data_ptr()
    del first
    assert kernels.room(like, (3, 4)).data_ptr() != place  # a part of it is still in use
    array = held.numpy()
    del held
    others = [kernels.room(like, (3, 4)) for _ in range(3)]
    assert place not in [other.data_ptr() for other in others]  # NumPy holds it
    del array
    gc.collect()
    if kernels.USE_COUNT is not None:
        assert kernels.room(like, (3, 4)).data_ptr() == place
    assert kernels.room(like.double(), (3, 4)).dtype == torch.float64
    assert len({room.data_ptr() for room in [kernels.room(like, (2,)) for _ in range(40)]}) == 40


def test_room_keeps_only_so_much(monkeypatch):
    monkeypatch.setattr(kernels, "_rooms", {})
    monkeypatch.setattr(kernels, "KEPT", 10_000)
    held = [kernels.room(torch.zeros(1), (size,)) for size in range(1, 50) for _ in range(9)]
    assert len({room.data_ptr() for room in held}) == len(held)
    kept = sum(buffer.nbytes for buffers in kernels._rooms.values() for buffer in buffers)
    assert 8_000 < kept <= 10_000
    kernels.room(torch.zeros(1), (5000,))  # larger than all that may be kept
    assert sum(buffer.nbytes for buffers in kernels._rooms.values() for buffer in buffers) == 0


def test_room_that_others_hold(monkeypatch):
    monkeypatch.setattr(kernels, "_rooms", {})
    first = kernels.room(torch.zeros(1), (6,))
    place, storage = first.data_ptr(), first.untyped_storage()
    del first
    assert kernels.room(torch.zeros(1), (6,)).data_ptr() != place  # its storage has a name
    del storage
    shared = kernels.room(torch.zeros(1), (7,)).share_memory_()
    place = shared.data_ptr()
    del shared
    assert kernels.room(torch.zeros(1), (7,)).data_ptr() != place  # another process may read it


def test_room_is_no_inference_tensor_later(monkeypatch):
    monkeypatch.setattr(kernels, "_rooms", {})
    with torch.inference_mode():
        kernels.room(torch.zeros(1), (5,))
    assert not kernels.room(torch.zeros(1), (5,)).is_inference()
