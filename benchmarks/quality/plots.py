"""One picture for each kind of family.

May touch: the folder it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.quality import figures
from benchmarks.quality.figures import Figure, Pool, Value
from benchmarks.quality.worlds import FAMILIES

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

COLOURS = {
    "classic": "#9aa0a6",
    "integrated": "#1a66b8",
    "no half-life": "#e08214",
    "no regime weights": "#7b52ab",
    "no latent factors": "#2e9e6b",
}
OTHER_COLOURS = ("#c2185b", "#6d4c41", "#00838f", "#9e9d24")
TRUTH, TARGET = "#222222", "#c62828"


def draw(pool: Pool, out: Path) -> list[Path]:
    """Write a PNG for each kind of family that `pool` has scores of; returns the files."""
    pictures: dict[str, tuple[Callable[[Pool], Picture], tuple[str, ...]]] = {
        "null": (_null, ("null", "segments")),
        "constant": (_constant, ("constant",)),
        "decaying": (_decaying, ("decaying", "decaying_fast")),
        "changing": (_changing, ("improving", "changing")),
        "regimes": (_regimes, ("regime", "regime_control")),
        "clones": (_clones, ("clones",)),
        "years": (_years, ("years", "threshold")),
        "dense": (_dense, ("dense", "movement")),
    }
    paths = []
    for name, (picture, kinds) in pictures.items():
        part = Pool([r for r in pool.records if FAMILIES[r["family"]].kind in kinds])
        if part.settings:
            path = out / f"{name}.png"
            made = picture(part)
            made.savefig(path, dpi=110)
            plt.close(made)
            paths.append(path)
    return paths


def _null(pool: Pool) -> Picture:
    picture, (left, right) = plt.subplots(
        1, 2, figsize=(12, 0.6 + 0.62 * len(pool.families)), layout="constrained", sharey=True
    )
    _bars(left, pool, figures.worlds_with_selected, pool.families)
    left.axvline(25, color=TARGET, ls="--", lw=1, label="target, any one family")
    left.set(title="worlds with any selected override", xlabel="% of worlds", xlim=(0, 105))
    floor = 0.003
    _bars(right, pool, lambda r: max(figures.false_slices(r) or 0.0, floor / 100), pool.families)
    right.axvline(0.1, color=TARGET, ls="--", lw=1, label="target")
    right.set(
        title="false slices",
        xlabel=f"% of all slices searched ({floor} = none)",
        xscale="log",
        xlim=(floor, 130),
    )
    return _titled(picture, "Worlds without any effect")


def _constant(pool: Pool) -> Picture:
    height = 0.9 + 0.42 * len(pool.families)
    picture, (left, middle, right) = plt.subplots(
        1, 3, figsize=(15, max(height, 4.5)), layout="constrained"
    )
    for setting in _shown(pool, ("classic", "integrated")):
        pairs = np.array([e for r in pool.of(setting) for e in r["effects"]]).reshape(-1, 2)
        left.scatter(
            pairs[:, 0],
            pairs[:, 1],
            s=14,
            alpha=0.6,
            color=_colour(pool, setting),
            label=setting,
            lw=0,
        )
    _diagonal(left, "true effect", "published effect")
    left.set_title("effects of the planted slices found")
    _bars(middle, pool, figures.power, pool.families, ("integrated",))
    middle.axvline(75, color=TARGET, ls="--", lw=1, label="target, any one family")
    middle.set(title="power against a t-test given the slice", xlabel="% found", xlim=(0, 105))
    _bars(right, pool, figures.gain, pool.families, ("classic", "integrated"))
    right.axvline(100, color=TRUTH, lw=1, label="oracle")
    right.set(
        title="share of the oracle's sizing gain",
        xlabel="%",
        xlim=(min(0.0, right.get_xlim()[0]), 105),
        yticklabels=[],
    )
    return _titled(picture, "Constant effects")


def _decaying(pool: Pool) -> Picture:
    picture, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
    claims = [c for r in pool.of("integrated") for c in r["half_lives"] if c[1] is not None]
    for true, estimated, low, high, _ in claims:
        inside = low is not None and low <= true <= high
        colour = COLOURS["integrated"] if inside or low is None else TARGET
        if low is not None:
            left.plot(
                [true / 24, true / 24], [low / 24, high / 24], color=colour, alpha=0.35, lw=1.2
            )
        left.scatter([true / 24], [estimated / 24], s=12, color=colour, zorder=3, lw=0)
    left.plot([0.7, 45], [0.7, 45], color=TRUTH, lw=1)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="true half-life, days",
        ylabel="estimate with 80 % interval",
        xlim=(0.7, 45),
        ylim=(0.3, 120),
    )
    left.set_title("identified half-lives (red: the interval misses)")
    _gains(middle, pool)
    _trace(right, pool, "decaying_new")
    return _titled(picture, "Decaying effects")


def _changing(pool: Pool) -> Picture:
    families = pool.families
    picture, axes = plt.subplots(
        1,
        1 + len(families),
        figsize=(4.4 * (1 + len(families)), 4.6),
        layout="constrained",
        squeeze=False,
    )
    _gains(axes[0, 0], pool)
    for ax, family in zip(axes[0, 1:], families, strict=True):
        _trace(ax, pool, family)
    return _titled(picture, "Effects that improve, reverse or come and go")


def _regimes(pool: Pool) -> Picture:
    picture, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
    with_gains = [f for f in pool.families if FAMILIES[f].kind == "regime"]
    truths = {f: pool.of("truth", families=[f]) for f in with_gains}
    _bars(
        left,
        pool,
        lambda r: figures.regime_gap(r, truths[r[0]["family"]]),
        with_gains,
        [s for s in pool.settings if s != "classic"],
    )
    left.axvline(40, color=TARGET, ls="--", lw=1, label="target")
    left.set(title="share of the gap, regime-blind to regime-knowing oracle", xlabel="%")
    rng = np.random.default_rng(0)
    for family, colour in zip(with_gains, ("#1a66b8", "#d1495b"), strict=False):
        pairs = np.array(
            [g for r in pool.of("integrated", families=[family]) for g in r.get("gains", [])]
        ).reshape(-1, 2)
        spread = rng.uniform(-0.01, 0.01, len(pairs))
        middle.scatter(
            pairs[:, 0] + spread, pairs[:, 1], s=12, alpha=0.5, color=colour, label=family, lw=0
        )
    _diagonal(middle, "true gain, relative to the mean over regimes", "learned gain")
    middle.set_title("gains of the slices found, integrated")
    _bars(right, pool, figures.neutral_gains, pool.families, ("integrated",))
    right.axvline(95, color=TARGET, ls="--", lw=1, label="target for the control")
    right.set(
        title="gains that are exactly 1",
        xlabel="% of pairs of override and market state",
        xlim=(0, 105),
    )
    return _titled(picture, "Effects that depend on the market's state")


def _clones(pool: Pool) -> Picture:
    picture, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    for setting in pool.settings:
        records = [r for r in pool.of(setting) if "clone_change" in r]
        by_n = {
            n: [c for k, c in (r["clone_change"] for r in records) if k == n and c is not None]
            for n in range(1, 11)
        }
        points = [(n, 100 * max(changes)) for n, changes in by_n.items() if changes]
        if points:
            left.plot(
                *zip(*points, strict=True),
                marker="o",
                ms=4,
                color=_colour(pool, setting),
                label=setting,
            )
    left.axhline(1, color=TARGET, ls="--", lw=1, label="target")
    left.set(
        title="greatest change of the resolved effect",
        xlabel="exact clones of a dimension",
        ylabel="%",
        xticks=range(1, 11),
    )
    left.set_yscale("symlog", linthresh=1)
    left.set_ylim(bottom=-0.05)
    _bars(middle, pool, figures.adjusted_rand, pool.families, scale=1.0)
    middle.axvline(0.97, color=TARGET, ls="--", lw=1, label="target")
    middle.set(title="adjusted Rand index of factors", xlim=(0, 1.05))
    _gains(right, pool)
    right.set_yticklabels([])
    return _titled(picture, "The same evidence under several names")


def _years(pool: Pool) -> Picture:
    picture, (left, right) = plt.subplots(
        1, 2, figsize=(12, 1.6 + 0.5 * len(pool.families)), layout="constrained", sharey=True
    )
    _gains(left, pool)
    _bars(right, pool, figures.void, pool.families)
    right.set(title="void overrides", xlabel="% of those selected", xlim=(0, 105))
    return _titled(picture, "Windows of five years, and effects at the threshold")


def _dense(pool: Pool) -> Picture:
    picture, (left, right) = plt.subplots(
        1, 2, figsize=(12, 1.6 + 0.5 * len(pool.families)), layout="constrained", sharey=True
    )
    truths = {f: pool.of("truth", families=[f]) for f in pool.families}
    _bars(
        left, pool, lambda r: figures.share_of_mixed_model(r, truths[r[0]["family"]]), pool.families
    )
    left.axvline(90, color=TARGET, ls="--", lw=1, label="target, all")
    left.axvline(0, color=TRUTH, lw=0.8)
    left.set(title="share of the gain of a mixed model given the variances", xlabel="%")
    _bars(right, pool, figures.calibration, pool.families, scale=1.0)
    right.axvline(1, color=TRUTH, lw=1, label="as stated")
    right.set(title="calibration slope")
    return _titled(picture, "Many small effects")


# -- parts of pictures


def _colour(pool: Pool, setting: str) -> str:
    """The colour of a setting; for one without its own colour, the next free one."""
    others = [s for s in pool.settings if s not in COLOURS]
    return COLOURS.get(setting) or OTHER_COLOURS[others.index(setting) % len(OTHER_COLOURS)]


def _titled(picture: Picture, title: str) -> Picture:
    """Give the picture a title, and one legend for all of its axes."""
    picture.suptitle(title, fontweight="bold")
    entries = {
        label: handle
        for ax in picture.axes
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    picture.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=len(entries),
        fontsize=9,
        frameon=False,
    )
    return picture


def _shown(pool: Pool, settings: Sequence[str]) -> tuple[str, ...]:
    return tuple(s for s in settings if s in pool.settings)


def _bars(
    ax: Axes,
    pool: Pool,
    figure: Figure,
    families: Sequence[str],
    settings: Sequence[str] = (),
    scale: float = 100.0,
) -> None:
    """Draw horizontal bars: a row per family and a bar per setting; a dot where there is nothing to
    measure."""
    settings = _shown(pool, settings or tuple(dict.fromkeys((*COLOURS, *pool.settings))))
    height = 0.8 / max(1, len(settings))
    for k, setting in enumerate(settings):
        values: list[Value] = []
        for family in families:
            records = pool.of(setting, families=[family])
            values.append(figure(records) if records else None)
        at = np.arange(len(families)) + (k - (len(settings) - 1) / 2) * height
        widths = [np.nan if v is None else scale * v for v in values]
        ax.barh(at, widths, height * 0.92, color=_colour(pool, setting), label=setting)
    ax.set_yticks(range(len(families)), families)
    ax.set_ylim(len(families) - 0.5, -0.5)
    ax.grid(axis="x", alpha=0.25)


def _gains(ax: Axes, pool: Pool) -> None:
    """Draw the gain per family; values below −100 % are cut off."""
    _bars(
        ax, pool, lambda r: None if (g := figures.gain(r)) is None else max(g, -1.0), pool.families
    )
    ax.axvline(100, color=TRUTH, lw=1, label="oracle")
    ax.axvline(0, color=TRUTH, lw=0.8)
    ax.set(
        title="share of the oracle's sizing gain (cut at −100)",
        xlabel="%",
        xlim=(min(0.0, ax.get_xlim()[0]), 105),
    )


def _trace(ax: Axes, pool: Pool, family: str) -> None:
    """The true uplift and its estimate, over the twenty days of one world."""
    for setting in _shown(pool, ("classic", "no half-life", "integrated")):
        traces = [r["trace"] for r in pool.of(setting, families=[family]) if "trace" in r]
        if not traces:
            continue
        days, true, estimated = (
            np.concatenate([np.asarray(t[i]) for t in traces]) for i in range(3)
        )
        order = np.argsort(days, kind="stable")
        ax.scatter(
            days[order],
            estimated[order],
            s=12,
            color=_colour(pool, setting),
            label=setting,
            lw=0,
            alpha=0.8,
        )
        if setting == "integrated" or pool.settings == [setting]:
            ax.plot(days[order], true[order], color=TRUTH, lw=1.5, label="truth")
    ax.axvline(100, color=TRUTH, lw=0.6, ls=":")
    ax.axhline(0, color=TRUTH, lw=0.6)
    ax.set(
        title=f"one world: {family}",
        xlabel="day (learned on days 90 and 100)",
        ylabel="uplift of decisions in the slice",
    )
    ax.grid(alpha=0.25)


def _diagonal(ax: Axes, xlabel: str, ylabel: str) -> None:
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    high = max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([low, high], [low, high], color=TRUTH, lw=1)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.25)
