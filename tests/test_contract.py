"""The names that existing material uses: argument order, defaults, and old calls as they stand."""

import inspect
import re

import pytest
import torch
from small_nets import TEXT, small_data
from torch import nn
from torch.nn import functional as F

import d2lmini as d2l

FIGURE = (
    "xlabel=None, ylabel=None, legend=None, xlim=None, ylim=None, xscale='linear', "
    "yscale='linear', fmts=('-', 'm--', 'g-.', 'r:')"
)

CONTRACT = {
    # data
    "download": "name",
    "read_time_machine": "",
    "tokenize": "lines, token='word'",
    "Vocab": "tokens=None, min_freq=0, reserved_tokens=None",
    "Vocab.to_tokens": "self, indices",
    "count_corpus": "tokens",
    "load_corpus_time_machine": "max_tokens=-1",
    "seq_data_iter_random": "corpus, batch_size, num_steps",
    "seq_data_iter_sequential": "corpus, batch_size, num_steps",
    "SeqDataLoader": "batch_size, num_steps, use_random_iter, max_tokens",
    "load_data_time_machine": "batch_size, num_steps, use_random_iter=False, max_tokens=10000",
    # models
    "RNNModelScratch": "vocab_size, num_hiddens, device, get_params, init_state, forward_fn",
    "RNNModel": "rnn_layer, vocab_size",
    # training
    "sgd": "params, lr, batch_size",
    "grad_clipping": "net, theta",
    "predict_ch8": "prefix, num_preds, net, vocab, device",
    "train_epoch_ch8": "net, train_iter, loss, updater, device, use_random_iter",
    "train_ch8": "net, train_iter, vocab, lr, num_epochs, device, use_random_iter=False",
    # tools
    "Timer": "",
    "Timer.start": "self",
    "Timer.stop": "self",
    "Timer.avg": "self",
    "Timer.sum": "self",
    "Timer.cumsum": "self",
    "Accumulator": "n",
    "Accumulator.add": "self, *args",
    "Accumulator.reset": "self",
    "Animator": FIGURE + ", nrows=1, ncols=1, figsize=(3.5, 2.5)",
    "Animator.add": "self, x, y",
    "try_gpu": "i=0",
    "try_all_gpus": "",
    "plot": "X, Y=None, " + FIGURE + ", figsize=(3.5, 2.5), axes=None",
    "set_figsize": "figsize=(3.5, 2.5)",
    "use_svg_display": "",
    "set_axes": "axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend",
    # the older Chinese edition
    "to_onehot": "X, n_class",
    "data_iter_random": "corpus_indices, batch_size, num_steps, device",
    "data_iter_consecutive": "corpus_indices, batch_size, num_steps, device",
    "predict_rnn_pytorch": (
        "prefix, num_chars, model, vocab_size, device, idx_to_char, char_to_idx"
    ),
    "train_and_predict_rnn_pytorch": (
        "model, num_hiddens, vocab_size, device, corpus_indices, idx_to_char, char_to_idx, "
        "num_epochs, num_steps, lr, clipping_theta, batch_size, pred_period, pred_len, prefixes"
    ),
}

# Positions that D2L itself has behind those of the contract.
MORE_POSITIONS = {"download": ["cache_dir"], "grad_clipping": ["device"]}


@pytest.mark.parametrize("name", CONTRACT)
def test_order_and_defaults_of_arguments(name):
    thing = d2l
    for part in name.split("."):
        thing = getattr(thing, part)
    promised = inspect.signature(eval(f"lambda {CONTRACT[name]}: None")).parameters.values()
    found = list(inspect.signature(thing).parameters.values())

    positional = [p for p in found if p.kind is not p.KEYWORD_ONLY]
    names = [p.name for p in promised] + MORE_POSITIONS.get(name, [])
    assert [p.name for p in positional] == names
    for old, new in zip(promised, found):
        # What had no default may have got one; what had one keeps it.
        assert new.default == old.default or (old.default is old.empty and new.default is None)
    for extra in found[len(promised) :]:
        assert extra.default is not extra.empty, f"{name}: {extra.name} needs a safe default"


def test_attributes():
    assert d2l.DATA_URL.endswith("d2l-data.s3-accelerate.amazonaws.com/")
    url, sha1 = d2l.DATA_HUB["time_machine"]
    assert url == d2l.DATA_URL + "timemachine.txt"
    assert sha1 == "090b5e7e70c295757f55df93cb0a180b9691891a"

    vocab = d2l.Vocab([["a", "b"], ["a"]])
    assert (len(vocab), vocab["b"], vocab.unk) == (3, 2, 0)
    assert vocab.idx_to_token == ["<unk>", "a", "b"]
    assert vocab.token_to_idx == {"<unk>": 0, "a": 1, "b": 2}
    assert vocab.token_freqs == [("a", 2), ("b", 1)]
    assert d2l.Timer().times == []
    assert d2l.Accumulator(2)[1] == 0.0
    with pytest.raises(AttributeError, match="truncate_pad"):
        d2l.truncate_pad  # noqa: B018


def test_plt_is_pyplot():
    import matplotlib.pyplot

    assert d2l.plt is matplotlib.pyplot


# The outcome of a run: the last three lines that existing material prints and compares.
LAST_LINES = (
    r"perplexity \d+\.\d, \d+\.\d tokens/sec on cpu\n"
    r"time traveller.{50}\n"
    r"traveller.{50}\n$"
)


def test_a_scratch_program_with_positional_arguments(capsys):
    train_iter, vocab = small_data(2, 5)
    num_hiddens, device = 6, d2l.try_gpu(99)

    def get_params(vocab_size, num_hiddens, device):
        def normal(shape):
            return torch.randn(size=shape, device=device) * 0.01

        params = [
            normal((vocab_size, num_hiddens)),
            normal((num_hiddens, num_hiddens)),
            torch.zeros(num_hiddens, device=device),
            normal((num_hiddens, vocab_size)),
            torch.zeros(vocab_size, device=device),
        ]
        for param in params:
            param.requires_grad_(True)
        return params

    def init_state(batch_size, num_hiddens, device):
        return (torch.zeros((batch_size, num_hiddens), device=device),)

    def rnn(inputs, state, params):
        W_xh, W_hh, b_h, W_hq, b_q = params
        (H,) = state
        outputs = []
        for X in inputs:
            H = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)
            outputs.append(torch.mm(H, W_hq) + b_q)
        return torch.cat(outputs, dim=0), (H,)

    net = d2l.RNNModelScratch(len(vocab), num_hiddens, device, get_params, init_state, rnn)
    X = torch.arange(10).reshape((2, 5))
    state = net.begin_state(X.shape[0], device)
    Y, new_state = net(X.to(device), state)
    first, _ = rnn(F.one_hot(X[:1].T, len(vocab)).float(), init_state(1, 6, device), net.params)
    torch.testing.assert_close(Y[::2], first)  # rows are time steps, batch by batch
    assert len(new_state) == 1 and len(Y) == 10

    text = d2l.predict_ch8("time traveller ", 10, net, vocab, device)
    assert text.startswith("time traveller ") and len(text) == 25

    updater = lambda batch_size: d2l.sgd(net.params, 1, batch_size)  # noqa: E731
    ppl, speed = d2l.train_epoch_ch8(net, train_iter, nn.CrossEntropyLoss(), updater, device, False)
    assert 1 < ppl < 1.2 * len(vocab) and speed > 0
    d2l.train_ch8(net, train_iter, vocab, 1, 3, device, True)
    assert re.search(LAST_LINES, capsys.readouterr().out)


@pytest.mark.parametrize(
    "layer, arguments",
    [(nn.RNN, {}), (nn.GRU, {}), (nn.LSTM, {"num_layers": 2}), (nn.RNN, {"bidirectional": True})],
)
def test_a_concise_program_with_positional_arguments(layer, arguments, capsys):
    train_iter, vocab = small_data(2, 5)
    device = torch.device("cpu")
    net = d2l.RNNModel(layer(len(vocab), 6, **arguments), len(vocab))
    net = net.to(device)
    state = net.begin_state(device, 2)
    X = next(iter(train_iter))[0]
    torch.testing.assert_close(net(X, state)[0], net(X, None)[0])  # an old state=None
    by_keyword = net.begin_state(device=device, batch_size=2)
    torch.testing.assert_close(net(X, state)[0], net(X, by_keyword)[0])
    d2l.train_ch8(net, train_iter, vocab, 1, 2, device)
    assert re.search(LAST_LINES, capsys.readouterr().out)


def test_a_homework_class_of_its_own(capsys):
    """A class that only looks like a D2L model: `params`, `begin_state`, a call."""
    train_iter, vocab = small_data(2, 5)

    class Bigram:
        def __init__(self, vocab_size):
            self.params = [torch.zeros(vocab_size, vocab_size, requires_grad=True)]

        def __call__(self, X, state):
            return self.params[0][X.T.reshape(-1)], state

        def begin_state(self, batch_size, device):
            return (torch.zeros(batch_size, 1, device=device),)

    net = Bigram(len(vocab))
    history = d2l.train_ch8(net, train_iter, vocab, 1.0, 60, torch.device("cpu"))
    assert re.search(LAST_LINES, capsys.readouterr().out)
    # From zeros the first epoch is near a uniform guess. The best bigram model of this text is
    # known from its counts: 60 epochs come near it, and cannot pass it by more than the offset's.
    pairs = d2l.count_corpus(list(zip(TEXT, TEXT[1:])))
    starts = d2l.count_corpus(list(TEXT[:-1]))
    entropy = -sum(n * torch.log(torch.tensor(n / starts[a])) for (a, _), n in pairs.items())
    best = float(torch.exp(entropy / (len(TEXT) - 1)))
    assert 0.9 * best < history.perplexity < 3 * best < len(vocab)


def test_programs_of_the_older_edition(capsys):
    corpus = [int(x) for x in torch.arange(120) % 7]
    idx_to_char = list("abcdefg")
    char_to_idx = {char: i for i, char in enumerate(idx_to_char)}
    device = torch.device("cpu")

    class RNNModel(nn.Module):
        """As the older edition defines it: no `begin_state`, a state of None at first."""

        def __init__(self, rnn_layer, vocab_size):
            super().__init__()
            self.rnn = rnn_layer
            self.hidden_size = rnn_layer.hidden_size * (2 if rnn_layer.bidirectional else 1)
            self.vocab_size = vocab_size
            self.dense = nn.Linear(self.hidden_size, vocab_size)
            self.state = None

        def forward(self, inputs, state):
            X = d2l.to_onehot(inputs, self.vocab_size)
            Y, self.state = self.rnn(torch.stack(X), state)
            return self.dense(Y.view(-1, Y.shape[-1])), self.state

    model = RNNModel(nn.GRU(7, 16), 7)
    d2l.train_and_predict_rnn_pytorch(
        model, 16, 7, device, corpus, idx_to_char, char_to_idx,
        30, 5, 1e-2, 1e-2, 2, 15, 10, ["abc", "fg"],
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert re.fullmatch(r"epoch 30, perplexity \d+\.\d{6}, time \d+\.\d\d sec", lines[3])
    # A cycle of seven letters is learnt by heart.
    assert lines[4:] == [" - abcdefgabcdef", " - fgabcdefgabc"]

    d2l.grad_clipping(model.parameters(), 1e-2, device)
    norm = torch.linalg.vector_norm(torch.stack([p.grad.norm() for p in model.parameters()]))
    assert float(norm) == pytest.approx(1e-2, rel=1e-5) or float(norm) < 1e-2
    text = d2l.predict_rnn_pytorch("abc", 3, model, 7, device, idx_to_char, char_to_idx)
    assert text == "abcdef"
