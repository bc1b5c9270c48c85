"""What the columns of a table mean, as a mapping file says it; `mapping_file` reads one.

May touch: nothing.

    rows = "positions"                 # or "fills"
    timezone = "America/New_York"      # of times without an offset
    [columns]                          # field = column, or a table with how to read it
    exit_timestamp = {column = "closed", format = "%d.%m.%Y %H:%M"}
    roi = {column = "return_pct", scale = 0.01}
    [pattern]                          # action = template; {column} is what stands in the column
    entry = "{setup}.entry"
    [scope]                            # dimension = column, as known at the entry
    volatility = "volatility"
    [buckets]                          # column = fixed edges
    volatility = {edges = [12.5, 20.0], labels = ["low", "mid", "high"]}

docs/adapters.md describes each key.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from app.errors import ConfigurationError
from app.sources.mapping_places import did_you_mean, place_of

TIME_FIELDS = frozenset({"entry_timestamp", "exit_timestamp", "time"})
TEXT_FIELDS = frozenset(
    {
        "trade_id",
        "position_id",
        "symbol",
        "chain",
        "timeframe",
        "bucket",
        "account",
        "side",
        "fill_id",
        "currency",
        "fee_currency",
    }
    | {"open_close"}
)
SUMMARY_NUMBERS = (
    "rr",
    "roi",
    "pnl_usd",
    "entry_price",
    "exit_price",
    "hold_time_days",
    "time_to_payback_days",
    "max_drawdown",
    "max_gain",
    "fees_usd",
)
POSITION_FIELDS = frozenset(
    {
        "trade_id",
        "position_id",
        "symbol",
        "chain",
        "timeframe",
        "bucket",
        "side",
        "currency",
        "revision",
        "quantity",
        "multiplier",
    }
    | {"stake", "entry_timestamp", "exit_timestamp", *SUMMARY_NUMBERS}
)
FILL_FIELDS = frozenset(
    {
        "symbol",
        "chain",
        "timeframe",
        "bucket",
        "account",
        "side",
        "quantity",
        "price",
        "time",
        "fee",
        "fill_id",
        "currency",
        "multiplier",
    }
    | {"trade_id", "fee_currency", "gross", "net", "open_close", "pnl_usd"}
)
FIELDS = {"positions": POSITION_FIELDS, "fills": FILL_FIELDS}
REQUIRED = {"positions": ("exit_timestamp",), "fills": ("symbol", "quantity", "price", "time")}
CATEGORIES = {"positions": ("entry", "exit"), "fills": ("entry", "add", "trim", "exit")}
SIDES = ("buy", "sell", "close", "expiry", "split")
"""What `[sides]` can name words for; `app.sources.sides` has those that are known already."""
SHORTS = ("yes", "no", "said")
APOSTROPHES = ("thousands", "32nds")
PROFITS = ("gross", "net", "shown")
ACCEPT = "accept"
"""As `contradictions`: the file is read although figures in it that are not read contradict it."""
BASE = "base"
"""As a constant `fee_currency`: fees of purchases are in the coin that is bought, those of sales in
the quote currency."""
TRADED = "traded"
"""As a constant `fee_currency`: all fees are in the coin that is traded."""
OPEN_QUESTION = "?"
"""Stands in a draft where only the user knows; nothing is read until it is replaced."""
COMPOSED = ("any", "dm", "md")
"""Formats that are no strptime ones: any usual way to write a time, with the day or the month first
where both are numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """Where a field is and how it is read: `scale` multiplies numbers, `format` (strptime's, or one
    of `COMPOSED`) or `unit` (of a number since 1970) and `timezone` are for times.  With `more`
    columns, texts are joined and numbers added, those in `minus` deducted.  `option` is a column in
    which the contract of an option may stand, which then is the symbol; with `absolute` a number's
    sign does not count, with `coin` the symbol is the unit of an amount, with `cash` the side is
    the sign of an amount of money (below 0 where something was bought), with `paid` an amount there
    means that something was bought, none that it was sold, `per_unit` makes a price of an amount
    (and an amount of a fee for one unit), `money` means that a quantity is an amount of money at
    the price of the entry, `part` that it stands beside what was ordered (`50/100`), `rate` that a
    fee is a share of the fill's value, and `smallest` that it is in the smallest unit of its
    currency."""

    name: str
    scale: float | None = None
    format: str | None = None
    unit: str | None = None
    timezone: ZoneInfo | None = None
    more: tuple[str, ...] = ()
    option: str | None = None
    absolute: bool = False
    coin: bool = False
    cash: bool = False
    paid: bool = False
    per_unit: bool = False
    money: bool = False
    rate: bool = False
    smallest: bool = False
    part: bool = False
    minus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Buckets:
    """`labels[i]` is for numbers from `edges[i - 1]` (included) up to `edges[i]` (excluded);
    `scale` is that of the column's numbers."""

    edges: tuple[float, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A pattern key with columns in it: texts and column names take turns, beginning and ending
    with a text."""

    texts: tuple[str, ...]
    columns: tuple[str, ...]


class Split(NamedTuple):
    """From `day` (YYYY-MM-DD) on there are `factor` units for each one before."""

    day: str
    factor: Decimal


@dataclass(frozen=True, kw_only=True)
class TableMapping:
    """What the columns of a table mean.  `columns` are by field, `scope` and `exit_scope` give a
    column by dimension, `stated` are the keys that the file has; others have their defaults.
    `drafted` says that a draft wrote it."""

    path: str
    rows: str
    module: str | None
    delimiter: str | None
    encoding: str
    decimal: str
    timezone: ZoneInfo
    currency: str
    drawdown_floor: float
    columns: Mapping[str, Column]
    constants: Mapping[str, Any]
    pattern: Mapping[str, Template]
    scope: Mapping[str, str]
    exit_scope: Mapping[str, str]
    buckets: Mapping[str, Buckets]
    defaults: Mapping[str, str]
    sides: Mapping[str, str] = field(default_factory=dict)
    table: str | None = None
    profit: str | None = None
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leave_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    multipliers: Mapping[str, float] = field(default_factory=dict)
    inverse: tuple[str, ...] = ()
    shorts: str = "yes"
    contradictions: str | None = None
    bought_sold: bool = False
    hedged: bool = False
    apostrophe: str = "thousands"
    triangle: str | None = None
    newest_first: bool | None = None
    fill_down: tuple[str, ...] = ()
    splits: Mapping[str, tuple[Split, ...]] = field(default_factory=dict)
    drafted: bool = False
    stated: frozenset[str] = frozenset()

    def names(self) -> set[str]:
        """All columns that are named here."""
        return {name for _, _, name in self._named()}

    def is_inverse(self, symbol: str) -> bool:
        """Whether `inverse` names the symbol."""
        return any(fnmatch.fnmatchcase(symbol, pattern) for pattern in self.inverse)

    def check_columns(self, columns: Iterable[str], table: str) -> None:
        """Raises `ConfigurationError` for the first column that is named here and is not in
        `table`, with the nearest name there is."""
        there = tuple(columns)
        for section, key, name in self._named():
            if name not in there:
                raise ConfigurationError(
                    f"{place_of(self.path, section, key)} names the column {name!r}, which {table}"
                    " does not have.",
                    f"{did_you_mean(name, there)}Its columns are: {', '.join(there)}.",
                )

    def _named(self) -> Iterable[tuple[str, str, str]]:
        yield from (("columns", name, column.name) for name, column in self.columns.items())
        yield from (
            ("columns", name, other)
            for name, column in self.columns.items()
            for other in column.more
        )
        yield from (
            ("columns", name, column.option)
            for name, column in self.columns.items()
            if column.option
        )
        yield from (("", "fill_down", column) for column in self.fill_down)
        yield from (("keep", column, column) for column in self.keep)
        yield from (("leave_out", column, column) for column in self.leave_out)
        yield from (
            ("pattern", name, c)
            for name, template in self.pattern.items()
            for c in template.columns
        )
        yield from (("scope", name, column) for name, column in self.scope.items())
        yield from (("exit_scope", name, column) for name, column in self.exit_scope.items())
        yield from (("buckets", column, column) for column in self.buckets)
        yield from (("defaults", column, column) for column in self.defaults)
