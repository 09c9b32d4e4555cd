"""d2lmini: the small package under the course on recurrent networks.

    import d2lmini as d2l

Code written for the recurrent chapters of D2L (Zhang, Lipton, Li, Smola: Dive into Deep Learning)
runs with it unchanged. Importing it imports torch; matplotlib, IPython, ipywidgets and pooch are
imported by the first use.
"""

from .checking import check
from .first_edition import (
    data_iter_consecutive,
    data_iter_random,
    load_data_jay_lyrics,
    predict_rnn_pytorch,
    to_onehot,
    train_and_predict_rnn_pytorch,
)
from .history import History
from .inside import gradient_reach, trace
from .loaders import (
    SeqDataLoader,
    load_data_text,
    load_data_time_machine,
    seq_data_iter_random,
    seq_data_iter_sequential,
)
from .models import RNNModel, RNNModelScratch
from .plotting import Animator, plot, set_axes, set_figsize, use_svg_display
from .predict import predict_ch8, sample_index
from .text import (
    DATA_HUB,
    DATA_URL,
    Vocab,
    count_corpus,
    download,
    load_corpus_time_machine,
    read_time_machine,
    tokenize,
)
from .tools import Accumulator, Timer, try_all_gpus, try_gpu
from .training import (
    evaluate_perplexity,
    fit,
    grad_clipping,
    sgd,
    train_ch8,
    train_epoch_ch8,
)
from .weights import compare_gradients, copy_weights

__version__ = "0.1.0"


def __getattr__(name):
    if name == "plt":
        import matplotlib.pyplot

        return matplotlib.pyplot
    if name == "try_it":  # it needs ipywidgets
        from .sliders import try_it

        return try_it
    raise AttributeError(f"module 'd2lmini' has no attribute {name!r}")
