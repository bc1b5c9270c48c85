"""The multiplier of an edge: its bounds and its grid.

May touch: nothing but its arguments.  Both functions take scalars or arrays and return arrays of
that shape.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER

GRID = 100
"""Steps of a multiplier per 1.0."""
FINE_GRID = 1000
"""The same where many small effects add up: each is less than a step of `GRID`, and together they
are worth several."""


def multiplier(edge: ArrayLike) -> NDArray[np.float64]:
    """The multiplier of an edge, before rounding: clamp(1 + edge, 0.3, 3.0).

    Parameters
    ----------
    edge
        A scalar or an array, in units of size.

    Returns
    -------
    Multipliers, in the shape of `edge`.

    >>> multiplier([1.317484, 0.439161, -1.610258]).round(6).tolist()
    [2.317484, 1.439161, 0.3]
    """
    return np.clip(1.0 + np.asarray(edge, np.float64), MIN_MULTIPLIER, MAX_MULTIPLIER)


def on_grid(multiplier: ArrayLike, grid: ArrayLike = GRID) -> NDArray[np.float64]:
    """The multiplier rounded to its grid, of 0.01 unless another one is given.

    Parameters
    ----------
    multiplier
        A scalar or an array.
    grid
        Steps per 1.0, of all or of each.

    Returns
    -------
    Rounded multipliers, in the shape of `multiplier`.

    >>> on_grid([2.317484, 0.3]).tolist()
    [2.32, 0.3]
    >>> on_grid([2.317484, 1.0012], [GRID, FINE_GRID]).tolist()
    [2.32, 1.001]
    """
    steps = np.asarray(grid, np.float64)
    return np.rint(np.asarray(multiplier, np.float64) * steps) / steps
