"""Where a text comes from: your folder, the cache, D2L's data hub, or the bundled story.

The order is fixed. The folder named by the environment variable `D2LMINI_DATA` comes first, then
the cache in your home folder, then a download, and where none of them has the file, the story
that lies beside this module. `D2LMINI_OFFLINE=1` never tries a download.
"""

import hashlib
import importlib.util
import os
from pathlib import Path

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
