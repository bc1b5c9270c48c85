"""Which of several closes of a trade counts, and which decisions were taken in it."""

from __future__ import annotations

from itertools import permutations

import pytest

from app.audit.trades import Module
from tests.audit.making import DAY_US, START_US, fact, module_of

FIRST = fact("t", START_US, 1.0, {"d0": "0"})
CORRECTED = fact("t", START_US, -2.0, {"d0": "1"}, {"d0": "2"}, revision=1)
OTHER_GROUP = fact("t", START_US, 1.0, {"d0": "0"}, category="add")


@pytest.mark.parametrize("order", list(permutations([FIRST, CORRECTED, FIRST, OTHER_GROUP])))
def test_the_close_that_counts_is_told_whatever_came_first(order: tuple) -> None:  # type: ignore[type-arg]
    decisions = module_of(list(order)).decisions(("entry",))
    assert [(d.scope, d.outcome) for d in decisions] == [({"d0": "1"}, -2.0), ({"d0": "2"}, -2.0)]


def test_a_fact_without_the_outcome_does_not_count() -> None:
    module = Module()
    module.add(fact("t", START_US, None), "rr")
    module.add(FIRST, "roi")
    assert (module.trades, module.decisions()) == ({}, [])


def test_decisions_are_told_by_time_and_by_category() -> None:
    late, early = fact("a", START_US + DAY_US, 1.0), fact("b", START_US, 2.0)
    leave = fact("b", START_US, 2.0, category="exit", pattern_key="pm.a.c")
    module = module_of([late, early, leave])
    assert [d.trade_id for d in module.decisions(("entry",))] == ["b", "a"]
    assert [d.group for d in module.decisions(("exit",))] == [("pm.a.c", "exit")]
    assert len(module.decisions()) == 3
    only = module.decisions(("exit",))[0]
    assert (only.at_us, only.exit_us, only.outcome, only.segment) == (
        START_US - DAY_US // 24,
        START_US,
        2.0,
        ("micro", "1h"),
    )


def test_a_fact_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="outcome"):
        Module().add(FIRST, "joy")
