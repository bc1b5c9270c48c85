"""Ridge regression on the values of one and two dimensions and the pattern; the penalty is chosen by later trades.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from benchmarks.real.peers.table import Floats, Lesson, in_time, slices

FOLDS = 4
PENALTIES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6)
LEAST_TRADES = 100
"""A slice of two dimensions with fewer known trades is no column."""


def ridge(lesson: Lesson) -> Floats:
    """One penalty for all columns."""
    n = len(lesson.uplift)
    if n < 400:
        return np.zeros(len(lesson.asked_group))
    # The pattern is one more dimension.
    known, wanted = np.column_stack((lesson.seen, lesson.group + 1)), np.column_stack((lesson.asked, lesson.asked_group + 1))
    found = slices(known, wanted, LEAST_TRADES)
    x, y, asked = found.seen, lesson.uplift, found.asked
    loss = np.zeros(len(PENALTIES))
    for until, end in in_time(n, FOLDS):
        strip = max(1, until // 50)
        told = _told(x[: until - strip], y[: until - strip], x[until:end], PENALTIES)
        loss += ((told - y[until:end, None]) ** 2).sum(axis=0)
    best = PENALTIES[int(np.argmin(loss))]
    return np.asarray(_told(x, y, asked, (best,))[:, 0])


def _told(x: sparse.csr_matrix, y: Floats, asked: sparse.csr_matrix, penalties: tuple[float, ...]) -> Floats:
    """(M, penalties) what is expected of `asked`; the mean is not penalised."""
    centre, mean = np.asarray(x.mean(axis=0)).ravel(), float(y.mean())
    gram = (x.T @ x).toarray() - len(y) * np.outer(centre, centre)
    wanted = x.T @ (y - mean)
    weights = np.empty((len(gram), len(penalties)))
    for i, penalty in enumerate(penalties):
        weights[:, i] = linalg.solve(gram + penalty * np.eye(len(gram)), wanted, assume_a="pos", check_finite=False)
    return np.asarray(mean + asked @ weights - centre @ weights)
