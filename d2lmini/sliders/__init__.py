"""What stands behind `d2l.try_it`: sliders, and the training runs that they lead to.

`try_it.py` checks the arguments, `panel.py` is the widget, `run.py` trains, `picture.py` draws,
and `background.py` is the thread.
"""

from .try_it import try_it
