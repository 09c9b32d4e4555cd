"""A run that goes on from its checkpoint is, bit for bit, the run that was never interrupted."""

import os
import pickle
import random
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import d2lmini as d2l
from d2lmini import by_hand, cells, checkpoint

TEXT = "the time traveller for so it will be convenient to speak of him was expounding " * 4


@pytest.fixture(autouse=True)
def save_every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoint, "SAVE_EVERY", 0)


def scratch(vocab_size):
    return d2l.RNNModelScratch(vocab_size, 6, "cpu", *cells.network(cells.gru))


def by_hand_lstm(vocab_size):
    functions = cells.network(cells.lstm, unroll=by_hand.unroll)
    return d2l.RNNModelScratch(vocab_size, 6, "cpu", *functions, one_hot=False)


def concise(kind, **options):
    return lambda vocab_size: d2l.RNNModel(kind(vocab_size, 6, **options), vocab_size)


RUNS = {  # network, learning rate, what else is passed on
    "from scratch": (scratch, 1, {}),
    "concise": (concise(nn.RNN), 1, {"seed": 3}),
    "by hand": (by_hand_lstm, 0.1, {"optimizer": torch.optim.Adam}),
    "scheduled": (scratch, 0.1, {"optimizer": torch.optim.Adam, "schedule": lambda done: 1 - done}),
    "a rate that falls": (scratch, 1, {"schedule": lambda done: 1 - done}),
    "momentum": (scratch, 0.1, {"optimizer": lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9)}),
    "RMSprop": (scratch, 0.01, {"optimizer": torch.optim.RMSprop}),
    "AdamW": (concise(nn.GRU), 0.01, {"optimizer": torch.optim.AdamW}),
    "Adagrad": (scratch, 0.1, {"optimizer": torch.optim.Adagrad}),
    "dropout": (concise(nn.LSTM, num_layers=2, dropout=0.5), 1, {}),
    "unrelated batches": (scratch, 1, {"use_random_iter": True}),
}
NUM_EPOCHS = 6


def start(name, path=None, num_epochs=NUM_EPOCHS, **changes):
    """The network and the generator of a run; its own random numbers, whatever went before."""
    make, lr, options = RUNS[name]
    options = options | changes
    unrelated = options.get("use_random_iter", False)
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7, unrelated)
    val_iter, _ = d2l.load_data_text(TEXT, 2, 7, start=50)
    net = make(len(vocab))
    options = {"lr": lr, "val_iter": val_iter, "checkpoint": path, **options}
    return net, d2l.fit(net, train_iter, vocab, options.pop("lr"), num_epochs, "cpu", **options)


def state_of(net, history):
    """All that must be the same: weights, history without its clock, random state."""
    tensors = [tensor.detach().clone() for tensor in checkpoint.weights(net).values()]
    curves = history.epochs, history.train, history.val, history.samples, history.perplexity
    return tensors, [list(part) if isinstance(part, list) else part for part in curves]


def assert_same(found, expected):
    assert found[1] == expected[1]
    for ours, theirs in zip(found[0], expected[0], strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("name", RUNS)
def test_a_broken_run_ends_as_the_unbroken_one(name, tmp_path):
    torch.manual_seed(7)
    net, run = start(name)
    *_, history = run
    expected, numbers = state_of(net, history), torch.rand(3)

    torch.manual_seed(7)
    for stop in (1, 3, 4, None):  # a stop after so many epochs, each time in a "new process"
        net, run = start(name, tmp_path / "run.pt")
        for history in run:
            if history.epoch == stop:
                run.close()
                torch.manual_seed(999)  # unrelated use of the random numbers
                torch.rand(5)
                break
    assert_same(state_of(net, history), expected)
    assert torch.rand(3).equal(numbers)
    torch.manual_seed(5)
    net, run = start(name, tmp_path / "run.pt")  # it is finished: nothing is trained again
    (history,) = run
    assert_same(state_of(net, history), expected)
    assert os.listdir(tmp_path) == ["run.pt"]


KILLED = """
import sys, torch
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_checkpoint import start, state_of
from d2lmini import checkpoint
checkpoint.SAVE_EVERY = 0
torch.set_num_threads(1)  # as in the process of the tests: with two, the last digits differ
torch.manual_seed(7)
net, run = start(sys.argv[2], sys.argv[3], 60)
print("ready", flush=True)
*_, history = run
torch.save(state_of(net, history), sys.argv[4])
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["scheduled", "dropout"])
def test_killed_at_random_moments(name, tmp_path):
    torch.manual_seed(7)
    net, run = start(name, None, 60)
    *_, history = run
    expected = state_of(net, history)
    path, result = tmp_path / "run.pt", tmp_path / "result.pt"
    folder = os.path.dirname(__file__)
    command = [sys.executable, "-c", KILLED, folder, name, str(path), str(result)]
    moments, killed = random.Random(0), 0
    while not result.exists():
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ready\n"
            if killed < 4:
                time.sleep(moments.uniform(0, 0.3))
                process.kill()
                killed += process.wait() != 0
            else:
                assert process.wait() == 0
    assert killed > 0
    assert_same(torch.load(result, weights_only=True), expected)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def written(path):
    """A checkpoint in the middle of a run."""
    torch.manual_seed(7)
    _, run = start("scheduled", path)
    next(run)
    run.close()
    return path.read_bytes()


def test_what_is_no_whole_checkpoint_is_refused(tmp_path):
    path, proof = tmp_path / "run.pt", tmp_path / "proof"
    whole = written(path)
    faults = {"empty": b"", "text": b"hello", "foreign pickle": pickle.dumps(Evil(proof))}
    faults |= {f"first {n} bytes": whole[:n] for n in (1, 100, len(whole) // 2, len(whole) - 1)}
    end = len(whole) - 200  # where the archive lists its contents: there, every byte
    for k in [*random.Random(0).sample(range(end), 60), *range(end, len(whole))]:
        faults[f"byte {k}"] = whole[:k] + bytes([whole[k] ^ 64]) + whole[k + 1 :]
    torch.save(Evil(proof), path)
    faults["code"] = path.read_bytes()
    torch.save({"format": checkpoint.FORMAT, "settings": Evil(proof)}, path)
    faults["code inside"] = path.read_bytes()
    torch.save(nn.Linear(2, 2).state_dict(), path)
    faults["weights of something else"] = path.read_bytes()
    harmless = 0
    for name, content in faults.items():
        path.write_bytes(content)
        net, run = start("scheduled", path)
        before = [param.detach().clone() for param in net.params]
        try:
            history = next(run)
        except ValueError as error:
            assert f"checkpoint {path} is not a whole checkpoint" in str(error), name
            assert all(a.equal(b) for a, b in zip(net.params, before)), name
            assert path.read_bytes() == content, name  # not touched
        else:  # a byte of the archive that nobody reads
            assert name.startswith("byte") and history.epoch == 1, name
            harmless += int(name.split()[1]) < end
        run.close()
    assert harmless < 20 and not proof.exists()


def test_of_another_version_and_of_another_run(tmp_path):
    path = tmp_path / "run.pt"
    written(path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"format": "d2lmini checkpoint, version 0"}, path)
    with pytest.raises(ValueError, match="must be a d2lmini checkpoint, version 2, got d2lmini"):
        next(start("scheduled", path)[1])
    torch.save(content, path)
    others = {
        "lr was 0.1 and is now 0.2": {"lr": 0.2},
        "num_epochs was 6 and is now 7": {"num_epochs": 7},
        "seed was None and is now 1": {"seed": 1},
        "the schedule's check sum was [0-9]+ and is now None": {"schedule": None},
        "the schedule's check sum was [0-9]+ and is now [0-9]+": {
            "schedule": lambda done: (1 + np.cos(np.pi * done)) / 2  # the same at 0 and a half
        },
        "the validation text was TextLoader with .* and is now None": {"val_iter": None},
        "the optimizer was Adam .* and is now RMSprop .*": {"optimizer": torch.optim.RMSprop},
        "the optimizer was Adam .*0.999.* and is now Adam .*0.99.*": {
            "optimizer": lambda params, lr: torch.optim.Adam(params, lr, betas=(0.9, 0.99))
        },
    }
    for message, changes in others.items():
        with pytest.raises(ValueError, match=f"is of another run: {message}; choose another"):
            next(start("scheduled", path, **changes)[1])
    with pytest.raises(ValueError, match="the network was RNNModelScratch  with 0 torch.float32"):
        next(start("by hand", path, schedule=lambda done: 1 - done)[1])
    train_iter, vocab = d2l.load_data_text(TEXT.replace("time", "tome"), 2, 7)
    with pytest.raises(ValueError, match="the text was TextLoader with batch_size=2, .*, check"):
        options = {"val_iter": train_iter, "checkpoint": path, **RUNS["scheduled"][2]}
        next(d2l.fit(scratch(len(vocab)), train_iter, vocab, 0.1, 6, "cpu", **options))


def test_numbers_of_numpy(tmp_path):
    train_iter, vocab = d2l.load_data_text(TEXT, np.int64(2), np.int32(7))
    arguments = np.float32(0.5), np.int64(3)
    for epochs in (1, 3):
        torch.manual_seed(0)
        options = {"seed": np.int64(1), "checkpoint": tmp_path / "run.pt"}
        options["schedule"] = lambda done: np.cos(done)
        options["optimizer"] = torch.optim.Adam
        run = d2l.fit(scratch(len(vocab)), train_iter, vocab, *arguments, **options)
        history = [next(run) for _ in range(epochs)][-1]
        run.close()
    assert history.epoch == 3


@pytest.mark.parametrize("path", [True, 1, b"run.pt"])
def test_what_is_no_path(path):
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, got"):
        next(start("scheduled", path)[1])
    print("standard output is still open")


def test_an_interrupt_leaves_curves_of_equal_length():
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)

    class Broken:
        batch_size = 2
        count = 0

        def __iter__(self):
            self.count += 1
            if self.count == 3:
                raise KeyboardInterrupt
            return iter(train_iter)

    net = scratch(len(vocab))
    history = d2l.train_ch8(net, train_iter, vocab, 1, 5, "cpu", val_iter=Broken())
    assert history.epoch == 2
    curves = (history.epochs, history.seconds, history.train, history.val, history.samples)
    assert [len(curve) for curve in curves] == [2] * 5


def test_it_is_an_ordinary_file_of_torch(tmp_path):
    written(tmp_path / "run.pt")
    content = torch.load(tmp_path / "run.pt", weights_only=True)
    assert content["history"]["epoch"] == 1 and zipfile.is_zipfile(tmp_path / "run.pt")


def test_where_nothing_can_be_written(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):  # before anything is trained
        next(start("scheduled", tmp_path / "no folder" / "run.pt")[1])
    with pytest.raises(IsADirectoryError):
        next(start("scheduled", tmp_path)[1])
    path = tmp_path / "run.pt"
    _, run = start("scheduled", path)
    next(run)
    good = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_whole", full)
    with pytest.warns(UserWarning, match="was not written.*No space left"):
        *_, history = run
    assert history.epoch == NUM_EPOCHS and path.read_bytes() == good


def test_train_ch8_goes_on_and_draws_the_whole_curve(tmp_path, capsys):
    seen = []

    def stop_at_three(history):
        seen.append(history.epoch)
        if history.epoch == 3:
            raise KeyboardInterrupt

    def train(callback=None):
        torch.manual_seed(7)
        train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)
        net = scratch(len(vocab))
        return net, d2l.train_ch8(
            net, train_iter, vocab, 1, 5, "cpu", callback=callback, checkpoint=tmp_path / "run.pt"
        )

    net, history = train(stop_at_three)
    assert history.epoch == 3 == len(history.train) and seen == [1, 2, 3]
    assert "Interrupted after epoch 3 of 5." in capsys.readouterr().out
    trained, history = train(lambda history: seen.append(history.epoch))
    assert seen == [1, 2, 3, 3, 4, 5] and history.epochs == [1, 2, 3, 4, 5]
    assert not trained.params[0].equal(net.params[0])


def test_an_interrupted_run_leaves_nothing_to_the_next():
    train_iter, vocab = d2l.load_data_text(TEXT, 2, 7)
    torch.manual_seed(0)
    net = scratch(len(vocab))

    def interrupt(perplexity, num_tokens):
        net.params[0].grad = torch.ones_like(net.params[0])  # as between backward and the update
        raise KeyboardInterrupt

    weights = [param.detach().clone() for param in net.params]
    with pytest.raises(KeyboardInterrupt):
        next(d2l.fit(net, train_iter, vocab, 1, 5, "cpu", watch=interrupt))
    for param, old in zip(net.params, weights):
        param.data.copy_(old)
    *_, history = d2l.fit(net, train_iter, vocab, 1, 5, "cpu", seed=1)
    torch.manual_seed(0)
    fresh = scratch(len(vocab))
    *_, expected = d2l.fit(fresh, train_iter, vocab, 1, 5, "cpu", seed=1)
    assert history.train == expected.train
