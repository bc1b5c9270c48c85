"""Valid and invalid times."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.closes import times
from app.closes.times import canonical_time, epoch_us
from tests.closes.events import NEW, TIMESTAMP_MS, broken, facts, refused

EXIT = "trade_summary.exit_timestamp"
BAD = [
    "",
    "2026-01-09",
    "2026-01-09T12:00:00",
    "2026-01-09 12:00:00Z",
    "2026-01-09T12:00Z",
    "2026-01-09T12:00:00 Z",
    " 2026-01-09T12:00:00Z",
    "2026-01-09T12:00:00Z\n",
    "2026-01-09t12:00:00Z",
    "2026-01-09T12:00:00z",
    "20260109T120000Z",
    "2026-1-9T12:00:00Z",
    "2026-W02-5T12:00:00Z",
    "2026-01-09T12:00:00+0100",
    "2026-01-09T12:00:00+01",
    "2026-01-09T12:00:00+24:00",
    "2026-01-09T12:00:00+01:60",
    "2026-01-09T12:00:00.Z",
    "2026-01-09T12:00:00,5Z",
    "2026-01-09T24:00:00Z",
    "2026-01-09T12:60:00Z",
    "2026-01-09T12:00:61Z",
    "2026-02-29T12:00:00Z",
    "2026-13-01T12:00:00Z",
    "2026-00-01T12:00:00Z",
    "2026-01-32T12:00:00Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "-2026-01-09T12:00:00Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "٢٠٢٦-01-09T12:00:00Z",
    "1767960000",
    "now",
    "2026-01-09T12:00:60Z",
    "2026-01-08T23:59:60Z",
    "2016-12-31T23:59:60+01:00",
    "9999-12-31T23:59:60Z",
    "2026-01-09T12:00:00+01:00Z",
]


@pytest.mark.parametrize("text", BAD, ids=ascii)
def test_bad_times_are_dead_letters_wherever_they_are(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        canonical_time(text)
    assert refused(broken(NEW, EXIT, text)) == ("bad_time", f"$.{EXIT}")
    assert refused(broken(NEW, "trade_summary.entry_timestamp", text)) == (
        "bad_time",
        "$.trade_summary.entry_timestamp",
    )
    assert refused(broken(NEW, "actions.2.ts", text)) == ("bad_time", "$.actions[2].ts")


@pytest.mark.parametrize("value", [1767960000, 1767960000.5, True, [], {}])
def test_times_are_text(value: object) -> None:
    assert refused(broken(NEW, EXIT, value)) == ("wrong_type", f"$.{EXIT}")
    assert refused(broken(NEW, "actions.2.ts", value)) == ("wrong_type", "$.actions[2].ts")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-09T12:00:00Z", "2026-01-09T12:00:00.000000Z"),
        ("2026-01-09T12:00:00.5Z", "2026-01-09T12:00:00.500000Z"),
        ("2026-01-09T12:00:00.9999999999999999Z", "2026-01-09T12:00:00.999999Z"),
        ("2026-01-09T12:00:00-00:00", "2026-01-09T12:00:00.000000Z"),
        ("2026-01-09T00:30:00.1+05:45", "2026-01-08T18:45:00.100000Z"),
        ("2026-01-09T23:30:00-23:59", "2026-01-10T23:29:00.000000Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("0001-01-01T00:00:00-01:00", "0001-01-01T01:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
        ("2017-01-01T00:59:60.25+01:00", "2017-01-01T00:00:00.250000Z"),
    ],
)
def test_good_times(text: str, moment: str) -> None:
    assert canonical_time(text) == moment
    assert canonical_time(moment) == moment


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_every_moment_in_every_offset(naive: datetime, offset_minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset_minutes)))
    text = canonical_time(moment.isoformat())
    assert text == moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert epoch_us(text) == (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        microseconds=1
    )


def test_the_exit_is_not_before_the_entry() -> None:
    assert facts(broken(NEW, EXIT, NEW["trade_summary"]["entry_timestamp"]))
    assert refused(broken(NEW, EXIT, "2026-01-07T11:59:59.999999Z")) == (
        "exit_before_entry",
        f"$.{EXIT}",
    )
    assert facts(broken(NEW, EXIT, "2026-01-07T13:00:00-01:00"))
    assert refused(broken(NEW, EXIT, "2026-01-07T12:00:00+01:00")) == (
        "exit_before_entry",
        f"$.{EXIT}",
    )


def test_the_exit_is_not_before_1970() -> None:
    event = {**NEW, "trade_summary": {"exit_timestamp": "", "rr": 1}}
    assert facts(broken(event, EXIT, "1970-01-01T00:00:00Z"))
    assert facts(broken(event, EXIT, "1969-12-31T23:00:00-01:00"))
    for text in (
        "1969-12-31T23:59:59.999999Z",
        "1970-01-01T00:00:00+00:01",
        "0001-01-01T00:00:00Z",
    ):
        assert refused(broken(event, EXIT, text)) == ("ancient_exit", f"$.{EXIT}")


def test_the_exit_is_at_most_a_day_after_the_records_timestamp() -> None:
    assert facts(broken(NEW, EXIT, "2026-01-11T00:00:00Z"))
    assert refused(broken(NEW, EXIT, "2026-01-11T00:00:00.000001Z")) == ("future_exit", f"$.{EXIT}")
    assert facts(broken(NEW, EXIT, "2026-01-11T00:00:00.001Z"), timestamp_ms=TIMESTAMP_MS + 1)
    assert refused(broken(NEW, EXIT, "9999-12-31T23:59:59Z")) == ("future_exit", f"$.{EXIT}")
    assert (
        refused(broken(NEW, EXIT, "2026-01-01T00:00:00Z"), timestamp_ms=-1)[0]
        == "exit_before_entry"
    )


def test_examples() -> None:
    result = doctest.testmod(times)
    assert result.attempted
    assert not result.failed
