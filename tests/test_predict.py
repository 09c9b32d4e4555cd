"""Writing with networks whose next token is known."""

import pytest
import torch
from small_nets import TEXT, Alphabet, concise_rnn, scratch_rnn, small_data
from torch import nn

import d2lmini as d2l

LETTERS = d2l.Vocab(list("abcdefghij"))  # <unk> a b c ... j


def write(prefix, num_preds, net=None, **kwargs):
    return d2l.predict_ch8(prefix, num_preds, net or Alphabet(11), LETTERS, "cpu", **kwargs)


def test_every_answer_is_fed_back():
    net = Alphabet(11)
    assert write("cab", 5, net) == "cabcdefg"
    assert net.seen == [3, 1, 2, 3, 4, 5, 6]  # each token once; nobody needs the last one
    assert write("a", 0) == "a"
    assert write("i", 3) == "ij<unk>a"


def test_answers_are_those_of_one_forward_pass():
    _, vocab = small_data()
    for net in (scratch_rnn(len(vocab)), concise_rnn(len(vocab), layer=nn.LSTM, num_layers=2)):
        text = d2l.predict_ch8("time traveller", 30, net, vocab, torch.device("cpu"))
        indices = [vocab[char] if char in vocab.token_to_idx else 0 for char in text]
        if "<unk>" in text:
            continue  # its five letters are no tokens
        logits, _ = net(torch.tensor([indices]))
        answers = vocab.to_tokens(logits.argmax(dim=1))
        assert text[14:] == "".join(answers[13:-1])


def test_a_bidirectional_model_does_not_look_ahead():
    _, vocab = small_data()
    net = concise_rnn(len(vocab), layer=nn.GRU, bidirectional=True)
    text = d2l.predict_ch8("the", 4, net, vocab, "cpu")
    tokens, state = list("the"), None
    for i in range(6):
        logits, state = net(torch.tensor([[vocab[tokens[i]]]]), state)
        if i >= 2:
            tokens.append(vocab.to_tokens(logits[-1].argmax()))
    assert text == "".join(tokens)


@pytest.mark.parametrize(
    "prefix, start",
    [
        ("Cab", "cab"),  # upper case
        ("càb", "cab"),  # an accent
        ("ÇÀB", "cab"),  # both
        ("cḁ̄b", None),  # a combining mark of its own is an unknown character
        ("c-b", "c<unk>b"),
        ("c b", "c<unk>b"),
    ],
)
def test_a_prefix_is_spelled_as_the_vocabulary_has_it(prefix, start):
    text = write(prefix, 2)
    if start is not None:
        assert text == start + "cd"
    else:
        assert text.startswith("ca") and text.endswith("bcd")


def test_what_the_vocabulary_has_is_left_as_it_is():
    vocab = d2l.Vocab(list("Aaéeß中"))
    assert d2l.predict_ch8("Aé中", 0, Alphabet(7), vocab, "cpu") == "Aé中"
    assert d2l.predict_ch8("ÉE", 0, Alphabet(7), vocab, "cpu") == "ée"  # the nearest spelling first


@pytest.mark.parametrize("prefix", ["", "123", "  ", "中文"])
def test_a_prefix_without_a_known_token_is_an_error(prefix):
    with pytest.raises(ValueError, match="at least one token of the vocabulary"):
        write(prefix, 5)


def test_words_are_tokens_too():
    vocab = d2l.Vocab([["one", "two", "three", "four"]])
    text = d2l.predict_ch8(["Two", "never"], 2, Alphabet(5), vocab, "cpu")
    assert text == "two <unk> one two"


@pytest.mark.parametrize("training", [True, False])
def test_eval_mode_and_back(training):
    net = Alphabet(11).train(training)
    write("abc", 4, net)
    assert net.modes == [False] * 6 and net.training is training

    def broken(X, state):
        raise RuntimeError("in the middle")

    net.forward = broken
    with pytest.raises(RuntimeError, match="in the middle"):
        write("abc", 4, net)
    assert net.training is training


def test_dropout_is_off():
    _, vocab = small_data()
    net = concise_rnn(len(vocab), layer=nn.GRU, num_layers=2, dropout=0.9).train()
    assert len({d2l.predict_ch8("the", 30, net, vocab, "cpu") for _ in range(5)}) == 1
    assert net.training


def test_no_gradient_is_kept():
    net = scratch_rnn(11)
    with torch.enable_grad():
        write("abc", 4, net)
    assert all(param.grad is None for param in net.params)


# --- Temperature ---------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_from_the_softmax(temperature):
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0])
    expected = torch.softmax(logits / temperature, dim=0)
    draws = 4000
    counts = torch.zeros(4)
    for _ in range(draws):
        counts[d2l.sample_index(logits, temperature)] += 1
    deviation = (expected * (1 - expected) / draws).sqrt()
    assert bool(((counts / draws - expected).abs() < 5 * deviation).all())


def test_temperature_zero_is_greedy_and_draws_nothing():
    logits = torch.tensor([0.0, 3.0, 2.9])
    before = torch.get_rng_state()
    assert [d2l.sample_index(logits) for _ in range(20)] == [1] * 20
    assert write("abc", 4, temperature=0) == "abcdefg"
    assert torch.equal(torch.get_rng_state(), before)
    assert d2l.sample_index(logits, 1e-3) == 1


def test_temperature_in_a_text():
    _, vocab = small_data()
    net = concise_rnn(len(vocab))

    def text():
        torch.manual_seed(3)
        return d2l.predict_ch8("the", 40, net, vocab, "cpu", temperature=1.0)

    assert text() == text()  # one seed rules sampling as well
    torch.manual_seed(4)
    assert text() != d2l.predict_ch8("the", 40, net, vocab, "cpu", temperature=1.0)
    # An untrained network at a high temperature uses most of the alphabet.
    long = d2l.predict_ch8("the", 400, net, vocab, "cpu", temperature=50.0)
    assert len(set(long) & set(TEXT)) > 0.9 * len(set(TEXT))


@pytest.mark.parametrize("wrong", [-1, float("nan")])
def test_temperature_must_be_a_number_of_0_or_more(wrong):
    with pytest.raises(ValueError, match="temperature must be a number of 0 or more"):
        write("abc", 4, temperature=wrong)
