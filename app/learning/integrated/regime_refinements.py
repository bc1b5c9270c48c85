"""Refinements: a chosen slice that measures how another one's edge differs in one market regime,
beside the regime gains, which do so for all edges of the module.

May touch: nothing but its arguments.

A group's search may split a slice `chain=sol` by regime: it chooses `btc_macro=S1|chain=sol` as
well, with the difference.  The effect of the module's gains on the edge in S1 must then not count
twice.  So where gains act, the slice gets its edge over all regimes back, the gain turns it into
the regime's own, and the refinement keeps only what is left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from app.learning.integrated.net_of_segments import AnyEffect, kept
from app.learning.integrated.regime_gains import gains_of
from app.learning.integrated.regime_weights import RegimeWeights
from edgeloop.scope import pairs_of

ACTS = 0.25
"""A gain that differs from 1 by this much acts in full: the slice's edge is then that over all
regimes. Smaller differences act in proportion, so that nothing jumps."""
LEFT = 1.0
"""Share of the James–Stein shrinkage that applies to what is left of a refinement."""


def coarser(scope: Mapping[str, str], signature: Collection[str]) -> dict[str, str] | None:
    """A scope without its regime.

    Parameters
    ----------
    scope
        Dimensions and values of a slice.
    signature
        Dimensions of the regimes.

    Returns
    -------
    The other dimensions; None if the scope has no regime, or nothing else.

    >>> coarser({"btc_macro": "S1", "chain": "sol"}, ("btc_macro",))
    {'chain': 'sol'}
    >>> coarser({"btc_macro": "S1"}, ("btc_macro",)), coarser({"chain": "sol"}, ("btc_macro",))
    (None, None)
    """
    rest = {name: value for name, value in scope.items() if name not in signature}
    return rest if rest and len(rest) < len(scope) else None


def refinements_of(
    effects: Mapping[str, AnyEffect], signature: Collection[str]
) -> dict[str, list[str]]:
    """Which slices are split by regime, and by which other slices.

    Parameters
    ----------
    effects
        The effects of a group, by lesson id.
    signature
        Dimensions of the regimes.

    Returns
    -------
    Lesson id of a slice → ids of its refinements, ascending.
    """
    dims = frozenset(signature)
    coarse = {
        i: rest
        for i, effect in effects.items()
        if not dims.isdisjoint(effect.lesson.scope)
        and (rest := coarser(effect.lesson.scope, dims)) is not None
    }
    if not coarse:
        return {}
    place = {
        frozenset(effect.lesson.scope.items()): i
        for i, effect in effects.items()
        if dims.isdisjoint(effect.lesson.scope)
    }
    members: dict[str, list[str]] = {}
    for i, rest in sorted(coarse.items()):
        whole = place.get(frozenset(rest.items()))
        if whole is not None:
            members.setdefault(whole, []).append(i)
    return members


def refined(
    effects: Mapping[str, AnyEffect],
    members: Mapping[str, Sequence[str]],
    weights: Sequence[RegimeWeights],
) -> dict[str, AnyEffect]:
    """The effects of a group beside the gains that `weights` give to its slices.

    Parameters
    ----------
    effects
        The effects of a group, by lesson id.
    members
        Their refinements, as `refinements_of` finds them.
    weights
        Weights of the module's regimes.

    Returns
    -------
    All effects, by lesson id, in units of the outcome.

    References
    ----------
    James & Stein 1961, "Estimation with quadratic loss".
    """
    found = dict(effects)
    for i, refinements in members.items():
        gains = gains_of(effects[i].lesson, weights)
        acts = min(max((abs(g - 1.0) for g in gains.values()), default=0.0) / ACTS, 1.0)
        if acts == 0.0:
            continue
        edge = effects[i].effect
        blend = edge + acts * sum(
            effects[r].effect * effects[r].lesson.n / effects[i].lesson.n for r in refinements
        )
        found[i] = effects[i].resized(blend)
        for r in refinements:
            if effects[r].part != "selected":
                # strongly shrunk, it never held the whole difference
                found[r] = effects[r].resized((1.0 - acts) * effects[r].effect)
                continue
            left = edge + effects[r].effect - blend * _gain(gains, effects[r].lesson.scope)
            variance = acts * effects[r].effect_sd ** 2
            found[r] = effects[r].resized(left * kept(left, variance, LEFT))
    return found


def _gain(gains: Mapping[str, float], scope: Mapping[str, str]) -> float:
    """The gain in this scope, as the reader picks it: the most specific that holds, or 1."""
    holding = [
        (len(pairs), gain)
        for text, gain in gains.items()
        if set(pairs := pairs_of(text)) <= scope.items()
    ]
    return max(holding, default=(0, 1.0))[1]
