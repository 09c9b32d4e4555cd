"""Minibatches of a corpus that counts 0, 1, 2, ...: every token tells where it stood."""

import random

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import d2lmini as d2l

ITERATORS = [d2l.seq_data_iter_random, d2l.seq_data_iter_sequential]
POEM = "床前明月光，疑是地上霜。\n举头望明月，低头思故乡。\n"


@st.composite
def arguments(draw):
    """(corpus, batch_size, num_steps) that fill at least one batch."""
    batch_size, num_steps = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    extra = draw(st.integers(0, 4 * batch_size * num_steps))
    return list(range(batch_size * num_steps + 1 + extra)), batch_size, num_steps


seeds = st.integers(0, 2**32)


@pytest.mark.parametrize("iterator", ITERATORS)
@given(arguments(), seeds)
def test_an_epoch(iterator, args, seed):
    corpus, batch_size, num_steps = args
    torch.manual_seed(seed)
    batches = list(iterator(*args))
    # As many as the corpus can fill, whatever the random offset.
    assert len(batches) == (len(corpus) - 1) // (batch_size * num_steps)
    for X, Y in batches:
        assert X.shape == (batch_size, num_steps)  # every batch is full
        assert torch.equal(Y, X + 1)  # the corpus counts: the next token is the next number
        assert torch.equal(X, X[:, :1] + torch.arange(num_steps))
    read = torch.cat([X.reshape(-1) for X, _ in batches])
    assert len(set(read.tolist())) == len(read)  # nothing is read twice


@given(arguments(), seeds)
def test_random_subsequences_do_not_overlap(args, seed):
    torch.manual_seed(seed)
    starts = torch.cat([X[:, 0] for X, _ in d2l.seq_data_iter_random(*args)]).sort().values
    assert bool((starts.diff() >= args[2]).all())
    assert len(set((starts % args[2]).tolist())) == 1  # one offset for all of them


@given(arguments(), seeds)
def test_sequential_rows_go_on_in_the_next_batch(args, seed):
    torch.manual_seed(seed)
    batches = [X for X, _ in d2l.seq_data_iter_sequential(*args)]
    for before, after in zip(batches, batches[1:]):
        assert torch.equal(after[:, 0], before[:, -1] + 1)
    rows = batches[0][:, 0]
    assert len(rows) == 1 or len(set(rows.diff().tolist())) == 1  # rows of equal length


@pytest.mark.parametrize("iterator", ITERATORS)
def test_every_offset_happens(iterator):
    # 5 steps: the first token of all is 0..4 (random) or 0..5 (sequential, as D2L has it).
    firsts = {min(int(X.min()) for X, _ in iterator(range(100), 2, 5)) for _ in range(200)}
    last = 4 if iterator is d2l.seq_data_iter_random else 5
    if iterator is d2l.seq_data_iter_random:
        # Its first subsequence may be among those that fill no batch.
        firsts = {first % 5 for first in firsts}
    assert firsts == set(range(last + 1))


def test_random_order_is_random():
    starts = torch.cat([X[:, 0] for X, _ in d2l.seq_data_iter_random(range(1001), 5, 10)])
    ranks = starts.argsort().argsort().double()
    # Of 100 shuffled places, 50 are expected in ascending steps, give or take 3.
    assert 35 <= int((ranks.diff() > 0).sum()) <= 65


@pytest.mark.parametrize("iterator", ITERATORS)
def test_torch_alone_rules_the_batches(iterator):
    def epoch():
        torch.manual_seed(5)
        return torch.stack([X for X, _ in iterator(range(500), 3, 4)])

    first = epoch()
    random.seed(1), random.random(), numpy.random.seed(1), numpy.random.rand(3)
    assert torch.equal(epoch(), first)
    state = random.getstate()
    epoch()
    assert random.getstate() == state  # and Python's generator is left alone
    torch.manual_seed(6)
    assert not torch.equal(torch.stack([X for X, _ in iterator(range(500), 3, 4)]), first)


@pytest.mark.parametrize("iterator", ITERATORS)
@pytest.mark.parametrize("batch_size, num_steps", [(1, 1), (3, 4), (4, 3)])
def test_a_short_corpus_is_told_how_long_it_must_be(iterator, batch_size, num_steps):
    needed = batch_size * num_steps + 1
    for length in range(needed):
        with pytest.raises(ValueError, match=f"has {length} tokens.* at least {needed}$"):
            iterator(list(range(length)), batch_size, num_steps)  # at once, not in the loop
    assert len(list(iterator(list(range(needed)), batch_size, num_steps))) == 1


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "2", None, True])
@pytest.mark.parametrize("iterator", ITERATORS)
def test_sizes_must_be_whole_numbers(iterator, wrong):
    with pytest.raises(ValueError, match="batch_size must be an integer of 1 or more"):
        iterator(range(100), wrong, 5)
    with pytest.raises(ValueError, match="num_steps must be an integer of 1 or more"):
        iterator(range(100), 2, wrong)


@given(corpus=st.lists(st.integers(0, 30), min_size=30, max_size=40), random_iter=st.booleans())
def test_any_corpus_as_list_or_tensor(corpus, random_iter):
    iterator = ITERATORS[not random_iter]
    torch.manual_seed(0)
    from_list = list(iterator(corpus, 2, 4))
    torch.manual_seed(0)
    from_tensor = list(iterator(torch.tensor(corpus), 2, 4))
    text = ",".join(map(str, corpus)) + ","
    for (X, Y), (X2, Y2) in zip(from_list, from_tensor, strict=True):
        assert torch.equal(X, X2) and torch.equal(Y, Y2) and X.dtype == torch.int64
        for x, y in zip(X.tolist(), Y.tolist()):
            assert x[1:] == y[:-1]
            assert ",".join(map(str, x + y[-1:])) + "," in text


# --- Loaders -------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(st.text(min_size=21, max_size=60).filter(str.strip), st.booleans())
def test_load_data_text_keeps_every_character(text, use_random_iter):
    text = text + "\n"  # a text, not the name of a file
    loader, vocab = d2l.load_data_text(text, 2, 5, use_random_iter, -1)
    assert "".join(vocab.to_tokens(loader.corpus)) == text
    for X, Y in loader:
        for x, y in zip(X, Y):
            assert "".join(vocab.to_tokens(x) + vocab.to_tokens(y[-1:])) in text


def test_a_loader_starts_anew_every_time():
    loader, _ = d2l.load_data_text("".join(map(chr, range(100, 400))), 2, 6)
    assert len(loader) == len(list(loader)) == len(list(loader)) == 299 // 12
    starts = {int(next(iter(loader))[0][0, 0]) for _ in range(60)}
    assert starts == set(range(1, 8))  # index 0 is <unk>; the offsets are 0 to 6


def test_chinese_text_from_a_file(tmp_path):
    path = tmp_path / "诗.txt"
    path.write_text(POEM, encoding="utf-8")
    for source in (path, str(path), POEM):
        loader, vocab = d2l.load_data_text(source, 2, 5, max_tokens=-1)
        assert "".join(vocab.to_tokens(loader.corpus)) == POEM
        assert vocab["月"] > 0 and len(vocab) == len(set(POEM)) + 1

    path.write_text("\ufeff" + POEM, encoding="utf-8")  # an editor's byte order mark is no text
    loader, vocab = d2l.load_data_text(path, 2, 5)
    assert "\ufeff" not in vocab.token_to_idx

    path.write_text(POEM, encoding="gbk")
    loader, vocab = d2l.load_data_text(path, 2, 5, encoding="gbk")
    assert "".join(vocab.to_tokens(loader.corpus)) == POEM
    with pytest.raises(ValueError, match='encoding="gbk"'):
        d2l.load_data_text(path, 2, 5)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        d2l.load_data_text(tmp_path / "missing.txt", 2, 5)
    with pytest.raises(ValueError) as caught:  # a str could be the text itself
        d2l.load_data_text("missing.txt", 32, 35)
    assert "missing.txt" in caught.value.__notes__[0]


def test_a_part_of_a_text():
    text = "".join(map(chr, range(1000, 1300)))
    part, vocab = d2l.load_data_text(text, 2, 5, max_tokens=100, start=50)
    assert "".join(vocab.to_tokens(part.corpus)) == text[50:150]
    rest, vocab = d2l.load_data_text(text, 2, 5, max_tokens=-1, start=250)
    assert "".join(vocab.to_tokens(rest.corpus)) == text[250:]
    assert len(vocab) == 301  # the vocabulary is that of the whole text
    with pytest.raises(ValueError, match="start must be an integer of 0 or more"):
        d2l.load_data_text(text, 2, 5, start=-1)
    with pytest.raises(ValueError, match="corpus has 0 tokens"):
        d2l.load_data_text(text, 2, 5, start=1000)


def test_the_second_part_of_the_book_goes_on_where_the_first_ends(bundled):
    whole, vocab = d2l.load_corpus_time_machine()
    first, _ = d2l.load_data_time_machine(4, 5)
    second, vocab2 = d2l.load_data_time_machine(4, 5, start=10_000)
    assert first.corpus.tolist() == whole[:10_000]
    assert second.corpus.tolist() == whole[10_000:20_000]
    assert vocab2.idx_to_token == vocab.idx_to_token
    everything = d2l.SeqDataLoader(4, 5, True, -1)
    assert everything.corpus.tolist() == whole and everything.use_random_iter
    assert (everything.batch_size, everything.num_steps) == (4, 5)
