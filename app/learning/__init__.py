"""The core: what is learned from closed trades.

| where | what |
|---|---|
| `common/` | what both learning methods use |
| `classic/`, `integrated/` | the two learning methods |
| `methods.py` | both behind one interface |
| `engine.py` | one module in one process, from trades to overrides |

May touch: nothing but its arguments.
"""
