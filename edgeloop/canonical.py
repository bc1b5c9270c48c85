"""Shared by the canonical forms: their error, with its place in the JSON, and the limits of text.

May touch: nothing.
"""

from __future__ import annotations

import json
import re

MAX_CODE_POINTS = 200
"""Longest identifier, canonical pattern key and canonical scope value, in Unicode code points."""

_SIMPLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that PostgreSQL cannot store."""
_SHOWN_CODE_POINTS = 80


class CanonicalError(ValueError):
    """A value has no canonical form.

    `reason` is a short stable word (see `app.closes.REASONS`), `message` a sentence, `path` the
    JSON path relative to the value that was passed: `""` for the value itself, `.chain` or `["my
    key"]` for a member.
    """

    def __init__(self, reason: str, message: str, path: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.path = path


def member(name: str) -> str:
    """The step of a JSON path into an object.

    `.chain`, or `["a b"]` in ASCII where the name is not a plain word.
    """
    return f".{name}" if _SIMPLE_NAME.fullmatch(name) else f"[{json.dumps(shown(name))}]"


def shown(text: str) -> str:
    """`text`, shortened for a message."""
    return text if len(text) <= _SHOWN_CODE_POINTS else text[:_SHOWN_CODE_POINTS] + "…"


def check_text(text: str, what: str, path: str = "") -> None:
    """Raise `CanonicalError` unless `text` is short enough and PostgreSQL can hold it.

    Its reason is too_long (more than 200 code points) or bad_text.
    """
    if len(text) > MAX_CODE_POINTS:
        raise CanonicalError(
            "too_long",
            f"{what} has {len(text)} code points; at most {MAX_CODE_POINTS} are allowed.",
            path,
        )
    if UNSTORABLE.search(text):
        raise CanonicalError(
            "bad_text",
            f"{what} contains a NUL or a lone surrogate, which PostgreSQL cannot store.",
            path,
        )
