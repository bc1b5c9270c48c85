"""From bytes to one checked close, whichever envelope it came in.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from app.closes import older_envelope, raw_checks
from app.closes.refused import NEW_ENVELOPE, Paths, RefusedCloseError, rejection
from schemas.events import PositionClosed, ScopeValue, scope_type

KIND = "position_closed"


class Head(msgspec.Struct):
    """The fields that distinguish the envelopes."""

    schema_version: msgspec.Raw = msgspec.Raw(b"null")
    kind: msgspec.Raw = msgspec.Raw(b"null")


_head = msgspec.json.Decoder(Head)


@lru_cache(maxsize=16)
def decoder(dimensions: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """The decoder of closes in the new envelope."""
    scope: Any = scope_type(dimensions)
    return msgspec.json.Decoder(PositionClosed[scope])


def decode(value: bytes, dimensions: tuple[str, ...]) -> tuple[PositionClosed[Any], Paths]:
    """The close in `value`.  Raises `RefusedCloseError` for anything that the schema does not
    allow."""
    try:
        return decoder(dimensions).decode(value), NEW_ENVELOPE
    except msgspec.DecodeError:
        # The slow path: the value is in the older envelope, has duplicate keys, or is a dead
        # letter.
        pass
    decode_envelope = _decode_older if _is_older(value) else _decode_new
    try:
        return decode_envelope(value, dimensions)
    except RefusedCloseError:
        return decode_envelope(raw_checks.last_wins(value), dimensions)


def _decode_new(value: bytes, dimensions: tuple[str, ...]) -> tuple[PositionClosed[Any], Paths]:
    try:
        return decoder(dimensions).decode(value), NEW_ENVELOPE
    except msgspec.ValidationError as error:
        raise rejection(error) from None


def _decode_older(value: bytes, dimensions: tuple[str, ...]) -> tuple[PositionClosed[Any], Paths]:
    return older_envelope.adapt(value, scope_type(dimensions))


def _is_older(value: bytes) -> bool:
    """Whether the value is in the older envelope; raises `RefusedCloseError` if it is not a JSON
    object or has an unknown version."""
    try:
        msgspec.json.decode(value, type=msgspec.Raw)
    except msgspec.DecodeError as error:
        if raw_checks.has_bad_escape(value):
            raise raw_checks.bad_text(value) from None
        raise RefusedCloseError("not_json", "$", str(error), type(error).__name__) from None
    try:
        head = _head.decode(value)
    except msgspec.ValidationError as error:
        raise rejection(error) from None
    version, kind = _scalar(head.schema_version), _scalar(head.kind)
    if version is None and kind == KIND:
        return True
    if type(version) in (int, float) and version != 1:
        raise RefusedCloseError(
            "unsupported_version",
            "$.schema_version",
            f"The schema_version is {version}; this release reads 1.",
        )
    if version is None:
        raise RefusedCloseError(
            "missing_field", "$.schema_version", "The event has no schema_version."
        )
    return False


def _scalar(raw: msgspec.Raw) -> Any:
    """The value of `raw`; Ellipsis for an object, an array or a number beyond doubles, none of
    which is a version or a kind."""
    try:
        return msgspec.json.decode(raw, type=ScopeValue)
    except msgspec.ValidationError:
        return ...
