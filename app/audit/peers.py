"""Simple tools on the same trades: the mean of each pattern, shrunk to the overall mean, and a
ridge regression.

May touch: nothing but its arguments.  Peers learn at the cuts of the audit from the trades that are
known then, in the same units, and size the same decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from app.audit.trades import Decision, Group
from app.learning.common.multiplier import multiplier
from app.learning.common.trade import SegmentKey, Trade

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_OF_ONE, LEAST_OF_TWO = 30, 100
"""Trades that a value of one or two dimensions needs to become a column."""
MOST_COLUMNS = 1_000
"""Maximum number of columns: those with the most trades."""
LEAST_TRADES = 400
"""Trades that a regression needs: with fewer, the choice of the penalty is arbitrary."""
FOLDS = 4
PENALTIES = (30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 3e4, 1e5, 1e6)


class Lesson(NamedTuple):
    """N known trades, sorted by exit, and M decisions.

    `seen` (N, D) and `asked` (M, D) are codes of D dimensions, 0 where there is no value; `group`
    and `asked_group` say which pattern and category, −1 for one without a known trade; `uplift`
    (N,) is the outcome beyond its segment's baseline, in units of size; `exit_us` (N,) in µs since
    1970.
    """

    seen: Ints
    group: Ints
    uplift: Floats
    exit_us: Ints
    asked: Ints
    asked_group: Ints


def lesson(
    known: Mapping[Group, Sequence[Trade]],
    asked: Sequence[Decision],
    categories: Collection[str],
    expected: Callable[[SegmentKey], float],
    unit: float,
) -> Lesson:
    """The table of the known trades of these categories; `expected` gives the baseline of a
    segment, `unit` is the outcome that makes one unit of size."""
    groups = sorted(group for group in known if group[1] in categories)
    rows = sorted(
        ((trade, i) for i, group in enumerate(groups) for trade in known[group]),
        key=lambda r: (r[0].exit_us, r[0].trade_id, r[1]),
    )
    dimensions = sorted(
        {name for trade, _ in rows for name in (trade.scopes[0] if trade.scopes else ())}
    )
    codes: list[dict[str, int]] = [{} for _ in dimensions]
    seen = np.zeros((len(rows), len(dimensions)), np.int64)
    for row, (trade, _) in enumerate(rows):
        scope = trade.scopes[0] if trade.scopes else {}
        for d, name in enumerate(dimensions):
            if (value := scope.get(name)) is not None:
                seen[row, d] = codes[d].setdefault(value, len(codes[d]) + 1)
    wanted = np.array(
        [
            [codes[d].get(a.scope.get(name, ""), 0) for d, name in enumerate(dimensions)]
            for a in asked
        ],
        np.int64,
    )
    number = {group: i for i, group in enumerate(groups)}
    return Lesson(
        seen,
        np.array([i for _, i in rows], np.int64),
        np.array(
            [(trade.outcome - expected(trade.segment)) / unit for trade, _ in rows], np.float64
        ),
        np.array([trade.exit_us for trade, _ in rows], np.int64),
        wanted.reshape(len(asked), len(dimensions)),
        np.array([number.get(a.group, -1) for a in asked], np.int64),
    )


def group_means(table: Lesson) -> Floats:
    """The mean of each decision's group (M,), shrunk to the overall mean as by James & Stein
    (1961): the positive part, with unequal variances."""
    if not len(table.group):
        return np.zeros(len(table.asked_group))
    n = np.bincount(table.group)
    used = n > 1
    mean = np.bincount(table.group, table.uplift) / np.maximum(n, 1)
    within = np.bincount(table.group, (table.uplift - mean[table.group]) ** 2) / np.maximum(
        n - 1, 1
    )
    noise = np.where(used, within / np.maximum(n, 1), np.inf)
    kept = np.zeros(len(n))
    centre = float(table.uplift.mean())
    if used.sum() > 3:
        spread = ((mean[used] - centre) ** 2 / np.maximum(noise[used], 1e-12)).sum()
        kept[used] = max(0.0, 1.0 - (used.sum() - 3) / max(spread, 1e-12))
    elif used.any():
        kept[used] = np.maximum(
            0.0, 1.0 - noise[used] / np.maximum((mean[used] - centre) ** 2, 1e-12)
        )
    predicted = np.append(centre + kept * (mean - centre), centre)
    return np.asarray(predicted[table.asked_group])


def ridge(table: Lesson) -> Floats:
    """Predictions (M,) of a ridge regression on the pattern and the values of one and two
    dimensions; its penalty is the one that predicts later trades best."""
    n = len(table.uplift)
    if n < LEAST_TRADES:
        return np.zeros(len(table.asked_group))
    # The pattern is one more dimension.
    known, wanted = (
        np.column_stack((table.seen, table.group + 1)),
        np.column_stack((table.asked, table.asked_group + 1)),
    )
    found = slices(known, wanted, LEAST_OF_TWO)
    x, y, asked = found.seen, table.uplift, found.asked
    if x.shape[1] > MOST_COLUMNS:
        kept = np.sort(np.argsort(-np.asarray(x.sum(axis=0)).ravel(), kind="stable")[:MOST_COLUMNS])
        x, asked = x[:, kept], asked[:, kept]
    loss, sums, start = np.zeros(len(PENALTIES)), _sums(x[:0], y[:0]), 0
    for until, end in in_time(n, FOLDS):
        # Trades that close just before the later ones close after these were opened, so a strip of
        # them is left out.
        stop = until - max(1, until // 50)
        sums, start = _sums(x[start:stop], y[start:stop], sums), stop
        predicted = _predictions(sums, x[until:end], PENALTIES)
        loss += ((predicted - y[until:end, None]) ** 2).sum(axis=0)
    best = PENALTIES[int(np.argmin(loss))]
    return np.asarray(_predictions(_sums(x[start:], y[start:], sums), asked, (best,))[:, 0])


PEERS: dict[str, Callable[[Lesson], Floats]] = {"group means": group_means, "ridge": ridge}
"""By name, the expected outcome of each decision beyond the baseline, in units of size."""
CALLED = {
    "group means": "a shrunk mean of each group",
    "ridge": "a ridge regression on all dimensions",
}
"""The peers in words."""


def sized(table: Lesson) -> dict[str, Floats]:
    """The multipliers (M,) of the decisions by peer, within the bounds of every multiplier."""
    return {name: multiplier(expect(table)) for name, expect in PEERS.items()}


class Slices(NamedTuple):
    """Columns of ones and zeros: `seen` (N, K) and `asked` (M, K).  `dimension` (K,) is the
    dimension of a column of one dimension, −1 for a column of two."""

    seen: sparse.csr_matrix
    asked: sparse.csr_matrix
    dimension: Ints


def slices(seen: Ints, asked: Ints, least_of_two: int = LEAST_OF_ONE) -> Slices:
    """The values of one and of two dimensions that enough of the rows `seen` have, but not all."""
    n, m, d = len(seen), len(asked), seen.shape[1]
    top = int(max(seen.max(initial=0), asked.max(initial=0))) + 1
    keys = [(a, a) for a in range(d)] + [(a, b) for a in range(d) for b in range(a + 1, d)]
    known: list[sparse.csr_matrix] = []
    wanted: list[sparse.csr_matrix] = []
    dimension: list[int] = []
    for a, b in keys:
        codes, predicted = seen[:, a] * top + seen[:, b], asked[:, a] * top + asked[:, b]
        valid = (seen[:, a] > 0) & (seen[:, b] > 0)
        values, counts = np.unique(codes[valid], return_counts=True)
        values = values[(counts >= (LEAST_OF_ONE if a == b else least_of_two)) & (counts < n)]
        if not len(values):
            continue
        for rows, found, out in ((n, codes, known), (m, predicted, wanted)):
            at = np.minimum(np.searchsorted(values, found), len(values) - 1)
            hit = values[at] == found
            out.append(
                sparse.csr_matrix(
                    (np.ones(hit.sum()), (hit.nonzero()[0], at[hit])), (rows, len(values))
                )
            )
        dimension += [a if a == b else -1] * len(values)
    if not dimension:
        return Slices(sparse.csr_matrix((n, 0)), sparse.csr_matrix((m, 0)), np.zeros(0, np.int64))
    return Slices(sparse.hstack(known).tocsr(), sparse.hstack(wanted).tocsr(), np.array(dimension))


def in_time(n: int, folds: int) -> list[tuple[int, int]]:
    """Expanding windows over n rows by time: (rows to learn from, end of the rows to test on).

    >>> in_time(100, 2)
    [(50, 75), (75, 100)]
    """
    edges = np.linspace(n / 2, n, folds + 1).astype(int).tolist()
    return [(a, b) for a, b in pairwise(edges) if 0 < a < b]


class _Sums(NamedTuple):
    """Sums over `n` rows: of K columns `x` (K,), of outcomes `y`, and of the products `xx` (K, K)
    and `xy` (K,)."""

    n: int
    x: Floats
    y: float
    xx: Floats
    xy: Floats


def _sums(x: sparse.csr_matrix, y: Floats, before: _Sums | None = None) -> _Sums:
    """The sums over these rows and those in `before`."""
    own = _Sums(
        len(y), np.asarray(x.sum(axis=0)).ravel(), float(y.sum()), (x.T @ x).toarray(), x.T @ y
    )
    if before is None:
        return own
    return _Sums(
        before.n + own.n, before.x + own.x, before.y + own.y, before.xx + own.xx, before.xy + own.xy
    )


def _predictions(s: _Sums, asked: sparse.csr_matrix, penalties: tuple[float, ...]) -> Floats:
    """The predictions for `asked` (M, penalties); the mean is not penalised."""
    mean, centre = s.y / s.n, s.x / s.n
    gram, wanted = s.xx - s.n * np.outer(centre, centre), s.xy - s.y * centre
    weights = np.empty((len(gram), len(penalties)))
    if len(gram):
        for i, penalty in enumerate(penalties):
            weights[:, i] = linalg.solve(
                gram + penalty * np.eye(len(gram)), wanted, assume_a="pos", check_finite=False
            )
    return np.asarray(mean + asked @ weights - centre @ weights)
