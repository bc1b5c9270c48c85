"""Walk-forward: where the cuts are, that there is no look-ahead, and the score of known
outcomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from app.audit.bootstrap import Resampler
from app.audit.score import Score, compared, score, values
from app.audit.timeline import Timeline
from app.audit.walk_forward import (
    HORIZON_US,
    SIZED,
    Cut,
    Judgements,
    Reader,
    baseline_of,
    cut_times,
    judge_cut,
    summary,
)
from app.learning.common.config import LearningConfig
from app.learning.engine import Engine
from edgeloop.resolution import resolve
from schemas.facts import PatternTradeEvent
from tests.audit.making import DAY_US, START_US, market, module_of

CONFIG = LearningConfig(n_min=20, regime_signature=())


def walk_cuts(facts: list[PatternTradeEvent], cuts: list[int]) -> list[Cut]:
    timeline = Timeline(module_of(facts), CONFIG, SIZED)
    return [
        judge_cut("pm", timeline, CONFIG, cut, end)
        for cut, end in zip(cuts, [*cuts, 2**62][1:], strict=True)
    ]


def walk(facts: list[PatternTradeEvent], cuts: list[int]) -> Judgements:
    return summary(walk_cuts(facts, cuts))


def worth(multiplier: np.ndarray, judged: Judgements) -> Score:
    return score(multiplier, judged, Resampler(judged.cut_us, 1))


@pytest.fixture(scope="module")
def facts() -> list[PatternTradeEvent]:
    return market(3, n=600)


@pytest.fixture(scope="module")
def cuts(facts: list[PatternTradeEvent]) -> list[int]:
    return cut_times(module_of(facts).decisions(), 4)


@pytest.fixture(scope="module")
def judged(facts: list[PatternTradeEvent], cuts: list[int]) -> Judgements:
    return walk(facts, cuts)


def test_cuts_are_spread_over_the_later_two_thirds(
    facts: list[PatternTradeEvent], cuts: list[int]
) -> None:
    days = [(cut - START_US) / DAY_US for cut in cuts]
    assert days == [50.0, 75.0, 100.0, 125.0]
    assert cut_times([], 4) == []
    assert len(cut_times(module_of(facts[:3]).decisions(), 9)) <= 3


def test_every_decision_until_the_next_cut_is_judged_once(
    judged: Judgements, cuts: list[int]
) -> None:
    assert HORIZON_US == 30 * DAY_US
    counts = {cut: int((judged.cut_us == cut).sum()) for cut in cuts}
    assert counts == dict(zip(cuts, [100, 100, 100, 99], strict=True))
    assert {name: len(m) for name, m in judged.multipliers.items()} == dict.fromkeys(
        judged.multipliers, 399
    )


def test_a_cut_answers_for_thirty_days_at_most(facts: list[PatternTradeEvent]) -> None:
    far = walk(facts, [START_US + 50 * DAY_US, START_US + 115 * DAY_US])
    assert [int((far.cut_us == cut).sum()) for cut in sorted(set(far.cut_us.tolist()))] == [
        120,
        120,
    ]


def test_nobody_peeks(facts: list[PatternTradeEvent], cuts: list[int], judged: Judgements) -> None:
    """Changing the outcome of all trades that were open at the third cut or later does not change
    the answers of the first three cuts."""
    late = {
        f.trade_id
        for f in facts
        if f.exit_ts > datetime.fromtimestamp(cuts[2] / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    }
    assert 0 < len(late) < len(facts)
    other = walk(
        [
            msgspec.structs.replace(f, rr=-f.rr * 3) if f.trade_id in late and f.rr else f
            for f in facts
        ],
        cuts,
    )
    before = judged.cut_us <= cuts[2]
    assert (other.cut_us == judged.cut_us).all()
    for name, multipliers in judged.multipliers.items():
        assert (other.multipliers[name][before] == multipliers[before]).all(), name
        assert (other.multipliers[name][~before] != multipliers[~before]).any(), name
    for now, then in ((other.peers, judged.peers), (other.always, judged.always)):
        for name, multipliers in then.items():
            assert (now[name][before] == multipliers[before]).all(), name
    first = judged.cut_us == cuts[0]
    assert (other.uplift[first] == judged.uplift[first]).all()
    assert (other.uplift[~before] != judged.uplift[~before]).all()


def test_nobody_knows_of_trades_that_are_still_open(
    facts: list[PatternTradeEvent], cuts: list[int]
) -> None:
    """Trades opened before the first cut that close after it are neither learned from nor sized
    there."""
    day_before = START_US + 49 * DAY_US
    held = [
        msgspec.structs.replace(
            f,
            exit_ts=datetime.fromtimestamp(cuts[1] / 1e6 - 60, UTC).strftime(
                "%Y-%m-%dT%H:%M:%S.%fZ"
            ),
        )
        if datetime.fromisoformat(f.actions[0].ts).timestamp() * 1e6 >= day_before and i < 201
        else f
        for i, f in enumerate(facts)
    ]
    gone = [f for f, kept in zip(facts, held, strict=True) if kept is f]
    first = cuts[:1]
    one, other = walk(held, first), walk(gone, first)
    assert {name: m.tolist() for name, m in one.multipliers.items()} == {
        name: m.tolist() for name, m in other.multipliers.items()
    }
    assert {name: m.tolist() for name, m in one.peers.items()} == {
        name: m.tolist() for name, m in other.peers.items()
    }


def test_an_edge_is_worth_something_and_none_is_not(judged: Judgements) -> None:
    mine = worth(judged.multipliers["integrated"], judged)
    assert mine.value.low > 0
    # A quarter has the edge of 2, and is sized so: cov = 0.25 · 0.75 · 2², and half of it is the
    # price of the risk.
    assert mine.added.value == pytest.approx(0.75, abs=0.15)
    assert mine.value.value == pytest.approx(0.375, abs=0.1)
    nothing = walk(
        market(4, n=400, edge=lambda day: 0.0),
        cut_times(module_of(market(4, n=400)).decisions(), 3),
    )
    assert (nothing.multipliers["integrated"] == 1.0).all()
    assert worth(nothing.multipliers["integrated"], nothing).sized == 0.0
    assert (nothing.multipliers["classic"] != 1.0).mean() > 0.5


def test_a_larger_size_for_all_is_worth_nothing_and_exaggeration_costs(judged: Judgements) -> None:
    mine = judged.multipliers["integrated"]
    assert worth(mine + 0.5, judged).value.value == pytest.approx(worth(mine, judged).value.value)
    twice = worth(1.0 + 2.0 * (mine - 1.0), judged)
    assert twice.added.value == pytest.approx(2.0 * worth(mine, judged).added.value)
    assert twice.value.value < worth(mine, judged).value.value
    assert values(mine, judged).mean() == pytest.approx(worth(mine, judged).value.value)


def test_an_answer_is_the_readers_own(facts: list[PatternTradeEvent]) -> None:
    module = module_of(facts)
    engine = Engine(CONFIG)
    engine.fold(module.trades)
    overrides = engine.learn()
    reader = Reader(overrides)
    for d in module.decisions()[::50]:
        at = datetime.fromtimestamp(d.at_us / 1e6, UTC)
        assert reader.answer(d).multiplier == resolve(overrides, *d.group, d.scope, at).multiplier
    newest = module.decisions()[-1]
    assert reader.answer(newest, newest.at_us + 31 * DAY_US).multiplier == 1.0
    assert reader.answer(newest._replace(group=("pm.z.z", "entry"))).multiplier == 1.0


def test_uplift_is_beyond_the_baseline_of_the_segment(facts: list[PatternTradeEvent]) -> None:
    module = module_of(facts)
    engine = Engine(CONFIG)
    engine.fold(module.trades)
    engine.learn()
    of_all = engine.baselines()[0]
    decision = module.decisions()[0]
    assert decision.segment == ("micro", "1h")
    known = []
    for bucket, timeframe, mean in (
        (None, None, 1.0),
        (None, "1h", 2.0),
        ("micro", None, 3.0),
        ("micro", "1h", 4.0),
    ):
        known.append(msgspec.structs.replace(of_all, bucket=bucket, timeframe=timeframe, mean=mean))
        assert baseline_of(known, 9.0)(decision.segment) == mean
    assert baseline_of([], 9.0)(decision.segment) == 9.0


def test_how_far_learners_count_is_told_by_category(facts: list[PatternTradeEvent]) -> None:
    module = module_of(facts)
    for switch in (None, True, False):
        engine = Engine(replace(CONFIG, half_life=switch, shared_effects=switch))
        assert engine.counts() == {}, "nothing is known yet"
        engine.fold(module.trades)
        overrides = engine.learn()
        (counts,) = engine.counts().values()
        assert list(engine.counts()) == ["entry"]
        assert all(0.0 <= weight <= 1.0 for weight in counts)
        if switch is not None:
            assert (counts.half_life, counts.shared) == (float(switch), float(switch))
        assert engine.learn() == overrides, "to ask changes nothing"
    classic = Engine(replace(CONFIG, learning="classic"))
    classic.fold(module.trades)
    classic.learn()
    assert classic.counts() == {}


def test_nothing_to_judge_is_said_and_no_error() -> None:
    none = walk([], [])
    assert all(len(m) == 0 for m in none.multipliers.values())
    assert worth(none.multipliers["integrated"], none).sized == 0.0
    assert summary([]).uplift.size == 0


def test_modules_are_added_up(
    facts: list[PatternTradeEvent], cuts: list[int], judged: Judgements
) -> None:
    found = walk_cuts(facts, cuts)
    both = summary([*found, *found])
    assert len(both.uplift) == 2 * len(judged.uplift)
    assert (np.diff(both.at_us) >= 0).all()
    assert worth(both.multipliers["classic"], both).value.value == pytest.approx(
        worth(judged.multipliers["classic"], judged).value.value
    )
    apart = compared(
        judged.multipliers["integrated"],
        judged.multipliers["classic"],
        judged,
        Resampler(judged.cut_us, 1),
    )
    assert apart.value.value == pytest.approx(
        worth(judged.multipliers["integrated"], judged).value.value
        - worth(judged.multipliers["classic"], judged).value.value
    )


def test_a_difference_that_could_be_chance_is_not_enough_data(judged: Judgements) -> None:
    coin = np.where(np.random.default_rng(7).random(len(judged.uplift)) < 0.5, 1.02, 0.98)
    assert worth(coin, judged).value.low < 0 < worth(coin, judged).value.high
    assert worth(2.0 - judged.multipliers["integrated"], judged).value.high < 0


def test_what_matches_is_counted(judged: Judgements) -> None:
    one = judged.matched["integrated"]
    assert ((judged.multipliers["integrated"] != 1.0) <= (one > 0)).all()
    assert (judged.distinct <= judged.matched["classic"]).all()
    assert (judged.distinct > 0).all() == (judged.matched["classic"] > 0).all()
