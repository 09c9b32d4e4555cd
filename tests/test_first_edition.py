"""The older edition's names: windows of a counting corpus, and training against plain PyTorch."""

import copy
import math
import re
from importlib import resources

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_nets import Alphabet, concise_rnn
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l

CPU = torch.device("cpu")


@given(
    batch_size=st.integers(1, 5),
    num_steps=st.integers(1, 6),
    extra=st.integers(0, 60),
    seed=st.integers(0, 2**32),
)
def test_both_iterators(batch_size, num_steps, extra, seed):
    torch.manual_seed(seed)
    corpus = list(range(batch_size * (num_steps + 1) + extra))
    args = (corpus, batch_size, num_steps, CPU)
    unrelated = list(d2l.data_iter_random(*args))
    consecutive = list(d2l.data_iter_consecutive(*args))
    assert len(unrelated) == (len(corpus) - 1) // num_steps // batch_size
    assert len(consecutive) == (len(corpus) // batch_size - 1) // num_steps
    for X, Y in unrelated + consecutive:
        assert X.shape == (batch_size, num_steps)
        assert torch.equal(Y, X + 1) and torch.equal(X, X[:, :1] + torch.arange(num_steps))

    starts = torch.cat([X[:, 0] for X, _ in unrelated]).sort().values
    assert bool((starts % num_steps == 0).all()) and bool((starts.diff() > 0).all())
    rows = [i * (len(corpus) // batch_size) for i in range(batch_size)]
    assert consecutive[0][0][:, 0].tolist() == rows  # from the first token on
    for (before, _), (after, _) in zip(consecutive, consecutive[1:]):
        assert torch.equal(after[:, 0], before[:, -1] + 1)


@pytest.mark.parametrize(
    "iterator, needed", [(d2l.data_iter_random, 13), (d2l.data_iter_consecutive, 15)]
)
def test_a_short_corpus_is_told_how_long_it_must_be(iterator, needed):
    for length in range(needed):
        with pytest.raises(ValueError, match=rf"{length} tokens.*need.* {needed}$"):
            iterator(list(range(length)), 3, 4)
    assert len(list(iterator(list(range(needed)), 3, 4))) == 1


def test_iterators_without_a_device():
    (X, Y), *_ = d2l.data_iter_consecutive(torch.arange(30), 2, 6)
    assert X.tolist() == [list(range(6)), list(range(15, 21))]


def test_to_onehot():
    X = torch.tensor([[0, 2], [1, 1], [2, 0]])
    steps = d2l.to_onehot(X, 4)
    assert isinstance(steps, list) and len(steps) == 2
    for step, column in zip(steps, X.T):
        torch.testing.assert_close(step, torch.eye(4)[column])
    torch.testing.assert_close(d2l.to_onehot(X.float(), 4), steps)  # indices as floats


CHARS = list("abcdefghij")
INDEX = {char: i for i, char in enumerate(CHARS)}


def test_predict_rnn_pytorch():
    net = Alphabet(10)
    assert d2l.predict_rnn_pytorch("cab", 9, net, 10, CPU, CHARS, INDEX) == "cabcdefghija"
    assert net.modes == [False] * 11 and net.training
    with pytest.raises(ValueError, match=r"not in the text: \['x', 'é'\]"):
        d2l.predict_rnn_pytorch("caéx", 9, net, 10, CPU, CHARS, INDEX)
    with pytest.raises(ValueError, match="at least one token"):
        d2l.predict_rnn_pytorch("", 9, net, 10, CPU, CHARS, INDEX)


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM])
def test_training_is_adam_on_consecutive_batches(layer, capsys):
    corpus = torch.randint(10, (150,)).tolist()
    net = concise_rnn(10, 6, layer)
    by_hand = copy.deepcopy(net)
    theta = 0.05  # small: every step is clipped
    d2l.train_and_predict_rnn_pytorch(
        net, 6, 10, CPU, corpus, CHARS, INDEX, 4, 7, 0.01, theta, 3, 2, 5, ["cab", "j"]
    )
    lines = capsys.readouterr().out.splitlines()

    optimizer, expected = torch.optim.Adam(by_hand.parameters(), lr=0.01), []
    for _ in range(4):
        losses, state = [], None
        for X, Y in d2l.data_iter_consecutive(corpus, 3, 7, CPU):
            outputs, state = by_hand.rnn(F.one_hot(X.T, 10).double(), state)
            state = state.detach() if layer is nn.GRU else tuple(s.detach() for s in state)
            loss = F.cross_entropy(by_hand.linear(outputs).flatten(0, 1), Y.T.flatten())
            optimizer.zero_grad()
            loss.backward()
            norm = math.sqrt(sum(float((p.grad**2).sum()) for p in by_hand.parameters()))
            assert norm > theta
            for param in by_hand.parameters():
                param.grad *= theta / norm
            optimizer.step()
            losses.append(float(loss.detach()))
        expected.append(math.exp(sum(losses) / len(losses)))
    torch.testing.assert_close(net.state_dict(), by_hand.state_dict(), rtol=0, atol=1e-10)

    # A report every second epoch, and a sample for every prefix.
    assert len(lines) == 6
    for epoch, line in ((2, lines[0]), (4, lines[3])):
        found = re.fullmatch(rf"epoch {epoch}, perplexity (\d+\.\d+), time \d+\.\d\d sec", line)
        assert float(found[1]) == pytest.approx(expected[epoch - 1], abs=1e-6)
    for prefix, line in (("cab", lines[4]), ("j", lines[5])):
        sample = d2l.predict_rnn_pytorch(prefix, 5, by_hand, 10, CPU, CHARS, INDEX)
        assert line == f" - {sample}"


# --- The Chinese text ----------------------------------------------------------------------------


def test_the_chinese_text_in_indices_and_back():
    corpus_indices, char_to_idx, idx_to_char, vocab_size = d2l.load_data_jay_lyrics()
    file = resources.files("d2lmini") / "five_minutes.txt"
    lines = file.read_bytes().decode("utf-8").split("\n")
    text = "".join(idx_to_char[index] for index in corpus_indices)
    assert text == " ".join(line.rstrip("\r") for line in lines).strip()
    assert len(text) > 5000 and "分开" in text.replace("不分开", "") and "不分开" in text
    assert not set(text) & set("\n\r\t\ufeff")

    assert [char_to_idx[char] for char in text] == corpus_indices
    assert vocab_size == len(idx_to_char) == len(char_to_idx) == len(set(text))
    assert {char: idx_to_char[index] for char, index in char_to_idx.items()} == {
        char: char for char in text
    }
    # The same indices on every day and every machine: the order is that of the code points.
    assert [ord(char) for char in idx_to_char] == sorted(ord(char) for char in set(text))
    assert d2l.load_data_jay_lyrics() == (corpus_indices, char_to_idx, idx_to_char, vocab_size)


def test_the_older_editions_program(capsys):
    (corpus_indices, char_to_idx, idx_to_char, vocab_size) = d2l.load_data_jay_lyrics()
    text = "".join(idx_to_char[index] for index in corpus_indices)
    length = len(text) // 32
    for number, (X, Y) in enumerate(d2l.data_iter_consecutive(corpus_indices, 32, 35, CPU)):
        for row in (0, 31):
            start = row * length + 35 * number
            assert "".join(idx_to_char[i] for i in X[row]) == text[start : start + 35]
            assert "".join(idx_to_char[i] for i in Y[row]) == text[start + 1 : start + 36]
    assert number + 1 == (length - 1) // 35

    num_hiddens, pred_len, prefixes = 8, 12, ["分开", "不分开"]
    lstm_layer = nn.LSTM(input_size=vocab_size, hidden_size=num_hiddens, num_layers=2)
    model = d2l.RNNModel(lstm_layer, vocab_size)
    before = copy.deepcopy(model.state_dict())
    d2l.train_and_predict_rnn_pytorch(
        model, num_hiddens, vocab_size, CPU, corpus_indices, idx_to_char, char_to_idx,
        2, 35, 1e-2, 1e-2, 32, 1, pred_len, prefixes,
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    perplexities = [
        float(re.fullmatch(rf"epoch {epoch}, perplexity (\d+\.\d+), time \d+\.\d\d sec", line)[1])
        for epoch, line in ((1, lines[0]), (2, lines[3]))
    ]
    # It starts as a uniform guess would, and learns.
    assert 1 < perplexities[1] < perplexities[0] < 1.1 * vocab_size
    assert not any(torch.equal(old, model.state_dict()[name]) for name, old in before.items())
    for samples in (lines[1:3], lines[4:6]):
        for prefix, line in zip(prefixes, samples, strict=True):
            assert line.startswith(f" - {prefix}")
            assert len(line) == len(" - ") + len(prefix) + pred_len
            assert set(line[3:]) <= set(text)


def test_an_unknown_prefix_is_refused_before_the_training(capsys):
    corpus_indices, char_to_idx, idx_to_char, vocab_size = d2l.load_data_jay_lyrics()
    model = d2l.RNNModel(nn.GRU(vocab_size, 8), vocab_size)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="龙"):
        d2l.train_and_predict_rnn_pytorch(
            model, 8, vocab_size, CPU, corpus_indices, idx_to_char, char_to_idx,
            2, 35, 1e-2, 1e-2, 32, 1, 5, ["分开", "一只龙"],
        )  # fmt: skip
    assert all(torch.equal(old, model.state_dict()[name]) for name, old in before.items())
    assert capsys.readouterr().out == ""
