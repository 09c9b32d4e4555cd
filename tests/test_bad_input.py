"""Every bad argument is refused in words: which argument, what came, what was wanted."""

import math
import os

import numpy as np
import pytest
import torch
from torch import nn

import d2lmini as d2l
from d2lmini import cells

TEXT = "the time traveller for so it will be convenient to speak of him " * 5
COUNT = "{} must be an integer of 1 or more, got {}"
AMOUNT = "{} must be a number of 0 or more, got {}"
NO_COUNTS = [0, -1, 2.5, "3", None, True, math.nan]
NO_AMOUNTS = [-1, -1e-9, math.nan, math.inf, "1", None, torch.tensor([1.0, 2.0])]


def load(text=TEXT, batch_size=2, num_steps=5, **options):
    return d2l.load_data_text(text, batch_size, num_steps, **options)


def train(lr=1, num_epochs=1, **options):
    train_iter, vocab = load()
    net = d2l.RNNModel(nn.GRU(len(vocab), 4), len(vocab))
    return d2l.train_ch8(net, train_iter, vocab, lr, num_epochs, "cpu", **options)


def scratch(vocab_size=5, num_hiddens=4):
    return d2l.RNNModelScratch(vocab_size, num_hiddens, "cpu", *cells.network(cells.rnn))


def predict(prefix="t", num_preds=3, **options):
    _, vocab = load()
    net = d2l.RNNModel(nn.GRU(len(vocab), 4), len(vocab))
    return d2l.predict_ch8(prefix, num_preds, net, vocab, "cpu", **options)


def clip(theta=1):
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([3.0, 4.0])
    return d2l.grad_clipping([weight], theta)


LETTERS = d2l.Vocab(list("ab"))
SHORT = "corpus has {} tokens, but batch_size=2 rows of num_steps=5 need at least 11"
NO_PREFIX = "prefix must hold at least one token of the vocabulary to start from, got {!r}"

TABLE = [  # what is called, the error, its words
    *[(lambda n=n: load(batch_size=n), ValueError, COUNT.format("batch_size", repr(n)))
      for n in NO_COUNTS],
    *[(lambda n=n: load(num_steps=n), ValueError, COUNT.format("num_steps", repr(n)))
      for n in NO_COUNTS],
    *[(lambda n=n: train(num_epochs=n), ValueError, COUNT.format("num_epochs", repr(n)))
      for n in NO_COUNTS],
    *[(lambda n=n: scratch(num_hiddens=n), ValueError, COUNT.format("num_hiddens", repr(n)))
      for n in NO_COUNTS],
    *[(lambda n=n: scratch(vocab_size=n), ValueError, COUNT.format("vocab_size", repr(n)))
      for n in NO_COUNTS],
    (lambda: load(batch_size=10**9), ValueError,
     "batch_size=1000000000 rows of num_steps=5 need at least 5000000001"),
    (lambda: load(num_steps=10**9), ValueError,
     "batch_size=2 rows of num_steps=1000000000 need at least 2000000001"),
    *[(lambda n=n: load(TEXT[:n]), ValueError, SHORT.format(n)) for n in (0, 1, 5, 10)],
    *[(lambda n=n: list(d2l.seq_data_iter_random(list(range(n)), 2, 5)), ValueError,
       SHORT.format(n)) for n in (0, 1, 5, 10)],
    *[(lambda n=n: list(d2l.seq_data_iter_sequential(list(range(n)), 2, 5)), ValueError,
       SHORT.format(n)) for n in (0, 1, 5, 10)],
    (lambda: load(start=10**6), ValueError, SHORT.format(0)),
    (lambda: load(start=-1), ValueError, "start must be an integer of 0 or more, got -1"),
    (lambda: load(start=0.5), ValueError, "start must be an integer of 0 or more, got 0.5"),
    (lambda: load(max_tokens=2.5), ValueError, "max_tokens must be an integer, -1 for all"),
    (lambda: load(max_tokens=None), ValueError, "max_tokens must be an integer, -1 for all"),
    (lambda: load(max_tokens=10), ValueError, SHORT.format(10)),
    *[(lambda n=n: train(lr=n), ValueError, AMOUNT.format("lr", repr(n))) for n in NO_AMOUNTS],
    (lambda: d2l.sgd([], 1, -1), ValueError, AMOUNT.format("batch_size", -1)),
    *[(lambda n=n: clip(n), ValueError, AMOUNT.format("theta", repr(n)))
      for n in NO_AMOUNTS if not (isinstance(n, float) and n == math.inf)],
    *[(lambda n=n: predict(temperature=n), ValueError, AMOUNT.format("temperature", repr(n)))
      for n in NO_AMOUNTS],
    *[(lambda n=n: predict(num_preds=n), ValueError,
       f"num_preds must be an integer of 0 or more, got {n!r}") for n in (-1, 2.5, "3", None)],
    *[(lambda p=p: predict(p), ValueError, NO_PREFIX.format(p)) for p in ("", "\U0001f600", "中")],
    *[(lambda p=p: predict(p), TypeError, f"prefix must be a string or a list of words, got {p!r}")
      for p in (5, None, [1], b"time")],
    (lambda: train(prefixes=["#"]), ValueError, NO_PREFIX.format("#")),
    (lambda: d2l.Vocab(torch.tensor([1, 2])), TypeError, "tokens must be strings, got 1 among"),
    (lambda: d2l.Vocab(np.array([1, 2])), TypeError, "tokens must be strings, got 1 among"),
    (lambda: d2l.Vocab([[["a"]]]), TypeError, "tokens must be strings, got ['a'] among"),
    (lambda: d2l.Vocab(["a", None]), TypeError, "tokens must be strings, got None among"),
    (lambda: d2l.Vocab(5), TypeError, "tokens must be a list of tokens, got int"),
    (lambda: d2l.Vocab(iter("ab")), TypeError, "tokens must be a list of tokens, got str_"),
    (lambda: d2l.Vocab(["a"], min_freq="x"), ValueError, AMOUNT.format("min_freq", "'x'")),
    (lambda: d2l.Vocab(["a"], reserved_tokens="<pad>"), ValueError,
     "reserved_tokens must be a list of tokens, got '<pad>'"),
    *[(lambda n=n: LETTERS[n], TypeError, f"looks up tokens, got {type(n).__name__}; for indices")
      for n in (1, None, np.int64(1), 1.5)],
    *[(lambda n=n: LETTERS.to_tokens(n), IndexError, f"index must be in 0..2, got {n}")
      for n in (-1, 3)],
    *[(lambda n=n: LETTERS.to_tokens(n), TypeError, "indices must be integers, got")
      for n in (1.0, None, "a", True)],
    (lambda: d2l.tokenize(["a"], "words"), ValueError, 'token must be "word" or "char", got'),
    (lambda: d2l.Accumulator(2).add(1), ValueError, "add() got 1 values for 2 sums"),
    (lambda: cells.network(nn.GRU), ValueError, "cell must be one of d2lmini.cells, got"),
    (lambda: cells.network(cells.gru, 0), ValueError, COUNT.format("num_layers", 0)),
    (lambda: d2l.RNNModel(nn.GRU(3, 4), 5), ValueError, "input_size=vocab_size=5, got 3"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(TABLE)))
def test_bad_arguments(case):
    call, kind, words = TABLE[case]
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)


def test_one_number_in_a_tensor_is_a_number():
    weight = torch.ones(2, requires_grad=True)
    weight.grad = torch.tensor([3.0, 4.0])
    d2l.sgd([weight], torch.tensor(0.5), torch.tensor(2.0))
    assert weight.tolist() == [0.25, 0.0]
    weight.grad = torch.tensor([3.0, 4.0])
    assert d2l.grad_clipping(weight, torch.tensor(1.0)) == 5
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]))
    assert train(torch.tensor(0.5), prefixes=[]).epoch == 1


def test_words_and_bigrams_can_be_trained_as_they_are():
    words = TEXT.split() * 4
    for tokens in (words, list(zip(words, words[1:]))):
        vocab = d2l.Vocab(tokens)
        batches = d2l.loaders.TextLoader(vocab[tokens], vocab, 2, 5, False)
        net = d2l.RNNModel(nn.GRU(len(vocab), 4), len(vocab))
        history = d2l.train_ch8(net, batches, vocab, 1, 2, "cpu")
        first = vocab.to_tokens(1)
        assert history.samples[0].startswith(first if isinstance(first, str) else " ".join(first))


def test_what_is_unusual_and_fine():
    assert len(list(load(TEXT[:11])[0])) == 1  # one batch, exactly
    for good in (np.int64(2), np.int32(2)):
        assert next(iter(load(batch_size=good)[0]))[0].shape == (2, 5)
    assert len(load(max_tokens=0)[0].corpus) == len(load(max_tokens=-1)[0].corpus) == len(TEXT)
    assert predict("T", 0) == "t" and predict("naïve", 0) == "naive" and len(predict("TIME")) == 7
    assert predict("t\U0001f600", 0) == "t<unk>"
    vocab = d2l.Vocab(np.array(["b", "a", "b"]), reserved_tokens=["<unk>", "<pad>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "b", "a"]
    assert d2l.Vocab(list("aab"), min_freq=10).idx_to_token == ["<unk>"]
    assert vocab.to_tokens(np.int64(2)) == vocab.to_tokens(torch.tensor(2)) == "b"
    assert vocab.to_tokens([0, [2]]) == ["<unk>", ["b"]] and vocab[np.str_("a")] == 3


FILES = {
    "noise": (bytes(range(255, 0, -1)) * 9, "is not utf-8-sig text (byte 0); pass its encoding"),
    "gbk": ("想你的夜".encode("gbk") * 99, "is not utf-8-sig text (byte 0); pass its encoding"),
    "utf-16": (("abc" * 99).encode("utf-16"), "is not utf-8-sig text (byte 0); pass its encoding"),
    "utf-16-le": (("abc" * 99).encode("utf-16-le"), "is not utf-8-sig text: it holds zero bytes"),
    "empty": (b"", SHORT.format(0)),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_text(name, tmp_path):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as caught:
        load(tmp_path / name)
    assert words in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(10**9)  # takes no room on the disk
    with pytest.raises(ValueError, match=r"huge has 1,000,000,000 bytes; a text may have 50,000"):
        load(tmp_path / "huge")
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such"):
        load(tmp_path / "no such")
    (tmp_path / "secret").write_text("abc" * 99)
    os.chmod(tmp_path / "secret", 0)
    if not os.access(tmp_path / "secret", os.R_OK):  # the administrator reads everything
        with pytest.raises(PermissionError, match="secret"):
            load(tmp_path / "secret")
    with pytest.raises(LookupError, match="unknown encoding: klingon"):
        load(tmp_path / "secret" if os.access(tmp_path / "secret", os.R_OK) else __file__,
             encoding="klingon")  # fmt: skip


def test_files_of_every_usual_kind(tmp_path):
    (tmp_path / "bom").write_bytes("\ufeffabc".encode() + b"abc" * 99)
    (tmp_path / "windows").write_bytes(b"abc\r\n" * 99)
    (tmp_path / "gbk").write_bytes("想你的夜".encode("gbk") * 99)
    assert sorted(load(tmp_path / "bom")[1].idx_to_token[1:]) == ["a", "b", "c"]
    assert sorted(load(tmp_path / "windows")[1].idx_to_token[1:]) == ["\n", "a", "b", "c"]
    vocab = load(tmp_path / "gbk", encoding="gbk")[1]
    assert set(vocab.idx_to_token[1:]) == set("想你的夜")


@pytest.mark.parametrize("lr", [0, 1e4, 1e9, 1e30])
def test_no_learning_rate_raises(lr):
    for options in ({}, {"optimizer": torch.optim.Adam}):
        history = train(lr, 3, prefixes=[], **options)
        assert history.diverged or math.isfinite(history.perplexity)
        if history.diverged:
            assert f"diverged at epoch {history.epoch}" in repr(history)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_precisions_train(dtype):
    # As many batches as would take a sum in float16 beyond 65,504.
    train_iter, vocab = d2l.load_data_text(TEXT * 60, 16, 25, max_tokens=-1)
    torch.manual_seed(0)
    net = d2l.RNNModel(nn.GRU(len(vocab), 8), len(vocab)).to(dtype)
    start = d2l.evaluate_perplexity(net.float(), train_iter)
    found = d2l.evaluate_perplexity(net.to(dtype), train_iter)
    assert math.isclose(found, start, rel_tol=0.02)
    *_, history = d2l.fit(net, train_iter, vocab, 1, 3, "cpu", seed=0, prefixes=[])
    assert history.train[-1] < 0.9 * history.train[0]
    assert all(param.dtype == dtype for param in net.parameters())
