r"""The cells of the course, each the equations of its paper, and networks of any depth of them.

A cell is one step: it takes the inputs, the state and the parameters, and returns the new state
and its gates by their letters, for those who want to look at them:

    (H,), gates = cells.gru(X, (H,), params)      # gates["Z"], gates["R"]

X: (batch_size, num_inputs). H, C and the gates: (batch_size, num_hiddens). Each `W_x` is
(num_inputs, num_hiddens), each `W_h` (num_hiddens, num_hiddens), each `b` (num_hiddens,).
"""

import torch

from .tools import check_count


def rnn(X, state, params):
    r"""H_t = tanh(X_t W_xh + H_{t-1} W_hh + b_h) (Elman, 1990). params: [W_xh, W_hh, b_h]."""
    W_xh, W_hh, b_h = params
    (H,) = state
    return (torch.tanh(X @ W_xh + H @ W_hh + b_h),), {}


def gru(X, state, params):
    r"""The gated recurrent unit, reset *before* the product (Cho et al., 2014, section 2.3).

    Z_t = σ(X_t W_xz + H_{t-1} W_hz + b_z), R_t = σ(X_t W_xr + H_{t-1} W_hr + b_r),
    H̃_t = tanh(X_t W_xh + (R_t ⊙ H_{t-1}) W_hh + b_h), H_t = Z_t ⊙ H_{t-1} + (1 - Z_t) ⊙ H̃_t.

    params: [W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h].
    """
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h = params
    (H,) = state
    Z = torch.sigmoid(X @ W_xz + H @ W_hz + b_z)
    R = torch.sigmoid(X @ W_xr + H @ W_hr + b_r)
    H_tilde = torch.tanh(X @ W_xh + (R * H) @ W_hh + b_h)
    return (Z * H + (1 - Z) * H_tilde,), {"Z": Z, "R": R}


def gru_reset_after(X, state, params):
    r"""The gated recurrent unit, reset *after* the product: what `torch.nn.GRU` computes.

    As `gru`, but H̃_t = tanh(X_t W_xh + b_h + R_t ⊙ (H_{t-1} W_hh + b_hh)). The form is that of the
    first preprint of Cho et al. (2014), which cuDNN took up: the product with H_{t-1} does not
    wait for the reset gate.

    params: those of `gru`, and b_hh.
    """
    W_xz, W_hz, b_z, W_xr, W_hr, b_r, W_xh, W_hh, b_h, b_hh = params
    (H,) = state
    Z = torch.sigmoid(X @ W_xz + H @ W_hz + b_z)
    R = torch.sigmoid(X @ W_xr + H @ W_hr + b_r)
    H_tilde = torch.tanh(X @ W_xh + b_h + R * (H @ W_hh + b_hh))
    return (Z * H + (1 - Z) * H_tilde,), {"Z": Z, "R": R}


def lstm(X, state, params):
    r"""Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000).

    I_t = σ(X_t W_xi + H_{t-1} W_hi + b_i), F_t and O_t likewise,
    C̃_t = tanh(X_t W_xc + H_{t-1} W_hc + b_c),
    C_t = F_t ⊙ C_{t-1} + I_t ⊙ C̃_t, H_t = O_t ⊙ tanh(C_t).

    state: (H, C). params: [W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c].
    """
    W_xi, W_hi, b_i, W_xf, W_hf, b_f, W_xo, W_ho, b_o, W_xc, W_hc, b_c = params
    H, C = state
    I = torch.sigmoid(X @ W_xi + H @ W_hi + b_i)
    F = torch.sigmoid(X @ W_xf + H @ W_hf + b_f)
    O = torch.sigmoid(X @ W_xo + H @ W_ho + b_o)
    C_tilde = torch.tanh(X @ W_xc + H @ W_hc + b_c)
    C = F * C + I * C_tilde
    return (O * torch.tanh(C), C), {"I": I, "F": F, "O": O}


# A cell's gates and candidates, in the order of its params, and the parts of its state.
LETTERS = {rnn: "h", gru: "zrh", gru_reset_after: "zrh", lstm: "ifoc"}
STATES = {rnn: "H", gru: "H", gru_reset_after: "H", lstm: "HC"}


def names(cell, bias=True):
    """The names of a cell's parameters, in their order."""
    kinds = ("W_x", "W_h", "b_") if bias else ("W_x", "W_h")
    extra = ["b_hh"] if bias and cell is gru_reset_after else []
    return [kind + letter for letter in LETTERS[cell] for kind in kinds] + extra


def unroll(cell, inputs, state, params):
    """Read inputs (num_steps, batch_size, num_inputs) step by step, with the same parameters.

    Returns H after every step, (num_steps, batch_size, num_hiddens), and the last state.
    """
    outputs = []
    for X in inputs:
        state, _ = cell(X, state, params)
        outputs.append(state[0])
    return torch.stack(outputs), state


def stack(cell, inputs, state, params, bidirectional=False, unroll=unroll):
    """Layers of a cell, each reading the outputs of the one below, in one direction or two.

    params: a list of parameters for each layer; with two directions, for each layer's forward
    and then its backward direction.
    state: H, or H and C, each (layers * directions, batch_size, num_hiddens), in that order too.

    Returns the top layer's outputs (num_steps, batch_size, directions * num_hiddens) and the
    state after each layer's and direction's last step, laid out as `torch.nn` does.
    """
    directions, last_states = 2 if bidirectional else 1, []
    for k in range(0, len(params), directions):
        forward, last = unroll(cell, inputs, [part[k] for part in state], params[k])
        last_states.append(last)
        if bidirectional:  # read from the end; then turn round, so that step t meets step t
            first = [part[k + 1] for part in state]
            backward, last = unroll(cell, inputs.flip(0), first, params[k + 1])
            last_states.append(last)
            forward = torch.cat([forward, backward.flip(0)], dim=2)
        inputs = forward
    return inputs, tuple(torch.stack(part) for part in zip(*last_states))


def network(cell, num_layers=1, bidirectional=False, bias=True, unroll=unroll):
    """The three functions that make a language model of a cell, for `RNNModelScratch`:

        d2l.RNNModelScratch(28, 256, device, *cells.network(cells.lstm, num_layers=2))

    All parameters start uniformly between ±1/√num_hiddens, as those of `torch.nn` do. They stand
    layer by layer and direction by direction, each in the order of its cell; W_hq and b_q of the
    output layer are last. The state is H, or H and C, each (layers * directions, batch_size,
    num_hiddens).
    """
    if cell not in LETTERS:
        raise ValueError(f"cell must be one of d2lmini.cells, got {cell}")
    check_count("num_layers", num_layers)
    directions, per_cell = 2 if bidirectional else 1, len(names(cell, bias))

    def get_params(vocab_size, num_hiddens, device):
        rows = {"W_h": num_hiddens, "W_x": vocab_size}
        params = []
        for _ in range(num_layers):
            for name in names(cell, bias) * directions:
                shape = (rows[name[:3]], num_hiddens) if name[0] == "W" else (num_hiddens,)
                params.append(torch.empty(shape, device=device))
            rows["W_x"] = directions * num_hiddens
        params.append(torch.empty((directions * num_hiddens, vocab_size), device=device))
        params.append(torch.empty(vocab_size, device=device))
        bound = num_hiddens**-0.5
        return [param.uniform_(-bound, bound).requires_grad_() for param in params]

    def init_state(batch_size, num_hiddens, device):
        shape = (num_layers * directions, batch_size, num_hiddens)
        return tuple(torch.zeros(shape, device=device) for _ in STATES[cell])

    def forward(inputs, state, params):
        *params, W_hq, b_q = params
        layers = [params[k : k + per_cell] for k in range(0, len(params), per_cell)]
        if not bias:
            layers = [_with_zero_biases(cell, weights) for weights in layers]
        outputs, state = stack(cell, inputs, state, layers, bidirectional, unroll)
        return torch.addmm(b_q, outputs.flatten(0, 1), W_hq), state

    return get_params, init_state, forward


def _with_zero_biases(cell, weights):
    zeros, weights = torch.zeros_like(weights[-1][0]), iter(weights)
    return [next(weights) if name[0] == "W" else zeros for name in names(cell)]
