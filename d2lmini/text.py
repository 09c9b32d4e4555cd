"""Text as numbers: where a text comes from, its lines and tokens, and the index of each token.

A text comes from the folder named by the environment variable `D2LMINI_DATA`, else from the cache
in your home folder, else from a download, and where none of them has it, there is the story that
lies beside this module. `D2LMINI_OFFLINE=1` never tries a download.
"""

import collections
import hashlib
import importlib.util
import os
import re
from pathlib import Path

from .tools import check_amount

# --- where it comes from ----------------------------------------------------------------------

DATA_URL = "https://d2l-data.s3-accelerate.amazonaws.com/"

# name: (address, SHA-1). Add your own lines, as in D2L: DATA_HUB["mine"] = (url, sha1).
DATA_HUB = {
    "time_machine": (DATA_URL + "timemachine.txt", "090b5e7e70c295757f55df93cb0a180b9691891a")
}

BUNDLED = {"time_machine": Path(__file__).with_name("story.txt")}

TIMEOUT = 8  # seconds without an answer, for the connection and for every read

_told = set()  # one clear line is enough: each is printed once in a process
_unreachable = {}  # addresses that failed, and why: not tried again, a student waits only once


def download(name, cache_dir=None, *, strict=False):
    """The path of a file of `DATA_HUB`, fetched if it has to be.

    A file counts only if its SHA-1 is the one in `DATA_HUB`. It is written under another name
    and then moved into place, so the cache never holds half a file.

    name: a key of `DATA_HUB`.
    cache_dir: a folder to use instead of the user's cache.
    strict: raise OSError where the real file cannot be had, instead of using the bundled story.
    """
    if name not in DATA_HUB:
        raise ValueError(f"name must be one of {sorted(DATA_HUB)}, got {name!r}")
    url, sha1 = DATA_HUB[name]
    try:
        return _find(url, sha1, cache_dir, retry=strict)
    except (ImportError, OSError, ValueError) as error:
        reason = _reason(error)
        if strict or name not in BUNDLED:
            raise OSError(f"{name!r} could not be had: {reason}") from error
    _tell(
        f"Using the story bundled with d2lmini instead of {Path(url).name} ({reason}). For the "
        f"real text, put that file into a folder and set D2LMINI_DATA to the folder."
    )
    return str(BUNDLED[name])


def _find(url, sha1, cache_dir, retry):
    filename = url.rsplit("/", 1)[-1]
    folder = os.environ.get("D2LMINI_DATA")
    if folder:
        path = Path(folder) / filename
        if _has_hash(path, sha1):
            return str(path)
        fault = "another content than expected" if path.is_file() else "no such file"
        _tell(f"D2LMINI_DATA={folder}: {filename}: {fault}; looking elsewhere.")

    import pooch  # 0.1 s, and only needed from here on

    cache = Path(cache_dir) if cache_dir else pooch.os_cache("d2lmini")
    path = cache / filename
    if _has_hash(path, sha1):
        return str(path)
    if os.environ.get("D2LMINI_OFFLINE", "0") not in ("", "0"):
        raise OSError("D2LMINI_OFFLINE is set")
    if url in _unreachable and not retry:
        raise OSError(_unreachable[url])

    pooch.get_logger().setLevel("WARNING")
    try:
        return pooch.retrieve(
            url.replace("http://", "https://", 1),
            known_hash=f"sha1:{sha1}",
            fname=filename,
            path=cache,
            downloader=pooch.HTTPDownloader(
                timeout=TIMEOUT, progressbar=importlib.util.find_spec("tqdm") is not None
            ),
        )
    except BaseException as error:  # stopped by the student, too
        _unreachable[url] = _reason(error) or "the download was stopped"
        raise


def _reason(error):
    """An error in a few words; those of the network say the same at great length."""
    timeout = "no answer in time"
    short = {"ConnectionError": "no connection", "ConnectTimeout": timeout, "ReadTimeout": timeout}
    return short.get(type(error).__name__) or " ".join(str(error).split())[:200].strip()


def _has_hash(path, sha1):
    return path.is_file() and hashlib.sha1(path.read_bytes()).hexdigest() == sha1


def _tell(line):
    if line not in _told:
        _told.add(line)
        print(line)


# --- lines, tokens, indices -------------------------------------------------------------------


def read_time_machine(*, strict=False):
    """H. G. Wells' *The Time Machine* as a list of lines, reduced to a-z and single spaces.

    Where the book cannot be had, the bundled story stands in for it, and one printed line says
    so; `strict=True` raises OSError instead. 3,221 lines for the book, empty ones included.
    """
    with open(download("time_machine", strict=strict), encoding="utf-8") as file:
        return [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in file]


def tokenize(lines, token="word"):
    """Split every line into a list of words (`token="word"`) or of characters (`"char"`)."""
    if token == "word":
        return [line.split() for line in lines]
    if token == "char":
        return [list(line) for line in lines]
    raise ValueError(f'token must be "word" or "char", got {token!r}')


def count_corpus(tokens):
    """How often each token occurs: a `Counter`, for a list of tokens or a list of such lists.

    Raises TypeError for tokens that are neither strings nor tuples of them.
    """
    if hasattr(tokens, "tolist"):  # an array of strings
        tokens = tokens.tolist()
    if not isinstance(tokens, (str, list, tuple)):
        raise TypeError(f"tokens must be a list of tokens, got {type(tokens).__name__}")
    if len(tokens) == 0 or isinstance(tokens[0], list):
        tokens = [token for line in tokens for token in line]
    for token in tokens:
        if not isinstance(token, (str, tuple)):
            raise TypeError(f"tokens must be strings, got {token!r} among them")
    return collections.Counter(tokens)


class Vocab:
    """A two-way dictionary of tokens and indices: `<unk>` is 0, then reserved, then by frequency.

    tokens: a list of tokens, or a list of lists of them.
    min_freq: rarer tokens are left out, and looked up as `<unk>`.
    reserved_tokens: tokens to put right behind `<unk>`, such as `["<pad>", "<bos>"]`.
    """

    def __init__(self, tokens=None, min_freq=0, reserved_tokens=None):
        check_amount("min_freq", min_freq)
        if isinstance(reserved_tokens, str):
            raise ValueError(f"reserved_tokens must be a list of tokens, got {reserved_tokens!r}")
        counter = count_corpus(tokens if tokens is not None else [])
        self._token_freqs = counter.most_common()  # equal counts keep the order of appearance
        special = ["<unk>", *(reserved_tokens or [])]
        frequent = [token for token, freq in self._token_freqs if freq >= min_freq]
        self.idx_to_token = list(dict.fromkeys(special + frequent))
        self.token_to_idx = {token: idx for idx, token in enumerate(self.idx_to_token)}
        # Of the text, not of what min_freq leaves: the frequent words may be "i" and "a".
        self._characters_only = bool(counter) and all(
            isinstance(token, str) and len(token) == 1 for token in counter
        )

    def __len__(self):
        return len(self.idx_to_token)

    def __getitem__(self, tokens):
        """The index of a token, or a list of indices for a list or tuple of tokens."""
        if isinstance(tokens, list):
            return [self[token] for token in tokens]
        if isinstance(tokens, (str, tuple)):
            if tokens in self.token_to_idx:  # a tuple can be a token: a bigram is one
                return self.token_to_idx[tokens]
            if isinstance(tokens, tuple):
                return [self[token] for token in tokens]
            if self._characters_only and len(tokens) > 1:
                raise ValueError(
                    f"this vocabulary holds single characters, got {tokens!r}; "
                    f"write vocab[list({tokens!r})]"
                )
            return self.unk
        raise TypeError(
            f"Vocab[...] looks up tokens, got {type(tokens).__name__}; "
            f"for indices there is to_tokens()"
        )

    def to_tokens(self, indices):
        """The token of an index, or a list of tokens for a list, tuple, array or tensor."""
        if hasattr(indices, "tolist"):  # torch.Tensor, numpy.ndarray, numpy.int64
            indices = indices.tolist()
        if isinstance(indices, (list, tuple)):
            return [self.to_tokens(index) for index in indices]
        if isinstance(indices, bool) or not isinstance(indices, int):
            raise TypeError(f"indices must be integers, got {type(indices).__name__}")
        if not 0 <= indices < len(self):
            raise IndexError(f"index must be in 0..{len(self) - 1}, got {indices}")
        return self.idx_to_token[indices]

    @property
    def unk(self):
        """The index of `<unk>`, which stands for every unknown token: 0."""
        return 0

    @property
    def token_freqs(self):
        """Pairs (token, count), the most frequent first."""
        return self._token_freqs


def load_corpus_time_machine(max_tokens=-1):
    """The book as a list of character indices, and the vocabulary.

    max_tokens: keep only so many characters from the start; -1 keeps all. The vocabulary is
    always that of the whole text: 28 entries for the book.
    """
    tokens = tokenize(read_time_machine(), "char")
    vocab = Vocab(tokens)
    corpus = [vocab.token_to_idx[token] for line in tokens for token in line]
    return (corpus[:max_tokens] if max_tokens > 0 else corpus), vocab
