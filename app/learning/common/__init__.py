"""What both learning methods use.

| file | what |
|---|---|
| `config.py`, `event_time.py` | the settings, and time as a number |
| `trade.py`, `trade_columns.py`, `fact_trades.py` | trades as a group sees them, from facts |
| `window.py`, `item_names.py`, `sieve.py` | the trades that a group learns from |
| `segments.py`, `baselines.py` | what a trade earns without any pattern |
| `size_unit.py`, `multiplier.py` | from an edge to a size: its unit, its bounds and its grid |
| `refit.py` | what a refit changed |
| `outbox.py`, `digests.py`, `changes.py` | what differs from what is published |
| `columns.py`, `packed_list.py`, `rounding.py` | numbers of all groups, short bytes, rounding |

May touch: nothing but its arguments.  Imports neither `app.learning.classic` nor
`app.learning.integrated`.
"""
