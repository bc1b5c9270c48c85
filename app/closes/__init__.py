"""Input validation: from the bytes of a closed position to facts, or to a `DeadLetterError` with
the reason.

May touch: nothing.  Pure functions; `explode` is the entry point.
"""

from app.closes.errors import REASONS, DeadLetterError
from app.closes.facts import OUTCOME_FIELDS, check, explode, time_efficiency

__all__ = ["OUTCOME_FIELDS", "REASONS", "DeadLetterError", "check", "explode", "time_efficiency"]
