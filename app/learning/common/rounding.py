"""Rounding of published numbers.

May touch: nothing but its arguments.
"""

from __future__ import annotations

DIGITS = 9
"""Significant digits of published numbers: few enough that rounding differences in linear algebra
do not show."""


def shortened(x: float) -> float:
    """A number rounded to nine significant digits.

    Parameters
    ----------
    x
        The number.

    Returns
    -------
    The rounded number.

    >>> shortened(1 / 3), shortened(-0.0)
    (0.333333333, 0.0)
    """
    return float(f"{x:.{DIGITS}g}") + 0.0
