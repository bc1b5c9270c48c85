"""Sketches of slices: the smallest hashes of their trades' ids, as text too, and the Jaccard index
of two of them.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SKETCH_SIZE = 512
"""Hashes of a sketch: the Jaccard of larger slices has a standard error of at most 0.02."""
HASH_BITS, HASH_BYTES = 48, 6
"""Two of a million trades have the same hash in one of 560 modules, which changes a Jaccard index
by one trade; a sketch takes 4 kB as text."""


def trade_hash(trade_id: str) -> int:
    """The hash of a trade: the first six bytes, big-endian, of the BLAKE2b-128 of its id in UTF-8;
    the same on every machine.

    Parameters
    ----------
    trade_id
        Its id.

    Returns
    -------
    A hash in [0, 2^48).

    >>> trade_hash("t1")
    62791285183997
    """
    return int.from_bytes(
        hashlib.blake2b(trade_id.encode(), digest_size=16).digest()[: HASH_BITS // 8], "big"
    )


def trade_hashes(trade_ids: Sequence[str]) -> Hashes:
    """`trade_hash` of many ids, faster.

    Parameters
    ----------
    trade_ids
        Ids (T).

    Returns
    -------
    Their hashes (T,).

    >>> trade_hashes(["t1"]).tolist()
    [62791285183997]
    """
    digest = hashlib.blake2b
    digests = b"".join(
        [digest(trade_id.encode(), digest_size=16).digest() for trade_id in trade_ids]
    )
    return np.frombuffer(digests, ">u8")[::2].astype(np.uint64) >> np.uint64(64 - HASH_BITS)


def sketches(hashes: Hashes, members: NDArray[np.bool_]) -> list[Hashes]:
    """Sketches of K slices: the 512 smallest hashes of each one's trades.

    Parameters
    ----------
    hashes
        Hashes of the trades (T,).
    members
        Which trades each slice holds (K, T).

    Returns
    -------
    For each slice its hashes, ascending.

    References
    ----------
    Bar-Yossef et al. 2002, "Counting distinct elements in a data stream" (k minimum values).

    >>> [
    ...     s.tolist()
    ...     for s in sketches(
    ...         np.array([30, 10, 20], np.uint64),
    ...         np.array([[True, True, False], [False, False, True]]),
    ...     )
    ... ]
    [[10, 30], [20]]
    """
    ordered, first = np.unique(hashes, return_index=True)
    if len(ordered) < len(hashes):  # two trades of one hash count as one
        columns = np.argsort(hashes, kind="stable")
        members = np.logical_or.reduceat(
            members[:, columns], np.searchsorted(hashes[columns], ordered), axis=1
        )
        first = np.arange(len(ordered))
    found = []
    step = max(1, (1 << 24) // max(1, len(ordered)))
    for start in range(0, len(members), step):
        row, column = np.nonzero(members[start : start + step, first])
        ends = np.searchsorted(
            row, np.arange(min(step, len(members) - start)), side="right"
        ).tolist()
        kept = ordered[column]
        found += [
            kept[a : min(a + SKETCH_SIZE, b)].copy()
            for a, b in zip([0, *ends[:-1]], ends, strict=True)
        ]
    return found


def encode(sketch: Hashes) -> str:
    """A sketch as text: base64 of its hashes, six bytes each, big-endian.

    Parameters
    ----------
    sketch
        The hashes.

    Returns
    -------
    The text.

    >>> encode(np.array([1, 258], np.uint64))
    'AAAAAAABAAAAAAEC'
    """
    return base64.b64encode(packed_hashes(sketch)).decode()


def packed_hashes(sketch: Hashes) -> bytes:
    """Six bytes of each hash, big-endian.

    Parameters
    ----------
    sketch
        The hashes.

    Returns
    -------
    The bytes.
    """
    return sketch.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 2:].tobytes()


def unpacked_hashes(packed: bytes) -> Hashes:
    """The hashes that `packed_hashes` packed.

    Parameters
    ----------
    packed
        The bytes.

    Returns
    -------
    The hashes.

    >>> unpacked_hashes(packed_hashes(np.array([1, 258], np.uint64))).tolist()
    [1, 258]
    """
    wide = np.zeros((len(packed) // HASH_BYTES, 8), np.uint8)
    wide[:, 2:] = np.frombuffer(packed, np.uint8).reshape(-1, HASH_BYTES)
    return wide.view(">u8")[:, 0].astype(np.uint64)


def decode(text: str) -> Hashes:
    """The sketch of a text that `encode` wrote.

    Parameters
    ----------
    text
        Base64 of six bytes a hash.

    Returns
    -------
    Hashes, ascending.

    Raises
    ------
    ValueError
        If the text is not base64 of six bytes a hash.

    >>> decode("AAAAAAABAAAAAAEC").tolist()
    [1, 258]
    """
    return unpacked_hashes(_unpacked_text(text))


def packed_texts(texts: Sequence[str]) -> list[bytes]:
    """The sketches of many texts at once, as `packed_hashes` packs them.

    Parameters
    ----------
    texts
        Texts of sketches, as `encode` writes them.

    Returns
    -------
    One sketch for each text.

    Raises
    ------
    ValueError
        If a text is not base64 of six bytes a hash.

    >>> [packed.hex() for packed in packed_texts(["AAAAAAABAAAAAAEC", "", "AAAAAAAD"])]
    ['000000000001000000000102', '', '000000000003']
    >>> packed_texts([])
    []
    """
    # six bytes are eight letters, so that texts laid end to end are one
    if any([len(text) % 8 for text in texts]):
        return [_unpacked_text(text) for text in texts]
    whole = _unpacked_text("".join(texts))
    ends = list(itertools.accumulate([len(text) // 8 * HASH_BYTES for text in texts]))
    return [whole[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _unpacked_text(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if len(raw) % HASH_BYTES:
        raise ValueError(f"The sketch has {len(raw)} bytes; it must have six for each hash.")
    return raw


def jaccard(a: Hashes, n_a: int, b: Hashes, n_b: int) -> float:
    """The Jaccard index |A ∩ B| / |A ∪ B| of two slices, from their sketches.

    It is exact if neither has more than 512 trades.  Otherwise it is that of all hashes up to the
    place where the first of the sketches ends: a sample of the union without replacement, of at
    least 512.  It never exceeds min(n) / max(n), which no Jaccard does.  Two empty slices are
    equal: 1.

    Parameters
    ----------
    a, b
        Sketches of the slices, ascending.
    n_a, n_b
        Trades of each.

    Returns
    -------
    The index, in [0, 1].

    References
    ----------
    Broder 1997, "On the resemblance and containment of documents".
    Beyer et al. 2007, "On synopses for distinct-value estimation under multiset operations".

    >>> jaccard(np.arange(0, 7, dtype=np.uint64), 7, np.arange(1, 8, dtype=np.uint64), 7)
    0.75
    >>> round(jaccard(np.arange(0, 7, dtype=np.uint64), 7, np.arange(2, 9, dtype=np.uint64), 7), 4)
    0.5556
    """
    ends = [int(s[-1]) for s, n in ((a, n_a), (b, n_b)) if n > SKETCH_SIZE]
    if ends:
        a, b = (s[: np.searchsorted(s, np.uint64(min(ends)), side="right")] for s in (a, b))
    common = len(np.intersect1d(a, b, assume_unique=True))
    return float(
        index_of(np.array(common), np.array(len(a)), np.array(len(b)), np.array(n_a), np.array(n_b))
    )


def index_of(
    common: NDArray[np.integer],
    a: NDArray[np.integer],
    b: NDArray[np.integer],
    n_a: Ints,
    n_b: Ints,
) -> Floats:
    """The Jaccard index from counts of hashes.

    Parameters
    ----------
    common
        Hashes in common (P,), up to where both sketches are complete.
    a, b
        Hashes of each sketch up to there (P,).
    n_a, n_b
        Trades of each slice (P,).

    Returns
    -------
    Indices (P,), in [0, 1].
    """
    union = a + b - common
    ratio = np.minimum(n_a, n_b) / np.maximum(np.maximum(n_a, n_b), 1)
    index: Floats = np.where(
        union > 0, np.minimum(common / np.maximum(union, 1), np.where(n_a == n_b, 1.0, ratio)), 1.0
    )
    return index
