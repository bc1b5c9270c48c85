"""Baselines: the mean outcome of a module's trades, regardless of their pattern.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.columns import Columns
from app.learning.common.segments import segment_order
from app.learning.common.trade import SegmentKey
from edgeloop.identity import baseline_id
from schemas.lessons import Baseline, GroupSummary, SegmentSum


def module_baseline(
    module: str, summaries: Iterable[GroupSummary], default: float, version: int
) -> Baseline | None:
    """The mean outcome and sample variance of all home trades of a module, each trade once.

    The sums of the groups' segments are added in a fixed order and rounded once, so that the result
    does not depend on the order of arrival.

    Parameters
    ----------
    module
        The module's name.
    summaries
        One for each group of the module, in any order.
    default
        The mean without home trades, in units of the outcome.
    version
        Version of the record.

    Returns
    -------
    The baseline, in units of the outcome, as of the newest summary; None without any summary.

    >>> from schemas.lessons import SegmentSum
    >>> group = GroupSummary(
    ...     learning="classic", lesson_id="g", module="pm", pattern_key="pm.a",
    ...     action_category="add", n=4, n_slices=1, version=1, as_of="2024-01-01T00:00:00Z",
    ...     segments=(
    ...         SegmentSum("micro", "1h", 3, 2.0, 2.0), SegmentSum("mega", "1h", 1, 0.0, 0.0),
    ...     ),
    ... )
    >>> baseline = module_baseline("pm", [group], default=0.0, version=1)
    >>> baseline.n, baseline.mean, baseline.variance
    (4, 0.5, 0.3333333333333333)
    """
    groups = sorted(summaries, key=lambda s: s.lesson_id)
    if not groups:
        return None
    parts = [
        s
        for group in groups
        for s in sorted(group.segments, key=lambda s: segment_order((s.bucket, s.timeframe)))
    ]
    n = sum(part.n for part in parts)
    total = math.fsum(part.sum for part in parts)
    squares = math.fsum(part.sum_sq for part in parts)
    return Baseline(
        learning="classic",
        baseline_id=baseline_id(module),
        module=module,
        bucket=None,
        timeframe=None,
        n=n,
        mean=total / n if n else default,
        variance=max(0.0, squares - total * total / n) / (n - 1) if n > 1 else 0.0,
        as_of=max(group.as_of for group in groups),
        version=version,
    )


PRIOR_TRADES = 10.0
"""Number of trades that the configured constant counts as in a module's own mean."""


class SegmentBaselines(NamedTuple):
    """The outcome that `integrated` expects of a trade by its segment, regardless of its pattern.

    Attributes
    ----------
    records
        The baselines to publish.
    means, variances
        By segment, the mean outcome and the variance of that mean, in units of the outcome and
        their square.
    elsewhere
        Mean and variance for a segment without home trades.
    """

    records: list[Baseline]
    means: dict[SegmentKey, float]
    variances: dict[SegmentKey, float]
    elsewhere: tuple[float, float]

    def on_grid(self, unit: float) -> SegmentBaselines:
        """The baselines rounded to a grid, so that the next trade of one group does not change the
        judgement of all others.

        Parameters
        ----------
        unit
            Units of the outcome per unit of size.

        Returns
        -------
        Means rounded as by `on_error_grid`.
        """
        cells = {
            key: on_error_grid(mean, self.variances[key], unit) for key, mean in self.means.items()
        }
        return SegmentBaselines(
            self.records,
            {key: mean for key, (mean, _) in cells.items()},
            {key: variance for key, (_, variance) in cells.items()},
            on_error_grid(*self.elsewhere, unit),
        )


LEAST_STEP = 1e-3
"""Smallest step of a mean, in units of size: a tenth of a step of the multiplier."""
ERROR_STEPS = 8.0
"""Steps of a mean in one standard error: far below what the trades can tell."""
VARIANCE_STEPS = 4.0
"""Steps of a variance in a factor of two."""


def on_error_grid(mean: float, variance: float, unit: float) -> tuple[float, float]:
    """A mean rounded to an eighth of its standard error or a thousandth of the unit, whichever is
    more; and its variance, rounded to a quarter of a factor of two.

    Parameters
    ----------
    mean
        The mean, in units of the outcome.
    variance
        Its variance.
    unit
        Units of the outcome per unit of size.

    Returns
    -------
    The rounded mean and variance.

    >>> on_error_grid(0.5, 0.0, 1.0), on_error_grid(0.517, 0.01, 1.0)
    ((0.5, 0.0), (0.515625, 0.009290680585958758))
    """
    if not variance > 0:
        return mean, variance
    relative = math.log2(variance / (unit * unit))
    step = unit * max(2.0 ** math.floor(relative / 2.0 - math.log2(ERROR_STEPS)), LEAST_STEP)
    coarse = 2.0 ** (round(VARIANCE_STEPS * relative) / VARIANCE_STEPS)
    return round(mean / step) * step, unit * unit * coarse


class SegmentSums:
    """Home trades of each segment, as the groups of a module add up: exact, in any order."""

    def __init__(self) -> None:
        self._parts: dict[SegmentKey, Columns[Hashable]] = {}
        self._of: dict[Hashable, tuple[SegmentSum, ...]] = {}
        self._totals: dict[SegmentKey, tuple[int, float, float]] = {}

    def put(self, group: Hashable, segments: tuple[SegmentSum, ...]) -> None:
        """Set the sums of a group in each segment.

        Parameters
        ----------
        group
            The group.
        segments
            Its sums by segment; () for a group that is gone.
        """
        now = {(part.bucket, part.timeframe): part for part in segments}
        for part in self._of.pop(group, ()):
            key = (part.bucket, part.timeframe)
            self._totals.pop(key, None)
            if key not in now:
                self._parts[key].drop(group)
                if not len(self._parts[key]):
                    del self._parts[key]
        for key, part in now.items():
            if key not in self._parts:
                self._parts[key] = Columns(3)
            self._parts[key].put(group, (part.n, part.sum, part.sum_sq))
            self._totals.pop(key, None)
        if segments:
            self._of[group] = segments

    def totals(self) -> dict[SegmentKey, tuple[int, float, float]]:
        """The sums over all groups.

        Returns
        -------
        By segment, in order: trades, sum of outcomes and sum of their squares, each rounded once.
        """
        for key in self._parts.keys() - self._totals.keys():
            parts = self._parts[key]
            self._totals[key] = round(parts.total(0)), parts.total(1), parts.total(2)
        return {key: self._totals[key] for key in sorted(self._totals, key=segment_order)}


def segment_baselines(
    module: str, summaries: Iterable[GroupSummary], default: float, version: int
) -> SegmentBaselines:
    """Baselines of the segments (bucket × timeframe), each level shrunk to the one above.

    segment → bucket and timeframe (their deviations added) → module → the constant `default`.  A
    level with J parts, of within-variance σ², keeps n/(n + σ²/τ²) of a part's deviation.  τ² is the
    parts' variance beyond chance by the method of moments, and 0 if they differ no more than by
    chance.

    Parameters
    ----------
    module
        The module's name.
    summaries
        One for each group of the module, in any order.
    default
        The mean without home trades, in units of the outcome.
    version
        Version of the records.

    Returns
    -------
    Records, means and variances by segment, in units of the outcome (squared for variances).

    References
    ----------
    Cochran 1954, "The combination of estimates from different experiments", Biometrics 10.

    >>> from schemas.lessons import SegmentSum
    >>> group = GroupSummary(
    ...     learning="integrated", lesson_id="g", module="pm", pattern_key="pm.a",
    ...     action_category="add", n=200, n_slices=1, version=1, as_of="2024-01-01T00:00:00Z",
    ...     segments=(
    ...         SegmentSum("micro", "1h", 90, 90.0, 180.0),
    ...         SegmentSum("mega", "1h", 100, 0.0, 100.0),
    ...     ),
    ... )
    >>> found = segment_baselines("pm", [group], 0.0, 1)
    >>> {key: round(mean, 3) for key, mean in found.means.items()}
    {('mega', '1h'): 0.009, ('micro', '1h'): 0.988}
    """
    sums, as_of = SegmentSums(), ""
    for summary in summaries:
        sums.put(summary.lesson_id, summary.segments)
        as_of = max(as_of, summary.as_of)
    return baselines_of(module, sums.totals(), as_of, default, version)


def baselines_of(
    module: str,
    sums: Mapping[SegmentKey, tuple[int, float, float]],
    as_of: str,
    default: float,
    version: int,
) -> SegmentBaselines:
    """`segment_baselines` from the `totals` of `SegmentSums`.

    Parameters
    ----------
    module
        The module.
    sums
        Trades, sum of outcomes and sum of their squares by segment.
    as_of
        Newest exit of the module.
    default
        Baseline of a module without trades.
    version
        The version that the records are marked with.

    Returns
    -------
    The baselines.
    """
    keys = list(sums)
    n = np.array([sums[k][0] for k in keys], np.float64)
    total = np.array([sums[k][1] for k in keys])
    squares = np.array([sums[k][2] for k in keys])
    if not n.sum():
        return SegmentBaselines([], {}, {}, (default, 0.0))
    raw = total / n
    trades = float(n.sum())
    within = max(float(np.sum(squares - total * raw)), 0.0) / max(trades - len(keys), 1.0)
    mean = float(total.sum()) / trades
    centre = (trades * mean + PRIOR_TRADES * default) / (trades + PRIOR_TRADES)
    expected = np.full(len(keys), centre)
    # The pull of the constant on the mean is not known more precisely: a module's own level is not
    # an edge of its groups.
    uncertain = within / (trades + PRIOR_TRADES) + (centre - mean) ** 2
    variance = np.full(len(keys), uncertain)
    levels: list[tuple[list[str | None], list[Baseline]]] = [
        ([k[0] for k in keys], []),
        ([k[1] for k in keys], []),
    ]
    for axis, (names, records) in enumerate(levels):
        distinct = sorted(set(names), key=lambda name: (name is not None, name or ""))
        place = np.array([distinct.index(name) for name in names])
        n_part = np.bincount(place, n).astype(np.float64)
        deviation = np.bincount(place, n * (raw - expected)) / n_part
        kept, var = _shrunk(n_part, deviation, within)
        for number, name in enumerate(distinct):
            if name is not None and len(distinct) > 1:
                inside = [i for i in range(len(keys)) if place[i] == number]
                key: SegmentKey = (name, None) if axis == 0 else (None, name)
                records.append(
                    _record(
                        module,
                        key,
                        n[inside],
                        total[inside],
                        squares[inside],
                        centre + float(kept[number]),
                        as_of,
                        version,
                    )
                )
        expected = expected + kept[place]
        variance = variance + var[place]
    kept, var = _shrunk(n, raw - expected, within)
    expected, variance = expected + kept, variance + var
    records = [_record(module, (None, None), n, total, squares, centre, as_of, version)]
    for _, published in levels:
        records += published
    if len(keys) > 1:
        for i, segment in enumerate(keys):
            if segment[0] is not None and segment[1] is not None:
                own = slice(i, i + 1)
                records.append(
                    _record(
                        module,
                        segment,
                        n[own],
                        total[own],
                        squares[own],
                        float(expected[i]),
                        as_of,
                        version,
                    )
                )
    spread = float((n * (expected - centre) ** 2).sum()) / trades
    return SegmentBaselines(
        records,
        dict(zip(keys, expected.tolist(), strict=True)),
        dict(zip(keys, variance.tolist(), strict=True)),
        (centre, uncertain + spread),
    )


def _shrunk(
    n: NDArray[np.float64], deviation: NDArray[np.float64], within: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Deviations (J,) of parts of `n` trades, shrunk to 0 by their evidence, and the variance of
    what is kept."""
    total = float(n.sum())
    spread = total - float((n * n).sum()) / total
    if len(n) < 2 or spread <= 0:
        return np.zeros(len(n)), np.zeros(len(n))
    common = float((n * deviation).sum()) / total
    between = max(
        (float((n * (deviation - common) ** 2).sum()) - (len(n) - 1) * within) / spread, 0.0
    )
    share = n * between / (n * between + within) if between else np.zeros(len(n))
    return share * deviation, share * within / n


def _record(
    module: str,
    key: SegmentKey,
    n: NDArray[np.float64],
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
    mean: float,
    as_of: str,
    version: int,
) -> Baseline:
    count, whole = int(n.sum()), float(total.sum())
    return Baseline(
        learning="integrated",
        baseline_id=baseline_id(module, *key),
        module=module,
        bucket=key[0],
        timeframe=key[1],
        n=count,
        mean=mean,
        variance=(
            max(0.0, float(squares.sum()) - whole * whole / count) / (count - 1)
            if count > 1
            else 0.0
        ),
        as_of=as_of,
        version=version,
    )
