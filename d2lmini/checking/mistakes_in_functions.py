r"""A perplexity and the clipping of gradients, and the mistakes that are made in them."""

import torch

from .words import Words

# --- perplexity(probabilities) ---------------------------------------------------------------


def perplexity(probabilities):
    """exp of the mean of -log p."""
    return torch.exp(-torch.log(probabilities).mean())


PERPLEXITY_MISTAKES = {
    "The minus is missing: a perplexity is at least 1.": lambda p: torch.exp(p.log().mean()),
    "The exp is missing: this is the cross-entropy, its logarithm.": lambda p: -p.log().mean(),
    "The minus stands before the exp; it belongs inside.": lambda p: -torch.exp(p.log().mean()),
    "The exp and the minus are missing.": lambda p: p.log().mean(),
    "The sum stands where the mean belongs.": lambda p: torch.exp(-p.log().sum()),
    "The sum stands where the mean belongs, and the exp is missing.": lambda p: -p.log().sum(),
    "This is 1 over the mean probability; take the mean of the logarithms.": lambda p: 1 / p.mean(),
    "This is the mean of 1 / p; take the mean of the logarithms.": lambda p: (1 / p).mean(),
    "The logarithm has base 2, the power base e; both need the same base.":
        lambda p: torch.exp(-p.log2().mean()),
    "The logarithm has base e, the power base 2; both need the same base.":
        lambda p: 2 ** -p.log().mean(),
    "The logarithm has base 10, the power base e; both need the same base.":
        lambda p: torch.exp(-p.log10().mean()),
    "This is exp of an entropy: -log p has the weight p; all of them count the same.":
        lambda p: torch.exp(-(p * p.log()).sum()),
    "This is the mean probability.": lambda p: p.mean(),
    "The logarithm is missing: take the mean of the logarithms.": lambda p: torch.exp(-p.mean()),
    "The product of many probabilities becomes 0 in the computer; add their logarithms.":
        lambda p: p.prod() ** (-1 / len(p)),
    "The sum is divided by one less than there are probabilities.":
        lambda p: torch.exp(-p.log().sum() / (len(p) - 1)),
    "This is the median in place of the mean.": lambda p: torch.exp(-p.log().median()),
} | {
    Words(
        "The probabilities are kept above {least}: an impossible letter must cost more than that.",
        least=least,
    ): lambda p, least=least: torch.exp(-p.clamp(min=least).log().mean())
    for least in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)
}  # fmt: skip

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


CLIP_MISTAKES = {
    "Each gradient is clipped by a norm of its own; there is one norm for all of them.":
        lambda G, theta: [scaled([g], theta, g.norm())[0] for g in G],
    "Every number is cut off by itself; the whole is to be scaled, to keep its direction.":
        lambda G, theta: [g.clamp(-theta, theta) for g in G],
    "They are scaled even where their norm is less than theta.":
        lambda G, theta: [g * (theta / norm(G)) if norm(G) > 0 else g for g in G],
    "They are scaled even where their norm is less than theta, and 0 / 0 where it is 0.":
        lambda G, theta: [g * (theta / norm(G)) for g in G],
    "They are scaled to a norm of 1, not of theta.":
        lambda G, theta: [g / norm(G) if norm(G) > theta else g for g in G],
    "They are scaled where the norm is small: the condition is turned, or max stands for min.":
        lambda G, theta: [g * (theta / norm(G)) if 0 < norm(G) < theta else g for g in G],
    "They are scaled where the norm is small (max stands for min), and nan where it is 0.":
        lambda G, theta: [g * max(1, theta / norm(G)) for g in G],
    "This is the root of the mean of all squares; the norm is the root of their sum.":
        lambda G, theta: scaled(G, theta, norm(G) / sum(g.numel() for g in G) ** 0.5),
    "The norm lacks its square root.": lambda G, theta: scaled(G, theta, norm(G) ** 2),
    "This is the sum of the gradients' norms; square, add up everything, take one root.":
        lambda G, theta: scaled(G, theta, sum(g.norm() for g in G)),
    "This is the norm of absolute values; square, add up, take the root.":
        lambda G, theta: scaled(G, theta, sum(g.abs().sum() for g in G)),
    "This is the greatest number; the norm is the root of the sum of squares.":
        lambda G, theta: scaled(G, theta, max(g.abs().max() for g in G)),
    "This is the greatest norm of a single gradient; there is one norm for all together.":
        lambda G, theta: scaled(G, theta, max(g.norm() for g in G)),
    "Nothing is clipped.": lambda G, theta: list(G),
    "The factor is norm / theta; it is theta / norm.":
        lambda G, theta: [g * (norm(G) / theta) if norm(G) > theta else g for g in G],
    "The norm is compared with 1, not with theta.":
        lambda G, theta: [g * (theta / norm(G)) if norm(G) > 1 else g for g in G],
    "The square of the norm is compared with theta.":
        lambda G, theta: [g * (theta / norm(G)) if norm(G) ** 2 > theta else g for g in G],
    "The division by the norm is missing.":
        lambda G, theta: [g * theta if norm(G) > theta else g for g in G],
    "0 / 0 where all gradients are zero; they are to stay zero.":
        lambda G, theta: [g / norm(G) * min(norm(G), theta) for g in G],
    "The fraction is upside down: the factor is min(1, theta / norm).":
        lambda G, theta: [g * min(1, norm(G) / theta) for g in G],
    "Gradients that are too long are set to zero; they are to be scaled.":
        lambda G, theta: [0 * g if norm(G) > theta else g for g in G],
}  # fmt: skip
