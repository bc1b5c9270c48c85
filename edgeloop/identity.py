"""Stable ids: the same on every machine and run, and easy to compute in another language.

`schemas/vectors` has examples.

May touch: nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from edgeloop.canonical import CanonicalError, shown
from edgeloop.pattern_key import canonical_pattern_key, check_module
from edgeloop.scope import canonical_text

CATEGORIES: tuple[str, ...] = ("entry", "add", "trim", "exit")


def check_category(category: str) -> str:
    """`category` itself.

    Raises `CanonicalError` (unknown_category) unless it is exactly one of `CATEGORIES`.
    """
    if category not in CATEGORIES:
        raise CanonicalError(
            "unknown_category",
            f"The action category {shown(category)!r} is not one of {', '.join(CATEGORIES)}.",
        )
    return category


def slice_id(module: str, pattern_key: str, category: str, scope: Mapping[str, object]) -> str:
    """The id of a slice, its lesson and its override.

    32 lower-case hex digits: BLAKE2b-128 of five lines in UTF-8.

    The lines, joined by a line feed: `slice`, module, canonical pattern key, category, canonical
    text of the scope.  (No line but the last can hold a line feed.) Raises `CanonicalError`.

    >>> slice_id("pm", "uptrend.S1.entry", "add", {"n": 1, "chain": "sol"}) == slice_id(
    ...     "pm", "pm.uptrend.S1.entry", "add", {"chain": "sol", "n": "1"})
    True
    """
    key = canonical_pattern_key(pattern_key, module)
    return _digest("slice", module, key, check_category(category), canonical_text(scope))


def group_id(module: str, pattern_key: str, category: str) -> str:
    """The id of a group's summary.

    As `slice_id`, of the lines `group`, module, canonical pattern key, category.
    """
    return _digest(
        "group", module, canonical_pattern_key(pattern_key, module), check_category(category)
    )


def baseline_id(module: str, bucket: str | None = None, timeframe: str | None = None) -> str:
    """The id of a baseline.

    As `slice_id`, of the lines `baseline`, module, and the canonical text of {bucket, timeframe}.
    Without bucket and timeframe it is the module's own baseline.
    """
    return _digest(
        "baseline", check_module(module), canonical_text({"bucket": bucket, "timeframe": timeframe})
    )


def regime_id(module: str, regime: str) -> str:
    """The id of a regime's weights.

    As `slice_id`, of the lines `regime`, module, and the regime's canonical text.
    """
    return _digest("regime", check_module(module), regime)


def factor_id(representative: str) -> str:
    """The id of a latent factor.

    As `slice_id`, of the lines `factor` and its representative's lesson id.
    """
    return _digest("factor", representative)


def _digest(*lines: str) -> str:
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()
