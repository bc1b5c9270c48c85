"""The bank of models of one effect between two refits, updated by each new trade.

May touch: nothing but its arguments.  `edge_models.py` has the models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.integrated.edge_models import (
    COARSE,
    COARSE_HALF_LIVES,
    WALK_HALF_LIFE,
    half_life_quantiles,
)
from app.learning.integrated.half_life import Models
from app.learning.integrated.observed_uplifts import CLIP_SD

Floats = NDArray[np.float64]


class Bank(NamedTuple):
    """The posterior of one effect's models after its last trade.

    The times of a change or an onset are merged into one cell for each half-life, with their mean
    and variance, so that any prediction is the same.

    Attributes
    ----------
    mean, variance, log_weight, half_life, stationary, width
        One value for each of C cells (C,); see `app.learning.integrated.edge_models.ModelCells`.
    last_hours
        Time of the last trade, in hours on the clock of the refit.
    span
        Hours from the first trade to the last at the refit.
    n
        Trades.
    noise_sd, pseudo_sd, slope
        See `app.learning.integrated.half_life.Models`.
    shown
        Whether a half-life is claimed.
    """

    mean: Floats
    variance: Floats
    log_weight: Floats
    half_life: Floats
    stationary: Floats
    width: NDArray[np.int64]
    last_hours: float
    span: float
    n: int
    noise_sd: float
    pseudo_sd: float
    slope: float
    shown: bool


def banks(models: Models | None, shown: Sequence[bool]) -> list[Bank]:
    """The bank of each effect, after its last trade.

    Parameters
    ----------
    models
        The models of K effects; None: no effects.
    shown
        Whether a half-life is claimed for each (K,).

    Returns
    -------
    One bank for each effect.
    """
    if models is None:
        return []
    curves, changes, cycles, filters = models.kinds
    weight = models.weight
    first, of_change = len(curves.half_life), len(changes.half_life)
    shape = (len(weight), len(COARSE_HALF_LIVES) + 1, -1)
    own = weight[:, first : first + of_change].reshape(shape)
    mean, variance = changes.mean.reshape(shape), changes.variance.reshape(shape)
    total = np.maximum(own.sum(axis=2), 1e-300)
    centre = (own * mean).sum(axis=2) / total
    spread = (own * (variance + (mean - centre[:, :, None]) ** 2)).sum(axis=2) / total
    rest = (weight[:, :first], total, weight[:, first + of_change :])
    log_weight = np.log(np.maximum(np.concatenate(rest, axis=1), 1e-300))

    def joined(name: str, gathered: Floats) -> Floats:
        parts = getattr(curves, name), gathered, getattr(cycles, name), getattr(filters, name)
        return np.concatenate(parts, axis=-1)

    means, variances = joined("mean", centre), joined("variance", np.maximum(spread, 1e-300))
    half_life = joined("half_life", changes.half_life.reshape(shape[1:])[:, 0])
    stationary = joined("stationary", np.zeros_like(centre))
    width = joined("width", np.full(shape[1], float(COARSE))).astype(np.int64)
    return [
        Bank(
            means[k],
            variances[k],
            log_weight[k],
            half_life,
            stationary[k],
            width,
            float(models.last[k]),
            float(models.span[k]),
            int(models.n[k]),
            float(models.noise_sd[k]),
            float(models.pseudo_sd[k]),
            float(models.slope[k]),
            claimed,
        )
        for k, claimed in enumerate(shown)
    ]


def later(bank: Bank, hours: float, uplift: Floats) -> Bank:
    """The bank after further trades, each cell by one step of its filter.

    A growth or a cycle continues as its cell predicts after the last trade.  There is no cell for a
    later change: it becomes visible at the next refit.

    Parameters
    ----------
    bank
        The bank of one effect.
    hours
        Time of the new trades, on the clock of the refit.
    uplift
        Their outcomes (n,) less the level without the effect, at least one.

    Returns
    -------
    The bank after them.

    References
    ----------
    Kalman 1960, "A new approach to linear filtering and prediction problems".
    """
    after = max(hours - bank.last_hours, 0.0) / bank.span
    fading = np.exp2(-after / bank.half_life)
    mean = bank.mean * fading
    variance = bank.stationary + (bank.variance - bank.stationary) * fading**2
    value = uplift
    if bank.slope:
        weight = _normal(bank.log_weight)
        beyond = uplift - float(weight @ mean)
        steep = 1.0 + (beyond / (CLIP_SD * bank.noise_sd)) ** 2
        value = uplift + beyond * (1.0 / (np.sqrt(steep) * bank.slope) - 1.0)
    n = len(uplift)
    noise2 = bank.pseudo_sd**2 / n
    total = variance + noise2
    innovation = float(value.mean()) - mean
    gain = variance / total
    log_weight = bank.log_weight - 0.5 * (innovation**2 / total + np.log(total))
    return bank._replace(
        mean=mean + gain * innovation,
        variance=variance * (1.0 - gain),
        log_weight=log_weight - float(log_weight.max()),
        last_hours=max(hours, bank.last_hours),
        n=bank.n + n,
    )


def edge_of(bank: Bank, now_hours: float) -> tuple[float, float, tuple[float, float, float] | None]:
    """The edge at a time after the last trade.

    Parameters
    ----------
    bank
        The bank of one effect.
    now_hours
        The time asked for, on the clock of the refit.

    Returns
    -------
    The edge and its standard deviation, in units of the outcome; and the half-life's median, 10 and
    90 % quantile in hours, None where none is claimed.
    """
    weight = _normal(bank.log_weight)
    after = max(now_hours - bank.last_hours, 0.0) / bank.span
    fading = np.exp2(-after / bank.half_life)
    mean = bank.mean * fading
    spread = bank.stationary + (bank.variance - bank.stationary) * fading**2
    at_last, forecast = float(weight @ bank.mean), float(weight @ mean)
    variance = float(weight @ (spread + (mean - forecast) ** 2))
    now = min(max(forecast, min(at_last, 0.0)), max(at_last, 0.0))
    now_sd = float(np.sqrt(variance + max(bank.noise_sd**2 - bank.pseudo_sd**2, 0.0) / bank.n))
    if not bank.shown:
        return now, now_sd, None
    reverting = bank.half_life < WALK_HALF_LIFE
    low, mid, high = (
        half_life_quantiles(
            weight[None, reverting], bank.half_life[reverting], bank.width[reverting]
        )[0]
        * bank.span
    ).tolist()
    return now, now_sd, (mid, low, high)


def _normal(log_weight: Floats) -> Floats:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())
