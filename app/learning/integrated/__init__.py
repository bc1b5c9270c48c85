"""The `integrated` way of learning: the few slices that explain the outcomes, judged among all that were searched in the module.

1. `group.py` learns a group: `candidates.py` mines its slices, `effects.py` selects those with an effect, `half_life.py` says what is left
   of each, `history.py` how each fared day by day, `factors.py` sketches the trades of each.
2. `judge.py` judges a module's lessons: `factors.py` finds those that are one piece of evidence, `regimes.py` how edges differ by regime.

May touch: nothing but its arguments.
"""
