"""Components of points: which are linked by a chain of pairs whose Jaccard is at least the bar.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from app.learning.integrated.distinct_sketches import BANDS, MINIMA, Points, distinct
from app.learning.integrated.jaccards import (
    ROUNDING,
    KnownPairs,
    among,
    jaccards,
    pair_codes,
    pairs_of_codes,
)
from app.learning.integrated.sketches import Ints

AGREE_SD = 5.0
"""A pair is examined only if its minima agree in at least as many places as those of a pair at the
bar do on average, less this many standard deviations."""
TURNS = (0, 1, 2, 4, 8, 16, 32, BANDS)
"""Bands between these are searched together: few at first, since pairs whose components they join
need no second look."""
ALONE = 1 << 32
"""Labels below this are those of single points."""
CHUNK_LISTED = 1 << 20
CHUNK_COMPARED = 1 << 14
"""Pairs that are listed, and whose minima are compared, at a time: they bound the memory."""
_GROWTH = 5, 4
"""Room for labels grows by a quarter at a time, so that adding points one by one stays linear."""
_EACH_BYTE, _TOP_BYTE = np.uint64(0x0101010101010101), np.uint64(56)
"""The product of a word with the first has the sum of the word's bytes in its highest byte."""


class Labels:
    """Which component each point belongs to: equal labels `of` points, equal component.  The label
    of a point that is alone is its own number."""

    def __init__(self) -> None:
        self.of = np.zeros(0, np.int64)  # with room for more; −1 of a place that is free
        self.joined: set[int] = set()
        """Components that others were joined with since this was last emptied."""
        self._points: dict[int, list[int]] = {}  # of components of several points
        self._next = ALONE

    def points(self, label: int) -> list[int]:
        """The points of a component.

        Parameters
        ----------
        label
            Its label.

        Returns
        -------
        The points, ascending.
        """
        return [label] if label < ALONE else sorted(self._points[label])

    def separate(self, points: Ints) -> None:
        """Make each of these points a component of its own.

        Parameters
        ----------
        points
            The points.
        """
        self.free(points)
        if len(points) and (most := int(points.max())) >= len(self.of):
            more, of = _GROWTH
            room = max(most + 1, len(self.of) * more // of) - len(self.of)
            self.of = np.concatenate([self.of, np.full(room, -1, np.int64)])
        self.of[points] = points

    def free(self, points: Ints) -> None:
        """Take points out of their components.

        Parameters
        ----------
        points
            The points.
        """
        points = points[points < len(self.of)]
        for point, label in zip(points.tolist(), self.of[points].tolist(), strict=True):
            if label >= ALONE:
                self._points[label].remove(point)
                if not self._points[label]:
                    del self._points[label]
        self.of[points] = -1

    def join(self, a: Ints, b: Ints) -> None:
        """Merge the components of a[i] and b[i], for each i.

        Parameters
        ----------
        a, b
            Points (N,).
        """
        if not len(a):
            return
        names, at = np.unique(np.concatenate([self.of[a], self.of[b]]), return_inverse=True)
        left, right = at[: len(a)], at[len(a) :]
        graph = coo_array(
            (np.ones(len(a), np.bool_), (left, right)), shape=(len(names), len(names))
        )
        _, part = connected_components(graph, directed=False)
        whole: dict[int, list[int]] = {}
        for name, number in zip(names.tolist(), part.tolist(), strict=True):
            whole.setdefault(number, []).append(name)
        for together in whole.values():
            if len(together) > 1:
                self.joined.update(together)
                self._points[self._next] = inside = []
                for name in together:
                    inside += [name] if name < ALONE else self._points.pop(name)
                self.of[inside] = self._next
                self._next += 1


def connect(points: Points, labels: Labels, active: Ints, bar: float) -> KnownPairs:
    """Join the components that a pair with an active point links.

    Pairs within one component need no look.  If many are active, neighbours in a band come first,
    so that most components are whole before all pairs are listed.

    Parameters
    ----------
    points
        All points.
    labels
        Their components, which this changes.
    active
        Places of the points that are new or have come loose.
    bar
        Least Jaccard of a link.

    Returns
    -------
    The Jaccard indices that were computed on the way.
    """
    known = KnownPairs(np.zeros(0, np.int64), np.zeros(0, np.float64))
    if not len(active):
        return known
    is_active = np.zeros(points.size, np.bool_)
    is_active[active] = True
    few = len(active) <= points.size // 10
    for neighbours in (False,) if few else (True, False):
        for start, stop in ((0, BANDS),) if few else itertools.pairwise(TURNS):
            buckets = _buckets_of(points, active) if few else points.bands(start, stop)
            for left, right in _bucket_pairs(*buckets, labels.of, is_active, neighbours):
                code = _candidates(points, labels.of, left, right, bar)
                code = code[~among(code, known.code)]
                if not len(code):
                    continue
                a, b = pairs_of_codes(code)
                found = jaccards(points, a, b)
                codes = np.concatenate([known.code, code])
                order = np.argsort(codes, kind="stable")
                known = KnownPairs(codes[order], np.concatenate([known.jaccard, found])[order])
                linked = found >= bar - 2 * ROUNDING  # looser than the linkage, which decides
                labels.join(a[linked], b[linked])
    return known


def _buckets_of(points: Points, active: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """As `Points.bands`, but only those with an entry of an active point."""
    entry, n = points.buckets(active)
    n = n[n > 0]
    new = np.zeros(len(entry), np.bool_)
    new[np.cumsum(n) - n] = True
    return new, entry


def _bucket_pairs(
    new: NDArray[np.bool_], entry: Ints, label: Ints, is_active: NDArray[np.bool_], neighbours: bool
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of entries, one at least of an active point, that are in a bucket: all, or neighbours
    only."""
    here = np.flatnonzero(is_active[entry >> 1])
    if neighbours:
        last = np.append(new[1:], True)
        yield entry[here[~last[here]]], entry[here[~last[here]] + 1]
        yield entry[here[~new[here]] - 1], entry[here[~new[here]]]
        return
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], len(entry))
    names = label[entry >> 1]
    mixed = np.minimum.reduceat(names, starts) < np.maximum.reduceat(names, starts)
    run = np.searchsorted(starts, here, side="right") - 1
    here, run = here[mixed[run]], run[mixed[run]]
    # A pair of active entries is listed once, by its first entry; an active entry is paired with
    # inactive ones on both sides.
    first = here + 1 if is_active.all() else starts[run]
    width = ends[run] - first
    total = np.cumsum(width)
    at = 0
    while at < len(here):
        to = max(
            at + 1,
            int(np.searchsorted(total, (total[at - 1] if at else 0) + CHUNK_LISTED, side="right")),
        )
        n = width[at:to]
        left = np.repeat(here[at:to], n)
        right = np.arange(len(left)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(first[at:to], n)
        yield entry[left], entry[right]
        at = to


def _candidates(points: Points, label: Ints, left: Ints, right: Ints, bar: float) -> Ints:
    """The codes of the pairs of points, of these pairs of entries, that may link two components;
    ascending."""
    a, b = left >> 1, right >> 1
    open_ = label[a] != label[b]
    left, right, a, b = left[open_], right[open_], a[open_], b[open_]
    near = np.minimum(points.n[a], points.n[b]) >= (bar - ROUNDING) * np.maximum(
        points.n[a], points.n[b]
    )
    left, right = left[near], right[near]
    entries = distinct(pair_codes(left, right))
    least = MINIMA * bar - AGREE_SD * (MINIMA * bar * (1 - bar)) ** 0.5
    step = CHUNK_COMPARED
    alike = [
        _agreement(points, entries[i : i + step]) >= least for i in range(0, len(entries), step)
    ]
    if alike:
        entries = entries[np.concatenate(alike)]
    left, right = pairs_of_codes(entries)
    return distinct(pair_codes(left >> 1, right >> 1))


def _agreement(points: Points, entries: Ints) -> Ints:
    """In how many minima each pair of entries agrees."""
    left, right = pairs_of_codes(entries)
    equal = points.minima(left) == points.minima(right)
    bytes_ = equal.view(np.uint64).sum(axis=1)  # at most 16 in each of eight bytes
    agreed: Ints = ((bytes_ * _EACH_BYTE) >> _TOP_BYTE).astype(np.int64)
    return agreed
