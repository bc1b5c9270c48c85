"""What the learners change and whether it would have helped, from the closed trades.

| file | what |
|---|---|
| `trades.py` | the closed trades, of the log or of files, and the decisions in them |
| `timeline.py` | what was known at a time |
| `variants.py`, `peers.py` | what is compared: settings, and simple tools |
| `walk_forward.py` | learn up to a day, and size what follows |
| `score.py` | what that was worth |
| `placebo.py`, `decay.py`, `regime_gains.py` | a test for each learner |
| `differences.py`, `duplicates.py` | two sets of overrides, and those with the same evidence |
| `exploration.py` | what sizing is worth, from decisions that explored |
| `bootstrap.py` | how certain a figure is |
| `answers.py` | yes, no, or not enough data |
| `work.py` | all of this, spread over processes |
| `assess.py`, `document.py` | the result as one document |

May touch: the broker and files (read only), and processes of its own.
"""
