"""The canonical pattern key: one text per behaviour, for every form that producers write.

May touch: nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from edgeloop.canonical import CanonicalError, check_text, shown

_MODULE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_OLD_FORM = re.compile(r"module=([^|=]*)\|pattern_key=(.*)", re.DOTALL)
_FORBIDDEN = re.compile(r"[\s|=]")
_CACHED_CODE_POINTS = 512


def check_module(module: str) -> str:
    """`module` itself.

    Raises `CanonicalError` (bad_module) unless it is 1 to 200 of `A-Z a-z 0-9 _ -`.

    >>> check_module("pm")
    'pm'
    """
    if not _MODULE.fullmatch(module):
        raise CanonicalError(
            "bad_module",
            f"The module {shown(module)!r} is not 1 to 200 of the characters A-Z a-z 0-9 _ -.",
        )
    return module


def canonical_pattern_key(text: str, module: str) -> str:
    """The pattern key `text` of an event of `module`, in its canonical form.

    Dotted segments, the first of which is the module.
    A key whose first segment is not the module gets it in front; the older form
    `module=…|pattern_key=…` becomes the same key.  At least one segment follows the module;
    segments are not empty and hold no white space, `|` or `=`.  White space is what Python's
    `str.isspace` says: Unicode's White_Space and U+001C to U+001F.  The result has at most 200 code
    points, and is its own canonical form.  Raises `CanonicalError` (bad_module, bad_pattern_key,
    too_long, bad_text).

    >>> canonical_pattern_key("uptrend.S1.entry", "pm")
    'pm.uptrend.S1.entry'
    >>> canonical_pattern_key("module=pm|pattern_key=uptrend.S1.entry", "pm")
    'pm.uptrend.S1.entry'
    """
    if len(text) > _CACHED_CODE_POINTS:
        return _canonical(text, module)
    return _cached(text, module)


def _canonical(text: str, module: str) -> str:
    check_module(module)
    key = text
    if old := _OLD_FORM.fullmatch(text):
        if old[1] != module:
            raise _bad(f"names the module {shown(old[1])!r}, but the event is of {module!r}")
        key = old[2]
    if key == module or not key:
        raise _bad("has no segment after its module")
    if _FORBIDDEN.search(key):
        raise _bad("holds white space, '|' or '='")
    segments = key.split(".")
    if "" in segments:
        raise _bad("has an empty segment")
    if segments[0] != module:
        key = f"{module}.{key}"
    check_text(key, "The canonical pattern key")
    return key


_cached = lru_cache(maxsize=16_384)(_canonical)


def _bad(why: str) -> CanonicalError:
    return CanonicalError("bad_pattern_key", f"The pattern key {why}.")
