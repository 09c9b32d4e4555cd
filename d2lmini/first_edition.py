"""Names of D2L's older Chinese edition, as its readers' PyTorch version has them."""

from importlib import resources

import torch
from torch import nn
from torch.nn import functional as F

from .loaders import plan, random_batches
from .predict import predict_ch8
from .text import Vocab
from .tools import Timer
from .training import grad_clipping, run_epoch


def load_data_jay_lyrics():
    """A Chinese text in characters: (corpus_indices, char_to_idx, idx_to_char, vocab_size).

    The name is the older edition's, so that its programs run. The lyrics it read are not ours to
    give: this is "Five Minutes Fast", a story in verse written for the course, in which the
    prefixes of those programs, 分开 and 不分开, occur. Lines are joined by spaces.
    """
    text = resources.files(__package__).joinpath("five_minutes.txt").read_text(encoding="utf-8")
    text = text.strip().replace("\n", " ")
    idx_to_char = sorted(set(text))
    char_to_idx = {char: index for index, char in enumerate(idx_to_char)}
    return [char_to_idx[char] for char in text], char_to_idx, idx_to_char, len(idx_to_char)


def to_onehot(X, n_class):
    """Indices of shape (batch_size, num_steps) as a list of num_steps (batch_size, n_class)."""
    return list(F.one_hot(X.T.long(), n_class).float())


def data_iter_random(corpus_indices, batch_size, num_steps, device=None):
    """Unrelated subsequences in random order: X and Y of shape (batch_size, num_steps)."""
    corpus, num_batches, _ = plan(corpus_indices, batch_size, num_steps)
    return random_batches(corpus.to(device), num_batches, batch_size, num_steps, offsets=1)


def data_iter_consecutive(corpus_indices, batch_size, num_steps, device=None):
    """The corpus in batch_size long rows from its first token on, num_steps columns at a time."""
    if len(corpus_indices) < batch_size * (num_steps + 1):
        raise ValueError(
            f"corpus_indices has {len(corpus_indices)} tokens, but batch_size={batch_size} rows "
            f"of num_steps={num_steps} and one more need {batch_size * (num_steps + 1)}"
        )
    corpus, _, _ = plan(corpus_indices, batch_size, num_steps)
    length = len(corpus) // batch_size
    rows = corpus[: batch_size * length].view(batch_size, length).to(device)
    starts = range(0, length - num_steps, num_steps)
    return ((rows[:, i : i + num_steps], rows[:, i + 1 : i + num_steps + 1]) for i in starts)


def predict_rnn_pytorch(prefix, num_chars, model, vocab_size, device, idx_to_char, char_to_idx):
    """`prefix` and the `num_chars` most probable characters behind it."""
    _check_prefix(prefix, char_to_idx)
    vocab = Vocab()
    vocab.idx_to_token, vocab.token_to_idx = list(idx_to_char), dict(char_to_idx)
    return predict_ch8(prefix, num_chars, model, vocab, device)


def _check_prefix(prefix, char_to_idx):
    unknown = sorted(set(prefix) - set(char_to_idx))
    if unknown:
        raise ValueError(f"prefix {prefix!r} holds characters that are not in the text: {unknown}")


def train_and_predict_rnn_pytorch(
    model,
    num_hiddens,
    vocab_size,
    device,
    corpus_indices,
    idx_to_char,
    char_to_idx,
    num_epochs,
    num_steps,
    lr,
    clipping_theta,
    batch_size,
    pred_period,
    pred_len,
    prefixes,
):
    """Train with Adam on consecutive batches; every `pred_period` epochs print the perplexity
    and a text of `pred_len` characters for each prefix."""
    for prefix in prefixes:  # now, and not after an hour of training
        _check_prefix(prefix, char_to_idx)
    model.to(device)
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=lr), nn.CrossEntropyLoss()

    def update(mean_loss):
        optimizer.zero_grad()
        mean_loss.backward()
        grad_clipping(model, clipping_theta)
        optimizer.step()

    for epoch in range(1, num_epochs + 1):
        timer = Timer()
        model.train()
        batches = data_iter_consecutive(corpus_indices, batch_size, num_steps, device)
        perplexity, _ = run_epoch(model, batches, loss, device, False, update)
        if epoch % pred_period == 0:
            print(f"epoch {epoch}, perplexity {perplexity:f}, time {timer.stop():.2f} sec")
            for prefix in prefixes:
                text = predict_rnn_pytorch(
                    prefix, pred_len, model, vocab_size, device, idx_to_char, char_to_idx
                )
                print(" -", text)
