"""The mapping file: TOML in, one checked `TableMapping` out, or an error that names the key and its
line.

May touch: the mapping file (read only).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError
from app.sources.figures import TRIANGLES
from app.sources.making import DRAWDOWN_FLOOR
from app.sources.mapping import (
    ACCEPT,
    APOSTROPHES,
    CATEGORIES,
    FIELDS,
    OPEN_QUESTION,
    PROFITS,
    REQUIRED,
    SHORTS,
    SIDES,
    Buckets,
    Split,
    TableMapping,
    Template,
)
from app.sources.mapping_columns import ColumnReader
from app.sources.mapping_places import comment_of, place_of
from app.sources.tables import UTF_8

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def load(path: Path) -> TableMapping:
    """The mapping in the file.  Raises `ConfigurationError` naming the key, its line, and what
    could have been meant."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}.", "Name the mapping of the columns."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} is not TOML: {error}.",
            "Strings need quotation marks, and each key may occur only once.",
        ) from error
    return _Reader(str(path), document).mapping()


def loads(text: str, path: str) -> TableMapping:
    """The mapping in `text`; `path` is what errors call it.  Raises as `load` does."""
    return _Reader(path, tomllib.loads(text)).mapping()


_TOP = (
    "rows",
    "module",
    "delimiter",
    "encoding",
    "decimal",
    "timezone",
    "currency",
    "drawdown_floor",
    "columns",
    "constants",
    "pattern",
    "scope",
    "exit_scope",
    "buckets",
    "defaults",
    "sides",
    "table",
    "profit",
    "keep",
    "leave_out",
    "multipliers",
    "inverse",
    "splits",
    "shorts",
    "bought_sold",
    "hedged",
    "apostrophe",
    "triangle",
    "newest_first",
    "fill_down",
    "contradictions",
    "drafted",
)


class _Reader(ColumnReader):
    """Reads one document; every complaint goes through `_wrong`."""

    def __init__(self, path: str, document: dict[str, Any]) -> None:
        super().__init__(path)
        self._document = document

    def mapping(self) -> TableMapping:
        self._known("", self._document, _TOP)
        self._answered("", self._document)
        rows = self._text("rows", "positions")
        if rows not in FIELDS:
            self._wrong("", "rows", f'is {rows!r}; expected "positions" or "fills".')
        columns = {
            name: self._column(name, given)
            for name, given in self._section("columns", FIELDS[rows]).items()
        }
        constants = dict(self._section("constants", FIELDS[rows]))
        for name in REQUIRED[rows]:
            if name not in columns and not (name == "symbol" and name in constants):
                self._wrong(
                    "columns",
                    "",
                    f"does not name the column of {name}, which rows = {rows!r} requires.",
                )
        for name in constants.keys() & columns.keys():
            self._wrong("constants", name, "is also in [columns]; remove one of them.")
        pattern = {
            name: self._template(name, text)
            for name, text in self._section("pattern", CATEGORIES[rows]).items()
        }
        if "entry" not in pattern:
            self._wrong("pattern", "", 'has no entry, such as entry = "{setup}.entry".')
        return TableMapping(
            path=self._path,
            rows=rows,
            module=self._text("module", None),
            delimiter=self._text("delimiter", None),
            encoding=self._encoding(),
            decimal=self._decimal(),
            timezone=self._zone("", "timezone", self._text("timezone", "UTC")),
            currency=self._text("currency", "USD").upper(),
            drawdown_floor=self._positive(
                "", "drawdown_floor", self._document.get("drawdown_floor", DRAWDOWN_FLOOR)
            ),
            columns=columns,
            constants=constants,
            pattern=pattern,
            scope=self._names("scope"),
            exit_scope=self._names("exit_scope"),
            buckets={
                name: self._buckets(name, given)
                for name, given in self._section("buckets", None).items()
            },
            defaults=self._names("defaults"),
            sides=self._sides(),
            table=self._text("table", None),
            profit=self._profit(),
            keep=self._lists("keep"),
            leave_out=self._lists("leave_out"),
            multipliers={
                name: self._positive("multipliers", name, n)
                for name, n in self._section("multipliers", None).items()
            },
            shorts=self._shorts(),
            contradictions=self._contradictions(),
            fill_down=tuple(self._text_list("", "fill_down", self._document.get("fill_down", []))),
            newest_first=self._flag("newest_first") if "newest_first" in self._document else None,
            apostrophe=self._apostrophe(),
            triangle=self._triangle(),
            bought_sold=self._flag("bought_sold"),
            hedged=self._flag("hedged"),
            inverse=tuple(self._text_list("", "inverse", self._document.get("inverse", []))),
            splits={
                name: self._splits(name, given)
                for name, given in self._section("splits", None).items()
            },
            drafted=self._flag("drafted"),
            stated=frozenset(self._document),
        )

    def _answered(self, section: str, given: Mapping[str, Any]) -> None:
        """Raises for a question of the draft that nobody has answered."""
        for name, value in given.items():
            if isinstance(value, dict) and not section:
                if name not in ("defaults", "buckets", "keep", "leave_out"):
                    self._answered(name, value)
            elif OPEN_QUESTION in (
                value,
                *(value.values() if isinstance(value, dict) else ()),
            ) or value == [OPEN_QUESTION]:
                raise ConfigurationError(
                    f'{place_of(self._path, section, name)} is still "{OPEN_QUESTION}": the file'
                    " does not say, and a guess could be wrong.",
                    f"Replace it with the answer. {comment_of(self._path, section, name)}".strip(),
                )

    def _section(self, name: str, known: Iterable[str] | None) -> dict[str, Any]:
        given = self._document.get(name, {})
        if not isinstance(given, dict):
            self._wrong("", name, "must be a section with keys.")
        if known is not None:
            self._known(name, given, known)
        return given

    def _text(self, name: str, default: Any) -> Any:
        given = self._document.get(name, default)
        if given is not default and not isinstance(given, str):
            self._wrong("", name, f"is {given!r}; expected a string.")
        return given

    def _names(self, section: str) -> dict[str, str]:
        given = self._section(section, None)
        for name, value in given.items():
            if not isinstance(value, str):
                self._wrong(section, name, f"is {value!r}; expected a string.")
        return given

    def _lists(self, section: str) -> dict[str, tuple[str, ...]]:
        """Values by column, in small letters."""
        found = self._section(section, None)
        return {
            name: tuple(text.strip().lower() for text in self._text_list(section, name, given))
            for name, given in found.items()
        }

    def _profit(self) -> str | None:
        given = self._text("profit", None)
        if given not in (None, *PROFITS):
            self._wrong(
                "",
                "profit",
                f'is {given!r}; expected "gross" (before fees), "net" (after fees) or "shown"'
                " (ignore fees).",
            )
        return given  # type: ignore[no-any-return]

    def _contradictions(self) -> str | None:
        given: str | None = self._text("contradictions", None)
        if given not in (None, ACCEPT):
            self._wrong("", "contradictions", f"is {given!r}; expected {ACCEPT!r}.")
        return given

    def _apostrophe(self) -> str:
        given: str = self._text("apostrophe", APOSTROPHES[0])
        if given not in APOSTROPHES:
            self._wrong(
                "", "apostrophe", f"is {given!r}; expected one of {', '.join(APOSTROPHES)}."
            )
        return given

    def _triangle(self) -> str | None:
        given: str = self._text("triangle", "")
        if given and given not in TRIANGLES:
            self._wrong("", "triangle", f"is {given!r}; expected one of {', '.join(TRIANGLES)}.")
        return given or None

    def _flag(self, key: str) -> bool:
        given = self._document.get(key, False)
        if not isinstance(given, bool):
            self._wrong("", key, f"is {given!r}; expected true or false.")
        return given

    def _shorts(self) -> str:
        given: str = self._text("shorts", "yes")
        if given not in SHORTS:
            self._wrong("", "shorts", f"is {given!r}; expected one of {', '.join(SHORTS)}.")
        return given

    def _splits(self, name: str, given: Any) -> tuple[Split, ...]:
        """`["2022-08-25 3"]`: three for one from that day on; `[]`: there was none."""
        found = []
        for text in self._text_list("splits", name, given):
            match = re.fullmatch(
                r"(\d{4}-\d\d-\d\d)\s+(\d+(?:\.\d+)?)(?:\s*[:/]\s*(\d+(?:\.\d+)?))?", text.strip()
            )
            if not match or not Decimal(match[2]) or (match[3] and not Decimal(match[3])):
                self._wrong(
                    "splits",
                    name,
                    f'has {text!r}; expected a day and a ratio, such as "2022-08-25 3"'
                    ' or "2024-01-02 1:10".',
                )
            found.append(Split(match[1], Decimal(match[2]) / Decimal(match[3] or 1)))
        return tuple(sorted(found))

    def _encoding(self) -> str:
        name: str = self._text("encoding", UTF_8)
        try:
            "".encode(name)
        except LookupError:
            self._wrong("", "encoding", f"is {name!r}, which is not an encoding that Python knows.")
        return name

    def _decimal(self) -> str:
        mark: str = self._text("decimal", ".")
        if mark not in (".", ","):
            self._wrong("", "decimal", f'is {mark!r}; expected "." or ",".')
        return mark

    def _template(self, name: str, given: Any) -> Template:
        if not isinstance(given, str) or not given:
            self._wrong(
                "pattern", name, f'is {given!r}; expected a string such as "{{setup}}.entry".'
            )
        parts = _PLACEHOLDER.split(given)
        if any("{" in text or "}" in text for text in parts[::2]):
            self._wrong("pattern", name, f"is {given!r}, with an unmatched brace.")
        return Template(tuple(parts[::2]), tuple(parts[1::2]))

    def _buckets(self, name: str, given: Any) -> Buckets:
        edges = given.get("edges") if isinstance(given, dict) else None
        if (
            not isinstance(edges, list)
            or not edges
            or any(type(edge) not in (int, float) for edge in edges)
        ):
            self._wrong(
                "buckets", name, "must be a table with edges, such as {edges = [12.5, 20.0]}."
            )
        self._known_inside("buckets", name, given, ("edges", "labels"))
        if any(not low < high for low, high in pairwise(edges)):
            self._wrong("buckets", name, f"has the edges {edges}; they must increase.")
        labels = given.get("labels", [f"q{i + 1}" for i in range(len(edges) + 1)])
        if (
            not isinstance(labels, list)
            or len(labels) != len(edges) + 1
            or any(not isinstance(text, str) for text in labels)
        ):
            self._wrong(
                "buckets",
                name,
                f"has {len(edges)} edges, so it needs {len(edges) + 1} labels, each a string.",
            )
        return Buckets(tuple(float(edge) for edge in edges), tuple(labels))

    def _sides(self) -> dict[str, str]:
        """Side by name, in small letters."""
        sides: dict[str, str] = {}
        for side, names in self._section("sides", SIDES).items():
            if not isinstance(names, list) or any(not isinstance(name, str) for name in names):
                self._wrong("sides", side, 'must be a list of strings such as ["Kauf"].')
            sides.update({name.strip().lower(): side for name in names})
        return sides
