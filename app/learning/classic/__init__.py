"""The `classic` learning method: every slice alone, by the formulas of the batch jobs.

1. `group.py` learns a group: `slices.py` finds the slices of its window, `statistics.py` has the
   statistics of their trades.
2. `judge.py` judges a module's lessons against its mean; `formulas.py` has each formula.

May touch: nothing but its arguments.
"""
