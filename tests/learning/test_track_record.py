"""The record: predictions at a past time depend only on what was known then."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.common.window import Snapshot
from app.learning.integrated import track_record
from app.learning.integrated.group import IntegratedLearner
from app.learning.integrated.prior_share import SHARES
from app.learning.integrated.track_record import PastGroup, Record, matches, part
from schemas.lessons import RecordCell
from tests.learning.making import DAY_US, market

CONFIG = LearningConfig(n_min=10, window_us=90 * DAY_US)


def group(log: list[Trade]) -> IntegratedLearner:
    learner = IntegratedLearner("pm", "pm.a.b", "add", CONFIG)
    learner.fold(log)
    return learner


def cells(learner: IntegratedLearner, kept: Record | None = None) -> tuple[RecordCell, ...]:
    return (kept or Record()).cells(
        learner.window, learner.window.snapshot(), CONFIG, CONFIG.regime_signature
    )


def past_group(learner: IntegratedLearner, cut_us: int) -> PastGroup:
    known = part(learner.window.snapshot(), cut_us - CONFIG.window_us // 2, cut_us)
    assert known is not None
    found = track_record._past_group(learner.window, known, cut_us, CONFIG, CONFIG.regime_signature)
    assert found is not None
    return found


def names(learner: IntegratedLearner, items: Any) -> list[list[tuple[str, str]]]:
    return [sorted(learner.window.pair(item) for item in row if item) for row in items.tolist()]


LOG = market(1, 420, per_day=5.0, segments=(("micro", "1h"), ("mega", "4h")))


@pytest.fixture(scope="module")
def found() -> tuple[RecordCell, ...]:
    return cells(group(LOG))


def test_past_times_are_on_a_fixed_grid_in_the_newer_half(found: tuple[RecordCell, ...]) -> None:
    step, newest = CONFIG.window_us // track_record.STEPS, LOG[-1].exit_us
    assert len(found) >= 3
    assert all(
        cell.cut_us % step == 0 and newest - CONFIG.window_us // 2 <= cell.cut_us < newest
        for cell in found
    )
    for cell in found:
        assert cell.n == sum(
            cell.cut_us < r.exit_us <= min(cell.cut_us + step, newest) for r in LOG
        )


def test_no_trade_after_its_time_is_used(found: tuple[RecordCell, ...]) -> None:
    """With other outcomes and scopes from that time on, the past group is the same, and so are the
    cells of earlier times."""
    cut = found[1].cut_us
    later = [
        r._replace(outcome=-5.0 * r.outcome, scopes=({"new": "1", "d0": "2"},))
        if r.exit_us > cut
        else r
        for r in LOG
    ]
    one, other = group(LOG), group(later)
    a, b = past_group(one, cut), past_group(other, cut)
    assert names(one, a.items) == names(other, b.items)
    assert dict(zip(map(str, names(one, a.shared_items)), a.shared.tolist(), strict=True)) == dict(
        zip(map(str, names(other, b.shared_items)), b.shared.tolist(), strict=True)
    )
    for field in ("bounds", "segments", "effects", "now", "half_life"):
        assert np.array_equal(getattr(a, field), getattr(b, field)), field
    changed = cells(other)
    assert changed[0] == found[0]
    assert changed[1] != found[1]


def test_outcomes_before_it_are_used(found: tuple[RecordCell, ...]) -> None:
    earlier = [
        r._replace(outcome=-r.outcome)
        if r.exit_us <= found[-1].cut_us - CONFIG.window_us // 4
        else r
        for r in LOG
    ]
    assert cells(group(earlier))[-1] != found[-1]


def test_it_is_a_function_of_the_set_of_trades(found: tuple[RecordCell, ...]) -> None:
    for seed in range(3):
        log = random.Random(seed).sample(LOG, len(LOG))
        learner = IntegratedLearner("pm", "pm.a.b", "add", CONFIG)
        for start in range(0, len(log), 100):
            learner.fold(log[start : start + 150])
        assert cells(learner) == found


def test_what_was_kept_is_what_would_be_learned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, learner = Record(), group([])
    for end in (200, 260, 320, 380, 420):
        learner.fold(LOG[:end])
        assert cells(learner, kept) == cells(group(LOG[:end]))
    late = [LOG[150]._replace(outcome=9.0, rank=(1, *LOG[150].rank[1:]))]
    learner.fold(late)
    assert cells(learner, kept) == cells(group([*LOG, *late]))
    before = cells(learner, kept)
    monkeypatch.setattr(track_record, "_past_group", lambda *_: pytest.fail("Nothing has changed."))
    assert cells(learner, kept) == before


def test_a_learner_that_lived_through_it_says_the_same(found: tuple[RecordCell, ...]) -> None:
    learner = group([])
    for end in range(60, 421, 60):
        learner.fold(LOG[:end])
        learner.refit(end)
    fresh = group(LOG).refit(1).summary
    assert fresh is not None
    assert fresh.record == found
    learner.adopt([])
    again = learner.refit(999).summary
    assert again is not None
    assert again.record == found


def test_products_are_those_of_columns(found: tuple[RecordCell, ...]) -> None:
    """The sums of products of predictions (of two kinds, for each share) and outcomes come from
    real columns, so they have no negative eigenvalue."""
    for cell in found:
        columns = 3 + len(SHARES)
        products = np.zeros((columns, columns))
        products[np.triu_indices(columns)] = cell.products
        products += np.triu(products, 1).T
        assert np.linalg.eigvalsh(products).min() >= -1e-6 * products.max()
        assert products[-1, -1] > 0


def test_few_trades_have_no_record() -> None:
    assert cells(group(market(2, 25))) == ()
    assert part(group(LOG).window.snapshot(), 10**18, 2 * 10**18) is None


def test_slices_match_as_a_reader_would_say() -> None:
    learner = group(market(3, 60, n_actions=3))
    shot: Snapshot = learner.window.snapshot()
    numbers = np.unique(shot.codes)[1:]
    items = np.array([[number, 0] for number in numbers] + [[numbers[0], numbers[-1]]], np.uint32)
    got = matches(items, shot)
    by_id = {r.trade_id: r for r in market(3, 60, n_actions=3)}
    for row, wanted in zip(got, names(learner, items), strict=True):
        expected = [
            any(set(wanted) <= set(s.items()) for s in by_id[i].scopes) for i in shot.trade_ids
        ]
        assert row.astype(bool).tolist() == expected
