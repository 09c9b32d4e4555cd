"""`try_it` without a browser: its sliders and its button are moved by the tests."""

import random
import re
import sys
import threading
import time

import pytest
import torch
from small_nets import small_data
from torch import nn

import d2lmini as d2l
from d2lmini import widgets
from d2lmini.curves import COLOURS, Run, draw, report

pytest.importorskip("ipywidgets")


@pytest.fixture(autouse=True)
def nothing_left():
    before = threading.active_count()
    yield
    widgets.stop_running()
    assert threading.active_count() == before


def until(condition):
    """Wait as long as a slow machine may take; a failure, never a verdict on speed."""
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited two minutes in vain"
        time.sleep(0.005)


class Driver:
    """The widget's parts, as a reader finds them from top to bottom."""

    def __init__(self, box):
        self.box = box
        self.hidden, self.rate, row, self.screen = box.children
        self.button, self.progress, self.note = row.children

    @property
    def state(self):
        return self.data("state")

    def data(self, name):
        found = re.search(rf" data-{name}='([^']*)'", self.screen.value)
        return found and found[1]

    @property
    def label(self):
        return re.search("aria-label='([^']*)'", self.screen.value)[1]

    @property
    def curves(self):
        """The paths of all train curves, the newest last."""
        return re.findall("<path d='(M[^']*L[^']*)' fill='none' />", self.screen.value)

    def finish(self):
        until(lambda: self.state != "training" and self.button.description == "Train")

    def train(self):
        self.button.click()
        self.finish()


TRAIN, VOCAB = small_data()


def make_net(num_hiddens):
    return d2l.RNNModel(nn.RNN(len(VOCAB), num_hiddens), len(VOCAB))


def tried(make_net=make_net, train_iter=TRAIN, vocab=VOCAB, **kwargs):
    return Driver(d2l.try_it(make_net, train_iter, vocab, **{"num_epochs": 4, **kwargs}))


LONG = {"num_epochs": 1_000_000}  # a run that ends only when it is stopped


def test_nothing_runs_before_train_is_pressed():
    t = tried()
    t.hidden.value, t.rate.value = 128, 0.5
    assert t.state == "idle" and t.note.value == "Press Train to start"
    assert "no run yet" in t.label and t.curves == []


def test_the_repr_is_short_and_always_the_same():
    first = tried()
    before = repr(first.box)
    first.train()
    assert repr(first.box) == before == repr(tried(num_hiddens=32).box)
    assert "run this cell" in before and len(before) < 110  # ipywidgets cuts off what is longer


def test_a_run_from_start_to_end():
    t = tried(val_iter=TRAIN)
    t.train()
    assert (t.state, t.data("hidden"), t.data("lr"), t.data("points")) == (
        "finished", "64", "1", "4",
    )  # fmt: skip
    assert t.progress.value == 4 and t.note.value == "finished 4 epochs"
    assert "64 hidden, lr 1" in t.label and "validation" in t.label
    assert "tokens per second" in t.screen.value and "time traveller" in t.screen.value
    assert "stroke-dasharray='6 4'" in t.screen.value


def test_a_run_equals_the_same_training_in_a_cell():
    val_iter, _ = small_data(text="thursday and a long story came back. " * 4)
    nets = []

    def remembered(num_hiddens):
        nets.append(make_net(num_hiddens))
        return nets[-1]

    t = tried(remembered, val_iter=val_iter, seed=3, num_hiddens=16)
    t.train()
    torch.manual_seed(3)
    nets.append(make_net(16))
    *_, history = d2l.fit(nets[1], TRAIN, VOCAB, 1.0, 4, val_iter=val_iter)
    for ours, theirs in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(ours, theirs)
    assert f"train {history.train[-1]:.1f}, validation {history.val[-1]:.1f}" in t.label


def test_the_same_settings_give_the_same_curve_and_replace_it():
    t = tried(num_epochs=6)
    t.train()
    curve = t.curves[-1]
    torch.rand(5)
    t.train()
    assert t.curves == [curve]


def test_a_run_leaves_the_random_generator_of_other_cells_alone():
    def with_every_draw(num_hiddens):
        net = make_net(num_hiddens)
        nn.init.xavier_normal_(net.linear.weight)
        net.linear.weight.data += 0.01 * torch.randn(net.linear.weight.shape)
        net.linear.bias.data.uniform_(-0.1, 0.1)
        return net

    random_iter, vocab = small_data(use_random_iter=True)
    t = tried(with_every_draw, random_iter, vocab, val_iter=TRAIN, **LONG)
    torch.manual_seed(5)
    expected = torch.rand(200)
    torch.manual_seed(5)
    t.button.click()
    drawn = []
    for _ in range(200):
        drawn.append(torch.rand(1))
        time.sleep(0.001)
    until(lambda: t.progress.value > 2)
    t.button.click()
    assert torch.equal(torch.cat(drawn), expected)


def test_stop_ends_the_run_in_the_middle_of_an_epoch():
    in_epoch = threading.Event()

    class Endless:
        def __iter__(self):
            while True:
                yield from TRAIN
                in_epoch.set()

    t = tried(train_iter=Endless(), val_iter=TRAIN)
    t.button.click()
    assert t.state == "training" and t.button.description == "Stop"
    until(in_epoch.is_set)
    t.button.click()
    assert t.state == "stopped" and t.button.description == "Train"
    assert t.note.value == "stopped"


def test_a_slider_restarts_the_run_with_the_new_setting():
    t = tried(**LONG)
    t.button.click()
    until(lambda: t.progress.value > 0)
    t.hidden.value = 16
    assert (t.state, t.data("hidden"), t.data("runs")) == ("training", "16", "1")
    t.rate.value = 10**-0.3
    assert (t.state, t.data("hidden"), t.data("lr")) == ("training", "16", "0.5")
    until(lambda: t.progress.value > 0)
    t.button.click()
    assert t.state == "stopped"
    t.hidden.value = 32  # Train was pressed before: sliders stay alive
    assert t.state == "training"


def test_only_one_run_trains_in_fifty_random_events():
    training, most = set(), []

    class Watched:
        """The batches, and a record of the threads that are in the middle of them."""

        def __iter__(self):
            training.add(threading.current_thread())
            most.append(len(training))
            try:
                yield from TRAIN
            finally:
                training.discard(threading.current_thread())

    one, two = (tried(train_iter=Watched(), **LONG) for _ in range(2))
    dice = random.Random(0)
    threads_before = threading.active_count()
    for _ in range(50):
        t = dice.choice((one, two))
        event = dice.choice(("size", "rate", "button", "wait", "new"))
        if event == "size":
            t.hidden.value = dice.choice(t.hidden.options)
        elif event == "rate":
            t.rate.value = 10 ** dice.uniform(-2, 1)
        elif event == "button":
            t.button.click()
        elif event == "wait":
            time.sleep(0.02)
        else:
            two = tried(train_iter=Watched(), **LONG)
        assert threading.active_count() - threads_before <= 1
        assert not (one.state == two.state == "training")
        for t in (one, two):
            assert (t.button.description == "Stop") == (t.state == "training")
    widgets.stop_running()
    one.button.click()
    two.button.click()
    assert (one.state, two.state) == ("stopped", "training")
    widgets.stop_running()
    assert two.state == "stopped" and max(most) == 1 and not training
    assert threading.active_count() == threads_before


def test_running_the_cell_again_stops_the_old_run():
    old = tried(**LONG)
    old.button.click()
    new = tried(**LONG)
    assert old.state == "stopped" and new.state == "idle"


def test_closing_the_widget_stops_its_run_and_no_other():
    one, two = tried(**LONG), tried(**LONG)
    one.button.click()
    two.box.close()
    assert one.state == "training"
    one.box.close()
    assert one.state == "stopped"


def test_a_failing_make_net_is_shown_and_the_next_run_works():
    def fragile(num_hiddens):
        if num_hiddens > 64:
            raise MemoryError("no room for <b>that</b>")
        return make_net(num_hiddens)

    t = tried(fragile, num_hiddens=128)
    t.train()
    assert t.state == "failed" and t.note.value == "failed"
    assert "MemoryError: no room for &lt;b&gt;that&lt;/b&gt;" in t.screen.value
    assert "in fragile" in t.screen.value  # the traceback
    t.hidden.value = 64
    t.finish()
    assert t.state == "finished" and t.data("runs") == "1"


def test_what_fails_in_training_is_shown():
    class Broken:
        def __iter__(self):
            yield from TRAIN
            raise SystemExit("the disk is gone")

    t = tried(train_iter=Broken())
    t.train()
    assert "SystemExit: the disk is gone" in t.screen.value
    t = tried(train_iter=iter(list(TRAIN)))  # can be looped over only once
    t.train()
    assert "a generator cannot" in t.screen.value


def test_sampled_text_is_escaped():
    text = "<script>alert('1')</script> & " * 12
    train_iter, vocab = small_data(text=text)
    net = nn.RNN(len(vocab), 8)
    t = tried(lambda n: d2l.RNNModel(net, len(vocab)), train_iter, vocab, num_epochs=30)
    t.train()
    written = re.search("<q [^>]*>(.*)</q>", t.screen.value)[1]
    assert "&lt;" in written or "&#x27;" in written or "&amp;" in written
    assert not re.search("[<>']", written)


def test_a_diverged_run_is_named():
    t = tried(lambda n: blown_up(make_net(n)))
    t.train()
    assert t.state == "diverged" and t.data("points") == "1"
    assert "This run diverged at epoch 1." in t.screen.value and "diverged" in t.label
    assert "nan" not in t.screen.value and "inf" not in t.screen.value


def blown_up(net):
    with torch.no_grad():
        net.linear.weight.fill_(float("nan"))
    return net


def test_a_run_that_ends_worse_than_a_guess_is_named():
    run = Run(64, 9.0, 4)
    run.history.perplexity, run.history.epoch, run.state = 300.0, 4, "finished"
    assert "Worse than a uniform guess" in report(run, 28)
    run.history.perplexity = 27.0
    assert "guess" not in report(run, 28)


def test_four_earlier_runs_are_kept_and_keep_their_looks():
    t = tried(num_epochs=2)
    t.train()
    for size in (8, 16, 32, 128, 256):
        t.hidden.value = size
        t.finish()
    assert t.data("runs") == "5"
    found = re.findall(r">(\d+ hidden, lr 1)</text>", t.screen.value)
    assert found == [f"{size} hidden, lr 1" for size in (256, 128, 32, 16, 8)]
    for colour in COLOURS:
        assert f"<g stroke='{colour}' stroke-linejoin" in t.screen.value


def test_a_run_that_hardly_began_is_not_kept():
    t = tried(**LONG)
    t.button.click()
    for size in (8, 16, 32):
        t.hidden.value = size
    assert t.data("runs") == "1"


@pytest.mark.parametrize(("num_hiddens", "lr"), [(100, 0.005), (1000, 30.0), (1, 0.00123)])
def test_the_sliders_include_what_they_start_with(num_hiddens, lr):
    t = tried(num_hiddens=num_hiddens, lr=lr, num_epochs=1)
    assert t.hidden.value == num_hiddens and {8, 512, num_hiddens} <= set(t.hidden.options)
    assert t.rate.value == lr and t.rate.base**t.rate.min < lr < t.rate.base**t.rate.max
    t.train()
    assert (t.data("hidden"), t.data("lr")) == (str(num_hiddens), f"{lr:g}")


def test_optimizer_and_schedule_are_used():
    rates = []

    def optimizer(params, lr):
        rates.append(lr)
        return torch.optim.SGD(params, lr=lr)

    t = tried(optimizer=optimizer, schedule=lambda done: rates.append(done) or 1.0, lr=0.5)
    t.train()
    assert rates == [0.5, 0.0, 0.25, 0.5, 0.75]


def test_ten_pictures_a_second_at_the_most(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(widgets.time, "monotonic", lambda: now[0])
    t = tried(num_epochs=40)
    painted = []
    t.screen.observe(lambda change: painted.append(t.progress.value), "value")
    t.button.click()
    widgets._running.thread.join()
    assert painted == [0, 1, 40]  # the clock stands still: start, first point, end


def test_any_number_can_be_drawn():
    for vocab_size in (2, 28, 50_000):
        for values in ([1.0], [float("nan")], [float("inf"), 1e300], [3.0, 1e5, 0.5]):
            run = Run(8, 1e-9, 1000, state="diverged")
            run.history.train = run.history.val = values
            run.history.epochs = list(range(1, len(values) + 1))
            run.history.perplexity, run.history.epoch = values[-1], len(values)
            picture = draw([run, Run(8, 1.0, 1000)], 1000, vocab_size)
            numbers = [float(n) for n in re.findall(r" [xy][12]?='([^']*)'", picture)]
            numbers += [float(n) for n in re.findall(r"[ML]([\d.]+),", picture)]
            assert all(0 <= n <= 700 for n in numbers) and "nan" not in picture


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"make_net": make_net(8)}, "make_net must be a function"),
        ({"num_hiddens": 0}, "num_hiddens must be"),
        ({"num_hiddens": 8.0}, "num_hiddens must be"),
        ({"num_epochs": 0}, "num_epochs must be"),
        ({"lr": 0}, "lr must be"),
        ({"lr": float("nan")}, "lr must be"),
        ({"optimizer": torch.optim.SGD(make_net(8).parameters(), 1.0)}, "optimizer must be"),
    ],
)
def test_settings_that_no_run_could_use_are_refused_at_once(change, message):
    with pytest.raises(ValueError, match=message):
        tried(**change)


def test_without_ipywidgets_one_sentence_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match="pip install ipywidgets"):
        tried()
