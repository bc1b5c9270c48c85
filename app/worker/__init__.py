"""The parts of a worker process around its agents.

| file | what |
|---|---|
| `process.py` | the Faust app: its settings, and a stop that cannot hang |
| `preflight.py` | before a worker starts: broker, topics, database |
| `connecting.py` | wait for the broker while the worker starts |
| `agreement.py` | the settings that all workers agree on |
| `batches.py` | Faust's consumer, with many records as one event |
| `memory.py` | wait until there is memory |
| `health.py` | `/healthz`, `/readyz` and `/metrics` |
| `lag_watch.py` | the lag of each role, as metrics |
| `logs.py` | the lines that a worker logs |
| `exits.py` | every way in which a worker ends at once |

These decide that a worker ends: `preflight.py` and `agreement.py`, `broker_away.py` (the broker has
been away for too long), `log_guard.py` (the log is another one) and `watchdog.py` (nothing moves).
"""
