"""What a mapping file says of one column, checked; every complaint names the key and its line.

May touch: the mapping file (read only).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.errors import ConfigurationError
from app.sources import making
from app.sources.making import UNITS
from app.sources.mapping import TEXT_FIELDS, TIME_FIELDS, Column
from app.sources.mapping_places import did_you_mean, place_of

_OWNERS = {
    "cash": ("side",),
    "paid": ("side",),
    "per_unit": ("price", "entry_price", "exit_price", "fee", "fees_usd"),
    "money": ("quantity",),
    "rate": ("fee", "fees_usd"),
    "smallest": ("fee",),
    "part": ("quantity",),
    "minus": ("fee", "fees_usd", "pnl_usd"),
}
"""The fields that can have a key."""


class Checks:
    """Checks values of the mapping file at `path`; every complaint goes through `_wrong`."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _wrong(
        self,
        section: str,
        key: str,
        what: str,
        remedy: str = "docs/adapters.md describes each key.",
    ) -> NoReturn:
        raise ConfigurationError(f"{place_of(self._path, section, key)} {what}", remedy)

    def _known(self, section: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
        for name in given:
            if name not in known:
                self._wrong(
                    section,
                    name,
                    "is not a key of a mapping.",
                    f"{did_you_mean(name, known)}Known keys: {', '.join(sorted(known))}.",
                )

    def _known_inside(
        self, section: str, key: str, given: Mapping[str, Any], known: Iterable[str]
    ) -> None:
        for name in given:
            if name not in known:
                self._wrong(
                    section,
                    key,
                    f"has {name!r}, which is not allowed there.",
                    f"Allowed: {', '.join(known)}.",
                )

    def _text_list(self, section: str, key: str, given: Any) -> list[str]:
        if not isinstance(given, list) or any(not isinstance(text, str) for text in given):
            self._wrong(section, key, 'must be a list of strings such as ["Filled"].')
        return given

    def _zone(self, section: str, key: str, name: Any) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
            self._wrong(
                section,
                key,
                f"has {name!r}, which is not a time zone.",
                "Examples: UTC, Europe/Berlin.",
            )

    def _positive(self, section: str, key: str, value: Any) -> float:
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not 0 < value < math.inf
        ):
            self._wrong(section, key, f"has {value!r} where a number above 0 is expected.")
        return float(value)

    def _scale(self, name: str, value: Any) -> float:
        if type(value) not in (int, float) or not math.isfinite(value) or value == 0:
            self._wrong(
                "columns", name, f"has the scale {value!r}; expected a number other than 0."
            )
        return float(value)


class ColumnReader(Checks):
    """Reads the entries of `[columns]`."""

    def _column(self, name: str, given: Any) -> Column:
        if isinstance(given, str):
            return Column(given)
        several = given.get("columns") if isinstance(given, dict) else None
        if several is not None and not (
            isinstance(several, list) and several and all(isinstance(c, str) for c in several)
        ):
            self._wrong(
                "columns",
                name,
                'has columns, which must be a list of names such as ["Date", "Time"].',
            )
        if not isinstance(given, dict) or not (isinstance(given.get("column"), str) or several):
            self._wrong(
                "columns",
                name,
                'must be the name of a column, or a table such as {column = "closed", format ='
                ' "%d.%m.%Y"}.',
            )
        self._known_inside(
            "columns",
            name,
            given,
            (
                "column",
                "columns",
                "scale",
                "format",
                "unit",
                "timezone",
                "option",
                "absolute",
                "coin",
                "cash",
                "paid",
                "per_unit",
                "money",
                "rate",
                "smallest",
                "part",
                "minus",
            ),
        )
        if "option" in given and (name != "symbol" or not isinstance(given["option"], str)):
            self._wrong(
                "columns",
                name,
                "has option, which only a symbol can have: the column with the contract of an"
                " option.",
            )
        for key, owners in _OWNERS.items():
            if key in given and name not in owners:
                self._wrong("columns", name, f"has {key}, which only a {owners[0]} can have.")
        if "scale" in given and (name in TIME_FIELDS or name in TEXT_FIELDS):
            self._wrong("columns", name, "has a scale, which only numbers can have.")
        if name not in TIME_FIELDS and given.keys() & {"format", "unit", "timezone"}:
            self._wrong(
                "columns", name, "is not a time, so it cannot have a format, unit or timezone."
            )
        if "unit" in given and given["unit"] not in (*UNITS, *making.LOCAL_UNITS):
            self._wrong(
                "columns",
                name,
                f"has the unit {given['unit']!r}; expected one of"
                f" {', '.join((*UNITS, *making.LOCAL_UNITS))}.",
            )
        if not isinstance(given.get("format", ""), str):
            self._wrong(
                "columns",
                name,
                'has a format that is not a string; use format codes such as "%d.%m.%Y %H:%M".',
            )
        names = [*([given["column"]] if "column" in given else []), *(several or [])]
        return Column(
            names[0],
            scale=None if "scale" not in given else self._scale(name, given["scale"]),
            format=given.get("format"),
            unit=given.get("unit"),
            timezone=(
                None if "timezone" not in given else self._zone("columns", name, given["timezone"])
            ),
            more=tuple(names[1:]),
            option=given.get("option"),
            absolute=bool(given.get("absolute", False)),
            coin=bool(given.get("coin", False)),
            cash=bool(given.get("cash", False)),
            paid=bool(given.get("paid", False)),
            per_unit=bool(given.get("per_unit", False)),
            money=bool(given.get("money", False)),
            rate=bool(given.get("rate", False)),
            smallest=bool(given.get("smallest", False)),
            part=bool(given.get("part", False)),
            minus=self._minus(name, names, given.get("minus", [])),
        )

    def _minus(self, name: str, columns: list[str], given: Any) -> tuple[str, ...]:
        if not isinstance(given, list) or any(column not in columns for column in given):
            self._wrong(
                "columns", name, f"has minus, which must be a list of some of {', '.join(columns)}."
            )
        return tuple(given)
