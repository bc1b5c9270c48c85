"""What a peer learns from and is asked: the known entries as rows, the decisions as rows, in the same codes.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from app.audit.trades import Decision, Group
from app.learning.common.window import Trade

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
LEAST_TRADES = 30
"""A slice with fewer known trades is no column."""


class Lesson(NamedTuple):
    """N known trades by exit and M decisions.

    `seen` (N, D) and `asked` (M, D) are codes of D dimensions, 0 where there is no value; `group` and `asked_group` say which pattern and
    category, −1 for one without a known trade; `uplift` (N,) is the outcome beyond its segment's mean, in units of size; `exit_us` (N,).
    """

    seen: Ints
    group: Ints
    uplift: Floats
    exit_us: Ints
    asked: Ints
    asked_group: Ints


def lesson(
    known: Mapping[Group, Sequence[Trade]], asked: Sequence[Decision], dimensions: Sequence[str], categories: Sequence[str], unit: float
) -> Lesson:
    """The table of the known trades of these categories."""
    groups = sorted(group for group in known if group[1] in categories)
    rows = sorted(
        ((trade, i) for i, group in enumerate(groups) for trade in known[group]), key=lambda r: (r[0].exit_us, r[0].trade_id, r[1])
    )
    segments: dict[Any, list[float]] = {}
    for trade, _ in rows:
        segments.setdefault(trade.segment, []).append(trade.outcome)
    means = {segment: float(np.mean(outcomes)) for segment, outcomes in segments.items()}
    codes: list[dict[str, int]] = [{} for _ in dimensions]
    seen = np.zeros((len(rows), len(dimensions)), np.int64)
    for row, (trade, _) in enumerate(rows):
        scope = trade.scopes[0] if trade.scopes else {}
        for d, name in enumerate(dimensions):
            if (value := scope.get(name)) is not None:
                seen[row, d] = codes[d].setdefault(value, len(codes[d]) + 1)
    wanted = np.array([[codes[d].get(a.scope.get(name, ""), 0) for d, name in enumerate(dimensions)] for a in asked], np.int64)
    number = {group: i for i, group in enumerate(groups)}
    return Lesson(
        seen,
        np.array([i for _, i in rows], np.int64),
        np.array([(trade.outcome - means[trade.segment]) / unit for trade, _ in rows]),
        np.array([trade.exit_us for trade, _ in rows], np.int64),
        wanted.reshape(len(asked), len(dimensions)),
        np.array([number.get(a.group, -1) for a in asked], np.int64),
    )


class Slices(NamedTuple):
    """Columns of ones and zeros: `seen` (N, K) and `asked` (M, K); `dimension` (K,) of those of one dimension, −1 for those of two."""

    seen: sparse.csr_matrix
    asked: sparse.csr_matrix
    dimension: Ints


def slices(seen: Ints, asked: Ints, least_of_two: int = LEAST_TRADES) -> Slices:
    """Every value of a dimension and of two, that enough of the rows `seen` have and not all of them."""
    n, m, d = len(seen), len(asked), seen.shape[1]
    top = int(max(seen.max(initial=0), asked.max(initial=0))) + 1
    keys = [(a, a) for a in range(d)] + [(a, b) for a in range(d) for b in range(a + 1, d)]
    known: list[sparse.csr_matrix] = []
    wanted: list[sparse.csr_matrix] = []
    dimension: list[int] = []
    for a, b in keys:
        codes, told = seen[:, a] * top + seen[:, b], asked[:, a] * top + asked[:, b]
        valid = (seen[:, a] > 0) & (seen[:, b] > 0)
        values, counts = np.unique(codes[valid], return_counts=True)
        values = values[(counts >= (LEAST_TRADES if a == b else least_of_two)) & (counts < n)]
        if not len(values):
            continue
        for rows, found, out in ((n, codes, known), (m, told, wanted)):
            at = np.minimum(np.searchsorted(values, found), len(values) - 1)
            hit = values[at] == found
            out.append(sparse.csr_matrix((np.ones(hit.sum()), (hit.nonzero()[0], at[hit])), (rows, len(values))))
        dimension += [a if a == b else -1] * len(values)
    if not dimension:
        return Slices(sparse.csr_matrix((n, 0)), sparse.csr_matrix((m, 0)), np.zeros(0, np.int64))
    return Slices(sparse.hstack(known).tocsr(), sparse.hstack(wanted).tocsr(), np.array(dimension))


def in_time(n: int, folds: int) -> list[tuple[int, int]]:
    """Expanding windows over n rows by time: (rows to learn from, end of the rows to test on)."""
    edges = np.linspace(n / 2, n, folds + 1).astype(int).tolist()
    return [(a, b) for a, b in pairwise(edges) if 0 < a < b]
