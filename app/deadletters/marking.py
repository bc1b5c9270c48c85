"""Show the value of a dead letter: indented, with the invalid part marked.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from edgeloop.canonical import member

MARK = "   ◀── "
EXCERPT_BYTES = 400
"""Number of bytes shown on either side of the error in a value that is not JSON."""
_LAST_STEP = re.compile(r"(\.[^.\[\]]+|\[[^\[]*\])$")
MAX_TEXT = 200
"""Only the beginning of longer texts is shown."""


def marked(value: bytes | None, path: str, reason: str, exception: str) -> list[str]:
    """The lines of `value`; the line at `path`, or at the nearest existing part around it, ends
    with the reason.

    >>> print("\\n".join(marked(b'{"a": {"b": 1}, "c": []}', "$.a.b", "wrong_type", "")))
    {
      "a": {
        "b": 1   ◀── wrong_type
      },
      "c": []
    }
    >>> marked(b'{"a": {}}', "$.a.ts", "missing_field", "")[1]
    '  "a": {}   ◀── missing_field: $.a.ts'
    """
    if reason == "too_deep":
        return _excerpt(value or b"", reason, exception)
    if value is None:
        return [f"null{MARK}{reason}"]
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _excerpt(value, reason, exception)
    lines = list(_lines(document, "$", "", ""))
    there = next((p for p in _ancestors(path) if any(own == p for own, _ in lines)), "$")
    place = next(i for i, (own, _) in enumerate(lines) if own == there)
    note = reason if there == path else f"{reason}: {path}"
    return [f"{line}{MARK}{note}" if i == place else line for i, (_, line) in enumerate(lines)]


def _ancestors(path: str) -> Iterator[str]:
    """The path, then the paths around it, up to `$`."""
    while path:
        yield path
        step = _LAST_STEP.search(path)
        path = path[: step.start()] if step else ""


def _lines(node: Any, path: str, indent: str, label: str) -> Iterator[tuple[str, str]]:
    """(path, line) of `node`; closing brackets have no path."""
    if isinstance(node, dict) and node:
        yield path, f"{indent}{label}{{"
        for i, (name, child) in enumerate(node.items()):
            yield from _with_comma(
                _lines(child, path + member(name), indent + "  ", f"{_text(name)}: "),
                i < len(node) - 1,
            )
        yield "", f"{indent}}}"
    elif isinstance(node, list) and node:
        yield path, f"{indent}{label}["
        for i, child in enumerate(node):
            yield from _with_comma(
                _lines(child, f"{path}[{i}]", indent + "  ", ""), i < len(node) - 1
            )
        yield "", f"{indent}]"
    else:
        yield path, f"{indent}{label}{_text(node)}"


def _with_comma(lines: Iterator[tuple[str, str]], comma: bool) -> Iterator[tuple[str, str]]:
    held = list(lines)
    if comma:
        held[-1] = held[-1][0], held[-1][1] + ","
    return iter(held)


def _text(node: Any) -> str:
    text = orjson.dumps(node).decode()
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text):,} characters)"


def _excerpt(value: bytes, reason: str, exception: str) -> list[str]:
    """An excerpt of a value that is not JSON: around the byte that the error names, else its
    beginning; bytes that are not text are shown as escapes."""
    found = re.search(r"\(byte (\d+)\)", exception)
    at = min(int(found[1]), len(value)) if found else 0
    start, end = max(at - EXCERPT_BYTES, 0), min(at + EXCERPT_BYTES, len(value))
    before, after = (
        part.decode(errors="backslashreplace") for part in (value[start:at], value[at:end])
    )
    return [
        f"{'… ' if start else ''}{before}{MARK}{reason} at byte {at:,} of {len(value):,}",
        f"{after}{' …' if end < len(value) else ''}",
    ]
