"""Why a record of `position_closed` cannot become facts; ingest makes a dead letter of it.

May touch: nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from edgeloop.canonical import member
from schemas.facts import PatternTradeEvent

REASONS: dict[str, str] = {
    "null_value": "The record has no value.",
    "too_large": "The value is over 1 MiB.",
    "byte_order_mark": "The value begins with a byte order mark.",
    "not_utf8": "The value is not UTF-8.",
    "too_deep": "Objects and arrays are nested over 64 levels (the event is level 1).",
    "not_json": "The value is not JSON (NaN and Infinity are not allowed).",
    "bad_text": "A string or a key in the event contains a NUL or a lone surrogate.",
    "missing_field": "A required field is absent.",
    "wrong_type": (
        "A field's type differs from the schema's (numbers are never read from strings or booleans,"
        " nor strings from numbers)."
    ),
    "bad_number": "A number is not finite as an IEEE double.",
    "out_of_range": (
        "The revision is not from 0 to 2^53-1, or a number of a sizing is not in its range."
    ),
    "unsupported_version": "The schema_version is not 1.",
    "empty_text": "An identifier is empty.",
    "too_long": (
        "An identifier, a label, a canonical pattern key or a scope value is longer than 200 code"
        " points."
    ),
    "bad_module": "The module is not 1 to 200 of the characters A-Z a-z 0-9 _ -.",
    "bad_pattern_key": "The pattern key has no canonical form, or names another module.",
    "unknown_category": "The action category is not exactly entry, add, trim or exit.",
    "bad_time": (
        "A time is not RFC 3339 with T, seconds and Z or ±hh:mm, or not within the years 1 to 9999"
        " in UTC."
    ),
    "exit_before_entry": "The exit is before the entry.",
    "ancient_exit": "The exit is before 1970.",
    "future_exit": "The exit is more than a day after the record's Kafka timestamp.",
    "missing_outcome": "The configured outcome (rr, roi or pnl_usd) is absent or null.",
    "no_actions": "The trade has no action.",
    "duplicate_action_id": "Two actions of the trade have the same id.",
    "too_many_actions": "The trade has more actions than `EDGELOOP_MAX_ACTIONS`.",
    "too_many_groups": (
        "The close would open a group beyond `EDGELOOP_MAX_GROUPS_PER_MODULE` or"
        " `EDGELOOP_MAX_GROUPS`."
    ),
    "too_many_modules": "The close would open a module beyond `EDGELOOP_MAX_MODULES`.",
    "held_revision": (
        "The revision is above `EDGELOOP_MAX_REVISION`: the close waits for `faust -A app dlq"
        " approve`."
    ),
    "trade_not_found": "No element of completed_trades (older envelope) has the event's trade_id.",
}
"""The value of a dead letter's header `reason`: a stable word each, and what it means."""

_MAX_MESSAGE = 500
_OUTSIDE = re.compile(r"Expected `(int|float)` [<>]")
_MISSING = re.compile(r"Object missing required field `(.*)`")


class RefusedCloseError(Exception):
    """A close that cannot become facts: ingest writes it as a dead letter.

    `reason` is one of `REASONS`, `path` the JSON path of the error (`$.actions[3].scope.chain`,
    `$` for the whole), `exception` the error's name and message.  All three are UTF-8 text of
    bounded length, suitable for a header.
    """

    def __init__(self, reason: str, path: str, message: str, name: str = "InvalidEvent") -> None:
        self.reason = reason
        self.path = path
        self.exception = f"{name}: {message[:_MAX_MESSAGE]}"
        super().__init__(f"{reason} at {path}: {message[:_MAX_MESSAGE]}")


@dataclass(frozen=True, slots=True)
class Paths:
    """The JSON paths of a close's parts, which differ in the older envelope."""

    module: str = "$.module"
    entry_context: str = "$.entry_context"
    actions: str = "$.actions"
    action_id: str = "action_id"
    summary: str = "$.trade_summary"
    older_summary: str = ""
    older_fields: frozenset[str] = frozenset()

    def of_summary(self, field: str) -> str:
        """The path of a field of the summary."""
        return f"{self.older_summary if field in self.older_fields else self.summary}.{field}"


NEW_ENVELOPE = Paths()


def rejection(error: msgspec.ValidationError, prefix: str = "$") -> RefusedCloseError:
    """The refusal of a value that is JSON but violates the schema; `prefix` replaces the `$` of
    its path."""
    message, found, path = str(error).rpartition(" - at `")
    if not found:
        message, path = str(error), "$`"
    path = prefix + path[1:-1]
    if missing := _MISSING.fullmatch(message):
        return RefusedCloseError(
            "missing_field", path + member(missing[1]), message, "ValidationError"
        )
    return RefusedCloseError(_reason(message, path), path, message, "ValidationError")


def held_revision(fact: PatternTradeEvent, limit: int) -> RefusedCloseError:
    """The refusal of a close that waits for approval."""
    return RefusedCloseError(
        "held_revision",
        "$.revision",
        f"Revision {fact.revision} of {fact.trade_id} is above EDGELOOP_MAX_REVISION={limit}.",
        "Held",
    )


def _reason(message: str, path: str) -> str:
    if message.startswith("Invalid enum value"):
        return "unsupported_version" if path.endswith(".schema_version") else "unknown_category"
    if "out of range" in message:
        return "out_of_range" if path.endswith(".revision") else "bad_number"
    if " of length >= " in message:
        return "no_actions" if message.startswith("Expected `array`") else "empty_text"
    if " of length <= " in message:
        return "too_long"
    if _OUTSIDE.match(message):
        return "out_of_range"
    return "wrong_type"
