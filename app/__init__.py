"""Edgeloop: from every closed position to the next position's size.

`faust -A app …` finds the Faust app here.  It is created on first use, so that `edgeloop` can be
imported by a position manager without Faust.

May touch: the environment, where it sets the number of threads; on first use of `app` also what
`app/faust_app.py` reads, and the process, which it ends if a setting is wrong.
"""

from __future__ import annotations

import os
from typing import Any

THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What libraries of linear algebra read when they are loaded: how many threads they start.

One thread, unless the environment says otherwise.  Workers, audits and replays have threads and
processes of their own; beside them, others only spin on the same cores.  And the last digits of a
sum depend on how many threads share it, so machines with different numbers of cores would differ.
"""

for _name in THREADS:
    os.environ.setdefault(_name, "1")


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module 'app' has no attribute {name!r}")
    import sys

    from app.errors import ConfigurationError

    try:
        from app import commands  # noqa: F401  (registers our commands beside Faust's)
        from app.faust_app import app
    except ConfigurationError as error:
        print(f"Error: {error.what}\n       {error.remedy}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    return app
