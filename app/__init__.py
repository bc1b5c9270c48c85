"""Edgeloop: from every closed position to the next position's size.

`faust -A app …` finds the Faust app here.  It is created on first use, so that `edgeloop` can be
imported by a position manager without Faust.
"""

from __future__ import annotations

from typing import Any


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
