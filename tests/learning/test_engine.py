"""The whole core: the published records are a function of the set of trades, to the last bit, in
any order of arrival."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.learning.common.config import LearningConfig
from app.learning.common.refit import RebuildNeeded
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from tests.learning.making import DAY_US, GROUPS, everything, learned, market, told, trade, trades

Log = list[tuple[tuple[str, str], Trade]]


def folded(log: Log) -> dict[tuple[str, str], list[Trade]]:
    groups: dict[tuple[str, str], list[Trade]] = {}
    for group, record in log:
        groups.setdefault(group, []).append(record)
    return groups


def revised(rng: random.Random, records: list[Trade]) -> list[Trade]:
    """Corrections of some trades, as far back as they go."""
    return [
        trade(
            r.trade_id,
            max(0, r.exit_us - rng.randint(0, 3) * DAY_US),
            r.outcome + rng.choice([0.0, 1.0]),
            *r.scopes[:1],
            revision=1,
        )
        for r in rng.sample(records, len(records) // 8)
    ]


def step_by_step(engine: Engine, log: Log, rng: random.Random) -> None:
    """Fold the log in a few batches and learn in between; trades that a window lacks are read from
    the log again."""
    at = sorted(rng.choices(range(len(log) + 1), k=rng.randint(0, 3)))
    for end in [*at, len(log)]:
        engine.fold(
            folded(
                log[:end]
                if rng.random() < 0.2
                else log[at[at.index(end) - 1] if end in at and at.index(end) else 0 : end]
            )
        )
        try:
            engine.learn()
        except RebuildNeeded:
            engine.fold(folded(log[:end]))
            engine.fold(folded(log[:end]))
            engine.learn()


@settings(max_examples=20)
@given(
    st.integers(0, 10**6),
    st.integers(20, 90),
    st.sampled_from([0.0, 1.0, 4.0]),
    st.integers(1, 3),
    st.sampled_from([30, 10_000]),
    st.sampled_from([6, 90]),
    st.sampled_from(["rr", "pnl"]),
    st.integers(1, 3),
)
def test_the_set_of_trades_decides(
    seed: int,
    n: int,
    edge: float,
    n_actions: int,
    window_trades: int,
    window_days: int,
    outcome: str,
    n_groups: int,
) -> None:
    """I2, I3, I4: any order, batching, redelivery, revisions and sliding windows give the results
    of a new engine on the same trades."""
    rng = random.Random(seed)
    setting = {
        "window_us": window_days * DAY_US,
        "window_trades": window_trades,
        "outcome": outcome,
        "n_min": rng.choice([4, 10]),
    }
    log: Log = []
    for g, group in enumerate(GROUPS[:n_groups]):
        records = market(
            seed + g % 2,
            n,
            edge=edge,
            n_actions=n_actions,
            segments=(("micro", "1h"), ("mega", "4h")),
            home=g != 1,
        )
        log += [(group, r) for r in records + revised(rng, records)]
    fresh = learned(folded(log), **setting)

    again = log + rng.choices(log, k=len(log) // 2)
    rng.shuffle(again)
    steps = Engine(LearningConfig(**setting))
    step_by_step(steps, again, rng)
    assert everything(steps) == everything(fresh)


@settings(max_examples=40)
@given(
    st.lists(trades(), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(2, 3),
    st.integers(0, 1000),
)
def test_unusual_records_do_not_matter_either(
    records: list[Trade], window_trades: int, n_min: int, seed: int
) -> None:
    """I4, with ties, corrections that reach back beyond the window's edge, trades without a home
    group, and outcomes at their limits."""
    rng = random.Random(seed)
    log: Log = [(GROUPS[0], r) for r in records]
    setting = {"window_us": 20 * 1_800_000_000, "window_trades": window_trades, "n_min": n_min}
    fresh = learned(folded(log), **setting)
    rng.shuffle(log)
    steps = Engine(LearningConfig(**setting))
    step_by_step(steps, log + rng.choices(log, k=5), rng)
    assert everything(steps) == everything(fresh)


def test_values_that_come_and_go_do_not_matter() -> None:
    """A window whose items are renumbered, dimensions that all trades have, and dimensions found in
    another order."""
    log = [
        r._replace(
            scopes=tuple(
                {"id": str(i), "all": "1", "both": "1", "when": str(i // 400), **s}
                for s in r.scopes
            )
        )
        for i, r in enumerate(market(5, 1500, per_day=100))
    ]
    fresh = learned({GROUPS[0]: log[::-1]}, window_trades=300, max_dims=2)
    steps = Engine(LearningConfig(n_min=10, window_trades=300, max_dims=2))
    for i in range(0, 1500, 150):
        steps.fold({GROUPS[0]: log[i : i + 150]})
        steps.learn()
    assert everything(steps) == everything(fresh)
    assert [o.scope for o in fresh.overrides()], "the world has an edge"


def test_the_order_of_dimensions_in_a_scope_is_irrelevant() -> None:
    """I8: the same trades with their scopes' keys in another order, some with the same values in
    all trades."""
    log = [
        r._replace(scopes=tuple({"all": "1", **s, "both": "2"} for s in r.scopes))
        for r in market(3, 150)
    ]
    turned = [r._replace(scopes=tuple(dict(reversed(s.items())) for s in r.scopes)) for r in log]
    assert everything(learned({GROUPS[0]: log})) == everything(learned({GROUPS[0]: turned}))


def test_learning_twice_changes_nothing() -> None:
    """I12: nothing is published again, not even with another version."""
    log = market(1, 200)
    engine = learned({GROUPS[0]: log, GROUPS[1]: log[:150]})
    records = [
        engine.lessons(),
        engine.summaries(),
        engine.overrides(),
        engine.verdicts(),
        engine.baselines(),
        engine.latent_factors(),
    ]
    assert all(records)
    engine.learn()
    engine.fold({GROUPS[0]: log[::-1]})
    engine.learn()
    again = [
        engine.lessons(),
        engine.summaries(),
        engine.overrides(),
        engine.verdicts(),
        engine.baselines(),
        engine.latent_factors(),
    ]
    assert again == records
    assert {r.version for kind in again for r in kind} == {1}


def test_what_a_correction_takes_away_goes() -> None:
    """An engine that saw an edge, and then its correction, has no trace of it."""
    log = market(2, 150)
    engine = learned({GROUPS[0]: log})
    assert engine.overrides()
    engine.fold(
        {GROUPS[0]: [trade(r.trade_id, r.exit_us, 0.1, {"x": "1"}, revision=1) for r in log]}
    )
    assert engine.learn() == []
    assert [lesson.scope for lesson in engine.lessons()] == [{}]


def test_classic_and_integrated_share_the_module_and_its_ids() -> None:
    """The same slices have the same lesson ids in both settings."""
    log = market(4, 150)
    classic, integrated = (
        learned({GROUPS[0]: log}, learning=how, max_dims=3) for how in ("classic", "integrated")
    )
    classic_ids = {lesson.lesson_id: told(lesson.scope) for lesson in classic.lessons()}
    assert {
        lesson.lesson_id: told(lesson.scope) for lesson in integrated.lessons()
    }.items() <= classic_ids.items()


@pytest.mark.parametrize("outcome", ["roi", "pnl"])
def test_amounts_are_sized_in_units_of_the_modules_spread(outcome: str) -> None:
    """Outcomes a thousand times as large give the same size; `rr` is used as it is."""
    log = market(6, 200)
    larger = [r._replace(outcome=1000 * r.outcome) for r in log]
    small, large = (learned({GROUPS[0]: records}, outcome=outcome) for records in (log, larger))
    assert [o.scope for o in small.overrides()] == [o.scope for o in large.overrides()] != []
    for one, other in zip(small.overrides(), large.overrides(), strict=True):
        assert one.effect == pytest.approx(other.effect, rel=1e-6)
        assert one.multiplier == other.multiplier
