"""Fixtures that keep the tests away from the network and from the user's own cache."""

import hashlib
import importlib
import os
from pathlib import Path

import matplotlib
import pooch
import pytest
import torch

import d2lmini as d2l

# Nets this small gain nothing from a second thread, and lose much while another process computes.
torch.set_num_threads(1)

BOOK_SHA256 = "8424dbd9532ac81f7e5f0b6add90e6952baea29158309d7d1bf3884f4e12c516"


def pytest_configure(config):
    # With `-n 2 --dist loadfile`, the lessons come last, as they stand on the command line. By
    # itself xdist sorts files by their number of tests, and one process ends with a long lesson.
    config.option.loadscopereorder = False
    os.environ.pop("D2LMINI_LANGUAGE", None)  # whatever whoever runs the tests reads


@pytest.fixture
def clean_download(monkeypatch, tmp_path):
    """The module `d2lmini.text` with an empty cache, no environment, and nothing told yet."""
    module = importlib.import_module("d2lmini.text")
    monkeypatch.delenv("D2LMINI_DATA", raising=False)
    monkeypatch.delenv("D2LMINI_OFFLINE", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    monkeypatch.setattr(module, "_told", set())
    monkeypatch.setattr(module, "_unreachable", {})
    return module


@pytest.fixture
def bundled(clean_download, monkeypatch):
    """*The Time Machine* is the story in the package: no network, no cache."""
    monkeypatch.setenv("D2LMINI_OFFLINE", "1")


@pytest.fixture
def book(monkeypatch):
    """*The Time Machine* is the real book, or the test is skipped."""
    folder = os.environ.get("D2LMINI_DATA")
    if not folder:
        pytest.skip("needs the book: set D2LMINI_DATA to a folder that holds timemachine.txt")
    path = Path(folder) / "timemachine.txt"
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != BOOK_SHA256:
        pytest.skip("D2LMINI_DATA is set, but its timemachine.txt is not D2L's edition")
    monkeypatch.setenv("D2LMINI_OFFLINE", "1")  # it must come from the folder


@pytest.fixture
def pyplot():
    """pyplot without windows, and with the settings as they were afterwards."""
    matplotlib.use("agg")
    with matplotlib.rc_context():
        yield d2l.plt
    d2l.plt.close("all")


@pytest.fixture(autouse=True)
def same_start():
    """Every test starts with torch's random generator in the same state."""
    torch.manual_seed(1)
