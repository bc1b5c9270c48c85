"""The lines of the report.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the report; `target` is the target of the ratio, or of the value."""

    name: str
    value: str
    ratio: float | None = None
    target: str = ""
