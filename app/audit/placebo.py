"""How many overrides would there be if scopes carried no information?  Outcomes are permuted,
everything else stays, and the learning is repeated.

May touch: nothing but its arguments.

The outcomes of a module's trades, in the order of exits, are cut into stretches, and whole
stretches are permuted.  Within a stretch, outcomes stay neighbours, so clusters in time remain;
trades, groups and scopes are unchanged.  Only the link between outcome and scope is broken, so
every override learned from such trades is false.
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
"""Number of stretches that the outcomes are cut into."""
SETTINGS = ("integrated", "classic")

Trades = Mapping[Group, Sequence[Trade]]


def permutation(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each of n places, the place that its outcome comes from: the stretches in another order.

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
    """The same trades with permuted outcomes; a trade has the same outcome in all of its groups."""
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
    """The overrides that each of `SETTINGS` learns from these trades.  The formulas of `classic`
    get the groups `home` only."""
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
    """The number of overrides of `categories` that change a size."""
    return sum(o.multiplier != 1.0 and o.action_category in categories for o in overrides)
