r"""The form that an answer must have, before its numbers are compared."""

import torch


class WrongAnswer(AssertionError):
    """What `check` raises: the mistake in words, the smallest case that shows it, both values."""

    def _render_traceback_(self):  # IPython shows these lines in place of a long way through here
        return [f"WrongAnswer: {self}"]


def kind(value):
    """What somebody returned, in words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of the shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        parts = " and ".join(sorted({type(part).__name__ for part in value}))
        return f"a {type(value).__name__} of {len(value)}" + f" ({parts})" * bool(parts)
    return "nothing" if value is None else f"{type(value).__name__}"


def logits_and_state(returned, states, arguments):
    """Logits and the new state; WrongAnswer where they have not the right types and shapes."""
    inputs, state, _ = arguments
    wanted = f"({', '.join(states)}{',' * (len(states) == 1)})"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise WrongAnswer(f"It must return two things, logits and {wanted}; got {kind(returned)}")
    logits, new_state = returned
    if not isinstance(new_state, (tuple, list)) or len(new_state) != len(states):
        raise WrongAnswer(f"The new state must be the tuple {wanted}, got {kind(new_state)}")
    num_steps, batch_size, vocab_size = inputs.shape
    hints = {
        (num_steps, batch_size, vocab_size): ": put the steps below one another, with torch.cat",
        (batch_size, num_steps * vocab_size): ": put the steps below one another, along axis 0",
        (batch_size, vocab_size): ", as of one step: collect those of every step, and return "
        "after the loop",
        (num_steps * state[0].shape[1], vocab_size): ": is there a `*` where a product with a "
        "matrix belongs? That is `@`",
    }
    shapes = {"logits": (num_steps * batch_size, vocab_size)}
    shapes |= {name: tuple(part.shape) for name, part in zip(states, state)}
    for part, (name, shape) in zip((logits, *new_state), shapes.items()):
        if type(part) is not torch.Tensor:
            raise WrongAnswer(f"{name} must be a tensor of the shape {shape}, got {kind(part)}")
        if part.shape != shape:
            hint = hints.get(tuple(part.shape), "") if name == "logits" else ""
            raise WrongAnswer(f"{name} must have the shape {shape}, got {tuple(part.shape)}{hint}")
        if part.dtype != inputs.dtype:
            raise WrongAnswer(f"{name} must be {inputs.dtype} like the inputs, got {part.dtype}")
    return logits, tuple(new_state)


# --- results by their names, for the functions that are no networks ----------------------------


def dictionary(found):
    """A dictionary, in an order that does not depend on how it was made."""
    if not isinstance(found, dict):
        raise WrongAnswer(f"It must return a dict, got {kind(found)}")
    found = {key: found[key] for key in sorted(found, key=str)}
    for key, index in found.items():
        found[key] = int(index) if hasattr(index, "__index__") else index  # also NumPy's integers
    return {"the dictionary": found}


def list_of_batches(found):
    """The batches as lists; WrongAnswer where they are none."""
    if not hasattr(found, "__iter__") or isinstance(found, torch.Tensor):
        raise WrongAnswer(f"It must return a list of (X, Y), got {kind(found)}")
    found = [batch for batch, _ in zip(found, range(1000))]
    for batch in found:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise WrongAnswer(f"A batch must be a pair (X, Y), got {kind(batch)}")
        for part in batch:
            if type(part) is not torch.Tensor or part.dim() != 2:
                wanted = "tensors of the shape (batch_size, num_steps)"
                raise WrongAnswer(f"X and Y must be {wanted}, got {kind(part)}")
            if part.is_floating_point():
                raise WrongAnswer(f"X and Y must hold whole numbers, got {part.dtype}")
    return {"the batches": [[part.tolist() for part in batch] for batch in found]}


def one_number(found):
    """A perplexity; WrongAnswer where it is not one number."""
    if getattr(found, "shape", ()) != () or not hasattr(found, "__float__"):
        raise WrongAnswer(f"It must return one number, got {kind(found)}")
    return {"the perplexity": torch.tensor(float(found))}


def list_of_gradients(found):
    """The gradients by their numbers; WrongAnswer where they are no list of tensors."""
    if not isinstance(found, (list, tuple)) or any(type(g) is not torch.Tensor for g in found):
        raise WrongAnswer(f"It must return a list of tensors, got {kind(found)}")
    return {f"gradient {k}": gradient for k, gradient in enumerate(found)}


def states_of_texts(found):
    """One vector for each text; WrongAnswer where it is no tensor."""
    return {"the states": tensor(found, "(batch_size, num_hiddens)")}


def letters_of_texts(found):
    """The decoder's inputs; WrongAnswer where they are no tensor of whole numbers."""
    if tensor(found, "(num_steps, batch_size)").is_floating_point():
        raise WrongAnswer(f"The inputs must be whole numbers, got {found.dtype}")
    return {"the inputs": found}


def tensor(found, shape):
    """The same tensor; WrongAnswer where it is none."""
    if type(found) is not torch.Tensor:
        raise WrongAnswer(f"It must return a tensor of the shape {shape}, got {kind(found)}")
    return found
