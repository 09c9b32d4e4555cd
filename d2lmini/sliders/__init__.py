"""What stands behind `d2l.try_it`: sliders, and the training runs that they lead to."""

from .try_it import try_it
