"""What was known at the entry: the pattern of a table's trades and the dimensions of their scope,
with edges of buckets.

May touch: nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from app.sources.column_names import AFTERWARDS, NAMES, PATTERNS, REASONS, folded, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.ends import end_of

_LABELS = {1: ("low", "high"), 2: ("low", "mid", "high")}
"""Labels by the number of edges."""
_NUMBERING = frozenset(
    [
        "id",
        "ids",
        "orderid",
        "ticket",
        "order",
        "ref",
        "reference",
        "number",
        "no",
        "nr",
        "uid",
        "txid",
        "hash",
        "bar",
    ]
)
_OUTCOMES = frozenset(["win", "loss", "winner", "loser", "won", "lost", "breakeven"])
_ENDINGS = re.compile(
    r"sl|tp\d?|stop.?loss|take.?profit|stop.?out"
    r"|(sl|tp|stop|target|stop.?loss|take.?profit)[ _](hit|reached)"
    r"|margin.?call|(auto.?|partial.?)?liquidat(ion|ed)|bust(.?trade)?|trailing.?stop|time.?(exit|out)"
    r"|hit.?(stop|target)|early.?stop|stopped(.?out)?",
    re.IGNORECASE,
)
"""Words in cells for how a position ended."""
_OF_EXITS = ("rr", "roi", "pnl_usd", "max_drawdown", "max_gain", "hold_time_days")
_LATER = {
    "positions": frozenset(
        name
        for field in (*_OF_EXITS, "exit_price", "exit_timestamp", "gross", "net")
        for name in NAMES[field]
    )
    - {"amount", "cost", "value", "principal", "notional"},
    "fills": frozenset(name for field in _OF_EXITS for name in NAMES[field]),
}
"""Names of columns that are known only when a trade ends, by what a row is."""
_FEW, _FEW_WORDS = 6, 3
"""Minimum number of rows, and limits of words and of rows per word, for comparing a column with
profits."""
_TOGETHER = 0.8
"""Rank correlation from which a column follows the profits."""
_N_BUCKETS = 3
_MOST_VALUES = 40
"""Maximum number of values of a text column that becomes a dimension."""


@dataclass
class Scoped:
    """Template by category, the columns in it that have empty cells, column by dimension, edges and
    labels by column, and by column why it was left out."""

    pattern: dict[str, str] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    scope: dict[str, str] = field(default_factory=dict)
    buckets: dict[str, tuple[list[float], tuple[str, ...]]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def scoped(contents: Contents, decided: Decided) -> Scoped:
    """The pattern and the scope of the kept rows; what was guessed is added to `decided`."""
    found = Scoped()
    in_pattern = _pattern(contents, decided, found)
    found.empty = [
        column
        for column in contents.columns
        if column in in_pattern and len(contents.values(column)) < contents.n_rows
    ]
    _scope(contents, decided, found, in_pattern)
    return found


def _pattern(contents: Contents, decided: Decided, found: Scoped) -> set[str]:
    """The columns in the pattern."""
    used = decided.used()
    by_name = {folded(column): column for column in contents.columns if column not in used}
    names = [
        by_name[name] for name in PATTERNS if name in by_name and contents.values(by_name[name])
    ][:2]
    names.sort(key=contents.columns.index)
    stem = ".".join(f"{{{name}}}" for name in names) or "trades"
    if names:
        decided.guessed.append(f"The pattern is {' and '.join(names)}.")
    else:
        decided.left.append(
            "Which column has the kind of trade (setup, strategy): all rows are one pattern,"
            " `trades`."
        )
    reason = next(
        (by_name[name] for name in REASONS if name in by_name and contents.values(by_name[name])),
        None,
    )
    if decided.rows == "fills":
        found.pattern = {
            category: f"{stem}.{category}" for category in ("entry", "add", "trim", "exit")
        }
        return set(names)
    if reason:
        decided.guessed.append(f"Exits are distinguished by {reason}.")
    found.pattern = {
        "entry": f"{stem}.entry",
        "exit": f"{stem}.{{{reason}}}" if reason else f"{stem}.exit",
    }
    return {*names, *([reason] if reason else [])}


def _scope(contents: Contents, decided: Decided, found: Scoped, in_pattern: set[str]) -> None:
    named = {
        spec.column: name
        for name, spec in decided.fields.items()
        if name in ("symbol", "side", "timeframe", "bucket", "chain")
        and len(spec.columns) == 1
        and not {"cash", "paid"} & spec.keys.keys()  # Amounts, each another one.
    }
    if decided.two_rows:
        named = {column: name for column, name in named.items() if name != "side"}
    profits = _profits(contents, decided)
    for column in contents.columns:
        if (column in decided.used() and column not in named) or column in in_pattern:
            continue
        distinct = len(contents.words(column))
        if distinct < 2:
            found.left_out[column] = (
                "it is empty" if not contents.values(column) else "it is constant"
            )
        elif _OUTCOMES & {word.strip().lower() for word in contents.words(column)} or (
            decided.rows == "positions"
            and column not in named
            and any(_ENDINGS.fullmatch(word.strip()) for word in contents.words(column))
        ):
            found.left_out[column] = "it says how the trade ended"
        elif column not in named and (
            AFTERWARDS.search(column.lower())
            or known_as(column) in _LATER[decided.rows]
            or (decided.rows == "positions" and end_of(known_as(column)) == "exit")
        ):
            found.left_out[column] = "its name suggests that it is known only after the entry"
        elif column not in named and _follows(contents, column, profits):
            found.left_out[column] = "it follows the profit, so it was known only after the entry"
        elif (
            contents.time(column) is not None
            or contents.is_clock(column)
            or contents.is_span(column)
        ):
            found.left_out[column] = "it is a time"
        elif _NUMBERING & set(folded(column).split("_")) and distinct * 2 > len(
            contents.values(column)
        ):
            found.left_out[column] = "it numbers the rows"
        elif contents.is_numeric(column) and distinct > 8:
            if edges := _edges(contents, column):
                found.scope[named.get(column, folded(column))] = column
                found.buckets[column] = (edges, _LABELS[len(edges)])
            else:
                found.left_out[column] = "nearly all of its numbers are equal"
        elif distinct > min(_MOST_VALUES, max(2, contents.n_rows // 10)):
            found.left_out[column] = f"it has {distinct:,} different values"
        else:
            found.scope[named.get(column, folded(column))] = column
    if not found.scope:
        decided.left.append(
            "What was known at the entry: no column became a dimension of the scope."
        )
    else:
        decided.guessed.append(f"Known at the entry: {', '.join(found.scope)}.")
    if found.left_out:
        shown = "; ".join(f"{column}, {why}" for column, why in found.left_out.items())
        decided.guessed.append(f"Left out of the scope: {shown}.")


def _profits(contents: Contents, decided: Decided) -> list[float | None]:
    """The result of each closed position, in any unit; empty for fills and if no column has it."""
    for name in ("roi", "pnl_usd", "rr"):
        if (
            decided.rows == "positions"
            and name in decided.fields
            and decided.fields[name].column in contents.columns
        ):
            return contents.numbers(decided.fields[name].column)
    return []


def _follows(contents: Contents, column: str, profits: list[float | None]) -> bool:
    """Whether the column rises and falls with the profits, or has few words whose profits each have
    one sign."""
    if contents.is_numeric(column):
        both = [
            (n, p)
            for n, p in zip(contents.numbers(column), profits, strict=False)
            if n is not None and p is not None
        ]
        numbers, made = zip(*both, strict=True) if both else ((), ())
        if len(both) < _FEW or len(set(numbers)) <= 2 or len(set(made)) <= 2:
            return False
        ranks = [np.unique(one, return_inverse=True)[1].astype(float) for one in (numbers, made)]
        return bool(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]) >= _TOGETHER)
    signs: dict[str, list[bool]] = {}
    for value, profit in zip(contents.cells(column), profits, strict=False):
        if value is not None and profit:
            signs.setdefault(str(value), []).append(profit > 0)
    return (
        2 <= len(signs) <= _FEW_WORDS
        and all(len(own) >= _FEW_WORDS and len(set(own)) == 1 for own in signs.values())
        and len({own[0] for own in signs.values()}) == 2
    )


def _edges(contents: Contents, column: str) -> list[float]:
    """Distinct quantiles of the column's numbers, rounded to three significant digits."""
    numbers = contents.read_numbers(column)
    quantiles = np.quantile(numbers, [i / _N_BUCKETS for i in range(1, _N_BUCKETS)])
    return sorted({float(f"{edge:.3g}") for edge in quantiles.tolist()} - {float(min(numbers))})
