"""Input validation: from the bytes of a closed position to facts, or to a `RefusedCloseError` with
the reason.

May touch: nothing.  Pure functions; `explode` is the entry point.
"""

from app.closes.facts import OUTCOME_FIELDS, check, explode, time_efficiency
from app.closes.refused import REASONS, RefusedCloseError, held_revision

__all__ = [
    "OUTCOME_FIELDS",
    "REASONS",
    "RefusedCloseError",
    "check",
    "explode",
    "held_revision",
    "time_efficiency",
]
