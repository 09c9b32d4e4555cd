r"""The functions that make batches of a text, and the mistakes that are made in them."""

import collections

import torch

# --- vocabulary(tokens) ----------------------------------------------------------------------


def vocabulary(tokens, order=lambda token_and_count: -token_and_count[1], **place):
    """The index of every token: <unk> first, then from the most frequent to the rarest."""
    counts = collections.Counter(tokens)  # in the order in which they first occur
    return indices([token for token, _ in sorted(counts.items(), key=order)], **place)


def indices(found, before=("<unk>",), start=0):
    """The index of every token in a list."""
    return {token: index for index, token in enumerate([*before, *found], start)}


VOCABULARY_MISTAKES = {
    "<unk> is missing; it has the index 0.": lambda tokens: vocabulary(tokens, before=()),
    "<unk> is missing, and its place is left empty: its index is 0.":
        lambda tokens: vocabulary(tokens, before=(), start=1),
    "<unk> comes last; its index is 0.":
        lambda tokens: indices([*vocabulary(tokens, before=()), "<unk>"], before=()),
    "The indices begin with 1; <unk> has the index 0.": lambda tokens: vocabulary(tokens, start=1),
    "Two tokens share the index 0: the first one after <unk> has the index 1.":
        lambda tokens: vocabulary(tokens, before=()) | {"<unk>": 0},
    "The rarest token comes first; the most frequent one is to.":
        lambda tokens: vocabulary(tokens, order=lambda pair: pair[1]),
    "Equally frequent tokens stand in the reverse order; the one that occurs first comes first.":
        lambda tokens: indices([*vocabulary(tokens, lambda pair: pair[1], before=())][::-1]),
    "Equally frequent tokens stand in a set's order; the first in the text comes first.":
        lambda tokens: indices(sorted(set(tokens), key=tokens.count, reverse=True)),
    "Equally frequent tokens stand in reverse alphabetical order; the first one comes first.":
        lambda tokens: indices(sorted(set(tokens), key=lambda t: (tokens.count(t), t))[::-1]),
    "Spaces are left out; they are tokens, too.":
        lambda tokens: vocabulary([token for token in tokens if token.strip()]),
    "What is no letter is left out; every token gets an index.":
        lambda tokens: vocabulary([token for token in tokens if token.isalpha()]),
    "The tokens are made lower case; take them as they are.":
        lambda tokens: vocabulary([token.lower() for token in tokens]),
    "The tokens are cut into their letters; a token may have several.":
        lambda tokens: vocabulary("".join(tokens)),
    "The tokens stand in alphabetical order; they are to be ordered by how often they occur.":
        lambda tokens: vocabulary(tokens, order=lambda pair: pair[0]),
    "The tokens stand in the order in which they first occur, however often they do.":
        lambda tokens: vocabulary(tokens, order=lambda pair: 0),
    "Equally frequent tokens stand in alphabetical order; the one that occurs first comes first.":
        lambda tokens: vocabulary(tokens, order=lambda pair: (-pair[1], pair[0])),
    "The values are counts; they are to be indices.":
        lambda tokens: {"<unk>": 0} | dict(collections.Counter(tokens)),
    "The values are counts, and <unk> is missing; they are to be indices.":
        lambda tokens: dict(collections.Counter(tokens)),
    "Keys and values are exchanged: a token is to lead to its index.":
        lambda tokens: {index: token for token, index in vocabulary(tokens).items()},
}  # fmt: skip

# --- batches(corpus, batch_size, num_steps, offset) ------------------------------------------


def batches(
    corpus, batch_size, num_steps, offset, ahead=1, spare=1, Y_offset=None, stride=None,
    lay_out=lambda part, rows: part.reshape(rows, -1), later=0, starts=None,
):  # fmt: skip
    """Sequential minibatches: row k of a batch goes on where row k of the batch before it ended.

    What a mistake changes: Y is `ahead` tokens ahead of X, or begins at `Y_offset` and not at the
    offset; `spare` tokens have none after them; a batch starts `stride` after the one before it,
    the last one `later` than it should, or all at `starts`; `lay_out` makes rows of the corpus.
    """
    length = (len(corpus) - offset - spare) // batch_size * batch_size
    begin = offset if Y_offset is None else Y_offset
    corpus = torch.as_tensor(corpus)
    X = lay_out(corpus[offset : offset + length], batch_size)
    Y = lay_out(corpus[begin + ahead : begin + ahead + length], batch_size)
    starts = starts or range(0, X.shape[1] - num_steps + 1 + later, stride or num_steps)
    return [(X[:, k : k + num_steps], Y[:, k : k + num_steps]) for k in starts]


def piece_after_piece(corpus, batch_size, num_steps, offset):
    """Batches whose rows follow one another within the batch."""
    size = batch_size * num_steps
    starts = range(offset, len(corpus) - size, size)
    corpus = torch.as_tensor(corpus)
    return [
        tuple(corpus[k + d : k + d + size].reshape(batch_size, num_steps) for d in (0, 1))
        for k in starts
    ]


BATCHES_MISTAKES = {
    "Y is the same as X; it is to be one token ahead.": lambda *a: batches(*a, ahead=0),
    "Y is two tokens ahead of X; it is to be one.": lambda *a: batches(*a, ahead=2, spare=2),
    "X and Y are exchanged.": lambda *a: [(Y, X) for X, Y in batches(*a)],
    "The offset is not used.": lambda *a: batches(*a[:3], 0),
    "The offset is used for X and not for Y.": lambda *a: batches(*a, Y_offset=0),
    "The batches are turned: a row is a text, (batch_size, num_steps).":
        lambda *a: [(X.T, Y.T) for X, Y in batches(*a)],
    "A row goes on in the next row; it is to go on in the same row of the next batch.":
        piece_after_piece,
    "A text runs down a column of the corpus; each row is to be one stretch of it.":
        lambda *a: batches(*a, lay_out=lambda part, rows: part.reshape(-1, rows).T),
    "The batches overlap: the next one starts num_steps later, not one.":
        lambda *a: batches(*a, stride=1),
    "The batches overlap up to the last full one: the next one starts num_steps later, not one.":
        lambda *a: batches(*a, stride=1)[: a[2] * (len(batches(*a)) - 1) + 1],
    "What is left over at the end makes a shorter batch; it is to be left out.":
        lambda *a: batches(*a, later=a[2] - 1),
    "The last full batch is missing.": lambda *a: batches(*a)[:-1],
    "The last full batch is missing where nothing is left over: a start may be the very last.":
        lambda *a: batches(*a, later=-1),
    "The number of batches is that of the whole corpus; it is that of the rows that were cut.":
        lambda *a: batches(*a, starts=range(0, len(a[0]) // (a[1] * a[2]) * a[2], a[2])),
    "The offset is missing from the count of tokens to cut: len(corpus) - offset - 1.":
        lambda *a: batches(*a, spare=1 - a[3]),
    "There is only the first batch.": lambda *a: batches(*a)[:1],
    "The last token has none after it: it is only ever an answer, and belongs into no X.":
        lambda *a: batches(*a, spare=0),
    "Every row keeps its last token back; only the last one of the corpus is to be kept back.":
        lambda *a: [(X[:, :-1], X[:, 1:]) for X, _ in batches(
            *a[:2], a[2] + 1, a[3], ahead=0, spare=0, stride=a[2]
        )],
    "The first batch is missing.": lambda *a: batches(*a)[1:],
    "The last Y of a row is its first X; it is to be the token that follows in the corpus.":
        lambda *a: [(X, X.roll(-1, dims=1)) for X, _ in batches(*a)],
}  # fmt: skip
