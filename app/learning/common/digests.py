"""Digests of published records, instead of the records: enough to see which differ.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgspec

from app.learning.common.outbox import Difference, Outbox, content_of
from schemas.kinds import KINDS

Kept = TypeVar("Kept", bound=msgspec.Struct)

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
DIGEST_BYTES = 15
"""Bytes of a record's digest: a `bytes` object of 15 takes 48 bytes, one of 16 takes 64.  Two
different records have the same digest in one case of 10³⁶."""
URGENT_BYTES = 4
"""Bytes of the digest of a record's urgent part.  Of four billion changes, one would wait for a
full call by mistake."""
_CONTENT_BYTES = 11
"""Bytes of the digest of a record's content beside it, for the same reason."""


_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.Decoder(dict[str, bytes]).decode


class Digests(Generic[Kept]):
    """An `Outbox` that keeps nothing but a digest of each record: a lesson takes some 3 kB, its
    digest a fiftieth.  Most groups publish nothing between two calls of `replace`; until one does,
    keys and digests are packed, in a third of the memory.

    Parameters
    ----------
    topic
        Topic of the records.

    >>> from schemas.kinds import FACTORS
    >>> from schemas.lessons import LatentFactor
    >>> def factor(factor_id, cohesion, version):
    ...     return LatentFactor(
    ...         learning="integrated", factor_id=factor_id, module="pm", representative="a",
    ...         members=("a", "b"), cohesion=cohesion, as_of="", version=version)
    >>> published = Digests(FACTORS)
    >>> published.adopt([factor("f", 0.8, 1), factor("g", 0.8, 1)])
    >>> difference = published.replace([factor("f", 0.8, 2), factor("h", 0.9, 2)], 2)
    >>> [record.factor_id for record in difference.published], difference.retired
    (['h'], ['g'])
    >>> published.update([factor("f", 0.7, 2)], 3).published[0].version
    3
    """

    def __init__(self, topic: str) -> None:
        self._key_of = KINDS[topic].key_of
        self._digests: dict[str, bytes] | bytes = {}  # packed, or by key

    def adopt(self, records: Iterable[Kept]) -> None:
        """Start from these records as the only published ones.

        Parameters
        ----------
        records
            The records.
        """
        self._digests = _pack({self._key_of(record): digest_of(record) for record in records})

    def replace(self, current: Iterable[Kept], version: int) -> Difference[Kept]:
        """The difference between the complete set of records and the published ones; it then counts
        as published.

        Parameters
        ----------
        current
            All records that there should be.
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs.
        """
        records = list(current)
        digests = self._unpacked()
        gone = sorted(digests.keys() - {self._key_of(record) for record in records})
        difference = self.update(records, version)
        for key in gone:
            del digests[key]
        self._digests = _pack(digests)
        difference.retired += gone
        return difference

    def update(self, current: Iterable[Kept], version: int) -> Difference[Kept]:
        """As `replace`, where `current` holds only the records that may have changed.

        Parameters
        ----------
        current
            The records.
        version
            The version that changed records are marked with.

        Returns
        -------
        What differs.
        """
        difference: Difference[Kept] = Difference()
        digests = self._unpacked()
        for record in current:
            key, digest = self._key_of(record), digest_of(record)
            if digests.get(key) == digest:
                continue
            digests[key] = digest
            if record.version != version:  # type: ignore[attr-defined]  # every kind here has one
                record = msgspec.structs.replace(record, version=version)
            difference.published.append(record)
        return difference

    def _unpacked(self) -> dict[str, bytes]:
        """The digests by key, which are held like this from now on."""
        if isinstance(self._digests, bytes):
            self._digests = _unpack(self._digests)
        return self._digests


class LeanOutbox(Outbox[Kept]):
    """An `Outbox` that keeps two digests of each record: one of its content, and one of the part
    whose change is published at once.

    Parameters
    ----------
    topic
        Topic of the records.
    urgent_part
        The part of a record whose change is published at once.

    >>> from schemas.kinds import FACTORS
    >>> from schemas.lessons import LatentFactor
    >>> def factor(factor_id, cohesion, version):
    ...     return LatentFactor(
    ...         learning="integrated", factor_id=factor_id, module="pm", representative="a",
    ...         members=("a", "b"), cohesion=cohesion, as_of="", version=version)
    >>> outbox = LeanOutbox(FACTORS, lambda record: record.members)
    >>> outbox.adopt([factor("f", 0.8, 1), factor("g", 0.8, 1)])
    >>> len(outbox.update([factor("f", 0.7, 2)], ["g"], 2, urgent_only=True))
    1
    >>> [record.cohesion for part in outbox.waited(3) for record in part.published]
    [0.7]
    """

    def __init__(self, topic: str, urgent_part: Callable[[Kept], Any]) -> None:
        super().__init__(topic)
        self._urgent_part = urgent_part
        self._decode = msgspec.msgpack.Decoder(KINDS[topic].struct).decode

    def _parked(self, record: Kept) -> bytes:
        # In one piece: while a module starts, most of its records wait.
        return _encode(record)

    def _unparked(self, parked: bytes) -> Any:
        return self._decode(parked)

    def _kept(self, record: Kept) -> bytes:
        return digest_of(record)[:_CONTENT_BYTES] + self._urgent_digest(record)

    def _urgent_digest(self, record: Kept) -> bytes:
        urgent = _encode(self._urgent_part(record))
        return hashlib.blake2b(urgent, digest_size=URGENT_BYTES).digest()

    def _surely_waits(self, record: Kept, old: bytes) -> bool:
        # The next full call tells whether anything else of it has changed.
        return old[_CONTENT_BYTES:] == self._urgent_digest(record)

    def _same(self, kept: bytes, old: bytes) -> bool:
        return old[:_CONTENT_BYTES] == kept[:_CONTENT_BYTES]


def digest_of(record: Any) -> bytes:
    """The digest of a record's content; versions are not part of it.

    Parameters
    ----------
    record
        The record.

    Returns
    -------
    The digest.
    """
    content = _encode((type(record).__name__, *content_of(record)))
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
