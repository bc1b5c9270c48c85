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


def on_grid(multiplier: ArrayLike) -> NDArray[np.float64]:
    """The multiplier rounded to its grid of 0.01.

    Parameters
    ----------
    multiplier
        A scalar or an array.

    Returns
    -------
    Rounded multipliers, in the shape of `multiplier`.

    >>> on_grid([2.317484, 0.3]).tolist()
    [2.32, 0.3]
    """
    return np.rint(np.asarray(multiplier, np.float64) * GRID) / GRID
