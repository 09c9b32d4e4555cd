"""The two tasks: what is asked stands where it should, and nothing gives the answer away."""

import math

import numpy
import pytest
import torch
from small_nets import small_data
from torch import nn

import d2lmini as d2l
from d2lmini import tasks

CPU = torch.device("cpu")

# --- Remembering ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "batch_size, distance, num_symbols", [(5, 1, 8), (300, 20, 8), (7, 3, 1), (40, 100, 3)]
)
def test_the_answer_is_the_first_letter_and_noise_follows(batch_size, distance, num_symbols):
    X, answers = tasks.remember(batch_size, distance, num_symbols)
    assert X.shape == (batch_size, distance) and X.dtype == answers.dtype == torch.int64
    for text, answer in zip(X.tolist(), answers.tolist()):
        first, *noise = text
        assert first == answer and 0 <= answer < num_symbols
        assert all(num_symbols <= letter < 2 * num_symbols for letter in noise)


def test_eight_symbols_unless_told_otherwise():
    X, answers = tasks.remember(500, 9)
    assert set(answers.tolist()) == set(range(8))
    assert set(X[:, 1:].flatten().tolist()) == set(range(8, 16))


def test_every_letter_is_equally_frequent_and_independent_of_the_answer():
    X, answers = tasks.remember(8000, 3, 8)
    # 1000 of each expected, with a standard deviation of √(8000 · 1/8 · 7/8) < 30.
    for column, start in ((answers, 0), (X[:, 1], 8), (X[:, 2], 8)):
        counts = torch.bincount(column - start, minlength=8)
        assert len(counts) == 8 and bool(((counts - 1000).abs() < 180).all())
    # 125 texts of each pair of letters expected, with a deviation of about 11.
    for other in (X[:, 1], X[:, 2]):
        pairs = torch.bincount(8 * answers + other - 8, minlength=64)
        assert len(pairs) == 64 and bool(((pairs - 125).abs() < 66).all())


def test_a_seed_repeats_the_texts():
    draws = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        draws.append(tasks.remember(20, 10))
    assert torch.equal(draws[0][0], draws[1][0]) and torch.equal(draws[0][1], draws[1][1])
    assert not torch.equal(draws[0][0], draws[2][0])


def test_the_answers_stay_when_the_texts_are_changed():
    X, answers = tasks.remember(20, 10)
    before = answers.clone()
    X.zero_()
    assert torch.equal(answers, before)


@pytest.mark.parametrize("wrong", [0, -2, 1.5, "3", True, None])
@pytest.mark.parametrize("name", ["batch_size", "distance", "num_symbols"])
def test_what_is_no_count_is_refused_by_name(name, wrong):
    sizes = {"batch_size": 4, "distance": 5, "num_symbols": 6}
    with pytest.raises(ValueError, match=f"{name} must be an integer of 1 or more, got {wrong!r}"):
        tasks.remember(**sizes | {name: wrong})


def test_sizes_may_be_integers_of_numpy():
    X, answers = tasks.remember(*(numpy.int64(n) for n in (4, 5, 6)))
    assert X.shape == (4, 5) and torch.equal(X[:, 0], answers)


# --- Restoring -----------------------------------------------------------------------------------


def hidden_in(letters, X, Y):
    """Which letters are hidden, after a check of every position."""
    hidden = Y != -100
    assert torch.equal(X[~hidden], letters[~hidden])
    assert bool((X[hidden] == 0).all())
    assert torch.equal(Y[hidden], letters[hidden])
    assert X.dtype == Y.dtype == letters.dtype
    return hidden


def fixed_batches(num_batches=4, batch_size=50, num_steps=40, vocab_size=9):
    """Batches without index 0, so that a hidden letter is seen to be hidden; Y is never used."""
    shape = num_batches, batch_size, num_steps
    return [(X, None) for X in torch.randint(1, vocab_size, shape)]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.7, 0.95])
def test_that_share_of_the_letters_is_hidden_and_asked_for(share):
    batches = fixed_batches()
    found = list(tasks.HiddenLetters(batches, share))
    assert len(found) == 4
    hidden = torch.stack([hidden_in(x, X, Y) for (x, _), (X, Y) in zip(batches, found)])
    n = hidden.numel()
    deviation = math.sqrt(n * share * (1 - share))
    assert abs(int(hidden.sum()) - n * share) < 5 * deviation
    # Everywhere alike: in every column of the batches, and not twice the same rows.
    columns = hidden.sum(dim=(0, 1)) - n / 40 * share
    assert float(columns.abs().max()) < 6 * math.sqrt(n / 40 * share * (1 - share))
    assert len({tuple(row) for row in hidden.flatten(0, 1).tolist()}) > 50


def test_a_fifth_is_hidden_unless_told_otherwise():
    batches = fixed_batches()
    (x, _), (X, Y) = batches[0], next(iter(tasks.HiddenLetters(batches)))
    share = float(hidden_in(x, X, Y).double().mean())
    assert abs(share - 0.2) < 5 * math.sqrt(0.2 * 0.8 / 2000)


def test_other_letters_are_hidden_in_every_epoch_and_a_seed_repeats_them():
    batches = fixed_batches(num_batches=1)
    loader = tasks.HiddenLetters(batches, 0.5)
    epochs = []
    for seed in (5, None, 5):
        if seed is not None:
            torch.manual_seed(seed)
        ((X, Y),) = loader
        epochs.append(hidden_in(batches[0][0], X, Y))
    # Independent draws of one half agree in one half: 1000 of 2000, deviation 22.
    assert abs(int((epochs[0] == epochs[1]).sum()) - 1000) < 140
    assert torch.equal(epochs[0], epochs[2])


def test_the_loaders_own_batches_are_left_as_they_are():
    batches = fixed_batches()
    before = [X.clone() for X, _ in batches]
    list(tasks.HiddenLetters(batches, 0.5))
    assert all(torch.equal(X, old) for (X, _), old in zip(batches, before))


def test_a_known_letter_may_be_index_0():
    (X, Y), *_ = tasks.HiddenLetters([(torch.zeros(30, 30).long(), None)], 0.5)
    assert not X.any()  # hidden or not; Y says which
    assert set(Y.flatten().tolist()) == {0, -100}


def test_the_loss_is_the_mean_over_the_hidden_letters_alone():
    ((X, Y),) = tasks.HiddenLetters(fixed_batches(1, 5, 8), 0.4)
    logits = torch.randn(40, 9, dtype=torch.float64, requires_grad=True)
    loss = nn.CrossEntropyLoss()(logits, Y.T.reshape(-1))  # as `train_epoch_ch8` calls it
    losses, asked = [], set()
    for i in range(5):
        for t in range(8):
            if X[i, t] == 0:
                row = logits[5 * t + i].tolist()
                total = math.log(sum(math.exp(number) for number in row))
                losses.append(total - row[int(Y[i, t])])
                asked.add(5 * t + i)
    assert 5 < len(losses) < 35
    assert float(loss.detach()) == pytest.approx(sum(losses) / len(losses), rel=1e-12)
    loss.backward()  # and only they are learnt from
    assert {r for r in range(40) if logits.grad[r].any()} == asked


@pytest.mark.parametrize("wrong", [0, 1, -0.2, 1.5, 20, math.nan])
def test_a_share_that_hides_nothing_or_everything_is_refused(wrong):
    with pytest.raises(ValueError, match=f"share must be between 0 and 1, got {wrong}"):
        tasks.HiddenLetters([], wrong)


def test_an_epoch_of_restoring_in_both_directions():
    loader, vocab = small_data(4, 10)
    hidden = tasks.HiddenLetters(loader, 0.3)
    net = d2l.RNNModel(nn.GRU(len(vocab), 8, bidirectional=True), len(vocab)).double()
    before = [param.detach().clone() for param in net.parameters()]

    # Without a step (lr=0) the perplexity can be had by hand from the same random numbers.
    (history,) = d2l.fit(net, hidden, vocab, 0, 1, CPU, use_random_iter=True, seed=7)
    torch.manual_seed(7)
    losses = []
    for X, Y in hidden:
        log_p = net(X)[0].detach().log_softmax(1)
        losses += [
            -float(log_p[len(X) * t + i, Y[i, t]])
            for i, t in torch.nonzero(Y != -100).tolist()
        ]  # fmt: skip
    assert history.perplexity == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-10)
    assert all(torch.equal(param, old) for param, old in zip(net.parameters(), before))

    for history in d2l.fit(net, hidden, vocab, 0.5, 3, CPU, use_random_iter=True, seed=7):
        assert 1 < history.perplexity < 2 * len(vocab) and not history.diverged
    assert not any(torch.equal(param, old) for param, old in zip(net.parameters(), before))


def test_every_batch_of_a_validation_starts_from_a_fresh_state():
    loader, vocab = small_data(4, 10)
    hidden = tasks.HiddenLetters(loader, 0.3)
    net = d2l.RNNModel(nn.GRU(len(vocab), 8), len(vocab)).double()
    batches = []

    def spy(X, state=None):
        batches.append(state)
        return type(net).forward(net, X, state)

    net.forward = spy
    d2l.evaluate_perplexity(net, hidden, CPU)
    assert len(batches) == len(list(loader)) > 1
    assert not any(state.any() for state in batches)


def test_long_memory_asks_at_the_end_for_the_first_letter():
    loader = tasks.LongMemory(4, range(3, 6), num_batches=60)
    assert loader.use_random_iter and len(loader) == len(list(loader)) == 60
    seen = set()
    for X, Y in loader:
        seen.add(X.shape[1])
        assert X.shape == Y.shape and len(X) == 4
        assert torch.equal(Y[:, -1], X[:, 0]) and (Y[:, :-1] == -100).all()
        assert (X[:, 0] < 8).all() and (X[:, 1:] >= 8).all()
    assert seen == {3, 4, 5}  # one of three is missing once in 10^10 times


def test_long_memory_can_be_learnt_with_fit():
    """An oracle that needs no training: it keeps the first letter and answers with it."""

    class Keeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.sure = nn.Parameter(torch.tensor(20.0))

        def forward(self, X, state=None):
            first = X[:, :1].expand_as(X)
            return self.sure * nn.functional.one_hot(first.T.reshape(-1), 16).float(), None

    loader = tasks.LongMemory(4, [20], num_batches=3)
    (history,) = d2l.fit(Keeper(), loader, range(16), 0.1, 1, CPU, True, prefixes=[])
    assert history.perplexity == pytest.approx(1 + 15 * math.exp(-20), abs=1e-5)
    assert history.samples == []


@pytest.mark.parametrize("wrong", [[], [0], [3, -1], [2.5]])
def test_distances_that_no_text_has_are_refused(wrong):
    with pytest.raises(ValueError, match="distances must be an integer of 1 or more"):
        tasks.LongMemory(4, wrong)
