"""Selection of marginal effects: which few slices of a group explain its outcomes, and how certain
that is.

May touch: nothing but its arguments.

Orthogonal forward selection: of all slices the one whose indicator, made orthogonal to those
already chosen, explains the residuals best enters; then all chosen are swapped for something better
while that helps; and again, until nothing is left that the search could not have found in noise.
The expected uplift of a context is the *sum* of the effects of the chosen slices that hold it, so
that parents of a slice with an edge stay neutral and clones add nothing.

Certainty: the statistic of a slice is a sum of residuals, weighted by its orthogonal indicator.
Three things make it less certain than under a normal distribution with one variance, and each is
measured on the residuals themselves:

* the variance differs between slices (`_heteroscedasticity`): the robust variance counts as far as
  it differs more than by chance;
* outcomes near in time are alike (`autocorrelation.py`): the variance is multiplied by what the
  autocorrelation, pooled over all pairs by their distance in time, makes of this slice's pairs;
* outcomes are skewed and have heavy tails (`saddlepoint.py`): tail probabilities are those of sums
  drawn from the residuals' own distribution (Daniels 1954; Barndorff-Nielsen 1986), far more exact
  at 10⁻⁶ than a normal one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import log_ndtr

from app.learning.integrated.autocorrelation import LagPairs
from app.learning.integrated.candidates import Candidates
from app.learning.integrated.error_rate import combined, entry_log_p, log_price, z_of_log_p
from app.learning.integrated.saddlepoint import saddlepoint_z, student_z

Floats = NDArray[np.float64]

MAX_STEPS = 16
"""Maximum number of effects of a group."""
EXACT = 64
"""Number of the most promising candidates, for which the exact statistics are computed."""
WINDOW_HALF_LIFE = 0.15
"""Half-life of the weights that look for recent and for early edges, in parts of the window's span.
"""
GENERAL = 0.3
"""A more general slice, one that holds all the trades of the best and has fewer dimensions, is
preferred if its z is within this of the best: among many refinements of a slice with an edge, some
look better by chance alone."""
GENERAL_REGIME = 1.5
"""The same, where the general slice leaves out a dimension of the regimes' signature: how an edge
differs between regimes is better learned from all edges together (`regime_weights.py`) than by
restricting each to the regimes where it happened to do best."""
CHUNK = 8
SLACK = 0.7
"""Exact statistics are computed in chunks, until the rough z of the next candidate plus this is
below the best exact one."""
DOUBT = 0.7
"""Exact statistics are also enough once neither the best of them nor the rough z of the next
candidate plus `SLACK` is within this of what passes: nothing is left that could."""
NO_HETEROSCEDASTICITY = (0.0, 2.0)
"""Without any slice to estimate it from: equal variances, kurtosis 3."""
NORM_PART = 3.0
"""A candidate is usable if the squared norm of its indicator, around its mean, is at least this
part of `n_min`: a slice of nearly all trades tells little about the rest."""
LEAST_LEFT = 0.2
"""A candidate is usable if the chosen slices leave this part of the least squared norm of its
indicator."""
RECENT_LESS, EARLY_LESS = 0.25, 0.55
"""Reduction of the rough z of the recent and of the early test, for their smaller shares of the
error rate: Δz ≈ Δ ln p / z at the usual bars."""
PRICED_Z = 3.0
"""Least |z| by which the price of a depth is turned into a reduction of z, in the same way."""
SURE_Z = 2.0
"""|z| from which the rough z is corrected for skewness."""
MOST_BEND = 1.5
"""Maximum correction of a rough z for skewness: the expansion does not hold further out."""
TIE_DIGITS = 7
"""Decimals by which z-scores are compared: rounding errors do not decide between candidates."""
LEAST_EXCESS = 0.2
"""Smallest kurtosis − 1 of residuals; two-valued ones have 0."""
SWEEPS = 2
"""Times that every chosen slice is examined again."""


class Step(NamedTuple):
    """One chosen slice.

    Attributes
    ----------
    candidate
        Its place among the candidates.
    statistic
        |z| on entering, given those before it.
    log_p
        ln of its two-sided p-value.
    """

    candidate: int
    statistic: float
    log_p: float


class ChosenFit(NamedTuple):
    """Least squares of the outcomes on the level and the first k chosen slices.

    Attributes
    ----------
    coefficients
        Coefficients (k + 1,), the level first.
    covariance
        Their robust covariance (k + 1, k + 1).
    loadings
        The same projection applied to the indicators of S segments (k + 1, S).
    """

    coefficients: Floats
    covariance: Floats
    loadings: Floats


class ChosenPath(NamedTuple):
    """The chosen slices, in order.

    Attributes
    ----------
    steps
        The slices.
    fits
        `fits[k]` is the fit of the first k.
    marginal
        Statistic of each candidate before anything is chosen (m,).
    conditional
        Statistic of each candidate given all chosen slices (m,).
    residuals
        Residuals of the last fit (T,).
    noise_sd
        Standard deviation of one trade's noise of each chosen slice (K,), inflated for
        autocorrelation.
    """

    steps: list[Step]
    fits: list[ChosenFit]
    marginal: Floats
    conditional: Floats
    residuals: Floats
    noise_sd: Floats


class Selection:
    """The search for the effects of one group.

    Parameters
    ----------
    outcome
        Clipped outcomes (T,).
    hours
        Exits (T,) in hours, ascending.
    members
        Sparse incidence (m, T) of the candidates.
    n_dims
        Dimensions of each candidate (m,).
    order
        Ranks (m,) that break ties.
    segments
        Indicators (T, S) of the segments.
    n_min
        Trades that a slice needs to be judged.
    of_regime
        Whether a candidate has a dimension of the regimes' signature (m,); None: none has.
    """

    def __init__(
        self,
        outcome: Floats,
        hours: Floats,
        members: csr_array,
        n_dims: NDArray[np.int64],
        order: NDArray[np.int64],
        segments: Floats,
        n_min: int,
        of_regime: NDArray[np.bool_] | None = None,
    ) -> None:
        self._y = outcome
        self._members = members
        self._n = np.diff(members.indptr).astype(np.float64)
        self._n_dims = n_dims
        self._order = order
        self._segments = segments
        self._least = n_min / NORM_PART
        self._lags = LagPairs(hours)
        span = max(float(hours[-1] - hours[0]), 1e-9)
        fading = WINDOW_HALF_LIFE * span
        self._windows = np.column_stack(
            (np.exp2((hours - hours[-1]) / fading), np.exp2((hours[0] - hours) / fading))
        )
        self._windows2 = members @ self._windows**2
        self._windows3 = members @ self._windows**3
        self._hetero: tuple[float, float] | None = None
        self._of_regime = np.zeros(len(n_dims), np.bool_) if of_regime is None else of_regime
        self._log_price = log_price(n_dims, self._of_regime)

    def path(self, alpha: float) -> ChosenPath:
        """Choose slices until none is left that would be found at the error rate.

        Parameters
        ----------
        alpha
            Error rate over this group's candidates alone.

        Returns
        -------
        The chosen slices from the most to the least certain, with their fits.

        References
        ----------
        Chen, Billings & Luo 1989, "Orthogonal least squares methods", Int. J. Control 50.
        """
        m = self._members.shape[0]
        bar = entry_log_p(alpha, m)
        chosen: list[int] = []
        basis = self._basis(chosen)
        scores = marginal = self._screen(basis)
        # Each round adds one; swaps may take others away, so rounds are counted, too.
        for _ in range(2 * MAX_STEPS if m else 0):
            best = self._best(basis, scores, set(chosen), bar) if len(chosen) < MAX_STEPS else None
            if best is None:
                break
            chosen.append(best.candidate)
            chosen = self._swapped(chosen, bar)
            basis = self._basis(chosen)
            scores = self._screen(basis)
        steps = self._ordered(chosen)
        kept = [step.candidate for step in steps]
        fits = [self._fit(kept[:k]) for k in range(len(kept) + 1)]
        basis = self._basis(kept)
        conditional = self._screen(basis) if len(kept) else marginal
        residuals = self._residuals(basis)
        return ChosenPath(
            steps, fits, marginal, conditional, residuals, self._noise(kept, residuals)
        )

    # -- the model so far

    def _basis(self, chosen: list[int]) -> Floats:
        """Orthonormal basis (T, k + 1) of the level and the chosen indicators."""
        t = len(self._y)
        columns = np.ones((t, 1 + len(chosen)))
        for i, j in enumerate(chosen, 1):
            columns[:, i] = self._dense([j])[:, 0]
        q, _ = np.linalg.qr(columns)
        return np.asarray(q)

    def _dense(self, candidates: list[int]) -> Floats:
        """Indicators (T, K)."""
        dense = np.zeros((len(self._y), len(candidates)))
        pointers, places = self._members.indptr, self._members.indices
        for k, j in enumerate(candidates):
            dense[places[pointers[j] : pointers[j + 1]], k] = 1.0
        return dense

    def _residuals(self, basis: Floats) -> Floats:
        return np.asarray(self._y - basis @ (basis.T @ self._y))

    # -- all candidates, roughly

    def _screen(self, basis: Floats) -> Floats:
        """Signed statistic (m,) of every candidate given `basis`: the greatest of plain, recent and
        early, with moderated variance."""
        t = len(self._y)
        if not self._members.shape[0]:
            return np.zeros(0)
        r = self._residuals(basis)
        sigma2 = max(float(r @ r) / max(t - basis.shape[1], 1), 1e-300)
        w = self._windows
        windowed = w * r[:, None] - w * (r @ w / w.sum(axis=0))
        sums = self._members @ np.column_stack((r, windowed, r * r, basis[:, 1:]))
        n = self._n
        # The first basis vector is the constant (up to its sign).
        norm2 = n - n * n / t - np.einsum("ij,ij->i", sums[:, 4:], sums[:, 4:])
        usable = norm2 >= self._least
        norm2 = np.where(usable, norm2, 1.0)
        inside = np.maximum(sums[:, 3] / n - (sums[:, 0] / n) ** 2, 0.0) * n / np.maximum(n - 1, 1)
        # as it is before anything is chosen: certainty does not depend on the order of the search
        if self._hetero is None:
            self._hetero = _heteroscedasticity(r, inside / sigma2, n)
        own = self._weight(n)
        variance = own * inside + (1.0 - own) * sigma2
        plain = sums[:, 0] / np.sqrt(variance * norm2 + 1e-300)
        # The first term of what skewness does to a tail (Cornish & Fisher 1938).
        skewness = float((r * r * r).mean()) / max(float((r * r).mean()), 1e-200) ** 1.5
        skewed = skewness * (1.0 - 2.0 * n / t)
        plain = _unbent(plain, skewed / np.sqrt(norm2))
        shrink = norm2 / n
        squares = shrink[:, None] * self._windows2 + 1e-300
        windowed = _unbent(
            sums[:, 1:3] / np.sqrt(variance[:, None] * squares + 1e-300),
            skewed[:, None] * shrink[:, None] * self._windows3 / squares**1.5,
        )
        found = plain
        for column, less in enumerate((RECENT_LESS, EARLY_LESS)):
            z = windowed[:, column]
            found = np.where(np.abs(z) - less > np.abs(found), z - np.sign(z) * less, found)
        found = np.sign(found) * np.maximum(
            np.abs(found) - self._log_price / np.maximum(np.abs(found), PRICED_Z), 0.0
        )
        return np.where(usable, found, 0.0)

    def _weight(self, n: Floats) -> Floats:
        """How far a slice's own variance counts: 0 where slices differ no more than by chance."""
        h2, excess = self._hetero or NO_HETEROSCEDASTICITY
        return np.asarray(h2 / (h2 + excess / n + 1e-300))

    # -- the promising ones, exactly

    def _best(self, basis: Floats, scores: Floats, without: set[int], bar: float) -> Step | None:
        """The candidate with the greatest statistic, or a more general one that is nearly as good;
        None if its p-value is above the bar (ln p).

        The rough scores give the order, and show when no better candidate can follow, or none that
        would pass.
        """
        candidates = self._promising(scores, without)
        rough = np.abs(scores[candidates])
        z = np.zeros(len(candidates))
        r = self._residuals(basis)
        rho = self._rho(r)
        done, needed = 0, z_of_log_p(bar) - DOUBT
        while done < len(candidates) and rough[done] + SLACK > float(z.max()) - GENERAL_REGIME:
            if done and rough[done] + SLACK < needed and float(z.max()) < needed:
                return None
            chunk = slice(done, done + CHUNK)
            z[chunk] = np.abs(self._exact(basis, r, rho, candidates[chunk]))
            done += CHUNK
        if not z.any():
            return None
        place = self._first(candidates, z)
        trades = self._dense(candidates)
        wider = (trades[:, place] @ trades >= self._n[candidates[place]]) & (
            self._n_dims[candidates] < self._n_dims[candidates[place]]
        )
        more = self._of_regime[candidates[place]] & ~self._of_regime[candidates]
        wider &= z >= z[place] - np.where(more, GENERAL_REGIME, GENERAL)
        if wider.any():
            place = self._first(candidates, np.where(wider, z, -1.0))
        twin = self._smallest_twin(basis, candidates, trades, place)
        if twin != place:
            place = twin
            z[place] = float(np.abs(self._exact(basis, r, rho, [candidates[place]])[0]))
        value = float(z[place])
        log_p = float(log_ndtr(-value) + np.log(2.0))
        return None if log_p > bar else Step(candidates[place], value, log_p)

    def _smallest_twin(
        self, basis: Floats, candidates: list[int], trades: Floats, place: int
    ) -> int:
        """The index of the smallest of the candidates that are equivalent to this one given
        `basis`, such as a slice and its complement.

        Their statistics differ only by their estimated variances, which must not decide whose edge
        it is.
        """
        known = basis.T @ trades
        norm2 = self._n[candidates] - np.einsum("ij,ij->j", known, known)
        products = trades[:, place] @ trades - known[:, place] @ known
        same = (
            np.abs(products) >= (1.0 - 1e-9) * np.sqrt(np.maximum(norm2, 0.0) * norm2[place])
        ) & (norm2 > 0.5 * norm2[place])
        twins = [place, *np.flatnonzero(same).tolist()]
        return min(
            twins,
            key=lambda k: (
                self._n[candidates[k]],
                int(self._n_dims[candidates[k]]),
                int(self._order[candidates[k]]),
            ),
        )

    def _first(self, candidates: list[int], z: Floats) -> int:
        """Place of the greatest z.  Values that differ only by rounding (a slice and its
        complement) tie: the smaller, then the more general slice wins."""
        keys = [
            (-round(v, TIE_DIGITS), self._n[j], int(self._n_dims[j]), int(self._order[j]), i)
            for i, (j, v) in enumerate(zip(candidates, z.tolist(), strict=True))
        ]
        return min(keys)[-1]

    def _promising(self, scores: Floats, without: set[int]) -> list[int]:
        """At most EXACT candidates, the best first."""
        size = np.abs(scores)
        size[list(without)] = 0.0
        k = min(EXACT, len(size))
        bar = np.partition(size, len(size) - k)[len(size) - k]
        found = np.flatnonzero((size >= bar) & (size > 1.0))
        order: list[int] = found[
            np.lexsort((self._order[found], -np.round(size[found], TIE_DIGITS)))
        ].tolist()
        return order

    def _exact(self, basis: Floats, r: Floats, rho: Floats, candidates: list[int]) -> Floats:
        """Signed z (K,) of candidates given `basis`, its residuals and their autocorrelation, each
        as certain as its two-sided p-value."""
        t, k = len(self._y), len(candidates)
        kinds = 1 + self._windows.shape[1]
        x = np.empty((t, kinds * k))
        plain = x[:, :k]
        plain[:] = self._dense(candidates)
        n = plain.sum(axis=0)
        plain -= basis @ (basis.T @ plain)
        counts = [n]
        for kind, w in enumerate(self._windows.T, 1):
            windowed = x[:, kind * k : (kind + 1) * k]
            np.multiply(plain, w[:, None], out=windowed)
            windowed -= basis @ (basis.T @ windowed)
            counts.append(n * float(w.sum()) / t)
        z = self._z(x, r, rho, np.concatenate(counts), t)
        return combined(z.reshape(kinds, k), self._log_price[candidates])

    def _z(self, x: Floats, r: Floats, rho: Floats, n: Floats, t: int) -> Floats:
        norm2 = np.einsum("ij,ij->j", x, x)
        usable = norm2 > self._least * LEAST_LEFT
        norm2 = np.where(usable, norm2, 1.0)
        sums = r @ x
        b = sums / norm2
        e2 = (r[:, None] - x * b) ** 2
        sigma2 = float(r @ r) / t
        own = np.einsum("ij,ij,ij->j", x, x, e2) * (n / np.maximum(n - 1.0, 1.0))
        weight = self._weight(np.maximum(n, 1.0))
        pooled = norm2 * (sigma2 - np.minimum(sums * b / t, 0.5 * sigma2))
        variance = weight * own + (1.0 - weight) * pooled
        if rho.any():
            inflation = 1.0 + 2.0 * self._lags.weighted(rho, x) / norm2
            variance = variance * np.maximum(inflation, 1.0)
        z = sums / np.sqrt(variance + 1e-300)
        spread = np.sqrt(max(sigma2, 1e-300))
        x2 = x * x
        third, fourth = np.einsum("ij,ij->j", x2, x), np.einsum("ij,ij->j", x2, x2)
        powers = np.stack((norm2, np.where(usable, third, 0.0), np.where(usable, fourth, 1.0)))
        z = saddlepoint_z(z, powers, r / spread)
        dof = (
            2.0
            * n
            / (np.maximum(weight, 1e-9) ** 2 * (self._hetero or NO_HETEROSCEDASTICITY)[1] + 1e-12)
        )
        return np.where(usable, student_z(z, dof), 0.0)

    def _rho(self, r: Floats) -> Floats:
        return self._lags.autocorrelation(r)

    # -- refinement

    def _swapped(self, chosen: list[int], bar: float) -> list[int]:
        """Each chosen slice given all others: dropped where it is no longer needed, swapped for a
        better one where there is one."""
        if len(chosen) < 2:
            return chosen
        for _ in range(SWEEPS):
            before = list(chosen)
            for j in before[:-1]:  # the last was added given all others
                others = [c for c in chosen if c != j]
                basis = self._basis(others)
                best = self._best(basis, self._screen(basis), set(others), bar)
                if best is None:
                    chosen = others
                elif best.candidate != j:
                    chosen = [best.candidate if c == j else c for c in chosen]
            if chosen == before:
                break
        return chosen

    def _ordered(self, chosen: list[int]) -> list[Step]:
        """The chosen slices from the most to the least certain, by removing the least certain of
        those left, one after the other.

        A step's statistic is that given the ones before it, or given all others if that is smaller,
        and never more than the one before it.
        """
        if not chosen:
            return []
        left = list(chosen)
        given_all = {j: self._given(left, j) for j in left}
        reverse: list[tuple[int, float]] = []
        while left:
            values = (
                {j: self._given(left, j) for j in left} if len(left) < len(chosen) else given_all
            )
            j = min(left, key=lambda c: (round(values[c], TIE_DIGITS), -self._order[c]))
            reverse.append((j, min(values[j], given_all[j])))
            left.remove(j)
        steps: list[Step] = []
        least = np.inf
        for j, value in reversed(reverse):
            least = min(least, value)
            steps.append(Step(j, least, float(log_ndtr(-least) + np.log(2.0))))
        return steps

    def _given(self, model: list[int], j: int) -> float:
        basis = self._basis([c for c in model if c != j])
        r = self._residuals(basis)
        return float(np.abs(self._exact(basis, r, self._rho(r), [j])[0]))

    # -- estimates

    def _fit(self, chosen: list[int]) -> ChosenFit:
        t = len(self._y)
        x = np.column_stack((np.ones(t), self._dense(chosen)))
        gram = np.linalg.inv(x.T @ x)
        beta = gram @ (x.T @ self._y)
        r = self._y - x @ beta
        h = x @ gram  # influence of each trade on each coefficient
        pooled = gram * (float(r @ r) / max(t - x.shape[1], 1))
        n = np.concatenate(([t], self._n[chosen])) if chosen else np.array([float(t)])
        own = (h * (r * r)[:, None]).T @ h
        w = np.sqrt(self._weight(n))
        weight = w[:, None] * w[None, :]
        covariance = weight * own + (1.0 - weight) * pooled
        rho = self._rho(r)
        if rho.any():
            norm2 = np.einsum("ij,ij->j", h, h)
            inflation = np.sqrt(np.maximum(1.0, 1.0 + 2.0 * self._lags.weighted(rho, h) / norm2))
            covariance = covariance * inflation[:, None] * inflation[None, :]
        return ChosenFit(beta, covariance, gram @ (x.T @ self._segments))

    def _noise(self, chosen: list[int], r: Floats) -> Floats:
        """Standard deviation per trade of each chosen slice (K,), such that sd²/n is the variance
        of its mean."""
        if not chosen:
            return np.zeros(0)
        x = self._dense(chosen)
        n = x.sum(axis=0)
        inside = (x * (r * r)[:, None]).sum(axis=0) / np.maximum(n - 1, 1)
        w = self._weight(n)
        variance = w * inside + (1 - w) * float(r @ r) / max(len(r) - 1 - len(chosen), 1)
        rho = self._rho(r)
        if rho.any():
            variance = variance * np.maximum(1.0, 1.0 + 2.0 * self._lags.weighted(rho, x) / n)
        return np.asarray(np.sqrt(variance))


def choose(
    found: Candidates,
    outcome: Floats,
    hours: Floats,
    segments: Floats,
    n_min: int,
    of_regime: NDArray[np.bool_],
    alpha: float,
) -> ChosenPath:
    """The path among the candidates that are `judged`; the statistics of the others are 0.

    Parameters
    ----------
    found
        The candidates of the group.
    outcome
        Clipped outcomes (T,).
    hours
        Exits (T,) in hours, ascending.
    segments
        Indicators (T, S) of the segments.
    n_min
        Trades that a slice needs to be judged.
    of_regime
        Whether a candidate has a dimension of the regimes' signature (m,).
    alpha
        Error rate over this group's candidates alone.

    Returns
    -------
    The path; its places are those of all candidates, its coefficients in units of the outcome.
    """
    judged = found.judged
    search = Selection(
        outcome,
        hours,
        found.members_of(judged),
        found.n_dims[judged],
        found.order[judged],
        segments,
        n_min,
        of_regime[judged],
    )
    path = search.path(alpha)
    marginal, conditional = np.zeros(len(found.n_dims)), np.zeros(len(found.n_dims))
    marginal[judged], conditional[judged] = path.marginal, path.conditional
    steps = [step._replace(candidate=int(judged[step.candidate])) for step in path.steps]
    return path._replace(steps=steps, marginal=marginal, conditional=conditional)


def _unbent(z: Floats, skewness: Floats) -> Floats:
    """z-scores beyond `SURE_Z` (any shape), without what the skewness of their contrasts adds."""
    bend = np.clip(skewness * (z * z - 1.0) / 6.0, -MOST_BEND, MOST_BEND)
    return np.where(np.abs(z) > SURE_Z, z - bend, z)


def _heteroscedasticity(r: Floats, ratio: Floats, n: Floats) -> tuple[float, float]:
    """Squared coefficient of variation of the slices' variances beyond chance, and kurtosis − 1
    (the part due to chance, times n).

    `ratio` (m,) is a slice's variance divided by the pooled one.  The variance of a sample variance
    of n is (kurtosis − 1)/n (large n).
    """
    t = len(r)
    r2 = r * r
    mean = float(r2.mean())
    excess = max(float((r2 * r2).mean()) / max(mean * mean, 1e-300) - 1.0, LEAST_EXCESS)
    if not len(n):
        return 0.0, excess
    by_chance = excess * np.maximum(1.0 / n - 1.0 / t, 0.0)
    return max(float(np.mean((ratio - 1.0) ** 2 - by_chance)), 0.0), excess
