"""The digits that are published.

May touch: nothing but its arguments.
"""

from __future__ import annotations

DIGITS = 9
"""Significant digits of published numbers: the same on every machine, whatever the last bits of its
linear algebra."""


def shortened(x: float) -> float:
    """`x` to nine significant digits.

    >>> shortened(1 / 3), shortened(-0.0)
    (0.333333333, 0.0)
    """
    return float(f"{x:.{DIGITS}g}") + 0.0
