"""On a GPU the networks compute what they compute on a CPU, and training never waits for it.

`tools/gpu_check.py` runs these tests together with the rest that needs a GPU.
"""

import pytest
import torch
from torch import nn

import d2lmini as d2l
from d2lmini import by_hand, cells, readable
from d2lmini.training import run_epoch

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")

TEXT = "the time traveller for so it will be convenient to speak of him was expounding " * 9
CUDA = d2l.try_gpu()


def scratch(cell, unroll=cells.unroll):
    def make(vocab_size, device):
        functions = cells.network(cell, unroll=unroll)
        one_hot = unroll is cells.unroll
        net = d2l.RNNModelScratch(vocab_size, 16, "cpu", *functions, one_hot=one_hot)
        net.params = [param.detach().to(device).requires_grad_() for param in net.params]
        return net

    return make


def concise(kind, **options):
    def make(vocab_size, device):
        return d2l.RNNModel(kind(vocab_size, 16, **options), vocab_size).to(device)

    return make


MODELS = {
    **{f"{cell.__name__}, {unroll.__module__}": scratch(cell, unroll)
       for cell in cells.LETTERS for unroll in (cells.unroll, readable.unroll, by_hand.unroll)},
    "nn.RNN": concise(nn.RNN),
    "nn.GRU": concise(nn.GRU),
    "nn.LSTM": concise(nn.LSTM, num_layers=2),
    "both directions": concise(nn.GRU, bidirectional=True),
}  # fmt: skip


@pytest.fixture(autouse=True)
def full_precision():
    """Products in float32, not in TF32, so that they can be compared with the CPU's."""
    with torch.backends.cudnn.flags(allow_tf32=False):
        yield


def trained(make, device):
    """What three epochs on a device leave behind, beginning with the same weights."""
    torch.manual_seed(0)
    train_iter, vocab = d2l.load_data_text(TEXT, 4, 9)
    net = make(len(vocab), device)
    *_, history = d2l.fit(net, train_iter, vocab, 0.5, 3, device, val_iter=train_iter, seed=1)
    return net, vocab, history


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_trains_as_a_cpu_does(name):
    (_, _, ours), (_, _, expected) = (trained(MODELS[name], device) for device in (CUDA, "cpu"))
    assert ours.train == pytest.approx(expected.train, rel=1e-3)
    assert ours.val == pytest.approx(expected.val, rel=1e-3)


@pytest.mark.parametrize("name", ["gru, d2lmini.cells", "nn.LSTM"])
def test_reading_and_looking_inside(name):
    net, vocab, _ = trained(MODELS[name], CUDA)
    assert d2l.predict_ch8("time", 9, net, vocab, CUDA).startswith("time")
    X, Y = next(iter(d2l.load_data_text(TEXT, 4, 9)[0]))
    reach = d2l.gradient_reach(net, X.to(CUDA), Y.to(CUDA))
    assert reach.shape == (9,) and reach.isfinite().all()


def test_a_broken_run_ends_as_the_unbroken_one(tmp_path):
    train_iter, vocab = d2l.load_data_text(TEXT, 4, 9)

    def train(stop, path):
        torch.manual_seed(0)
        net = concise(nn.LSTM, num_layers=2, dropout=0.5)(len(vocab), CUDA)  # draws on the GPU
        run = d2l.fit(net, train_iter, vocab, 0.5, 6, CUDA, seed=1, checkpoint=path)
        for history in run:
            if history.epoch == stop:
                break
        return history.train

    with torch.backends.cudnn.flags(deterministic=True):
        expected = train(None, tmp_path / "unbroken.pt")
        train(3, tmp_path / "run.pt")
        assert train(None, tmp_path / "run.pt") == expected


@pytest.mark.parametrize("name", MODELS)
def test_training_does_not_wait_for_the_gpu_within_an_epoch(name):
    train_iter, vocab = d2l.load_data_text(TEXT, 4, 9)
    net = MODELS[name](len(vocab), CUDA)
    train_iter.to(CUDA)

    def watched():  # from the second batch on, whatever waits for the GPU raises an error
        for number, batch in enumerate(train_iter):
            torch.cuda.set_sync_debug_mode("error" if number else "default")
            yield batch

    def update(mean_loss):
        mean_loss.backward()
        d2l.grad_clipping(net, 1)
        d2l.sgd(d2l.training.parameters(net), 0.5, 1)

    try:
        run_epoch(net, watched(), nn.CrossEntropyLoss(), CUDA, False, _stopping(update))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def _stopping(update):
    """The same update; the last one lets the epoch's perplexity wait for the GPU again."""
    num_batches = len(d2l.load_data_text(TEXT, 4, 9)[0])
    done = []

    def counted(mean_loss):
        update(mean_loss)
        done.append(True)
        if len(done) == num_batches:
            torch.cuda.set_sync_debug_mode("default")

    return counted
