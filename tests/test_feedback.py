"""Planted mistakes are called by their names: students' functions with one line changed each."""

import pytest
import torch

import d2lmini as d2l
from d2lmini import cells, feedback
from d2lmini.mistakes import mistakes

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
RIGHT = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
OUTPUT = {
    "rnn": "outputs.append(torch.mm(H, W_hq) + b_q)",
    "gru": "outputs.append(H @ W_hq + b_q)",
    "lstm": "outputs.append((H @ W_hq) + b_q)",
}
PLANTED = {
    "rnn": [
        ("torch.tanh(", "(", "There is no tanh"),
        ("torch.tanh(", "torch.sigmoid(", "There is a σ where the RNN has tanh"),
        ("torch.tanh(", "torch.relu(", "There is a ReLU"),
        (" + b_h", "", "b_h is not used"),
        ("torch.mm(H, W_hh)", "torch.mm(H, W_hh.T)", "W_hh is turned"),
        (" + torch.mm(H, W_hh)", "", "W_hh is not used"),
    ],
    "gru": [
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
        (" + b_r", "", "b_r is not used"),
        ("(H @ W_hr)", "(H @ W_hr.T)", "W_hr is turned"),
        ("Z = torch.sigmoid((X @ W_xz) + (H @ W_hz) + b_z)",
         "Z = torch.sigmoid((X @ W_xr) + (H @ W_hr) + b_r)", None),
        ("W_xz, W_hz, b_z, W_xr, W_hr, b_r,", "W_xr, W_hr, b_r, W_xz, W_hz, b_z,",
         "The parameters of the update gate and the reset gate are exchanged"),
    ],
    "lstm": [
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
        ("return torch.cat(outputs, dim=0), (H, C)", "return torch.cat(outputs, dim=0), (C, H)",
         "H and C are returned the wrong way round"),
        ("(H, C) = state", "(C, H) = state", None),
        ("W_xi, W_hi, b_i, W_xf, W_hf, b_f,", "W_xf, W_hf, b_f, W_xi, W_hi, b_i,",
         "F and I, or their parameters, are"),
    ],
}  # fmt: skip
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
         "The state is not carried on" if task != "lstm" else None),
        (append, append + "\n        H = H.detach()", "is not: is there a detach()"),
        ("    outputs = []", "    raise NotImplementedError", "Nothing is written yet"),
        ("outputs = []", "outputs = [[]]", "It raises TypeError"),
    ]  # fmt: skip
CASES = [(task, k) for task, rows in PLANTED.items() for k in range(len(rows))]


def written(task, old="", new=""):
    source = RIGHT[task]
    assert old in source
    space = {"torch": torch}
    exec(source.replace(old, new), space)
    return space[task]


@pytest.mark.parametrize("task", RIGHT)
def test_right_functions_pass(task, capsys):
    d2l.check(written(task))
    assert capsys.readouterr().out == (
        f"{task}: logits, states and gradients agree with the equations in 6 shapes\n"
    )
    other = written(task)
    other.__name__ = "mine"
    d2l.check(other, task)


@pytest.mark.parametrize("task, k", CASES)
def test_planted_mistakes_are_named(task, k):
    old, new, words = PLANTED[task][k]
    with pytest.raises(d2l.feedback.WrongAnswer) as caught:
        d2l.check(written(task, old, new))
    message = str(caught.value)
    assert (words or "none of the mistakes that are made most") in message
    if "Nothing is written" not in message and "new state must" not in message:
        assert "num_steps=" in message and "num_hiddens=" in message


@pytest.mark.parametrize("task", RIGHT)
def test_no_two_mistakes_are_the_same_and_none_is_right(task):
    cell = feedback.TASKS[task]
    found = {}
    for words, parts in mistakes(cell).items():
        assert words not in found and len(words) < 100
        found[words] = [
            feedback.run(feedback.network(cell, **parts), cell, feedback.make_case(cell, shape))
            for shape in feedback.SHAPES
        ]
    right = [
        feedback.run(feedback.network(cell), cell, feedback.make_case(cell, shape))
        for shape in feedback.SHAPES
    ]
    names = list(found)
    for k, words in enumerate(names):
        for other in [right, *(found[name] for name in names[:k])]:
            assert not all(map(feedback.agree, found[words], other)), words
    assert len(found) >= 10


def test_the_reference_is_the_package_s_network():
    for task, cell in feedback.TASKS.items():
        _, _, forward = cells.network(cell)
        inputs, state, params = feedback.make_case(cell, (3, 2, 4, 5))

        def packaged(inputs, state, params, forward=forward):
            logits, new_state = forward(inputs, [part[None] for part in state], params)
            return logits, tuple(part[0] for part in new_state)

        d2l.check(packaged, task)


@pytest.mark.parametrize(
    "line, words",
    [
        ("H = H.data", "is there a detach(), a .data"),
        ("W_hh = W_hh.detach()", "is there a detach()"),
        ("W_hh.mul_(1)", "It raises RuntimeError: a leaf Variable"),
        ("H = torch.zeros(1, 1, dtype=torch.float64)", "It raises RuntimeError"),
    ],
)
def test_gradients_that_are_cut_off_or_changed_in_place(line, words):
    with pytest.raises(feedback.WrongAnswer) as caught:
        d2l.check(written("rnn", "outputs = []", f"{line}; outputs = []"))
    assert words in str(caught.value)


def test_a_task_that_there_is_not():
    with pytest.raises(ValueError, match="task must be one of 'rnn', 'gru', 'lstm', got 'mine'"):
        d2l.check(len, "mine")
    with pytest.raises(ValueError, match="got '<lambda>'"):
        d2l.check(lambda inputs, state, params: None)
