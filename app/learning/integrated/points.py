"""Points: distinct sketches, and the table of the bands in which they agree.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

from app.learning.integrated.sketches import (
    HASH_BYTES,
    SKETCH_SIZE,
    Hashes,
    Ints,
    unpacked_hashes,
)

MINIMA = 128
"""Min-wise hashes of a sketch; a pair of Jaccard J agrees in a share J of them."""
BANDS = 48
"""Bands of four minima each (fewer for a bar below 0.7); a pair is looked at if it agrees in one.
Of 361 000 pairs just at the bar 0.7, of 10 to 3 000 trades, 6 were not (32 bands: 79); that matters
only if no chain of other pairs links the two."""
STEPS = ((1, 0), (3, 31), (5, 67), (7, 101))
"""Band b consists of the minima (step · b + offset) mod 128."""
LEAST_AGREEMENT = 0.235
"""A pair at the bar agrees in each band with at least this probability."""
TOP = 7
"""Level of the sketches of 256 hashes and more, whose minima are those of 2^7 bins."""
RUN_TIMES = 4
"""A run of entries is at least so many times longer than the next."""
BAND_AT = np.uint64(58)
CHUNK_ENTRIES = 1 << 9
"""Entries whose minima are made at a time."""
OWNER = np.uint64((1 << 24) - 1)
"""The low 24 bits: of a band whose entry it is, plus 1; of a pair's code which is its second."""
_GOLDEN = 0x9E3779B97F4A7C15
_WORD = (1 << 64) - 1


def point_key(n: int, sketch: bytes) -> tuple[int, bytes]:
    """What tells points apart: the trades of a slice, and a digest of its sketch."""
    return n, blake2b(sketch, digest_size=16).digest()


class Points:
    """Distinct sketches, each at a place that may be taken again after it was removed, and the
    table of their bands.

    The minima of a sketch are those of 2^level bins under 2^(7 − level) permutations
    (one-permutation hashing, Li et al. 2012), so that two to four hashes are in a bin.  A sketch
    that a pair at the bar may have a smaller level with is in the table at that level as well.  The
    one permutation of the top level is the order of the hashes themselves, whose minima a truncated
    sketch has like the whole.
    """

    def __init__(self, bar: float) -> None:
        self._bar = bar
        rows = (
            len(STEPS)
            if bar == 1
            else min(len(STEPS), int(math.log(LEAST_AGREEMENT) / math.log(bar)))
        )
        self._steps = STEPS[:rows]
        self.size = 0
        self.sketch: list[bytes] = []
        """Six bytes of each hash, as `packed_hashes` says."""
        self._free: list[int] = []
        # Each of these has room for more points than there are.
        self.n = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self.minima = np.zeros((0, MINIMA), np.uint8)
        """Entry 2 · point + (1 if it is at the lower level): a byte of each minimum."""
        self._alive = np.zeros(0, np.bool_)
        """Which entries there are."""
        self._runs: list[Hashes] = []
        """The bands of all entries, each run ascending, the longest first: of each 6 bits of the
        band, 34 of its key, 24 of the entry.  Entries that are gone stay until runs are merged, and
        their places are `_retired` until then."""
        self._retired: list[int] = []

    def key(self, point: int) -> tuple[int, bytes]:
        return point_key(int(self.n[point]), self.sketch[point])

    def hashes(self, points: Iterable[int]) -> Hashes:
        """The sketches of these points, one after the other."""
        return unpacked_hashes(b"".join([self.sketch[p] for p in points]))

    def entries(self, points: Ints) -> Ints:
        """The entries of these points."""
        both = np.concatenate([2 * points, 2 * points + 1])
        listed: Ints = both[self._alive[both]]
        return listed

    def table(self) -> Hashes:
        """The bands of all E entries, ascending in each row (BANDS, E)."""
        self._merge(len(self._runs))
        return self._runs[0].reshape(BANDS, -1)

    def buckets(self, active: Ints) -> tuple[Hashes, Ints]:
        """The buckets of the entries of `active` points: what is in them, one after the other, and
        how many each has."""
        last = np.unique(self._bands_of(active) | OWNER)
        found, places = [], []
        for run in self._runs:
            a, b = np.searchsorted(run, last ^ OWNER), np.searchsorted(run, last, side="right")
            n = b - a
            some = run[np.arange(n.sum()) + np.repeat(a - (np.cumsum(n) - n), n)]
            alive = self._alive[(some & OWNER).astype(np.int64) - 1]
            found.append(some[alive])
            places.append(np.repeat(np.arange(len(last)), n)[alive])
        place = np.concatenate(places)
        return (
            np.concatenate(found)[np.argsort(place, kind="stable")],
            np.bincount(place, minlength=len(last)),
        )

    def remove(self, points: Sequence[int]) -> None:
        self._alive[self.entries(np.array(points, np.int64))] = False
        for point in points:
            self.sketch[point] = b""
        self._retired += points

    def add(self, new: list[tuple[int, bytes]]) -> Ints:
        """The places of the new points."""
        if not new:
            return np.zeros(0, np.int64)
        places = [self._free.pop() for _ in range(min(len(self._free), len(new)))]
        grown = len(new) - len(places)
        places += range(self.size, self.size + grown)
        self.size += grown
        if self.size > len(self.n):
            self._make_room(max(self.size, len(self.n) * 5 // 4) - len(self.n))
        self.sketch += [b""] * grown
        points = np.array(places, np.int64)
        self.n[points] = [n for n, _ in new]
        self.length[points] = [len(sketch) // HASH_BYTES for _, sketch in new]
        for point, (_, sketch) in zip(places, new, strict=True):
            self.sketch[point] = sketch
        self._runs.append(np.sort(self._bands_of(points, new=True)))
        while len(self._runs) > 1 and len(self._runs[-2]) < RUN_TIMES * len(self._runs[-1]):
            self._merge(2)
        return points

    def _merge(self, last: int) -> None:
        """Make the last runs one."""
        both = np.concatenate(self._runs[-last:])
        both = both[self._alive[(both & OWNER).astype(np.int64) - 1]]
        self._runs[-last:] = [np.sort(both)]
        if len(self._runs) == 1:
            self._free += self._retired
            self._retired = []

    def _bands_of(self, points: Ints, *, new: bool = False) -> Hashes:
        """The bands of all entries of these points; those of new ones are made."""
        level = np.clip(np.frexp(np.maximum(self.length[points], 1))[1] - 2, 0, TOP)
        found = [np.zeros(0, np.uint64)]
        for at in range(TOP + 1):
            own = points[level == at]
            # Of a pair at the bar ≥ 1/2 the smaller is at most one level lower, and never if the
            # larger is truncated.
            smaller = self._bar * self.n[points] < 1 << (at + 2)
            lower = points[(level == at + 1) & smaller & (self.n[points] <= SKETCH_SIZE)]
            entries = np.concatenate([2 * own, 2 * lower + 1])
            for start in range(0, len(entries), CHUNK_ENTRIES):
                found.append(self._bands(entries[start : start + CHUNK_ENTRIES], at, new))
        return np.concatenate(found)

    def _make_room(self, grown: int) -> None:
        self.n = np.concatenate([self.n, np.zeros(grown, np.int64)])
        self.length = np.concatenate([self.length, np.zeros(grown, np.int64)])
        self.minima = np.concatenate([self.minima, np.zeros((2 * grown, MINIMA), np.uint8)])
        self._alive = np.concatenate([self._alive, np.zeros(2 * grown, np.bool_)])

    def _bands(self, entries: Ints, level: int, new: bool) -> Hashes:
        minima = _mixed(self._minima(entries, level), level + 1)
        if new:
            self.minima[entries] = (minima >> np.uint64(56)).astype(np.uint8)
            self._alive[entries] = True
        key = np.zeros((len(entries), BANDS), np.uint64)
        for step, offset in self._steps:
            key += minima[:, (step * np.arange(BANDS) + offset) % MINIMA]
        band = np.arange(BANDS, dtype=np.uint64) << BAND_AT
        entry = entries.astype(np.uint64)[:, None] + np.uint64(1)
        return np.asarray(band | ((key >> np.uint64(6)) & ~OWNER) | entry).ravel()

    def _minima(self, entries: Ints, level: int) -> Hashes:
        points = (entries >> 1).tolist()
        hashes = self.hashes(points)
        row = np.repeat(np.arange(len(points)) * MINIMA, self.length[entries >> 1])
        minima = np.full(len(points) * MINIMA, _WORD, np.uint64)
        for turn in range(1 << (TOP - level)):
            mixed = _mixed(hashes, 101 + turn)
            bins = (
                (mixed >> np.uint64(64 - level)).astype(np.int64)
                if level
                else np.zeros(len(hashes), np.int64)
            )
            np.minimum.at(minima, row + (turn << level) + bins, hashes if level == TOP else mixed)
        return minima.reshape(-1, MINIMA)


def _mixed(words: Hashes, salt: int) -> Hashes:
    """A bijection of 64-bit words that lets every bit depend on all lower and many upper ones (as
    SplitMix64's finaliser)."""
    words = (words + np.uint64(salt * _GOLDEN & _WORD)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(29))
