"""All families of worlds, and how to generate one of their worlds.

May touch: nothing; randomness comes from the seed alone.
"""

from __future__ import annotations

import zlib

import numpy as np

from benchmarks.quality import dense, months, years
from benchmarks.quality.registry import Family
from benchmarks.quality.truth import World

FAMILIES: dict[str, Family] = {**months.FAMILIES, **years.FAMILIES, **dense.FAMILIES}


def make(name: str, index: int, seed: int) -> World:
    """World number `index` of a family: the same on every machine for the same three arguments."""
    return FAMILIES[name].build(
        np.random.default_rng([seed, zlib.crc32(name.encode()), index]), index
    )
