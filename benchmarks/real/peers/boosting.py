"""Gradient boosting on pattern and dimensions, with strong regularisation; trades later than those
that it learns from decide when it stops.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.real.needs import missing
from benchmarks.real.peers.table import Floats, Ints, Lesson

LATER = 0.25
"""The share of the known trades, the newest ones, that decides when to stop."""
ROUNDS = 150
MOST_VALUES = 250


def boosting(lesson: Lesson) -> Floats:
    """Trees with eight leaves; codes are categories."""
    n = len(lesson.uplift)
    if n < 400:
        return np.zeros(len(lesson.asked_group))
    x, asked = _features(lesson.seen, lesson.group), _features(lesson.asked, lesson.asked_group)
    cut = int(n * (1.0 - LATER))
    # Only trades closed before the newest ones were opened are known, so a strip of exits between
    # the two is left out.
    gap = max(1, cut // 50)
    rounds = _rounds(x[: cut - gap], lesson.uplift[: cut - gap], x[cut:], lesson.uplift[cut:])
    if rounds == 0:
        return np.full(len(asked), float(lesson.uplift.mean()))
    model = _model(rounds, x.shape[1])
    model.fit(x, lesson.uplift)
    return np.asarray(model.predict(asked), np.float64)


def _features(codes: Ints, group: Ints) -> Floats:
    x = np.column_stack((codes, group + 1)).astype(np.float64)
    return np.where(x < MOST_VALUES, x, 0.0)


def _model(rounds: int, columns: int) -> Any:
    try:
        from sklearn.ensemble import HistGradientBoostingRegressor
    except ImportError as error:
        raise missing("Boosting is done", "scikit-learn") from error
    return HistGradientBoostingRegressor(
        learning_rate=0.05,
        max_iter=rounds,
        max_leaf_nodes=8,
        min_samples_leaf=100,
        l2_regularization=100.0,
        max_features=0.5,
        categorical_features=list(range(columns)),
        early_stopping=False,
        random_state=1,
    )


def _rounds(x: Floats, y: Floats, later: Floats, truth: Floats) -> int:
    """The number of rounds that predicts the later trades best; 0 if none predicts them better than
    the mean."""
    model = _model(ROUNDS, x.shape[1])
    model.fit(x, y)
    errors = [float(np.mean((truth - y.mean()) ** 2))]
    errors += [
        float(np.mean((truth - predicted) ** 2)) for predicted in model.staged_predict(later)
    ]
    return int(np.argmin(errors))
