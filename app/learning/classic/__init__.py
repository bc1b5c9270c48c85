"""The `classic` way of learning: every slice by itself, by the formulas of the batch jobs.

1. `group.py` learns a group: `slices.py` finds the slices of its window, `statistics.py` says what
   their trades made.
2. `materialize.py` judges a module's lessons against its mean; `formulas.py` has each formula.

May touch: nothing but its arguments.
"""
