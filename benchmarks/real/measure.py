"""What sizing was worth, by contender: the value, its parts within and between groups, its
calibration, and clear differences.

May touch: nothing but its arguments.

Let p = multiplier − 1, and u what the trades made beyond the baseline.  The value is cov(p, u) −
var(p)/2 per decision.  It has a part within groups, for which the group's means are subtracted from
p and u, and the rest, between groups.  No sizing can be worth more than var(u)/2, so the value
divided by that is the share of the possible, by which logs of different outcomes can be compared.
The slope of u on p is 1 where differences of p are the expected differences of u, and less where
they are exaggerated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from app.audit.bootstrap import UNKNOWN, Estimate, Resampler
from benchmarks.real.peers import PEERS
from benchmarks.real.peers.table import Floats
from benchmarks.real.walk import Sized

SEED = 1


class Figures(NamedTuple):
    """The figures of a contender in a log.  `beyond` is the first product's value minus this
    peer's, or this variant's minus the first's."""

    value: Estimate
    within: Estimate
    between: Estimate
    share: Estimate
    slope: Estimate
    beyond: Estimate


def figures(sized: Sized) -> dict[str, Figures]:
    """The figures by contender."""
    if not len(sized.uplift):
        return {}
    draws = Resampler(sized.cut_us, SEED)
    _, code = np.unique(sized.group, return_inverse=True)
    worth = {
        name: _worth(m - 1.0, sized.uplift, code, draws) for name, m in sized.multipliers.items()
    }
    first = worth[sized.product[0]]["value"]
    out = {}
    for name, found in worth.items():
        beyond = found["value"] - first if name in sized.product else first - found["value"]
        estimates = {key: draws.estimate(drawn) for key, drawn in found.items()}
        out[name] = Figures(**estimates, beyond=draws.estimate(beyond))
    return out


def differences(sized: Sized) -> dict[tuple[str, str], Estimate]:
    """For each variant of the product and each peer, the variant's value minus the peer's."""
    if not len(sized.uplift):
        return {}
    draws = Resampler(sized.cut_us, SEED)
    one = np.zeros(len(sized.uplift), np.int64)
    value = {
        name: _worth(m - 1.0, sized.uplift, one, draws)["value"]
        for name, m in sized.multipliers.items()
    }
    peers = [name for name in value if name not in sized.product]
    return {
        (ours, peer): draws.estimate(value[ours] - value[peer])
        for ours in sized.product
        for peer in peers
    }


def _worth(p: Floats, u: Floats, code: Any, draws: Resampler) -> dict[str, Floats]:
    """The figures (1 + draws,) of one contender."""
    ones = np.ones(len(p))
    inside = [code == g for g in range(int(code.max()) + 1)]
    n, sp, su, spp, spu, suu = draws.sums(ones, p, u, p * p, p * u, u * u).T
    by_group = draws.sums(*(column * mine for mine in inside for column in (ones, p, u))).reshape(
        len(n), len(inside), 3
    )
    gn, gp, gu = np.maximum(by_group[..., 0], 1.0), by_group[..., 1], by_group[..., 2]
    cov, var = spu / n - sp * su / n**2, spp / n - (sp / n) ** 2
    cov_in, var_in = (spu - (gp * gu / gn).sum(axis=1)) / n, (spp - (gp * gp / gn).sum(axis=1)) / n
    value, within = cov - var / 2, cov_in - var_in / 2
    possible = (suu / n - (su / n) ** 2) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(var > 1e-12, cov / var, np.nan)
        share = value / possible
    return {
        "value": value,
        "within": within,
        "between": value - within,
        "share": share,
        "slope": slope,
    }


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """The mean over logs, which are treated as independent: the squares of the distances to the
    ends add up."""
    known = [e for e in estimates if np.isfinite(e.low) and np.isfinite(e.high)]
    if not known:
        return UNKNOWN
    value = float(np.mean([e.value for e in known]))
    down, up = (
        float(np.sqrt(sum(d * d for d in ds))) / len(known)
        for ds in ([e.value - e.low for e in known], [e.high - e.value for e in known])
    )
    return Estimate(value, value - down, value + up)


def over_logs(by_log: Mapping[str, Mapping[str, Figures]]) -> dict[str, Figures]:
    """The mean of each figure over the logs, by contender."""
    names = list(dict.fromkeys(name for found in by_log.values() for name in found))
    return {
        name: Figures(
            *(
                mean_of([getattr(found[name], field) for found in by_log.values() if name in found])
                for field in Figures._fields
            )
        )
        for name in names
    }


def is_peer(name: str) -> bool:
    """Whether this is a peer, not a variant of the product."""
    return name in PEERS
