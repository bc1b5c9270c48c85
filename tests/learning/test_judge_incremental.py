"""A judge that receives one change after the other gives the results of a new judge on the same
lessons, to the last bit."""

from __future__ import annotations

import random
from functools import cache

import pytest

from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from app.learning.integrated.judge import IntegratedJudge
from schemas.lessons import GroupSummary, Lesson
from tests.learning.making import market, trade
from tests.learning.test_judge import Reader

Records = list[Lesson | GroupSummary]
N_GROUPS = 8


def trades_of(number: int) -> list[Trade]:
    """Some groups share trades, so that factors span them; some have no edge, some another
    baseline."""
    if number == 7:
        return trades_of(0)[:150] + market(70, 12, name="own", per_day=0.5)
    edge = (2.5, 2.0, 0.0, 1.2)[number % 4]
    segments = (("micro", "1h"), ("mega", "4h"), (None, "1h"))[: 1 + number % 3]
    log = market(number, 170, edge=edge, name=f"t{number}.", per_day=3.0, segments=segments)
    return [
        r._replace(outcome=r.outcome * (1.5 if r.scopes[0].get("btc_macro") == "S0" else 0.3))
        if number < 4
        else r
        for r in log
    ]


@cache
def stages(number: int) -> list[Records]:
    """The results of a group as its trades arrive, the last time with a correction."""
    key = (f"pm.g.{number % 7}", "add" if number % 2 else "trim")
    engine, found, log = Engine(LearningConfig(n_min=10)), [], trades_of(number)
    batches = [log[:90], log[90:130], log[130:]]
    batches.append(
        [trade(r.trade_id, r.exit_us, r.outcome - 1.0, *r.scopes, revision=1) for r in log[::3]]
    )
    for batch in batches:
        engine.fold({key: batch})
        engine.learn()
        found.append([*engine.lessons(), *engine.summaries()])
    return found


@pytest.mark.parametrize("outcome", ["rr", "pnl"])
@pytest.mark.parametrize("seed", range(6))
def test_incremental_learning_equals_learning_at_once(
    seed: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups arrive, change, change back, arrive in parts and leave, judged in between, urgently or
    not; with odd seeds, urgent calls leave regime weights to full ones."""
    if seed % 2:
        monkeypatch.setattr("app.learning.integrated.judge.URGENT_CELLS", 0)
    rng = random.Random(seed)
    config = LearningConfig(n_min=10, outcome=outcome)
    judge, reader, held = IntegratedJudge("pm", config), Reader(), {}
    for version in range(1, 30):
        for _ in range(rng.choice((1, 1, 1, 3))):
            number = rng.randrange(N_GROUPS)
            before = held.get(number, [])
            held[number] = now = [] if rng.random() < 0.1 else stages(number)[rng.randrange(4)]
            gone = sorted({r.lesson_id for r in before} - {r.lesson_id for r in now})
            order = rng.sample(now, len(now))
            cut = rng.randrange(len(order) + 1)
            judge.fold(order[:cut])
            if rng.random() < 0.3:
                reader.read(judge.judge(version, urgent_only=True), version)
            judge.fold(order[cut:], gone)
        if rng.random() < 0.7:
            reader.read(judge.judge(version, urgent_only=rng.random() < 0.5), version)
        if rng.random() < 0.1:
            judge.standings()
        if rng.random() < 0.1:
            judge.adopt(r for kind in reader.held.values() for r in kind.values())
        if version % 9 == 0 or version == 29:
            reader.read(judge.judge(version), version)
            assert len(judge.judge(version)) == 0
            fresh, once = Reader(), IntegratedJudge("pm", config)
            for number in rng.sample(sorted(held), len(held)):
                once.fold(held[number])
            fresh.read(once.judge(1), 1)
            assert reader.content() == fresh.content()
            assert judge.standings() == once.standings()
            assert judge.counts() == once.counts()
            assert fresh.held["pm_overrides"]
