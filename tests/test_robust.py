"""Runs that repeat themselves, leave nothing behind, and hold to what torch computes, whatever
the text, the threads or the process."""

import gc
import math
import os
import platform
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import d2lmini as d2l
from d2lmini import by_hand, cells, training

TEXT = "the time traveller for so it will be convenient to speak of him was expounding " * 4

RUN = """
import sys, torch
import d2lmini as d2l
from d2lmini import by_hand, cells, training
from torch import nn
torch.manual_seed(3)
train_iter, vocab = d2l.load_data_text(sys.argv[1], 4, 9, sys.argv[2] == "random")
n, functions = len(vocab), cells.network(cells.lstm, unroll=by_hand.unroll)
scratch = lambda: d2l.RNNModelScratch(n, 32, "cpu", *functions)
for make in (scratch, lambda: d2l.RNNModel(nn.GRU(n, 32), n)):
    net = make()
    *_, history = d2l.fit(net, train_iter, vocab, 0.5, 6, use_random_iter=sys.argv[2] == "random")
    print(*(value.hex() for value in history.train))
    torch.rand(1)
print(d2l.predict_ch8("time", 9, net, vocab, temperature=1.0))
"""


def run(order="next", **environment):
    """What a run of two small networks prints, in a process of its own."""
    command = [sys.executable, "-c", RUN, TEXT, order]
    options = {"env": os.environ | environment, "encoding": "utf-8"}
    printed = subprocess.check_output(command, **options)
    *curves, written = printed.splitlines()
    return [[float.fromhex(value) for value in curve.split()] for curve in curves], written


@pytest.mark.parametrize("order", ["next", "random"])
@pytest.mark.long
def test_the_same_seed_is_the_same_run_in_another_process(order):
    first = run(order, OMP_NUM_THREADS="1", PYTHONHASHSEED="1")
    assert first == run(order, OMP_NUM_THREADS="1", PYTHONHASHSEED="2")
    for environment in (
        {"OMP_NUM_THREADS": "4"},
        {"OMP_NUM_THREADS": "1", "ATEN_CPU_CAPABILITY": "default"},
        {"OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ):
        curves, _ = run(order, **environment)
        np.testing.assert_allclose(curves, first[0], rtol=1e-3)  # sums in another order


def test_the_same_seed_is_the_same_run_after_unrelated_random_numbers():
    train_iter, vocab = d2l.load_data_text(TEXT, 4, 9, True)

    def curve():
        torch.manual_seed(1)
        net = d2l.RNNModelScratch(len(vocab), 8, "cpu", *cells.network(cells.gru))
        *_, history = d2l.fit(net, train_iter, vocab, 1, 4, use_random_iter=True, seed=2)
        return history.train, history.samples

    first = curve()
    random.random(), np.random.rand(3), torch.rand(5)
    assert curve() == first


BY_HAND = cells.network(cells.lstm, unroll=by_hand.unroll)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: d2l.RNNModelScratch(n, 8, "cpu", *BY_HAND),
        lambda n: d2l.RNNModel(nn.LSTM(n, 8), n),
    ],
    ids=["by hand", "concise"],
)
@pytest.mark.long
def test_memory_does_not_grow_with_the_batches(make):
    resident = pytest.importorskip("psutil").Process().memory_info
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)
    net, batches = make(len(vocab)), list(train_iter)
    params, loss = training.parameters(net), nn.CrossEntropyLoss()
    updater = lambda batch_size: d2l.sgd(params, 0.1, batch_size)  # noqa: E731

    def train(num_batches):
        many = batches * (num_batches // len(batches))
        d2l.train_epoch_ch8(net, many, loss, updater, "cpu", False)
        gc.collect()
        return resident().rss

    train(1000)
    before = train(1000)
    assert train(10_000) - before < 8e6  # a leak of one state a batch would be some 20 MB


def test_nothing_is_left_open():
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)
    net = d2l.RNNModel(nn.RNN(len(vocab), 4), len(vocab))

    def opened():
        files = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        pyplot = sys.modules.get("matplotlib.pyplot")
        return threading.active_count(), len(files), pyplot and pyplot.get_fignums()

    d2l.train_ch8(net, train_iter, vocab, 1, 2, "cpu")  # whatever is opened once
    before = opened()
    for _ in range(3):
        d2l.train_ch8(net, train_iter, vocab, 1, 2, "cpu")
    assert opened() == before


def test_dropout_is_off_while_it_writes_and_measures():
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)
    net = d2l.RNNModel(nn.LSTM(len(vocab), 6, num_layers=2, dropout=0.9), len(vocab))
    for mode in (True, False):
        net.train(mode)
        written = {d2l.predict_ch8("time", 20, net, vocab) for _ in range(5)}
        measured = {d2l.evaluate_perplexity(net, train_iter) for _ in range(5)}
        assert len(written) == len(measured) == 1 and net.training == mode
    net.train()
    with pytest.raises(ValueError):
        d2l.predict_ch8("", 20, net, vocab)
    assert net.training


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=21, max_size=60), st.integers(0, 2**31))
def test_any_text_can_be_loaded_learnt_and_written(text, seed):
    try:
        train_iter, vocab = d2l.load_data_text(text, 2, 5)
    except OSError:
        return  # a text that is the name of a file
    torch.manual_seed(seed)
    net = d2l.RNNModel(nn.GRU(len(vocab), 4), len(vocab))
    *_, history = d2l.fit(net, train_iter, vocab, 1, 1, prefixes=[text[:3]])
    assert math.isfinite(history.perplexity)
    written = d2l.predict_ch8(text[:3], 5, net, vocab, temperature=1.0)
    assert written.replace("<unk>", "?").startswith(text[:3])
    assert set(written.replace("<unk>", "")) <= set(text)


numbers = st.floats(-1e6, 1e6)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=20))
def test_accumulators_add(rows):
    sums = d2l.Accumulator(2)
    for row in rows:
        sums.add(*row)
    for k in (0, 1):
        assert math.isclose(sums[k], math.fsum(row[k] for row in rows), abs_tol=1e-6)
    sums.reset()
    assert sums.data == [0.0, 0.0]


@settings(deadline=None)
@given(
    st.lists(st.lists(numbers, min_size=3, max_size=3), min_size=1, max_size=4),
    st.floats(0.01, 1e5),
)
def test_clipping_is_that_of_torch(gradients, theta):
    ours, theirs = ([torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in gradients]
                    for _ in range(2))  # fmt: skip
    for params in (ours, theirs):
        for param, gradient in zip(params, gradients):
            param.grad = torch.tensor(gradient, dtype=torch.float64)
    norm = d2l.grad_clipping(ours, theta)
    expected = nn.utils.clip_grad_norm_(theirs, theta)
    torch.testing.assert_close(norm, expected)
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a.grad, b.grad, rtol=2e-4, atol=1e-9)  # theirs adds 1e-6
    assert torch.stack([a.grad.norm() for a in ours]).norm() <= theta * (1 + 1e-12)


def test_markup_in_a_text_stays_text(tmp_path):
    text = r"<script>alert(1)</script> $\frac{1}{ $x_y^z$ \undefined & &lt; " * 6
    train_iter, vocab = d2l.load_data_text(text, 2, 7)
    net = d2l.RNNModel(nn.GRU(len(vocab), 4), len(vocab))
    history = d2l.train_ch8(net, train_iter, vocab, 1, 1, "cpu", prefixes=["<script>$"])
    assert history.samples[0].startswith("<script>$")
    assert "<script>" not in repr(history)


TRAINING = """
import resource, torch, d2lmini as d2l
from d2lmini import by_hand, cells, race

race.keep_freed_memory()
functions = cells.network(cells.gru, unroll=by_hand.unroll)
net = d2l.RNNModelScratch(28, 256, "cpu", *functions, one_hot=False)
X = torch.randint(28, (32, 35))
for step in range(30):
    if step == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    net(X)[0].square().mean().backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.long
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_is_kept():
    done = subprocess.run([sys.executable, "-c", TRAINING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 1000  # pages, for ten steps; without the call there are over 30,000
