"""Training a character-level language model: truncated backpropagation through time.

`fit` is the training loop, as a generator that yields after every epoch; `train_ch8` runs it to
the end with a live curve. Both take models from scratch and `nn.Module`s alike.
"""

import math

import torch
from torch import nn

from .history import History
from .loaders import TextLoader
from .models import first_state
from .plotting import Animator, in_notebook
from .predict import known_tokens, predict_ch8
from .tools import Timer, check_count, one_thread
from .updates import grad_clipping, parameters, sgd

IGNORED = nn.CrossEntropyLoss().ignore_index  # -100: a target that nobody asks for


def train_epoch_ch8(net, train_iter, loss, updater, device, use_random_iter, *, watch=None):
    """One pass over the batches; returns (perplexity, tokens per second).

    loss: a loss on logits (n, vocab_size) and targets (n,), such as `nn.CrossEntropyLoss()`.
    updater: a `torch.optim.Optimizer`, or a function of `batch_size` that updates the weights.
    use_random_iter: whether neighbouring batches are unrelated, so that every batch starts from
    a fresh state. Otherwise the state goes on from batch to batch, cut off from its history.
    watch: a function called after every batch with the perplexity of the epoch so far and the
    number of its tokens.
    """
    if isinstance(net, nn.Module):
        net.train()
    timer = Timer()

    def update(mean_loss):
        if isinstance(updater, torch.optim.Optimizer):
            updater.zero_grad()
            mean_loss.backward()
            grad_clipping(net, 1)
            updater.step()
        else:
            mean_loss.backward()
            grad_clipping(net, 1)
            updater(batch_size=1)  # the loss is a mean over the batch already

    perplexity, num_tokens = run_epoch(
        net, train_iter, loss, device, use_random_iter, update, watch
    )
    return perplexity, num_tokens / timer.stop()


def evaluate_perplexity(net, data_iter, device=None):
    """The perplexity on a text without training on it: exp of the mean loss over all tokens.

    The random offset is the same every time, and torch's random generator is left as it was. With
    a loader of unrelated batches (`use_random_iter`), every batch starts from a fresh state.
    """
    was_training = isinstance(net, nn.Module) and net.training
    if was_training:
        net.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # a GPU's own generator is left alone
            loss = nn.CrossEntropyLoss()
            unrelated = getattr(data_iter, "use_random_iter", False)
            return run_epoch(net, data_iter, loss, device, unrelated)[0]
    finally:
        if was_training:
            net.train()


def run_epoch(net, data_iter, loss, device, use_random_iter, update=None, watch=None):
    """One pass over the batches, with `update(mean_loss)` on each: (perplexity, tokens)."""
    state, previous, num_tokens = None, None, 0
    total = num_targets = 0.0  # become tensors: no wait for a GPU
    if isinstance(data_iter, TextLoader):
        data_iter.to(device)
    for X, Y in data_iter:
        X, Y = X.to(device), Y.to(device)
        if state is None or use_random_iter or X.shape[0] != previous:
            state = first_state(net, X.shape[0], device)
        else:
            state = _detach(state)
        previous = X.shape[0]
        logits, state = net(X, state)
        mean_loss = loss(logits, Y.T.reshape(-1).long()).mean()
        if update is not None:
            update(mean_loss)
        targets = (Y != IGNORED).sum()
        total, num_targets = total + mean_loss.detach() * targets, num_targets + targets
        num_tokens += Y.numel()
        if watch is not None:  # waits for a GPU, and so only where somebody looks
            watch(_exp(float(total / num_targets)), num_tokens)
    if num_tokens == 0:
        raise ValueError(
            "the iterator gave no batch: a loader can be looped over more than once, "
            "a generator cannot"
        )
    return _exp(float(total / num_targets)), num_tokens


def _detach(state):
    """The same state with no history: gradients stop here (truncated BPTT)."""
    if isinstance(state, torch.Tensor):
        return state.detach()
    parts = [_detach(part) for part in state]
    return parts if isinstance(state, list) else tuple(parts)


def _exp(x):
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def fit(
    net,
    train_iter,
    vocab,
    lr,
    num_epochs,
    device=None,
    use_random_iter=False,
    *,
    val_iter=None,
    optimizer=None,
    schedule=None,
    seed=None,
    prefixes=None,
    watch=None,
):
    """Train, and yield the `History` after every epoch: the loop under `train_ch8`.

    A generator: stop iterating and training has stopped, with the network as it then is.
    The arguments are those of `train_ch8`, and `watch` is that of `train_epoch_ch8`. The history
    grows at about fifty epochs, among them the first and the last.
    """
    check_count("num_epochs", num_epochs)
    if not lr >= 0:
        raise ValueError(f"lr must be a number of 0 or more, got {lr}")
    prefixes = choose_prefixes(prefixes, vocab)
    if seed is not None:
        torch.manual_seed(seed)

    rate = {"lr": lr}
    if optimizer is None:
        params = parameters(net)
        updater = lambda batch_size: sgd(params, rate["lr"], batch_size)  # noqa: E731
    elif isinstance(optimizer, torch.optim.Optimizer):
        updater = optimizer
    else:
        updater = optimizer(parameters(net), lr)
    loss, history, seconds, num_tokens = nn.CrossEntropyLoss(), History(num_epochs), 0.0, 0.0
    period = max(1, num_epochs // 50)

    for epoch in range(1, num_epochs + 1):
        if schedule is not None:
            rate["lr"] = lr * schedule((epoch - 1) / num_epochs)
            for group in getattr(updater, "param_groups", []):
                group["lr"] = rate["lr"]
        timer = Timer()
        with one_thread():
            perplexity, speed = train_epoch_ch8(
                net, train_iter, loss, updater, device, use_random_iter, watch=watch
            )
        seconds += timer.stop()
        num_tokens += speed * timer.times[-1]
        history.epoch, history.perplexity = epoch, perplexity
        history.speed = num_tokens / seconds
        # Far worse than a uniform guess, whose perplexity is the size of the vocabulary.
        history.diverged = not perplexity < 1000 * len(vocab)
        if epoch == 1 or epoch % period == 0 or epoch == num_epochs or history.diverged:
            history.epochs.append(epoch)
            history.seconds.append(seconds)
            history.train.append(perplexity)
            if prefixes:
                history.samples.append(predict_ch8(prefixes[0], 50, net, vocab, device))
            if val_iter is not None:
                with one_thread():
                    history.val.append(evaluate_perplexity(net, val_iter, device))
        yield history
        if history.diverged:
            return


def choose_prefixes(prefixes, vocab):
    """The prefixes to sample from: the given ones, D2L's two, or the commonest token."""
    if prefixes is not None:
        for prefix in prefixes:
            known_tokens(prefix, vocab)
        return list(prefixes)
    usual = ["time traveller", "traveller"]
    try:
        return choose_prefixes(usual, vocab)
    except ValueError:  # another alphabet
        return [vocab.to_tokens(min(1, len(vocab) - 1))] * 2


def train_ch8(
    net,
    train_iter,
    vocab,
    lr,
    num_epochs,
    device,
    use_random_iter=False,
    *,
    val_iter=None,
    optimizer=None,
    schedule=None,
    seed=None,
    prefixes=None,
    callback=None,
):
    """Train with a live curve, print the outcome and two sampled texts, return the `History`.

    Gradients are clipped at norm 1. A run that diverges says so and stops.

    lr: the learning rate; of plain SGD, unless there is an `optimizer`.
    use_random_iter: whether `train_iter` draws unrelated batches.
    val_iter: batches of a text to measure on, never trained on.
    optimizer: a function of (params, lr) that makes a `torch.optim.Optimizer`, such as
    `torch.optim.Adam`; or such an optimizer.
    schedule: a function of the part done (0 to 1) that gives a factor for `lr`;
    `lambda done: 1 - done` lets it fall linearly to zero.
    seed: given to `torch.manual_seed` before the first batch. Every random choice of the package
    is drawn from torch's generator, so a `torch.manual_seed` before the network is built fixes
    initialisation, batches and sampling at once.
    prefixes: the texts to continue, instead of "time traveller" and "traveller"; [] writes none.
    callback: a function called with the `History` after every epoch.
    """
    prefixes = choose_prefixes(prefixes, vocab)
    legend = ["train"] + (["validation"] if val_iter is not None else [])
    xlim = [1, num_epochs] if num_epochs != 1 else None  # an axis from 1 to 1 would be a warning
    animator = Animator(xlabel="epoch", ylabel="perplexity", legend=legend, xlim=xlim, yscale="log")
    progress, drawn = 0, 0
    for history in fit(
        net, train_iter, vocab, lr, num_epochs, device, use_random_iter, val_iter=val_iter,
        optimizer=optimizer, schedule=schedule, seed=seed, prefixes=prefixes,
    ):  # fmt: skip
        if len(history.epochs) > drawn:
            drawn = len(history.epochs)
            animator.add(history.epoch, [history.train[-1], *history.val[-1:]])
        if not in_notebook() and history.epoch * 10 // num_epochs > progress:
            progress = history.epoch * 10 // num_epochs
            print(f"epoch {history.epoch}/{num_epochs}, perplexity {history.perplexity:.2f}")
        if callback is not None:
            callback(history)
    if history.diverged:
        print(
            f"The run diverged at epoch {history.epoch} of {num_epochs}: "
            f"try a learning rate below {lr}."
        )
    print(f"perplexity {history.perplexity:.1f}, {history.speed:.1f} tokens/sec on {device}")
    for prefix in prefixes:
        print(predict_ch8(prefix, 50, net, vocab, device))
    return history
