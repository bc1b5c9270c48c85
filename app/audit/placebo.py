"""How many overrides would there be if scopes carried no information?  Outcomes change places,
everything else stays, and it is learned again.

May touch: nothing but its arguments.

The outcomes of a module's trades, by exit, are cut into stretches that change places as wholes:
within a stretch they stay neighbours, so that what clusters in time still does, and trades, groups
and scopes are as they were.  Only which outcome belongs to which scope is broken.  What is learned
from that is false.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.audit.trades import Group
from app.audit.variants import variants
from app.learning.common.config import LearningConfig
from app.learning.common.trade import Trade
from app.learning.engine import Engine
from edgeloop.overrides import Override

STRETCHES = 24
"""In how many stretches the window is cut."""
SETTINGS = ("integrated", "classic")

Trades = Mapping[Group, Sequence[Trade]]


def permutation(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Of n places the places that their outcomes come from: stretches in another order, none where
    it was.

    >>> permutation(6, np.random.default_rng(1)).tolist()
    [2, 3, 4, 5, 1, 0]
    """
    if n < 2:
        return np.arange(n)
    stretches = min(STRETCHES, n)
    # so that stretches do not begin at the same places every time
    turned = (np.arange(n) + rng.integers(n)) % n
    parts = np.array_split(turned, stretches)
    while True:
        order = rng.permutation(stretches)
        if (order != np.arange(stretches)).all():
            break
    found = np.empty(n, np.int64)
    found[turned] = np.concatenate([parts[i] for i in order])
    return found


def shuffled(known: Trades, seed: int) -> dict[Group, list[Trade]]:
    """The same trades, whose outcomes have changed places; a trade has one outcome in all of its
    groups."""
    outcome = {(t.exit_us, t.trade_id): t.outcome for trades in known.values() for t in trades}
    ordered = sorted(outcome)
    source = permutation(len(ordered), np.random.default_rng(seed))
    given = {key: outcome[ordered[i]] for key, i in zip(ordered, source.tolist(), strict=True)}
    return {
        group: [t._replace(outcome=given[t.exit_us, t.trade_id]) for t in trades]
        for group, trades in known.items()
    }


def overrides_of(
    name: str, known: Trades, config: LearningConfig, home: Collection[Group]
) -> dict[str, list[Override]]:
    """What `SETTINGS` say of these trades.  The formulas of `classic` look at the groups `home`
    alone."""
    configs = variants(config)
    found = {}
    for setting in SETTINGS:
        engine = Engine(replace(configs[setting], regime_weights=False), name)
        engine.fold(
            known if setting == "integrated" else {g: t for g, t in known.items() if g in home}
        )
        found[setting] = engine.learn()
    return found


def counted(overrides: Sequence[Override], categories: Collection[str]) -> int:
    """Those of `categories` that change a size."""
    return sum(o.multiplier != 1.0 and o.action_category in categories for o in overrides)
