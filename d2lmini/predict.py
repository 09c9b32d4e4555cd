"""Writing with a language model: warm up on a prefix, then feed every answer back in."""

import unicodedata

import torch
from torch import nn

from .models import first_state
from .tools import check_amount, check_count


def predict_ch8(prefix, num_preds, net, vocab, device=None, *, temperature=0.0):
    """`prefix` and the `num_preds` tokens that the network puts behind it, as one string.

    prefix: a string, or a list of words where the vocabulary holds words. A character that the
    vocabulary lacks is tried in lower case and without its accent ("Naïve": "naive"), then
    counts as `<unk>`.
    net: a model as in `d2lmini.models`: `net(X, state)` gives logits and the next state.
    temperature: 0 takes the most probable token each time; above 0, tokens are drawn from
    softmax(logits / temperature) with torch's random generator.

    Dropout is off while it predicts; the mode of the network is put back afterwards.
    """
    check_count("num_preds", num_preds, least=0)
    outputs = [vocab[token] for token in known_tokens(prefix, vocab)]
    was_training = isinstance(net, nn.Module) and net.training
    if was_training:
        net.eval()
    try:
        with torch.no_grad():
            state = first_state(net, 1, device)
            for i in range(len(outputs) + num_preds - 1):
                # One token at a time, the prefix too: a bidirectional model must not look ahead.
                X = torch.tensor([[outputs[i]]], device=device)  # (batch_size=1, num_steps=1)
                logits, state = net(X, state)
                if i == len(outputs) - 1:
                    outputs.append(sample_index(logits[-1], temperature))
    finally:
        if was_training:
            net.train()
    tokens = [" ".join(t) if isinstance(t, tuple) else t for t in vocab.to_tokens(outputs)]
    return ("" if isinstance(prefix, str) else " ").join(tokens)


def sample_index(logits, temperature=0.0):
    """One index drawn from softmax(logits / temperature); at temperature 0, the largest logit's.

    logits: a tensor of shape (vocab_size,). Draws with torch's random generator.
    """
    check_amount("temperature", temperature)
    if temperature == 0:
        return int(logits.argmax())
    logits = (logits - logits.max()).double() / temperature  # a tiny one would give inf - inf
    return int(torch.multinomial(torch.softmax(logits, dim=0), 1))


def known_tokens(prefix, vocab):
    """The tokens of `prefix` as the vocabulary spells them; ValueError where it knows none."""
    is_list = isinstance(prefix, (str, list, tuple))
    if not is_list or not all(isinstance(token, (str, tuple)) for token in prefix):
        raise TypeError(f"prefix must be a string or a list of words, got {prefix!r}")
    tokens = [_spelling(token, vocab) for token in prefix]
    if not any(token in vocab.token_to_idx for token in tokens):
        raise ValueError(
            f"prefix must hold at least one token of the vocabulary to start from, got {prefix!r}"
        )
    return tokens


def _spelling(token, vocab):
    if isinstance(token, tuple):  # a bigram
        return token
    bare = unicodedata.normalize("NFKD", token.lower())[:1] if len(token) == 1 else token.lower()
    return next((t for t in (token, token.lower(), bare) if t in vocab.token_to_idx), token)
