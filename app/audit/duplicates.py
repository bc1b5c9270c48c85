"""Find overrides with the same evidence: those made by (nearly) the same trades.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from app.audit.timeline import Slices
from app.audit.trades import Group
from app.learning.common.trade import Trade
from app.learning.integrated.latent_factors import Member, cluster
from app.learning.integrated.sketches import sketches, trade_hashes
from edgeloop.overrides import Override

CHUNK = 256
"""Number of overrides whose trades are held in memory at a time."""


def representatives(
    overrides: Iterable[Override], known: Mapping[Group, Sequence[Trade]], jaccard: float
) -> dict[str, str]:
    """Override id → the id of the override that represents it in its group: itself, or the first
    (by trades, generality, id) of those whose trades in the window have a mean Jaccard similarity
    of at least `jaccard`, which is how latent factors are formed
    (`app.learning.integrated.latent_factors`)."""
    by_group: dict[Group, list[Override]] = {}
    for o in overrides:
        by_group.setdefault((o.pattern_key, o.action_category), []).append(o)
    lead: dict[str, str] = {}
    for group, held in by_group.items():
        trades = known.get(group, ())
        slices, hashes = Slices(trades), trade_hashes([t.trade_id for t in trades])
        members = []
        for start in range(0, len(held), CHUNK):
            part = held[start : start + CHUNK]
            inside = np.array([slices.members(o.scope) for o in part]).reshape(
                len(part), len(trades)
            )
            members += [
                Member(o.override_id, "|".join(group), int(n), len(o.scope), sketch)
                for o, n, sketch in zip(
                    part, inside.sum(axis=1), sketches(hashes, inside), strict=True
                )
            ]
        lead.update((m.lesson_id, m.lesson_id) for m in members)
        for factor in cluster(members, jaccard):
            lead.update(dict.fromkeys(factor.members, factor.representative))
    return lead
