"""The `integrated` learning method: choose the few slices that explain the outcomes, and judge them
among all slices searched in the module.

`group.py` learns a group, refit by refit (`group_refit.py`), and `judge.py` judges the lessons of a
module.

| a group's learner | |
|---|---|
| `group_search.py` | searches a group: the next files are its steps |
| `candidates.py` | mines its slices |
| `clipping.py` | bounds at which outcomes are clipped |
| `selection.py` | chooses the slices with an effect |
| `autocorrelation.py`, `saddlepoint.py`, `error_rate.py` | how certain that is |
| `shared_effects.py`, `persistence.py`, `prior_share.py` | the many effects too weak to be chosen |
| `half_life.py`, `observed_uplifts.py`, `edge_models.py` | what is left of each effect |
| `effect_history.py`, `quality_metrics.py` | each effect, day by day |
| `sketches.py` | a sample of the trades of each slice |
| `track_record.py` | what the learners would have predicted at past times |
| `lesson_records.py` | makes the lessons of all this |
| `provisional_estimates.py`, `provisional_edges.py` | estimate effects again between refits |

| a module's judge | |
|---|---|
| `held_lesson.py`, `held_lessons.py` | the lessons that are judged |
| `group_path.py` | the chosen effects of a group, in order, and their fits |
| `judged_groups.py` | runs the steps for each group, where something has changed |
| `net_of_segments.py` | subtracts what segments explain |
| `whole_groups.py` | judges the level of a group |
| `merging.py` | merges effects with the same evidence |
| `category_weights.py`, `learner_weight.py`, `block_products.py` | how far each learner counts |
| `chosen_and_shared.py` | adds up chosen and shared effects |
| `regime_gains.py`, `regime_refinements.py` | the gains by regime |
| `regime_weights.py`, `regime_cells.py`, `regime_contrast.py` | learn the weights of regimes |
| `sizing.py` | decides the size of each override |
| `expiry.py` | until when each override holds |
| `judge_records.py` | makes the records |

| slices that are one piece of evidence | |
|---|---|
| `latent_factors.py` | finds them |
| `distinct_sketches.py`, `sketch_store.py` | what is compared, and how it is held |
| `components.py`, `jaccards.py`, `linkage.py` | which are alike, and which belong together |

May touch: nothing but its arguments.
"""
