"""The `integrated` learning method: choose the few slices that explain the outcomes, and judge them
among all slices searched in the module.

1. `group.py` learns a group.  `group_search.py` searches it: `candidates.py` mines its slices,
   `selection.py` chooses those with an effect (with `clipping.py`, `lag_pairs.py`,
   `saddlepoint.py`, `error_rate.py`), `shared.py` estimates the many weak ones.
   `lesson_records.py` makes its lessons: `half_life.py` estimates what is left of each effect (with
   `observations.py` and `edge_models.py`), `history.py` tracks each day by day, `sketches.py`
   sketches the trades of each.  Between two refits `between.py` and `bank.py` estimate them again.
2. `judge.py` judges a module's lessons, a step a file: `paths.py` has the fits of each group,
   `netting.py` subtracts what segments explain, `whole_groups.py` judges the level of a group,
   `merging.py` merges effects with the same evidence, `regime_gains.py` adds the gains by regime
   (learned in `regimes.py`), `sizing.py` decides the size of each override, `judge_records.py`
   makes the records, `expiry.py` says until when each override holds.
3. `factors.py` finds the slices that are one piece of evidence, with `sketches.py`,
   `sketch_store.py`, `points.py`, `components.py`, `jaccards.py` and `linkage.py`.

May touch: nothing but its arguments.
"""
