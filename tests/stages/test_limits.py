"""Quotas of input, turns of refits, and alerts of rewritten trades, without Kafka."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from app.kafka.control import Approval, Claim, ControlState
from app.kafka.records import encode
from app.stages.facts_or_letters import read_closes
from app.stages.lesson_builder import GroupStore
from app.stages.refit_fairness import Turns
from schemas.kinds import CONTROL, DEAD_LETTERS, FACTS, LESSONS
from tests.stages.making import SETTINGS, Message, close, facts_of, read_back


def of_group(number: int, pattern: str, module: str = "pm", **more: Any) -> Message:
    made = close(number, 1.0, "sol")
    event = json.loads(made.value or b"")
    event["actions"][0]["pattern_key"] = pattern
    event["module"] = module
    return Message(json.dumps({**event, **more}).encode(), offset=number)


def reasons(sent: list[Any]) -> list[str | None]:
    """For each record, the reason of its dead letter; None if it becomes facts."""
    return [
        dict(record.headers)["reason"].decode() if record.topic == DEAD_LETTERS else None
        for record in sent
    ]


def test_groups_beyond_the_quota_are_dead_letters_and_known_ones_continue() -> None:
    settings, state = replace(SETTINGS, max_groups_per_module=2), ControlState()
    flood = [of_group(i, f"junk{i}.b") for i in range(50)]
    sent = facts_of(settings, [of_group(100, "a.b"), *flood, of_group(101, "a.b")], state)
    assert reasons(sent) == [None, None, *["too_many_groups"] * 49, None]
    assert "EDGELOOP_MAX_GROUPS_PER_MODULE=2" in dict(sent[2].headers)["exception"].decode()
    again = facts_of(settings, [of_group(7, "junk7.b"), of_group(102, "a.b")], state)
    assert reasons(again) == ["too_many_groups", None], "decided once, by the log"
    more = replace(settings, max_groups_per_module=3)
    assert reasons(facts_of(more, [of_group(7, "junk7.b")], state)) == [None]


def test_modules_and_groups_of_all_modules_have_quotas() -> None:
    closes = [of_group(i, "a.b", f"m{i}") for i in range(5)]
    found = reasons(facts_of(replace(SETTINGS, max_modules=3), closes))
    assert found == [None] * 3 + ["too_many_modules"] * 2
    found = reasons(facts_of(replace(SETTINGS, max_groups=4), closes))
    assert found == [None] * 4 + ["too_many_groups"]


def test_a_close_that_fits_in_part_is_refused_whole_and_takes_no_place() -> None:
    settings, state = replace(SETTINGS, max_groups_per_module=2), ControlState()
    action = json.loads(close(1, 1.0, "sol").value or b"")["actions"][0]
    wide = of_group(1, "x.b", actions=[{**action, "pattern_key": f"x{i}.b"} for i in range(3)])
    assert reasons(facts_of(settings, [wide], state)) == ["too_many_groups"]
    assert not state.group
    assert reasons(facts_of(settings, [of_group(2, "a.b")], state)) == [None]


def test_all_readers_of_the_control_log_decide_alike() -> None:
    settings = replace(SETTINGS, max_groups_per_module=3)
    state, other = ControlState(), ControlState()
    facts_of(settings, [of_group(i, f"a{i}.b") for i in range(3)], state)
    facts_of(settings, [of_group(i, f"b{i}.b") for i in range(3)], other)
    both = ControlState()
    for name, admitted in [*state.group.items(), *other.group.items()]:
        both.take(f"group|{name}|1".encode(), encode(admitted))
        both.take(f"group|{name}|2".encode(), encode(admitted))
    closes = [of_group(i, f"{x}{i}.b") for x in "ab" for i in range(3)]
    assert reasons(facts_of(settings, closes, both)) == [None] * 3 + ["too_many_groups"] * 3


def test_too_many_actions_are_a_letter_that_names_the_limit() -> None:
    settings = replace(SETTINGS, max_actions=10)
    action = json.loads(close(1, 1.0, "sol").value or b"")["actions"][0]
    few, many = (of_group(1, "a.b", actions=[action] * n) for n in (10, 11))
    sent = facts_of(settings, [few, many])
    assert reasons(sent) == [None, "too_many_actions"]
    assert dict(sent[1].headers)["path"] == b"$.actions"


def test_a_high_revision_waits_for_the_approval_of_its_exact_bytes() -> None:
    settings, state = replace(SETTINGS, max_revision=1), ControlState()
    closes = [close(1, 1.0, "sol", revision) for revision in (0, 1, 2, 2**53 - 1)]
    assert reasons(facts_of(settings, closes, state)) == [None, None, *["held_revision"] * 2]
    (read,) = read_closes(settings, [closes[2]])
    key = f"approval|{read.facts[0].value_sha256}".encode()
    assert state.take(key, encode(Approval("me", "now")))
    assert reasons(facts_of(settings, closes, state)) == [None, None, None, "held_revision"]


def test_what_is_no_control_record_is_told_and_left_alone() -> None:
    state = ControlState()
    for key, value in (
        (None, b"{}"),
        (b"\xff\xfe|x", b"{}"),
        (b"settings|", b"{}"),
        (b"settings|a", b"not json"),
        (b"group|x", b"{}"),
        (b"other|x", b"{}"),
    ):
        assert not state.take(key, value)
    assert state == ControlState(changes=state.changes)
    assert state.take(b"settings|a", encode(Claim(1, {}, "", "")))
    assert state.take(b"settings|a", None)
    assert state.agreed is None


def group(module: str, trades: int) -> Any:
    return SimpleNamespace(module=module, window=range(trades))


def served(turns: Turns, waiting: dict[str, Any], cost: Any, spent: list[float]) -> list[str]:
    """The order in which groups are served, with a clock that advances by each group's cost."""
    found = []
    for key in turns.order(waiting):
        found.append(key)
        spent[0] += cost(key)
    return found


@pytest.mark.parametrize("module", ["pm", "junk"])
def test_groups_with_lessons_are_served_before_a_flood_of_small_ones(module: str) -> None:
    now = [0.0]
    waiting = {f"junk{i}": group(module, 1) for i in range(5_000)}
    waiting |= {f"honest{i}": group("pm", 200) for i in range(20)}
    order = served(
        Turns(11, lambda: now[0]), waiting, lambda key: 0.5 if key[0] == "h" else 0.01, now
    )
    last = max(order.index(f"honest{i}") for i in range(20))
    before = sum(0.5 if key[0] == "h" else 0.01 for key in order[:last])
    assert before < 20 * 0.5 / 0.75 + 0.1, "a quarter of the time is for the others"
    assert sorted(order) == sorted(waiting), "each is served"


def always_waiting(waiting: dict[str, Any], rounds: int) -> dict[str, float]:
    """The seconds that each got, if all groups have new trades before all had their turn."""
    now, used = [0.0], dict.fromkeys(waiting, 0.0)
    turns = Turns(11, lambda: now[0])
    for _ in range(rounds):
        for key in turns.order(waiting):
            cost = 10.0 if key == "slow" else 0.1
            now[0] += cost
            used[key] += cost
            break
    return used


def test_a_slow_group_gets_no_more_time_than_others_of_its_module() -> None:
    used = always_waiting({name: group("a", 500) for name in ("slow", "quick", "other")}, 300)
    assert max(used.values()) - min(used.values()) <= 10.1


def test_a_module_of_many_groups_gets_no_more_time_than_one_of_few() -> None:
    waiting = {f"a{i}": group("a", 500) for i in range(50)} | {"b": group("b", 500)}
    used = always_waiting(waiting, 400)
    assert abs(used["b"] - sum(used[f"a{i}"] for i in range(50))) < 0.2


def test_many_rewritten_trades_are_an_alert_once_and_again_when_they_double() -> None:
    settings = replace(SETTINGS, rewrite_alert=20)
    store = GroupStore(settings, 0)
    first = read_back(facts_of(settings, [close(i, 1.0, "sol") for i in range(100)]))
    rewritten = read_back(
        facts_of(settings, [close(i, -1.0, "sol", 2**53 - 1) for i in range(100)]), 100
    )
    for record in [*first, *rewritten]:
        record.timestamp = time.time()
    store.fold(first, 100)
    assert CONTROL not in {r.topic for r in store.changes(full=True)}
    store.fold(rewritten[:20], 120)
    assert CONTROL not in {r.topic for r in store.changes(full=True)}, "as many as are usual"
    store.fold(rewritten[20:30], 130)
    assert not store.settled
    (alert,) = [r for r in store.changes(full=True) if r.topic == CONTROL]
    assert alert.key == b"rewrites|pm"
    assert msgspec.json.decode(alert.value or b"")["trades"] == 30
    store.fold(rewritten[30:40], 140)
    assert CONTROL not in {r.topic for r in store.changes(full=True)}
    store.fold(rewritten[40:], 200)
    (alert,) = [r for r in store.changes(full=True) if r.topic == CONTROL]
    assert msgspec.json.decode(alert.value or b"")["trades"] == 100
    # Read again at a start, days later, it raises no alert.
    again = GroupStore(settings, 0)
    for record in [*first, *rewritten]:
        record.timestamp = time.time() - 86_400
    again.fold([*first, *rewritten], 200)
    assert {r.topic for r in again.changes(full=True)} <= {LESSONS, "learning_edge_history"}


def test_a_letter_of_a_quota_says_what_to_raise() -> None:
    for settings in (replace(SETTINGS, max_groups=1), replace(SETTINGS, max_modules=1)):
        sent = facts_of(settings, [of_group(1, "a.b"), of_group(2, "c.b", "other")])
        assert sent[0].topic == FACTS
        assert b"EDGELOOP_MAX_" in dict(sent[1].headers)["exception"]
