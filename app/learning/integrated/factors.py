"""Latent factors: slices that match nearly the same trades are one piece of evidence, in whatever groups they are found.

May touch: nothing but its arguments.

1. A slice's sketch holds the k = 512 smallest hashes of its trades' ids: all of them up to 512 trades, a uniform sample of them above.
2. Slices with equal sketches and counts are one point.  Clones carry no weight, so that cloning a slice moves no other.
3. Average linkage merges two clusters only if the mean Jaccard between them is at least the bar, so at least one pair's is.  Whole clusters
   therefore lie within the components of the graph "Jaccard ≥ bar", and average linkage is exact within each component alone.
4. A pair is in that graph if it agrees in a band of min-wise hashes (a pair at the bar does almost surely: see `BANDS`) and its Jaccard
   is at least the bar.  Both depend on the two sketches alone, so the factors are a function of the set of slices: neither order nor
   history matters.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from schemas.identity import factor_id

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SKETCH_SIZE = 512
"""Hashes of a sketch: the Jaccard of larger slices has a standard error of at most 0.02."""
HASH_BITS = 48
"""Of a million trades two have the same hash in one module of 560, which moves a Jaccard by one trade; a sketch takes 4 kB as text."""
MAX_BLOCK = 2048
"""Points of a component that are clustered in one go (200 MB at work).  A larger component is cut in the order of the sketches (points with
the smallest trade hash in common are neighbours): factors in it may be split, but they are still a function of the set of slices."""
MINIMA = 128
"""Min-wise hashes of a sketch; a pair of Jaccard J agrees in a share J of them."""
BANDS = 48
"""Bands of four minima each (fewer for a bar below 0.7); a pair is looked at if it agrees in one.  Of 361 000 pairs just at the bar 0.7,
of 10 to 3 000 trades, 6 were not (32 bands: 79); that matters only if no chain of other pairs links the two."""

_STEPS = ((1, 0), (3, 31), (5, 67), (7, 101))
"""Band b consists of the minima (step · b + offset) mod 128."""
_LEAST_AGREEMENT = 0.235
"""A pair at the bar agrees in each band with at least this probability."""
_AGREE_SD = 5.0
"""Pairs that agree in fewer minima than a pair at the bar does, less so many standard deviations, are not looked at either."""
_TOP = 7
"""Level of the sketches of 256 hashes and more, whose minima are those of 2^7 bins."""
_SLACK = 1e-9
"""What rounding may take from a mean of Jaccards that is exactly at the bar."""
_SMALL_BLOCK = 24
"""The pairs of all smaller components are counted in one go; a larger one's are a matrix product."""
_TURNS = (0, 1, 2, 4, 8, 16, 32, BANDS)
"""Bands between these are looked at together: few at first, since what they join needs no second look."""
_CHUNK_PAIRS = 1 << 11
_CHUNK_LISTED = 1 << 20
_CHUNK_COMPARED = 1 << 14
_CHUNK_ENTRIES = 1 << 9
_CHUNK_COLUMNS = 1 << 10
_OWNER_BITS = np.uint64(24)
_OWNER = np.uint64((1 << 24) - 1)
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


class Member(NamedTuple):
    """A slice of any group of the module: `n` trades, `n_dims` dimensions in its scope, `sketch` (min(n, 512),) ascending."""

    lesson_id: str
    group: str
    n: int
    n_dims: int
    sketch: Hashes


class Factor(NamedTuple):
    """Two or more slices that are one piece of evidence.

    `representative` and `members` (ascending) are lesson ids; `cohesion` is the mean Jaccard of all pairs of members, in [0, 1].
    """

    factor_id: str
    representative: str
    members: tuple[str, ...]
    cohesion: float


def trade_hash(trade_id: str) -> int:
    """A trade's hash in [0, 2^48): the first six bytes, big-endian, of the BLAKE2b-128 of its id in UTF-8.  The same on every machine.

    >>> trade_hash("t1")
    62791285183997
    """
    return int.from_bytes(hashlib.blake2b(trade_id.encode(), digest_size=16).digest()[: HASH_BITS // 8], "big")


def trade_hashes(trade_ids: Sequence[str]) -> Hashes:
    """`trade_hash` of many ids (T,), faster.

    >>> trade_hashes(["t1"]).tolist()
    [62791285183997]
    """
    digest = hashlib.blake2b
    digests = b"".join([digest(trade_id.encode(), digest_size=16).digest() for trade_id in trade_ids])
    return np.frombuffer(digests, ">u8")[::2].astype(np.uint64) >> np.uint64(64 - HASH_BITS)


def sketches(hashes: Hashes, members: NDArray[np.bool_]) -> list[Hashes]:
    """Sketches of K slices: of each row of `members` (K, T) the 512 smallest `hashes` (T,) of its trades, ascending.

    Bar-Yossef et al. 2002, "Counting distinct elements in a data stream" (k minimum values).

    >>> [s.tolist() for s in sketches(np.array([30, 10, 20], np.uint64), np.array([[True, True, False], [False, False, True]]))]
    [[10, 30], [20]]
    """
    ordered, first = np.unique(hashes, return_index=True)
    if len(ordered) < len(hashes):  # two trades of one hash count as one
        columns = np.argsort(hashes, kind="stable")
        members = np.logical_or.reduceat(members[:, columns], np.searchsorted(hashes[columns], ordered), axis=1)
        first = np.arange(len(ordered))
    found = []
    step = max(1, (1 << 24) // max(1, len(ordered)))
    for start in range(0, len(members), step):
        row, column = np.nonzero(members[start : start + step, first])
        ends = np.searchsorted(row, np.arange(min(step, len(members) - start)), side="right").tolist()
        kept = ordered[column]
        found += [kept[a : min(a + SKETCH_SIZE, b)].copy() for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return found


def encode(sketch: Hashes) -> str:
    """A sketch as text: base64 of its hashes, six bytes each, big-endian.

    >>> encode(np.array([1, 258], np.uint64))
    'AAAAAAABAAAAAAEC'
    """
    return base64.b64encode(sketch.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:].tobytes()).decode()


def decode(text: str) -> Hashes:
    """The sketch of a text that `encode` made.  Raises `ValueError` if the text is not base64 of six bytes a hash.

    >>> decode("AAAAAAABAAAAAAEC").tolist()
    [1, 258]
    """
    raw = base64.b64decode(text, validate=True)
    if len(raw) % 6:
        raise ValueError(f"The sketch has {len(raw)} bytes; it has to have six for each hash.")
    wide = np.zeros((len(raw) // 6, 8), np.uint8)
    wide[:, 2:] = np.frombuffer(raw, np.uint8).reshape(-1, 6)
    return wide.view(">u8")[:, 0].astype(np.uint64)


def decoded(texts: Sequence[str]) -> list[Hashes]:
    """`decode` of many texts.  Raises `ValueError` as it does.

    >>> [sketch.tolist() for sketch in decoded(["AAAAAAABAAAAAAEC", "", "AAAAAAAD"])]
    [[1, 258], [], [3]]
    >>> decoded([])
    []
    """
    if any(len(text) % 8 for text in texts):  # six bytes are eight letters, so that texts laid end to end are one
        return [decode(text) for text in texts]
    whole, ends = decode("".join(texts)), list(itertools.accumulate(len(text) // 8 for text in texts))
    return [whole[start:end].copy() for start, end in zip([0, *ends], ends, strict=False)]


def jaccard(a: Hashes, n_a: int, b: Hashes, n_b: int) -> float:
    """The Jaccard index |A ∩ B| / |A ∪ B| of two slices of `n_a` and `n_b` trades, from their sketches.

    Exact if neither has more than 512 trades.  Otherwise it is that of all hashes up to the place where the first of the sketches ends:
    a sample of the union without replacement, of at least 512 (so that no more than the smallest 512 of the union could say is lost);
    and never above min(n) / max(n), which no Jaccard exceeds.  Two empty slices are equal: 1.

    >>> jaccard(np.arange(0, 7, dtype=np.uint64), 7, np.arange(1, 8, dtype=np.uint64), 7)
    0.75
    >>> round(jaccard(np.arange(0, 7, dtype=np.uint64), 7, np.arange(2, 9, dtype=np.uint64), 7), 4)
    0.5556
    """
    ends = [int(s[-1]) for s, n in ((a, n_a), (b, n_b)) if n > SKETCH_SIZE]
    if ends:
        a, b = (s[: np.searchsorted(s, np.uint64(min(ends)), side="right")] for s in (a, b))
    common = len(np.intersect1d(a, b, assume_unique=True))
    return float(_index(np.array(common), np.array(len(a)), np.array(len(b)), np.array(n_a), np.array(n_b)))


def cluster(members: Sequence[Member], bar: float = 0.7) -> list[Factor]:
    """The factors of a module's slices: average linkage cut at distance 1 − `bar`, by ascending lesson id of the representative.

    Ties go by the representatives' order: most trades, then most general, then smallest lesson id.  A slice that
    shares its trades with none is in no factor.  Raises `ValueError` if two members have one lesson id or the bar is not in [0.5, 1].

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
    """The factors of a set of slices that changes: always those that `cluster` finds in the set, but only what changed is computed.

    >>> ids = np.arange(9, dtype=np.uint64)
    >>> clusterer = Clusterer(0.7)
    >>> clusterer.update([Member("a", "g", 7, 1, ids[:7]), Member("b", "h", 7, 1, ids[1:8]), Member("c", "h", 7, 1, ids[2:])])
    >>> [factor.members for factor in clusterer.factors()]
    [('a', 'b')]
    >>> clusterer.update([], gone=["a"])
    >>> [factor.members for factor in clusterer.factors()]
    [('b', 'c')]
    """

    def __init__(self, bar: float = 0.7) -> None:
        if not 0.5 <= bar <= 1:
            raise ValueError(f"The bar is {bar}; slices are one piece of evidence only at a Jaccard index in [0.5, 1].")
        self._bar = bar
        self._point: dict[str, int] = {}
        """The point each member is at."""
        self._point_of: dict[tuple[int, bytes], int] = {}
        self._at: list[dict[str, Member]] = []
        """The members at each point; none if the point is free."""
        self._points = _Points(bar)
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
        # A component that lost a point may have come apart: its points are linked anew, like the new ones.
        active = np.concatenate([loose, added])
        self._label[active] = self._next_label + np.arange(len(active))
        self._next_label += len(active)
        before = self._label.copy()
        self._label, known = _connect(self._points, self._label, active, self._bar)
        for label in np.unique(before[before != self._label]).tolist():
            self._factors.pop(label, None)
        again = np.union1d(self._label[active], self._label[[p for p in touched if self._at[p]]].astype(np.int64))
        for label in again.tolist():
            self._factors.pop(label, None)
        self._refit(again, known)

    def factors(self) -> list[Factor]:
        """All factors, by ascending lesson id of the representative."""
        return sorted((f for found in self._factors.values() for f in found), key=lambda f: f.representative)

    def _put(self, member: Member, point: int) -> None:
        self._at[point][member.lesson_id] = member
        self._point[member.lesson_id] = point

    def _refit(self, labels: Ints, known: _Known) -> None:
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
            for part in _parts(self._points, points[start:end].tolist()):
                if len(part) > 1:
                    part.sort(key=lambda point: min(map(_rank, self._at[point].values())))
                if len(part) > 1 or len(self._at[part[0]]) > 1:
                    names.append(name)
                    blocks.append(part)
        for name, block, similarity in zip(names, blocks, _similarities(self._points, blocks, known), strict=True):
            for inside in _average_linkage(similarity, self._bar):
                chosen = [self._at[block[i]] for i in inside]
                members = [m for at in chosen for m in at.values()]
                if len(members) > 1:
                    within = similarity if len(inside) == len(block) else similarity[np.ix_(inside, inside)]
                    self._factors.setdefault(name, []).append(_factor(members, within, np.array([len(at) for at in chosen], np.float64)))


def _rank(member: Member) -> tuple[int, int, str]:
    """Representatives first: most trades, most general, smallest id."""
    return -member.n, member.n_dims, member.lesson_id


def _factor(members: list[Member], similarity: Floats, weight: Floats) -> Factor:
    """The factor of these members, at points of these Jaccards (m, m) with so many members each (m,)."""
    n_pairs = len(members) * (len(members) - 1) / 2
    cohesion = (float(weight @ similarity @ weight) - len(members)) / 2 / n_pairs
    representative = min(members, key=_rank).lesson_id
    return Factor(factor_id(representative), representative, tuple(sorted(m.lesson_id for m in members)), cohesion)


def _index(common: NDArray[np.integer], a: NDArray[np.integer], b: NDArray[np.integer], n_a: Ints, n_b: Ints) -> Floats:
    """Jaccard from the hashes in common and of each up to where both sketches are complete, and the numbers of trades."""
    union = a + b - common
    ratio = np.minimum(n_a, n_b) / np.maximum(np.maximum(n_a, n_b), 1)
    index: Floats = np.where(union > 0, np.minimum(common / np.maximum(union, 1), np.where(n_a == n_b, 1.0, ratio)), 1.0)
    return index


class _Known(NamedTuple):
    """Jaccards of pairs of points, `code` ascending."""

    code: Ints
    jaccard: Floats


class _Points:
    """Distinct sketches, each at a place that may be taken again after it was removed, and the table of their bands.

    The minima of a sketch are those of 2^level bins under 2^(7 − level) permutations (one-permutation hashing, Li et al. 2012), so that two
    to four hashes are in a bin.  A sketch that a pair at the bar may have a smaller level with is in the table at that level as well.  The
    one permutation of the top level is the order of the hashes themselves, whose minima a truncated sketch has like the whole.
    """

    def __init__(self, bar: float) -> None:
        self._bar = bar
        rows = len(_STEPS) if bar == 1 else min(len(_STEPS), int(math.log(_LEAST_AGREEMENT) / math.log(bar)))
        self._steps = _STEPS[:rows]
        self.size = 0
        self.n = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self.sketch: list[Hashes] = []
        self._free: list[int] = []
        self.minima = np.zeros((0, MINIMA), np.uint8)
        """Entry 2 · point + (1 if it is at the lower level): a byte of each minimum."""
        self.bands = np.zeros((0, BANDS), np.uint64)
        """Of each entry: 40 bits of the band's key, 24 of the entry; 0 if there is no such entry."""
        self.table = np.zeros((BANDS, 0), np.uint64)
        """The bands of all E entries, ascending in each row (BANDS, E)."""

    def key(self, point: int) -> tuple[int, bytes]:
        return int(self.n[point]), self.sketch[point].tobytes()

    def entries(self, points: Ints) -> Ints:
        """The entries of these points."""
        both = np.concatenate([2 * points, 2 * points + 1])
        listed: Ints = both[self.bands[both, 0] > 0]
        return listed

    def remove(self, points: Sequence[int]) -> None:
        entries = self.entries(np.array(points, np.int64))
        keep = np.ones(self.table.shape, np.bool_)
        for row, mine in enumerate(self.bands[entries].T):
            keep[row, np.searchsorted(self.table[row], mine)] = False
        self.table = self.table[keep].reshape(BANDS, -1)
        self.bands[entries] = 0
        for point in points:
            self.sketch[point] = np.zeros(0, np.uint64)
        self._free += points

    def add(self, new: list[tuple[int, Hashes]]) -> Ints:
        """The places of the new points."""
        if not new:
            return np.zeros(0, np.int64)
        places = [self._free.pop() for _ in range(min(len(self._free), len(new)))]
        grown = len(new) - len(places)
        places += range(self.size, self.size + grown)
        self.size += grown
        self.n = np.concatenate([self.n, np.zeros(grown, np.int64)])
        self.length = np.concatenate([self.length, np.zeros(grown, np.int64)])
        self.minima = np.concatenate([self.minima, np.zeros((2 * grown, MINIMA), np.uint8)])
        self.bands = np.concatenate([self.bands, np.zeros((2 * grown, BANDS), np.uint64)])
        self.sketch += [np.zeros(0, np.uint64)] * grown
        points = np.array(places, np.int64)
        self.n[points] = [n for n, _ in new]
        self.length[points] = [len(sketch) for _, sketch in new]
        for point, (_, sketch) in zip(places, new, strict=True):
            self.sketch[point] = sketch
        level = np.clip(np.frexp(np.maximum(self.length[points], 1))[1] - 2, 0, _TOP)
        for at in range(_TOP + 1):
            own = points[level == at]
            # Of a pair at the bar ≥ 1/2 the smaller is at most one level lower, and never if the larger is truncated.
            smaller = self._bar * self.n[points] < 1 << (at + 2)
            lower = points[(level == at + 1) & smaller & (self.n[points] <= SKETCH_SIZE)]
            entries = np.concatenate([2 * own, 2 * lower + 1])
            if len(entries):
                self._place(entries, at)
        fresh = np.sort(self.bands[self.entries(points)].T, axis=1)
        if not self.table.shape[1]:
            self.table = fresh
        else:
            self.table = np.stack([np.insert(old, np.searchsorted(old, more), more) for old, more in zip(self.table, fresh, strict=True)])
        return points

    def _place(self, entries: Ints, level: int) -> None:
        for start in range(0, len(entries), _CHUNK_ENTRIES):
            part = entries[start : start + _CHUNK_ENTRIES]
            minima = _mixed(self._minima(part, level), level + 1)
            self.minima[part] = (minima >> np.uint64(56)).astype(np.uint8)
            key = np.zeros((len(part), BANDS), np.uint64)
            for step, offset in self._steps:
                key += minima[:, (step * np.arange(BANDS) + offset) % MINIMA]
            self.bands[part] = (key & ~_OWNER) | (part.astype(np.uint64)[:, None] + np.uint64(1))

    def _minima(self, entries: Ints, level: int) -> Hashes:
        points = (entries >> 1).tolist()
        hashes = np.concatenate([self.sketch[p] for p in points])
        row = np.repeat(np.arange(len(points)) * MINIMA, self.length[entries >> 1])
        minima = np.full(len(points) * MINIMA, _WORD, np.uint64)
        for turn in range(1 << (_TOP - level)):
            mixed = _mixed(hashes, 101 + turn)
            bins = (mixed >> np.uint64(64 - level)).astype(np.int64) if level else np.zeros(len(hashes), np.int64)
            np.minimum.at(minima, row + (turn << level) + bins, hashes if level == _TOP else mixed)
        return minima.reshape(-1, MINIMA)


def _mixed(words: Hashes, salt: int) -> Hashes:
    """A bijection of 64-bit words that lets every bit depend on all lower and many upper ones (as SplitMix64's finaliser)."""
    words = (words + np.uint64(salt * _GOLDEN & _WORD)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(29))


def _connect(points: _Points, label: Ints, active: Ints, bar: float) -> tuple[Ints, _Known]:
    """Join the components that a pair with an active point links; also the Jaccards that were computed.

    Pairs within one component need no look.  If many are active, neighbours in a band come first, so that most components are whole before
    all pairs are listed.
    """
    known = _Known(np.zeros(0, np.int64), np.zeros(0, np.float64))
    if not len(active):
        return label, known
    is_active = np.zeros(points.size, np.bool_)
    is_active[active] = True
    few = len(active) <= points.size // 10
    for neighbours in (False,) if few else (True, False):
        for start, stop in ((0, BANDS),) if few else itertools.pairwise(_TURNS):
            buckets = _buckets_of(points, active) if few else _buckets(points.table[start:stop])
            for left, right in _bucket_pairs(*buckets, label, is_active, neighbours):
                code = _candidates(points, label, left, right, bar)
                code = code[~_among(code, known.code)]
                if not len(code):
                    continue
                a, b = code >> 24, code & int(_OWNER)
                found = _pairs(points, a, b)
                codes = np.concatenate([known.code, code])
                order = np.argsort(codes, kind="stable")
                known = _Known(codes[order], np.concatenate([known.jaccard, found])[order])
                linked = found >= bar - 2 * _SLACK
                label = _joined(label, a[linked], b[linked])
    return label, known


def _buckets(table: Hashes) -> tuple[NDArray[np.bool_], Ints]:
    """The entries of all buckets, one after the other, and where one begins."""
    new = np.ones(table.shape, np.bool_)
    np.greater((table[:, 1:] ^ table[:, :-1]), _OWNER, out=new[:, 1:])
    return new.ravel(), (table & _OWNER).astype(np.int64).ravel() - 1


def _buckets_of(points: _Points, active: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """As `_buckets`, but only those with an entry of an active point."""
    mine = points.bands[points.entries(active)] | _OWNER
    found = []
    lengths = []
    for row, last in zip(points.table, mine.T, strict=True):
        last = np.unique(last)
        a, b = np.searchsorted(row, last ^ _OWNER), np.searchsorted(row, last, side="right")
        n = b - a
        found.append(row[np.arange(n.sum()) + np.repeat(a - (np.cumsum(n) - n), n)])
        lengths.append(n)
    entry = (np.concatenate(found) & _OWNER).astype(np.int64) - 1
    n = np.concatenate(lengths)
    new = np.zeros(len(entry), np.bool_)
    new[np.cumsum(n) - n] = True
    return new, entry


def _bucket_pairs(
    new: NDArray[np.bool_], entry: Ints, label: Ints, is_active: NDArray[np.bool_], neighbours: bool
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs of entries, one at least of an active point, that are in a bucket: all, or neighbours only."""
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
    # Among active entries each pair is listed once, from its first; an active one meets the others on either side of it.
    first = here + 1 if is_active.all() else starts[run]
    width = ends[run] - first
    total = np.cumsum(width)
    at = 0
    while at < len(here):
        to = max(at + 1, int(np.searchsorted(total, (total[at - 1] if at else 0) + _CHUNK_LISTED, side="right")))
        n = width[at:to]
        left = np.repeat(here[at:to], n)
        right = np.arange(len(left)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(first[at:to], n)
        yield entry[left], entry[right]
        at = to


def _candidates(points: _Points, label: Ints, left: Ints, right: Ints, bar: float) -> Ints:
    """Of these pairs of entries those that may link two components, ascending: smaller point · 2^24 + larger point."""
    a, b = left >> 1, right >> 1
    open_ = label[a] != label[b]
    left, right, a, b = left[open_], right[open_], a[open_], b[open_]
    near = np.minimum(points.n[a], points.n[b]) >= (bar - _SLACK) * np.maximum(points.n[a], points.n[b])
    left, right = left[near], right[near]
    entries = np.unique((np.minimum(left, right) << 24) | np.maximum(left, right))
    least = MINIMA * bar - _AGREE_SD * (MINIMA * bar * (1 - bar)) ** 0.5
    step = _CHUNK_COMPARED
    alike = [_agreement(points.minima, entries[i : i + step]) >= least for i in range(0, len(entries), step)]
    if alike:
        entries = entries[np.concatenate(alike)]
    a, b = entries >> 25, (entries & int(_OWNER)) >> 1
    return np.unique((np.minimum(a, b) << 24) | np.maximum(a, b))


def _agreement(minima: NDArray[np.uint8], entries: Ints) -> Ints:
    """In how many minima each pair of entries agrees."""
    equal = minima[entries >> 24] == minima[entries & int(_OWNER)]
    bytes_ = equal.view(np.uint64).sum(axis=1)  # at most 16 in each of eight bytes
    agreed: Ints = ((bytes_ * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return agreed


def _among(code: Ints, known: Ints) -> NDArray[np.bool_]:
    """Which codes are known (ascending)."""
    if not len(known):
        return np.zeros(len(code), np.bool_)
    at = np.minimum(np.searchsorted(known, code), len(known) - 1)
    found: NDArray[np.bool_] = known[at] == code
    return found


def _joined(label: Ints, a: Ints, b: Ints) -> Ints:
    """The labels with those of a[i] and b[i] made one for each i."""
    if not len(a):
        return label
    names, at = np.unique(np.concatenate([label[a], label[b]]), return_inverse=True)
    left, right = at[: len(a)], at[len(a) :]
    graph = coo_array((np.ones(len(a), np.bool_), (left, right)), shape=(len(names), len(names)))
    n, part = connected_components(graph, directed=False)
    smallest = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(smallest, part, names)
    place = np.minimum(np.searchsorted(names, label), len(names) - 1)
    joined: Ints = np.where(names[place] == label, smallest[part][place], label)
    return joined


def _parts(points: _Points, block: list[int]) -> list[list[int]]:
    """A component as it is or, if it has too many points, cut in the order of their sketches into parts of at most `MAX_BLOCK`."""
    if len(block) <= MAX_BLOCK:
        return [block]
    ordered = sorted(block, key=lambda p: (points.sketch[p].astype(">u8").tobytes(), int(points.n[p])))
    return [ordered[i : i + MAX_BLOCK] for i in range(0, len(ordered), MAX_BLOCK)]


def _pairs(points: _Points, a: Ints, b: Ints) -> Floats:
    """Jaccards of pairs of points (P,)."""
    if not len(a):
        return np.zeros(0, np.float64)
    used, at = np.unique(np.concatenate([a, b]), return_inverse=True)
    hashes = np.concatenate([points.sketch[p] for p in used.tolist()]).astype(np.int64)
    length = points.length[used]
    start = np.cumsum(length) - length
    left, right = at[: len(a)], at[len(a) :]
    common = np.concatenate(
        [_common(hashes, start, length, left[i : i + _CHUNK_PAIRS], right[i : i + _CHUNK_PAIRS]) for i in range(0, len(left), _CHUNK_PAIRS)]
    )
    n = points.n[used]
    end = np.where(n > SKETCH_SIZE, hashes[start + length - 1], np.iinfo(np.int64).max)
    n_left, n_right = length[left], length[right]
    uneven = end[left] != end[right]
    if uneven.any():
        # Of both only what lies up to the first end counts: how much that is, a search in the sketches laid end to end tells.
        place = np.arange(len(used)) << HASH_BITS
        whole = hashes + np.repeat(place, length)
        for count, side, other in ((n_left, left, right), (n_right, right, left)):
            cut = np.flatnonzero(end[side] > end[other])
            count[cut] = np.searchsorted(whole, place[side[cut]] + end[other[cut]], side="right") - start[side[cut]]
    return _index(common, n_left, n_right, n[left], n[right])


def _common(hashes: Ints, start: Ints, length: Ints, left: Ints, right: Ints) -> Ints:
    """How many hashes each pair of sketches has in common: a merge of two sorted lists each, in compiled code."""
    rows = []
    for side in (left, right):
        n = length[side]
        ends = np.cumsum(n)
        columns = hashes[np.arange(ends[-1]) + np.repeat(start[side] - (ends - n), n)]
        matrix = csr_array((np.ones(len(columns), np.bool_), columns, np.append(0, ends)), shape=(len(side), 1 << HASH_BITS))
        matrix.has_canonical_format = True
        rows.append(matrix)
    counts: Ints = np.diff(rows[0].multiply(rows[1]).indptr).astype(np.int64)
    return counts


def _similarities(points: _Points, blocks: list[list[int]], known: _Known) -> Iterator[Floats]:
    """Jaccards (m, m) of all pairs of each block."""
    small = [block for block in blocks if len(block) <= _SMALL_BLOCK]
    point = np.array([p for block in small for p in block], np.int64)
    size = np.array([len(block) for block in small], np.int64)
    area = size * size
    size_of, place = np.repeat(size, area), np.arange(area.sum()) - np.repeat(np.cumsum(area) - area, area)
    first = np.repeat(np.cumsum(size) - size, area)
    left, right = point[first + place // size_of], point[first + place % size_of]
    code = (np.minimum(left, right) << 24) | np.maximum(left, right)
    wanted, at = np.unique(code[left != right], return_inverse=True)
    unknown = ~_among(wanted, known.code)
    jaccards = np.zeros(len(wanted), np.float64)
    if len(known.code):
        jaccards[~unknown] = known.jaccard[np.searchsorted(known.code, wanted[~unknown])]
    jaccards[unknown] = _pairs(points, wanted[unknown] >> 24, wanted[unknown] & int(_OWNER))
    flat = np.ones(len(code), np.float64)
    flat[left != right] = jaccards[at]
    start = 0
    for block in blocks:
        m = len(block)
        if m > _SMALL_BLOCK:
            yield _all_pairs(points, np.array(block, np.int64))
        else:
            yield flat[start : start + m * m].reshape(m, m)
            start += m * m


def _all_pairs(points: _Points, block: Ints) -> Floats:
    """Jaccards (m, m) of a large block: its incidence of sketches × hashes times itself, some columns at a time."""
    m = len(block)
    length, n = points.length[block], points.n[block]
    hashes = np.concatenate([points.sketch[p] for p in block.tolist()])
    tagged = np.sort((hashes << np.uint64(64 - HASH_BITS)) | np.repeat(np.arange(m, dtype=np.uint64), length))
    row = (tagged & np.uint64((1 << (64 - HASH_BITS)) - 1)).astype(np.int64)
    tagged >>= np.uint64(64 - HASH_BITS)
    new = np.append(True, tagged[1:] != tagged[:-1])
    column = np.cumsum(new) - 1
    n_columns = int(column[-1]) + 1
    last = np.where(n > SKETCH_SIZE, np.searchsorted(tagged[new], hashes[np.cumsum(length) - 1]), n_columns)
    common = np.zeros((m, m), np.float32)
    within = np.repeat(length[:, None], m, axis=1).astype(np.int32)
    """(i, j): how many hashes of i lie up to the end of j."""
    before = np.zeros(m, np.int32)
    for start in range(0, n_columns, _CHUNK_COLUMNS):
        stop = min(start + _CHUNK_COLUMNS, n_columns)
        a, b = np.searchsorted(column, [start, stop])
        part = np.zeros((m, stop - start), np.float32)
        part[row[a:b], column[a:b] - start] = 1
        common += part @ part.T
        ending = np.flatnonzero((last >= start) & (last < stop))
        if len(ending):
            so_far = np.cumsum(part, axis=1, dtype=np.int32)
            within[:, ending] = before[:, None] + so_far[:, last[ending] - start]
        before += part.sum(axis=1).astype(np.int32)
    return _index(common.astype(np.int32), within, within.T, n[:, None], n[None, :])


def _average_linkage(similarity: Floats, bar: float) -> list[list[int]]:
    """The clusters of m points (m, m): average linkage, cut where the mean Jaccard falls below the bar; the first of equals goes first."""
    m = len(similarity)
    if m == 1 or similarity.min() >= bar - _SLACK:
        return [list(range(m))]
    tree = linkage(1 - similarity[np.triu_indices(m, 1)], "average")
    cluster_of: list[list[int]] = [[i] for i in range(m)]
    for left, right, distance, _ in tree.tolist():
        if distance > 1 - bar + _SLACK:
            break
        cluster_of.append(cluster_of[int(left)] + cluster_of[int(right)])
        cluster_of[int(left)] = cluster_of[int(right)] = []
    return [sorted(inside) for inside in cluster_of if inside]
