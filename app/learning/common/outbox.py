"""The differences from the published records.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from schemas.kinds import KINDS

Record = TypeVar("Record")
Kept = TypeVar("Kept", bound=msgspec.Struct)

AT_A_TIME = 1024
"""Records that waited are unpacked so many at a time."""


@dataclass
class Difference(Generic[Record]):
    """The records of one kind to publish, and the keys to retire.

    Attributes
    ----------
    published
        The records.
    retired
        The keys.

    >>> bool(Difference()), len(Difference(retired=["a"]))
    (False, 1)
    """

    published: list[Record] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.published) + len(self.retired)

    def add(self, other: Difference[Record]) -> None:
        """Add the records and keys of another difference.

        Parameters
        ----------
        other
            The other difference.
        """
        self.published += other.published
        self.retired += other.retired


class Outbox(Generic[Kept]):
    """The published records of one kind, and how the current records differ from them.

    A record with the same content as the published one is omitted, whatever its version.
    Differences that are not urgent can wait (`urgent_only`).

    Parameters
    ----------
    topic
        Topic of the records.
    urgent
        Whether a difference between two records is published at once; by default, each is.

    >>> from schemas.kinds import FACTORS
    >>> from schemas.lessons import LatentFactor
    >>> def factor(factor_id, cohesion, version):
    ...     return LatentFactor(
    ...         learning="integrated", factor_id=factor_id, module="pm", representative="a",
    ...         members=("a", "b"), cohesion=cohesion, as_of="", version=version)
    >>> outbox = Outbox(FACTORS)
    >>> outbox.adopt([factor("f", 0.8, 1), factor("g", 0.8, 1)])
    >>> difference = outbox.replace([factor("f", 0.8, 2), factor("h", 0.9, 2)], 2)
    >>> [record.factor_id for record in difference.published], difference.retired
    (['h'], ['g'])
    >>> outbox.held["f"].version
    1
    """

    def __init__(self, topic: str, urgent: Callable[[Any, Any], bool] | None = None) -> None:
        self._key_of = KINDS[topic].key_of
        self._urgent = urgent
        self._held: dict[str, Any] = {}
        # what urgent calls left for the next full one
        self._waiting: dict[str, Any] = {}

    @property
    def held(self) -> Mapping[str, Kept]:
        """The published records, by key."""
        return self._held

    def adopt(self, records: Iterable[Kept]) -> None:
        """Start from these records as the only published ones.

        Parameters
        ----------
        records
            The records.
        """
        self._held = {self._key_of(record): self._kept(record) for record in records}
        self._waiting = {}

    def replace(
        self, current: Iterable[Kept], version: int, *, urgent_only: bool = False
    ) -> Difference[Kept]:
        """The difference between the complete set of records and the published ones; it then counts
        as published.

        Parameters
        ----------
        current
            All records that there should be.
        version
            The version that changed records are marked with.
        urgent_only
            Whether differences that are not urgent wait.

        Returns
        -------
        What differs.
        """
        by_key = {self._key_of(record): record for record in current}
        self._waiting = {}
        gone = sorted(self._held.keys() - by_key.keys())
        return self._publish(by_key, gone, version, urgent_only)

    def update(
        self,
        current: Iterable[Kept],
        gone: Iterable[str],
        version: int,
        *,
        urgent_only: bool = False,
    ) -> Difference[Kept]:
        """As `replace`, where `current` holds only the records that may have changed.  What waits
        is left for `waited`.

        Parameters
        ----------
        current
            The records.
        gone
            Keys of records that there should not be.
        version
            The version that changed records are marked with.
        urgent_only
            Whether differences that are not urgent wait.

        Returns
        -------
        What differs.
        """
        by_key = {self._key_of(record): record for record in current}
        gone = list(gone)
        for key in gone:
            self._waiting.pop(key, None)
        if self._waiting:
            for key in by_key:
                self._waiting.pop(key, None)
        held = [key for key in gone if key in self._held]
        return self._publish(by_key, held, version, urgent_only)

    def waited(self, version: int) -> Iterator[Difference[Kept]]:
        """What differs of the records that urgent calls left; they no longer wait.

        Parameters
        ----------
        version
            The version that changed records are marked with.

        Yields
        ------
        The differences of some records at a time: many may have waited.
        """
        waiting, self._waiting = list(self._waiting.items()), {}
        for start in range(0, len(waiting), AT_A_TIME):
            some = {k: self._unparked(x) for k, x in waiting[start : start + AT_A_TIME]}
            yield self._publish(some, [], version, False)

    def _publish(
        self, current: Mapping[str, Kept], gone: list[str], version: int, urgent_only: bool
    ) -> Difference[Kept]:
        difference: Difference[Kept] = Difference(retired=gone)
        for key, record in current.items():
            old = self._held.get(key)
            if urgent_only and old is not None and self._surely_waits(record, old):
                self._waiting[key] = self._parked(record)
                continue
            kept = self._kept(record)
            if old is not None and self._same(kept, old):
                continue
            if urgent_only and old is not None and self._can_wait(kept, old):
                self._waiting[key] = self._parked(record)
                continue
            if record.version != version:  # type: ignore[attr-defined]  # every kind here has one
                # This record was published earlier and has been replaced since.
                stamped = msgspec.structs.replace(record, version=version)
                kept = stamped if kept is record else kept  # a digest has no version
                record = stamped
            self._held[key] = kept
            difference.published.append(record)
        for key in gone:
            del self._held[key]
        return difference

    def _kept(self, record: Kept) -> Any:
        """The part of a published record that is held."""
        return record

    def _parked(self, record: Kept) -> Any:
        """A record as it waits."""
        return record

    def _unparked(self, parked: Any) -> Any:
        """The record that `_parked` was given."""
        return parked

    def _surely_waits(self, record: Kept, old: Any) -> bool:
        """Whether it is known, before its content is compared, that a record need not be published
        at once."""
        return False

    def _same(self, kept: Any, old: Any) -> bool:
        return kept is old or same(kept, old)

    def _can_wait(self, kept: Any, old: Any) -> bool:
        return self._urgent is not None and not self._urgent(kept, old)


def same(one: Any, other: Any) -> bool:
    """Whether two records have the same content, apart from their versions and those of their
    lessons.

    Parameters
    ----------
    one, other
        The records; None is equal to none.

    Returns
    -------
    True if they have.
    """
    if other is None or type(one) is not type(other):
        return False
    return content_of(one) == content_of(other)


def content_of(record: Any) -> tuple[Any, ...]:
    """The content of a record, without its version and those of its lessons.

    Parameters
    ----------
    record
        The record.

    Returns
    -------
    A comparable value.
    """
    return (*_content(record.__class__)(record), _span(record))


def _span(record: Any) -> tuple[str, str] | None:
    """The first and last exit of a record's evidence; its version is irrelevant."""
    evidence = getattr(record, "evidence", None)
    return None if evidence is None else (evidence.from_ts, evidence.to_ts)


@cache
def _content(struct: Any) -> Callable[[Any], tuple[Any, ...]]:
    ignored = ("version", "lesson_version", "evidence")
    return attrgetter(*(name for name in struct.__struct_fields__ if name not in ignored))
