"""Our commands on Faust's command line: importing this registers them beside `worker`.

May touch: nothing; each command says what it touches.
"""

from app.commands import diff, doctor, explain, learned, migrate, produce, resolve, stack, status, topics, worker, workers

__all__ = ["diff", "doctor", "explain", "learned", "migrate", "produce", "resolve", "stack", "status", "topics", "worker", "workers"]
