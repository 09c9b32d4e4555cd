r"""The functions around a network that can be checked, and the mistakes that are made in them."""

import collections

import torch

# --- vocabulary(tokens) ----------------------------------------------------------------------


def vocabulary(
    tokens, order=lambda token_and_count: -token_and_count[1], before=("<unk>",), start=0
):
    """The index of every token: <unk> first, then from the most frequent to the rarest."""
    counts = collections.Counter(tokens)  # in the order in which they first occur
    found = [token for token, _ in sorted(counts.items(), key=order)]
    return {token: index for index, token in enumerate([*before, *found], start)}


def unknown_last(tokens):
    """A vocabulary with <unk> at the end."""
    known = vocabulary(tokens, before=())
    return known | {"<unk>": len(known)}


def ties_reversed(tokens):
    """A vocabulary from the list of the rarest first, turned round."""
    rising = list(vocabulary(tokens, order=lambda pair: pair[1], before=()))
    return {token: index for index, token in enumerate(["<unk>", *rising[::-1]])}


VOCABULARY = {
    "<unk> is missing; it has the index 0.": lambda tokens: vocabulary(tokens, before=()),
    "<unk> is missing, and its place is left empty: its index is 0.": (
        lambda tokens: vocabulary(tokens, before=(), start=1)
    ),
    "<unk> comes last; its index is 0.": unknown_last,
    "The indices begin with 1; <unk> has the index 0.": lambda tokens: vocabulary(tokens, start=1),
    "Two tokens share the index 0: the first one after <unk> has the index 1.": (
        lambda tokens: vocabulary(tokens, before=()) | {"<unk>": 0}
    ),
    "The rarest token comes first; the most frequent one is to.": (
        lambda tokens: vocabulary(tokens, order=lambda pair: pair[1])
    ),
    "Equally frequent tokens stand in the reverse order; the one that occurs first comes first.": (
        ties_reversed
    ),
    "The tokens stand in alphabetical order; they are to be ordered by how often they occur.": (
        lambda tokens: vocabulary(tokens, order=lambda pair: pair[0])
    ),
    "The tokens stand in the order in which they first occur, however often they do.": (
        lambda tokens: vocabulary(tokens, order=lambda pair: 0)
    ),
    "Equally frequent tokens stand in alphabetical order; the one that occurs first comes first.": (
        lambda tokens: vocabulary(tokens, order=lambda pair: (-pair[1], pair[0]))
    ),
    "The values are counts; they are to be indices.": (
        lambda tokens: {"<unk>": 0} | dict(collections.Counter(tokens))
    ),
    "The values are counts, and <unk> is missing; they are to be indices.": (
        lambda tokens: dict(collections.Counter(tokens))
    ),
    "Keys and values are exchanged: a token is to lead to its index.": (
        lambda tokens: {index: token for token, index in vocabulary(tokens).items()}
    ),
}

# --- batches(corpus, batch_size, num_steps, offset) ------------------------------------------


def batches(
    corpus, batch_size, num_steps, offset, ahead=1, spare=1, Y_offset=None, stride=None,
    lay_out=lambda part, rows: part.reshape(rows, -1), first=0, rest=0, starts=None,
):  # fmt: skip
    """Sequential minibatches: row k of a batch goes on where row k of the batch before it ended."""
    length = (len(corpus) - offset - spare) // batch_size * batch_size
    begin = offset if Y_offset is None else Y_offset
    corpus = torch.as_tensor(corpus)
    X = lay_out(corpus[offset : offset + length], batch_size)
    Y = lay_out(corpus[begin + ahead : begin + ahead + length], batch_size)
    starts = starts or range(first, X.shape[1] - num_steps + 1 + rest, stride or num_steps)
    return [(X[:, k : k + num_steps], Y[:, k : k + num_steps]) for k in starts]


def turned(found):
    """Batches with rows and columns exchanged."""
    return [(X.T, Y.T) for X, Y in found]


def piece_after_piece(corpus, batch_size, num_steps, offset):
    """Batches whose rows follow one another within the batch."""
    size = batch_size * num_steps
    starts = range(offset, len(corpus) - size, size)
    corpus = torch.as_tensor(corpus)
    return [
        tuple(corpus[k + d : k + d + size].reshape(batch_size, num_steps) for d in (0, 1))
        for k in starts
    ]


def rolled(corpus, batch_size, num_steps, offset):
    """Batches in which Y is X, moved round."""
    found = batches(corpus, batch_size, num_steps, offset)
    return [(X, X.roll(-1, dims=1)) for X, _ in found]


BATCHES = {
    "Y is the same as X; it is to be one token ahead.": lambda *a: batches(*a, ahead=0),
    "Y is two tokens ahead of X; it is to be one.": lambda *a: batches(*a, ahead=2, spare=2),
    "X and Y are exchanged.": lambda *a: [(Y, X) for X, Y in batches(*a)],
    "The offset is not used.": lambda *a: batches(*a[:3], 0),
    "The offset is used for X and not for Y.": lambda *a: batches(*a, Y_offset=0),
    "The batches are turned: a row is a text, (batch_size, num_steps).": (
        lambda *a: turned(batches(*a))
    ),
    "A row goes on in the next row; it is to go on in the same row of the next batch.": (
        piece_after_piece
    ),
    "A text runs down a column of the corpus; each row is to be one stretch of it.": (
        lambda *a: batches(*a, lay_out=lambda part, rows: part.reshape(-1, rows).T)
    ),
    "The batches overlap: the next one starts num_steps later, not one.": (
        lambda *a: batches(*a, stride=1)
    ),
    "The batches overlap up to the last full one: the next one starts num_steps later, not one.": (
        lambda *a: batches(*a, stride=1)[: a[2] * (len(batches(*a)) - 1) + 1]
    ),
    "What is left over at the end makes a shorter batch; it is to be left out.": (
        lambda *a: batches(*a, rest=a[2] - 1)
    ),
    "The last full batch is missing.": lambda *a: batches(*a)[:-1],
    "The last full batch is missing where nothing is left over: a start may be the very last.": (
        lambda *a: batches(*a, rest=-1)
    ),
    "The number of batches is that of the whole corpus; it is that of the rows that were cut.": (
        lambda *a: batches(*a, starts=range(0, len(a[0]) // (a[1] * a[2]) * a[2], a[2]))
    ),
    "There is only the first batch.": lambda *a: batches(*a)[:1],
    "The last token has none after it: it is only ever an answer, and belongs into no X.": (
        lambda *a: batches(*a, spare=0)
    ),
    "The first batch is missing.": lambda *a: batches(*a)[1:],
    "The last Y of a row is its first X; it is to be the token that follows in the corpus.": rolled,
}

# --- perplexity(probabilities) ---------------------------------------------------------------


def perplexity(probabilities):
    """exp of the mean of -log p."""
    return torch.exp(-torch.log(probabilities).mean())


PERPLEXITY = {
    "The minus is missing: a perplexity is at least 1.": lambda p: torch.exp(p.log().mean()),
    "The exp is missing: this is the cross-entropy, its logarithm.": lambda p: -p.log().mean(),
    "The exp and the minus are missing.": lambda p: p.log().mean(),
    "The sum stands where the mean belongs.": lambda p: torch.exp(-p.log().sum()),
    "The sum stands where the mean belongs, and the exp is missing.": lambda p: -p.log().sum(),
    "This is 1 over the mean probability; take the mean of the logarithms.": lambda p: 1 / p.mean(),
    "This is the mean of 1 / p; take the mean of the logarithms.": lambda p: (1 / p).mean(),
    "The logarithm has base 2, the power base e; both need the same base.": (
        lambda p: torch.exp(-p.log2().mean())
    ),
    "The logarithm has base e, the power base 2; both need the same base.": (
        lambda p: 2 ** -p.log().mean()
    ),
    "The logarithm has base 10, the power base e; both need the same base.": (
        lambda p: torch.exp(-p.log10().mean())
    ),
    "This is the mean probability.": lambda p: p.mean(),
    "The logarithm is missing: take the mean of the logarithms.": lambda p: torch.exp(-p.mean()),
    "The product of many probabilities becomes 0 in the computer; add their logarithms.": (
        lambda p: p.prod() ** (-1 / len(p))
    ),
    "Something is added to the probabilities: an impossible letter must cost more than that.": (
        lambda p: torch.exp(-(p + 1e-8).log().mean())
    ),
    "The sum is divided by one less than there are probabilities.": (
        lambda p: torch.exp(-p.log().sum() / (len(p) - 1))
    ),
    "This is the median in place of the mean.": lambda p: torch.exp(-p.log().median()),
}

# --- clip(gradients, theta) ------------------------------------------------------------------


def norm(gradients):
    """The length of all gradients together."""
    return torch.sqrt(sum((gradient**2).sum() for gradient in gradients))


def scaled(gradients, theta, length):
    """The gradients times theta / length where length is greater than theta."""
    return [gradient * (theta / length) if length > theta else gradient for gradient in gradients]


def clip(gradients, theta):
    """All gradients times theta / norm where the norm of all of them together exceeds theta."""
    return scaled(gradients, theta, norm(gradients))


def sum_of_norms(gradients):
    """The sum of the gradients' own lengths."""
    return sum(gradient.norm() for gradient in gradients)


CLIP = {
    "Each gradient is clipped by a norm of its own; there is one norm for all of them.": (
        lambda G, theta: [scaled([g], theta, g.norm())[0] for g in G]
    ),
    "Every number is cut off by itself; the whole is to be scaled, to keep its direction.": (
        lambda G, theta: [g.clamp(-theta, theta) for g in G]
    ),
    "They are scaled even where their norm is less than theta.": (
        lambda G, theta: [g * (theta / norm(G)) if norm(G) > 0 else g for g in G]
    ),
    "They are scaled even where their norm is less than theta, and 0 / 0 where it is 0.": (
        lambda G, theta: [g * (theta / norm(G)) for g in G]
    ),
    "They are scaled to a norm of 1, not of theta.": (
        lambda G, theta: [g / norm(G) if norm(G) > theta else g for g in G]
    ),
    "The condition is the wrong way round: they are scaled where the norm is small.": (
        lambda G, theta: [g * (theta / norm(G)) if 0 < norm(G) < theta else g for g in G]
    ),
    "The norm lacks its square root.": lambda G, theta: scaled(G, theta, norm(G) ** 2),
    "This is the sum of the gradients' norms; square, add up everything, take one root.": (
        lambda G, theta: scaled(G, theta, sum_of_norms(G))
    ),
    "This is the norm of absolute values; square, add up, take the root.": (
        lambda G, theta: scaled(G, theta, sum(g.abs().sum() for g in G))
    ),
    "This is the greatest number; the norm is the root of the sum of squares.": (
        lambda G, theta: scaled(G, theta, max(g.abs().max() for g in G))
    ),
    "This is the greatest norm of a single gradient; there is one norm for all together.": (
        lambda G, theta: scaled(G, theta, max(g.norm() for g in G))
    ),
    "Nothing is clipped.": lambda G, theta: list(G),
    "The factor is norm / theta; it is theta / norm.": (
        lambda G, theta: [g * (norm(G) / theta) if norm(G) > theta else g for g in G]
    ),
    "The fraction is upside down: the factor is min(1, theta / norm).": (
        lambda G, theta: [g * min(1, norm(G) / theta) for g in G]
    ),
    "Gradients that are too long are set to zero; they are to be scaled.": (
        lambda G, theta: [0 * g if norm(G) > theta else g for g in G]
    ),
}
