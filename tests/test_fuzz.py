"""Public functions with arguments drawn at random: they work, or say in words what is wrong.

The drawing is hypothesis's, with a fixed budget; what it has found is fixed and in
`test_bad_input.py`. A ValueError, a TypeError or an IndexError is an answer; anything else, such
as an AttributeError or a ZeroDivisionError, is an accident.
"""

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import d2lmini as d2l
from d2lmini import cells, readable

SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=6),
    st.binary(max_size=3),
)
things = st.one_of(
    scalars,
    st.lists(scalars, max_size=4),
    st.tuples(scalars, scalars),
    st.dictionaries(st.text(max_size=2), scalars, max_size=2),
    st.lists(st.floats(), max_size=4).map(torch.tensor),
    st.lists(st.lists(scalars, max_size=2), max_size=3),
    st.just(object()),
    st.just(nn.GRU),
)
texts = st.one_of(st.text(min_size=1, max_size=80), things)


def answered(call, *args, **kwargs):
    """The result, or None where the function says in words what is wrong."""
    try:
        return call(*args, **kwargs)
    except (ValueError, TypeError, IndexError, OSError) as error:
        assert str(error)
        return None


@SETTINGS
@given(texts, things, things)
def test_vocab(tokens, min_freq, reserved):
    vocab = answered(d2l.Vocab, tokens, min_freq, reserved)
    if vocab is not None:
        for thing in (tokens, min_freq, reserved):
            answered(vocab.__getitem__, thing)
            answered(vocab.to_tokens, thing)
    answered(d2l.count_corpus, tokens)
    answered(d2l.tokenize, tokens, min_freq)


@SETTINGS
@given(texts, things, things, things, things, things)
def test_loaders(text, batch_size, num_steps, unrelated, max_tokens, start):
    if isinstance(text, int):
        return  # the number of an open file
    loaded = answered(
        d2l.load_data_text, text, batch_size, num_steps, unrelated, max_tokens, start=start
    )
    if loaded is not None:
        batches = list(loaded[0])
        assert len(batches) == len(loaded[0]) >= 1
    for batches in (d2l.seq_data_iter_random, d2l.seq_data_iter_sequential):
        answered(lambda f=batches: list(f(text, batch_size, num_steps)))


LETTERS = d2l.Vocab(list("abcdefgh"))
NET = d2l.RNNModel(nn.GRU(len(LETTERS), 3), len(LETTERS))


@SETTINGS
@given(texts, st.one_of(st.integers(-2, 3), st.text(), st.none(), st.floats()), things)
def test_predict(prefix, num_preds, temperature):
    written = answered(d2l.predict_ch8, prefix, num_preds, NET, LETTERS, temperature=temperature)
    assert written is None or isinstance(written, str)
    assert NET.training


@SETTINGS
@given(things, things, things)
def test_updates(net, amount, batch_size):
    answered(d2l.grad_clipping, net, amount)
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.ones(2)
    answered(d2l.grad_clipping, [weight], amount)
    answered(d2l.sgd, [weight], amount, batch_size)


@SETTINGS
@given(things, things, things, st.sampled_from([cells.unroll, readable.unroll, None]))
def test_networks(vocab_size, num_hiddens, num_layers, unroll):
    small = [n for n in (vocab_size, num_hiddens, num_layers) if isinstance(n, int) and n > 50]
    if small:
        return  # memory is not the question
    for cell in (cells.gru, num_hiddens):
        functions = answered(cells.network, cell, num_layers, unroll=unroll or cells.unroll)
        if functions is not None:
            answered(d2l.RNNModelScratch, vocab_size, num_hiddens, "cpu", *functions)


@SETTINGS
@given(things, st.lists(things, max_size=3))
def test_small_tools(n, values):
    if isinstance(n, int) and n > 50:
        return
    sums = answered(d2l.Accumulator, n)
    if sums is not None:
        answered(sums.add, *values)
        answered(sums.__getitem__, n)
    answered(d2l.try_gpu, n)
    answered(d2l.sample_index, torch.tensor([1.0, 2.0]), n)


@SETTINGS
@given(things, things, things)
def test_fit(lr, num_epochs, prefixes):
    if isinstance(num_epochs, int) and num_epochs > 3:
        num_epochs = 3
    train_iter, vocab = d2l.load_data_text("abcdefgh" * 6, 2, 5)
    net = d2l.RNNModel(nn.RNN(len(vocab), 3), len(vocab))

    def run():
        *_, history = d2l.fit(net, train_iter, vocab, lr, num_epochs, prefixes=prefixes)
        return history

    history = answered(run)
    assert history is None or history.epoch >= 1


@SETTINGS
@given(things, things, things)
def test_animator(x, y, legend):
    animator = answered(d2l.Animator, legend=legend)
    if animator is not None:
        for _ in range(2):
            answered(animator.add, x, y)
