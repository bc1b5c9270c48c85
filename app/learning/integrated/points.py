"""Points: distinct sketches, and the table of the bands in which they agree.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.sketches import SKETCH_SIZE, Hashes, Ints

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
        self.sketch: list[Hashes] = []
        self._free: list[int] = []
        # Each of these has room for more points than there are.
        self.n = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self.minima = np.zeros((0, MINIMA), np.uint8)
        """Entry 2 · point + (1 if it is at the lower level): a byte of each minimum."""
        self.bands = np.zeros((0, BANDS), np.uint64)
        """Of each entry: 6 bits of the band, 34 of the band's key, 24 of the entry; 0 if there is
        no such entry."""
        self._runs: list[Hashes] = []
        """The bands of all entries, each run ascending, the longest first.  Entries that are gone
        stay until runs are merged: `bands` tells which they are."""

    def key(self, point: int) -> tuple[int, bytes]:
        return int(self.n[point]), self.sketch[point].tobytes()

    def entries(self, points: Ints) -> Ints:
        """The entries of these points."""
        both = np.concatenate([2 * points, 2 * points + 1])
        listed: Ints = both[self.bands[both, 0] > 0]
        return listed

    def table(self) -> Hashes:
        """The bands of all E entries, ascending in each row (BANDS, E)."""
        listed = np.flatnonzero(self.bands[:, 0])
        self._runs = [np.sort(self.bands[listed].ravel())]
        return self._runs[0].reshape(BANDS, -1)

    def buckets(self, active: Ints) -> tuple[Hashes, Ints]:
        """The buckets of the entries of `active` points: what is in them, one after the other, and
        how many each has."""
        last = np.unique((self.bands[self.entries(active)] | OWNER).ravel())
        found, places = [], []
        for run in self._runs:
            a, b = np.searchsorted(run, last ^ OWNER), np.searchsorted(run, last, side="right")
            n = b - a
            some = run[np.arange(n.sum()) + np.repeat(a - (np.cumsum(n) - n), n)]
            alive = self._alive(some)
            found.append(some[alive])
            places.append(np.repeat(np.arange(len(last)), n)[alive])
        place = np.concatenate(places)
        return (
            np.concatenate(found)[np.argsort(place, kind="stable")],
            np.bincount(place, minlength=len(last)),
        )

    def _alive(self, run: Hashes) -> NDArray[np.bool_]:
        entry = (run & OWNER).astype(np.int64) - 1
        return np.asarray(self.bands[entry, (run >> BAND_AT).astype(np.int64)] == run)

    def remove(self, points: Sequence[int]) -> None:
        self.bands[self.entries(np.array(points, np.int64))] = 0
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
        if self.size > len(self.n):
            self._make_room(max(self.size, len(self.n) * 5 // 4) - len(self.n))
        self.sketch += [np.zeros(0, np.uint64)] * grown
        points = np.array(places, np.int64)
        self.n[points] = [n for n, _ in new]
        self.length[points] = [len(sketch) for _, sketch in new]
        for point, (_, sketch) in zip(places, new, strict=True):
            self.sketch[point] = sketch
        level = np.clip(np.frexp(np.maximum(self.length[points], 1))[1] - 2, 0, TOP)
        for at in range(TOP + 1):
            own = points[level == at]
            # Of a pair at the bar ≥ 1/2 the smaller is at most one level lower, and never if the
            # larger is truncated.
            smaller = self._bar * self.n[points] < 1 << (at + 2)
            lower = points[(level == at + 1) & smaller & (self.n[points] <= SKETCH_SIZE)]
            entries = np.concatenate([2 * own, 2 * lower + 1])
            if len(entries):
                self._place(entries, at)
        self._runs.append(np.sort(self.bands[self.entries(points)].ravel()))
        while len(self._runs) > 1 and len(self._runs[-2]) < RUN_TIMES * len(self._runs[-1]):
            both = np.concatenate([self._runs.pop(), self._runs.pop()])
            self._runs.append(np.sort(both[self._alive(both)]))
        return points

    def _make_room(self, grown: int) -> None:
        self.n = np.concatenate([self.n, np.zeros(grown, np.int64)])
        self.length = np.concatenate([self.length, np.zeros(grown, np.int64)])
        self.minima = np.concatenate([self.minima, np.zeros((2 * grown, MINIMA), np.uint8)])
        self.bands = np.concatenate([self.bands, np.zeros((2 * grown, BANDS), np.uint64)])

    def _place(self, entries: Ints, level: int) -> None:
        for start in range(0, len(entries), CHUNK_ENTRIES):
            part = entries[start : start + CHUNK_ENTRIES]
            minima = _mixed(self._minima(part, level), level + 1)
            self.minima[part] = (minima >> np.uint64(56)).astype(np.uint8)
            key = np.zeros((len(part), BANDS), np.uint64)
            for step, offset in self._steps:
                key += minima[:, (step * np.arange(BANDS) + offset) % MINIMA]
            entry = part.astype(np.uint64)[:, None] + np.uint64(1)
            band = np.arange(BANDS, dtype=np.uint64) << BAND_AT
            self.bands[part] = band | ((key >> np.uint64(6)) & ~OWNER) | entry

    def _minima(self, entries: Ints, level: int) -> Hashes:
        points = (entries >> 1).tolist()
        hashes = np.concatenate([self.sketch[p] for p in points])
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
