"""Two simple peers: the same size for all, and the mean of the pattern.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np

from benchmarks.real.peers.table import Floats, Lesson


def neutral(lesson: Lesson) -> Floats:
    """Nothing is expected of any decision."""
    return np.zeros(len(lesson.asked_group))


def group_means(lesson: Lesson) -> Floats:
    """The mean of each group, drawn to the mean of all as James & Stein (1961) do, by the positive part with unequal variances."""
    if not len(lesson.group):
        return neutral(lesson)
    n = np.bincount(lesson.group)
    used = n > 1
    mean = np.bincount(lesson.group, lesson.uplift) / np.maximum(n, 1)
    within = np.bincount(lesson.group, (lesson.uplift - mean[lesson.group]) ** 2) / np.maximum(n - 1, 1)
    noise = np.where(used, within / np.maximum(n, 1), np.inf)
    kept = np.zeros(len(n))
    centre = float(lesson.uplift.mean())
    if used.sum() > 3:
        spread = ((mean[used] - centre) ** 2 / np.maximum(noise[used], 1e-12)).sum()
        kept[used] = max(0.0, 1.0 - (used.sum() - 3) / max(spread, 1e-12))
    elif used.any():
        kept[used] = np.maximum(0.0, 1.0 - noise[used] / np.maximum((mean[used] - centre) ** 2, 1e-12))
    told = np.append(centre + kept * (mean - centre), centre)
    return np.asarray(told[lesson.asked_group])
