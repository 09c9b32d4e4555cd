"""The stopwatch against a clock that we turn, running sums against numbers added by hand."""

from types import SimpleNamespace

import pytest
import torch

import d2lmini as d2l
from d2lmini import tools


def test_timer(monkeypatch):
    ticks = iter([10.0, 12.0, 20.0, 21.0, 30.0, 36.0])
    monkeypatch.setattr(tools, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    timer = d2l.Timer()  # runs from the start
    assert timer.avg() == 0.0 and timer.sum() == 0
    assert timer.stop() == 2.0
    timer.start()
    assert timer.stop() == 1.0
    timer.start()
    assert timer.stop() == 6.0
    assert timer.times == [2.0, 1.0, 6.0]
    assert (timer.sum(), timer.avg(), timer.cumsum()) == (9.0, 3.0, [2.0, 3.0, 9.0])


def test_accumulator():
    sums = d2l.Accumulator(2)
    sums.add(1.5, 20)
    sums.add(torch.tensor(2.0, requires_grad=True) * 2, True)  # no warning for the graph
    assert (sums[0], sums[1]) == (5.5, 21.0)
    sums.reset()
    assert sums[:] == [0.0, 0.0]
    with pytest.raises(ValueError, match="3 values for 2 sums"):
        sums.add(1, 2, 3)


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_choice_of_a_device(monkeypatch, gpus):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    cpu = torch.device("cpu")
    present = [torch.device("cuda:0"), torch.device("cuda:1")][:gpus]
    assert [d2l.try_gpu(i) for i in range(3)] == present + [cpu] * (3 - gpus)
    assert d2l.try_gpu() == (present or [cpu])[0]
    assert d2l.try_gpu(-1) == cpu
    assert d2l.try_all_gpus() == (present or [cpu])


def test_write_whole_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    tools.write_whole(path, "naïve\r\n")
    assert path.read_bytes() == "naïve\r\n".encode()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(tools.os, "replace", full)
    with pytest.raises(OSError, match="disk full"):
        tools.write_whole(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    assert path.read_bytes() == "naïve\r\n".encode()
