"""Average linkage of the points of one component, and how a component that is too large is cut.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import linkage

from app.learning.integrated.distinct_sketches import Points
from app.learning.integrated.jaccards import ROUNDING
from app.learning.integrated.sketches import Floats

MAX_BLOCK = 2048
"""Points of a component that are clustered together (this takes 200 MB).  A larger component is cut
in the order of the sketches (points with the smallest trade hash in common are neighbours): factors
in it may be split, but they are still a function of the set of slices."""


def parts_of(points: Points, block: list[int]) -> list[list[int]]:
    """A component, cut into parts if it has too many points.

    Parameters
    ----------
    points
        All points.
    block
        The places of the component's points.

    Returns
    -------
    The component itself, or parts of at most `MAX_BLOCK` points, in the order of their sketches.
    """
    if len(block) <= MAX_BLOCK:
        return [block]
    ordered = sorted(block, key=lambda p: (points.sketches.packed(p), int(points.n[p])))
    return [ordered[i : i + MAX_BLOCK] for i in range(0, len(ordered), MAX_BLOCK)]


def average_linkage(similarity: Floats, bar: float) -> list[list[int]]:
    """The clusters of m points, cut where the mean Jaccard falls below the bar.

    Parameters
    ----------
    similarity
        Jaccards (m, m) of all pairs.
    bar
        Least mean Jaccard within a cluster.

    Returns
    -------
    The places of each cluster's points, ascending.

    References
    ----------
    Sokal & Michener 1958, "A statistical method for evaluating systematic relationships".
    """
    m = len(similarity)
    if m == 1 or similarity.min() >= bar - ROUNDING:
        return [list(range(m))]
    tree = linkage(1 - similarity[np.triu_indices(m, 1)], "average")
    cluster_of: list[list[int]] = [[i] for i in range(m)]
    for left, right, distance, _ in tree.tolist():
        if distance > 1 - bar + ROUNDING:
            break
        cluster_of.append(cluster_of[int(left)] + cluster_of[int(right)])
        cluster_of[int(left)] = cluster_of[int(right)] = []
    return [sorted(inside) for inside in cluster_of if inside]
