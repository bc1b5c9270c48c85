"""Families of worlds by name.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.truth import World

Build = Callable[[np.random.Generator, int], World]


@dataclass(frozen=True)
class Family:
    """`kind` selects its targets; with `churn`, it also learns between the cuts and counts
    changes."""

    kind: str
    build: Build
    churn: bool = False


class Families(dict[str, Family]):
    """All families by name, in the order of their declaration."""

    def add(self, kind: str, *, churn: bool = False) -> Callable[[Build], Build]:
        """Register a function under its own name."""

        def register(build: Build) -> Build:
            self[build.__name__] = Family(kind, build, churn)
            return build

        return register
