"""The closed trades of a replay: all, or those of a period, of offsets, or of the last days.

May touch: nothing but its arguments.  Times are event time, the exits of trades, as everywhere
here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from app.errors import UsageError
from app.time_argument import parse_time
from schemas.times import micros_since_epoch

REMEDY = (
    "Name one: --all, --from TIME and/or --to TIME, --by-duration P30D, or --offsets"
    " 0:100-200,1:50-."
)
_DURATION = re.compile(r"P(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_OFFSETS = re.compile(r"(\d+):(\d*)(?:-(\d*))?")
_OPEN = 2**63 - 1


class Span(msgspec.Struct, frozen=True):
    """The requested range (`asked`, in words), and its bounds.

    Trades with `from_us` ≤ exit < `to_us` (µs since 1970, None: no bound); with `offsets`, the
    records of the partitions named there, from the first offset to before the second.
    """

    asked: str
    from_us: int | None = None
    to_us: int | None = None
    offsets: dict[str, tuple[int, int]] | None = None

    @property
    def is_all(self) -> bool:
        """Whether the span is the whole log."""
        return self.from_us is None and self.to_us is None and self.offsets is None

    def contains(self, exit_us: int) -> bool:
        """Whether a trade that closed then counts."""
        return (self.from_us is None or exit_us >= self.from_us) and (
            self.to_us is None or exit_us < self.to_us
        )

    def bounds(self, partition: int, begin: int, end: int) -> tuple[int, int]:
        """The offsets to read, in a partition that holds those from `begin` to before `end`."""
        if self.offsets is None:
            return begin, end
        first, last = self.offsets.get(str(partition), (0, 0))
        return min(max(begin, first), end), max(min(end, last), min(max(begin, first), end))


def span_of(
    *,
    everything: bool,
    from_time: str | None,
    to_time: str | None,
    by_duration: str | None,
    offsets: str | None,
    now: datetime,
) -> Span:
    """The span of the command line's options.  Raises `UsageError` unless exactly one range was
    given.

    >>> now = datetime.fromisoformat("2026-01-31T00:00:00Z")
    >>> span_of(
    ...     everything=False, from_time=None, to_time=None, by_duration="P1DT12H", offsets=None,
    ...     now=now,
    ... ).from_us
    1769688000000000
    >>> span_of(
    ...     everything=False, from_time=None, to_time=None, by_duration=None, offsets="0:5-7,2:9-",
    ...     now=now,
    ... ).offsets
    {'0': (5, 7), '2': (9, 9223372036854775807)}
    """
    ways = [
        everything,
        from_time is not None or to_time is not None,
        by_duration is not None,
        offsets is not None,
    ]
    if sum(ways) != 1:
        problem = "No range was given" if not any(ways) else "More than one range was given"
        raise UsageError(f"{problem}; a replay needs exactly one.", REMEDY)
    if everything:
        return Span("all")
    if by_duration is not None:
        began = now - duration_of(by_duration)
        return Span(f"by-duration {by_duration}", from_us=micros_since_epoch(began))
    if offsets is not None:
        return Span(f"offsets {offsets}", offsets=offsets_of(offsets))
    from_us, to_us = (
        None if text is None else micros_since_epoch(parse_time(text))
        for text in (from_time, to_time)
    )
    if from_us is not None and to_us is not None and from_us >= to_us:
        raise UsageError(
            f"--from {from_time} is not before --to {to_time}.",
            "The range includes the first time and excludes the second.",
        )
    return Span(
        " ".join(f"{name} {text}" for name, text in (("from", from_time), ("to", to_time)) if text),
        from_us,
        to_us,
    )


def duration_of(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds.  Raises `UsageError`.

    >>> duration_of("P2W"), duration_of("PT36H")
    (datetime.timedelta(days=14), datetime.timedelta(days=1, seconds=43200))
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise UsageError(
            f"{text!r} is not a duration.",
            "Expected an ISO 8601 duration such as P30D, P4W or PT36H.",
        )
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise UsageError(f"{text} is too long.", "Use --all.") from None


def offsets_of(text: str) -> dict[str, tuple[int, int]]:
    """Offsets by partition, from the first to before the second.  Raises `UsageError`."""
    found: dict[str, tuple[int, int]] = {}
    for part in text.split(","):
        match = _OFFSETS.fullmatch(part.strip())
        if match is None or match[1] in found:
            raise UsageError(
                f"{part!r} in --offsets is not valid.",
                "List each partition once, as in 0:100-200,1:50-,2:-80.",
            )
        first, last = int(match[2] or 0), int(match[3]) if match[3] else _OPEN
        if first >= last:
            raise UsageError(
                f"{part!r} in --offsets contains no offset.",
                "The range includes the first offset and excludes the second.",
            )
        found[str(int(match[1]))] = (first, last)
    return found


def newer(ends: Mapping[str, int], now: Mapping[str, int]) -> int:
    """Records that came after `ends` (partition → offset)."""
    return sum(max(0, end - ends.get(partition, 0)) for partition, end in now.items())


def check_partitions(span: Span, partitions: Sequence[int]) -> None:
    """Raise `UsageError` if the offsets name a partition that does not exist."""
    missing = [p for p in span.offsets or {} if int(p) not in partitions]
    if missing:
        raise UsageError(
            f"--offsets names the partition {missing[0]}.",
            f"The topic has partitions 0 to {len(partitions) - 1}.",
        )
