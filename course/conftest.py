"""Lets the bare `pytest --nbval course` work whatever kernel name a notebook carries."""


def pytest_configure(config):
    # Without nbval installed there is no such option, and plain pytest goes on as ever.
    if getattr(config.option, "nbval", False):
        config.option.nbval_current_env = True
