"""Where the text comes from, with a server of our own that can go wrong in every way."""

import hashlib
import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pooch
import pytest

import d2lmini as d2l

TEXT = b"The Time Machine, by H. G. Wells [1898]\n" * 400
SHA1 = hashlib.sha1(TEXT).hexdigest()
PAGE = b"<html><body>Please log in to the library's network.</body></html>"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers as `server.answer` says, and counts the requests."""

    def do_GET(self):
        server = self.server
        server.requests += 1
        if server.answer == "silent":
            server.closing.wait()
            return
        if server.answer == "together":
            server.barrier.wait()
        body = {"html": PAGE, "wrong": TEXT[:-1] + b"!"}.get(server.answer, TEXT)
        self.send_response(404 if server.answer == "404" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if server.answer == "half" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.answer, server.requests = "right", 0
    server.closing, server.barrier = threading.Event(), threading.Barrier(2)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.closing.set()
    server.shutdown()
    server.server_close()
    thread.join()


class PlainHTTP(pooch.HTTPDownloader):
    """Our server speaks no HTTPS, so the last step goes back to HTTP."""

    def __call__(self, url, *args, **kwargs):
        assert url.startswith("https://")  # what the package asks for, even for an http:// address
        assert 0 < self.kwargs["timeout"] <= 10  # seconds that a class can wait
        return super().__call__(url.replace("https://", "http://", 1), *args, **kwargs)


@pytest.fixture
def hub(clean_download, server, monkeypatch):
    """The module, its DATA_HUB pointing at our server, over plain HTTP."""
    address = f"http://127.0.0.1:{server.server_port}/timemachine.txt"
    monkeypatch.setitem(clean_download.DATA_HUB, "time_machine", (address, SHA1))
    monkeypatch.setattr(pooch, "HTTPDownloader", PlainHTTP)
    return clean_download


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "d2lmini"


def files(folder):
    return sorted(path.name for path in Path(folder).rglob("*")) if Path(folder).exists() else []


def put(path, content=TEXT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


STORY = str(Path(d2l.__file__).with_name("story.txt"))


# --- The order of the sources --------------------------------------------------------------------


def test_the_order_of_the_sources(hub, server, cache, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "data"
    monkeypatch.setenv("D2LMINI_DATA", str(folder))
    mine, cached = put(folder / "timemachine.txt"), cache / "timemachine.txt"
    put(cached)
    assert d2l.download("time_machine") == str(mine)  # 1. your folder
    assert capsys.readouterr().out == "" and server.requests == 0

    mine.unlink()
    assert d2l.download("time_machine") == str(cached)  # 2. the cache
    assert server.requests == 0
    told = capsys.readouterr().out
    assert told.count("\n") == 1 and f"D2LMINI_DATA={folder}" in told and "no such file" in told

    cached.unlink()
    assert d2l.download("time_machine") == str(cached)  # 3. a download, into the cache
    assert server.requests == 1 and cached.read_bytes() == TEXT
    assert d2l.download("time_machine") == str(cached) and server.requests == 1

    cached.unlink()
    server.answer = "404"
    assert d2l.download("time_machine") == STORY  # 4. the bundled story
    assert server.requests == 2


def test_a_download_shows_its_progress_on_stderr(hub, cache, capsys):
    d2l.download("time_machine")
    out, err = capsys.readouterr()
    assert out == "" and "100%" in err
    assert files(cache) == ["timemachine.txt"]


def test_a_folder_given_instead_of_the_cache(hub, cache, tmp_path):
    path = d2l.download("time_machine", str(tmp_path / "here"))
    assert path == str(tmp_path / "here" / "timemachine.txt") and not cache.exists()


@pytest.mark.parametrize("value, asked", [("1", 0), ("yes", 0), ("0", 1), ("", 1)])
def test_offline(hub, server, monkeypatch, capsys, value, asked):
    monkeypatch.setenv("D2LMINI_OFFLINE", value)
    path = d2l.download("time_machine")
    assert server.requests == asked and (path == STORY) is not bool(asked)
    if value == "1":
        (line,) = capsys.readouterr().out.splitlines()
        assert "D2LMINI_OFFLINE is set" in line and "set D2LMINI_DATA to the folder" in line
        with pytest.raises(OSError, match="D2LMINI_OFFLINE"):
            d2l.download("time_machine", strict=True)
        assert server.requests == 0


def test_offline_uses_the_cache(hub, cache, monkeypatch, capsys):
    monkeypatch.setenv("D2LMINI_OFFLINE", "1")
    path = put(cache / "timemachine.txt")
    assert d2l.download("time_machine") == str(path) and capsys.readouterr().out == ""


def test_names(hub, server, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="one of .*time_machine.*, got 'time machine'"):
        d2l.download("time machine")
    address = f"http://127.0.0.1:{server.server_port}/mine.txt"
    monkeypatch.setitem(d2l.DATA_HUB, "mine", (address, SHA1))  # as D2L's programs do
    assert Path(d2l.download("mine")).read_bytes() == TEXT
    monkeypatch.setitem(d2l.DATA_HUB, "bad", (address + "x", "0" * 40))
    with pytest.raises(OSError, match="'bad' could not be had"):  # no story stands in for it
        d2l.download("bad")


# --- Faults --------------------------------------------------------------------------------------


def refuse_connections(server, module, monkeypatch, cache):
    server.shutdown()
    server.server_close()


def answer_nothing(server, module, monkeypatch, cache):
    server.answer = "silent"
    monkeypatch.setattr(module, "TIMEOUT", 0.1)


def unwritable_cache(server, module, monkeypatch, cache):
    put(cache.parent, b"a file where the folder should be")


def read_only_cache(server, module, monkeypatch, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    if os.access(cache, os.W_OK):
        pytest.skip("this user may write everywhere")


def no_pooch(server, module, monkeypatch, cache):
    monkeypatch.setitem(sys.modules, "pooch", None)


def answer(kind):
    def fault(server, module, monkeypatch, cache):
        server.answer = kind

    fault.__name__ = f"answer_{kind}"
    return fault


FAULTS = [
    refuse_connections,
    answer_nothing,
    answer("wrong"),
    answer("half"),
    answer("html"),
    answer("404"),
    unwritable_cache,
    read_only_cache,
    no_pooch,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_ends_in_the_bundled_text_with_one_line(
    fault, hub, server, cache, monkeypatch, capsys
):
    fault(server, hub, monkeypatch, cache)
    for _ in range(3):  # nobody is told twice, or waits twice
        assert d2l.download("time_machine") == STORY
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Using the story bundled with d2lmini instead of timemachine.txt (")
    assert line.endswith("put that file into a folder and set D2LMINI_DATA to the folder.")
    assert len(line) < 500 and server.requests <= 1
    if cache.is_dir():
        assert files(cache) == []  # not even half a file under another name


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_is_an_error_where_the_caller_is_strict(
    fault, hub, server, cache, monkeypatch, capsys
):
    fault(server, hub, monkeypatch, cache)
    for read in (lambda: d2l.download("time_machine", strict=True),) * 2 + (
        lambda: d2l.read_time_machine(strict=True),
    ):
        with pytest.raises(OSError, match="'time_machine' could not be had: ."):
            read()
    assert "bundled" not in capsys.readouterr().out
    if cache.is_dir():
        assert files(cache) == []


def test_strict_tries_again(hub, server):
    server.answer = "404"
    assert d2l.download("time_machine") == STORY
    server.answer = "right"
    assert d2l.download("time_machine") == STORY  # a student does not wait again
    path = d2l.download("time_machine", strict=True)
    assert Path(path).read_bytes() == TEXT
    assert d2l.download("time_machine") == path


def test_an_interrupted_download_leaves_nothing(hub, server, cache, monkeypatch):
    def interrupt(self, url, output_file, *args, **kwargs):
        Path(output_file).write_bytes(TEXT[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(PlainHTTP, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        d2l.download("time_machine")
    assert files(cache) == []
    assert d2l.download("time_machine") == STORY  # who stopped it does not want to wait


@pytest.mark.parametrize("content", [b"", TEXT[:1000], PAGE])
def test_a_wrong_file_in_the_cache_is_replaced(hub, server, cache, content):
    path = put(cache / "timemachine.txt", content)
    assert d2l.download("time_machine") == str(path)
    assert path.read_bytes() == TEXT and files(cache) == ["timemachine.txt"]


def test_a_wrong_file_in_the_cache_is_never_used(hub, server, cache):
    put(cache / "timemachine.txt", TEXT[:1000])
    server.answer = "half"
    assert d2l.download("time_machine") == STORY


def test_a_wrong_file_in_the_folder_is_told_and_passed_over(hub, tmp_path, monkeypatch, capsys):
    wrong = put(tmp_path / "data" / "timemachine.txt", PAGE)
    monkeypatch.setenv("D2LMINI_DATA", str(wrong.parent))
    for _ in range(2):
        assert Path(d2l.download("time_machine")).read_bytes() == TEXT
    told = [line for line in capsys.readouterr().out.splitlines() if "D2LMINI_DATA" in line]
    assert len(told) == 1 and "another content" in told[0]
    assert wrong.read_bytes() == PAGE  # it is the user's own file


# --- Two at once, and real HTTPS -----------------------------------------------------------------

PROGRAM = """
import importlib, pathlib, sys, pooch
module = importlib.import_module("d2lmini.text")
address, sha1, cache, plain = sys.argv[1:]
if plain == "plain":
    class PlainHTTP(pooch.HTTPDownloader):
        def __call__(self, url, *args, **kwargs):
            return super().__call__(url.replace("https://", "http://", 1), *args, **kwargs)
    pooch.HTTPDownloader = PlainHTTP
module.DATA_HUB["time_machine"] = (address, sha1)
print(module.download("time_machine", cache))
"""


def start(server, cache, plain="plain", **environment):
    address = f"http://127.0.0.1:{server.server_port}/timemachine.txt"
    names = ("D2LMINI_DATA", "D2LMINI_OFFLINE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    keep = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, address, SHA1, str(cache), plain],
        env=keep | {"PYTHONPATH": str(Path(d2l.__file__).parents[1])} | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
def test_two_processes_at_once(server, cache):
    server.answer = "together"  # nobody gets an answer before both have asked
    processes = [start(server, cache) for _ in range(2)]
    outputs = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [lines[-1] for lines in outputs] == [str(cache / "timemachine.txt")] * 2
    assert server.requests == 2 and files(cache) == ["timemachine.txt"]
    assert (cache / "timemachine.txt").read_bytes() == TEXT


@pytest.mark.long
@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate")
def test_https_with_a_certificate(server, cache, tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)

    # The address says http://; only HTTPS gets an answer here. Nobody vouches for the first.
    doubtful = start(server, cache, "https")
    assert doubtful.communicate()[0].splitlines()[-1] == STORY and files(cache) == []
    trusted = start(server, cache, "https", REQUESTS_CA_BUNDLE=str(certificate))
    assert trusted.communicate()[0].splitlines()[-1] == str(cache / "timemachine.txt")
    assert (cache / "timemachine.txt").read_bytes() == TEXT
