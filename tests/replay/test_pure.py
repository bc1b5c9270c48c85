"""The parts of a replay that need no broker: ranges, digests, the spool, refusals, and how a reader
applies a promotion."""

from __future__ import annotations

import doctest
import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from app.errors import BadDataError, UsageError
from app.kafka.skipped import Skipped
from app.learning.common.trade import Trade
from app.learning.common.trade_columns import TradeColumns, columns_of
from app.replay import digest as digests
from app.replay import spool
from app.replay.promote import refusals
from app.replay.published import Live, decoded
from app.replay.shadow import Source, State
from app.replay.span import Span, check_partitions, newer, span_of
from edgeloop.book import Promotions
from schemas import kinds

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NONE: dict[str, Any] = {
    "everything": False,
    "from_time": None,
    "to_time": None,
    "by_duration": None,
    "offsets": None,
    "now": NOW,
}


@pytest.mark.parametrize(
    "name", ["app.replay.span", "app.replay.digest", "app.learning.common.sieve"]
)
def test_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert found.failed == 0


# -- ranges


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "No range was given"),
        ({"everything": True, "offsets": "0:1-2"}, "More than one range"),
        ({"from_time": "2026-01-01T00:00:00Z", "by_duration": "P1D"}, "More than one range"),
        ({"from_time": "yesterday"}, "not a time with a UTC offset"),
        ({"to_time": "2026-01-01T00:00:00"}, "not a time with a UTC offset"),
        ({"from_time": "2026-01-02T00:00:00Z", "to_time": "2026-01-02T00:00:00Z"}, "is not before"),
        *[
            ({"by_duration": text}, "not a duration")
            for text in ("P", "30D", "P1Y", "PT", "P-1D", "")
        ],
        ({"by_duration": "P999999999999W"}, "too long"),
        *[
            ({"offsets": text}, "is not valid")
            for text in ("", "0", "0:1-2,0:3-4", "a:1-2", "0:1-2;1:3")
        ],
        ({"offsets": "0:5-5"}, "contains no offset"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        span_of(**{**NONE, **given})


def test_a_range_says_which_exits_and_offsets_it_holds() -> None:
    span = span_of(
        **{**NONE, "from_time": "1970-01-01T00:00:01Z", "to_time": "1970-01-01T00:00:02Z"}
    )
    assert [span.contains(us) for us in (999_999, 1_000_000, 1_999_999, 2_000_000)] == [
        False,
        True,
        True,
        False,
    ]
    assert span.bounds(0, 5, 9) == (5, 9)
    span = span_of(**{**NONE, "offsets": "0:3-7,1:-4,2:8-"})
    assert [span.bounds(p, 2, 10) for p in range(4)] == [(3, 7), (2, 4), (8, 10), (2, 2)]
    assert [span.bounds(p, 5, 6) for p in range(4)] == [(5, 6), (5, 5), (6, 6), (5, 5)]
    check_partitions(span, range(3))
    with pytest.raises(UsageError, match="names the partition 2"):
        check_partitions(span, range(2))
    assert span_of(**{**NONE, "by_duration": "P30D"}).from_us == round(
        (NOW.timestamp() - 30 * 86_400) * 1e6
    )
    assert newer({"0": 5, "1": 7}, {"0": 9, "1": 7, "2": 1}) == 5


# -- the digest


def test_the_digest_sees_every_record_and_no_version() -> None:
    records = {
        "pm_overrides": {
            "a": b'{"version": 1, "effect": 0.5, "evidence": {"from": "x", "lesson_version": 1}}'
        }
    }
    same = {
        "pm_overrides": {
            "a": b'{"effect":0.5,"evidence":{"lesson_version":9,"from":"x"},"version":3}'
        },
        "learning_lessons": {},
    }
    assert digests.digest(records) == digests.digest(same)
    for other in (
        {"pm_overrides": {"b": records["pm_overrides"]["a"]}},
        {"lesson_verdicts": records["pm_overrides"]},
        {"pm_overrides": {"a": b'{"effect": 0.5000001, "evidence": {"from": "x"}}'}},
        {},
    ):
        assert digests.digest(other) != digests.digest(records)


# -- the spool


def trade(name: str) -> TradeColumns:
    rank = (0, 1, 5, "e", "00")
    return columns_of(
        [Trade(name, rank, 5, 1.5, ("micro", None), True, ({"chain": "sol"}, {}), 0.25)]
    )


def test_what_lies_beyond_the_checkpoint_is_cut_off_and_read_again(tmp_path: Path) -> None:
    group = ("pm", "pm.a", "entry")
    source = spool.Spool(tmp_path, 3)
    checkpoint = source.resume(10)
    assert checkpoint == spool.Checkpoint(10)
    checkpoint.position = 20
    source.write(
        checkpoint, {1: [spool.packed({group: trade("a")}), spool.packed({group: trade("b")})]}
    )
    with (tmp_path / "trades-3-1").open("ab") as stream:
        stream.write(spool.packed({group: trade("torn")})[:-3])  # killed before the checkpoint
    (tmp_path / "trades-3-0").write_bytes(b"torn, too")
    again = spool.Spool(tmp_path, 3)
    assert again.resume(0) == checkpoint
    checkpoint.position = 30
    again.write(checkpoint, {1: [spool.packed({group: trade("c")})]})
    assert [spool.unpacked(block[group]) for block in spool.read(tmp_path, 1)] == [
        trade("a"),
        trade("b"),
        trade("c"),
    ]
    assert list(spool.read(tmp_path, 0)) == []
    assert [c.position for c in spool.checkpoints(tmp_path)] == [30]


# -- refusals


def test_what_a_promotion_is_refused_for() -> None:
    ends = {
        "position_closed": {"0": 9},
        "pattern_trade_events": {"0": 30},
        "learning_lessons": {"0": 3},
    }
    live = Live({}, {}, ends, Skipped())

    def of(source: Source, mine: dict[str, Any], members: int = 0) -> dict[str, str]:
        state = State("x", {"alpha": 0.03, "n_min": 33}, source, {}, {}, {}, NOW, NOW, "d")
        return {word: what for word, (what, _) in refusals(state, mine, live, members).items()}

    same = {"alpha": 0.03, "n_min": 33}
    assert of(Source("facts", Span("all"), {"0": 30}), same) == {}
    assert of(Source("closes", Span("all"), {"0": 9}), same) == {}
    assert of(Source("facts", Span("all"), {"0": 25}), same).keys() == {"age"}
    assert of(Source("closes", Span("all"), {"0": 8}), same)["age"].startswith(
        "1 records have reached position_closed"
    )
    assert of(Source("facts", Span("by-duration P1D", from_us=5), {"0": 30}), same).keys() == {
        "range"
    }
    assert of(Source("files", Span("all")), same).keys() == {"range"}
    assert (
        "alpha (0.03, here 0.1)"
        in of(Source("facts", Span("all"), {"0": 30}), {"alpha": 0.1, "n_min": 33})["settings"]
    )
    assert of(Source("facts", Span("all"), {"0": 30}), same, 2).keys() == {"workers"}


# -- how a reader applies a promotion


class Record(NamedTuple):
    offset: int
    headers: tuple[tuple[str, bytes], ...] = ()


def promoted(offset: int, n: int, name: bytes = b"p") -> Record:
    return Record(
        offset, (("version", b"1"), ("promotion", name), ("promotion.records", str(n).encode()))
    )


def offsets(records: Any) -> list[int]:
    return [record.offset for record in records]


def test_a_promotion_is_held_back_until_it_is_complete_in_the_order_of_the_log() -> None:
    promotions = Promotions()
    assert offsets(promotions.ready(0, [Record(1), promoted(2, 3), Record(3)])) == [1]
    assert offsets(promotions.ready(1, [Record(7)])) == [7]
    assert offsets(promotions.ready(0, [promoted(4, 3)])) == []
    assert offsets(promotions.ready(0, [promoted(5, 3), Record(6), promoted(7, 2, b"q")])) == [
        2,
        3,
        4,
        5,
        6,
    ]
    assert offsets(promotions.ready(0, [promoted(8, 2, b"q")])) == [7, 8]
    assert offsets(
        promotions.ready(
            0, [promoted(9, 1), Record(10, (("promotion", b"x"), ("promotion.records", b"many")))]
        )
    ) == [9, 10]


def test_what_compaction_has_removed_is_not_waited_for() -> None:
    promotions = Promotions()
    assert (
        offsets(
            promotions.ready(0, [promoted(2, 9), promoted(5, 9), Record(6), promoted(8, 2, b"q")])
        )
        == []
    )
    assert promotions.complete_before({0: 2}) == []
    assert offsets(promotions.complete_before({0: 7})) == [2, 5, 6]
    assert offsets(promotions.ready(0, [promoted(9, 2, b"q")])) == [8, 9]
    assert promotions.complete_before({0: 10}) == []


def test_a_record_of_somebody_else_is_named() -> None:
    with pytest.raises(
        BadDataError, match="The record k of pm_overrides is not in the form this version writes"
    ):
        decoded("pm_overrides", "k", b"{}")


def test_a_record_that_cannot_be_read_is_named_by_the_beginning_of_its_key() -> None:
    with pytest.raises(BadDataError) as caught:
        decoded(kinds.LESSONS, "k" * 1_000_000, b"{")
    assert "kkk of learning_lessons" in caught.value.what
    assert len(caught.value.what) < 500
