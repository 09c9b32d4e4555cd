"""Two tasks that show what a network can do: remembering for long, and restoring letters."""

import torch

from .loaders import batches_of
from .tools import check_count


def remember(batch_size, distance, num_symbols=8, *, generator=None):
    """Texts whose first letter is to be named at the end: the long-memory task.

    The first letter is one of `num_symbols`, and the distance - 1 letters behind it, one of as
    many others, mean nothing. At the last of the `distance` letters the first one is asked for. A
    uniform guess is right once in `num_symbols` times. (In the manner of Hochreiter and
    Schmidhuber, 1997, section 5.2.)

    generator: a `torch.Generator` to draw from, in place of the one that all code shares.

    Returns X (batch_size, distance), indices below 2 * num_symbols, and the answers
    (batch_size,), below num_symbols.
    """
    check_count("batch_size", batch_size)
    check_count("distance", distance)
    check_count("num_symbols", num_symbols)
    X = torch.randint(num_symbols, 2 * num_symbols, (batch_size, distance), generator=generator)
    X[:, 0] -= num_symbols
    return X, X[:, 0].clone()


class LongMemory:
    """Batches of `remember` for training with `fit`, each at a distance drawn from `distances`.

    Only at the last letter is anything asked for: elsewhere Y is -100, which
    `nn.CrossEntropyLoss` leaves out. Texts are new in every epoch, of `num_batches` batches.
    """

    use_random_iter = True

    def __init__(self, batch_size, distances, num_batches=10):
        self.batch_size, self.distances, self.num_batches = batch_size, distances, num_batches
        for distance in distances:
            check_count("every one of distances", distance)
        check_count("the number of distances", len(distances))

    def __iter__(self):
        return self.batches()

    def batches(self, generator=None):
        """The batches of an epoch, drawn from a `torch.Generator`, or from the shared one."""
        for _ in range(self.num_batches):
            number = int(torch.randint(len(self.distances), (), generator=generator))
            X, answers = remember(self.batch_size, self.distances[number], generator=generator)
            Y = torch.full_like(X, -100)
            Y[:, -1] = answers
            yield X, Y

    def __len__(self):
        return self.num_batches


class HiddenLetters:
    """A loader's batches with letters hidden: to be restored from what stands around them.

    Every letter is hidden with probability `share`: `X` has index 0, `<unk>`, in its place, and
    `Y` the letter that stood there. Where nothing is hidden, Y is -100, which
    `nn.CrossEntropyLoss` leaves out. Other letters are hidden in every epoch. Every row is a
    text of its own: train with `use_random_iter=True`, so that no state is carried on.
    """

    use_random_iter = True

    def __init__(self, data_iter, share=0.2):
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, got {share}")
        self.data_iter, self.share = data_iter, share

    def __iter__(self):
        return self.batches()

    def batches(self, generator=None):
        """The batches of an epoch, drawn from a `torch.Generator`, or from the shared one."""
        for letters, _ in batches_of(self.data_iter, generator):
            hidden = torch.rand(letters.shape, generator=generator) < self.share
            hidden[0, 0] |= not hidden.any()  # the mean loss over no letter would be nan
            yield letters.masked_fill(hidden, 0), letters.masked_fill(~hidden, -100)

    def __len__(self):
        return len(self.data_iter)
