"""Baselines: the mean outcome of a module's trades, regardless of their pattern.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.segments import segment_order
from app.learning.common.window import SegmentKey
from edgeloop.identity import baseline_id
from schemas.lessons import Baseline, GroupSummary


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
"""Trades' worth of the configured constant in a module's own mean."""


class SegmentBaselines(NamedTuple):
    """What `integrated` expects of a trade by where it is made: `records` to publish, and per
    segment the mean and its variance; `elsewhere` are both for a segment without home trades."""

    records: list[Baseline]
    means: dict[SegmentKey, float]
    variances: dict[SegmentKey, float]
    elsewhere: tuple[float, float]


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
    groups = sorted(summaries, key=lambda s: s.lesson_id)
    sums: dict[SegmentKey, list[tuple[int, float, float]]] = {}
    for group in groups:
        for part in group.segments:
            sums.setdefault((part.bucket, part.timeframe), []).append(
                (part.n, part.sum, part.sum_sq)
            )
    keys = sorted(sums, key=segment_order)
    n = np.array([sum(p[0] for p in sums[k]) for k in keys], np.float64)
    total = np.array([math.fsum(p[1] for p in sums[k]) for k in keys])
    squares = np.array([math.fsum(p[2] for p in sums[k]) for k in keys])
    if not n.sum():
        return SegmentBaselines([], {}, {}, (default, 0.0))
    as_of = max(group.as_of for group in groups)
    raw = total / n
    trades = float(n.sum())
    within = max(float(np.sum(squares - total * raw)), 0.0) / max(trades - len(keys), 1.0)
    mean = float(total.sum()) / trades
    centre = (trades * mean + PRIOR_TRADES * default) / (trades + PRIOR_TRADES)
    expected = np.full(len(keys), centre)
    # How far the constant pulls the mean is not known any better than that: a module's own level is
    # no edge of its groups.
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
