"""Our commands on Faust's command line: importing this registers them beside `worker`.

May touch: nothing; each command says what it touches.
"""

from app.commands import (
    audit,
    diff,
    dlq,
    doctor,
    explain,
    export,
    import_,
    learned,
    migrate,
    produce,
    replay,
    resolve,
    stack,
    status,
    topics,
    worker,
    workers,
)

__all__ = [
    "audit",
    "diff",
    "dlq",
    "doctor",
    "explain",
    "export",
    "import_",
    "learned",
    "migrate",
    "produce",
    "replay",
    "resolve",
    "stack",
    "status",
    "topics",
    "worker",
    "workers",
]
