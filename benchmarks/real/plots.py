"""A picture of each log: what sizing was worth so far, cut by cut.

May touch: the folder it is given.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.real.measure import is_peer
from benchmarks.real.walk import Sized

mpl.use("Agg")
from matplotlib import pyplot as plt

COLOURS = ("#1a66b8", "#e08214", "#7b52ab", "#2e9e6b", "#9aa0a6", "#c62828", "#8c564b", "#17becf")


def draw(name: str, outcome: str, sized: Sized, folder: Path) -> Path:
    """One file; the product's variants are drawn thick, peers dashed."""
    picture, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    cuts, place = np.unique(sized.cut_us, return_inverse=True)
    for i, (contender, multiplier) in enumerate(sized.multipliers.items()):
        p, u = multiplier - multiplier.mean(), sized.uplift - sized.uplift.mean()
        so_far = np.cumsum(np.bincount(place, p * u - p * p / 2, len(cuts)))
        style = {"ls": "--", "lw": 1.3} if is_peer(contender) else {"lw": 2.2}
        axes.plot(cuts.astype("datetime64[us]"), so_far, label=contender, color=COLOURS[i % len(COLOURS)], **style)
    axes.axhline(0, color="#222222", lw=0.8)
    axes.set(title=f"{name}: value so far, {outcome}", ylabel="units of size, all decisions together", xlabel="cut")
    axes.legend(fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}_{outcome}.png"
    picture.savefig(path, dpi=110)
    plt.close(picture)
    return path
