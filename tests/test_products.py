"""The product by oneDNN and by `@`, against what torch computes in float64."""

import pytest
import torch

from d2lmini import products

HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@pytest.fixture(params=["oneDNN", "@"], autouse=True)
def library(request, monkeypatch):
    if request.param == "oneDNN" and not HAS_ONEDNN:
        pytest.skip("torch was built without oneDNN")
    monkeypatch.setattr(products, "LARGE", 0)
    monkeypatch.setattr(products, "ONEDNN_IS_FASTER", request.param == "oneDNN")


@pytest.mark.parametrize("columns", [slice(0, 8), slice(4, 12), slice(0, 12, 2)])
def test_products_of_parts_of_matrices(columns):
    torch.manual_seed(0)
    left, right = torch.randn(3, 7).double(), torch.randn(7, 12).double()[:, columns]
    for a, b in ((left, right), (left[:, ::2], right[::2]), (right.T, left.T)):
        found = products.product(a.float(), b.float())
        torch.testing.assert_close(found.double(), a @ b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_go_the_usual_way(dtype):
    torch.manual_seed(0)
    left, right = torch.randn(3, 7, dtype=dtype), torch.randn(7, 5, dtype=dtype)
    found = products.product(left, right)
    torch.testing.assert_close(found, left @ right, rtol=0, atol=0)


def test_no_rows():
    assert products.product(torch.randn(0, 3), torch.randn(3, 2)).shape == (0, 2)
    assert products.product(torch.randn(2, 0), torch.randn(0, 3)).equal(torch.zeros(2, 3))


def test_large_products_go_to_onednn_and_small_ones_do_not(library, monkeypatch, request):
    called = []
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", lambda *arguments: called.append(arguments)
    )
    left, right = torch.randn(3, 7), torch.randn(7, 12)
    monkeypatch.setattr(products, "LARGE", 3 * 7 * 12)
    assert products.product(left, right).shape == (3, 12) and not called
    monkeypatch.setattr(products, "LARGE", 3 * 7 * 12 - 1)
    products.product(left, right)
    assert len(called) == products.ONEDNN_IS_FASTER
