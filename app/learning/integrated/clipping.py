"""Bounds at which outcomes are clipped.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.learning.common.size import robust_sd

Floats = NDArray[np.float64]

CLIP_SDS = 6.0
"""Outcomes are clipped so many robust standard deviations (1.4826 MAD) from the median."""


def clip_bounds(outcome: Floats) -> tuple[float, float]:
    """Median ± 6 robust standard deviations; where more than half of the outcomes are one number,
    the plain ones.

    >>> clip_bounds(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])) == (3 - 6 * 1.4826, 3 + 6 * 1.4826)
    True
    """
    median = float(np.median(outcome))
    sd = robust_sd(outcome)
    return median - CLIP_SDS * sd, median + CLIP_SDS * sd
