"""The record: what a group's learners would have predicted at past times, and the outcomes.

May touch: nothing but its arguments.

At four times on a fixed grid (an eighth of the window apart), everything is learned from the half
window before, and the trades that closed in the eighth after it are predicted (prequential
evaluation; Dawid 1984).  Three predictors are compared: `chosen` (the few chosen effects,
constant), `moving` (the same, each as its half-life leaves it) and `shared` (the posterior mean of
all slices).  A past time's predictors depend on trades before it alone, so they are kept from refit
to refit while these are the same.  A time is left out if it is so near the window's start that some
of these trades have left the window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.config import LearningConfig
from app.learning.common.event_time import HOUR_US
from app.learning.common.item_names import Names
from app.learning.common.window import Snapshot
from app.learning.integrated.candidates import candidates, with_dims
from app.learning.integrated.clipping import clip_bounds
from app.learning.integrated.half_life import edge_states
from app.learning.integrated.persistence import block_of, upper_half
from app.learning.integrated.selection import choose
from app.learning.integrated.shared_effects import (
    earned_by_segments,
    least_shared,
    most_shared,
    shared_fit,
)
from schemas.lessons import RecordCell

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS = 8
"""Steps of the grid of past times in a window."""
KNOWN_STEPS = 4
"""Steps that are known at a past time.  With more, there are fewer past times; with fewer, what is
certain in a window is not certain then."""
LEAST_TRADES = 3
"""A past time counts with this many times `n_min` trades before it."""


class PastGroup(NamedTuple):
    """The state of knowledge about a group at a past time.

    Attributes
    ----------
    cut_us
        The time, in microseconds since the epoch.
    bounds
        Bounds that outcomes are clipped at.
    segments
        What each segment earned in the group (S,).
    items
        Items of the chosen slices (K, width).
    effects
        Their effects (K,).
    now
        What was left of each at that time (K,).
    half_life
        Half-lives (K,), in hours; infinite where none is claimed.
    shared_items
        Items of the slices with a shared effect (J, width).
    shared
        Their effects (J, len(SHARES)).
    """

    cut_us: int
    bounds: tuple[float, float]
    segments: Floats
    items: NDArray[np.unsignedinteger]
    effects: Floats
    now: Floats
    half_life: Floats
    shared_items: NDArray[np.unsignedinteger]
    shared: Floats


class Record:
    """The predictors of one group at past times, kept while the trades that they were learned from
    are the same."""

    def __init__(self) -> None:
        self._past: dict[bytes, PastGroup | None] = {}

    def cells(
        self,
        names: Names,
        snapshot: Snapshot,
        config: LearningConfig,
        regime_dims: Iterable[str],
    ) -> tuple[RecordCell, ...]:
        """The predictions of each past time, and the outcomes after it.

        Parameters
        ----------
        names
            The group's window, or a copy of the names of its items.
        snapshot
            Its trades, with unclipped outcomes; not empty.
        config
            Settings: window, `n_min`, dimensions, error rate, lessons per group.
        regime_dims
            The dimensions of the regimes' signature.

        Returns
        -------
        One cell for each past time with enough trades before it and any after, the oldest first.

        References
        ----------
        Dawid 1984, "The prequential approach", JRSS A 147.
        """
        step = max(config.window_us // STEPS, 1)
        newest = int(snapshot.exit_us[-1])
        known_us = step * KNOWN_STEPS
        oldest = newest - config.window_us + known_us
        kept: dict[bytes, PastGroup | None] = {}
        cells = []
        for cut in range(-(-oldest // step) * step, newest, step):
            known = part(snapshot, cut - known_us, cut)
            if known is None or len(known.exit_us) < LEAST_TRADES * config.n_min:
                continue
            key = _digest(known, cut)
            past = (
                self._past[key]
                if key in self._past
                else _past_group(names, known, cut, config, regime_dims)
            )
            kept[key] = past
            after = part(snapshot, cut, min(cut + step, newest))
            if past is not None and after is not None:
                cells.append(_cell(past, after))
        self._past = kept
        return tuple(cells)


def part(snapshot: Snapshot, after_us: int, until_us: int) -> Snapshot | None:
    """The trades of a snapshot that closed within a period.

    Parameters
    ----------
    snapshot
        Trades, ascending by exit.
    after_us
        Start of the period, exclusive, in µs since 1970.
    until_us
        End of the period, inclusive, in µs since 1970.

    Returns
    -------
    Those trades, in the same order; None without any.
    """
    start, end = np.searchsorted(snapshot.exit_us, (after_us, until_us), side="right").tolist()
    if end <= start:
        return None
    rows = np.concatenate(([0], np.cumsum(snapshot.row_counts)))
    trades = slice(start, end)
    return replace(
        snapshot,
        trade_ids=snapshot.trade_ids[trades],
        exit_us=snapshot.exit_us[trades],
        outcome=snapshot.outcome[trades],
        segment=snapshot.segment[trades],
        home=snapshot.home[trades],
        fresh=snapshot.fresh[trades],
        time_efficiency=snapshot.time_efficiency[trades],
        row_counts=snapshot.row_counts[trades],
        codes=snapshot.codes[rows[start] : rows[end]],
    )


def _digest(known: Snapshot, cut_us: int) -> bytes:
    """A digest of everything that a past group depends on."""
    digest = hashlib.blake2b(str(cut_us).encode(), digest_size=16)
    digest.update(repr(known.segments).encode())
    for column in (
        known.exit_us,
        known.outcome,
        known.segment,
        known.row_counts,
        np.ascontiguousarray(known.codes),
    ):
        digest.update(column.tobytes())
    return digest.digest()


def _past_group(
    names: Names,
    known: Snapshot,
    cut_us: int,
    config: LearningConfig,
    regime_dims: Iterable[str],
) -> PastGroup | None:
    """The group as these trades alone show it; None if no slice has enough of them."""
    n_min = max(config.n_min * KNOWN_STEPS // STEPS, 1)  # as many as the whole window has of n_min
    bounds = clip_bounds(known.outcome)
    outcome = np.clip(known.outcome, *bounds)
    indicator = (known.segment[:, None] == np.arange(len(known.segments))).astype(np.float64)
    earned = earned_by_segments(outcome - outcome.mean(), indicator)
    outcome = outcome - indicator @ earned
    found = candidates(names, known, n_min, config.max_dims, least_shared(n_min))
    if not len(found.n_dims):
        return None
    hours = (known.exit_us - known.exit_us[0]) / HOUR_US
    of_regime = with_dims(found, known, regime_dims)
    level = np.ones((len(outcome), 1))
    chosen = choose(found, outcome, hours, level, n_min, of_regime, config.alpha)
    places = [step.candidate for step in chosen.steps]
    effects = chosen.fits[-1].coefficients[1:]
    now, half_life = effects.copy(), np.full(len(places), np.inf)
    if places:
        trades = [
            found.members.indices[found.members.indptr[j] : found.members.indptr[j + 1]]
            for j in places
        ]
        uplift = np.concatenate(
            [chosen.residuals[t] + b for t, b in zip(trades, effects, strict=True)]
        )
        starts = np.concatenate(([0], np.cumsum([len(t) for t in trades])))
        end = (cut_us - int(known.exit_us[0])) / HOUR_US
        states = edge_states(
            np.concatenate([hours[t] for t in trades]), uplift, starts, chosen.noise_sd, end
        )
        now = np.array([state.now for state in states])
        half_life = np.array([state.half_life_hours or np.inf for state in states])
    blocks = block_of(known.exit_us, config.window_us)
    shared = shared_fit(
        outcome, blocks - blocks[0], found, level, most_shared(config.lessons_per_group)
    )
    return PastGroup(
        cut_us,
        bounds,
        earned,
        _narrow(found.items[places]),
        effects,
        now,
        half_life,
        _narrow(found.items[shared.slices]),
        shared.effects,
    )


def _cell(past: PastGroup, after: Snapshot) -> RecordCell:
    """Sums of squares and products of the predictions for the trades after, around their
    means."""
    outcome = np.clip(after.outcome, *past.bounds) - past.segments[after.segment]
    chosen = matches(past.items, after)
    age = (after.exit_us - past.cut_us) / HOUR_US
    constant = past.effects @ chosen
    moving = ((past.now[:, None] * np.exp2(-age / past.half_life[:, None])) * chosen).sum(axis=0)
    shared = past.shared.T @ matches(past.shared_items, after)
    columns = np.vstack((constant, moving, shared, outcome))
    columns -= columns.mean(axis=1, keepdims=True)
    return RecordCell(past.cut_us, len(outcome), upper_half(columns @ columns.T))


def _narrow(items: NDArray[np.uint32]) -> NDArray[np.unsignedinteger]:
    """The same items in the smallest type, since they are held for long."""
    return items.astype(np.min_scalar_type(int(items.max(initial=0))))


def matches(items: NDArray[np.unsignedinteger], snapshot: Snapshot) -> Floats:
    """Which trades have an action that a slice holds.

    Parameters
    ----------
    items
        Codes of the items of each slice (K, width); 0 is none.
    snapshot
        T trades, each with one action or more.

    Returns
    -------
    Indicators (K, T), 0 or 1: one action of the trade has all items of the slice.
    """
    starts = np.cumsum(snapshot.row_counts) - snapshot.row_counts
    held = np.zeros((len(items), len(snapshot.exit_us)))
    has = {
        item: snapshot.codes[:, snapshot.item_dims[item]] == item
        for item in np.unique(items).tolist()
        if item
    }
    for k, row in enumerate(items.tolist()):
        rows = np.ones(len(snapshot.codes), np.bool_)
        for item in row:
            if item:
                rows &= has[item]
        held[k] = rows if len(starts) == len(rows) else np.logical_or.reduceat(rows, starts)
    return held
