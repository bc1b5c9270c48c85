"""Latent factors: slices that match nearly the same trades are one piece of evidence, in whatever
groups they are found.

May touch: nothing but its arguments.

1. A slice's sketch holds the k = 512 smallest hashes of its trades' ids: all of them up to 512
   trades, a uniform sample of them above (`sketches.py`).
2. Slices with equal sketches and counts are one point (`distinct_sketches.py`).  Clones carry no
   weight, so that cloning a slice moves no other.
3. Average linkage merges two clusters only if the mean Jaccard between them is at least the bar, so
   at least one pair's is.  Whole clusters therefore lie within the components of the graph "Jaccard
   ≥ bar" (`components.py`), and average linkage is exact within each component alone
   (`jaccards.py`, `linkage.py`).
4. A pair is in that graph if it agrees in a band of min-wise hashes (a pair at the bar does almost
   surely: see `distinct_sketches.BANDS`) and its Jaccard is at least the bar.  Both depend on the
   two sketches alone, so the factors are a function of the set of slices: neither order nor history
   matters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from app.learning.integrated.components import Labels, connect
from app.learning.integrated.distinct_sketches import Points, point_key
from app.learning.integrated.jaccards import KnownPairs, similarities
from app.learning.integrated.linkage import average_linkage, parts_of
from app.learning.integrated.sketches import Floats, Hashes, packed_hashes
from edgeloop.identity import factor_id

DIMS_BITS = 8
"""Low bits of a member's place that are the dimensions of its scope; the others are its point."""


Rank = tuple[int, int, str]
"""A member in the order of representatives: −trades, dimensions, lesson id."""


class Member(NamedTuple):
    """A slice of any group of the module.

    Attributes
    ----------
    lesson_id
        Id of its lesson.
    group
        Its group.
    n
        Trades.
    n_dims
        Dimensions of its scope.
    sketch
        The smallest hashes of its trades (min(n, 512),), ascending; or the same as `packed_hashes`
        packs them.
    """

    lesson_id: str
    group: str
    n: int
    n_dims: int
    sketch: Hashes | bytes


class Factor(NamedTuple):
    """Two or more slices that are one piece of evidence.

    Attributes
    ----------
    factor_id
        Id of the factor.
    representative
        Lesson id of the member whose effect counts.
    members
        Lesson ids of all members, ascending.
    cohesion
        Mean Jaccard index of all pairs of members, 0 to 1.
    """

    factor_id: str
    representative: str
    members: tuple[str, ...]
    cohesion: float


def cluster(members: Sequence[Member], bar: float = 0.7) -> list[Factor]:
    """The factors of a module's slices: average linkage cut at distance 1 − `bar`.

    Ties go by the representatives' order: most trades, then most general, then smallest lesson id.
    A slice that shares its trades with no other is in no factor.

    Parameters
    ----------
    members
        The slices, in any order.
    bar
        Least mean Jaccard index within a factor, in [0.5, 1].

    Returns
    -------
    Factors of two or more slices, by ascending lesson id of the representative.

    Raises
    ------
    ValueError
        If two members have one lesson id, or the bar is not in [0.5, 1].

    References
    ----------
    Sokal & Michener 1958, "A statistical method for evaluating systematic relationships".
    Broder 1997, "On the resemblance and containment of documents".

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
    """The factors of a set of slices that changes.

    They are always those that `cluster` finds in the set, but only what changed is computed.

    Parameters
    ----------
    bar
        Least mean Jaccard index within a factor.

    Raises
    ------
    ValueError
        If the bar is not in [0.5, 1].

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
        self._place: dict[str, int] = {}
        """For each member, by lesson id, its point and the number of dimensions of its scope, in
        one number."""
        self._point_of: dict[bytes, int] = {}
        self._key_at: list[bytes] = []
        """The key of each point, by which `_point_of` has it."""
        self._at: list[str | tuple[str, ...]] = []
        """The lesson ids at each point: of one member without a tuple, none if the point is free.
        """
        self._points = Points(bar)
        self._labels = Labels()
        self._factors: dict[int, list[Factor]] = {}
        """The factors of each component that has any."""
        self.by_id: dict[str, Factor] = {}
        """All factors."""
        self.factor_of: dict[str, Factor] = {}
        """The factor of each member, by lesson id."""
        self._before: dict[str, Factor | None] = {}
        """The factors, by id, of which something may have changed since `changes`, as they were."""

    def changes(self) -> tuple[set[str], set[str]]:
        """What has changed since the last call.

        Returns
        -------
        The ids of lessons whose factor changed, and the ids of factors that changed.
        """
        before, self._before = self._before, {}
        factors = {i for i, old in before.items() if self.by_id.get(i) != old}
        lessons: set[str] = set()
        for i in factors:
            for factor in (before[i], self.by_id.get(i)):
                lessons.update(() if factor is None else factor.members)
        return lessons, factors

    def update(self, changed: Iterable[Member], gone: Iterable[str] = ()) -> None:
        """Add new and changed members, by lesson id, and drop those that are gone.

        Parameters
        ----------
        changed
            Slices to add or replace.
        gone
            Lesson ids to drop.  An unknown one is no error; one that is in `changed`, too, stays.
        """
        touched: set[int] = set()
        latest = {m.lesson_id: m for m in changed}
        for lesson_id in [*gone, *latest]:
            if lesson_id in self._place:
                point = self._place.pop(lesson_id) >> DIMS_BITS
                left = tuple([i for i in self._ids(point) if i != lesson_id])
                self._at[point] = left[0] if len(left) == 1 else left
                touched.add(point)
        fresh: dict[bytes, tuple[bytes, list[Member]]] = {}
        for member in latest.values():
            given = member.sketch
            sketch = given if isinstance(given, bytes) else packed_hashes(given)
            key = point_key(member.n, sketch)
            point = self._point_of.get(key, -1)
            if point < 0:
                fresh.setdefault(key, (sketch, []))[1].append(member)
            else:
                self._put(member, point)
                touched.add(point)
        emptied = [point for point in sorted(touched) if not self._at[point]]
        for label in {int(self._labels.of[point]) for point in touched}:
            self._forget(label)
        # A component that lost a point may have come apart: its points are linked again, like the
        # new ones.
        apart = {int(self._labels.of[point]) for point in emptied}
        gone_points = set(emptied)
        loose = [
            point
            for label in sorted(apart)
            for point in self._labels.points(label)
            if point not in gone_points
        ]
        for point in emptied:
            del self._point_of[self._key_at[point]]
            self._key_at[point] = b""
        self._labels.free(np.array(emptied, np.int64))
        if emptied:
            self._points.remove(emptied)
        added = self._points.add([(members[0].n, sketch) for sketch, members in fresh.values()])
        self._at += [()] * (self._points.size - len(self._at))
        self._key_at += [b""] * (self._points.size - len(self._key_at))
        for (key, (_, members)), point in zip(fresh.items(), added.tolist(), strict=True):
            self._point_of[key], self._key_at[point] = point, key
            for member in members:
                self._put(member, point)
        active = np.concatenate([np.array(loose, np.int64), added])
        self._labels.separate(active)
        self._labels.joined = set()
        known = connect(self._points, self._labels, active, self._bar)
        occupied = [p for p in touched if self._at[p]]
        again = {int(self._labels.of[p]) for p in [*active.tolist(), *occupied]}
        for label in self._labels.joined | again:
            self._forget(label)
        self._refit(sorted(again), known)

    def factors(self) -> list[Factor]:
        """All factors of the set.

        Returns
        -------
        Factors by ascending lesson id of the representative.
        """
        return sorted(self.by_id.values(), key=lambda f: f.representative)

    def _put(self, member: Member, point: int) -> None:
        ids = (*self._ids(point), member.lesson_id)
        self._at[point] = ids[0] if len(ids) == 1 else ids
        self._place[member.lesson_id] = point << DIMS_BITS | member.n_dims

    def _ids(self, point: int) -> tuple[str, ...]:
        at = self._at[point]
        return (at,) if isinstance(at, str) else at

    def _ranks(self, point: int) -> list[Rank]:
        n, dims = int(self._points.n[point]), (1 << DIMS_BITS) - 1
        return [(-n, self._place[i] & dims, i) for i in self._ids(point)]

    def _refit(self, labels: Sequence[int], known: KnownPairs) -> None:
        """Cluster the points of each of these components."""
        names: list[int] = []
        blocks: list[list[int]] = []
        for name in labels:
            inside = self._labels.points(name)
            if len(inside) == 1 and isinstance(self._at[inside[0]], str):
                continue
            for part in parts_of(self._points, inside):
                if len(part) > 1:
                    part.sort(key=lambda point: min(self._ranks(point)))
                if len(part) > 1 or len(self._ids(part[0])) > 1:
                    names.append(name)
                    blocks.append(part)
        for name, block, similarity in zip(
            names, blocks, similarities(self._points, blocks, known), strict=True
        ):
            for together in average_linkage(similarity, self._bar):
                chosen = [self._ranks(block[i]) for i in together]
                members = [rank for at in chosen for rank in at]
                if len(members) > 1:
                    within = (
                        similarity
                        if len(together) == len(block)
                        else similarity[np.ix_(together, together)]
                    )
                    weight = np.array([len(at) for at in chosen], np.float64)
                    self._found(name, _factor(members, within, weight))

    def _found(self, label: int, factor: Factor) -> None:
        self._factors.setdefault(label, []).append(factor)
        self._before.setdefault(factor.factor_id, None)
        self.by_id[factor.factor_id] = factor
        self.factor_of.update(dict.fromkeys(factor.members, factor))

    def _forget(self, label: int) -> None:
        for factor in self._factors.pop(label, ()):
            self._before.setdefault(factor.factor_id, factor)
            del self.by_id[factor.factor_id]
            for i in factor.members:
                del self.factor_of[i]


def _factor(members: list[Rank], similarity: Floats, weight: Floats) -> Factor:
    """The factor of these members, at points of these Jaccards (m, m) with so many members each
    (m,)."""
    n_pairs = len(members) * (len(members) - 1) / 2
    cohesion = (float(weight @ similarity @ weight) - len(members)) / 2 / n_pairs
    representative = min(members)[2]
    return Factor(
        factor_id(representative),
        representative,
        tuple(sorted(lesson_id for _, _, lesson_id in members)),
        cohesion,
    )
