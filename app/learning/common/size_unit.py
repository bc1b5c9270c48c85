"""Units of size: the usual spread of outcomes, by which an edge in any unit translates to a change
of size.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

import numpy as np
from numpy.typing import NDArray

from schemas.lessons import GroupSummary

SD_OF_MAD = 1.4826
"""Standard deviation of a normal distribution, in median absolute deviations."""


def robust_sd(outcome: NDArray[np.float64]) -> float:
    """The standard deviation of a normal distribution with the same median absolute deviation; the
    plain standard deviation if that is 0.

    Parameters
    ----------
    outcome
        Outcomes (T,), at least one.

    Returns
    -------
    The deviation, in units of the outcome.

    References
    ----------
    Rousseeuw & Croux 1993, "Alternatives to the median absolute deviation", JASA 88.

    >>> (
    ...     robust_sd(np.array([1.0, 2.0, 3.0, 4.0, 1000.0])),
    ...     robust_sd(np.array([2.0, 2.0, 2.0, 6.0])) == 3**0.5,
    ... )
    (1.4826, True)
    """
    mad = float(np.median(np.abs(outcome - np.median(outcome))))
    return SD_OF_MAD * mad if mad > 0 else float(outcome.std())


def unit_of_size(outcome: str, summaries: Iterable[GroupSummary]) -> float:
    """How many units of the outcome are one unit of size.

    Parameters
    ----------
    outcome
        `rr`, `roi` or `pnl`.
    summaries
        Summaries of all groups of the module, in any order.

    Returns
    -------
    1 for `rr`, else the module's robust standard deviation: the root mean square of the groups',
    weighted by trades, or 1 if no group has any spread.  It has three significant digits: the next
    trade of one group does not change the sizes of all.
    """
    held = list(map(spread_of_outcomes, summaries))
    return unit_of(outcome, fsum(squares for squares, _ in held), sum(n for _, n in held))


def spread_of_outcomes(summary: GroupSummary) -> tuple[float, int]:
    """The weight of a group in the unit of size.

    Parameters
    ----------
    summary
        The group's summary.

    Returns
    -------
    Its robust variance times its trades, and its trades; 0 and 0 without any spread.
    """
    sd = summary.robust_sd if summary.path is None else summary.path.robust_sd
    return (sd * sd * summary.n, summary.n) if sd is not None and sd > 0 else (0.0, 0)


def unit_of(outcome: str, squares: float, trades: float) -> float:
    """`unit_of_size` from the sums of `spread_of_outcomes`.

    Parameters
    ----------
    outcome
        `rr`, `roi` or `pnl`.
    squares
        Sum of the groups' robust variances times their trades.
    trades
        Sum of their trades.

    Returns
    -------
    Units of the outcome per unit of size.
    """
    if outcome == "rr" or not trades:
        return 1.0
    return float(f"{np.sqrt(squares / trades):.3g}")
