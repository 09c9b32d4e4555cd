"""Training a character-level language model: a step, an epoch, a whole run.

`train_ch8` trains with a live curve. Under it is `fit`, a generator that yields after every epoch,
and under that `train_epoch_ch8`, one pass over the batches (truncated backpropagation through
time). All take models from scratch and `nn.Module`s alike.
"""

import math
from collections.abc import Iterable
from functools import partial
from numbers import Real

import torch
from torch import nn

from .checkpoint import Checkpoint, describe
from .history import History
from .loaders import TextLoader, batches_of
from .models import first_state
from .plotting import Animator, in_notebook
from .predict import known_tokens, predict_ch8
from .tools import Timer, check_amount, check_count

# --- a step ------------------------------------------------------------------------------------


def sgd(params, lr, batch_size):
    """One step of minibatch stochastic gradient descent: param -= lr * grad / batch_size."""
    check_amount("lr", lr)
    check_amount("batch_size", batch_size)
    with torch.no_grad():
        for param in params:
            if param.grad is not None:
                param.sub_(param.grad, alpha=float(lr) / float(batch_size))
                param.grad.zero_()


def grad_clipping(net, theta, device=None):
    """Scale all gradients together so that their joint L2 norm is at most `theta`.

    g <- min(1, theta / ||g||) g (Pascanu, Mikolov and Bengio, 2013, algorithm 1). Returns the
    norm before, as a tensor. Where the norm is NaN, the gradients become NaN too: the run has
    diverged, and clipping does not hide it.

    net: an `nn.Module`, a model with `params`, or the parameters themselves.
    device: not used; the older edition passes it.
    """
    if not (isinstance(theta, Real) and theta == math.inf):  # which clips nothing
        check_amount("theta", theta)
    grads = [param.grad for param in parameters(net) if param.grad is not None]
    if not grads:
        return torch.zeros(())
    norm = torch.linalg.vector_norm(torch.stack([grad.norm() for grad in grads]))
    # No `if` on a number that a GPU has yet to compute: it would have to be waited for.
    scale = (float(theta) / norm).clamp(max=1)
    for grad in grads:
        grad.mul_(scale)
    return norm


def parameters(net):
    """The parameters of an `nn.Module`, of a model with `params`, or of any iterable of them."""
    if isinstance(net, nn.Module):
        return list(net.parameters())
    params = getattr(net, "params", net)
    is_list = isinstance(params, Iterable) and not isinstance(params, torch.Tensor)
    params = list(params) if is_list else [params]
    for param in params:
        if not isinstance(param, torch.Tensor):
            raise TypeError(f"net must be a model or its parameters, got {param!r} among them")
    return params


# --- an epoch ----------------------------------------------------------------------------------

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

    The package's loaders draw the same random offset every time, and leave torch's random
    generator as it was. With a loader of unrelated batches (`use_random_iter`), every batch starts
    from a fresh state.
    """
    was_training = isinstance(net, nn.Module) and net.training
    if was_training:
        net.eval()
    try:
        with torch.no_grad():
            if isinstance(data_iter, TextLoader):
                data_iter.to(device)
            batches = batches_of(data_iter, torch.Generator().manual_seed(0))
            unrelated = getattr(data_iter, "use_random_iter", False)
            return run_epoch(net, batches, nn.CrossEntropyLoss(), device, unrelated)[0]
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
        total = total + mean_loss.detach().double() * targets
        num_targets = num_targets + targets
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


# --- a run -------------------------------------------------------------------------------------


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
    lr, num_epochs = float(lr), int(num_epochs)
    prefixes = choose_prefixes(prefixes, vocab)
    if seed is not None:
        torch.manual_seed(seed)
    params = parameters(net)
    for param in params:
        param.grad = None  # a run that was stopped half-way through a batch has left some
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        optimizer = optimizer(params, lr)
    factors = schedule and [float(schedule(epoch / num_epochs)) for epoch in range(num_epochs)]
    history, loss = History(num_epochs), nn.CrossEntropyLoss()

    if checkpoint is not None:
        settings = describe(
            net, optimizer, vocab, train_iter, val_iter, factors, lr=lr, num_epochs=num_epochs,
            seed=seed, prefixes=prefixes, use_random_iter=use_random_iter,
        )  # fmt: skip
        checkpoint = Checkpoint(checkpoint, settings, net, optimizer, history)
        checkpoint.restore_or_begin()
        if history.epoch > 0:
            yield history

    while history.epoch < num_epochs and not history.diverged:
        rate = lr * factors[history.epoch] if factors else lr
        if optimizer is None:
            updater = partial(sgd, params, rate)
        else:
            updater = optimizer
            for group in optimizer.param_groups if factors else ():
                group["lr"] = rate
        timer = Timer()
        perplexity, speed = train_epoch_ch8(
            net, train_iter, loss, updater, device, use_random_iter, watch=watch
        )
        seconds = timer.stop()
        # Far worse than a uniform guess, whose perplexity is the size of the vocabulary.
        diverged = not perplexity < 1000 * len(vocab)
        entry = None
        if diverged or history.is_recorded(history.epoch + 1):
            measured = [] if val_iter is None else [evaluate_perplexity(net, val_iter, device)]
            entry = measured, [predict_ch8(p, 50, net, vocab, device) for p in prefixes[:1]]
        history.record(perplexity, seconds, speed * seconds, diverged, entry)
        if checkpoint is not None:
            checkpoint.save_if_due(at_once=diverged or history.epoch == num_epochs)
        yield history


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
    would have had without a break. torch's random numbers go on, too; an iterator of your own
    must draw from no others. ValueError where the file is broken or of another run.
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
