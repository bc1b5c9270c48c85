"""Latent factors: slices that match nearly the same trades are one piece of evidence, in whatever
groups they are found.

May touch: nothing but its arguments.

1. A slice's sketch holds the k = 512 smallest hashes of its trades' ids: all of them up to 512
   trades, a uniform sample of them above (`sketches.py`).
2. Slices with equal sketches and counts are one point (`points.py`).  Clones carry no weight, so
   that cloning a slice moves no other.
3. Average linkage merges two clusters only if the mean Jaccard between them is at least the bar, so
   at least one pair's is.  Whole clusters therefore lie within the components of the graph "Jaccard
   ≥ bar" (`components.py`), and average linkage is exact within each component alone
   (`jaccards.py`, `linkage.py`).
4. A pair is in that graph if it agrees in a band of min-wise hashes (a pair at the bar does almost
   surely: see `points.BANDS`) and its Jaccard is at least the bar.  Both depend on the two sketches
   alone, so the factors are a function of the set of slices: neither order nor history matters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from app.learning.integrated.components import connect
from app.learning.integrated.jaccards import Known, similarities
from app.learning.integrated.linkage import average_linkage, parts_of
from app.learning.integrated.points import Points
from app.learning.integrated.sketches import Floats, Hashes, Ints
from edgeloop.identity import factor_id


class Member(NamedTuple):
    """A slice of any group of the module: `n` trades, `n_dims` dimensions in its scope, `sketch`
    (min(n, 512),) ascending."""

    lesson_id: str
    group: str
    n: int
    n_dims: int
    sketch: Hashes


class Factor(NamedTuple):
    """Two or more slices that are one piece of evidence.

    `representative` and `members` (ascending) are lesson ids; `cohesion` is the mean Jaccard of all
    pairs of members, in [0, 1].
    """

    factor_id: str
    representative: str
    members: tuple[str, ...]
    cohesion: float


def cluster(members: Sequence[Member], bar: float = 0.7) -> list[Factor]:
    """The factors of a module's slices: average linkage cut at distance 1 − `bar`, by ascending
    lesson id of the representative.

    Ties go by the representatives' order: most trades, then most general, then smallest lesson id.
    A slice that shares its trades with none is in no factor.  Raises `ValueError` if two members
    have one lesson id or the bar is not in [0.5, 1].

    >>> ids = np.arange(9, dtype=np.uint64)
    >>> for factor in cluster([Member(f"lesson{i}", "g", 7, 1, ids[i : i + 7]) for i in range(3)]):
    ...     print(factor.representative, factor.members, factor.cohesion)
    lesson0 ('lesson0', 'lesson1') 0.75
    """
    if len({m.lesson_id for m in members}) < len(members):
        raise ValueError("Two members have the same lesson id.")
    clusterer = Clusterer(bar)
    clusterer.update(members)
    return clusterer.factors()


class Clusterer:
    """The factors of a set of slices that changes: always those that `cluster` finds in the set,
    but only what changed is computed.

    >>> ids = np.arange(9, dtype=np.uint64)
    >>> clusterer = Clusterer(0.7)
    >>> clusterer.update(
    ...     [
    ...         Member("a", "g", 7, 1, ids[:7]), Member("b", "h", 7, 1, ids[1:8]),
    ...         Member("c", "h", 7, 1, ids[2:]),
    ...     ]
    ... )
    >>> [factor.members for factor in clusterer.factors()]
    [('a', 'b')]
    >>> clusterer.update([], gone=["a"])
    >>> [factor.members for factor in clusterer.factors()]
    [('b', 'c')]
    """

    def __init__(self, bar: float = 0.7) -> None:
        if not 0.5 <= bar <= 1:
            raise ValueError(
                f"The bar is {bar}; slices are one piece of evidence only at a Jaccard index in"
                " [0.5, 1]."
            )
        self._bar = bar
        self._point: dict[str, int] = {}
        """The point each member is at."""
        self._point_of: dict[tuple[int, bytes], int] = {}
        self._at: list[dict[str, Member]] = []
        """The members at each point; none if the point is free."""
        self._points = Points(bar)
        self._label = np.zeros(0, np.int64)
        """Which component each point belongs to: equal labels, equal component."""
        self._next_label = 0
        self._factors: dict[int, list[Factor]] = {}
        """The factors of each component that has any."""

    def update(self, changed: Iterable[Member], gone: Iterable[str] = ()) -> None:
        """Take in new and changed members, by lesson id, and drop those that are gone.

        A lesson id that is gone and not known is no error; one that is in both stays, as changed.
        """
        touched: set[int] = set()
        latest = {m.lesson_id: m for m in changed}
        for lesson_id in [*gone, *latest]:
            if lesson_id in self._point:
                point = self._point.pop(lesson_id)
                del self._at[point][lesson_id]
                touched.add(point)
        fresh: dict[tuple[int, bytes], list[Member]] = {}
        for member in latest.values():
            key = (member.n, member.sketch.tobytes())
            point = self._point_of.get(key, -1)
            if point < 0:
                fresh.setdefault(key, []).append(member)
            else:
                self._put(member, point)
                touched.add(point)
        emptied = [point for point in sorted(touched) if not self._at[point]]
        stale = {int(self._label[point]) for point in touched}
        for label in stale:
            self._factors.pop(label, None)
        if emptied:
            for point in emptied:
                del self._point_of[self._points.key(point)]
            loose = np.flatnonzero(np.isin(self._label, self._label[emptied]))
            self._label[emptied] = -1
            loose = loose[self._label[loose] >= 0]
            self._points.remove(emptied)
        else:
            loose = np.zeros(0, np.int64)
        added = self._points.add([(members[0].n, members[0].sketch) for members in fresh.values()])
        grown = self._points.size - len(self._at)
        self._at += [{} for _ in range(grown)]
        self._label = np.concatenate([self._label, np.full(grown, -1, np.int64)])
        for (key, members), point in zip(fresh.items(), added.tolist(), strict=True):
            self._point_of[key] = point
            for member in members:
                self._put(member, point)
        # A component that lost a point may have come apart: its points are linked anew, like the
        # new ones.
        active = np.concatenate([loose, added])
        self._label[active] = self._next_label + np.arange(len(active))
        self._next_label += len(active)
        before = self._label.copy()
        self._label, known = connect(self._points, self._label, active, self._bar)
        for label in np.unique(before[before != self._label]).tolist():
            self._factors.pop(label, None)
        again = np.union1d(
            self._label[active], self._label[[p for p in touched if self._at[p]]].astype(np.int64)
        )
        for label in again.tolist():
            self._factors.pop(label, None)
        self._refit(again, known)

    def factors(self) -> list[Factor]:
        """All factors, by ascending lesson id of the representative."""
        return sorted(
            (f for found in self._factors.values() for f in found), key=lambda f: f.representative
        )

    def _put(self, member: Member, point: int) -> None:
        self._at[point][member.lesson_id] = member
        self._point[member.lesson_id] = point

    def _refit(self, labels: Ints, known: Known) -> None:
        """Cluster the points of each of these components."""
        points = np.flatnonzero(np.isin(self._label, labels))
        if not len(points):
            return
        label = self._label[points]
        order = np.argsort(label, kind="stable")
        points, label = points[order], label[order]
        cuts = [0, *(np.flatnonzero(np.diff(label)) + 1).tolist(), len(points)]
        names: list[int] = []
        blocks: list[list[int]] = []
        alone = [len(self._at[point]) == 1 for point in points.tolist()]
        for start, end in itertools.pairwise(cuts):
            if end - start == 1 and alone[start]:
                continue
            name = int(label[start])
            for part in parts_of(self._points, points[start:end].tolist()):
                if len(part) > 1:
                    part.sort(key=lambda point: min(map(_rank, self._at[point].values())))
                if len(part) > 1 or len(self._at[part[0]]) > 1:
                    names.append(name)
                    blocks.append(part)
        for name, block, similarity in zip(
            names, blocks, similarities(self._points, blocks, known), strict=True
        ):
            for inside in average_linkage(similarity, self._bar):
                chosen = [self._at[block[i]] for i in inside]
                members = [m for at in chosen for m in at.values()]
                if len(members) > 1:
                    within = (
                        similarity
                        if len(inside) == len(block)
                        else similarity[np.ix_(inside, inside)]
                    )
                    self._factors.setdefault(name, []).append(
                        _factor(members, within, np.array([len(at) for at in chosen], np.float64))
                    )


def _rank(member: Member) -> tuple[int, int, str]:
    """Representatives first: most trades, most general, smallest id."""
    return -member.n, member.n_dims, member.lesson_id


def _factor(members: list[Member], similarity: Floats, weight: Floats) -> Factor:
    """The factor of these members, at points of these Jaccards (m, m) with so many members each
    (m,)."""
    n_pairs = len(members) * (len(members) - 1) / 2
    cohesion = (float(weight @ similarity @ weight) - len(members)) / 2 / n_pairs
    representative = min(members, key=_rank).lesson_id
    return Factor(
        factor_id(representative),
        representative,
        tuple(sorted(m.lesson_id for m in members)),
        cohesion,
    )
