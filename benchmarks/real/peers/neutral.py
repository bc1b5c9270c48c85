"""The simplest peer: the same size for all decisions.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np

from benchmarks.real.peers.table import Floats, Lesson


def neutral(lesson: Lesson) -> Floats:
    """An expected uplift of 0 for each decision."""
    return np.zeros(len(lesson.asked_group))
