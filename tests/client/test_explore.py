"""Exploration: off unless asked for, reproducible, and honest about its probabilities."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgeloop import OverrideBook, ThreadedOverrideBook
from edgeloop.explore import explored, propensities, scaled, share, valid
from edgeloop.history import Change, OverrideHistory
from edgeloop.integrations import Connection
from edgeloop.resolution import EMERGENCY, NO_MATCH, Resolution, failed
from tests.client.test_resolve import make

MATCHED = Resolution(1.4, "matched", "", ("o1",), (0.4,))
AT = datetime(2024, 3, 2, tzinfo=UTC)


def history(explore_share: float | None) -> OverrideHistory:
    return OverrideHistory(
        [Change("o1", 1, 0.0, make("o1", effect=0.4))], explore_share=explore_share
    )


def test_it_is_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGELOOP_EXPLORE", raising=False)
    for i in range(200):
        found = history(None).resolve("a.b", "add", {}, AT, decision_id=f"d{i}")
        assert (found.multiplier, found.sizing, found.applied) == (1.4, None, ("o1",))


def test_it_is_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGELOOP_EXPLORE", "0.5")
    drawn = {
        history(None).resolve("a.b", "add", {}, AT, decision_id=f"d{i}").multiplier
        for i in range(99)
    }
    assert drawn == {1.4, 1.0, scaled(1.4, 0.5), scaled(1.4, 1.5)}
    monkeypatch.setenv("EDGELOOP_EXPLORE", "lots")
    for make_one in (
        lambda: history(None),
        lambda: OverrideBook("127.0.0.1:1"),
        lambda: ThreadedOverrideBook("127.0.0.1:1"),
    ):
        with pytest.raises(ValueError, match="EDGELOOP_EXPLORE"):
            make_one()


@pytest.mark.parametrize("text", ["-0.1", "0.51", "nan", "inf", "x", "5%"])
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"from 0 \(off\) to 0.5"):
        share(None, {"EDGELOOP_EXPLORE": text})


def test_the_same_decision_draws_the_same_and_others_differ() -> None:
    def draws(key: str) -> list[float]:
        return [explored(MATCHED, 0.3, key, "add", f"d{i}").multiplier for i in range(500)]

    assert draws("pm.a") == draws("pm.a")
    assert draws("pm.a") != draws("pm.b")
    assert sum(m != 1.4 for m in draws("pm.a")) == pytest.approx(150, abs=40)


PINNED = [1.4, 1.4, 1.4, 1.4, 1.5999999999999999, 1.0, 1.4, 1.4]


def test_draws_are_pinned_to_the_id() -> None:
    """If the draw changed, logged propensities of two releases would be inconsistent."""
    assert [explored(MATCHED, 0.5, "pm.a", "add", f"d{i}").multiplier for i in range(8)] == PINNED


@pytest.mark.parametrize("learned", [0.3, 0.5, 1.0, 1.01, 1.4, 2.9, 3.0])
def test_propensities_are_probabilities_of_what_can_be_drawn(learned: float) -> None:
    found = propensities(learned, 0.3)
    assert sum(found.values()) == pytest.approx(1.0)
    assert all(0.3 <= m <= 3.0 for m in found)
    drawn = [
        explored(Resolution(learned, "matched"), 0.3, "pm.a", "add", f"d{i}") for i in range(400)
    ]
    for one in drawn:
        assert one.sizing is not None
        assert found[one.multiplier] == one.sizing["propensity"]
        assert valid(one.sizing)
    assert {one.multiplier for one in drawn} == set(found)


def test_a_decision_without_an_id_does_not_explore() -> None:
    assert all(history(0.5).resolve("a.b", "add", {}, AT) == MATCHED for _ in range(20))


@pytest.mark.parametrize(
    "found", [NO_MATCH, EMERGENCY, failed(ValueError("x"))], ids=lambda f: f.reason
)
def test_only_what_was_learned_is_explored_around(found: Resolution) -> None:
    assert all(explored(found, 0.5, "pm.a", "add", f"d{i}") == found for i in range(50))
    assert history(0.5).resolve("a.b", "add", {}, AT, emergency=True, decision_id="d") == EMERGENCY


def test_connections_log_the_draw_of_every_decision(tmp_path: Path) -> None:
    connection = Connection("127.0.0.1:1", spool=tmp_path, book=history(0.5))
    drawn = []
    for i in range(40):
        trade = connection.trade(f"T-{i}")
        decision = trade.add("a.b", ts=AT)
        (ids, sizing) = trade.actions[0]["applied_overrides"]
        assert ids == "o1"
        assert sizing["multiplier"] == decision.multiplier
        assert sizing["decision_id"] == f"T-{i}/0"
        drawn.append(decision.multiplier)
    assert len(set(drawn)) == 4
    connection.stop(timeout=0)
