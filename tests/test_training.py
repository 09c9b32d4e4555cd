"""Training against torch: clipping, perplexity, whole epochs, and what a run leaves behind."""

import copy
import math
import random
import re

import numpy
import pytest
import torch
from small_nets import Alphabet, concise_rnn, scratch_rnn, small_data, twin
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l
from d2lmini import training

CPU = torch.device("cpu")


def with_grads(*grads):
    """Parameters that carry these gradients."""
    params = []
    for grad in grads:
        grad = None if grad is None else torch.as_tensor(grad)
        params.append(nn.Parameter(torch.zeros(() if grad is None else grad.shape)))
        if grad is not None:
            params[-1] = nn.Parameter(torch.zeros_like(grad))
            params[-1].grad = grad.clone()
    return params


# --- sgd -----------------------------------------------------------------------------------------


def test_sgd_is_torch_sgd():
    mine = with_grads([1.0, -2.0], [[4.0]], None)
    theirs = copy.deepcopy(mine)
    for a, b in zip(mine, theirs):
        b.grad = None if a.grad is None else a.grad / 8
    torch.optim.SGD(theirs, lr=0.3).step()
    d2l.sgd(iter(mine), 0.3, 8)
    torch.testing.assert_close(mine, theirs)
    assert [p.grad is None or float(p.grad.abs().sum()) for p in mine] == [0, 0, True]


# --- Clipping ------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [0.5, 3.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_is_that_of_torch(theta, dtype):
    params = with_grads(*(torch.randn(n, 3, dtype=dtype) for n in (1, 4, 7)), None)
    theirs = [copy.deepcopy(p) for p in params]
    for a, b in zip(params, theirs):
        b.grad = None if a.grad is None else a.grad.clone()
    norm = d2l.grad_clipping(params, theta)
    assert norm == pytest.approx(float(nn.utils.clip_grad_norm_(theirs, theta)), rel=1e-6)
    for a, b in zip(params[:3], theirs):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=0)  # torch adds 1e-6


def test_clipping_in_float64_is_exact():
    (param,) = params = with_grads(torch.tensor([3e100, 4e100], dtype=torch.float64))
    assert d2l.grad_clipping(params, 1) == pytest.approx(5e100, rel=1e-15)
    assert param.grad.tolist() == pytest.approx([0.6, 0.8], rel=1e-15)


def test_a_norm_at_the_limit_is_left_unchanged():
    params = with_grads([3.0, 0.0], [4.0])
    assert d2l.grad_clipping(params, 5) == 5.0
    assert [p.grad.tolist() for p in params] == [[3.0, 0.0], [4.0]]
    d2l.grad_clipping(params, 4.999)
    assert params[0].grad[0] < 3.0


def test_clipping_does_not_hide_a_broken_gradient():
    params = with_grads([1.0, math.nan], [2.0], None)
    assert math.isnan(d2l.grad_clipping(params, 1))
    assert params[0].grad.isnan().all() and params[1].grad.isnan().all()
    assert params[2].grad is None


def test_whose_gradients_are_clipped():
    module = nn.Linear(2, 2)  # a module
    scratch = scratch_rnn(5)  # a model with params
    generator = nn.Linear(3, 3)  # parameters() is a generator, and used up by one loop
    for net, params in [
        (module, module.parameters()),
        (scratch, scratch.params),
        (generator.parameters(), generator.parameters()),
    ]:
        params = list(params)
        for param in params:
            param.grad = torch.full_like(param, 7.0)
        before = 7 * math.sqrt(sum(p.numel() for p in params))
        assert d2l.grad_clipping(net, 2, CPU) == pytest.approx(before, rel=1e-6)
        squares = sum(float((p.grad**2).sum()) for p in params)
        assert squares == pytest.approx(4, rel=1e-5)
    assert d2l.grad_clipping(nn.Linear(2, 2), 1) == 0.0  # no gradients yet


# --- Perplexity ----------------------------------------------------------------------------------


class Table(nn.Module):
    """Fixed logits for every token."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, X, state):
        return self.logits[X.T.reshape(-1)], state


def test_watch_sees_the_epoch_so_far_after_every_batch():
    train_iter, vocab = small_data()
    batches = list(train_iter)
    net, seen = concise_rnn(len(vocab)), []
    loss, updater = nn.CrossEntropyLoss(), lambda batch_size: None
    perplexity, _ = d2l.train_epoch_ch8(
        net, batches, loss, updater, CPU, False, watch=lambda *now: seen.append(now)
    )
    tokens = [Y.numel() for _, Y in batches]
    assert [count for _, count in seen] == [sum(tokens[: i + 1]) for i in range(len(tokens))]
    so_far, _ = d2l.train_epoch_ch8(net, batches[:3], loss, updater, CPU, False)
    assert seen[2][0] == pytest.approx(so_far, rel=1e-12)
    assert seen[-1][0] == pytest.approx(perplexity, rel=1e-12)


def test_perplexity_is_exp_of_the_token_weighted_mean():
    logits = torch.randn(6, 6, dtype=torch.float64) * 3
    shapes = [(2, 3), (5, 1), (1, 7)]  # of unequal size
    batches = [(torch.randint(6, s), torch.randint(6, s)) for s in shapes]
    log_p = torch.log_softmax(logits, dim=1)
    losses = [-log_p[x, y] for X, Y in batches for x, y in zip(X.reshape(-1), Y.reshape(-1))]
    expected = math.exp(sum(float(loss) for loss in losses) / len(losses))
    assert d2l.evaluate_perplexity(Table(logits), batches) == pytest.approx(expected, rel=1e-12)

    # "none": a loss for each token, as in some homework.
    for loss in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="none")):
        updater = lambda batch_size: None  # noqa: E731
        ppl, speed = d2l.train_epoch_ch8(Table(logits), batches, loss, updater, CPU, False)
        assert ppl == pytest.approx(expected, rel=1e-12) and speed > 0


@pytest.mark.parametrize("vocab_size", [2, 28, 1027])
def test_a_uniform_guess_scores_the_size_of_the_vocabulary(vocab_size):
    batches = [(torch.randint(vocab_size, (3, 5)),) * 2] * 2
    net = Table(torch.zeros(vocab_size, vocab_size, dtype=torch.float64))
    assert d2l.evaluate_perplexity(net, batches) == pytest.approx(vocab_size, rel=1e-12)


def test_perplexity_overflows_to_infinity():
    logits = torch.zeros(2, 2)
    logits[:, 0] = 1e4
    batches = [(torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long))]
    assert d2l.evaluate_perplexity(Table(logits), batches) == math.inf  # math.exp(1e4) raises


def test_an_iterator_without_batches_is_an_error():
    with pytest.raises(ValueError, match="gave no batch"):
        d2l.evaluate_perplexity(Table(torch.zeros(2, 2)), [])


def test_evaluation_disturbs_nothing():
    loader, vocab = small_data(use_random_iter=True)
    net = concise_rnn(len(vocab), layer=nn.GRU, num_layers=2, dropout=0.5).train()
    before, weights = torch.get_rng_state(), copy.deepcopy(net.state_dict())
    first = d2l.evaluate_perplexity(net, loader, CPU)
    assert torch.equal(torch.get_rng_state(), before) and net.training
    torch.manual_seed(99)
    assert d2l.evaluate_perplexity(net, loader, CPU) == first  # the same text each time
    net.eval()
    assert d2l.evaluate_perplexity(net, loader, CPU) == first and not net.training
    torch.testing.assert_close(net.state_dict(), weights)
    assert all(param.grad is None for param in net.parameters())


# --- An epoch ------------------------------------------------------------------------------------


def epoch_by_hand(net, batches, lr, carry_on):
    """The same epoch in plain PyTorch, for the twin of a scratch RNN: (perplexity, clipped)."""
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    total, count, clipped, H = 0.0, 0, 0, None
    for X, Y in batches:
        H = H.detach() if carry_on and H is not None else torch.zeros(1, len(X), 8).double()
        outputs, H = net.rnn(F.one_hot(X.T, net.vocab_size).double(), H)
        loss = F.cross_entropy(net.linear(outputs).flatten(0, 1), Y.T.flatten())
        optimizer.zero_grad()
        loss.backward()
        norms = [param.grad.norm() for param in net.parameters()]
        norm = torch.linalg.vector_norm(torch.stack(norms[:3] + norms[4:]))
        if norm > 1:  # as clip_grad_norm_, but without its 1e-6 (compared above)
            for param in net.parameters():
                param.grad *= 1 / norm
            clipped += 1
        net.rnn.bias_hh_l0.grad.zero_()  # a scratch RNN has one bias, nn.RNN two
        optimizer.step()
        total, count = total + float(loss.detach()) * Y.numel(), count + Y.numel()
    return math.exp(total / count), clipped


@pytest.mark.parametrize("scale", [0.1, 20.0])  # 20: output weights so large that clipping acts
@pytest.mark.parametrize("use_random_iter", [False, True])
def test_an_epoch_is_the_same_steps_by_hand(use_random_iter, scale):
    loader, vocab = small_data(use_random_iter=use_random_iter)
    batches = list(loader)
    scratch = scratch_rnn(len(vocab))
    with torch.no_grad():
        scratch.params[3].mul_(scale)
    by_hand = twin(scratch)
    updater = lambda batch_size: d2l.sgd(scratch.params, 0.2, batch_size)  # noqa: E731
    loss = nn.CrossEntropyLoss()
    for _ in range(2):
        ppl, _ = d2l.train_epoch_ch8(scratch, batches, loss, updater, CPU, use_random_iter)
        expected, clipped = epoch_by_hand(by_hand, batches, 0.2, carry_on=not use_random_iter)
        assert ppl == pytest.approx(expected, rel=1e-10)
        assert (clipped > len(batches) // 2) is (scale > 1)
    torch.testing.assert_close(
        [param.detach() for param in scratch.params],
        [
            by_hand.rnn.weight_ih_l0.detach().T,
            by_hand.rnn.weight_hh_l0.detach().T,
            by_hand.rnn.bias_ih_l0.detach(),
            by_hand.linear.weight.detach().T,
            by_hand.linear.bias.detach(),
        ],
        rtol=0,
        atol=1e-10,
    )


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam])
def test_an_epoch_with_an_optimizer_is_the_same_steps_by_hand(make):
    loader, vocab = small_data()
    batches = list(loader)
    net = concise_rnn(len(vocab), layer=nn.LSTM)
    by_hand = copy.deepcopy(net)
    updater = make(net.parameters(), lr=0.01)
    ppl, _ = d2l.train_epoch_ch8(net, batches, nn.CrossEntropyLoss(), updater, CPU, False)

    optimizer, state, total = make(by_hand.parameters(), lr=0.01), None, 0.0
    for X, Y in batches:
        outputs, state = by_hand.rnn(F.one_hot(X.T, len(vocab)).double(), state)
        state = tuple(part.detach() for part in state)
        loss = F.cross_entropy(by_hand.linear(outputs).flatten(0, 1), Y.T.flatten())
        optimizer.zero_grad()
        loss.backward()
        # No step here is long enough to be clipped: torch leaves these gradients as they are.
        assert nn.utils.clip_grad_norm_(by_hand.parameters(), 1) < 1
        optimizer.step()
        total += float(loss.detach())
    assert ppl == pytest.approx(math.exp(total / len(batches)), rel=1e-10)
    torch.testing.assert_close(net.state_dict(), by_hand.state_dict(), rtol=0, atol=1e-10)


def test_the_state_is_carried_on_or_not():
    """The circle's state counts the steps since the state was new."""
    batches = [(torch.ones(2, 3).long(),) * 2] * 3 + [(torch.ones(1, 3).long(),) * 2]

    def steps(use_random_iter):
        net, seen = Alphabet(5), []
        net.forward = lambda X, state: (
            seen.append(state.tolist()),
            (torch.zeros(X.numel(), 5, requires_grad=True), state + X.shape[1]),
        )[1]
        updater = lambda batch_size: None  # noqa: E731
        d2l.train_epoch_ch8(net, batches, nn.CrossEntropyLoss(), updater, CPU, use_random_iter)
        return seen

    assert steps(False) == [[[0, 0]], [[3, 3]], [[6, 6]], [[0]]]  # another size: a new state
    assert steps(True) == [[[0, 0]]] * 3 + [[[0]]]


def test_states_of_every_form_are_cut_from_their_history():
    class Net:
        def __init__(self, form):
            self.params = [torch.ones(3, requires_grad=True)]
            self.form, self.states = form, []

        def begin_state(self, batch_size, device):
            return self.form(torch.zeros(3))

        def __call__(self, X, state):
            self.states.append(state)
            logits = self.params[0].expand(X.numel(), 3)
            return logits, self.form(self.params[0] * 2)

    batches = [(torch.zeros(1, 2).long(),) * 2] * 2
    forms = [
        lambda h: h,
        lambda h: (h,),
        lambda h: (h, h + 1),
        lambda h: [h, h],  # a list stays a list
        lambda h: ((h, h), [h]),  # layers of an LSTM from scratch
    ]
    for form in forms:
        net = Net(form)
        updater = lambda batch_size, net=net: d2l.sgd(net.params, 1, batch_size)  # noqa: E731
        d2l.train_epoch_ch8(net, batches, nn.CrossEntropyLoss(), updater, CPU, False)
        assert str(net.states[1]).count("grad_fn") == 0
        assert type(net.states[1]) is type(form(torch.zeros(3)))


# --- A run ---------------------------------------------------------------------------------------


def run(seed=3, num_epochs=3, net=None, **kwargs):
    """(history, weights) of a short run, all of whose chance comes from one seed."""
    torch.manual_seed(seed)
    loader, vocab = small_data(use_random_iter=True)
    net = net(vocab) if net else concise_rnn(len(vocab), layer=nn.GRU, num_layers=2, dropout=0.3)
    history = d2l.train_ch8(net, loader, vocab, 0.5, num_epochs, CPU, True, **kwargs)
    return history, net


def test_output_and_history(capsys):
    validation, _ = small_data()
    history, net = run(num_epochs=4, val_iter=validation)
    out = capsys.readouterr().out
    last = rf"perplexity {history.perplexity:.1f}, {history.speed:.1f} tokens/sec on cpu\n"
    assert re.search(last + r"time traveller.{50}\ntraveller.{50}\n$", out)

    assert history.epochs == [1, 2, 3, 4] and history.epoch == history.num_epochs == 4
    assert history.train[-1] == history.perplexity and not history.diverged
    assert history.val[-1] == d2l.evaluate_perplexity(net, validation, CPU)
    assert len(history.train) == len(history.val) == len(history.samples) == 4
    assert 0 < history.seconds[0] < history.seconds[-1]
    assert history.speed > 0
    assert out.endswith(history.samples[-1] + "\n" + out.splitlines()[-1] + "\n")
    numbers = rf"4 epochs, perplexity {history.perplexity:.2f}, validation {history.val[-1]:.4g}"
    assert re.fullmatch(rf"History\({numbers}, \d+ tokens/sec\)", repr(history))


def test_one_seed_fixes_everything():
    history, net = run()
    random.seed(1), random.random(), numpy.random.seed(1), numpy.random.rand()
    again, net2 = run()
    assert again.train == history.train and again.samples == history.samples
    torch.testing.assert_close(net.state_dict(), net2.state_dict(), rtol=0, atol=0)
    assert run(seed=4)[0].train != history.train


def test_the_seed_of_train_ch8_fixes_batches():
    loader, vocab = small_data(use_random_iter=True)
    first = concise_rnn(len(vocab), layer=nn.GRU, num_layers=2, dropout=0.3)
    nets = [copy.deepcopy(first) for _ in range(3)]
    runs = [
        d2l.train_ch8(net, loader, vocab, 0.5, 2, CPU, True, seed=seed)
        for net, seed in zip(nets, (5, 5, 6))
    ]
    assert runs[0].train == runs[1].train != runs[2].train


def test_validation_and_a_callback_do_not_change_training():
    history, net = run()
    validation, _ = small_data(use_random_iter=True)
    seen = []
    with_val, net2 = run(
        val_iter=validation, callback=lambda h: seen.append((h.epoch, h.perplexity))
    )
    assert with_val.train == history.train and with_val.samples == history.samples
    torch.testing.assert_close(net.state_dict(), net2.state_dict(), rtol=0, atol=0)
    assert seen == list(zip([1, 2, 3], history.train))


@pytest.mark.parametrize("make", [scratch_rnn, concise_rnn])
def test_plain_sgd_is_the_default(make):
    torch.manual_seed(1)
    loader, vocab = small_data()
    net = make(len(vocab))
    other = copy.deepcopy(net)
    params = other.params if make is scratch_rnn else other.parameters()
    history = d2l.train_ch8(net, loader, vocab, 0.7, 2, CPU, seed=2)
    optimizer = torch.optim.SGD(params, lr=0.7)
    with_torch = d2l.train_ch8(other, loader, vocab, 0.1, 2, CPU, seed=2, optimizer=optimizer)
    assert history.train == pytest.approx(with_torch.train, rel=1e-10)


def test_an_optimizer_as_a_class_or_made_already():
    def net(vocab):
        torch.manual_seed(8)
        return concise_rnn(len(vocab))

    by_class, _ = run(net=net, optimizer=torch.optim.Adam, seed=8)
    made = []

    def make(params, lr):
        made.append(torch.optim.Adam(params, lr=lr))
        return made[0]

    by_function, _ = run(net=net, optimizer=make, seed=8)
    assert made[0].param_groups[0]["lr"] == 0.5
    holder = []

    def keep(vocab):
        holder.append(net(vocab))
        holder.append(torch.optim.Adam(holder[0].parameters(), lr=0.5))
        return holder[0]

    torch.manual_seed(8)
    loader, vocab = small_data(use_random_iter=True)
    ready = keep(vocab)
    by_instance = d2l.train_ch8(ready, loader, vocab, 99, 3, CPU, True, optimizer=holder[1])
    assert by_class.train == by_function.train == by_instance.train


@pytest.mark.parametrize("optimizer", [None, torch.optim.SGD])
def test_a_schedule_scales_the_learning_rate(optimizer, monkeypatch):
    rates, done = [], []
    if optimizer is None:
        plain = training.sgd
        spy = lambda params, lr, batch_size: (rates.append(lr), plain(params, lr, batch_size))  # noqa: E731
        monkeypatch.setattr(training, "sgd", spy)
    else:
        step = optimizer.step

        def spy(self, *args):
            rates.append(self.param_groups[0]["lr"])
            return step(self, *args)

        monkeypatch.setattr(optimizer, "step", spy)
    run(num_epochs=4, optimizer=optimizer, schedule=lambda x: done.append(x) or 1 - x)
    assert done == [0, 0.25, 0.5, 0.75]
    assert list(dict.fromkeys(rates)) == [0.5, 0.375, 0.25, 0.125]


def test_about_fifty_points_of_a_long_run():
    history, _ = run(num_epochs=130, net=lambda vocab: Table(torch.zeros(len(vocab), len(vocab))))
    assert history.epochs == [1, *range(2, 131, 2)]
    assert len(history.train) == len(history.samples) == len(history.epochs) and not history.val


def test_a_run_that_diverges_says_so_and_stops(capsys):
    loader, vocab = small_data()
    calls = []
    history = d2l.train_ch8(
        Table(torch.zeros(len(vocab), len(vocab)).fill_diagonal_(1e6)),
        loader, vocab, 1e-9, 10, CPU, callback=lambda h: calls.append(h.epoch),
    )  # fmt: skip
    assert history.diverged and history.perplexity == math.inf and calls == [1]
    assert repr(history).startswith("History(diverged at epoch 1, perplexity inf")
    lines = capsys.readouterr().out.splitlines()
    assert any("diverged at epoch 1 of 10" in line and "1e-09" in line for line in lines)
    assert re.fullmatch(r"perplexity inf, \d+\.\d tokens/sec on cpu", lines[-3])


def test_nan_is_divergence_too():
    history, _ = run(net=lambda vocab: Table(torch.full((len(vocab), len(vocab)), math.nan)))
    assert history.diverged and history.epoch == 1 and math.isnan(history.perplexity)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_gradient_ends_the_run_and_is_said(bad, capsys):
    loader, vocab = small_data()
    net = concise_rnn(len(vocab))
    batches = iter(range(10**6))
    net.linear.weight.register_hook(lambda grad: grad * (bad if next(batches) == 1 else 1))
    history = d2l.train_ch8(net, loader, vocab, 0.5, 3, CPU)
    assert history.diverged and "The run diverged at epoch 1 of 3" in capsys.readouterr().out


def test_chosen_prefixes(capsys):
    run(prefixes=["the", "Story", "us"])
    lines = capsys.readouterr().out.splitlines()[-4:]
    assert lines[0].startswith("perplexity")
    assert [line[:2] for line in lines[1:]] == ["th", "st", "us"]
    with pytest.raises(ValueError, match="at least one token"):
        run(prefixes=["the", "123"])


def test_chinese_text(capsys):
    poem = "床前明月光，疑是地上霜。举头望明月，低头思故乡。" * 4
    loader, vocab = small_data(text=poem)
    net = concise_rnn(len(vocab))
    history = d2l.train_ch8(net, loader, vocab, 0.5, 2, CPU, prefixes=["明月", "故乡"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2][:2] == "明月" and lines[-1][:2] == "故乡"
    assert set(lines[-1].replace("<unk>", "")) <= set(poem)
    assert history.samples[0].startswith("明月")
    d2l.train_ch8(net, loader, vocab, 0.5, 1, CPU)  # no Latin letter: the commonest token
    common = vocab.idx_to_token[1]
    assert [line[0] for line in capsys.readouterr().out.splitlines()[-2:]] == [common] * 2


def test_fit_can_be_left_at_any_epoch():
    loader, vocab = small_data()
    net = scratch_rnn(len(vocab))
    for history in d2l.fit(net, loader, vocab, 0.5, 1000):
        if history.epoch == 2:
            break
    assert history.epochs == [1] and history.epoch == 2
    full = scratch_rnn_after_two_epochs()
    torch.testing.assert_close(net.params, full.params)


def scratch_rnn_after_two_epochs():
    torch.manual_seed(1)  # as every test starts
    loader, vocab = small_data()
    net = scratch_rnn(len(vocab))
    list(d2l.fit(net, loader, vocab, 0.5, 2))
    return net


@pytest.mark.parametrize("wrong", [0, -3, 2.0, "5", True])
def test_num_epochs_must_be_a_whole_number(wrong):
    with pytest.raises(ValueError, match="num_epochs must be an integer of 1 or more"):
        run(num_epochs=wrong)


@pytest.mark.parametrize("wrong", [-1.0, math.nan])
def test_the_learning_rate_must_be_a_number(wrong):
    loader, vocab = small_data()
    with pytest.raises(ValueError, match="lr must be a number of 0 or more"):
        d2l.train_ch8(scratch_rnn(len(vocab)), loader, vocab, wrong, 1, CPU)


def test_a_short_text_is_learnt_by_heart(capsys):
    loader, vocab = small_data(4, 8)
    net = d2l.RNNModel(nn.GRU(len(vocab), 32), len(vocab))
    history = d2l.train_ch8(net, loader, vocab, 0.02, 60, CPU, optimizer=torch.optim.Adam)
    assert history.perplexity < 1.5
    assert "time traveller came back on thursday" in capsys.readouterr().out


def test_validation_on_unrelated_batches_starts_each_from_a_fresh_state():
    torch.manual_seed(0)
    val_iter, vocab = d2l.load_data_text("the time traveller " * 40, 4, 6, use_random_iter=True)
    net = d2l.RNNModel(nn.RNN(len(vocab), 8), len(vocab))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        batches = list(val_iter)
    with torch.no_grad():
        losses = [F.cross_entropy(net(X)[0], Y.T.reshape(-1)) for X, Y in batches]
    expected = torch.stack(losses).mean().exp().item()
    assert d2l.evaluate_perplexity(net, val_iter) == pytest.approx(expected, rel=1e-5)
