"""The lessons of one group, and its path, as records of what its search found.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from app.learning.common.config import LearningConfig
from app.learning.common.event_time import HOUR_US, text_from_micros
from app.learning.common.item_names import Names
from app.learning.common.rounding import shortened
from app.learning.integrated.effect_history import EffectTrades, decay_of, history
from app.learning.integrated.error_rate import entry_log_p, z_of_log_p
from app.learning.integrated.group_search import Search
from app.learning.integrated.half_life import EdgeState, Models, edges
from app.learning.integrated.regime_refinements import coarser
from app.learning.integrated.selection import MAX_STEPS
from app.learning.integrated.sketches import encode, sketches
from edgeloop.identity import slice_id
from edgeloop.overrides import Evidence
from edgeloop.scope import canonical_text
from schemas.lessons import Fit, HistoryCell, Lesson, LessonDecay, Marginal, Metrics, Path

MAX_ALIASES = 16
"""Aliases of a slice that its lesson lists."""
SIZE_DIGITS = 6
"""Decimals by which slices that were not chosen are ranked: rounding errors do not reorder them."""
MIN_SD = 1e-150
"""Standard deviation that is assumed if all outcomes are equal."""


class LessonRecords:
    """Makes the lessons of one group: `{}`, the chosen effects, and the strongest of the slices
    that were not chosen.

    Parameters
    ----------
    module, pattern_key, action_category
        The group.
    names
        Its window, or a copy of the names of its items.
    config
        The settings of the learning.
    """

    def __init__(
        self,
        module: str,
        pattern_key: str,
        action_category: str,
        names: Names,
        config: LearningConfig,
    ) -> None:
        self._module, self._pattern_key = module, pattern_key
        self._action_category = action_category
        self._names, self._config = names, config

    def path(self, search: Search) -> Path:
        """The chosen slices in order, and the fit of the first 0, 1, 2, … of them.

        Parameters
        ----------
        search
            What the group's search found.

        Returns
        -------
        The record that the group's summary carries.
        """
        steps = search.chosen.steps
        return Path(
            lesson_ids=tuple(self._name(search.found.items[step.candidate])[1] for step in steps),
            statistics=tuple(shortened(step.statistic) for step in steps),
            fits=tuple(
                Fit(
                    tuple(map(shortened, fit.coefficients.tolist())),
                    tuple(
                        map(shortened, np.sqrt(np.maximum(np.diag(fit.covariance), 0.0)).tolist())
                    ),
                    tuple(tuple(map(shortened, row)) for row in fit.loadings.tolist()),
                )
                for fit in search.chosen.fits
            ),
            hypotheses=len(search.found.judged),
            robust_sd=shortened(search.outcome_sd),
            segments=tuple(search.segments),
        )

    def lessons(self, search: Search, version: int) -> tuple[list[Lesson], Models | None]:
        """The lessons of a group.

        Parameters
        ----------
        search
            What its search found.
        version
            The version that they are marked with.

        Returns
        -------
        The lessons of `{}`, of the chosen slices in the order of the path, and of the strongest of
        the rest; and the models of the chosen effects, None where there are none.
        """
        chosen, found = search.chosen, search.found
        kept = [step.candidate for step in chosen.steps]
        level = chosen.fits[-1].coefficients[0]
        trades = [np.arange(len(search.snapshot.exit_us)), *(search.trades_of(j) for j in kept)]
        effects = [float(b) for b in chosen.fits[-1].coefficients]
        noise = [
            float(np.sqrt(chosen.residuals @ chosen.residuals / len(chosen.residuals))),
            *chosen.noise_sd.tolist(),
        ]
        scopes = [{}, *(self._scope(found.items[j]) for j in kept)]
        histories = [
            self._history(search, t, b + self._refined(scope, t, scopes, trades, effects), sd)
            for scope, t, b, sd in zip(scopes, trades, effects, noise, strict=True)
        ]
        states, models = self._edges_now(search, trades[1:], effects[1:], noise[1:])
        sketched, moments = self._sketches(search, trades), self._moments(search, trades)
        marginal = self._level(search, level, noise[0])
        shared = self._shared(search)
        lessons = [
            self._lesson(
                search,
                None,
                trades[0],
                moments[0],
                version,
                marginal,
                *histories[0],
                None,
                sketched[0],
            )
        ]
        sds = np.sqrt(np.maximum(np.diag(chosen.fits[-1].covariance), 0.0))
        for k, (step, state) in enumerate(zip(chosen.steps, states, strict=True), 1):
            marginal = Marginal(
                step=k - 1,
                statistic=shortened(step.statistic),
                conditional=shortened(step.statistic),
                p_value=shortened(float(np.exp(step.log_p))),
                hypotheses=len(found.judged),
                effect=shortened(effects[k]),
                effect_sd=shortened(float(sds[k])),
                now=shortened(state.now),
                now_sd=shortened(state.now_sd),
                noise_sd=shortened(noise[k]),
                reason="",
                aliases=self._aliases(search, step.candidate),
                **shared.get(step.candidate, {}),
            )
            lessons.append(
                self._lesson(
                    search,
                    step.candidate,
                    trades[k],
                    moments[k],
                    version,
                    marginal,
                    *histories[k],
                    state,
                    sketched[k],
                )
            )
        return lessons + self._rejected(search, set(kept), shared, version), models

    def _shared(self, search: Search) -> dict[int, dict[str, Any]]:
        """The shared effects, by candidate."""
        fit = search.shared
        return {
            int(place): {
                "shared": tuple(map(shortened, fit.effects[k].tolist())),
                "shared_precision": shortened(float(fit.precision[k])),
                "shared_prior": shortened(float(fit.prior[k])),
            }
            for k, place in enumerate(fit.slices.tolist())
        }

    def _rejected(
        self, search: Search, kept: set[int], shared: dict[int, dict[str, Any]], version: int
    ) -> list[Lesson]:
        """The lessons of the strongest slices that were not chosen, those with a shared effect
        first."""
        chosen, found = search.chosen, search.found
        size = np.round(np.abs(chosen.marginal), SIZE_DIGITS)
        of_shared = np.zeros(len(size), np.bool_)
        of_shared[[j for j in shared if j not in kept]] = True
        judged = np.zeros(len(size), np.bool_)
        judged[found.judged] = True
        size[list(kept)] = -1.0
        size[~judged & ~of_shared] = -1.0
        room = min(
            self._config.lessons_per_group - 1 - len(kept), int(np.count_nonzero(size >= 0.0))
        )
        if room <= 0:
            return []
        strongest = np.lexsort((found.order, -size, ~of_shared))[:room].tolist()
        trades = [search.trades_of(j) for j in strongest]
        sketched, moments = self._sketches(search, trades), self._moments(search, trades)
        reasons = self._reasons(search, strongest, judged)
        total = len(search.snapshot.exit_us)
        mean = float(search.snapshot.outcome.mean())
        outcome_sd = max(float(search.snapshot.outcome.std()), MIN_SD)
        lessons = []
        for row, j in enumerate(strongest):
            n = len(trades[row])
            beyond = max(1.0 - n / total, 1.0 / total)
            conditional = float(chosen.conditional[j])
            marginal = Marginal(
                step=None,
                statistic=shortened(float(chosen.marginal[j])),
                conditional=shortened(conditional),
                p_value=shortened(float(2.0 * ndtr(-abs(conditional)))),
                hypotheses=len(found.judged),
                effect=shortened((moments[row][0] - mean) / beyond),
                effect_sd=shortened(outcome_sd / np.sqrt(n * beyond)),
                now=0.0,
                now_sd=0.0,
                noise_sd=shortened(outcome_sd),
                reason=reasons[row],
                aliases=self._aliases(search, j),
                **shared.get(j, {}),
            )
            lessons.append(
                self._lesson(
                    search,
                    j,
                    trades[row],
                    moments[row],
                    version,
                    marginal,
                    (),
                    None,
                    None,
                    sketched[row],
                )
            )
        return lessons

    def _reasons(self, search: Search, rejected: list[int], judged: NDArray[np.bool_]) -> list[str]:
        """Why each of these slices was not chosen."""
        chosen, found = search.chosen, search.found
        steps = [step.candidate for step in chosen.steps]
        members = np.diff(found.members.indptr)
        total = len(search.snapshot.exit_us)
        bar = z_of_log_p(entry_log_p(self._config.alpha, len(found.judged)))
        if steps:
            overlap = (found.members[rejected] @ found.members[steps].T).toarray()
        reasons = []
        for row, j in enumerate(rejected):
            n, given = int(members[j]), float(chosen.conditional[j])
            if not judged[j]:
                reason = (
                    f"Its {n} trades are below the minimum of {self._config.n_min}; it counts only"
                    " as a shared effect."
                )
            elif steps and abs(chosen.marginal[j]) > bar >= abs(given):
                likeness = np.abs(overlap[row] - n * members[steps] / total) / np.sqrt(
                    n * members[steps]
                )
                likest = self._scope(found.items[steps[int(np.argmax(likeness))]])
                reason = (
                    f"Explained by {canonical_text(likest)}: given the chosen slices, its"
                    f" statistic is {given:+.2f} against a threshold of {bar:.2f}."
                )
            elif abs(given) > bar and len(steps) >= MAX_STEPS:
                reason = (
                    f"The group already has {MAX_STEPS} effects, the maximum, and its statistic of"
                    f" {given:+.2f} is weaker than theirs."
                )
            elif abs(given) > bar:
                reason = (
                    f"Passes the approximate threshold ({given:+.2f} against {bar:.2f}) but not the"
                    " exact test, which allows for heavy tails, autocorrelation and the number of"
                    " slices searched."
                )
            else:
                reason = (
                    f"Its statistic of {given:+.2f} could be chance: with {len(found.judged):,}"
                    f" slices searched, the threshold is {bar:.2f}."
                )
            reasons.append(reason)
        return reasons

    @staticmethod
    def _moments(search: Search, trades: list[NDArray[np.int64]]) -> list[tuple[float, float]]:
        """Mean and sample variance of the outcome in each slice."""
        n = np.array([len(t) for t in trades])
        starts = np.cumsum(n) - n
        outcome = search.snapshot.outcome[np.concatenate(trades)]
        mean = np.add.reduceat(outcome, starts) / n
        outcome -= np.repeat(mean, n)
        variance = np.add.reduceat(outcome * outcome, starts) / np.maximum(n - 1, 1)
        return list(zip(mean.tolist(), variance.tolist(), strict=True))

    @staticmethod
    def _sketches(search: Search, trades: list[NDArray[np.int64]]) -> list[str]:
        members = np.zeros((len(trades), len(search.hashes)), np.bool_)
        for row, places in enumerate(trades):
            members[row, places] = True
        return [encode(sketch) for sketch in sketches(search.hashes, members)]

    def _level(self, search: Search, level: float, noise_sd: float) -> Marginal:
        sd = float(np.sqrt(max(search.chosen.fits[-1].covariance[0, 0], 0.0)))
        return Marginal(
            step=None,
            statistic=0.0,
            conditional=0.0,
            p_value=1.0,
            hypotheses=len(search.found.judged),
            effect=shortened(level),
            effect_sd=shortened(sd),
            now=shortened(level),
            now_sd=shortened(sd),
            noise_sd=shortened(noise_sd),
            reason="The whole group is judged by its level against the baseline.",
            aliases=tuple(self._scope(row) for row in search.found.whole[:MAX_ALIASES]),
        )

    @staticmethod
    def _edges_now(
        search: Search, trades: list[NDArray[np.int64]], effects: list[float], noise: list[float]
    ) -> tuple[list[EdgeState], Models | None]:
        if not trades:
            return [], None
        hours = search.snapshot.exit_us / HOUR_US
        starts = np.concatenate(([0], np.cumsum([len(t) for t in trades])))
        uplift = np.concatenate(
            [search.chosen.residuals[t] + b for t, b in zip(trades, effects, strict=True)]
        )
        # Now is the group's newest trade, its summary's `as_of`; readers apply the decay after it.
        return edges(
            np.concatenate([hours[t] for t in trades]),
            uplift,
            starts,
            np.array(noise),
            float(hours[-1]),
        )

    def _refined(
        self,
        scope: dict[str, str],
        trades: NDArray[np.int64],
        scopes: list[dict[str, str]],
        all_trades: list[NDArray[np.int64]],
        effects: list[float],
    ) -> NDArray[np.float64]:
        """The effects (n,) that chosen slices which split this one by regime add to its trades; the
        history of a slice over regimes includes them."""
        added = np.zeros(len(trades))
        for other, inside, effect in zip(scopes, all_trades, effects, strict=True):
            if scope and coarser(other, self._config.regime_signature) == scope:
                added[np.isin(trades, inside)] += effect
        return added

    def _history(
        self,
        search: Search,
        trades: NDArray[np.int64],
        effect: NDArray[np.float64],
        noise_sd: float,
    ) -> tuple[tuple[HistoryCell, ...], Metrics]:
        shot = search.snapshot
        return history(
            EffectTrades(
                shot.exit_us[trades],
                search.chosen.residuals[trades] + effect,
                shot.time_efficiency[trades].astype(np.float64),
                search.segment_of[trades],
                search.regime_of[trades],
                noise_sd,
            ),
            search.regimes,
        )

    def _lesson(
        self,
        search: Search,
        candidate: int | None,
        trades: NDArray[np.int64],
        moments: tuple[float, float],
        version: int,
        marginal: Marginal,
        cells: tuple[HistoryCell, ...],
        metrics: Metrics | None,
        state: EdgeState | None,
        sketch: str,
    ) -> Lesson:
        items = np.zeros(0, np.uint32) if candidate is None else search.found.items[candidate]
        scope, lesson_id = self._name(items)
        decay = LessonDecay(state="stable" if candidate is None else "insufficient")
        if state is not None:
            decay = decay_of(state)
        first, last = (text_from_micros(int(search.snapshot.exit_us[trades[i]])) for i in (0, -1))
        return Lesson(
            learning="integrated",
            lesson_id=lesson_id,
            module=self._module,
            pattern_key=self._pattern_key,
            action_category=self._action_category,
            scope=scope,
            n=len(trades),
            mean=shortened(moments[0]),
            variance=shortened(moments[1]),
            decay=decay,
            evidence=Evidence(from_ts=first, to_ts=last, lesson_version=version),
            as_of=last,
            version=version,
            marginal=marginal,
            metrics=metrics,
            history=cells,
            sketch=sketch,
        )

    def _scope(self, items: NDArray[np.uint32]) -> dict[str, str]:
        return dict(sorted(self._names.pair(item) for item in items.tolist() if item))

    def _name(self, items: NDArray[np.uint32]) -> tuple[dict[str, str], str]:
        """Scope and lesson id."""
        scope = self._scope(items)
        return scope, slice_id(self._module, self._pattern_key, self._action_category, scope)

    def _aliases(self, search: Search, j: int) -> tuple[dict[str, str], ...]:
        return tuple(self._scope(row) for row in search.found.aliases.get(j, ())[:MAX_ALIASES])
