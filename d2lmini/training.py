"""Training a character-level language model, epoch by epoch.

`fit` is the training loop, as a generator that yields after every epoch; `train_ch8` runs it to
the end with a live curve. Both take models from scratch and `nn.Module`s alike.
"""

import time
import warnings

import torch
from torch import nn

from . import checkpoint as checkpoints
from .epochs import evaluate_perplexity, train_epoch_ch8
from .history import History
from .plotting import Animator, in_notebook
from .predict import known_tokens, predict_ch8
from .tools import Timer, check_amount, check_count, one_thread
from .updates import parameters, sgd

SAVE_EVERY = 1.0  # seconds between two checkpoints


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
    checkpoint=None,
):
    """Train, and yield the `History` after every epoch: the loop under `train_ch8`.

    A generator: stop iterating and training has stopped, with the network as it then is.
    The arguments are those of `train_ch8`, and `watch` is that of `train_epoch_ch8`. The history
    grows at about fifty epochs, among them the first and the last. A run that goes on from a
    checkpoint yields the history that it finds there first.
    """
    check_count("num_epochs", num_epochs)
    check_amount("lr", lr)
    if lr > 1e30:  # float32 ends at 3e38, and an optimizer may multiply
        raise ValueError(f"lr must be at most 1e+30, got {lr}")
    lr, num_epochs = float(lr), int(num_epochs)
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
    for param in parameters(net):
        param.grad = None  # a run that was stopped half-way through a batch has left some
    loss, period = nn.CrossEntropyLoss(), max(1, num_epochs // 50)
    history, seconds, num_tokens = History(num_epochs), 0.0, 0.0

    if checkpoint is not None:
        rates = schedule and [float(schedule(epoch / num_epochs)) for epoch in range(num_epochs)]
        settings = checkpoints.describe(
            net, updater, vocab, train_iter, val_iter, rates, lr=lr, num_epochs=num_epochs,
            seed=seed, prefixes=prefixes, use_random_iter=use_random_iter,
        )  # fmt: skip
        found = checkpoints.load(checkpoint, settings, net, updater)
        if found is None:  # says now, and not after an hour, where nothing can be written
            checkpoints.save(checkpoint, settings, net, updater, (history, seconds, num_tokens))
        else:
            history, seconds, num_tokens = found
        if history.epoch > 0:
            yield history
        if history.diverged:
            return
        saved = time.monotonic()

    for epoch in range(history.epoch + 1, num_epochs + 1):
        if schedule is not None:
            rate["lr"] = float(lr * schedule((epoch - 1) / num_epochs))
            for group in getattr(updater, "param_groups", []):
                group["lr"] = rate["lr"]
        timer = Timer()
        with one_thread():
            perplexity, speed = train_epoch_ch8(
                net, train_iter, loss, updater, device, use_random_iter, watch=watch
            )
        seconds += timer.stop()
        num_tokens += speed * timer.times[-1]
        # Far worse than a uniform guess, whose perplexity is the size of the vocabulary.
        diverged = not perplexity < 1000 * len(vocab)
        last = epoch == num_epochs or diverged
        samples, val = [], []
        if recorded := epoch == 1 or epoch % period == 0 or last:
            if prefixes:
                samples = [predict_ch8(prefixes[0], 50, net, vocab, device)]
            if val_iter is not None:
                with one_thread():
                    val = [evaluate_perplexity(net, val_iter, device)]
        # All at once: a run that is interrupted leaves curves of equal length.
        history.epoch, history.perplexity, history.diverged = epoch, perplexity, diverged
        history.speed = num_tokens / seconds
        if recorded:
            history.epochs.append(epoch)
            history.seconds.append(seconds)
            history.train.append(perplexity)
            history.samples += samples
            history.val += val
        if checkpoint is not None and (last or time.monotonic() - saved >= SAVE_EVERY):
            try:
                progress = history, seconds, num_tokens
                checkpoints.save(checkpoint, settings, net, updater, progress)
            except OSError as error:  # a full disk must not end the run; the old file is whole
                warnings.warn(f"checkpoint {checkpoint} was not written: {error}", stacklevel=2)
            saved = time.monotonic()
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
        token = vocab.to_tokens(min(1, len(vocab) - 1))
        return [token if isinstance(token, str) and len(token) == 1 else [token]] * 2


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
    checkpoint=None,
):
    """Train with a live curve, print the outcome and two sampled texts, return the `History`.

    Gradients are clipped at norm 1. A run that diverges says so and stops. One that is
    interrupted says so too; the network keeps what it has learnt, and the history is returned.

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
    checkpoint: a file to keep the run in, written about every second and at the end. Where it is
    already there, the run goes on from it, and ends with the weights and the history that it
    would have had without a break. The random numbers of torch, Python and NumPy go on, too; an
    iterator of your own must have no other memory. ValueError where the file is broken or of
    another run.
    """
    prefixes = choose_prefixes(prefixes, vocab)
    legend = ["train"] + (["validation"] if val_iter is not None else [])
    xlim = [1, num_epochs] if num_epochs != 1 else None  # an axis from 1 to 1 would be a warning
    animator = Animator(xlabel="epoch", ylabel="perplexity", legend=legend, xlim=xlim, yscale="log")
    progress, drawn, history = 0, 0, History(num_epochs)
    try:
        for history in fit(
            net, train_iter, vocab, lr, num_epochs, device, use_random_iter, val_iter=val_iter,
            optimizer=optimizer, schedule=schedule, seed=seed, prefixes=prefixes,
            checkpoint=checkpoint,
        ):  # fmt: skip
            for k in range(drawn, len(history.epochs)):
                animator.add(history.epochs[k], [history.train[k], *history.val[k : k + 1]])
            drawn = len(history.epochs)
            if not in_notebook() and history.epoch * 10 // num_epochs > progress:
                progress = history.epoch * 10 // num_epochs
                print(f"epoch {history.epoch}/{num_epochs}, perplexity {history.perplexity:.2f}")
            if callback is not None:
                callback(history)
    except KeyboardInterrupt:
        print(f"Interrupted after epoch {history.epoch} of {num_epochs}.")
    if history.diverged:
        print(
            f"The run diverged at epoch {history.epoch} of {num_epochs}: "
            f"try a learning rate below {lr}."
        )
    print(f"perplexity {history.perplexity:.1f}, {history.speed:.1f} tokens/sec on {device}")
    for prefix in prefixes:
        print(predict_ch8(prefix, 50, net, vocab, device))
    return history
