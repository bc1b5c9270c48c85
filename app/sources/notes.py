"""What a reader of files has to say besides the closes: what is no close and was left out, what could not be told, and how often.

May touch: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator


class Notes:
    """Phrases with counts.  `add` takes the phrase as it reads before a number: `trades that are still open, left out`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, what: str, times: int = 1) -> None:
        """Count `what` `times` more."""
        self.counts[what] += times

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """(phrase, count), in the order of their first mention."""
        return iter(self.counts.items())
