"""One pass over the batches, with training or without: truncated backpropagation through time."""

import math

import torch
from torch import nn

from .loaders import TextLoader
from .models import first_state
from .tools import Timer
from .updates import grad_clipping

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
        summand = mean_loss.detach() * targets.to(
            torch.promote_types(mean_loss.dtype, torch.float32)
        )
        total, num_targets = total + summand, num_targets + targets
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
