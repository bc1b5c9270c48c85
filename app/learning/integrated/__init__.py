"""The `integrated` way of learning: the few slices that explain the outcomes, judged among all that
were searched in the module.

1. `group.py` learns a group: `candidates.py` mines its slices, `selection.py` chooses those with an
   effect (with `clipping.py`, `lag_pairs.py`, `saddlepoint.py`, `error_rate.py`), `half_life.py`
   says what is left of each, `history.py` how each fared day by day, `sketches.py` sketches the
   trades of each.
2. `judge.py` judges a module's lessons, a step a file: `paths.py` has the fits of each group,
   `netting.py` takes off what segments explain, `whole_groups.py` does so for the level of a group,
   `merging.py` makes one of effects that are one piece of evidence, `regime_gains.py` adds how
   edges differ by regime (`regimes.py` learns it), `records.py` puts it into records.
3. `factors.py` finds the slices that are one piece of evidence, with `sketches.py`, `points.py`,
   `components.py`, `jaccards.py` and `linkage.py`.

May touch: nothing but its arguments.
"""
