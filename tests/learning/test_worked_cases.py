"""Worked cases: small worlds whose right answer is obvious."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import numpy as np
import pytest

from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated.latent_factors import Member, cluster
from app.learning.integrated.sketches import trade_hash
from edgeloop.overrides import Override
from edgeloop.resolution import resolve
from tests.learning.making import DAY_US, GROUPS, learned, market, trade

HOUR_US = DAY_US // 24
GROUP = GROUPS[0]


def core(
    *trades: Trade, others: dict[tuple[str, str], list[Trade]] | None = None, **settings: object
) -> Engine:
    """An engine with the settings of production that has learned from these trades of one group."""
    engine = Engine(LearningConfig(**settings))  # type: ignore[arg-type]
    engine.fold({GROUP: list(trades), **(others or {})})
    engine.learn()
    return engine


def size(
    engine: Engine,
    scope: dict[str, str] | None = None,
    days_later: float = 0.0,
    group: tuple[str, str] = GROUP,
) -> float:
    """The position manager's answer a number of days after the newest trade."""
    newest = max(datetime.fromisoformat(s.as_of) for s in engine.summaries())
    found = resolve(engine.overrides(), *group, scope or {}, newest + timedelta(days=days_later))
    assert found.reason in ("matched", "no_match")
    return found.multiplier


def lesson_n(engine: Engine, scope: dict[str, str]) -> int:
    """n of the slice with this scope, which may have another name for the same trades."""
    names = [
        (lesson.n, [lesson.scope, *(lesson.marginal.aliases if lesson.marginal else ())])
        for lesson in engine.lessons()
    ]
    [n] = [n for n, scopes in names if scope in scopes]
    return n


@pytest.mark.parametrize("rest", [1.0, 0.5])
def test_a_trade_with_56_adds_counts_once(rest: float) -> None:
    """A losing trade with 56 adds and 35 trades with one each: n = 36, with the sign of the 35."""
    rng = np.random.default_rng(1)
    adds = [{"x": "1", "k": str(i)} for i in range(56)]
    loser = trade("loser", 17 * DAY_US, -1.0, *adds, n_actions=56)
    winners = [
        trade(
            f"w{i:02d}",
            i * DAY_US,
            rest + float(rng.normal(0, 0.3)),
            {"x": "1", "k": "0"},
            home=False,
        )
        for i in range(35)
    ]
    engine = core(*winners, loser._replace(home=False))
    assert lesson_n(engine, {}) == lesson_n(engine, {"x": "1"}) == 36
    assert size(engine, {"x": "1", "k": "7"}) > 1.0


def test_one_trade_is_no_evidence_however_many_adds_it_has() -> None:
    engine = core(trade("t", 0, -1.0, *({"x": "1", "k": str(i)} for i in range(56)), n_actions=56))
    assert [lesson.n for lesson in engine.lessons()] == [1]
    assert engine.overrides() == []


def test_a_trade_is_in_all_slices_of_its_actions() -> None:
    """40 trades, each with an add in S1 and then one in S3: 40 in both, and both are one slice."""
    engine = core(
        *(
            trade(
                f"t{i}",
                i * DAY_US,
                float(i % 5),
                {"btc_meso": "S1"},
                {"btc_meso": "S3"},
                n_actions=2,
            )
            for i in range(40)
        )
    )
    assert lesson_n(engine, {"btc_meso": "S1"}) == lesson_n(engine, {"btc_meso": "S3"}) == 40
    assert engine.overrides() == []


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("whole", [True, False])
def test_thirty_wins_and_then_thirty_losses(noise: float, seed: int, whole: bool) -> None:
    """30 days at +1, then 30 at −0.5, baseline 0: there is no effect left, neither for the group
    nor for a slice of it."""
    rng = np.random.default_rng(seed)
    log = []
    for day in range(60):
        outcome = (1.0 if day < 30 else -0.5) + float(rng.normal(0, noise))
        log.append(trade(f"t{day:02d}", day * DAY_US, outcome, {"x": "1"}, home=False))
        if not whole:
            log += [
                trade(
                    f"o{day:02d}{k}",
                    day * DAY_US + k,
                    float(rng.normal(0, noise)),
                    {"x": "2"},
                    home=False,
                )
                for k in range(3)
            ]
    engine = core(*log, shared_effects=False)
    assert size(engine, {"x": "1"}) <= 1.0
    assert size(engine, {"x": "1"}, 1.0) <= 1.0
    # Shared effects have no half-life; the record takes most of their weight.
    assert size(core(*log), {"x": "1"}) <= 1.15


@pytest.mark.parametrize("at", [0, 20, 39])
def test_one_large_win_is_not_an_edge(at: int) -> None:
    """39 × −1 and one +33 where the module earns −0.6: no upsizing."""
    rng = np.random.default_rng(2)
    log = [
        trade(f"t{i:02d}", i * DAY_US, 33.0 if i == at else -1.0, {"x": "1"}, home=False)
        for i in range(40)
    ]
    rest = [
        trade(f"r{i:03d}", i * DAY_US // 10, float(rng.normal(-0.6, 1.0)), {"x": str(i % 2)})
        for i in range(400)
    ]
    assert size(core(*log, others={GROUPS[2]: rest}), {"x": "1"}) <= 1.0
    assert size(core(*log, baseline_default=-0.6), {"x": "1"}) <= 1.0
    beside = [r._replace(trade_id=f"o{r.trade_id}", scopes=({"x": "2"},)) for r in rest]
    assert size(core(*log, *beside), {"x": "1"}) <= 1.0


def planted(seed: int) -> list[Trade]:
    rng = np.random.default_rng(seed)
    cards = {"chain": 3, "btc_meso": 4, "a": 3, "b": 4, "c": 3, "d": 4, "e": 3, "f": 4}
    log = []
    for i in range(800):
        scope = {d: f"S{rng.integers(k)}" for d, k in cards.items()}
        edge = 0.8 * (scope["chain"] == "S0" and scope["btc_meso"] == "S1")
        log.append(trade(f"t{i:03d}", i * DAY_US // 10, float(rng.normal(edge, 1.2)), scope))
    return log


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_slice_is_found_and_its_parents_stay_neutral(seed: int) -> None:
    """800 trades, 8 dimensions, +0.8 only where chain and btc_meso are both right (~66 trades),
    noise of 1.2."""
    engine, alone = core(*planted(seed)), core(*planted(seed), shared_effects=False)
    inside = {"chain": "S0", "btc_meso": "S1"}
    elsewhere = {"a": "S0", "b": "S1", "c": "S2", "d": "S3", "e": "S0", "f": "S1"}
    # Beside the shared predictor, which has no record yet, a single effect near the bar counts in
    # part.
    assert 1.3 < size(engine, {**elsewhere, **inside}) < 2.25
    assert size(alone, {**elsewhere, **inside}) == pytest.approx(1.8, abs=0.45)
    for chain in ("S0", "S1", "S2"):
        for meso in ("S0", "S1", "S2", "S3"):
            if (chain, meso) != ("S0", "S1"):
                assert size(
                    engine, {**elsewhere, "chain": chain, "btc_meso": meso}
                ) == pytest.approx(1.0, abs=0.18)
                assert size(alone, {**elsewhere, "chain": chain, "btc_meso": meso}) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_a_half_life_of_72_hours(seed: int) -> None:
    """Edge 0.8·2^(−t/72 h), noise 0.3, 200 trades in 30 days: the half-life within 25 % in most
    worlds, the edge now near 0 in all."""
    engine = core(*fading(seed), *beside(seed))
    chosen = next(lesson for lesson in engine.lessons() if lesson.scope == {"x": "1"})
    assert chosen.marginal is not None
    assert chosen.decay.state == "decaying"
    assert chosen.decay.half_life_hours == pytest.approx(72, rel=0.5)
    assert chosen.decay.interval is not None
    assert chosen.decay.interval[0] < chosen.decay.half_life_hours < chosen.decay.interval[1]
    assert abs(chosen.marginal.now) < 0.1
    assert size(engine, {"x": "1"}) == pytest.approx(1.0, abs=0.1)


def test_half_lives_are_right_in_the_median() -> None:
    found = []
    for seed in range(12):
        chosen = next(
            x for x in core(*fading(seed), *beside(seed)).lessons() if x.scope == {"x": "1"}
        )
        found.append(chosen.decay.half_life_hours or math.inf)
    assert float(np.median(found)) == pytest.approx(72, rel=0.25)


def fading(seed: int) -> list[Trade]:
    rng = np.random.default_rng(seed)
    hours = np.sort(rng.uniform(0, 720, 200))
    values = 0.8 * np.exp2(-hours / 72) + rng.normal(0, 0.3, 200)
    return [
        trade(f"t{i:03d}", int(h * HOUR_US), float(y), {"x": "1"})
        for i, (h, y) in enumerate(zip(hours, values, strict=True))
    ]


def beside(seed: int) -> list[Trade]:
    rng = np.random.default_rng(100 + seed)
    return [
        trade(f"o{i:03d}", int(h * HOUR_US), float(rng.normal(0, 0.3)), {"x": str(2 + i % 3)})
        for i, h in enumerate(np.sort(rng.uniform(0, 720, 600)))
    ]


def test_chained_neighbours_do_not_depend_on_the_order() -> None:
    """Ids 0–6, 1–7, 2–8: neighbours 0.75, ends 0.56; and the same through lessons of groups that
    come in any order."""
    members = [
        Member(
            f"{i}",
            f"g{i}",
            7,
            1,
            np.sort(np.array([trade_hash(f"t{k}") for k in range(i, i + 7)], np.uint64)),
        )
        for i in range(3)
    ]
    first = cluster(members)
    for order in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        assert cluster([members[i] for i in order]) == first
    log = [trade(f"t{i}", i * DAY_US, float(i % 3), {"x": "1"}) for i in range(9)]
    groups = {group: log[i : i + 7] for i, group in enumerate(GROUPS)}
    found = {
        tuple(
            f.members
            for f in learned(
                {GROUPS[i]: groups[GROUPS[i]] for i in order}, n_min=5
            ).latent_factors()
        )
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0))
    }
    assert len(found) == 1


@pytest.mark.parametrize("seed", range(3))
def test_sixty_days_without_trades(seed: int) -> None:
    """Every override is within 1 % of neutral, or gone."""
    engine = learned(
        {GROUP: market(seed, 200), GROUPS[2]: market(seed + 50, 200, edge=-3.0, name="u")}
    )
    contexts = [{"d0": a, "d1": b, "d2": c} for a in "012" for b in "012" for c in "012"]
    assert any(size(engine, context) != 1.0 for context in contexts)
    for group in (GROUP, GROUPS[2]):
        assert all(abs(size(engine, context, 60.0, group) - 1.0) <= 0.01 for context in contexts)
    assert all(o.expires_at is not None and o.expires_at > o.as_of for o in engine.overrides())
    assert all(lifetime(o) <= timedelta(days=30) for o in engine.overrides())


def lifetime(o: Override) -> timedelta:
    return datetime.fromisoformat(str(o.expires_at)) - datetime.fromisoformat(o.as_of)
