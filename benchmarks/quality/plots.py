"""A picture per kind of family.

May touch: the folder it is given.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.quality.figures import Pool


def draw(pool: Pool, out: Path) -> list[Path]:
    return []
