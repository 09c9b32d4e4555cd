"""Tokens and vocabularies; the published figures of the book; the properties of the story."""

import collections
import re

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import d2lmini as d2l

WORDS = st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6)
CHARACTERS = st.text(min_size=1).map(list)


# --- The vocabulary ------------------------------------------------------------------------------


@given(st.one_of(WORDS, CHARACTERS))
def test_round_trip(tokens):
    vocab = d2l.Vocab(tokens)
    flat = tokens if tokens and isinstance(tokens[0], str) else [t for line in tokens for t in line]
    assert vocab.to_tokens(vocab[flat]) == flat
    assert vocab.idx_to_token[0] == "<unk>"
    assert sorted(vocab.idx_to_token) == sorted({"<unk>", *flat})
    assert vocab[vocab.idx_to_token] == list(range(len(vocab)))


@given(WORDS, st.integers(0, 4))
def test_frequent_tokens_come_first_and_rare_ones_not_at_all(tokens, min_freq):
    flat = [token for line in tokens for token in line]
    counts = collections.Counter(flat)
    vocab = d2l.Vocab(tokens, min_freq, ["<pad>"])
    assert vocab.idx_to_token[:2] == ["<unk>", "<pad>"]
    kept = vocab.idx_to_token[2:]
    assert set(kept) == {token for token, count in counts.items() if count >= min_freq}
    # The most frequent first, and of equals that which appears first.
    assert kept == sorted(kept, key=lambda token: (-counts[token], flat.index(token)))
    assert dict(vocab.token_freqs) == counts
    assert all(vocab[token] == vocab.unk for token in counts if token not in kept)


def test_reserved_tokens_that_occur_are_not_counted_twice():
    vocab = d2l.Vocab(["<pad>", "a", "<unk>"], reserved_tokens=["<pad>"])
    assert vocab.idx_to_token == ["<unk>", "<pad>", "a"]


def test_what_vocab_accepts():
    vocab = d2l.Vocab([["ab", "c"], ["ab"]])
    assert vocab["ab"] == 1
    assert vocab[["ab", "never"]] == [1, 0]
    assert vocab[("ab", "c")] == [1, 2]
    assert vocab[[["ab"], ["c"]]] == [[1], [2]]
    for indices in ([1, 2], (1, 2), torch.tensor([1, 2]), numpy.array([1, 2])):
        assert vocab.to_tokens(indices) == ["ab", "c"]
    for index in (1, torch.tensor(1), numpy.int64(1)):
        assert vocab.to_tokens(index) == "ab"
    assert d2l.Vocab().idx_to_token == ["<unk>"]


def test_bigrams_can_be_tokens():
    vocab = d2l.Vocab([("the", "time"), ("a", "b"), ("the", "time")])
    assert vocab["the", "time"] == 1
    assert vocab[[("a", "b"), ("the", "time")]] == [2, 1]
    assert vocab.to_tokens([1]) == [("the", "time")]


@pytest.mark.parametrize("tokens", [3, numpy.int64(3), torch.tensor([1]), None, 1.5])
def test_vocab_refuses_what_is_no_token(tokens):
    # D2L's answers <unk> to each of these.
    with pytest.raises(TypeError, match="looks up tokens"):
        d2l.Vocab(["a", "b"])[tokens]


def test_vocab_of_characters_refuses_a_word():
    vocab = d2l.Vocab(list("abc"))
    with pytest.raises(ValueError, match=re.escape("vocab[list('abc')]")):
        vocab["abc"]
    assert vocab["<unk>"] == vocab["z"] == vocab[""] == 0


@pytest.mark.parametrize(
    "indices, error",
    [(3, IndexError), (-1, IndexError), ([0, 7], IndexError), (1.0, TypeError), ("a", TypeError)],
)
def test_to_tokens_refuses_what_is_no_index(indices, error):
    with pytest.raises(error):
        d2l.Vocab(["a", "b"]).to_tokens(indices)


# --- Tokens --------------------------------------------------------------------------------------


def test_tokenize():
    lines = ["the  time", "", "a b"]
    assert d2l.tokenize(lines) == [["the", "time"], [], ["a", "b"]]
    assert d2l.tokenize(lines, "char") == [list("the  time"), [], ["a", " ", "b"]]
    with pytest.raises(ValueError, match='"word" or "char", got \'letter\''):
        d2l.tokenize(lines, "letter")


def test_count_corpus_of_lines_and_of_tokens():
    assert d2l.count_corpus(["b", "a", "b"]) == {"a": 1, "b": 2}
    assert d2l.count_corpus([["b", "a"], [], ["b"]]) == {"a": 1, "b": 2}
    assert d2l.count_corpus([]) == {}


# --- The texts -----------------------------------------------------------------------------------


def test_published_figures_of_the_book(book):
    lines = d2l.read_time_machine(strict=True)
    assert len(lines) == 3221
    assert lines[0] == "the time machine by h g wells"

    corpus, vocab = d2l.load_corpus_time_machine()
    assert (len(corpus), len(vocab)) == (170580, 28)
    assert "".join(vocab.to_tokens(corpus[:29])) == lines[0]

    words = d2l.Vocab(d2l.tokenize(lines))
    assert words.token_freqs[:10] == [
        ("the", 2261), ("i", 1267), ("and", 1245), ("of", 1155), ("a", 816),
        ("to", 695), ("was", 552), ("in", 541), ("that", 443), ("my", 440),
    ]  # fmt: skip
    assert words.idx_to_token[:5] == ["<unk>", "the", "i", "and", "of"]

    short, same_vocab = d2l.load_corpus_time_machine(10000)
    assert short == corpus[:10000] and same_vocab.idx_to_token == vocab.idx_to_token


def test_published_batches_of_the_book(book):
    train_iter, vocab = d2l.load_data_time_machine(32, 35)
    # (10000 - 1) // (32 * 35) batches of 32 rows with 35 characters.
    assert [(len(X), len(X[0])) for X, _ in train_iter] == [(32, 35)] * 8
    assert len(vocab) == 28


def test_the_bundled_story(bundled, clean_download, capsys):
    raw = clean_download.BUNDLED["time_machine"].read_bytes()
    assert raw.isascii() and b"\r" not in raw and raw.endswith(b"\n")
    assert set(raw) <= set(range(32, 127)) | {ord("\n")}

    corpus, vocab = d2l.load_corpus_time_machine()
    assert len(corpus) >= 40_000
    assert sorted(vocab.idx_to_token) == sorted(["<unk>", " ", *"abcdefghijklmnopqrstuvwxyz"])
    lines = d2l.read_time_machine()
    text = " ".join(line for line in lines if line)
    assert "time traveller" in text and re.search(r"(?<!time )traveller", text)
    assert "clockmaker" in text
    assert capsys.readouterr().out.count("\n") == 1

    # English prose, not filler: an ordinary spread of words, few repeated lines.
    words = d2l.Vocab(d2l.tokenize(lines))
    assert {"the", "and", "of", "a", "to"} <= set(words.idx_to_token[1:11])
    assert len(words) > 1500
    full = [line for line in lines if len(line) > 20]
    assert len(set(full)) == len(full)


def test_read_time_machine_is_reduced_to_letters_and_spaces(clean_download, monkeypatch, tmp_path):
    path = tmp_path / "any.txt"
    path.write_text("\ufeffNaïve -- TIME,\n\n  it's 8 o'clock!\n", encoding="utf-8")
    monkeypatch.setitem(clean_download.BUNDLED, "time_machine", path)
    monkeypatch.setenv("D2LMINI_OFFLINE", "1")
    assert d2l.read_time_machine() == ["na ve time", "", "it s o clock"]
    with pytest.raises(OSError, match="D2LMINI_OFFLINE"):
        d2l.read_time_machine(strict=True)


def test_rare_words_are_unknown_also_where_only_short_ones_are_frequent():
    vocab = d2l.Vocab(["i", "a", "i", "a", "traveller"], min_freq=2)
    assert vocab.idx_to_token == ["<unk>", "i", "a"]
    assert vocab["traveller"] == vocab.unk == 0
    with pytest.raises(ValueError, match="single characters"):
        d2l.Vocab(list("traveller"), min_freq=2)["traveller"]
