"""Compute the figures that have targets from the scores of many worlds.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.quality.score import Record
from benchmarks.quality.worlds import FAMILIES

PLANTED_KINDS = (
    "constant",
    "decaying_fast",
    "decaying",
    "improving",
    "changing",
    "regime",
    "regime_control",
    "clones",
)
"""Kinds of families with planted slices and a window of 90 days."""
DECAYING = ("decaying_fast", "decaying")
NULL = ("null", "segments")
STRONG = ("strong",)
"""Families of constant edges of at least half a standard deviation on at least 200 trades."""

NOTHING = 0.005

Value = float | None
"""A figure; None where there is nothing to measure."""


class Pool:
    """Scores by setting and kind of family, and their figures."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.records = list(records)

    def of(
        self, setting: str, *, kinds: Sequence[str] = (), families: Sequence[str] = ()
    ) -> list[Record]:
        """The scores of one setting, for some kinds or families (both empty: for all)."""
        return [
            r
            for r in self.records
            if r["setting"] == setting
            and (not kinds or FAMILIES[r["family"]].kind in kinds)
            and (not families or r["family"] in families)
        ]

    @property
    def settings(self) -> list[str]:
        """In order of appearance."""
        return list(dict.fromkeys(r["setting"] for r in self.records if r["setting"] != "truth"))

    @property
    def families(self) -> list[str]:
        """In the order of their declaration."""
        there = {r["family"] for r in self.records}
        return [f for f in FAMILIES if f in there]


def share(part: float, whole: float) -> Value:
    """part / whole; None if the whole is 0."""
    return part / whole if whole else None


def false_slices(records: Sequence[Record]) -> Value:
    """Selected overrides that are not neutral, divided by all slices searched (in worlds without
    any effect)."""
    return share(sum(r["n_overrides"] for r in records), sum(r["m"] for r in records))


def worlds_with_any(records: Sequence[Record]) -> Value:
    """Share of worlds in which any answer is not neutral, at any of their cuts."""
    return _worlds_with(records, "any")


def worlds_with_selected(records: Sequence[Record]) -> Value:
    """Share of worlds with a selected override that is not neutral, at any of their cuts."""
    return _worlds_with(records, "n_overrides")


def _worlds_with(records: Sequence[Record], key: str) -> Value:
    worlds: dict[tuple[str, int], bool] = {}
    for r in records:
        world = r["family"], r["index"]
        worlds[world] = worlds.get(world, False) or r[key] > 0
    return share(sum(worlds.values()), len(worlds))


def mean_square(records: Sequence[Record]) -> Value:
    """Mean square of the learned effect over all decisions."""
    n, _, _, pp, _, _ = (float(x) for x in summed(records))
    return share(pp, n)


def fdr(records: Sequence[Record]) -> Value:
    """Share of selected, non-neutral overrides whose slice was not planted."""
    return share(sum(r["n_false"] for r in records), sum(r["n_overrides"] for r in records))


def void(records: Sequence[Record]) -> Value:
    """Share of selected, non-neutral overrides whose true effect has the opposite sign, or is less
    than a quarter of the learned one."""
    return share(sum(r["n_void"] for r in records), sum(r["n_judged"] for r in records))


def power(records: Sequence[Record]) -> Value:
    """Share of the slices found among those that a t-test at α/m finds when it is given the
    slice."""
    found = [hit for r in records for hit in r["power"]]
    return share(sum(found), len(found))


def bias(records: Sequence[Record]) -> Value:
    """Mean error of found effects, in units of the outcome; positive if they are too large."""
    errors = [np.sign(true) * (estimate - true) for r in records for true, estimate in r["effects"]]
    return float(np.mean(errors)) if errors else None


def rmse(records: Sequence[Record]) -> Value:
    """Root mean squared error of found effects, in units of the outcome."""
    errors = [estimate - true for r in records for true, estimate in r["effects"]]
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else None


def half_life_error(records: Sequence[Record]) -> Value:
    """Median of |estimate / truth − 1| of identified half-lives that were claimed."""
    errors = [
        abs(estimate / true - 1.0)
        for r in records
        for true, estimate, *_ in r["half_lives"]
        if estimate is not None
    ]
    return float(np.median(errors)) if errors else None


def half_life_coverage(records: Sequence[Record]) -> Value:
    """Share of claimed 80 % intervals that contain the truth."""
    claims = [
        (true, low, high)
        for r in records
        for true, _, low, high, _ in r["half_lives"]
        if low is not None
    ]
    return share(sum(low <= true <= high for true, low, high in claims), len(claims))


def half_life_claimed(records: Sequence[Record], *, by_oracle: bool = False) -> Value:
    """Share of identified half-lives that were claimed; with `by_oracle`, of those whose slice
    the oracle test finds."""
    claims = [
        estimate is not None
        for r in records
        for _, estimate, _, _, seen in r["half_lives"]
        if seen or not by_oracle
    ]
    return share(sum(claims), len(claims))


def adjusted_rand(records: Sequence[Record]) -> Value:
    """Adjusted Rand index of factors, over pairs of lessons.

    Of all pairs, a are together in both, b only in truth, c only as learned, d in neither: 2(ad −
    bc) / ((a+b)(b+d) + (a+c)(c+d)) (Hubert & Arabie 1985 in the form of Steinley 2004).
    """
    pairs = [r["factor_pairs"] for r in records if r["factor_pairs"]]
    if not pairs:
        return None
    a, b, c, d = (float(x) for x in np.sum(pairs, axis=0))
    return share(2.0 * (a * d - b * c), (a + b) * (b + d) + (a + c) * (c + d))


def clone_change(records: Sequence[Record], n_clones: int | None = None) -> Value:
    """Greatest relative change of a resolved effect that clones cause (in worlds with `n_clones`,
    if given)."""
    changes = [r["clone_change"] for r in records if "clone_change" in r]
    sizes = [change for n, change in changes if change is not None and n_clones in (None, n)]
    return max(sizes, default=None)


def summed(records: Sequence[Record], key: str = "sums") -> np.ndarray:
    """[n, Σp, Σu, Σp², Σpu, Σu²] over all records."""
    return np.sum([r[key] for r in records], axis=0) if records else np.zeros(6)


def calibration(records: Sequence[Record]) -> Value:
    """Slope of the true uplift on the predicted one over all decisions."""
    n, p, u, pp, pu, _ = (float(x) for x in summed(records))
    return share(n * pu - p * u, n * pp - p * p)


def gain(records: Sequence[Record], key: str = "sums") -> Value:
    """Σ(pu − p²/2) / Σ(u²/2); None where there is hardly anything to gain (quadratic mean of u
    below 0.005)."""
    n, _, _, pp, pu, uu = (float(x) for x in summed(records, key))
    return share(pu - pp / 2.0, uu / 2.0) if uu > NOTHING**2 * n else None


def regime_gap(records: Sequence[Record], truths: Sequence[Record]) -> Value:
    """Share of the gap between an oracle that ignores regimes and one that knows them."""
    blind, knowing, ours = gain(truths, "blind"), gain(truths, "oracle"), gain(records)
    if blind is None or knowing is None or ours is None:
        return None
    return share(ours - blind, knowing - blind)


def share_of_mixed_model(records: Sequence[Record], truths: Sequence[Record]) -> Value:
    """Gain as a share of that of the mixed model that is given the variances."""
    ours, ceiling = gain(records), gain(truths, "mixed model")
    return None if ours is None or ceiling is None else share(ours, ceiling)


def neutral_gains(records: Sequence[Record]) -> Value:
    """Share of the pairs of override and market state whose gain is exactly 1."""
    one, pairs = np.sum([r["neutral_gains"] for r in records], axis=0) if records else (0, 0)
    return share(float(one), float(pairs))


def churn(records: Sequence[Record], place: int = 1) -> Value:
    """Changes of overrides per 1 000 closes; with `place` 2, as if multipliers were not on a
    grid."""
    steps = [step for r in records for step in r["churn"]]
    return share(1000.0 * sum(s[place] for s in steps), sum(s[0] for s in steps))


Figure = Callable[[Sequence[Record]], Value]
Against = Callable[[Sequence[Record], Sequence[Record]], Value]
"""A figure that compares scores with the truth's scores in the same worlds."""


@dataclass(frozen=True)
class Row:
    """One line of the table.  `low` and `high` bound the target (inclusive); with `worst`, the
    worst family counts instead of the pool.

    With `against`, this figure of scores and truths is measured, else `figure`.
    """

    name: str
    figure: Figure
    kinds: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = "%"
    worst: str = ""
    against: Against | None = None

    def measure(self, pool: Pool, setting: str) -> Value:
        """The figure in one setting; for a `worst` row, that of the worst family."""
        if self.worst:
            there = [
                v
                for f in pool.families
                if (not self.kinds or FAMILIES[f].kind in self.kinds)
                and (not self.families or f in self.families)
                for v in [self._of(pool, setting, (), [f])]
                if v is not None
            ]
            return (max(there) if self.worst == "max" else min(there)) if there else None
        return self._of(pool, setting, self.kinds, self.families)

    def _of(self, pool: Pool, setting: str, kinds: Sequence[str], families: Sequence[str]) -> Value:
        records = pool.of(setting, kinds=kinds, families=families)
        if not records:
            return None
        if self.against is not None:
            return self.against(records, pool.of("truth", kinds=kinds, families=families))
        return self.figure(records)

    def met(self, value: Value) -> bool | None:
        """Whether `value` meets the target; None if there is none."""
        if value is None or (self.low is None and self.high is None):
            return None
        return bool(
            (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        )

    @property
    def target(self) -> str:
        """The target in words."""
        low, high = (None if b is None else shown(b, self.unit) for b in (self.low, self.high))
        if low is not None and high is not None:
            return f"{low} – {high}"
        return f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else "reported"


def shown(value: Value, unit: str) -> str:
    """A figure as text: `%` as a percentage, else a number.

    >>> shown(0.0312, "%"), shown(0.9712, ""), shown(0.0001, "tiny"), shown(None, "%")
    ('3.1 %', '0.97', '1.0e-04', '–')
    """
    if value is None:
        return "–"
    if unit == "tiny":
        return "0" if value == 0 else f"{value:.1e}"
    if unit == "%":
        digits = 3 if 0 < abs(value) < 0.002 else 1
        text = f"{100.0 * value:.{digits}f}"
        return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
    return (
        f"{value:.0f}" if unit == "count" else f"{value:.3g}" if unit == "fine" else f"{value:.2f}"
    )


ROWS: tuple[Row, ...] = (
    Row("null: false slices", false_slices, ("null",), high=0.001),
    Row("null: worlds with any selected", worlds_with_selected, ("null",), high=0.05),
    Row(
        "null: worlds with any selected, worst family",
        worlds_with_selected,
        ("null",),
        high=0.25,
        worst="max",
    ),
    Row("null: worlds with any", worlds_with_any, ("null",)),
    Row("null: mean square of published predictions", mean_square, NULL, high=1e-4, unit="tiny"),
    Row("segments differ: worlds with any selected", worlds_with_selected, ("segments",), high=0.0),
    Row("planted: FDR", fdr, PLANTED_KINDS, high=0.05),
    Row("planted: void", void, PLANTED_KINDS, high=0.03),
    Row("planted: power against the oracle test", power, PLANTED_KINDS, low=0.90),
    Row("constant: power, worst family", power, ("constant",), low=0.75, worst="min"),
    Row("constant: bias of effects", bias, ("constant",), unit="fine"),
    Row("constant: RMSE of effects", rmse, ("constant",), unit="fine"),
    Row("half-life: median error", half_life_error, DECAYING, high=0.15),
    Row("half-life: coverage of 80 % intervals", half_life_coverage, DECAYING, low=0.75, high=0.90),
    Row(
        "half-life: share claimed, slice seen by the oracle test",
        partial(half_life_claimed, by_oracle=True),
        DECAYING,
        low=0.90,
    ),
    Row("half-life: share claimed, all identified", half_life_claimed, DECAYING),
    Row("factors: adjusted Rand index", adjusted_rand, ("clones",), low=0.97, unit=""),
    Row(
        "clones: greatest change of the effect", clone_change, families=("exact_clones",), high=0.01
    ),
    Row("planted: calibration slope", calibration, PLANTED_KINDS, low=0.9, high=1.1, unit=""),
    Row("gain: constant, ≥ 0.5 sd and ≥ 200 trades", gain, families=STRONG, low=0.94),
    Row("gain: constant", gain, ("constant",)),
    Row("gain: decaying, half-life ≥ 3 days", gain, ("decaying",), low=0.90),
    Row("gain: improving", gain, ("improving",), low=0.45),
    Row("gain: reversing and seasonal", gain, ("changing",), low=0.15),
    Row("gain: reversing and seasonal, worst family", gain, ("changing",), low=0.0, worst="min"),
    Row("gain: all planted", gain, PLANTED_KINDS, low=0.85),
    Row("threshold: share of the oracle's gain", gain, ("threshold",), low=0.40),
    Row("threshold: void", void, ("threshold",)),
    Row("years: gain", gain, ("years",)),
    Row("years: gain, worst family", gain, ("years",), worst="min"),
    Row("years: calibration slope", calibration, ("years",), unit=""),
    Row("years: FDR", fdr, ("years",)),
    Row("years: void", void, ("years",)),
    Row("years: power against the oracle test", power, ("years",)),
    Row("years: half-life, median error", half_life_error, ("years",)),
    Row(
        "dense: share of the oracle mixed model's gain",
        gain,
        ("dense",),
        low=0.90,
        against=share_of_mixed_model,
    ),
    Row(
        "dense: share of the oracle mixed model's gain, worst family",
        gain,
        ("dense",),
        worst="min",
        against=share_of_mixed_model,
    ),
    Row("dense: calibration slope", calibration, ("dense",), unit=""),
    Row("dense: void", void, ("dense",)),
    Row(
        "common movement: share of the oracle mixed model's gain",
        gain,
        ("movement",),
        against=share_of_mixed_model,
    ),
    Row("common movement: calibration slope", calibration, ("movement",), unit=""),
    Row("regimes: share of the gap", gain, ("regime",), low=0.40, against=regime_gap),
    Row("regimes: control, gains exactly 1", neutral_gains, ("regime_control",), low=0.95),
    Row(
        "churn per 1 000 closes", churn, families=("null_gaussian", "single", "strong"), unit="fine"
    ),
    Row(
        "churn without the grid",
        partial(churn, place=2),
        families=("null_gaussian", "single", "strong"),
        unit="fine",
    ),
)

FAMILY_FIGURES: Mapping[str, tuple[Figure, str]] = {
    "any": (worlds_with_any, "%"),
    "selected": (worlds_with_selected, "%"),
    "mean square": (mean_square, "tiny"),
    "FDR": (fdr, "%"),
    "void": (void, "%"),
    "power": (power, "%"),
    "bias": (bias, "fine"),
    "RMSE": (rmse, "fine"),
    "slope": (calibration, ""),
    "gain": (gain, "%"),
}
