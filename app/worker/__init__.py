"""The parts of a worker process around its agents.

| file | what |
|---|---|
| `process.py` | the Faust app: its settings, and a stop that cannot hang |
| `preflight.py` | before a worker starts: broker, topics, database |
| `connecting.py` | wait for the broker while the worker starts |
| `agreement.py` | the settings that all workers agree on |
| `batches.py` | Faust's consumer, with many records as one event |
| `memory.py` | wait until there is memory |
| `helpers.py`, `helper_main.py` | processes that help with a backlog |
| `health.py` | `/healthz`, `/readyz` and `/metrics` |
| `lag_watch.py` | the lag of each role, as metrics |
| `logs.py` | the lines that a worker logs |
| `end_process.py` | every way in which a worker ends at once |

These decide that a worker ends:

* before it takes input: `preflight.py`, `agreement.py`, `connecting.py` (no broker answers) and
  `health.py` (it cannot listen);
* later: `agreement.py` (other settings hold), `broker_away.py` (the broker has been away for too
  long), `log_guard.py` (the log is another one), `watchdog.py` (nothing moves) and `lag_watch.py`
  (reading the lag failed);
* `process.py`: a task ended unnoticed, or a stop hangs;
* outside this package, when their own work failed or may not go on: `app/stages/projector.py`,
  `app/ownership/owner.py` and `agents/ingest.py`.

May touch: the process, the broker, PostgreSQL (read only), one listening socket; `memory` also
/proc and /sys (read only).
"""
