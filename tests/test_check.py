"""Planted mistakes are called by their names: students' functions with one line changed each."""

import ast
import functools
import importlib
import inspect
import json
import linecache
import math
import re
from pathlib import Path

import pytest
import torch

import d2lmini as d2l
from d2lmini import cells
from d2lmini.checking import exercises, networks
from d2lmini.checking.answers import WrongAnswer
from d2lmini.checking.chinese import CHINESE
from d2lmini.checking.compare import Trial, agree, outcome
from d2lmini.checking.exercises import EXERCISES
from d2lmini.checking.hand_in import hand_in, numbers
from d2lmini.checking.words import Words, say

check_module = importlib.import_module("d2lmini.checking.check")  # the name means the function, too

RNN = """
def rnn(inputs, state, params):
    W_xh, W_hh, b_h, W_hq, b_q = params
    H, = state
    outputs = []
    for X in inputs:
        H = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)
        outputs.append(torch.mm(H, W_hq) + b_q)
    return torch.cat(outputs, dim=0), (H,)
"""
GRU = """
def gru(inputs, state, params):
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h, W_hq, b_q = params
    H, = state
    outputs = []
    for X in inputs:
        Z = torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)
        R = torch.sigmoid((X @ W_xr) + (H @ W_hr) + b_r)
        H_tilde = torch.tanh((X @ W_xh) + ((R * H) @ W_hh) + b_h)
        H = Z * H + (1 - Z) * H_tilde
        outputs.append(H @ W_hq + b_q)
    return torch.cat(outputs, dim=0), (H,)
"""
LSTM = """
def lstm(inputs, state, params):
    [W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q] = params
    (H, C) = state
    outputs = []
    for X in inputs:
        I = torch.sigmoid((X @ W_xi) + (H @ W_hi) + b_i)
        F = torch.sigmoid((X @ W_xf) + (H @ W_hf) + b_f)
        O = torch.sigmoid((X @ W_xo) + (H @ W_ho) + b_o)
        C_tilde = torch.tanh((X @ W_xc) + (H @ W_hc) + b_c)
        C = F * C + I * C_tilde
        H = O * torch.tanh(C)
        outputs.append((H @ W_hq) + b_q)
    return torch.cat(outputs, dim=0), (H, C)
"""
MGU = """
def mgu(inputs, state, params):
    W_xf, W_hf, b_f, W_xh, W_hh, b_h, W_hq, b_q = params
    H, = state
    outputs = []
    for X in inputs:
        F = torch.sigmoid(X @ W_xf + H @ W_hf + b_f)
        H_tilde = torch.tanh(X @ W_xh + (F * H) @ W_hh + b_h)
        H = (1 - F) * H + F * H_tilde
        outputs.append(H @ W_hq + b_q)
    return torch.cat(outputs, dim=0), (H,)
"""
COUPLED = """
def coupled(inputs, state, params):
    W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c, W_hq, b_q = params
    (H, C) = state
    outputs = []
    for X in inputs:
        F = torch.sigmoid(X @ W_xf + H @ W_hf + b_f)
        O = torch.sigmoid(X @ W_xo + H @ W_ho + b_o)
        C_tilde = torch.tanh(X @ W_xc + H @ W_hc + b_c)
        C = F * C + (1 - F) * C_tilde
        H = O * torch.tanh(C)
        outputs.append(H @ W_hq + b_q)
    return torch.cat(outputs, dim=0), (H, C)
"""
DEEP = """
def deep(inputs, state, params):
    W_xh1, W_hh1, b_h1, W_xh2, W_hh2, b_h2, W_hq, b_q = params
    H1, H2 = state
    outputs = []
    for X in inputs:
        H1 = torch.tanh(X @ W_xh1 + H1 @ W_hh1 + b_h1)
        H2 = torch.tanh(H1 @ W_xh2 + H2 @ W_hh2 + b_h2)
        outputs.append(H2 @ W_hq + b_q)
    return torch.cat(outputs, dim=0), (H1, H2)
"""
BIDIRECTIONAL = """
def bidirectional(inputs, state, params):
    W_xhf, W_hhf, b_hf, W_xhb, W_hhb, b_hb, W_hq, b_q = params
    H_f, H_b = state
    f, b = [], []
    for X in inputs:
        H_f = torch.tanh(X @ W_xhf + H_f @ W_hhf + b_hf)
        f.append(H_f)
    for X in inputs.flip(0):
        H_b = torch.tanh(X @ W_xhb + H_b @ W_hhb + b_hb)
        b.append(H_b)
    H = torch.cat([torch.stack(f), torch.stack(b).flip(0)], dim=2)
    return (H @ W_hq + b_q).flatten(0, 1), (H_f, H_b)
"""
VOCABULARY = """
def vocabulary(tokens):
    counts = {}
    for token in tokens:
        counts[token] = counts.get(token, 0) + 1
    found = sorted(counts, key=lambda token: -counts[token])
    return {token: k for k, token in enumerate(["<unk>"] + found)}
"""
BATCHES = """
def batches(corpus, batch_size, num_steps, offset):
    num_tokens = ((len(corpus) - offset - 1) // batch_size) * batch_size
    Xs = torch.tensor(corpus[offset: offset + num_tokens])
    Ys = torch.tensor(corpus[offset + 1: offset + 1 + num_tokens])
    Xs, Ys = Xs.reshape(batch_size, -1), Ys.reshape(batch_size, -1)
    num_batches = Xs.shape[1] // num_steps
    for i in range(0, num_steps * num_batches, num_steps):
        X = Xs[:, i: i + num_steps]
        Y = Ys[:, i: i + num_steps]
        yield X, Y
"""
PERPLEXITY = """
def perplexity(probabilities):
    total = 0
    for p in probabilities.tolist():
        total -= math.log(p)
    return math.exp(total / len(probabilities))
"""
CLIP = """
def clip(gradients, theta):
    norm = torch.sqrt(sum(torch.sum((g ** 2)) for g in gradients))
    if norm > theta:
        gradients = [g * theta / norm for g in gradients]
    return gradients
"""
MASKED_MEAN = """
def masked_mean(outputs, lengths):
    num_steps = outputs.shape[0]
    mask = torch.arange(num_steps)[:, None] < lengths[None, :]
    total = (outputs * mask[:, :, None]).sum(dim=0)
    return total / lengths[:, None]
"""
LAST_STATES = """
def last_states(outputs, lengths):
    h = outputs.shape[2] // 2
    rows = []
    for k, length in enumerate(lengths.tolist()):
        rows.append(torch.cat([outputs[length - 1, k, :h], outputs[0, k, h:]]))
    return torch.stack(rows)
"""
DECODER_INPUTS = """
def decoder_inputs(targets, bos):
    inputs = torch.zeros_like(targets)
    inputs[0] = bos
    inputs[1:] = targets[:-1]
    return inputs
"""
RIGHT = {
    "rnn": RNN, "gru": GRU, "lstm": LSTM, "mgu": MGU, "coupled": COUPLED, "deep": DEEP,
    "bidirectional": BIDIRECTIONAL, "vocabulary": VOCABULARY, "batches": BATCHES,
    "perplexity": PERPLEXITY, "clip": CLIP, "masked_mean": MASKED_MEAN, "last_states": LAST_STATES,
    "decoder_inputs": DECODER_INPUTS,
}  # fmt: skip
OUTPUT = {
    "rnn": "outputs.append(torch.mm(H, W_hq) + b_q)",
    "gru": "outputs.append(H @ W_hq + b_q)",
    "lstm": "outputs.append((H @ W_hq) + b_q)",
}
PLANTED = {
    "rnn": [
        ("W_xh) + torch.mm(H, W_hh) + b_h)", "W_xh)) + torch.mm(H, W_hh) + b_h",
         "The tanh is around X @ W_xh alone"),
        ("H = torch.tanh(", "H = H + torch.tanh(", "The old H is added"),
        ("    return torch.cat(outputs, dim=0)", "    return outputs[-1]", "collect those of"),
        ("H = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)\n"
         "        outputs.append(torch.mm(H,",
         "new = torch.tanh(torch.mm(X, W_xh) + torch.mm(H, W_hh) + b_h)\n"
         "        outputs.append(torch.mm(new,", "is used for the logits, and then forgotten"),
        ("for X in inputs:", "for X in inputs.flip(0):", "The text is read from its end"),
        ("torch.tanh(", "(", "There is no tanh"),
        ("torch.tanh(", "torch.sigmoid(", "There is a σ where the RNN has tanh"),
        ("torch.tanh(", "torch.relu(", "There is a ReLU"),
        (" + b_h", "", "b_h is not used"),
        ("W_hh) + b_h)", "W_hh)) + b_h", "b_h is added after the tanh"),
        ("return torch.cat(outputs, dim=0), (H,)", "return torch.cat(outputs), (H,), 1",
         "It must return two things, logits and (H,); got a tuple of 3 (Tensor and int and tuple)"),
        ("outputs.append(torch.mm(H, W_hq) + b_q)",
         "return torch.mm(H, W_hq) + b_q, (H,)", "collect those of every step"),
        ("torch.cat(outputs, dim=0)", "torch.cat(outputs, dim=1)", "along axis 0"),
        ("torch.cat(outputs, dim=0)", "outputs", "logits must be a tensor of the shape"),
        ("torch.cat(outputs, dim=0)", "torch.cat(outputs).double()", "must be torch.float32 like"),
        ("torch.cat(outputs, dim=0)", "torch.cat(outputs[::-1])", "the last step comes first"),
        ("torch.mm(H, W_hh)", "torch.mm(H, W_hh.T)", "W_hh is turned"),
        (" + torch.mm(H, W_hh)", "", "W_hh is not used"),
    ],
    "gru": [
        ("H_tilde = torch.tanh(", "H = H_tilde = torch.tanh(", "before that is overwritten"),
        ("H @ W_hq", "H_tilde @ W_hq", "The logits are made of the candidate"),
        ("(X @ W_xh) + ((R * H) @ W_hh) + b_h", "R * ((X @ W_xh) + (H @ W_hh) + b_h)",
         "The reset gate multiplies the whole sum"),
        ("(R * H)", "(R @ H)", "⊙ is `*`, number by number"),
        ("H @ W_hz", "H * W_hz", "is there a `*` where a product with a matrix belongs"),
        ("inputs:", "inputs[::-1]:", "by `flip(0)`, not by `[::-1]`"),
        ("(H @ W_hr)", "(H @ W_hz)", "W_hz stands where W_hr belongs"),
        ("R = torch.sigmoid(", "R = torch.tanh(", "R goes through tanh; it needs σ"),
        ("((R * H) @ W_hh)", "R * (H @ W_hh)", "after the product"),
        ("((R * H) @ W_hh)", "(H @ W_hh)", "The reset gate is not used"),
        ("Z * H + (1 - Z) * H_tilde", "(1 - Z) * H + Z * H_tilde", "Z and 1 - Z are exchanged"),
        ("(1 - Z) * H_tilde", "H_tilde", "The candidate is added whole"),
        ("H = Z * H + (1", "H = H + (1", "The old H is added whole"),
        ("torch.tanh((X", "torch.sigmoid((X", "The candidate goes through σ; it needs tanh"),
        ("torch.tanh((X", "((X", "The candidate has no tanh"),
        ("torch.sigmoid", "torch.tanh", "The gates go through tanh"),
        ("torch.sigmoid", "", "The gates have no σ"),
        (" + b_z", "", "b_z is not used"),
        ("(1 - Z) * H_tilde", "1 - Z * H_tilde", "1 - Z needs parentheses"),
        ("((R * H) @ W_hh) + b_h", "R * (H @ W_hh + b_h)", "multiplies the product with W_hh and"),
        (") + b_", ") + 0 * b_", "No bias is used but b_q"),
        (" + b_r", "", "b_r is not used"),
        ("(H @ W_hr)", "(H @ W_hr.T)", "W_hr is turned"),
        ("Z = torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)",
         "Z = torch.sigmoid((X @ W_xr) + (H @ W_hr) + b_r)", "H is mixed with the reset gate"),
        ("((R * H) @ W_hh)", "((Z * H) @ W_hh)", "The candidate uses Z in place of R"),
        ("(R * H) @", "(H := R * H) @", "R ⊙ H has overwritten the old H"),
        ("((R * H) @ W_hh) + b_h", "R * (H @ W_hh)", "two things at once. The reset gate"),
        ("((R * H) @ W_hh) + b_h)\n        H = Z * H + (1 - Z) * H_tilde",
         "(H @ W_hh) + b_h)\n        H = (1 - Z) * H + Z * H_tilde",
         "two things at once. The reset gate is not used. Z and 1 - Z are exchanged"),
        ("W_xz, W_hz, b_z, W_xr, W_hr, b_r,", "W_xz, W_hr, b_z, W_xr, W_hz, b_r,",
         "W_hz and W_hr are exchanged"),
        ("torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)", "torch.sigmoid((X @ W_xz) + b_z)",
         "W_hz is not used"),
        ("W_xz, W_hz, b_z, W_xr, W_hr, b_r,", "W_xr, W_hr, b_r, W_xz, W_hz, b_z,",
         "The parameters of the update gate and the reset gate are exchanged"),
    ],
    "lstm": [
        ("(H @ W_hq)", "(torch.tanh(C) @ W_hq)", "The logits are made of tanh(C)"),
        ("(H @ W_hq)", "(C_tilde @ W_hq)", "The logits are made of the candidate"),
        ("F * C +", "F @ C +", "⊙ is `*`, number by number"),
        ("for X in inputs:\n", "for X in inputs:\n        C = torch.zeros_like(C)\n",
         "The old C is not used"),
        ("C_tilde = torch.tanh(", "C = C_tilde = torch.tanh(", "has overwritten the old C"),
        ("F * C + I * C_tilde", "F * (C + I * C_tilde)", "F multiplies the whole sum"),
        ("dim=0), (H, C)", "dim=0), (H, H)", "H is returned twice"),
        ("O * torch.tanh(C)", "I * torch.tanh(C)", "The input gate stands where the output gate"),
        ("O * torch.tanh(C)", "O * torch.tanh(C_tilde)", "H is made of the candidate"),
        ("F = torch.sigmoid(", "F = torch.tanh(", "The forget gate goes through tanh"),
        ("(X @ W_xo)", "(X @ W_xi)", "W_xi stands where W_xo belongs"),
        ("O * torch.tanh(C)", "O * C", "H is O ⊙ C"),
        ("O * torch.tanh(C)", "torch.tanh(C)", "The output gate is not used"),
        ("+ I * C_tilde", "+ C_tilde", "The input gate is not used"),
        ("F * C + I", "C + I", "The forget gate is not used"),
        ("F * C + I * C_tilde", "I * C_tilde", "The old C is not used"),
        ("F * C + I * C_tilde", "I * C + F * C_tilde", "F and I, or their parameters, are"),
        ("+ I * C_tilde", "+ (1 - F) * C_tilde", "as if this were a GRU"),
        ("C = F * C + I * C_tilde", "C = torch.tanh(F * C + I * C_tilde)", "around the new C"),
        ("torch.tanh((X", "torch.sigmoid((X", "The candidate goes through σ"),
        ("torch.sigmoid", "torch.tanh", "The gates go through tanh"),
        (" + b_f", "", "b_f is not used"),
        ("H = O * torch.tanh(C)", "C = torch.tanh(C); H = O * C", "C itself goes through the tanh"),
        ("outputs.append((H @", "outputs.append((C @", "The logits are made of C"),
        ("return torch.cat(outputs, dim=0), (H, C)", "return torch.cat(outputs), H, C",
         "logits and (H, C); got a tuple of 3 (Tensor)"),
        ("return torch.cat(outputs, dim=0), (H, C)", "return torch.cat(outputs, dim=0), (C, H)",
         "H and C are returned the wrong way round"),
        ("(H, C) = state", "(C, H) = state", "H and C are taken out of the state the wrong way"),
        ("O * torch.tanh(C)", "torch.tanh(O * C)", "The tanh stands around O ⊙ C"),
        ("+ I * C_tilde", "+ O * C_tilde", "The output gate stands where the input gate"),
        ("W_xi, W_hi, b_i, W_xf, W_hf, b_f,", "W_xf, W_hf, b_f, W_xi, W_hi, b_i,",
         "F and I, or their parameters, are"),
    ],
    "mgu": [
        ("(1 - F) * H + F * H_tilde", "1 - F * H + F * H_tilde", "1 - F needs parentheses"),
        ("(F * H) @ W_hh", "F * (H @ W_hh)", "after the product"),
        ("X @ W_xh + (F * H) @ W_hh + b_h", "F * (X @ W_xh + H @ W_hh + b_h)",
         "The gate multiplies the whole sum"),
        ("(F * H) @ W_hh", "H @ W_hh", "does not multiply the H that the candidate sees"),
        ("(F * H) @ W_hh", "((1 - F) * H) @ W_hh", "1 - F in place of F"),
        ("(F * H) @", "(H := F * H) @", "F ⊙ H has overwritten the old H"),
        ("(1 - F) * H + F * H_tilde", "F * H + (1 - F) * H_tilde", "F and 1 - F are exchanged"),
        ("+ F * H_tilde", "+ H_tilde", "The candidate is added whole"),
        ("(1 - F) * H + F", "H + F", "The old H is added whole"),
        ("(1 - F) * H + F * H_tilde", "F * H_tilde", "The old H is missing"),
        ("(1 - F) * H + F * H_tilde", "H_tilde", "H is the candidate"),
        ("torch.tanh(X", "torch.sigmoid(X", "The candidate goes through σ"),
        ("torch.tanh(X", "torch.relu(X", "The candidate goes through a ReLU"),
        ("torch.sigmoid(", "torch.tanh(", "The gates go through tanh"),
        (" + b_f", "", "b_f is not used"),
        (" + b_h", "", "b_h is not used"),
    ],
    "coupled": [
        ("(1 - F) * C_tilde", "1 - F * C_tilde", "1 - F needs parentheses"),
        ("(1 - F) * C_tilde", "(1 - O) * C_tilde", "The candidate has the factor 1 - O"),
        ("O * torch.tanh(C)", "(1 - F) * torch.tanh(C)", "1 - F stands where the output gate"),
        ("(1 - F) * C_tilde", "(1 - F) * C", "The old C stands where the candidate belongs"),
        ("F * C + (1 - F) * C_tilde", "(1 - F) * C + F * C_tilde", "F and 1 - F are exchanged"),
        ("(1 - F) * C_tilde", "F * C_tilde", "The candidate has the factor F"),
        ("(1 - F) * C_tilde", "C_tilde", "The factor 1 - F is not used"),
        ("F * C + (1", "C + (1", "The forget gate is not used"),
        ("F * C + ", "", "The old C is not used"),
        ("O * torch.tanh(C)", "O * C", "there must be a tanh around C"),
        ("O * torch.tanh(C)", "torch.tanh(C)", "The output gate is not used"),
        ("torch.tanh(X", "(X", "The candidate has no tanh"),
        (" + b_o", "", "b_o is not used"),
        ("(H, C)\n", "(C, H)\n", "returned the wrong way round"),
        ("W_xf, W_hf, b_f, W_xo, W_ho, b_o,", "W_xo, W_ho, b_o, W_xf, W_hf, b_f,",
         "The parameters of the forget gate and the output gate are exchanged"),
    ],
    "deep": [
        ("        H2 = torch", "    for X in inputs:\n        H2 = torch", "only the last H of"),
        ("H1 @ W_xh2 + H2 @ W_hh2", "H1 @ W_hh2 + H2 @ W_xh2", "W_xh2 and W_hh2 are exchanged"),
        ("torch.tanh(", "torch.sigmoid(", "There is a σ where both layers have tanh"),
        ("H2 = torch.tanh(H1 @", "H2 = torch.tanh(X @", "The second layer reads X"),
        ("H2 @ W_hh2", "H1 @ W_hh2", "The second layer goes on from the first layer's H"),
        ("H2 = torch.tanh(H1 @ W_xh2 + H2 @", "H1 = H2 = torch.tanh(H1 @ W_xh2 + H1 @",
         "Both layers share one H"),
        ("H1 @ W_xh2 + H2 @ W_hh2 + b_h2", "H1 @ W_xh1 + H2 @ W_hh1 + b_h1",
         "Both layers use the parameters of the first"),
        ("H2 @ W_hq", "H1 @ W_hq", "The output layer reads the first layer"),
        ("H2 @ W_hq", "(H1 + H2) @ W_hq", "reads the sum of both"),
        ("(H1, H2)\n", "(H2, H1)\n", "H1 and H2 are returned the wrong way round"),
        ("H1, H2 = state", "H2, H1 = state", "taken out of the state the wrong way"),
        ("H2 @ W_hh2", "H2 @ W_hh1", "Both layers use W_hh1"),
        ("H1 = torch.tanh(", "H1 = (", "The first layer has no tanh"),
        ("H2 = torch.tanh(", "H2 = (", "The second layer has no tanh"),
        (" + b_h2", "", "b_h2 is not used"),
        (" + H1 @ W_hh1", "", "W_hh1 is not used"),
        ("for X in inputs:\n", "for X in inputs:\n        H2 = state[1]\n",
         "The second layer's state is not carried on"),
        ("for X in inputs:\n", "for X in inputs:\n        H1 = state[0]\n",
         "The first layer's state is not carried on"),
        ("H2 @ W_hh2", "H2 @ W_hh2.T", "W_hh2 is turned"),
        ("H1 = torch.tanh(", "old = H1\n        H1 = torch.tanh(", "PASSES"),
    ],
    "bidirectional": [
        ("H_b @ W_hhb", "H_b @ W_hhf", "Both directions use W_hhf"),
        ("(H_f, H_b)\n", "(f[0], b[0])\n", "have read one letter each"),
        ("inputs.flip(0):", "inputs:", "reads the text forwards, and its states are turned"),
        (".flip(0)], dim=2", "], dim=2", "The backward states are not turned round"),
        ("inputs.flip(0)", "inputs.flip(1)", "gets the batch turned round, not the steps"),
        ("[torch.stack(f), torch.stack(b).flip(0)]", "[torch.stack(b).flip(0), torch.stack(f)]",
         "The halves are exchanged"),
        ("torch.stack(b).flip(0)]", "torch.stack(f)]", "reads the forward H twice"),
        ("X @ W_xhb + H_b @ W_hhb + b_hb", "X @ W_xhf + H_b @ W_hhf + b_hf",
         "Both directions use the parameters of the forward one"),
        ("inputs.flip(0):\n        H_b = torch.tanh(", "inputs.flip(0):\n        H_b = (",
         "The backward direction has no tanh"),
        ("for X in inputs.flip(0)", "H_b = H_f\n    for X in inputs.flip(0)",
         "goes on from the forward direction's last H"),
        ("H_f, H_b = state", "H_f, _ = state; H_b = H_f",
         "Both directions begin from the forward direction's first H"),
        ("(H_f, H_b)\n", "(H_b, H_f)\n", "returned the wrong way round"),
        ("(H_f, H_b)\n", "(H_f, b[0])\n", "has read one letter"),
        (" + b_hb", "", "b_hb is not used"),
        ("H_b @ W_hhb", "H_b @ W_hhb.T", "W_hhb is turned"),
        (".flatten(0, 1)", "", "put the steps below one another"),
        (".flatten(0, 1)", ".transpose(0, 1).flatten(0, 1)", "text by text"),
    ],
    "vocabulary": [
        ("    for token in tokens:", "    for token in map(str.lower, tokens):", "lower case"),
        ("    for token in tokens:", "    for token in ''.join(tokens):", "cut into their letters"),
        ("in tokens:\n", "in tokens:\n        if token == ' ': continue\n",
         "Spaces are left out"),
        ("sorted(counts, key=lambda token: -counts[token])",
         "sorted(set(tokens), key=tokens.count)[::-1]", None),
        ("sorted(counts, key=lambda token: -counts[token])",
         "sorted(set(tokens), key=lambda token: -tokens.count(token))", "in a set's order"),
        ("    found =", "    counts = dict(reversed(counts.items()))\n    found =",
         "Equally frequent tokens stand in the reverse order"),
        ('["<unk>"] + found', "found", "<unk> is missing; it has the index 0"),
        ('["<unk>"] + found', 'found + ["<unk>"]', "<unk> comes last"),
        ('["<unk>"] + found)', '["<unk>"] + found, 1)', "The indices begin with 1"),
        ('enumerate(["<unk>"] + found)', "enumerate(found, 1)", "its place is left empty"),
        ('["<unk>"] + found)}', 'found)} | {"<unk>": 0}', "Two tokens share the index 0"),
        ("-counts[token]", "counts[token]", "The rarest token comes first"),
        ("-counts[token]", "token", "alphabetical order; they are to be ordered by how often"),
        ("-counts[token]", "0", "in the order in which they first occur"),
        ("-counts[token]", "(-counts[token], token)", "Equally frequent tokens"),
        ("{token: k for", "{k: token for", "Keys and values are exchanged"),
        ('    found', '    return counts\n    found', "The values are counts"),
        ('    found', '    return list(counts)\n    found', "must return a dict, got a list of 1"),
    ],
    "batches": [
        ("(len(corpus) - offset - 1)", "(len(corpus) - 1)", "The offset is missing from the count"),
        ("Xs.shape[1] // num_steps", "len(corpus) // (batch_size * num_steps)",
         "is that of the whole corpus"),
        ("Y = Ys[:, i: i + num_steps]", "Y = X + 1", "none of the mistakes"),
        ("corpus[offset + 1: offset + 1 +", "corpus[offset: offset +", "Y is the same as X"),
        ("yield X, Y", "yield Y, X", "X and Y are exchanged"),
        ("yield X, Y", "yield X.T, Y.T", "The batches are turned"),
        ("corpus[offset + 1: offset + 1 + num", "corpus[1: 1 + num", "used for X and not for Y"),
        ("    num_tokens", "    offset = 0\n    num_tokens", "The offset is not used"),
        ("Xs.reshape(batch_size, -1), Ys.reshape(batch_size, -1)",
         "Xs.reshape(-1, batch_size).T, Ys.reshape(-1, batch_size).T", "down a column"),
        ("num_batches, num_steps):", "num_batches - num_steps + 1):", "The batches overlap"),
        ("num_steps * num_batches", "Xs.shape[1]", "makes a shorter batch"),
        ("num_steps * num_batches", "num_steps * (num_batches - 1)", "The last full batch"),
        ("range(0,", "range(num_steps,", "The first batch is missing"),
        ("num_steps * num_batches,", "Xs.shape[1] - num_steps,", "where nothing is left over"),
        ("yield X, Y", "yield X, Y; return", "There is only the first batch"),
        ("offset - 1)", "offset)", "The last token has none after it"),
        ("yield X, Y", "yield X.float(), Y.float()", "X and Y must hold whole numbers"),
        ("Y = Ys[:, i: i + num_steps]", "Y = X.roll(-1, 1)", "The last Y of a row is its first X"),
        ("    num_tokens = ",
         "    rows = torch.tensor(corpus[offset:])\n    n = len(rows) // batch_size\n"
         "    rows = rows[: n * batch_size].reshape(batch_size, n)\n"
         "    for i in range(0, n - num_steps, num_steps):\n"
         "        yield rows[:, i: i + num_steps], rows[:, i + 1: i + 1 + num_steps]\n"
         "    return\n    num_tokens = ", "Every row keeps its last token back"),
        ("yield X, Y", "yield X", "A batch must be a pair (X, Y)"),
        ("yield X, Y", "yield X.tolist(), Y.tolist()", "X and Y must be tensors"),
    ],
    "perplexity": [
        ("math.exp(total / len(probabilities))", "-math.exp(-total / len(probabilities))",
         "The minus stands before the exp"),
        ("-= math.log(p)", "+= math.log(p)", "The minus is missing"),
        ("math.exp(total / len(probabilities))", "total / len(probabilities)", "The exp is missin"),
        ("total / len(probabilities)", "total", "The sum stands where the mean belongs"),
        ("math.log(p)", "math.log2(p)", "base 2, the power base e"),
        ("math.log(p)", "math.log10(p)", "base 10, the power base e"),
        ("math.exp(total / len(probabilities))", "2 ** (total / len(probabilities))",
         "base e, the power base 2"),
        ("    total = 0", "    return 1 / probabilities.mean()", "1 over the mean probability"),
        ("    total = 0", "    return (1 / probabilities).mean()", "the mean of 1 / p"),
        ("    total = 0", "    return torch.exp(-(probabilities * probabilities.log()).sum())",
         "This is exp of an entropy"),
        ("len(probabilities)", "max(1, len(probabilities) - 1)", None),
        ("    total = 0", "    return torch.exp(-probabilities.log())", "number, got a tensor"),
        ("    total = 0", "    return 'two'\n    total = 0", "one number, got str"),
        ("    total = 0", "    return torch.exp(-probabilities.mean())", "logarithm is missing"),
        ("    total = 0", "    return probabilities.prod() ** (-1 / len(probabilities))",
         "becomes 0 in the computer"),
        ("    total = 0", "    return torch.exp(-(probabilities + 1e-8).log().mean())",
         "kept above 1e-08"),
        ("    total = 0", "    return torch.exp(-(probabilities + 1e-6).log().mean())", "e-06"),
        ("    total = 0", "    return torch.exp(-probabilities.clamp(min=1e-12).log().mean())",
         "kept above 1e-12"),
    ],
    "clip": [
        ("norm > theta", "norm > 1", "compared with 1, not with theta"),
        ("norm > theta", "norm ** 2 > theta", "The square of the norm is compared"),
        ("g * theta / norm", "g * theta", "The division by the norm is missing"),
        ("    norm =", "    return [g.clamp(-theta, theta) for g in gradients]\n    norm =",
         "Every number is cut off by itself"),
        ("    norm =", "    return [g * min(1, theta / max(g.norm(), 1e-9)) for g in gradients]\n"
         "    norm =", "Each gradient is clipped by a norm of its own"),
        ("    if norm > theta:", "    if norm > 0:", "scaled even where their norm is less than"),
        ("    if norm > theta:", "    if True:", "and 0 / 0 where it is 0"),
        ("g * theta / norm", "g / norm", "scaled to a norm of 1"),
        ("norm > theta", "0 < norm < theta", "They are scaled where the norm is small"),
        ("    if norm > theta:\n        gradients = [g * theta / norm for",
         "    if True:\n        gradients = [g * max(1, theta / norm) for",
         "max stands for min), and nan"),
        ("torch.sqrt(sum(torch.sum((g ** 2)) for g in gradients))",
         "sum(torch.sum((g ** 2)) for g in gradients)", "lacks its square root"),
        ("torch.sqrt(sum(torch.sum((g ** 2)) for g in gradients))",
         "torch.cat([g.flatten() for g in gradients]).pow(2).mean().sqrt()", "mean of all"),
        ("torch.sqrt(sum(torch.sum((g ** 2)) for g in gradients))",
         "sum(g.norm() for g in gradients)", "the sum of the gradients' norms"),
        ("torch.sqrt(sum(torch.sum((g ** 2)) for g in gradients))",
         "sum(g.abs().sum() for g in gradients)", "the norm of absolute values"),
        ("norm > theta", "False", "Nothing is clipped"),
        ("g * theta / norm", "0 * g", "set to zero"),
        ("    if norm > theta:\n        gradients = [g * theta / norm for",
         "    if True:\n        gradients = [g * min(1, norm / theta) for", "upside down"),
        ("return gradients", "return [g.flatten() for g in gradients]",
         "gradient 0 must have the shape (2, 2), got (4,)"),
        ("return gradients", "return [g.numpy() for g in gradients]",
         "must return a list of tensors, got a list of 2 (ndarray)"),
        ("return gradients", "pass", "must return a list of tensors, got nothing"),
    ],
    "masked_mean": [
        ("    num_steps", "    return outputs.mean(0)\n    num_steps", "Padding is read as text"),
        ("lengths[:, None]\n", "num_steps\n", "divided by num_steps"),
        (" * mask[:, :, None]", "", "The mask is forgotten in the sum"),
        ("] < lengths", "] <= lengths", "The mask is one step too long"),
        ("] < lengths", "] < -1 + lengths", "The mask is one step too short"),
        ("lengths[:, None]\n", "lengths.max()\n", "divided by the greatest length"),
        ("lengths[:, None]\n", "mask.sum()\n", "divided by all words of the batch"),
        ("    num_steps", "    return outputs[: lengths.min()].mean(0)\n    num_steps",
         "cut where the shortest one ends"),
        ("total / lengths[:, None]\n", "total\n", "This is the sum"),
        ("] < lengths", "] >= lengths", "The mask is turned round"),
        ("    num_steps", "    return outputs[-1]\n    num_steps", "padding for a shorter text"),
        ("total / lengths[:, None]", "(total / lengths[:, None])[0]",
         "the states must have the shape (1, 2), got (2,)"),
        ("return total", "return 2 * total", "none of the mistakes"),
        ("return total", "total", "(batch_size, num_hiddens), got nothing"),
    ],
    "last_states": [
        ("    h =", "    return outputs[-1]\n    h =", "outputs[-1] is the batch's last step"),
        ("outputs[0, k, h:]", "outputs[length - 1, k, h:]", "The backward half is wrong"),
        ("outputs[length - 1, k, :h]", "outputs[0, k, :h]", "The forward half is wrong"),
        ("outputs[length - 1, k, :h]", "outputs[-1, k, :h]", "The forward half comes from the bat"),
        ("outputs[0, k, h:]", "outputs[-1, k, h:]", "The backward half comes from the batch's"),
        ("outputs[length - 1, k, :h], outputs[0, k, h:]",
         "outputs[0, k, :h], outputs[length - 1, k, h:]", "The steps are exchanged"),
        ("[length - 1, k", "[length - 2, k", "one step too early"),
        ("[length - 1, k", "[min(length, len(outputs) - 1), k", "one step too late"),
        ("[length - 1, k", "[lengths[0] - 1, k", "The first text's length"),
        ("[length - 1, k", "[length - 1, 0", "the first text's in every row"),
        ("outputs[length - 1, k, :h], outputs[0, k, h:]",
         "outputs[0, k, h:], outputs[length - 1, k, :h]", "The halves are exchanged"),
        ("outputs[0, k, h:]", "outputs[length - 1, k, :h]", "The forward half stands twice"),
        ("outputs[length - 1, k, :h]", "outputs[0, k, h:]", "The backward half stands twice"),
        ("torch.stack(rows)", "rows", "(batch_size, num_hiddens), got a list of 1"),
    ],
    "decoder_inputs": [
        ("inputs = torch.zeros_like(targets)", "return targets", "must be one step behind"),
        ("inputs[0] = bos\n    inputs[1:] = targets[:-1]",
         "inputs[-1] = bos\n    inputs[:-1] = targets[1:]", "The shift goes the wrong way"),
        ("inputs[0] = bos", "inputs[0] = targets[-1]", "The last letter comes first"),
        ("inputs[1:] = targets[:-1]", "inputs[1:] = targets[1:]", "in the place of the first let"),
        ("inputs[0] = bos\n    inputs[1:] = targets[:-1]",
         "inputs[-1] = bos\n    inputs[:-1] = targets[:-1]", "bos comes last"),
        ("inputs[0] = bos\n    inputs[1:] = targets[:-1]",
         "inputs[:2] = bos\n    inputs[2:] = targets[:-2]", "two steps behind"),
        ("inputs[0] = bos\n    inputs[1:] = targets[:-1]",
         "inputs[:, 0] = bos\n    inputs[:, 1:] = targets[:, :-1]", "over the texts"),
        ("    inputs[1:] = targets[:-1]", "    inputs[1:] = bos", "Every input is bos"),
        ("    inputs[0] = bos\n", "", "The first row is 0"),
        ("inputs[0] = bos", "inputs[0] = targets[0]", "The first letter stands twice"),
        ("    inputs =", "    return torch.cat([torch.full_like(targets[:1], bos), targets])\n"
         "    inputs =", "the inputs must have the shape (1, 1), got (2, 1)"),
        ("return inputs", "return inputs.float()", "must be whole numbers, got torch.float32"),
        ("return inputs", "targets[0] = bos\n    return inputs", "its argument targets"),
    ],
}  # fmt: skip
PLANTED["deep"].pop()
for task, append in OUTPUT.items():
    value = append.removeprefix("outputs.append(").removesuffix(")")
    first = "H, = state\n" if task != "lstm" else "(H, C) = state\n"
    zeros = first + "    H = torch.zeros_like(H)\n" + ("    C = 0 * C\n" if task == "lstm" else "")
    PLANTED[task] += [
        (append, append.replace(" + b_q", ""), "b_q is not used"),
        (append, f"outputs.append(torch.softmax({value}, dim=1))", "There is a softmax; the loss"),
        (append, f"outputs.append(torch.tanh({value}))", "There is a tanh around the logits"),
        ("return torch.cat(outputs, dim=0), (H", "return torch.softmax(torch.cat(outputs), 0), (H",
         "over the wrong axis"),
        ("torch.cat(outputs, dim=0)", "torch.stack(outputs, 1).flatten(0, 1)", "text by text"),
        ("torch.cat(outputs, dim=0)", "torch.stack(outputs)", "logits must have the shape"),
        (first, zeros, "The first state is not used: the function begins from zeros"),
        ("dim=0), (H,)" if task != "lstm" else "dim=0), (H, C)", "dim=0), state",
         "The first state is returned"),
        ("dim=0), (H,)" if task != "lstm" else "dim=0), (H, C)", "dim=0), H",
         "The new state must be the tuple"),
        ("for X in inputs:\n", "for X in inputs:\n        H = state[0]\n",
         "The state is not carried on" if task != "lstm" else "H is not carried on"),
        (append, append + "\n        H = H.detach()", "is not: is there a detach()"),
        ("    outputs = []", "    raise NotImplementedError", "Nothing is written yet"),
        ("outputs = []", "outputs = [[]]", "It raises TypeError"),
    ]  # fmt: skip
CASES = [(task, k) for task, rows in PLANTED.items() for k in range(len(rows))]


def written(task, old="", new=""):
    source = RIGHT[task]
    assert old in source
    space = {"torch": torch, "math": math}
    exec(source.replace(old, new), space)
    return space[task]


@pytest.fixture(params=["en", "zh"])
def language(request):
    return request.param


@functools.cache  # a test in Chinese compares with what is said in English
def told(task, old, new, language):
    """What `check` tells whoever wrote a wrong function."""
    with pytest.MonkeyPatch.context() as patch:
        if language != "en":  # the default
            patch.setenv("D2LMINI_LANGUAGE", language)
        with pytest.raises(WrongAnswer) as caught:
            d2l.check(written(task, old, new))
    return str(caught.value)


def assert_told(words, language, task, old, new):
    """A wrong function is told these words; in Chinese, the table's sentence for them."""
    english = told(task, old, new, "en")
    assert words in english
    if language == "en":
        return
    chinese = told(task, old, new, language)
    said = english.partition("\nyours\n")[0]
    sentences = [sentence for sentence in CHINESE if words in told_as(sentence, said)]
    sentence = max(sentences, key=lambda sentence: len(re.sub(PLACE, "", sentence)))
    assert told_as(CHINESE[sentence], chinese)
    chinese, _, values = chinese.partition("\n你的结果\n")
    assert values.split("\n正确结果\n") == english.partition("\nyours\n")[2].split("\nright\n")
    # What Python and PyTorch say of an error stands there as it is, and so does the line of code.
    chinese = re.sub(r"(?s)函数抛出 \w+: .*?(?=\n第 |\n当 )", "函数抛出", chinese)
    assert_chinese(re.sub(r"第 \d+ 行：.*", "第行", chinese))


PLACE = r"\{\w+\}"  # of a value, in a sentence


def told_as(sentence, message):
    """The part of the message that is this sentence with values in it; or nothing."""
    match = pattern(sentence).search(message)
    return match[0] if match else ""


@functools.cache
def pattern(sentence):
    return re.compile(".+".join(map(re.escape, re.split(PLACE, sentence))))


def assert_chinese(words):
    assert re.search(r"[\u4e00-\u9fff]", words)
    assert not re.search(r"[A-Za-z]{2,} [a-z]{2,}", words)  # two English words
    # a space between Chinese and Latin letters; the punctuation is Chinese
    assert not re.search(r"[\u4e00-\u9fff][\w`<(]", re.sub(r"[\u4e00-\u9fff]+", "一", words), re.A)
    assert not re.search(r"[\w`>)][\u4e00-\u9fff]|[\u4e00-\u9fff][,.;:?]", words, re.A)


def test_every_exercise_is_tested():
    assert RIGHT.keys() == EXERCISES.keys() == PLANTED.keys()


@pytest.mark.parametrize("task", RIGHT)
def test_right_functions_pass(task, capsys, monkeypatch):
    for seed in (0, 1, 2**31 - 1):
        d2l.check(written(task), seed=seed)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and len(set(lines)) == 1
    assert lines[0].startswith(f"{task}: ") and ("agree with" in lines[0] or "right" in lines[0])
    other = written(task)
    other.__name__ = "mine"
    d2l.check(other, task)
    capsys.readouterr()
    monkeypatch.setenv("D2LMINI_LANGUAGE", "zh")
    d2l.check(written(task))
    line = capsys.readouterr().out
    assert re.fullmatch(rf"{task}：(\d 组用例全部正确|在 6 种形状下，.*都与方程一致)\n", line)


@pytest.mark.parametrize("task, k", CASES)
def test_planted_mistakes_are_named(task, k, language):
    old, new, words = PLANTED[task][k]
    assert_told(words or "none of the mistakes that are made most", language, task, old, new)
    message = told(task, old, new, language)
    case = {"en": "Nothing is written|\nWith ", "zh": "还没有写|\n当 "}[language]
    assert re.search(case, message)  # the smallest case


@pytest.mark.parametrize("task", RIGHT)
def test_no_two_mistakes_are_the_same_and_none_is_right(task):
    exercise = EXERCISES[task]

    def outcomes(function):
        return [outcome(Trial(exercise, function, 0).run, case) for case in exercise.cases]

    right, found = outcomes(exercise.right), {}
    assert not any(isinstance(results, str) for results in right)
    for words, wrong in exercise.mistakes.items():
        assert len(words) < 100
        results = outcomes(wrong)
        for other, theirs in [("right", right), *found.items()]:
            assert not all(map(agree, results, theirs)), (words, other)
        found[words] = results
    assert len(found) >= 10


@pytest.mark.parametrize("task", ["gru", "vocabulary"])
def test_the_words_of_a_mistake_decide_nothing(task):
    """With a number in the place of every sentence the same mistakes are found."""
    exercise = EXERCISES[task]
    sentences = list(exercise.mistakes)
    mistakes = {str(k): exercise.mistakes[words] for k, words in enumerate(sentences)}
    reworded = exercise._replace(mistakes=mistakes, pairs=tuple)
    single = [row for row in PLANTED[task] if sum(str(row[2]) in words for words in sentences) == 1]
    assert len(single) >= 10
    for old, new, words in single:
        found = check_module.known_mistake(Trial(reworded, written(task, old, new), 0))
        assert words in sentences[int(found)]


def test_the_words_of_a_network_s_mistakes_decide_nothing():
    """A table with numbers for sentences makes as many mistakes, alone and two by two."""
    for task, network in exercises.NETWORKS.items():
        numbered = {str(k): wrong for k, wrong in enumerate(network.mistakes.values())}
        reworded = exercises.network_exercise(network._replace(mistakes=numbered))
        assert len(reworded.mistakes) == len(EXERCISES[task].mistakes)
        assert len(list(reworded.pairs())) == len(list(EXERCISES[task].pairs()))
    common = networks.common_mistakes(network)
    pairs, again = (
        [wrong.keys() for _, wrong in networks.two_at_once(mistakes)]
        for mistakes in (common, {str(k): wrong for k, wrong in enumerate(common.values())})
    )
    assert pairs == again


def test_the_reference_is_the_package_s_network():
    for task in ("rnn", "gru", "lstm"):
        _, _, forward = cells.network(getattr(cells, task))

        def packaged(inputs, state, params, forward=forward):
            logits, new_state = forward(inputs, [part[None] for part in state], params)
            return logits, tuple(part[0] for part in new_state)

        d2l.check(packaged, task)


def test_deep_and_bidirectional_are_those_of_torch():
    """torch.nn.RNN with the same parameters, in the exercise's form."""

    def torch_rnn(inputs, state, params, **kind):
        *params, W_hq, b_q = params
        num_hiddens = state[0].shape[1]
        layer = torch.nn.RNN(inputs.shape[2], num_hiddens, bias=True, **kind)
        weights = []
        for W_x, W_h, b in zip(*[iter(params)] * 3):
            weights += [W_x.T, W_h.T, b, torch.zeros_like(b)]
        names = [name for name, _ in layer.named_parameters()]
        outputs, last = torch.func.functional_call(
            layer, dict(zip(names, weights)), (inputs, torch.stack(list(state)))
        )
        return outputs.flatten(0, 1) @ W_hq + b_q, tuple(last)

    d2l.check(lambda *a: torch_rnn(*a, num_layers=2), "deep")
    d2l.check(lambda *a: torch_rnn(*a, bidirectional=True), "bidirectional")


def test_other_references_agree_with_the_package():
    text = list("the time machine by h g wells")
    assert EXERCISES["vocabulary"].right(text) == d2l.Vocab(text).token_to_idx
    gradients = [torch.randn(3, 2), torch.randn(4)]
    params = [torch.zeros_like(g).requires_grad_() for g in gradients]
    for param, gradient in zip(params, gradients):
        param.grad = gradient.clone()
    torch.nn.utils.clip_grad_norm_(params, 0.5)
    for ours, param in zip(EXERCISES["clip"].right(gradients, 0.5), params):
        torch.testing.assert_close(ours, param.grad, rtol=1e-4, atol=1e-5)
    probabilities = torch.rand(20) + 0.01
    torch.testing.assert_close(
        EXERCISES["perplexity"].right(probabilities),
        torch.nn.functional.nll_loss(probabilities.log()[:, None], torch.zeros(20).long()).exp(),
    )


@pytest.mark.parametrize(
    "line, words",
    [
        ("H = H.data", "is there a detach(), a .data"),
        ("W_hh = W_hh.detach()", "is there a detach()"),
        ("W_hh.mul_(1)", "It changes a tensor in place"),
        ("H = torch.zeros(1, 1, dtype=torch.float64)", "It raises RuntimeError"),
    ],
)
def test_gradients_that_are_cut_off_or_changed_in_place(line, words, language):
    assert_told(words, language, "rnn", "outputs = []", f"{line}; outputs = []")


@pytest.mark.parametrize(
    "task, old, new, words",
    [
        ("rnn", "torch.mm(H, W_hh)", "2 * torch.mm(H, W_hh)", "With W_hh = 0 all is right"),
        ("rnn", "torch.tanh(", "0.9 * torch.tanh(", "Go through the case below"),
        ("rnn", "for X in inputs:\n", "for X in inputs:\n        H = H / (1 + len(outputs))\n",
         "It is right for one letter"),
        ("rnn", "for X in inputs:\n", "for X in inputs:\n        X = X.mean(0, keepdim=True)\n",
         "It is right for one text and wrong for several: are they mixed up"),
        ("lstm", "(H @ W_ho)", "(C @ W_ho)", "With W_ho = 0 all is right"),
        ("gru", "(H @ W_hr) + b_r", "(H @ W_hr) + 2 * b_r", "With b_r or W_hh = 0 all is right"),
    ],
)  # fmt: skip
def test_mistakes_without_a_name_get_a_clue(task, old, new, words, language):
    assert_told(words, language, task, old, new)


def test_results_that_pretend_to_be_tensors():
    class Equal(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return True if func is torch.allclose else super().__torch_function__(func, types, args)

    def rnn(inputs, state, params):
        logits = torch.zeros(inputs.shape[0] * inputs.shape[1], inputs.shape[2])
        return logits.as_subclass(Equal), state

    with pytest.raises(WrongAnswer, match="logits must be a tensor of the shape"):
        d2l.check(rnn)


def test_a_task_that_there_is_not():
    with pytest.raises(ValueError, match="task must be one of 'rnn', 'gru', 'lstm'.*, got 'mine'"):
        d2l.check(len, "mine")
    with pytest.raises(ValueError, match="got '<lambda>'"):
        d2l.check(lambda inputs, state, params: None)


def test_the_difference_is_drawn_in_a_notebook(monkeypatch, pyplot):
    monkeypatch.setattr(check_module, "in_notebook", lambda: True)
    with pytest.raises(WrongAnswer, match="b_h is not used"):
        d2l.check(written("rnn", " + b_h", ""))
    assert not pyplot.get_fignums()  # a name says more
    with pytest.raises(WrongAnswer, match="made most"):
        d2l.check(written("rnn", "torch.tanh(", "0.9 * torch.tanh("))
    titles = [axes.get_title() for axes in pyplot.gcf().axes][:3]
    assert titles == ["yours", "right", "yours - right"]
    yours, right, apart = (axes.images[0].get_array() for axes in pyplot.gcf().axes[:3])
    assert abs(yours - right - apart).max() < 1e-6 and abs(apart).max() > 0.1
    assert yours.shape == (6, 4)  # three steps of two texts


def test_errors_in_the_function_lead_to_its_line():
    source = inspect.cleandoc(RIGHT["rnn"].replace("outputs = []", "outputs = [1 / 0]"))
    space, name = {"torch": torch}, "<a cell of a notebook>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    exec(compile(source, name, "exec"), space)
    with pytest.raises(WrongAnswer) as caught:
        d2l.check(space["rnn"])
    assert "ZeroDivisionError: division by zero\nin line 4: outputs = [1 / 0]" in str(caught.value)
    assert caught.value._render_traceback_() == [f"WrongAnswer: {caught.value}"]


@pytest.mark.parametrize(
    "task, old, new, words",
    [
        ("vocabulary", "    found", "    tokens.clear()\n    found", "its argument tokens"),
        ("batches", "    num_tokens", "    corpus.append(0)\n    num_tokens", "argument corpus"),
        ("clip", "    norm", "    gradients[0] *= 1\n    gradients[1] *= 2\n    norm",
         "its argument gradients"),
        ("perplexity", "    total = 0", "    total = 0; probabilities.log_().exp_()",
         "its argument probabilities"),
        ("rnn", "    outputs", "    params.pop()\n    outputs", "It changes its argument params"),
    ],
)  # fmt: skip
def test_arguments_that_are_changed(task, old, new, words, language):
    assert_told(words, language, task, old, new)


ALSO_RIGHT = [
    ("rnn", "return torch.cat(outputs, dim=0), (H,)", "return [torch.cat(outputs), [H]]"),
    ("lstm", "    outputs = []", "    params = list(params)\n    outputs = []"),
    ("vocabulary", "    return {", "    from collections import Counter\n    return Counter() | {"),
    ("perplexity", "    total = 0", "    import numpy as np\n    p = probabilities.numpy()\n"
     "    return np.exp(-np.mean(np.log(p)))"),
    ("perplexity", "    total = 0", "    return torch.exp(-probabilities.log().mean())"),
    ("batches", "yield X, Y", "yield [X.int(), Y.int()]"),
    ("clip", "return gradients", "return tuple(gradients)"),
    ("clip", "norm > theta", "norm >= theta"),
]  # fmt: skip


@pytest.mark.parametrize("task, old, new", ALSO_RIGHT)
def test_other_ways_to_be_right(task, old, new):
    d2l.check(written(task, old, new))


def test_results_for_a_grader(monkeypatch, tmp_path):
    file = tmp_path / "results"
    monkeypatch.setenv("D2LMINI_SEED", "12345")
    monkeypatch.setenv("D2LMINI_RESULTS", str(file))
    hand_in(written("rnn"), "rnn")
    found = json.loads(file.read_text())["rnn"]
    for seed, equal in ((12345, True), (1, False)):
        expected = numbers(EXERCISES["rnn"].right, "rnn", seed)
        flat = [torch.tensor([x for part in case for x in part]) for case in found]
        wanted = [torch.tensor([x for part in case for x in part]) for case in expected]
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(flat, wanted)) == equal
    with pytest.raises(WrongAnswer, match="b_h is not used"):
        hand_in(written("rnn", " + b_h", ""), "rnn")
    monkeypatch.delenv("D2LMINI_RESULTS")
    hand_in(written("clip"), "clip")
    assert len(file.read_text().splitlines()) == 1


# --- in Chinese --------------------------------------------------------------------------------


def sentences_in_the_code():
    """All strings of the folder that are said: with two words in them, or a place for a value."""
    silent = (ast.Expr, ast.JoinedStr)  # docstrings, and the parts of f-strings
    for path in Path(check_module.__file__).parent.glob("*.py"):
        tree = ast.parse("" if path.name == "chinese.py" else path.read_text(encoding="utf-8"))
        for parent in ast.walk(tree):
            said = isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "say"
            for node in ast.iter_child_nodes(parent):
                words = getattr(node, "value", None) if isinstance(node, ast.Constant) else None
                if isinstance(words, str) and not isinstance(parent, silent):
                    if said or re.search(rf"{PLACE}|[a-z] [a-z]| [a-z]+ ", words):
                        yield words


def test_every_sentence_has_its_chinese_and_the_table_has_no_other():
    assert set(sentences_in_the_code()) - set(check_module.HINTS) == CHINESE.keys()
    names = set()
    for exercise in EXERCISES.values():
        names |= {*exercise.mistakes, exercise.agreed, *exercise.gradients}
        for case in exercise.cases:
            names |= Trial(exercise, exercise.right, 0).right(case).keys()
    names |= {name for net in exercises.NETWORKS.values() for name in net.gates.values()}
    templates = {getattr(name, "template", name) for name in names}
    assert templates - CHINESE.keys() == {"logits", "H", "C", "H1", "H2", "H_f", "H_b"}


def test_sentences_and_their_chinese():
    for english, chinese in CHINESE.items():
        for kept in (PLACE, r"`.*?`", r"<\w+>", r"\w+_\w+|\w+\.\w+|\w+\(|\bbos\b"):
            ours, theirs = (re.findall(kept, words, re.A) for words in (english, chinese))
            assert sorted(ours) == sorted(theirs), english
        assert english.endswith(".") == chinese.endswith("。"), english
        if re.search(r"[a-z]{2} [a-z]", re.sub(PLACE, "", english)):
            assert_chinese(chinese)


def test_mistakes_in_chinese(monkeypatch):
    monkeypatch.setenv("D2LMINI_LANGUAGE", "zh")
    for task, exercise in EXERCISES.items():
        for words in exercise.mistakes:
            assert_chinese(say(words))
        pairs = [words for words, _ in exercise.pairs()]
        assert bool(pairs) == (task in exercises.NETWORKS)
        for words in pairs[:: 1 + len(pairs) // 100]:
            first, second = (say(words.values[name]) for name in "ab")
            assert say(words) == f"看来同时有两处错误。{first}{second}"
    gates = Words("The parameters of {a} and {b} are exchanged.", a="the reset gate", b="the gate")
    assert say(gates) == "重置门和门的参数互换了。"


def test_values_are_said_as_they_are(monkeypatch):
    """What a student wrote may look like a sentence, or like a place for one."""
    monkeypatch.setenv("D2LMINI_LANGUAGE", "zh")
    assert say("It raises {error}", error="KeyError: '{name}'") == "函数抛出 KeyError: '{name}'"
    with pytest.raises(WrongAnswer, match=r"函数抛出 KeyError: '\{words\} \{hint\}'\n"):
        d2l.check(written("clip", "    norm", "    {}['{words} {hint}']\n    norm"))


def test_the_language_is_read_at_each_call(monkeypatch, capsys):
    for value, words in (("zh", "没有用到 b_h。"), ("en", "b_h is not used."), ("", "b_h is not")):
        monkeypatch.setenv("D2LMINI_LANGUAGE", value)
        with pytest.raises(WrongAnswer, match=words):
            d2l.check(written("rnn", " + b_h", ""))
    monkeypatch.setenv("D2LMINI_LANGUAGE", "zh")
    with pytest.raises(ValueError, match="task 必须是 'rnn', .* 之一，实际得到：'mine'"):
        d2l.check(len, "mine")
    monkeypatch.setenv("D2LMINI_LANGUAGE", "Chinese")
    with pytest.raises(ValueError, match="D2LMINI_LANGUAGE must be 'en' or 'zh', got 'Chinese'"):
        d2l.check(written("rnn"))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("value", ["zh", "no such language"])
def test_the_language_changes_nothing_for_a_grader(value, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("D2LMINI_LANGUAGE", value)
    monkeypatch.setenv("D2LMINI_RESULTS", str(tmp_path / "results"))
    hand_in(written("clip"), "clip")
    assert capsys.readouterr().out == "clip: right in 6 cases\n"
    assert json.loads((tmp_path / "results").read_text())["clip"]
    with pytest.raises(WrongAnswer, match="b_h is not used"):
        hand_in(written("rnn", " + b_h", ""), "rnn")
