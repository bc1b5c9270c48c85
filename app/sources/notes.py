"""The notes of a reader of files besides the closes: what was left out since it is not a close,
what could not be determined, and how often.

May touch: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator


class Notes:
    """Phrases with counts.  `add` takes the phrase as it reads before a number: `trades that are
    still open, left out`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.named: dict[str, Counter[str]] = {}

    def add(self, what: str, times: int = 1, name: str = "") -> None:
        """Count `what` `times` more; `name` is that of the symbol, the word or the place that it is
        about."""
        self.counts[what] += times
        if name:
            self.named.setdefault(what, Counter())[name] += times

    def names(self, what: str) -> list[str]:
        """The names with which `what` was counted, the most frequent first."""
        return [name for name, _ in self.named.get(what, Counter()).most_common()]

    def __iter__(self) -> Iterator[tuple[str, int]]:
        """(phrase, count), in the order of their first mention."""
        return iter(self.counts.items())
