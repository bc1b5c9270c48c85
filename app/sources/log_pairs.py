"""Logs of bots whose lines have `name=value` pairs, or end with a JSON object: as lines with a cell
for each name.

May touch: nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_PAIR = re.compile(
    r"(?<![\w.])(?P<name>[A-Za-z_][\w.-]*)=(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^']*'"
    r"|\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|[^\s,;()]+)"
)
_OBJECT = re.compile(r"\{\s*\"[^{}]*\}(?=\s*$)")
"""At the end of a line."""
_TIME = re.compile(
    r"\W*(\d{4}[-/.]\d\d[-/.]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)"
)
"""The time at which a line was written, before anything else."""
_LEAST_PAIRS = 4
"""Pairs that most lines with any have at least."""
_MOST_LINES = 0.8
"""Share of the lines that have so many pairs, for the file to be a log of them."""
_WRITTEN = ("log_time", "log_text")
"""Names of what stands before the pairs, where no pair has them."""


class LogPairs:
    """The names of the pairs, in the order in which they appear."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def header(self) -> list[str]:
        """The names of the columns."""
        return [*_WRITTEN, *self.names]

    def cells(self, line: str) -> list[str]:
        """The cells of a line; pairs with other names are cells too many."""
        pairs = _pairs(line)
        first = _OBJECT.search(line) or _PAIR.search(line)
        before = line[: first.start()] if first else line
        written = _TIME.match(before)
        text = before[written.end() :] if written else before
        known = [pairs.pop(name, "") for name in self.names]
        return [written[1] if written else "", text.strip(" -:|\t\r\n"), *known, *pairs.values()]


def log_pairs(head: Iterable[str]) -> LogPairs | None:
    """How lines with `name=value` pairs are read, None if they are other lines.

    >>> found = log_pairs(["t=1 symbol=AAPL side=buy qty=2", "t=2 symbol=AAPL side=sell qty=2"])
    >>> found.names, found.cells("t=3 symbol=MSFT side=buy")
    (['t', 'symbol', 'side', 'qty'], ['', '', '3', 'MSFT', 'buy', ''])
    >>> lines = ['INFO fill {"t": 1, "s": "A", "q": 0.10, "p": 2}'] * 2
    >>> log_pairs(lines).cells(lines[0])
    ['', 'INFO fill', '1', 'A', '0.10', '2']
    >>> log_pairs(["time,symbol,side,qty", "1,AAPL,buy,2"])
    """
    lines = [line for line in head if line.strip()]
    found = [_pairs(line) for line in lines]
    if not found or not (found[0] or _TIME.match(lines[0])):
        return None  # The first line names columns.
    many = [pairs for pairs in found if len(pairs) >= _LEAST_PAIRS]
    if len(many) < 2 or len(many) < _MOST_LINES * len(found):
        return None
    return LogPairs(dict.fromkeys(name for pairs in found for name in pairs))


def _pairs(line: str) -> dict[str, str]:
    if found := _OBJECT.search(line):
        try:
            told = json.loads(found[0], parse_float=str, parse_int=str)
        except (ValueError, RecursionError):
            return {}
        plain = {name: value for name, value in told.items() if not isinstance(value, (dict, list))}
        return {name: "" if own is None else str(own) for name, own in plain.items()}
    return {pair["name"]: pair["value"].strip("\"'") for pair in _PAIR.finditer(line)}
