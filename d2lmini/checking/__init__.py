"""What stands behind `d2l.check`: exercises, right answers, and the mistakes that it knows."""

from .check import check
