"""Minibatches for language models: X holds num_steps tokens, Y the same shifted by one.

Every random choice is drawn from torch's generator, so one `torch.manual_seed` fixes the batches
together with the weights. An epoch has as many batches as the corpus can fill, whatever the
random offset: (len(corpus) - 1) // (batch_size * num_steps).
"""

import os
from numbers import Integral

import torch

from .text import Vocab, load_corpus_time_machine
from .tools import check_count


def seq_data_iter_random(corpus, batch_size, num_steps, *, generator=None):
    """Subsequences in random order: neighbours in a batch or across batches are unrelated.

    Yields X and Y, both (batch_size, num_steps), Y[i, j] being the token after X[i, j].
    generator: a `torch.Generator` to draw from, in place of the one that all code shares.
    """
    corpus, num_batches, slack = plan(corpus, batch_size, num_steps)
    offsets = min(num_steps - 1, slack) + 1
    return random_batches(corpus, num_batches, batch_size, num_steps, offsets, generator)


def random_batches(corpus, num_batches, batch_size, num_steps, offsets, generator=None):
    """The batches of `seq_data_iter_random`, with a random offset below `offsets`."""
    offset = int(torch.randint(offsets, (), generator=generator))
    num_subseqs = (len(corpus) - 1 - offset) // num_steps
    order = torch.randperm(num_subseqs, generator=generator)[: num_batches * batch_size]
    starts = offset + num_steps * order
    starts, steps = starts.to(corpus.device), torch.arange(num_steps, device=corpus.device)
    for chunk in starts.view(num_batches, batch_size, 1):
        positions = chunk + steps  # (batch_size, num_steps)
        yield corpus[positions], corpus[positions + 1]


def seq_data_iter_sequential(corpus, batch_size, num_steps, *, generator=None):
    """The corpus cut into batch_size long rows: row i of a batch goes on in row i of the next.

    Yields X and Y, both (batch_size, num_steps), Y[i, j] being the token after X[i, j].
    generator: a `torch.Generator` to draw the offset from, in place of the shared one.
    """
    corpus, num_batches, slack = plan(corpus, batch_size, num_steps)

    def batches():
        offset = int(torch.randint(min(num_steps, slack) + 1, (), generator=generator))
        length = (len(corpus) - 1 - offset) // batch_size
        end = offset + batch_size * length
        Xs = corpus[offset:end].view(batch_size, length)
        Ys = corpus[offset + 1 : end + 1].view(batch_size, length)
        for start in range(0, num_batches * num_steps, num_steps):
            yield Xs[:, start : start + num_steps], Ys[:, start : start + num_steps]

    return batches()


def plan(corpus, batch_size, num_steps):
    """The corpus as a tensor, the batches of an epoch, and the tokens left over by them."""
    check_count("batch_size", batch_size)
    check_count("num_steps", num_steps)
    num_batches, slack = divmod(len(corpus) - 1, batch_size * num_steps)
    if num_batches < 1:
        raise ValueError(
            f"corpus has {len(corpus)} tokens, but batch_size={batch_size} rows of "
            f"num_steps={num_steps} need at least {batch_size * num_steps + 1}"
        )
    return torch.as_tensor(corpus), num_batches, slack


def batches_of(data_iter, generator):
    """An epoch's batches, drawn from `generator` if the iterator can: it then has `batches`."""
    return data_iter.batches(generator) if hasattr(data_iter, "batches") else iter(data_iter)


class TextLoader:
    """Iterates over a corpus anew, with a new random offset, every time it is looped over."""

    def __init__(self, corpus, vocab, batch_size, num_steps, use_random_iter):
        # Fails now, where the arguments were given, and not in the first epoch.
        self.corpus, self.num_batches, _ = plan(corpus, batch_size, num_steps)
        self.vocab = vocab
        self.batch_size, self.num_steps = batch_size, num_steps
        self.use_random_iter = use_random_iter

    def __iter__(self):
        return self.batches()

    def batches(self, generator=None):
        """The batches of an epoch, drawn from a `torch.Generator`, or from the shared one."""
        draw = seq_data_iter_random if self.use_random_iter else seq_data_iter_sequential
        return draw(self.corpus, self.batch_size, self.num_steps, generator=generator)

    def __len__(self):
        return self.num_batches

    def to(self, device):
        """Keep the corpus on `device` from now on, so that no batch has to be sent there."""
        self.corpus = self.corpus.to(device)
        return self


class SeqDataLoader(TextLoader):
    """Minibatches of *The Time Machine*: loop over it once for each epoch.

    max_tokens: how many characters to use (-1: all), counted from `start`.
    Attributes: `corpus` (a tensor of indices), `vocab`, `batch_size`, `num_steps`.
    """

    def __init__(self, batch_size, num_steps, use_random_iter, max_tokens, *, start=0):
        corpus, vocab = load_corpus_time_machine()
        corpus = _part(corpus, start, max_tokens)
        super().__init__(corpus, vocab, batch_size, num_steps, use_random_iter)


def _part(corpus, start, max_tokens):
    check_count("start", start, least=0)
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, Integral):
        raise ValueError(f"max_tokens must be an integer, -1 for all, got {max_tokens!r}")
    return corpus[start : start + max_tokens] if max_tokens > 0 else corpus[start:]


def load_data_time_machine(
    batch_size, num_steps, use_random_iter=False, max_tokens=10000, *, start=0
):
    """The iterator over minibatches of *The Time Machine*, and its vocabulary.

    `load_data_time_machine(32, 35, start=10_000)` gives the second 10,000 characters: the
    validation text to the first.
    """
    data_iter = SeqDataLoader(batch_size, num_steps, use_random_iter, max_tokens, start=start)
    return data_iter, data_iter.vocab


def load_data_text(
    path_or_text,
    batch_size,
    num_steps,
    use_random_iter=False,
    max_tokens=10000,
    *,
    start=0,
    encoding="utf-8-sig",
):
    """The iterator over minibatches of any text, in any language, and its vocabulary.

    path_or_text: a path to a text file (a `str` counts as one if such a file exists), or the
    text itself. Characters are kept as they are: no lower case, nothing removed.
    The other arguments: as in `load_data_time_machine`; the default encoding is UTF-8, with or
    without a byte order mark.
    """
    text = _read(path_or_text, encoding)
    vocab = Vocab(list(text))
    corpus = _part(vocab[list(text)], start, max_tokens)
    try:
        return TextLoader(corpus, vocab, batch_size, num_steps, use_random_iter), vocab
    except ValueError as error:
        if text is path_or_text:  # a mistyped path is a very short text
            error.add_note(f"No file has the name {text[:60]!r}, so it was taken as the text.")
        raise


LARGEST = 50_000_000  # bytes: as a list of characters a text takes some thirty times its size


def _read(path_or_text, encoding):
    if isinstance(path_or_text, str):
        # A text is no file name: too long for one, or with a NUL or a line break inside.
        if len(path_or_text) > 1000 or set(path_or_text) & {"\0", "\n"}:
            return path_or_text
        if not os.path.isfile(path_or_text):
            return path_or_text
    size = os.path.getsize(path_or_text)
    if size > LARGEST:
        raise ValueError(
            f"{path_or_text} has {size:,} bytes; a text may have {LARGEST:,}: pass a part of it"
        )
    try:
        with open(path_or_text, encoding=encoding) as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path_or_text} is not {encoding} text (byte {error.start}); pass its encoding, "
            f'for example encoding="gbk"'
        ) from error
    if "\0" in text:
        raise ValueError(f"{path_or_text} is not {encoding} text: it holds zero bytes")
    return text
