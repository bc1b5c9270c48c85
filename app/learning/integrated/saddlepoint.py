"""Tail probabilities of sums of few, skewed or heavy-tailed residuals, as the z of a normal
distribution.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri_exp, stdtr

Floats = NDArray[np.float64]

SUPPORT = 160
"""Number of points that represent the residuals' distribution."""
NEWTON_STEPS = 12
"""Maximum number of steps of Newton's method to the saddlepoint."""
MOST_TILT = 40.0
"""Maximum tilt of the distribution, in 1 / standard deviations, so that exponentials stay
finite."""
CLOSE = 1e-12
"""Relative step at which the saddlepoint counts as found."""
SMALL = 1e-9
"""Keeps divisors above 0."""
LEAST_P = 1e-290
"""Smallest p-value, above the smallest double."""
MANY_DOF = 1e6
"""Degrees of freedom from which Student's t is normal."""


def saddlepoint_z(z: Floats, powers: Floats, residuals: Floats) -> Floats:
    """z-scores corrected for skewness and heavy tails of the residuals.

    A contrast is a weighted sum of residuals whose weights add up to 0.  Its tail is that of the
    contrast of two weights that has the same variance, skewness and kurtosis: exact for a slice
    against the rest, and close where recent trades weigh more.  The result is Barndorff-Nielsen's
    r* = r + ln(u/r)/r of the saddlepoint approximation to that tail.  A z within 1 stays as it is.

    Parameters
    ----------
    z
        Signed z-scores of K contrasts (K,).
    powers
        Sums of each contrast's squared, cubed and fourth powers of its weights (3, K).
    residuals
        Residuals of the group (T,), in any unit: they are standardised here.

    Returns
    -------
    Signed z (K,): as extreme under a normal distribution as `z` is under that of the residuals.

    References
    ----------
    Daniels 1954, "Saddlepoint approximations in statistics", Annals of Mathematical Statistics 25.
    Barndorff-Nielsen 1986, "Inference on full or partial parameters based on the standardized
    signed log likelihood ratio", Biometrika 73.
    """
    far = np.abs(z) >= 1.0
    if not far.all():
        corrected = z.copy()
        if far.any():
            corrected[far] = saddlepoint_z(z[far], powers[:, far], residuals)
        return corrected
    if not len(z):
        return z
    points, weights = _support(residuals)
    total, third, fourth = powers
    # n_in weights of a and n_out of −c: they cancel, and have these sums of powers
    difference = third / total
    product = np.maximum(fourth / total - difference**2, SMALL)
    a = 0.5 * (difference + np.sqrt(difference**2 + 4.0 * product))
    c = product / a
    n_in, n_out = total / (a * (a + c)), total / (c * (a + c))
    sign = np.sign(z)
    size = np.abs(z)
    aim = size * np.sqrt(total)

    def cumulants(s: Floats) -> tuple[Floats, Floats, Floats]:
        k0 = np.zeros_like(s)
        k1 = np.zeros_like(s)
        k2 = np.zeros_like(s)
        for count, scale in ((n_in, a), (n_out, -c)):
            tilt = (sign * s * scale)[:, None] * points
            top = tilt.max(axis=1, keepdims=True)
            e = weights * np.exp(tilt - top)
            mass = e.sum(axis=1)
            mean = (e @ points) / mass
            second = (e @ (points * points)) / mass
            k0 += count * (np.log(mass) + top[:, 0])
            k1 += count * scale * sign * mean
            k2 += count * scale * scale * (second - mean * mean)
        return k0, k1, k2

    s = size / np.sqrt(total)
    for _ in range(NEWTON_STEPS):
        _, k1, k2 = cumulants(s)
        move = (aim - k1) / np.maximum(k2, SMALL * total)
        most = 0.5 * s + 0.1  # a longer step may overshoot
        s = np.clip(s + np.clip(move, -most, most), 0.0, MOST_TILT)
        if np.all(np.abs(move) <= CLOSE * s):
            break
    k0, _, k2 = cumulants(s)
    rate = np.sqrt(np.maximum(2.0 * (s * aim - k0), 1e-12))
    u = s * np.sqrt(np.maximum(k2, 1e-12))
    corrected = rate + np.log(np.maximum(u, 1e-12) / rate) / rate
    return np.asarray(sign * np.maximum(corrected, 0.0))


def student_z(z: Floats, dof: Floats) -> Floats:
    """The z of the same p-value if the variance behind `z` is estimated.

    Parameters
    ----------
    z
        Signed z-scores (K,).
    dof
        Degrees of freedom of their variances (K,).

    Returns
    -------
    Signed z (K,), no larger than `z` in size.

    References
    ----------
    Student 1908, "The probable error of a mean", Biometrika 6.
    """
    size = np.abs(z)
    exact = np.log(np.maximum(stdtr(np.maximum(dof, 1.0), -size), LEAST_P))
    return np.asarray(
        np.sign(z)
        * np.where(
            dof > MANY_DOF, size, np.maximum(-ndtri_exp(np.minimum(exact, np.log(0.5))), 0.0)
        )
    )


def _support(residuals: Floats) -> tuple[Floats, Floats]:
    """A distribution of at most SUPPORT points like that of the standardised residuals: tails one
    by one, the middle in bins."""
    r = np.sort(residuals)
    n = len(r)
    if n <= SUPPORT:
        points, weights = r, np.full(n, 1.0 / n)
    else:
        tail = SUPPORT // 4
        edges = np.linspace(tail, n - tail, SUPPORT - 2 * tail + 1).astype(np.int64)
        starts = np.concatenate((np.arange(tail), edges[:-1], np.arange(n - tail, n)))
        counts = np.diff(np.append(starts, n))
        points = np.add.reduceat(r, starts) / counts
        weights = counts / n
    mean = float(weights @ points)
    points = points - mean
    sd = np.sqrt(float(weights @ (points * points)))
    return points / max(sd, 1e-150), weights
