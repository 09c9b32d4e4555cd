"""`try_it` without a browser: its sliders, menus and buttons are moved by the tests."""

import csv
import gc
import random
import re
import subprocess
import sys
import threading
import time
import weakref

import pytest
import torch
from small_nets import small_data
from torch import nn

import d2lmini as d2l
from d2lmini.tasks import HiddenLetters

pytest.importorskip("ipywidgets")

from d2lmini.sliders import background, panel  # noqa: E402
from d2lmini.sliders.picture import COLOURS, draw_measured, draw_perplexity  # noqa: E402
from d2lmini.sliders.run import Run  # noqa: E402
from d2lmini.sliders.words import advice  # noqa: E402


@pytest.fixture(autouse=True)
def nothing_left():
    before = threading.active_count()
    yield
    background.stop(timeout=120)
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
        self.hidden, self.rate, menus, line, pictures, self.list, kept = box.children
        self.menus = {menu.description: menu for menu in menus.children}
        self.button, self.progress, self.note, self.over = line.children
        self.screen, *self.second = pictures.children
        self.save, self.saved = kept.children

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
    def rows(self):
        """The runs in words, as they are listed below the picture."""
        return [row.children[1].value for row in self.list.children]

    @property
    def text(self):
        return self.screen.value + "".join(self.rows)

    @property
    def settings(self):
        return [re.search("<b>(.*?)</b>", row)[1] for row in self.rows]

    @property
    def curves(self):
        """The paths of all train curves, the newest last."""
        return re.findall("<path d='(M[^']*L[^']*)' fill='none' />", self.screen.value)

    def remove(self, index):
        self.list.children[index].children[0].click()

    def finish(self):
        until(lambda: self.button.description == "Train")

    def train(self):
        self.button.click()
        self.finish()


TRAIN, VOCAB = small_data()


def make_net(num_hiddens):
    return d2l.RNNModel(nn.RNN(len(VOCAB), num_hiddens), len(VOCAB))


def tried(make_net=make_net, train_iter=TRAIN, vocab=VOCAB, **kwargs):
    return Driver(d2l.try_it(make_net, train_iter, vocab, **{"num_epochs": 4, **kwargs}))


LONG = {"num_epochs": 1_000_000}  # a run that ends only when it is stopped


def test_nothing_runs_before_it_is_asked_for():
    t = tried()
    assert t.state == "idle" and t.note.value == "Move a slider or press Train"
    assert "no run yet" in t.label and t.curves == []


@pytest.mark.parametrize(("slider", "value"), [("hidden", 128), ("rate", 0.5)])
def test_the_first_move_of_a_slider_trains(slider, value):
    t = tried()
    getattr(t, slider).value = value
    assert t.state == "training" and t.button.description == "Stop"
    t.finish()
    assert t.state == "finished" and t.settings == [
        "128 hidden, lr 1" if slider == "hidden" else "64 hidden, lr 0.5"
    ]


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
        "finished", "64", "1", "5",
    )  # fmt: skip  # four epochs, and the first batch, where the curve begins
    assert t.progress.value == 4 and t.note.value == "finished 4 epochs"
    assert "64 hidden, lr 1" in t.label and "validation" in t.label
    assert "tokens/s" in t.rows[0] and "time traveller" in t.rows[0]
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


@pytest.mark.parametrize("use_random_iter", [False, True])
def test_the_curve_is_the_same_while_another_cell_draws_random_numbers(use_random_iter):
    train_iter, vocab = small_data(use_random_iter=use_random_iter)
    t = tried(train_iter=HiddenLetters(train_iter), val_iter=train_iter, num_epochs=6)
    t.train()
    (quiet,) = t.box.runs
    t.button.click()
    while t.state == "training":
        torch.manual_seed(7)
        torch.rand(5)
        time.sleep(0.001)
    (disturbed,) = t.box.runs
    assert disturbed is not quiet
    assert disturbed.history.train == quiet.history.train
    assert disturbed.history.val == quiet.history.val


def test_a_run_leaves_the_random_generator_of_other_cells_alone():
    def with_every_draw(num_hiddens):
        net = make_net(num_hiddens)
        nn.init.xavier_normal_(net.linear.weight)
        net.linear.weight.data += 0.01 * torch.randn(net.linear.weight.shape)
        net.linear.weight.data += 0.01 * torch.randn_like(net.linear.weight)
        net.linear.weight.data += 0.01 * torch.rand_like(net.linear.weight)
        net.linear.bias.data.uniform_(-0.1, 0.1)
        net.linear.bias.data += 0.01 * torch.empty_like(net.linear.bias).log_normal_()
        return net

    def slow(net):
        time.sleep(0.1)
        return [1, 2], [1, 1]

    measure = {"function": slow, "xlabel": "x", "ylabel": "y", "yscale": "linear"}
    random_iter, vocab = small_data(use_random_iter=True)
    t = tried(with_every_draw, random_iter, vocab, val_iter=TRAIN, measure=measure, **LONG)
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
    t.finish()
    assert t.state == "stopped" and t.note.value == "stopped"


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
    t.finish()
    assert t.state == "stopped"
    t.hidden.value = 32
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
    background.stop(timeout=120)
    one.button.click()
    two.button.click()
    until(lambda: (one.state, two.state) == ("stopped", "training"))
    background.stop(timeout=120)
    assert two.state == "stopped" and max(most) == 1 and not training
    assert [t.button.description for t in (one, two)] == ["Train", "Train"]
    assert threading.active_count() == threads_before


def test_running_the_cell_again_stops_the_old_run():
    old = tried(**LONG)
    old.button.click()
    new = tried(**LONG)
    old.finish()
    assert old.state == "stopped" and new.state == "idle"


def test_closing_the_widget_stops_its_run_and_no_other():
    one, two = tried(**LONG), tried(**LONG)
    one.button.click()
    two.box.close()
    assert one.state == "training"
    one.box.close()
    until(lambda: one.state == "stopped")


def test_a_failing_make_net_is_shown_and_the_next_run_works():
    def fragile(num_hiddens):
        if num_hiddens > 64:
            raise MemoryError("no room for <b>that</b>")
        return make_net(num_hiddens)

    t = tried(fragile, num_hiddens=128)
    t.train()
    assert t.state == "failed" and t.note.value == "failed"
    assert "MemoryError: no room for &lt;b&gt;that&lt;/b&gt;" in t.rows[0]
    assert "in fragile" in t.rows[0]  # the traceback
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
    assert "SystemExit: the disk is gone" in t.rows[0]
    t = tried(train_iter=iter(list(TRAIN)))  # can be looped over only once
    t.train()
    assert "a generator cannot" in t.rows[0]


def test_sampled_text_is_escaped():
    text = "<script>alert('1')</script> & " * 12
    train_iter, vocab = small_data(text=text)
    net = nn.RNN(len(vocab), 8)
    t = tried(lambda n: d2l.RNNModel(net, len(vocab)), train_iter, vocab, num_epochs=30)
    t.train()
    written = re.search("<q [^>]*>(.*)</q>", t.rows[0])[1]
    assert "&lt;" in written or "&#x27;" in written or "&amp;" in written
    assert not re.search("[<>']", written)


def test_a_diverged_run_is_named():
    t = tried(lambda n: blown_up(make_net(n)))
    t.train()
    assert t.state == "diverged"
    assert "This run diverged at epoch 1." in t.rows[0] and "diverged" in t.label
    assert "nan" not in t.text and "inf" not in t.text


def blown_up(net):
    with torch.no_grad():
        net.linear.weight.fill_(float("nan"))
    return net


def test_a_run_that_ends_worse_than_a_guess_is_named():
    run = Run(64, 9.0, 4)
    run.history.perplexity, run.history.epoch, run.state = 300.0, 4, "finished"
    assert "Worse than a uniform guess" in advice(run, 28)
    run.history.perplexity = 27.0
    assert not advice(run, 28)


def test_seven_earlier_runs_are_kept_and_keep_their_looks():
    t = tried(num_epochs=2, num_hiddens=4)
    t.train()
    sizes = (8, 16, 32, 64, 128, 256, 8, 512)
    for size in sizes:
        t.hidden.value = size
        t.finish()
    assert t.data("runs") == "8"
    order = (512, 8, 256, 128, 64, 32, 16, 4)  # the second run of 8 has replaced the first
    assert t.settings == [f"{size} hidden, lr 1" for size in order]
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
    monkeypatch.setattr(panel.time, "monotonic", lambda: now[0])
    t = tried(num_epochs=40)
    painted = []
    t.screen.observe(lambda change: painted.append(t.progress.value), "value")
    t.button.click()
    t.finish()
    # The clock stands still: start and first batch (which may coincide), and the end.
    assert len(painted) <= 3 and painted[-1] == 40 and max(painted[:-1]) < 1


def test_any_number_can_be_drawn():
    for vocab_size in (2, 28, 50_000):
        for values in ([1.0], [float("nan")], [float("inf"), 1e300], [3.0, 1e5, 0.5]):
            run = Run(8, 1e-9, 1000, state="diverged")
            run.history.train = run.history.val = values
            run.history.epochs = run.history.seconds = list(range(1, len(values) + 1))
            run.history.perplexity, run.history.epoch = values[-1], len(values)
            run.measured = range(len(values)), values
            runs = [run, Run(8, 1.0, 1000)]
            pictures = draw_perplexity(runs, runs[1:], "epochs", 1000, vocab_size, 660, 1)
            for yscale in ("log", "linear"):
                measure = {"xlabel": "x", "ylabel": "y", "yscale": yscale}
                pictures += draw_measured(runs, runs[1:], measure, 470)
            numbers = [float(n) for n in re.findall(r" [xy][12]?='([^']*)'", pictures)]
            numbers += [float(n) for n in re.findall(r"[ML]([\d.]+),", pictures)]
            assert all(0 <= n <= 700 for n in numbers) and "nan" not in pictures


def test_the_first_batch_is_the_first_point_and_the_epoch_goes_on_in_the_curve():
    go_on = threading.Semaphore(0)

    class Slow:
        """Batches that come only when the test lets them."""

        def __iter__(self):
            for batch in TRAIN:
                assert go_on.acquire(timeout=120)
                yield batch

        def __len__(self):
            return len(TRAIN)

    t = tried(train_iter=Slow())
    t.button.click()
    assert t.data("points") == "0"
    go_on.release()
    until(lambda: t.data("points") == "1")
    X, Y = next(iter(TRAIN))
    torch.manual_seed(0)
    net = make_net(64)
    X, Y = next(iter(TRAIN))
    loss = nn.functional.cross_entropy(net(X)[0], Y.T.reshape(-1))
    epochs, perplexity = t.box.runs[0].first
    assert epochs == 1 / len(TRAIN) and perplexity == pytest.approx(loss.exp().item(), rel=1e-5)
    time.sleep(0.15)  # no more than ten pictures a second
    go_on.release()
    until(lambda: t.data("points") == "2")
    assert t.box.runs[0].latest[0] == 2 / len(TRAIN)
    assert t.box.runs[0].history.epochs == []
    t.button.click()
    go_on.release()
    t.finish()


KINDS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM}


def make_any(num_hiddens, cell, layers):
    return d2l.RNNModel(cell(len(VOCAB), num_hiddens, layers), len(VOCAB))


CHOICES = {"cell": KINDS, "layers": {"1 layer": 1, "2 layers": 2}}


def test_side_by_side_is_each_alone():
    t = tried(make_any, choices=CHOICES, val_iter=TRAIN, num_hiddens=16, seed=3)
    assert list(t.menus) == ["Cell", "Layers"]
    assert t.menus["Cell"].value == "all, side by side" and t.menus["Layers"].value == "1 layer"
    t.train()
    assert t.settings == [f"{name}, 16 hidden, lr 1" for name in KINDS]
    assert t.note.value == "finished" and t.progress.value == t.progress.max == 12
    for run, layer in zip(t.box.runs, KINDS.values(), strict=True):
        torch.manual_seed(3)
        net = make_any(16, layer, 1)
        *_, history = d2l.fit(net, TRAIN, VOCAB, 1.0, 4, val_iter=TRAIN)
        assert (run.history.train, run.history.val) == (history.train, history.val)
        for ours, theirs in zip(run.net.parameters(), net.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_a_menu_restarts_like_a_slider():
    t = tried(make_any, choices=CHOICES)
    t.menus["Cell"].value = "GRU"
    assert t.state == "training"
    t.finish()
    t.menus["Layers"].value = "2 layers"
    t.finish()
    assert t.settings == ["GRU, 2 layers, 64 hidden, lr 1", "GRU, 64 hidden, lr 1"]
    assert isinstance(t.box.runs[1].net.rnn, nn.GRU) and t.box.runs[1].net.rnn.num_layers == 2


def test_a_cell_keeps_its_colour_and_earlier_races_their_order():
    t = tried(make_any, choices=CHOICES, num_epochs=2)
    t.train()
    t.hidden.value = 8
    t.finish()
    names = [f"{name}, {size} hidden, lr 1" for size in (8, 64) for name in KINDS]
    assert t.settings == names
    assert [re.search("<g stroke='(.*?)'", row)[1] for row in t.rows] == [*COLOURS[:3]] * 2
    markers = [re.search("<path d='M8.0,6.0([^']*)'", row)[1] for row in t.rows]
    assert len(set(markers)) == 6
    t.hidden.value = 16
    t.finish()
    assert t.settings[:3] == [f"{name}, 16 hidden, lr 1" for name in KINDS] and len(t.rows) == 8
    assert "oldest were removed" in t.saved.value


def test_a_run_that_ends_while_it_is_replaced_does_not_remove_its_successor():
    at_the_end, replaced = threading.Event(), threading.Event()

    class Held:
        """The last epoch of the first run ends only after a new run was asked for."""

        epochs = 0

        def __iter__(self):
            yield from TRAIN
            self.epochs += 1
            if self.epochs == 4:
                at_the_end.set()
                assert replaced.wait(timeout=120)

    t = tried(train_iter=Held())
    t.button.click()
    assert at_the_end.wait(timeout=120)
    background._jobs[0][1].is_set = lambda: False  # it does not notice that it was stopped
    t.hidden.value = 8
    t.hidden.value = 64
    replaced.set()
    t.finish()
    assert [(run.settings, run.state) for run in t.box.runs][-1] == ("64 hidden, lr 1", "finished")
    assert t.data("runs") == str(len(t.rows)) and t.data("state") == "finished"


def test_nothing_is_left_of_the_runs_that_are_gone():
    import ipywidgets

    module = ipywidgets.widgets.widget
    alive = getattr(module, "_instances", None)  # of ipywidgets 8; 7 has another place
    alive = ipywidgets.Widget.widgets if alive is None else alive
    t = tried(num_epochs=1)
    nets = []
    for _ in range(5):
        t.train()
        nets.append(weakref.ref(t.box.runs[0].net))
    before = len(alive)
    for _ in range(5):
        t.train()
        nets.append(weakref.ref(t.box.runs[0].net))
    assert len(alive) == before
    t.remove(0)
    t.box.close()
    gc.collect()
    assert [ref() for ref in nets] == [None] * 10


@pytest.mark.parametrize(
    "result",
    [[1, 2, 3], ([1, 2], [1]), ([1, float("inf")], [1, 1]), ([[1]], [[1, 2]]), None],
)
def test_a_measure_that_cannot_be_drawn_fails_in_words_and_the_panel_lives(result):
    results = [result]
    measure = {"function": lambda net: results[0], "xlabel": "x", "ylabel": "y", "yscale": "log"}
    t = tried(measure=measure)
    t.train()
    assert t.state == "failed" and "Error" in t.rows[0]
    for odd in (([1, 3e9], [5e-324, float("nan")]), ([], []), ([1], [float("inf")])):
        results[0] = odd
        t.train()
        assert t.state == "finished"


def test_where_a_picture_cannot_be_drawn_the_button_lives(monkeypatch, capsys):
    t = tried()
    t.train()

    def broken(*args):
        if threading.current_thread().name == "d2lmini":
            raise RuntimeError("no picture")
        return ""

    monkeypatch.setattr(panel, "draw_perplexity", broken)
    t.button.click()
    t.finish()
    monkeypatch.undo()
    printed = []
    until(lambda: printed.append(capsys.readouterr().err) or "no picture" in "".join(printed))
    t.train()
    assert t.state == "finished"


def test_equal_labels_in_two_menus_are_two_experiments():
    numbers = {"1": 1, "2": 2}
    choices = {"cell": {"RNN": nn.RNN}, "layers": numbers, "heads": numbers}
    t = tried(lambda n, cell, layers, heads: make_any(n, cell, layers), choices=choices)
    t.train()
    for layers, heads in (("2", "1"), ("1", "2")):
        t.menus["Layers"].value, t.menus["Heads"].value = layers, heads
        t.finish()
    asked = [(run.choices["layers"], run.choices["heads"]) for run in t.box.runs]
    assert {("1", "1"), ("2", "1"), ("1", "2")} <= set(asked)


def test_stop_and_close_end_no_other_panel():
    slow, started = threading.Event(), threading.Event()

    class Slow:
        def __iter__(self):
            started.set()
            assert slow.wait(timeout=120)
            yield from TRAIN

    one, two = tried(train_iter=Slow()), tried(**LONG)
    one.button.click()
    assert started.wait(timeout=120)
    two.button.click()
    one.box.close()
    slow.set()
    until(lambda: two.progress.value > 0)
    assert two.state == "training"


def test_the_point_of_the_epoch_under_way_counts_batches_of_any_length():
    class Uneven:
        def __iter__(self):
            for length in (1, 5, 2):
                yield tuple(tensor[:, :length] for tensor in next(iter(TRAIN)))

        def __len__(self):
            return 3

    seen = []
    t = tried(train_iter=Uneven(), num_epochs=2)
    t.screen.observe(lambda _: seen.append(t.box.runs[0].latest), "value")
    t.train()
    parts = {round(3 * point[0], 6) for point in seen if point}
    assert parts <= {1, 2, 3, 4, 5, 6}


EXIT = """
import d2lmini as d2l, time
from torch import nn
train_iter, vocab = d2l.load_data_text("the time traveller and the clock. " * 99, 8, 35)
box = d2l.try_it(lambda n: d2l.RNNModel(nn.RNN(len(vocab), n), len(vocab)), train_iter, vocab,
                 num_epochs=10**6)
box.children[3].children[0].click()
while not box.runs[0].history.epoch:
    time.sleep(0.01)
"""


@pytest.mark.long
def test_a_script_may_end_while_a_run_is_under_way():
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
def test_an_interrupted_run_stays_for_comparison_until_room_is_wanted():
    t = tried(num_epochs=200, num_hiddens=4)
    t.button.click()
    until(lambda: t.box.runs[0].history.epoch >= 20)
    for size in (8, 16, 32, 64, 128, 256, 512):
        t.hidden.value = size
        until(lambda size=size: t.box.runs[-1].history.epoch >= 20)
        if size == 8:
            assert t.settings == ["8 hidden, lr 1", "4 hidden, lr 1"]
            t.finish()
    t.hidden.value = 4
    assert t.settings[-1] == "8 hidden, lr 1"  # the only finished one; the oldest was 4
    assert len(t.rows) == 8


def test_a_finished_run_stays_until_its_successor_has_finished():
    go_on = threading.Event()
    go_on.set()

    class Held:
        def __iter__(self):
            for batch in TRAIN:
                assert go_on.wait(timeout=120)
                yield batch

    t = tried(train_iter=Held())
    t.train()
    go_on.clear()
    t.button.click()
    assert t.settings == ["64 hidden, lr 1"] * 2
    t.button.click()
    go_on.set()
    t.finish()
    assert [run.state for run in t.box.runs] == ["finished", "stopped"]
    t.train()
    assert [run.state for run in t.box.runs] == ["finished"]


def test_more_networks_than_colours_are_refused_in_words():
    t = tried(make_any, choices={**CHOICES, "layers": {str(n): n for n in (1, 2, 3)}})
    t.menus["Layers"].value = "all, side by side"
    assert t.note.value == "9 networks: at most 8" and t.state == "idle"
    t.button.click()
    assert t.note.value == "9 networks: at most 8" and t.state == "idle"
    t.menus["Cell"].value = "RNN"
    t.finish()
    assert len(t.rows) == 3 and t.note.value == "finished"


def test_one_that_fails_does_not_stop_the_others():
    def fragile(num_hiddens, cell, layers):
        if cell is nn.GRU:
            raise MemoryError("no room")
        return make_any(num_hiddens, cell, layers)

    t = tried(fragile, choices=CHOICES)
    t.train()
    assert [run.state for run in t.box.runs] == ["finished", "failed", "finished"]
    assert "MemoryError: no room" in t.rows[1]


def test_runs_can_be_removed_one_by_one_but_not_while_they_train():
    t = tried()
    t.train()
    for size in (8, 16):
        t.hidden.value = size
        t.finish()
    t.remove(1)
    assert t.settings == ["16 hidden, lr 1", "64 hidden, lr 1"]
    assert t.data("runs") == "2" and len(t.curves) == 2 and t.data("hidden") == "16"
    t.remove(0)
    t.remove(0)
    assert t.rows == [] and t.data("state") == "idle" and t.save.layout.display == "none"
    t = tried(**LONG)
    t.button.click()
    assert t.list.children[0].children[0].disabled
    t.remove(0)
    assert t.data("runs") == "1" and t.state == "training"


def test_the_table_is_kept_as_csv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    t = tried(make_any, choices=CHOICES, val_iter=TRAIN, lr=0.5)
    t.train()
    t.save.click()
    (path,) = tmp_path.iterdir()  # and no draft
    assert path.name in t.saved.value and path.suffix == ".csv"
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["cell"] for row in rows] == list(KINDS)
    for row, run in zip(rows, t.box.runs, strict=True):
        assert (row["layers"], row["hidden size"], row["learning rate"]) == ("1 layer", "64", "0.5")
        assert float(row["train perplexity"]) == run.history.train[-1]
        assert float(row["validation perplexity"]) == run.history.val[-1]
        assert float(row["seconds"]) == pytest.approx(run.history.seconds[-1], abs=1e-3)
        assert (row["epochs"], row["state"]) == ("4", "finished")
    path.unlink()
    tmp_path.rmdir()
    t.save.click()
    assert "Not saved" in t.saved.value


def test_over_seconds_the_curves_stand_where_their_time_is():
    t = tried()
    t.train()
    t.over.value = "seconds"
    seconds = t.box.runs[0].history.seconds
    places = [float(place.split(",")[0]) for place in t.curves[0][1:].split("L")]
    right = 646  # of the axis: a second, or the longest run
    expected = [46 + (right - 46) * s / max(1.0, seconds[-1]) for s in seconds]
    assert places == pytest.approx(expected, abs=0.06)
    assert "seconds of training" in t.screen.value


def test_what_is_measured_is_drawn_beside():
    modes = []

    def look(net):
        modes.append(net.training)
        return [1, 2, 4], [1e-8, 1e-4, 1.0]

    measure = {"function": look, "xlabel": "steps back", "ylabel": "gradient", "yscale": "log"}
    t = tried(measure=measure)
    (second,) = t.second
    assert "steps back" in second.value and "data-measured='0'" in second.value
    t.train()
    assert modes and not any(modes)
    assert "data-measured='1'" in second.value
    # The corners of the picture and the middle: 1e-8 to 1 on a logarithmic axis.
    assert "<path d='M46.0,230.0L182.7,130.0L456.0,30.0' fill='none' />" in second.value


def test_without_prefixes_nothing_is_written():
    t = tried(vocab=list(VOCAB.idx_to_token), prefixes=[])
    t.train()
    assert t.state == "finished" and "<q" not in t.text


def test_the_runs_and_their_networks_can_be_used():
    t = tried()
    t.train()
    (run,) = t.box.runs
    text = d2l.predict_ch8("time traveller", 50, run.net, VOCAB)
    assert text == run.history.samples[-1]


def test_ipywidgets_shows_the_widget_and_one_sentence(monkeypatch):
    t = tried(make_any, choices=CHOICES)
    view = "application/vnd.jupyter.widget-view+json"
    if hasattr(t.box, "_repr_mimebundle_"):
        data = t.box._repr_mimebundle_()
    else:  # ipywidgets 7
        shown, module = [], sys.modules["ipywidgets.widgets.widget"]
        monkeypatch.setattr(module, "display", lambda data, raw: shown.append(data))
        t.box._ipython_display_()
        (data,) = shown
    assert data[view]["model_id"] == t.box.model_id and data["text/plain"] == repr(t.box)
    assert set(data) == {"text/plain", view}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"choices": {"cell": ["RNN", "GRU"]}}, r"choices\['cell'\] must be"),
        ({"choices": {"cell": {}}}, r"choices\['cell'\] must be"),
        ({"choices": {"layers": {1: 1}}}, r"choices\['layers'\] must be"),
        ({"lr": 1e308}, "lr must be"),
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


WITHOUT = """
import sys
sys.modules["ipywidgets"] = None
import d2lmini as d2l
d2l.try_it
"""


def test_without_ipywidgets_one_sentence_says_what_to_do():
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: try_it needs ipywidgets: run `pip install ipywidgets`")
