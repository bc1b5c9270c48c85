"""What was known at the entry: the pattern of a table's trades and the dimensions of their scope,
with edges of buckets.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.sources.column_names import AFTERWARDS, PATTERNS, REASONS, folded
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided

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
        if name in ("symbol", "side", "timeframe", "bucket", "chain") and len(spec.columns) == 1
    }
    if decided.two_rows:
        named = {column: name for column, name in named.items() if name != "side"}
    for column in contents.columns:
        if (column in decided.used() and column not in named) or column in in_pattern:
            continue
        distinct = len(contents.words(column))
        if distinct < 2:
            found.left_out[column] = (
                "it is empty" if not contents.values(column) else "it is constant"
            )
        elif _OUTCOMES & {word.strip().lower() for word in contents.words(column)}:
            found.left_out[column] = "it says how the trade ended"
        elif AFTERWARDS.search(column.lower()) and column not in named:
            found.left_out[column] = "its name suggests that it is known only after the entry"
        elif contents.time(column) is not None or contents.is_clock(column):
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


def _edges(contents: Contents, column: str) -> list[float]:
    """Distinct quantiles of the column's numbers, rounded to three significant digits."""
    numbers = contents.read_numbers(column)
    quantiles = np.quantile(numbers, [i / _N_BUCKETS for i in range(1, _N_BUCKETS)])
    return sorted({float(f"{edge:.3g}") for edge in quantiles.tolist()} - {float(min(numbers))})
