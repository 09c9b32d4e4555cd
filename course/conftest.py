"""Lets the bare `pytest --nbval course` work whatever kernel name a notebook carries.

The homework has gaps where students write, and is not executed; tests/test_grading.py fills them.
The Chinese notebooks have the code and the outputs of the English ones (tests/test_translation.py).
"""

import os

collect_ignore = ["homework", "zh"]


def pytest_configure(config):
    # Without nbval installed there is no such option, and plain pytest goes on as ever.
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = True
        # Many CI images set MPLBACKEND=Agg. A kernel inherits it, and then it shows no figures,
        # so that every stored figure would be reported as missing.
        os.environ.pop("MPLBACKEND", None)
