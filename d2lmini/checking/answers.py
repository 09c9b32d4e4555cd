r"""The form that an answer must have, before its numbers are compared."""

import torch

from .words import Words, say


class WrongAnswer(AssertionError):
    """What `check` raises: the mistake in words, the smallest case that shows it, both values."""

    def __init__(self, words, /, **values):
        super().__init__(say(words, **values))

    def _render_traceback_(self):  # IPython shows these lines in place of a long way through here
        return [f"WrongAnswer: {self}"]


def kind(value):
    """What somebody returned, in words."""
    if isinstance(value, torch.Tensor):
        return say("a tensor of the shape {shape}", shape=tuple(value.shape))
    if isinstance(value, (tuple, list)):
        whole = say("a {type} of {length}", type=type(value).__name__, length=len(value))
        parts = say(" and ").join(sorted({type(part).__name__ for part in value}))
        return whole + (say(" ({parts})", parts=parts) if parts else "")
    return say("nothing") if value is None else f"{type(value).__name__}"


def logits_and_state(returned, states, arguments):
    """Logits and the new state; WrongAnswer where they have not the right types and shapes."""
    inputs, state, _ = arguments
    wanted = f"({', '.join(states)}{',' * (len(states) == 1)})"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        words = "It must return two things, logits and {wanted}; got {got}"
        raise WrongAnswer(words, wanted=wanted, got=kind(returned))
    logits, new_state = returned
    if not isinstance(new_state, (tuple, list)) or len(new_state) != len(states):
        words = "The new state must be the tuple {wanted}, got {got}"
        raise WrongAnswer(words, wanted=wanted, got=kind(new_state))
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
            words = "{name} must be a tensor of the shape {shape}, got {got}"
            raise WrongAnswer(words, name=name, shape=shape, got=kind(part))
        if part.shape != shape:
            hint = hints.get(tuple(part.shape), "") if name == "logits" else ""
            raise WrongAnswer(other_shape(name, part, shape) + say(hint))
        if part.dtype != inputs.dtype:
            words = "{name} must be {dtype} like the inputs, got {got}"
            raise WrongAnswer(words, name=name, dtype=inputs.dtype, got=part.dtype)
    return logits, tuple(new_state)


def other_shape(name, found, shape):
    """That a tensor has not the shape that it must have."""
    words = "{name} must have the shape {shape}, got {got}"
    return say(words, name=name, shape=tuple(shape), got=tuple(found.shape))


# --- results by their names, for the functions that are no networks ----------------------------


def dictionary(found):
    """A dictionary, in an order that does not depend on how it was made."""
    if not isinstance(found, dict):
        raise WrongAnswer("It must return a dict, got {got}", got=kind(found))
    found = {key: found[key] for key in sorted(found, key=str)}
    for key, index in found.items():
        found[key] = int(index) if hasattr(index, "__index__") else index  # also NumPy's integers
    return {"the dictionary": found}


def list_of_batches(found):
    """The batches as lists; WrongAnswer where they are none."""
    if not hasattr(found, "__iter__") or isinstance(found, torch.Tensor):
        raise WrongAnswer("It must return a list of (X, Y), got {got}", got=kind(found))
    found = [batch for batch, _ in zip(found, range(1000))]
    for batch in found:
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            raise WrongAnswer("A batch must be a pair (X, Y), got {got}", got=kind(batch))
        for part in batch:
            if type(part) is not torch.Tensor or part.dim() != 2:
                words = "X and Y must be tensors of the shape (batch_size, num_steps), got {got}"
                raise WrongAnswer(words, got=kind(part))
            if part.is_floating_point():
                words = "X and Y must hold whole numbers, got {got}"
                raise WrongAnswer(words, got=part.dtype)
    return {"the batches": [[part.tolist() for part in batch] for batch in found]}


def one_number(found):
    """A perplexity; WrongAnswer where it is not one number."""
    if getattr(found, "shape", ()) != () or not hasattr(found, "__float__"):
        raise WrongAnswer("It must return one number, got {got}", got=kind(found))
    return {"the perplexity": torch.tensor(float(found))}


def list_of_gradients(found):
    """The gradients by their numbers; WrongAnswer where they are no list of tensors."""
    if not isinstance(found, (list, tuple)) or any(type(g) is not torch.Tensor for g in found):
        raise WrongAnswer("It must return a list of tensors, got {got}", got=kind(found))
    return {Words("gradient {number}", number=k): gradient for k, gradient in enumerate(found)}


def states_of_texts(found):
    """One vector for each text; WrongAnswer where it is no tensor."""
    return {"the states": tensor(found, "(batch_size, num_hiddens)")}


def letters_of_texts(found):
    """The decoder's inputs; WrongAnswer where they are no tensor of whole numbers."""
    if tensor(found, "(num_steps, batch_size)").is_floating_point():
        raise WrongAnswer("The inputs must be whole numbers, got {got}", got=found.dtype)
    return {"the inputs": found}


def tensor(found, shape):
    """The same tensor; WrongAnswer where it is none."""
    if type(found) is not torch.Tensor:
        words = "It must return a tensor of the shape {shape}, got {got}"
        raise WrongAnswer(words, shape=shape, got=kind(found))
    return found
