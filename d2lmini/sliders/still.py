"""The widget around the panel of `try_it`, with a still picture for where no kernel moves it.

Such places are GitHub, and a fresh clone, which Jupyter does not trust.
"""

import warnings
from io import BytesIO

from ..plotting import STYLE, set_axes

INK, ACCENT = "#444444", "#0072B2"


def box_class(w, panel):
    """The class of a panel's widget, a box of the module `w`, which is ipywidgets."""

    class Box(w.VBox):
        @property
        def runs(self):
            return list(panel.runs)

        def __repr__(self):
            return "Sliders for hidden size and learning rate: run this cell to use them."

        def _ipython_display_(self, **kwargs):
            """Show widget, picture and words as one output: where one does not show, another."""
            from IPython.display import display

            view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
            data = {"application/vnd.jupyter.widget-view+json": view}
            display(data | {"image/png": draw_still(panel), "text/plain": repr(self)}, raw=True)

        def close(self):
            panel.stop.set()
            for child in self.children:
                close(child)
            super().close()

    return Box


def close(widget):
    """Close a widget with all its parts: ipywidgets would keep each of them for ever."""
    for child in getattr(widget, "children", ()):
        close(child)
    for part in (getattr(widget, "style", None), widget.layout):
        if part is not None:
            part.close()
    widget.close()


def draw_still(panel):
    """The panel at rest, as a PNG."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a label may be in letters that the font lacks
        return _draw(panel)


def _draw(panel):
    from matplotlib.figure import Figure

    sizes = panel.hidden.options
    places = [sizes.index(panel.hidden.value) / (len(sizes) - 1), 2 / 3]
    values = [str(panel.hidden.value), f"{panel.rate.value:.2g}"]
    height = 3.2 + 0.28 * (3 + len(panel.menus))  # inches
    figure = Figure(figsize=(6.6, height))
    page = figure.add_axes([0, 0, 1, 1])
    page.set(xlim=(0, 6.6), ylim=(0, height))
    page.axis("off")

    def write(x, text, **look):
        page.text(
            x, y, text, parse_math=False, **{"va": "center", "color": INK, "fontsize": 9.5, **look}
        )

    y = height - 0.25
    for name, place, value in zip(("Hidden size", "Learning rate"), places, values):
        write(1.1, name, ha="right")
        page.plot([1.25, 4.2], [y, y], color="#bbbbbb", linewidth=3, solid_capstyle="round")
        page.plot([1.25 + 2.95 * place], [y], "o", color=ACCENT, markersize=9)
        write(4.35, value)
        y -= 0.28
    for menu in panel.menus.values():
        write(1.1, menu.description, ha="right")
        write(1.25, f"{menu.value}  ▾")
        y -= 0.28
    write(0.6, "▶ Train", ha="center", bbox={"boxstyle": "round", "fc": "#eeeeee", "ec": "#cccccc"})
    write(1.25, "Run this cell to use the sliders.")

    bottom, tall, guess = 0.5 / height, 2.5 / height, panel.vocab_size
    frame = figure.add_axes([0.09, bottom, 0.38 if panel.measure else 0.88, tall])
    limits = (0, panel.num_epochs), (1, 2 * guess)
    set_axes(frame, "epoch", "perplexity", *limits, "linear", "log", None)
    if panel.measure:
        names = panel.measure["xlabel"], panel.measure["ylabel"]
        scales = "linear", panel.measure["yscale"]
        beside = figure.add_axes([0.6, bottom, 0.38, tall])
        set_axes(beside, *names, None, None, *scales, None)
        beside.tick_params(labelleft=False, labelbottom=False)  # nobody knows yet how far
    frame.axhline(guess, color=INK, linestyle=":")
    frame.annotate(
        f"uniform guess: {guess}", (1, guess), (-2, 4), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", color=INK, fontsize=9,
    )  # fmt: skip
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    return picture.getvalue()
