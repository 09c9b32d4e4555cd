r"""What stands behind `d2l.check`: exercises, right answers, and the mistakes that it knows.

check.py compares a function with a right one and says what is wrong; hand_in.py does the same for
graders. exercises.py has what can be checked: the functions, the cases that they are tried with,
and their mistakes, which stand in one file for each cell (mistakes_in_gru.py and so on), each a
row of a table. networks.py makes a network with a mistake in it out of such a row. words.py says
every sentence in the language of its reader; chinese.py is the table of translations.
"""

from .check import check
