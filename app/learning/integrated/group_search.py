"""The search of one group's refit: its trades, clipped, its candidates, the chosen effects and the
shared ones.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.learning.common.config import LearningConfig
from app.learning.common.event_time import HOUR_US
from app.learning.common.item_names import Names
from app.learning.common.segments import segment_order
from app.learning.common.size_unit import robust_sd
from app.learning.common.trade import SegmentKey
from app.learning.common.window import Snapshot
from app.learning.integrated.candidates import Candidates, candidates, with_dims
from app.learning.integrated.clipping import clip_bounds
from app.learning.integrated.persistence import block_of
from app.learning.integrated.selection import ChosenPath, choose
from app.learning.integrated.shared_effects import SharedFit, least_shared, most_shared, shared_fit
from app.learning.integrated.sketches import trade_hashes
from edgeloop.scope import canonical_text


class Search(NamedTuple):
    """What the search of a group found.

    Attributes
    ----------
    snapshot
        The trades in the window, their outcomes clipped.
    bounds
        The bounds that outcomes are clipped at.
    outcome_sd
        Robust standard deviation of the outcomes before clipping.
    found
        The candidates.
    chosen
        The path of the chosen slices.
    segments
        Segments that the trades have, in order.
    segment_of
        Index in `segments` of each trade's segment (T,).
    regimes
        Canonical texts of the regimes that the trades have, sorted.
    regime_of
        Index in `regimes` of each trade's regime (T,).
    hashes
        Hash of each trade's id (T,).
    first_block
        The block of time of the oldest trade.
    shared
        The shared effects.
    """

    snapshot: Snapshot
    bounds: tuple[float, float]
    outcome_sd: float
    found: Candidates
    chosen: ChosenPath
    segments: list[SegmentKey]
    segment_of: NDArray[np.int64]
    regimes: list[str]
    regime_of: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    first_block: int
    shared: SharedFit

    def trades_of(self, candidate: int) -> NDArray[np.int64]:
        """The trades of a candidate.

        Parameters
        ----------
        candidate
            Its place among the candidates.

        Returns
        -------
        Places of its trades in the snapshot, ascending.
        """
        members = self.found.members
        return np.asarray(
            members.indices[members.indptr[candidate] : members.indptr[candidate + 1]]
        )


def search_group(names: Names, snapshot: Snapshot, config: LearningConfig) -> Search:
    """Mine the slices of a group, choose the few that explain its outcomes, and estimate the shared
    effects of the many.

    Parameters
    ----------
    names
        The group's window, or a copy of the names of its items, which never change while a snapshot
        is in use.
    snapshot
        The trades in the window (T > 0).
    config
        The settings of the learning.

    Returns
    -------
    All that the group's records are made of.
    """
    bounds = clip_bounds(snapshot.outcome)
    outcome_sd = robust_sd(snapshot.outcome)
    snapshot = replace(snapshot, outcome=np.clip(snapshot.outcome, *bounds))
    found = candidates(names, snapshot, config.n_min, config.max_dims, least_shared(config.n_min))
    segments = sorted(snapshot.segments, key=segment_order)
    to_sorted = np.array([segments.index(s) for s in snapshot.segments], np.int64)
    segment_of = to_sorted[snapshot.segment]
    present = np.unique(segment_of)
    segments = [segments[s] for s in present.tolist()]
    segment_of = np.searchsorted(present, segment_of)
    indicator = np.zeros((len(segment_of), len(segments)))
    indicator[np.arange(len(segment_of)), segment_of] = 1.0
    hours = (snapshot.exit_us - snapshot.exit_us[0]) / HOUR_US
    of_regime = with_dims(found, snapshot, config.regime_signature)
    chosen = choose(
        found, snapshot.outcome, hours, indicator, config.n_min, of_regime, config.alpha
    )
    regime_of, regimes = _regimes(names, snapshot, config.regime_signature)
    blocks = block_of(snapshot.exit_us, config.window_us)
    shared = shared_fit(
        snapshot.outcome,
        blocks - blocks[0],
        found,
        indicator,
        most_shared(config.lessons_per_group),
        chosen.residuals,
    )
    return Search(
        snapshot,
        bounds,
        outcome_sd,
        found,
        chosen,
        segments,
        segment_of,
        regimes,
        regime_of,
        trade_hashes(snapshot.trade_ids),
        int(blocks[0]),
        shared,
    )


def _regimes(
    names: Names, snapshot: Snapshot, signature: tuple[str, ...]
) -> tuple[NDArray[np.int64], list[str]]:
    """For each trade (T,), the index of its regime, by its first action, in the sorted texts."""
    first = np.cumsum(snapshot.row_counts) - snapshot.row_counts
    columns = [snapshot.dims.index(d) for d in signature if d in snapshot.dims]
    rows, inverse = np.unique(snapshot.codes[first][:, columns], axis=0, return_inverse=True)
    texts = [
        canonical_text(dict(names.pair(item) for item in row if item)) for row in rows.tolist()
    ]
    regimes = sorted(texts)
    return np.array([regimes.index(text) for text in texts], np.int64)[inverse.ravel()], regimes
