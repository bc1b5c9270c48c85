"""Which columns are the times of a trade: with the time of day before bare days, and a day and a
time of day in two columns together.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.sources.column_names import NAMES
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Fields, Names, Spec
from app.sources.drafting.time_readings import zone_of_name
from app.sources.ends import end_of

_NO_FILL_TIME = re.compile(
    r"exp|^s_d$|settle|process|matur|entry|exit|open|clos|birth|valid|until"
    r"|valut|väärtus|liquida|расч[её]т|rozlicz|elszámol|vypořád|decontare|takas|受渡|결제"
    r"|^(buy|sell|bought|sold|purchase|acquisition)_(date|time)"
)

_CLOCKS = {"local", "utc", "gmt", "server", "et", "est", "edt", "ct", "cst", "broker", "exchange"}
"""Words for whose clock a time is of."""
_EAST_WORDS = re.compile("日期|日時|日时|時間|时间|時刻|时刻|日付|일자|일시|시간|시각")
"""Days and times in names that are written without gaps."""
_COMPOUND = re.compile(r"(?<=\w{3})s?(datum|zeit|uhrzeit|tijd|dag|dato|tid)$")
"""Days and times at the end of words that are written as one: `Ausstiegszeit`."""
_PLACED = frozenset(
    ("time", "timestamp", "datetime", "date", "created_at", "create_time", "created_time", "ctime",
     "order_time", "order_date", "created_date")
)  # fmt: skip
_UPDATED = frozenset(
    ("update_time", "updated_time", "updated_at", "last_update", "last_updated", "utime",
     "last_modified", "updatetime")
)  # fmt: skip
_KINDS = frozenset(
    ("limit", "market", "stop", "stop_limit", "stop_market", "limit_maker", "stop_loss",
     "stop_loss_limit", "take_profit", "take_profit_limit", "trailing_stop", "post_only", "ioc",
     "trailing_stop_market", "take_profit_market", "stop limit", "stop market")
)  # fmt: skip
"""Names of the times at which orders are placed and change, and kinds of orders."""
_MOST_KINDS = 15
_ENDS = {
    "opened": "open", "opening": "open", "closed": "close", "closing": "close",
    "entered": "entry", "enter": "entry", "exited": "exit",
}  # fmt: skip
"""Forms of words for the ends of a trade: `Date Opened` beside `Open Time`."""
_NO_TRADE_DAY = re.compile("exp|^s_d$|settle|matur|valid")
"""Of days on which nothing was traded."""


class TimeColumns:
    """Chooses the columns of a table whose columns are called `names`."""

    def __init__(self, contents: Contents, names: Names) -> None:
        self._contents = contents
        self._names = names

    def spec(self, name: str, used: set[str], candidates: Sequence[str]) -> Spec | None:
        """The column with a time of day before the one with a bare day; a day and a time of day in
        two columns are put together."""
        c = self._contents
        found = [
            column
            for column in dict.fromkeys(candidates)
            if column not in used and c.time(column) is not None
        ]
        exact = [column for column in found if self._names[column] in NAMES[name]]
        found = exact or found
        if not found and name == "time":
            # The only time there is, whatever it is called.
            others = [
                column
                for column in c.time_columns
                if column not in used
                and not _NO_FILL_TIME.search(self._names[column])
                and end_of(self._names[column]) is None
            ]
            found = others if len(others) == 1 else []
        if not found:
            return self._clock_alone(candidates)
        full = [
            column
            for column in found
            if (t := c.time(column)) is not None
            and t.has_clock
            and len(c.values(column)) * 2 >= c.n_rows
        ]
        if full and name == "time":
            # What was filled in part and then cancelled may have no time of its end.
            full.sort(key=lambda column: len(c.values(column)) < c.n_rows)
            full[:0] = self._of_updates(full[:1])
        if full:
            return self._time_spec([self._with_zone(full)])
        return self.time_of(found[0], used)

    def _of_updates(self, first: Sequence[str]) -> list[str]:
        """Of orders that have no time of a fill, the time of their last change: the `first` is that
        at which they were placed."""
        if not first or self._names[first[0]] not in _PLACED or not self._are_orders():
            return []
        return [
            column
            for column in self._contents.time_columns
            if self._names[column] in _UPDATED
            and len(self._contents.values(column)) == self._contents.n_rows
        ][:1]

    def _are_orders(self) -> bool:
        """Whether there are a column of their states and one of their kinds."""
        words = {
            column: {word.strip().lower() for word in self._contents.words(column)}
            for column in self._contents.columns
            if len(self._contents.words(column)) <= _MOST_KINDS
        }
        states = any(own & {"filled", "closed", "done"} for own in words.values())
        return states and any(own and own <= _KINDS for own in words.values())

    def _with_zone(self, columns: Sequence[str]) -> str:
        """The first column, or another one that is called the same but for its zone, and names
        that or has offsets in its cells."""

        def words(column: str) -> set[str]:
            return set(self._names[column].split("_")) - _CLOCKS

        def is_told(column: str) -> bool:
            reading = self._contents.time(column)
            return zone_of_name(column) is not None or bool(reading and reading.has_offset)

        first = columns[0]
        if is_told(first):
            return first
        return next((c for c in columns if is_told(c) and words(c) == words(first)), first)

    def _clock_alone(self, candidates: Sequence[str]) -> Spec | None:
        """The time of day of the field, with the only day that the table has."""
        clocks = [c for c in candidates if self._contents.is_clock(c)]
        days = [
            column
            for column in self._contents.time_columns
            if (t := self._contents.time(column)) is not None
            and not t.has_clock
            and not _NO_TRADE_DAY.search(self._names[column])
        ]
        return self._time_spec([days[0], clocks[0]]) if clocks and len(days) == 1 else None

    def time_of(self, day: str, used: Iterable[str] = ()) -> Spec | None:
        """A day, with the time of day in another column where there is one."""
        clock = self._clock_of(day, set(used))
        return self._time_spec([day, clock] if clock else [day])

    def _clock_of(self, day: str, used: set[str]) -> str | None:
        clocks = [
            column
            for column in self._contents.columns
            if column not in used and self._contents.is_clock(column)
        ]
        stem = self._stem(day)
        same = [column for column in clocks if self._stem(column) == stem]
        if same:
            return same[0]
        order = list(self._contents.columns)
        behind = order[order.index(day) + 1 : order.index(day) + 2]
        if behind and behind[0] in clocks and not self._stem(behind[0]):
            return behind[0]
        return (
            clocks[0]
            if len(clocks) == 1 and not stem & {"entry", "exit", "open", "close"}
            else None
        )

    def _stem(self, column: str) -> set[str]:
        name = _EAST_WORDS.sub("", self._names[column])
        words = (_COMPOUND.sub("", word) for word in name.split("_"))
        return {_ENDS.get(word, word) for word in words} - {
            "",
            "date",
            "time",
            "day",
            "datum",
            "zeit",
            "uhrzeit",
            "heure",
            "schlusstag",
            "schlusszeit",
            "de",
            "d",
            "of",
            "hour",
            "fecha",
            "hora",
            "data",
            "ora",
            "trade",
            "execution",
            "exec",
        }

    def _time_spec(self, columns: list[str]) -> Spec | None:
        c = self._contents
        halves = [column for column in c.columns if c.is_half(column)]
        if len(halves) == 1:
            day = c.time(columns[0])
            if len(columns) > 1 or (day is not None and day.has_clock):
                with_half = c.joined(*columns, halves[0])
                if with_half is not None:
                    return Spec([*columns, halves[0]], dict(with_half.keys))
        reading = c.time(columns[0]) if len(columns) == 1 else c.joined(*columns)
        return None if reading is None else Spec(columns, dict(reading.keys))

    def twofold(self, found: Fields) -> None:
        """Two columns of one name: of the time and the price of positions the first is the entry's,
        the second the exit's."""
        c = self._contents
        pairs = [(column, f"{column} (2)") for column in c.columns if f"{column} (2)" in c.columns]
        times = [
            pair for pair in pairs if c.time(pair[0]) is not None and c.time(pair[1]) is not None
        ]
        prices = [
            pair
            for pair in pairs
            if c.is_numeric(pair[0])
            and c.is_numeric(pair[1])
            and self._names[pair[0]] in NAMES["price"]
        ]
        if prices and all(c.numbers(a) == c.numbers(b) for a, b in prices):
            return  # Each fill says the same twice.
        if times:
            clocks = [pair for pair in pairs if all(map(c.is_clock, pair))]
            joined = [*zip(*times[0:1], *clocks[0:1], strict=True)]
            for name, columns in zip(("entry_timestamp", "exit_timestamp"), joined, strict=True):
                day = c.time(columns[0])
                own = columns if day is not None and not day.has_clock else columns[:1]
                if (spec := self._time_spec(list(own))) is not None:
                    found[name] = spec
        if prices and (times or {"entry_timestamp", "exit_timestamp"} <= found.keys()):
            found["entry_price"], found["exit_price"] = Spec([prices[0][0]]), Spec([prices[0][1]])
