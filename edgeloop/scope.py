"""Scopes: flat maps of context dimensions to discrete values, in one canonical form for all.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from edgeloop.canonical import MAX_CODE_POINTS, CanonicalError, check_text, member

REGIME_DIMENSIONS: tuple[str, ...] = tuple(
    f"{market}_{horizon}"
    for market in ("btc", "alt", "bucket", "btcd", "usdtd")
    for horizon in ("macro", "meso", "micro")
)
DEFAULT_DIMENSIONS: tuple[str, ...] = (
    "curator", "chain", "mcap_bucket", "vol_bucket", "age_bucket", "intent",
    "mcap_vol_ratio_bucket", "market_family", "timeframe", "A_mode", "E_mode", "bucket",
    "bucket_leader", "bucket_rank_position", *REGIME_DIMENSIONS,
)  # fmt: skip

_REGIMES = frozenset(REGIME_DIMENSIONS)
# Percent-encoding, so that a reader in any language may split at `|` and `=` before it decodes.
_ESCAPES = str.maketrans({"%": "%25", "|": "%7C", "=": "%3D"})


def is_regime(dimension: str) -> bool:
    """Whether `dimension` is a market state.  For these, `S4` counts as missing, and the state at
    entry does not apply to a later action.
    """
    return dimension in _REGIMES


def canonical_value(value: object, dimension: str = "") -> str | None:
    """The canonical text of a scope value, or None if it is missing.

    Missing: None, blank text, `unknown` in any case, and `S4` in any case for a regime dimension.
    Text is trimmed of white space, integers (and floats of integral value) are decimals, other
    floats are written as RFC 8785 does (ECMAScript's shortest form), booleans are `true` and
    `false`.  Raises `CanonicalError` for objects and arrays (wrong_type), numbers that are not
    finite IEEE doubles (bad_number), text of more than 200 code points (too_long), and text that
    PostgreSQL cannot hold (bad_text).

    >>> [canonical_value(value) for value in (1, 1.0, "1", 1e-7, True)]
    ['1', '1', '1', '1e-7', 'true']
    >>> [canonical_value(" unknown "), canonical_value("s4", "btc_meso"), canonical_value("s4")]
    [None, None, 's4']
    """
    if value is None:
        return None
    if isinstance(value, str):
        path = member(dimension) if dimension else ""
        return _text(value, dimension in _REGIMES, path)
    return _number(value, dimension)


def canonical_scope(
    scope: Mapping[str, object], dimensions: Iterable[str] = DEFAULT_DIMENSIONS
) -> dict[str, str]:
    """The canonical values of `scope` along `dimensions`, in their order.

    Missing values and other keys are left out.
    Raises `CanonicalError` as `canonical_value` does, its path naming the dimension.

    >>> canonical_scope({"chain": " sol ", "bucket_rank_position": 1.0, "btc_meso": "S4", "x": []})
    {'chain': 'sol', 'bucket_rank_position': '1'}
    """
    dimensions = tuple(dimensions)
    return canonical_values(dimensions, map(scope.get, dimensions))


def canonical_values(dimensions: tuple[str, ...], values: Iterable[object]) -> dict[str, str]:
    """`canonical_scope` of a scope given as `values`: one per dimension, None for missing ones."""
    row = tuple(values)
    try:
        # The hot path: a few short texts, repeated often, all of them seen before.
        known = dict(zip(dimensions, map(dict.__getitem__, _known(dimensions), row), strict=True))
    except (KeyError, TypeError):  # new, long, or no text
        return _canonical_values(dimensions, row)
    if None in known.values():
        return {dimension: text for dimension, text in known.items() if text is not None}
    return known  # type: ignore[return-value]  # has no None


def _canonical_values(dimensions: tuple[str, ...], values: tuple[object, ...]) -> dict[str, str]:
    texts: dict[str, str] = {}
    dimension = ""
    try:
        for dimension, value, known in zip(dimensions, values, _known(dimensions), strict=True):
            text = canonical_value(value, dimension)
            if type(value) is str and len(value) <= MAX_CODE_POINTS:
                if len(known) > _KNOWN_VALUES:
                    known.clear()
                    known[None] = None
                known[value] = text
            if text is not None:
                texts[dimension] = text
    except CanonicalError as error:
        raise CanonicalError(error.reason, error.message, member(dimension)) from None
    return texts


def canonical_text(scope: Mapping[str, object]) -> str:
    """The text of a slice: its `dimension=value` pairs, joined by `|`; `""` for `{}`.

    Sorted by dimension (by code point).
    In names and values `%`, `|` and `=` are written `%25`, `%7C` and `%3D`.  Values are made
    canonical, missing ones are left out, so the order of keys and the type of numbers do not
    matter.  Every key counts as a dimension.

    >>> canonical_text({"chain": "sol", "bucket": "a|b", "A_mode": 1.0})
    'A_mode=1|bucket=a%7Cb|chain=sol'
    """
    names = tuple(sorted(scope))
    for name in names:
        check_text(name, "The name of a dimension", member(name))
    texts = canonical_values(names, (scope[name] for name in names))
    return "|".join(
        f"{name.translate(_ESCAPES)}={text.translate(_ESCAPES)}" for name, text in texts.items()
    )


def pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    """The (dimension, value) pairs of a canonical text.  Raises `ValueError` if the text is not
    canonical.

    >>> pairs_of("A_mode=1|bucket=a%7Cb"), pairs_of("")
    ((('A_mode', '1'), ('bucket', 'a|b')), ())
    """
    pairs = [part.partition("=") for part in text.split("|")] if text else []
    if not all(sign for _, sign, _ in pairs):
        raise ValueError(f"The text {text!r} is not a list of dimension=value pairs.")
    return tuple((_plain(dimension), _plain(value)) for dimension, _, value in pairs)


def _plain(part: str) -> str:
    return part.replace("%7C", "|").replace("%3D", "=").replace("%25", "%")


def _text(value: str, regime: bool, path: str = "") -> str | None:
    text = value.strip()
    folded = text.lower()
    if not text or folded == "unknown" or (regime and folded == "s4"):
        return None
    check_text(text, "The scope value", path)
    return text


_KNOWN_VALUES = 65_536
_plain_texts: dict[object, str | None] = {None: None}
_regime_texts: dict[object, str | None] = {None: None}


@lru_cache(maxsize=4_096)
def _known(dimensions: tuple[str, ...]) -> tuple[dict[object, str | None], ...]:
    """The canonical texts known so far, one table for each of these dimensions: short texts only,
    so that 1, 1.0 and True, which are equal, are not taken for each other."""
    return tuple(
        _regime_texts if dimension in _REGIMES else _plain_texts for dimension in dimensions
    )


def _number(value: object, dimension: str) -> str:
    path = member(dimension) if dimension else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (int, float)):
        raise CanonicalError(
            "wrong_type",
            "A scope value is text, a number, true, false or null, and not of type "
            f"{type(value).__name__}.",
            path,
        )
    try:
        double = float(value)
    except OverflowError:
        double = float("inf")
    if not abs(double) < float("inf"):
        raise CanonicalError("bad_number", "The scope value is not a finite IEEE double.", path)
    if isinstance(value, int):
        text = int.__repr__(value)
    elif double.is_integer():
        text = int.__repr__(int(double))
    else:
        text = _ecmascript(double)
    check_text(text, "The scope value", path)
    return text


def _ecmascript(value: float) -> str:
    """A double that is not integral as ECMAScript's Number::toString writes it (RFC 8785, 3.2.2.3).

    Python's shortest digits are the same; only small numbers differ: it writes 1e-05 where
    ECMAScript writes 0.00001, and 1e-07 for 1e-7.
    """
    mantissa, e, exponent = float.__repr__(value).partition("e")
    if not e:
        return mantissa
    power = int(exponent)
    if power < -6:
        return f"{mantissa}e{power}"
    sign = "-" if mantissa.startswith("-") else ""
    return f"{sign}0.{'0' * (-power - 1)}{mantissa.lstrip('-').replace('.', '')}"
