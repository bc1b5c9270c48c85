"""A picture of each log: the cumulative value of sizing, cut by cut.

May touch: the folder it is given.
"""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.real.measure import is_peer
from benchmarks.real.walk import Sized

mpl.use("Agg")
from matplotlib import pyplot as plt

OURS = ("#1a66b8", "#9aa0a6", "#7b52ab", "#2e9e6b", "#5ab4d6", "#b07aa1", "#4e5b6b", "#86bc5b")
PEERS = ("#c62828", "#e08214", "#8c564b", "#c2a000", "#222222")


def draw(name: str, outcome: str, sized: Sized, folder: Path) -> Path:
    """Draw one file; the product's variants are thick lines, peers are dashed."""
    picture, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    cuts, place = np.unique(sized.cut_us, return_inverse=True)
    ours, theirs = cycle(OURS), cycle(PEERS)
    for contender, multiplier in sized.multipliers.items():
        p, u = multiplier - multiplier.mean(), sized.uplift - sized.uplift.mean()
        so_far = np.cumsum(np.bincount(place, p * u - p * p / 2, len(cuts)))
        peer = is_peer(contender)
        colour, line, width = (next(theirs), "--", 1.3) if peer else (next(ours), "-", 2.0)
        axes.plot(
            cuts.astype("datetime64[us]"), so_far, label=contender, color=colour, ls=line, lw=width
        )
    axes.axhline(0, color="#222222", lw=0.8)
    axes.set(
        title=f"{name}: value so far, {outcome}",
        ylabel="units of size, all decisions together",
        xlabel="cut",
    )
    axes.legend(fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_{outcome}.png"
    picture.savefig(path, dpi=110)
    plt.close(picture)
    return path
