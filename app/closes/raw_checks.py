"""Checks of a value beyond decoding: size, encoding, depth, and text that PostgreSQL cannot store.

May touch: nothing but its arguments.  Every check is linear in the value's length and free of
recursion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgspec

from app.closes.refused import RefusedCloseError
from edgeloop.canonical import UNSTORABLE, member
from schemas.events import MAX_EVENT_BYTES, MAX_NESTING

# Possessive, with an optional closing quote: it cannot fail after its first character, so no input
# causes backtracking.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))
_STEP = bytes(range(256)).translate(bytes.maketrans(b"{[}]", bytes((1, 1, 0, 0))))
# Every escape is one match, so that an escaped backslash before `u0000` is not mistaken for a NUL;
# group 1 is a NUL or a lone surrogate.
_ESCAPE = re.compile(
    rb"\\(?:u(?:[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(0000|[dD][89a-fA-F][0-9a-fA-F]{2}))|.)",
    re.DOTALL,
)
_SAFE_INTEGER = 2**53
_MAX_PATH = 500


def check_bytes(value: bytes) -> None:
    """Raise `RefusedCloseError` (too_large, byte_order_mark, not_utf8, too_deep, bad_text) for
    values that no decoder should see."""
    if len(value) > MAX_EVENT_BYTES:
        raise RefusedCloseError(
            "too_large",
            "$",
            f"The value has {len(value)} bytes; at most {MAX_EVENT_BYTES} are allowed.",
        )
    if not value.isascii():
        if value.startswith(b"\xef\xbb\xbf"):
            raise RefusedCloseError(
                "byte_order_mark", "$", "The value begins with a byte order mark."
            )
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise RefusedCloseError(
                "not_utf8", "$", f"{error.reason} at byte {error.start}", "UnicodeDecodeError"
            ) from None
    # With few brackets the nesting cannot be deep, even if some are in strings: most events need no
    # further check.
    if value.count(b"{") + value.count(b"[") > MAX_NESTING and _depth(value) > MAX_NESTING:
        raise RefusedCloseError(
            "too_deep", "$", f"Objects and arrays are nested over {MAX_NESTING} levels."
        )
    if b"\\" in value and b"\\u0000" in value and has_bad_escape(value):
        raise bad_text(value)


def has_bad_escape(value: bytes) -> bool:
    """Whether an escape in `value` is a NUL or a lone surrogate."""
    return any(match[1] for match in _ESCAPE.finditer(value))


def bad_text(value: bytes) -> RefusedCloseError:
    """The dead letter of a value with a bad escape; its path is `$` if the value is not JSON or the
    text was overwritten."""
    message = "Text contains a NUL or a lone surrogate, which PostgreSQL cannot store."
    try:
        tree = json.loads(value.decode(), parse_int=str, parse_float=str)
    except ValueError:
        return RefusedCloseError("bad_text", "$", message)
    path = next(_bad_paths(tree), "$")
    return RefusedCloseError("bad_text", path[:_MAX_PATH], message)


def last_wins(value: bytes) -> bytes:
    """JSON `value` with the last of duplicate keys only, and integral floats as integers (`1.0` is
    an integer in JSON Schema).

    Other numbers keep their text.  `value` must be valid JSON of bounded depth.
    """
    return msgspec.json.encode(json.loads(value.decode(), parse_int=_raw, parse_float=_raw_float))


def _depth(value: bytes) -> int:
    brackets = _STRING.sub(b"", value).translate(None, _NOT_BRACKETS)
    # Opening brackets are 1 and closing ones 0, so each changes the depth by twice that minus one.
    return max(accumulate(2 * byte - 1 for byte in brackets.translate(_STEP)), default=0)


def _bad_paths(tree: Any) -> Iterator[str]:
    """Depth is bounded by `check_bytes`, so this may recurse."""

    def walk(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, str):
            if UNSTORABLE.search(node):
                yield path
        elif isinstance(node, dict):
            for key, child in node.items():
                if UNSTORABLE.search(key):
                    yield path + member(key)
                yield from walk(child, path + member(key))
        elif isinstance(node, list):
            for index, child in enumerate(node):
                yield from walk(child, f"{path}[{index}]")

    return walk(tree, "$")


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _raw_float(text: str) -> msgspec.Raw:
    number = float(text)
    return _raw(str(int(number)) if number.is_integer() and abs(number) < _SAFE_INTEGER else text)
