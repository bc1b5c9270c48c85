"""Records that a command skips because they cannot be read: how many, and the first of them.

Any program with the right to write to a topic can write something else to it.  Commands show what
they can read, and report what they have skipped.

May touch: nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SHOWN = 5
"""Maximum number of skipped records that are named individually."""
_REASON_CHARACTERS = 200


class SkippedRecord(NamedTuple):
    """A record (`topic` is the full name), and why it cannot be read."""

    topic: str
    partition: int
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}: {self.reason}"


class Skipped:
    """What one command has skipped.

    >>> skipped = Skipped()
    >>> for offset in range(7):
    ...     skipped.add("pm_overrides", 0, offset, "JSON is malformed")
    >>> skipped.count, len(skipped.lines())
    (7, 6)
    >>> skipped.lines()[0], skipped.lines()[-1]
    ('Skipped pm_overrides/0/0: JSON is malformed', 'Skipped 2 more records that cannot be read.')
    """

    def __init__(self) -> None:
        self.count = 0
        self.first: list[SkippedRecord] = []

    def add(self, topic: str, partition: int, offset: int, reason: object) -> None:
        """Note a skipped record."""
        self.count += 1
        if len(self.first) < SHOWN:
            text = str(reason)[:_REASON_CHARACTERS]
            self.first.append(SkippedRecord(topic, partition, offset, text))

    def lines(self) -> list[str]:
        """One line for each of the first records, and one with the number of all others."""
        found = [f"Skipped {record}" for record in self.first]
        if more := self.count - len(self.first):
            found.append(f"Skipped {more:,} more record{'s' * (more > 1)} that cannot be read.")
        return found

    def sentence(self) -> str:
        """All of it in one sentence; empty if nothing was skipped."""
        if not self.count:
            return ""
        what = "1 record" if self.count == 1 else f"{self.count:,} records"
        return f"Skipped {what} that cannot be read; the first is {self.first[0]}."

    def document(self) -> dict[str, Any]:
        """For `--json`: `count`, and the `first` records with topic, partition, offset, reason."""
        return {"count": self.count, "first": [record._asdict() for record in self.first]}
