"""Bounds at which outcomes are clipped.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.learning.common.size_unit import robust_sd

Floats = NDArray[np.float64]

CLIP_SDS = 12.0
"""Outcomes are clipped at this many robust standard deviations (1.4826 MAD) from the median."""


def clip_bounds(outcome: Floats) -> tuple[float, float]:
    """The bounds at which outcomes are clipped: median ± 12 robust standard deviations.

    Where more than half of the outcomes are one number, plain standard deviations are used.

    Parameters
    ----------
    outcome
        Outcomes (T,), at least one.

    Returns
    -------
    Lower and upper bound, in units of the outcome.

    >>> clip_bounds(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == (3 - 12 * 1.4826, 3 + 12 * 1.4826)
    True
    """
    median = float(np.median(outcome))
    sd = robust_sd(outcome)
    return median - CLIP_SDS * sd, median + CLIP_SDS * sd
