"""Exploration: a small share of decisions uses another multiplier than the learned one, drawn with
a known probability.  May touch: the environment (EDGELOOP_EXPLORE), unless a share is passed.

Sizes that are always the learned ones cannot show what other sizes would have earned: outcomes may
depend on the size itself.  With a share ε, a decision gets the learned multiplier m with
probability 1 − ε, and otherwise one of 1 + s · (m − 1) for s in `SCALES`: neutral, half and one and
a half times the learned distance, with equal probability, within the bounds of every multiplier.
The probability of the draw (the propensity) goes into the close, and `faust -A app audit` estimates
from it what each way of sizing is worth.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

import msgspec

from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER
from edgeloop.resolution import Resolution

VARIABLE = "EDGELOOP_EXPLORE"
SCALES = (0.0, 0.5, 1.5)
"""The multiples of the learned distance from neutral that may be drawn."""
MAX_SHARE = 0.5


def share(given: float | None, environment: Mapping[str, str] | None = None) -> float:
    """The share of decisions that explore: `given`, or EDGELOOP_EXPLORE, or 0.

    Raises `ValueError` unless it is a number from 0 to 0.5.

    >>> share(None, {}), share(None, {"EDGELOOP_EXPLORE": "0.05"}), share(0.1, {})
    (0.0, 0.05, 0.1)
    """
    text: object = given
    if given is None:
        text = (os.environ if environment is None else environment).get(VARIABLE, "").strip() or 0.0
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = -1.0
    if not 0.0 <= value <= MAX_SHARE:
        raise ValueError(
            f"The share of decisions that explore is {text!r}; expected a number from 0 (off) to"
            f" {MAX_SHARE:g}. It is set by {VARIABLE}."
        )
    return value


def scaled(learned: float, scale: float) -> float:
    """The multiplier `scale` times as far from neutral as `learned`.

    >>> scaled(1.4, 0.5), scaled(2.5, 1.5), scaled(0.4, 1.5)
    (1.2, 3.0, 0.3)
    """
    multiplier = 1.0 + scale * (learned - 1.0)
    return min(MAX_MULTIPLIER, max(MIN_MULTIPLIER, multiplier))


def propensities(learned: float, explore: float) -> dict[float, float]:
    """Each multiplier that may be drawn, with its probability.

    >>> {drawn: round(p, 6) for drawn, p in propensities(1.5, 0.3).items()}
    {1.5: 0.7, 1.0: 0.1, 1.25: 0.1, 1.75: 0.1}
    """
    found = {learned: 1.0 - explore}
    for scale in SCALES:
        multiplier = scaled(learned, scale)
        found[multiplier] = found.get(multiplier, 0.0) + explore / len(SCALES)
    return found


def draw(pattern_key: str, action_category: str, decision_id: str) -> float:
    """A number from [0, 1) that the decision's id alone determines."""
    text = "\n".join(("explore", pattern_key, action_category, decision_id))
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def explored(
    found: Resolution, explore: float, pattern_key: str, action_category: str, decision_id: str
) -> Resolution:
    """`found` with the multiplier that this decision draws, and its propensity.

    `pattern_key` is canonical.  Only learned multipliers are explored: every answer but `matched`
    stays as it is.
    """
    if explore <= 0.0 or found.reason != "matched":
        return found
    learned, u = found.multiplier, draw(pattern_key, action_category, decision_id)
    scale = SCALES[int(u / explore * len(SCALES))] if u < explore else None
    multiplier = learned if scale is None else scaled(learned, scale)
    return msgspec.structs.replace(
        found,
        multiplier=multiplier,
        sizing={
            "decision_id": decision_id,
            "explore": explore,
            "learned": learned,
            "multiplier": multiplier,
            "propensity": propensities(learned, explore)[multiplier],
        },
    )


def valid(sizing: Mapping[str, Any]) -> bool:
    """Whether the numbers of a logged sizing fit together, so that it can be learned from."""
    learned, explore = sizing["learned"], sizing["explore"]
    if not (0.0 < explore <= MAX_SHARE and MIN_MULTIPLIER <= learned <= MAX_MULTIPLIER):
        return False
    expected = propensities(learned, explore).get(sizing["multiplier"])
    return expected is not None and abs(expected - sizing["propensity"]) < 1e-9
