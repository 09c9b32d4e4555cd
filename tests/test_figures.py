"""The pictures over text: what is drawn is the data that was given, letter by letter."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from d2lmini import figures

pytestmark = pytest.mark.usefixtures("pyplot")


def test_a_heatmap_shows_the_values_over_their_letters():
    values = torch.tensor([[0.0, 0.5, 1.0, 0.25], [1.0, 0.0, 0.0, 0.75]], requires_grad=True)
    figures.show_over_text(values, "a cd", ["unit 3", "unit 7"], (0, 1), "Z")
    axes, scale = plt.gcf().axes
    (picture,) = axes.images
    np.testing.assert_array_equal(picture.get_array(), values.detach())
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "␣", "c", "d"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["unit 3", "unit 7"]
    assert picture.get_clim() == (0, 1)
    assert scale.get_ylabel() == "Z"


def test_more_is_darker_and_the_sign_is_a_colour():
    def colours(values, limits):
        figures.show_over_text([values], "xyz"[: len(values)], ["row"], limits)
        (picture,) = plt.gcf().axes[0].images
        return picture.to_rgba(picture.get_array())[0, :, :3]

    bright = colours([0.0, 0.5, 1.0], (0, 1)).sum(axis=1)
    assert bright[0] > bright[1] > bright[2]
    purple, white, orange = colours([-2.0, 0.0, 2.0], (-2, 2))
    assert purple[2] > purple[0] and orange[0] > orange[2]  # blue over red, red over blue
    assert white.min() > 0.9


def test_values_that_do_not_fit_their_text_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 3\), got \(1, 4\)"):
        figures.show_over_text(torch.zeros(1, 4), "abc", ["row"])


def test_a_batch_colours_the_letters_that_it_holds():
    text = "abcdefgh"
    batches = [
        (torch.tensor([[0, 1], [4, 5]]), None),
        (torch.tensor([[2, 3], [6, 7]]), None),
    ]
    figures.show_batches(text, batches)
    axes = plt.gcf().axes[0]
    boxes = {p.get_xy(): p for p in axes.patches if isinstance(p, Rectangle)}
    for line, (X, _) in enumerate(batches):
        for position in range(len(text)):
            rows = [row for row, positions in enumerate(X.tolist()) if position in positions]
            face = boxes[position, line].get_facecolor()
            if rows:
                assert to_hex(face) == figures.ROWS[rows[0]]
            else:
                assert face[3] == 0  # transparent
    letters = [t.get_text() for t in axes.texts]
    assert letters.count("batch 1") == letters.count("batch 2") == 1
    assert [t for t in letters if len(t) == 1] == list(text) * 2
