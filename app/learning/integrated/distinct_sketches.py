"""Points: distinct sketches, and the table of the bands in which they agree.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.sketch_store import SketchStore
from app.learning.integrated.sketches import (
    HASH_BYTES,
    SKETCH_SIZE,
    Hashes,
    Ints,
)

MINIMA = 128
"""Min-wise hashes of a sketch; a pair of Jaccard J agrees in a share J of them."""
BANDS = 48
"""Bands of four minima each (fewer for a bar below 0.7); a pair is examined if it agrees in one.
Of 361 000 pairs just at the bar 0.7, of 10 to 3 000 trades, 6 were missed (32 bands: 79); that
matters only if no chain of other pairs links the two."""
STEPS = ((1, 0), (3, 31), (5, 67), (7, 101))
"""Band b consists of the minima (step · b + offset) mod 128."""
LEAST_AGREEMENT = 0.235
"""A pair at the bar agrees in each band with at least this probability."""
TOP = 7
"""Level of the sketches of 256 hashes and more, whose minima are those of 2^7 bins."""
RUN_RATIO = 4
"""Each run of entries is at least this many times as long as the next, as in a log-structured merge
tree: adding stays cheap, and few runs are searched."""
KEY_BITS, ENTRY_BITS = 32, 24
"""Bits of the key of a band, a byte of each of its minima; and of an entry."""
KEY, ENTRY_SHIFT = np.uint64((1 << KEY_BITS) - 1), np.uint64(ENTRY_BITS)
BAND_RANGE = np.arange(BANDS)
CHUNK_WORDS = 1 << 20
CHUNK_ENTRIES = 1 << 9
"""Entries whose minima are computed at a time, to bound memory."""
OWNER = np.uint64((1 << 24) - 1)
"""The low 24 bits: of a word, its entry; of a pair's code, its second point."""
_ODD = 0x9E3779B1
"""2^32 over the golden ratio: multiplied by it, a key's first bits depend on all of its bytes."""
_GOLDEN = 0x9E3779B97F4A7C15
"""2^64 over the golden ratio: the increment of SplitMix64."""
_WORD = (1 << 64) - 1
"""The largest 64-bit word."""
_FIRST_SALT = 101
"""Salts of the permutations begin here, above those of the levels."""


Word = TypeVar("Word", np.int64, np.uint64)


def point_key(n: int, sketch: bytes) -> bytes:
    """The identity of a point: slices with an equal key have the same sketch.

    Parameters
    ----------
    n
        Trades of the slice.
    sketch
        Its packed sketch.

    Returns
    -------
    A digest of both.
    """
    return blake2b(sketch, digest_size=15, salt=n.to_bytes(16, "big")).digest()


class Run:
    """Some entries, in each band in the order of their keys.

    A key is found by its first bits, by which `starts` has the place of its bucket; of the others,
    the next eight are beside the entry, and the rest only in the minima.

    Parameters
    ----------
    size
        How many entries.
    """

    def __init__(self, size: int) -> None:
        self._bits = max(0, size.bit_length() - 3)
        self.words = np.zeros((BANDS, size), np.uint32)
        """Eight bits of a key and 24 of the entry."""
        self._starts = np.zeros((BANDS, (1 << self._bits) + 1), np.uint32)

    def __len__(self) -> int:
        return self.words.shape[1]

    def fill(self, band: int, key: Hashes, entry: Hashes) -> None:
        """Set some bands.

        Parameters
        ----------
        band
            The first of B bands.
        key, entry
            Keys (B, size), ascending in each band, and their entries.
        """
        bands = slice(band, band + len(key))
        self.words[bands] = self.rest(key) << ENTRY_SHIFT | entry
        row, n = np.arange(len(key), dtype=np.uint64)[:, None], 1 << self._bits
        first = key >> np.uint64(KEY_BITS - self._bits) | row << np.uint64(self._bits)
        at = np.searchsorted(first.ravel(), np.arange(len(key) * n, dtype=np.uint64))
        self._starts[bands, :n] = at.reshape(-1, n) - np.arange(len(key))[:, None] * len(self)
        self._starts[bands, n] = len(self)

    def rest(self, key: Hashes) -> Hashes:
        """The eight bits that are beside the entry.

        Parameters
        ----------
        key
            Keys.

        Returns
        -------
        These bits of each.
        """
        return (key >> np.uint64(KEY_BITS - 8 - self._bits)) & np.uint64(255)

    def near(self, band: Ints, key: Hashes) -> tuple[Ints, Ints]:
        """Where entries with a key may be.

        Parameters
        ----------
        band, key
            Bands and keys (Q,).

        Returns
        -------
        The first place among all words for each, and how many there are.
        """
        at = band * self._starts.shape[1]
        at += (key >> np.uint64(KEY_BITS - self._bits)).astype(np.int64)
        starts = self._starts.ravel()
        start = starts.take(at).astype(np.int64)
        return band * len(self) + start, starts.take(at + 1).astype(np.int64) - start


class Points:
    """Distinct sketches, each at a place that is used again after its removal, and the table of
    their bands.

    The minima of a sketch are those of 2^level bins under 2^(7 − level) permutations, so that each
    bin has two to four hashes. If a pair at the bar may include a sketch of a lower level, the
    larger sketch is in the table at that level as well. The only permutation of the top level is
    the order of the hashes themselves: a truncated sketch has the same minima as the whole.

    Parameters
    ----------
    bar
        Jaccard index from which pairs are to be found, 0.5 to 1.

    References
    ----------
    Li, Owen & Zhang 2012, "One permutation hashing". Broder 1997, "On the resemblance and
    containment of documents" (minima as estimates).
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
        self.sketches = SketchStore()
        self._free: list[int] = []
        # Each of these has room for more points than there are.
        self.n = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self._minima = np.zeros((0, MINIMA), np.uint8)
        """A byte of each minimum, by the rows of entries."""
        self._row = np.zeros(0, np.int32)
        """The row of entry 2 · point + (1 if it is at the lower level); −1 if it has had none."""
        self._rows = 0
        self._alive = np.zeros(0, np.bool_)
        """Which entries exist."""
        self._runs: list[Run] = []
        """The bands of all entries, the longest run first.  Removed entries stay until their run is
        merged; until then their places are in `_retired`."""
        self._retired: list[int] = []

    def hashes(self, points: Sequence[int]) -> Hashes:
        """The sketches of points, one after the other.

        Parameters
        ----------
        points
            Their places.

        Returns
        -------
        The hashes of all of them.
        """
        return self.sketches.hashes(points)

    def entries(self, points: Ints) -> Ints:
        """The table's entries of points: one for each, or two if it is in the table at a lower
        level too.

        Parameters
        ----------
        points
            Their places.

        Returns
        -------
        The entries.
        """
        both = np.concatenate([2 * points, 2 * points + 1])
        listed: Ints = both[self._alive[both]]
        return listed

    def bands(self, start: int, stop: int) -> tuple[NDArray[np.bool_], Ints]:
        """The buckets of some bands with all entries.

        Parameters
        ----------
        start, stop
            The first of these bands, and the one after the last.

        Returns
        -------
        For each entry, in the order of buckets, whether a bucket begins there; and the entries.
        """
        if len(self._runs) > 1 or self._retired:
            self._merge(len(self._runs))
        entry = (self._runs[0].words[start:stop] & np.uint32(OWNER)).astype(np.int64)
        new = np.ones(entry.shape, np.bool_)
        for row, band in enumerate(range(start, stop)):
            key = self._keys(entry[row], band)
            new[row, 1:] = key[1:] != key[:-1]
        return new.ravel(), entry.ravel()

    def buckets(self, active: Ints) -> tuple[Ints, Ints]:
        """The buckets that the entries of some points are in.

        Parameters
        ----------
        active
            Places of the points.

        Returns
        -------
        The entries in these buckets, one bucket after the other; and the number in each.
        """
        entries = self.entries(active)
        keys = self._keys_of(entries, BAND_RANGE)
        wanted = distinct(keys | BAND_RANGE.astype(np.uint64)[:, None] << np.uint64(KEY_BITS))
        band, key = (wanted >> np.uint64(KEY_BITS)).astype(np.int64), wanted & KEY
        found, places = [], []
        for run in self._runs:
            first, n = run.near(band, key)
            place = np.repeat(np.arange(len(wanted)), n)
            at = np.repeat(first - (np.cumsum(n) - n), n)
            at += np.arange(len(at))
            word, rest = run.words.ravel().take(at), run.rest(key).astype(np.uint32)
            like = np.flatnonzero((word >> np.uint32(ENTRY_BITS)) == rest.take(place))
            place, entry = place[like], (word[like] & np.uint32(OWNER)).astype(np.int64)
            alive = self._alive[entry]
            place, entry = place[alive], entry[alive]
            same = self._keys(entry, band[place]) == key[place]
            found.append(entry[same])
            places.append(place[same])
        place = np.concatenate(places)
        return (
            np.concatenate(found)[np.argsort(place, kind="stable")],
            np.bincount(place, minlength=len(wanted)),
        )

    def minima(self, entries: Ints) -> NDArray[np.uint8]:
        """The minima of entries.

        Parameters
        ----------
        entries
            Entries (E,).

        Returns
        -------
        A byte of each minimum (E, MINIMA).
        """
        return self._minima[self._row[entries]]

    def remove(self, points: Sequence[int]) -> None:
        """Remove points.

        Parameters
        ----------
        points
            Their places.
        """
        self._alive[self.entries(np.array(points, np.int64))] = False
        for point in points:
            self.sketches.remove(point)
        self._retired += points

    def add(self, new: list[tuple[int, bytes]]) -> Ints:
        """Add points.

        Parameters
        ----------
        new
            Trades and packed sketch of each.

        Returns
        -------
        Their places.
        """
        if not new:
            return np.zeros(0, np.int64)
        places = [self._free.pop() for _ in range(min(len(self._free), len(new)))]
        grown = len(new) - len(places)
        places += range(self.size, self.size + grown)
        self.size += grown
        if self.size > len(self.n):
            self._make_room(max(self.size, len(self.n) * 5 // 4) - len(self.n))
        points = np.array(places, np.int64)
        self.n[points] = [n for n, _ in new]
        self.length[points] = [len(sketch) // HASH_BYTES for _, sketch in new]
        for point, (_, sketch) in zip(places, new, strict=True):
            self.sketches.put(point, sketch)
        self._runs.append(self._run(self._entered(points)))
        while len(self._runs) > 1 and len(self._runs[-2]) < RUN_RATIO * len(self._runs[-1]):
            self._merge(2)
        self.sketches.pack()
        return points

    def _merge(self, last: int) -> None:
        """Merge the last runs into one."""
        both = np.concatenate([run.words[0] for run in self._runs[-last:]]) & np.uint32(OWNER)
        self._runs[-last:] = [self._run(both[self._alive[both]].astype(np.int64))]
        if len(self._runs) == 1:
            self._free += self._retired
            self._retired = []

    def _run(self, entries: Ints) -> Run:
        """A run of these entries."""
        run = Run(len(entries))
        entries = np.sort(entries)
        step = max(1, CHUNK_WORDS // max(len(entries), 1))
        for band in range(0, BANDS, step):
            key = self._keys_of(entries, np.arange(band, min(band + step, BANDS)))
            ordered = np.sort(key << ENTRY_SHIFT | entries.astype(np.uint64), axis=1)
            run.fill(band, ordered >> ENTRY_SHIFT, ordered & OWNER)
        return run

    def _keys_of(self, entries: Ints, bands: Ints) -> Hashes:
        """The keys of all E entries in all B bands (B, E)."""
        key, row = np.zeros((len(bands), len(entries)), np.uint32), self._row[entries]
        for step, offset in self._steps:
            minima = self._minima[row[:, None], (step * bands + offset) % MINIMA]
            key = key << np.uint32(8) | minima.T
        return (key * np.uint32(_ODD)).astype(np.uint64)

    def _keys(self, entries: Ints, band: int | Ints) -> Hashes:
        """The keys of entries in a band, or each in one of its own: those of two are equal if and
        only if the bytes of all minima of the band are."""
        key, row = np.zeros(len(entries), np.uint32), self._row[entries]
        for step, offset in self._steps:
            key = key << np.uint32(8) | self._minima[row, (step * band + offset) % MINIMA]
        return (key * np.uint32(_ODD)).astype(np.uint64)

    def _entered(self, points: Ints) -> Ints:
        """Compute the minima of new points; returns their entries."""
        level = np.clip(np.frexp(np.maximum(self.length[points], 1))[1] - 2, 0, TOP)
        found = [np.zeros(0, np.int64)]
        for at in range(TOP + 1):
            own = points[level == at]
            # The smaller of a pair at a bar ≥ 1/2 is at most one level lower; on the same level, if
            # the larger is truncated.
            smaller = self._bar * self.n[points] < 1 << (at + 2)
            lower = points[(level == at + 1) & smaller & (self.n[points] <= SKETCH_SIZE)]
            entries = np.concatenate([2 * own, 2 * lower + 1])
            self._give_rows(entries)
            for start in range(0, len(entries), CHUNK_ENTRIES):
                some = entries[start : start + CHUNK_ENTRIES]
                minima = _mixed(self._least(some, at), at + 1)
                self._minima[self._row[some]] = (minima >> np.uint64(56)).astype(np.uint8)
            found.append(entries)
        entered = np.concatenate(found)
        self._alive[entered] = True
        return entered

    def _make_room(self, grown: int) -> None:
        self.n, self.length = _longer(self.n, grown), _longer(self.length, grown)
        self._alive = _longer(self._alive, 2 * grown)
        self._row = np.concatenate([self._row, np.full(2 * grown, -1, np.int32)])

    def _give_rows(self, entries: Ints) -> None:
        """Give entries that have never existed rows of their own: few points have two entries."""
        new = entries[self._row[entries] < 0]
        self._row[new] = np.arange(self._rows, self._rows + len(new))
        self._rows += len(new)
        if self._rows > len(self._minima):
            room = max(self._rows, len(self._minima) * 5 // 4)
            self._minima = _longer(self._minima, room - len(self._minima))

    def _least(self, entries: Ints, level: int) -> Hashes:
        points = (entries >> 1).tolist()
        hashes = self.hashes(points)
        row = np.repeat(np.arange(len(points)) * MINIMA, self.length[entries >> 1])
        minima = np.full(len(points) * MINIMA, _WORD, np.uint64)
        for turn in range(1 << (TOP - level)):
            mixed = _mixed(hashes, _FIRST_SALT + turn)
            bins = (
                (mixed >> np.uint64(64 - level)).astype(np.int64)
                if level
                else np.zeros(len(hashes), np.int64)
            )
            np.minimum.at(minima, row + (turn << level) + bins, hashes if level == TOP else mixed)
        return minima.reshape(-1, MINIMA)


def distinct(words: NDArray[Word]) -> NDArray[Word]:
    """The distinct ones of many words: faster than `np.unique`, which hashes them.

    Parameters
    ----------
    words
        Integers, in any order.

    Returns
    -------
    Each of them once, ascending.

    >>> distinct(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(words, axis=None)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _longer(array: NDArray[Any], grown: int) -> NDArray[Any]:
    """The array with so many more rows, which take no memory until they are written."""
    longer = np.zeros((len(array) + grown, *array.shape[1:]), array.dtype)
    longer[: len(array)] = array
    return longer


def _mixed(words: Hashes, salt: int) -> Hashes:
    """SplitMix64's finaliser: a bijection of 64-bit words in which each bit depends on all lower
    and many upper ones (Steele, Lea & Flood 2014)."""
    words = (words + np.uint64(salt * _GOLDEN & _WORD)) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(29))
