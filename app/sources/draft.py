"""A first mapping for a table, guessed from its columns and their contents, with every quantile edge worked out and fixed in it.

May touch: the table (read only).  `draft` returns text; whoever asks for it writes the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from app.errors import BadDataError
from app.sources.cells import parse_number, parse_time
from app.sources.column_names import AFTERWARDS, FORMATS, NAMES, PATTERNS, REASONS, folded
from app.sources.making import UNITS, is_time
from app.sources.mapping import SIDES, Column
from app.sources.tables import UTF_8, encoding_of, table

ROWS_READ = 200_000
"""Rows from which a draft is made; the quantiles of more than these would hardly differ."""

_POSITIONS = (
    "exit_timestamp", "entry_timestamp", "trade_id", "symbol", "side", "rr", "roi", "pnl_usd", "max_drawdown", "max_gain", "entry_price",
    "exit_price", "quantity", "fees_usd", "hold_time_days", "timeframe", "bucket", "chain", "currency", "revision", "multiplier",
)  # fmt: skip
_FILLS = (
    "time",
    "symbol",
    "side",
    "quantity",
    "price",
    "fee",
    "fill_id",
    "account",
    "timeframe",
    "bucket",
    "chain",
    "currency",
    "multiplier",
)
_TIMES = frozenset({"entry_timestamp", "exit_timestamp", "time"})
_NUMBERS = frozenset(
    {"rr", "roi", "pnl_usd", "max_drawdown", "max_gain", "entry_price", "exit_price", "quantity", "fees_usd", "hold_time_days", "price"}
    | {"fee", "multiplier", "revision"}
)
_FRACTIONS = ("roi", "max_drawdown", "max_gain")
_LABELS = {1: ("low", "high"), 2: ("low", "mid", "high")}
"""Labels by the number of edges."""
_N_BUCKETS = 3
_UTC = ZoneInfo("UTC")
_EPOCH = re.compile(r"\d{9,20}(\.\d+)?")
_MOST = 0.75
"""Share of a column's cells that have to be readable as what it is taken for; the others will be dead letters with their line."""
_MOST_VALUES = 40
"""A text column with more values than this says too little about each of them to be a dimension."""


@dataclass
class Drafted:
    """The mapping's text, what was guessed, and what is left to decide, each a sentence."""

    text: str
    guessed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def draft(path: str, name: str) -> Drafted:
    """A mapping of the table at `path`; `name` is what the mapping calls it.

    Raises `BadDataError` if there is no row, or no column that could be the time of a close (or of a fill).
    """
    encoding = encoding_of(path)
    with table(path, encoding=encoding) as found:
        columns = found.columns
        values: dict[str, list[Any]] = {column: [] for column in columns}
        n_rows = 0
        for row in islice(found.rows, ROWS_READ):
            n_rows += 1
            for column in columns:
                value = row.cells.get(column)
                value = value.strip() if isinstance(value, str) else value
                if value is not None and value != "":
                    values[column].append(value)
    if not n_rows:
        raise BadDataError(f"{path} has no row.", "The first line names the columns; at least one row has to follow.")
    return _Drafter(path, name, encoding, columns, values, n_rows).draft()


class _Drafter:
    def __init__(self, path: str, name: str, encoding: str, columns: Sequence[str], values: dict[str, list[Any]], n_rows: int) -> None:
        self._path, self._name, self._encoding = path, name, encoding
        self._columns, self._values, self._n_rows = columns, values, n_rows
        self._decimal = self._decimal_mark()
        self._read: dict[str, list[float]] = {}
        self._guessed: list[str] = []
        self._left: list[str] = []

    def draft(self) -> Drafted:
        fields, rows = self._fields()
        used = set(fields.values())
        pattern, in_pattern = self._pattern(rows, used)
        empty = [column for column in self._columns if column in in_pattern and len(self._values[column]) < self._n_rows]
        scope, buckets, left_out = self._scope(fields, in_pattern)
        lines = list(self._text(rows, fields, pattern, empty, scope, buckets, left_out))
        return Drafted("\n".join(lines) + "\n", self._guessed, self._left)

    def _fields(self) -> tuple[dict[str, str], str]:
        """(column by field, what a row is): what can be read as closed positions is, the rest as fills."""
        as_positions, as_fills = self._match(_POSITIONS), self._match(_FILLS)
        if "exit_timestamp" in as_positions:
            return as_positions, "positions"
        if {"time", "quantity", "price"} <= as_fills.keys() and as_fills.keys() & {"symbol", "side"}:
            return as_fills, "fills"
        times = [column for column in self._columns if self._time(column) is not None]
        if not times:
            raise BadDataError(
                f"No column of {self._path} looks like the time of a close: its columns are {', '.join(self._columns)}.",
                "Write the mapping by hand; docs/adapters.md has one to begin with.",
            )
        self._left.append(f"Which column is the time of the close: {times[-1]} was taken.")
        return {"exit_timestamp": times[-1], **{f: c for f, c in as_positions.items() if c != times[-1]}}, "positions"

    def _match(self, fields: Sequence[str]) -> dict[str, str]:
        by_name: dict[str, str] = {}
        for column in self._columns:
            by_name.setdefault(folded(column), column)
        found: dict[str, str] = {}
        for name in fields:
            for candidate in (*NAMES[name], *(NAMES["pnl_usd"] if name == "roi" else ())):
                there = by_name.get(candidate)
                if (
                    name in ("roi", "pnl_usd")
                    and there is not None
                    and candidate in NAMES["pnl_usd"]
                    and self._has_signs(there) != (name == "roi")
                ):
                    continue  # A profit in percent is a return.
                if there is not None and there not in found.values() and self._fits(name, there):
                    found[name] = there
                    break
        return found

    def _fits(self, name: str, column: str) -> bool:
        """Whether what stands in the column can be what the field asks for."""
        values = self._values[column]
        if not values:
            return False
        if name in _TIMES:
            return self._time(column) is not None
        if name in _NUMBERS:
            return self._is_numeric(column)
        if name == "side":
            known = {word for words in SIDES.values() for word in words}
            return all(str(v).lower() in known or str(v).lower().partition(" ")[0] in known for v in set(map(str, values)))
        if name in ("trade_id", "fill_id"):
            return len(set(map(str, values))) == self._n_rows
        return True

    def _decimal_mark(self) -> str:
        """`,` where numbers are written as `1.234,5`."""
        texts = [v for values in self._values.values() for v in values[:50] if isinstance(v, str)]
        comma = sum(bool(re.fullmatch(r"-?[\d.]*\d,\d+ ?%?", text)) and not re.fullmatch(r"-?\d{1,3}(,\d{3})+", text) for text in texts)
        point = sum(bool(re.fullmatch(r"-?[\d,]*\d\.\d+ ?%?", text)) for text in texts)
        return "," if comma > point else "."

    def _numbers(self, column: str) -> list[float]:
        if column not in self._read:
            self._read[column] = self._parsed(column)
        return self._read[column]

    def _parsed(self, column: str) -> list[float]:
        parsed = (parse_number(v, self._decimal) for v in self._values[column])
        return [float(v) for v in parsed if type(v) in (int, float)]

    def _is_numeric(self, column: str) -> bool:
        values = self._values[column]
        return (
            bool(values)
            and not any(isinstance(v, (bool, datetime, date)) for v in values[:5])
            and len(self._numbers(column)) >= _MOST * len(values)
        )

    def _time(self, column: str) -> dict[str, str] | None:
        """How to read the column as times (`{}`: as it is), None if it holds none."""
        values = [*self._values[column][:300], *self._values[column][-300:]]
        if not values:
            return None
        if all(isinstance(v, (datetime, date)) for v in values):
            return {}
        texts = [str(v) for v in values]
        if all(_EPOCH.fullmatch(text) for text in texts):
            middle = float(np.median([float(text) for text in texts]))
            units = [unit for unit, us in UNITS.items() if 3e14 < middle * us < 4e15]  # 1979 to 2096
            return {"unit": units[0]} if units else None
        for how in ({}, *({"format": text} for text in FORMATS)):
            reading = Column(column, format=how.get("format"))
            if sum(is_time(parse_time(v, reading, _UTC)) for v in values) >= _MOST * len(values):
                return how
        return None

    def _pattern(self, rows: str, used: set[str]) -> tuple[dict[str, str], set[str]]:
        """(template by category, columns in it)."""
        by_name = {folded(column): column for column in self._columns if column not in used}
        names = [by_name[name] for name in PATTERNS if name in by_name and self._values[by_name[name]]][:2]
        names.sort(key=self._columns.index)
        stem = ".".join(f"{{{name}}}" for name in names) or "trades"
        if names:
            self._guessed.append(f"The pattern is {' and '.join(names)}.")
        else:
            self._left.append("Which column says what kind of trade it was (setup, strategy): all rows are one pattern, `trades`.")
        reason = next((by_name[name] for name in REASONS if name in by_name and self._values[by_name[name]]), None)
        if rows == "fills":
            return {category: f"{stem}.{category}" for category in ("entry", "add", "trim", "exit")}, set(names)
        exits = f"{stem}.{{{reason}}}" if reason else f"{stem}.exit"
        if reason:
            self._guessed.append(f"Exits are told apart by {reason}.")
        return {"entry": f"{stem}.entry", "exit": exits}, {*names, *([reason] if reason else [])}

    def _scope(
        self, fields: dict[str, str], in_pattern: set[str]
    ) -> tuple[dict[str, str], dict[str, tuple[list[float], tuple[str, ...]]], dict[str, str]]:
        """(column by dimension, edges and labels by column, why by column that was left out)."""
        scope: dict[str, str] = {}
        buckets: dict[str, tuple[list[float], tuple[str, ...]]] = {}
        left_out: dict[str, str] = {}
        named = {column: name for name, column in fields.items() if name in ("symbol", "side", "timeframe", "bucket", "chain")}
        for column in self._columns:
            if (column in fields.values() and column not in named) or column in in_pattern:
                continue
            values = self._values[column]
            distinct = len(set(map(str, values)))
            if distinct < 2:
                left_out[column] = "it is empty" if not values else "it is always the same"
            elif AFTERWARDS.search(column.lower()):
                left_out[column] = "by its name it may be known only after the entry"
            elif self._time(column) is not None:
                left_out[column] = "it is a time"
            elif self._is_numeric(column) and distinct > 8:
                edges = self._edges(column)
                if edges:
                    scope[named.get(column, folded(column))] = column
                    buckets[column] = (edges, _LABELS[len(edges)])
                else:
                    left_out[column] = "nearly all of its numbers are the same"
            elif distinct > min(_MOST_VALUES, max(2, self._n_rows // 10)):
                left_out[column] = f"it has {distinct:,} different values"
            else:
                scope[named.get(column, folded(column))] = column
        if not scope:
            self._left.append("What was known at the entry: no column was taken as a dimension of the scope.")
        return scope, buckets, left_out

    def _edges(self, column: str) -> list[float]:
        """Quantiles of the column's numbers, rounded to three significant digits, without repetitions."""
        quantiles = np.quantile(self._numbers(column), [i / _N_BUCKETS for i in range(1, _N_BUCKETS)])
        return sorted({float(f"{edge:.3g}") for edge in quantiles.tolist()} - {float(min(self._numbers(column)))})

    def _column_text(self, name: str, column: str) -> tuple[str, str]:
        """(the field's value in TOML, a comment)."""
        extra: dict[str, str] = {}
        comment = ""
        if name in _TIMES:
            extra = {key: f'"{value}"' for key, value in (self._time(column) or {}).items()}
            if "format" in extra and ("%m/%d" in extra["format"] or "%d/%m" in extra["format"]):
                comment = "day and month may be the other way round"
                self._left.append(f"Whether day and month are the right way round in {column}.")
        elif name in _FRACTIONS and self._is_percentage(column):
            extra["scale"], comment = "0.01", "taken as percent: leave the scale out if 0.05 is five percent"
            self._left.append(f"Whether {column} is in percent: it was taken so, since its numbers are that large.")
        elif name == "fee" and sum(n < 0 for n in self._numbers(column)) > len(self._values[column]) / 2:
            extra["scale"], comment = "-1", "what is paid is negative in this table"
        if name == "pnl_usd":
            comment = 'in US dollars; if not, set currency = "EUR" or the like above'
        if not extra:
            return _quoted(column), comment
        return "{column = " + _quoted(column) + "".join(f", {key} = {value}" for key, value in extra.items()) + "}", comment

    def _has_signs(self, column: str) -> bool:
        """Whether percent signs stand in the cells."""
        return any(isinstance(v, str) and v.rstrip(") ").endswith("%") for v in self._values[column][:50])

    def _is_percentage(self, column: str) -> bool:
        """Whether returns look like percents: half of them are above 0.5 (0.1 if the column says so), and no % stands in the cells."""
        if self._has_signs(column):
            return False
        named = bool(re.search(r"pct|percent|%", column.lower()))
        median = float(np.median(np.abs(self._numbers(column))))
        return median > (0.1 if named else 0.5)

    def _text(
        self,
        rows: str,
        fields: dict[str, str],
        pattern: dict[str, str],
        empty: list[str],
        scope: dict[str, str],
        buckets: dict[str, tuple[list[float], tuple[str, ...]]],
        left_out: dict[str, str],
    ) -> Iterator[str]:
        yield f"# What the columns of {self._name} mean, guessed from {self._n_rows:,} rows.  Read it, correct it, keep it with the table."
        yield "# docs/adapters.md describes each key."
        yield ""
        what = (
            "each row is a closed position" if rows == "positions" else "each row is a fill; positions are made of them first in, first out"
        )
        yield f'rows = "{rows}"  # {what}'
        yield 'module = "pm"'
        if self._decimal == ",":
            yield 'decimal = ","'
        if self._encoding != UTF_8:
            yield f'encoding = "{self._encoding}"'
            self._left.append(f"Whether letters beyond English read well: the file is not UTF-8, and was read as {self._encoding}.")
        naive = [c for f, c in fields.items() if f in _TIMES and self._is_naive(c)]
        yield f'timezone = "UTC"  # of times without an offset{", such as those of " + " and ".join(naive) if naive else ""}'
        if naive:
            self._left.append(f"The time zone of {' and '.join(naive)}: they have no offset and are read as UTC.")
        yield ""
        yield "[columns]  # field of position_closed = column"
        for name, column in fields.items():
            value, comment = self._column_text(name, column)
            yield f"{name} = {value}" + (f"  # {comment}" if comment else "")
        self._guessed.append("Columns: " + ", ".join(f"{name} is {column}" for name, column in fields.items()) + ".")
        if rows == "fills" and "symbol" not in fields:
            yield ""
            yield "[constants]  # field = value"
            yield 'symbol = "none"  # no column says what was traded'
            self._left.append("What was traded: no column says it, so all fills are of one symbol.")
        yield ""
        yield "[pattern]  # what kind of action it is; {column} is what stands in the column"
        yield from (f"{category} = {_quoted(template)}" for category, template in pattern.items())
        if empty:
            yield ""
            yield "[defaults]  # what an empty cell of the column is taken for"
            yield from (f'{_bare(column)} = "none"' for column in empty)
        yield ""
        yield "[scope]  # dimension = column, as it was known at the entry.  Nothing that was known only afterwards"
        yield from (f"{_bare(dimension)} = {_quoted(column)}" for dimension, column in scope.items())
        for column, why in left_out.items():
            yield f"# {folded(column)} = {_quoted(column)}  # left out: {why}"
        if scope:
            self._guessed.append(f"Known at the entry: {', '.join(scope)}.")
        if left_out:
            self._guessed.append("Left out of the scope: " + "; ".join(f"{column}, {why}" for column, why in left_out.items()) + ".")
        if buckets:
            yield ""
            yield f"[buckets]  # edges between labels: quantiles of these {self._n_rows:,} rows, fixed so that a label keeps its meaning"
            for column, (edges, labels) in buckets.items():
                yield f"{_bare(column)} = {{edges = [{', '.join(map(repr, edges))}], labels = [{', '.join(map(_quoted, labels))}]}}"
        if rows == "positions":
            self._check_outcome(fields)

    def _is_naive(self, column: str) -> bool:
        how = self._time(column)
        if how is None or "unit" in how:
            return False
        first = self._values[column][0]
        if isinstance(first, datetime):
            return first.tzinfo is None
        return isinstance(first, date) or "format" in how or datetime.fromisoformat(str(first)).tzinfo is None

    def _check_outcome(self, fields: dict[str, str]) -> None:
        has_prices = {"entry_price", "exit_price"} <= fields.keys()
        outcomes = [name for name in ("rr", "roi", "pnl_usd") if name in fields]
        if not outcomes and not has_prices:
            self._left.append(
                "What the trades earned: no column was taken for a return, a profit or two prices, and without one nothing is learned."
            )
        elif not outcomes:
            self._guessed.append("The return is worked out from the two prices.")
        if "rr" not in fields and "max_drawdown" in fields and ("roi" in fields or has_prices):
            self._guessed.append("rr is the return over the drawdown.")


def _quoted(text: str) -> str:
    """A TOML text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def _bare(name: str) -> str:
    """A TOML key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)
