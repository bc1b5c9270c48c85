"""What a mapping says otherwise than the draft of its table: answers to the draft's questions, and
edits; and the table as it is with them, so that it can be decided once more.

May touch: nothing.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from app.sources.cells import Cells, as_text
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Fields, Spec
from app.sources.figures import thirty_seconds
from app.sources.mapping import COMPOSED, OPEN_QUESTION, Column, TableMapping
from app.sources.tables import Row

_KEYS = tuple(one.name for one in fields(Column) if one.name not in ("name", "more"))
_DEFAULTS: dict[str, Any] = {
    "profit": None,
    "currency": "USD",
    "timezone": "UTC",
    "shorts": "yes",
    "newest_first": None,
    "bought_sold": False,
    "hedged": False,
    "inverse": [],
    "decimal": ".",
    "apostrophe": "thousands",
    "triangle": None,
    "fill_down": [],
}
"""Keys of a mapping that a draft decides, and what they are without one."""
_OPEN_NOTHING = frozenset(("profit", "currency", "timezone", "shorts", "hedged", "triangle"))
"""Those of them after which nothing else is to be decided."""
_NO_WORD = "close"
"""A side that only a mapping gives: no word in a cell is read so."""
_GIVEN = ("symbol", "side")
"""Constants that the draft reads from a column."""


@dataclass(frozen=True)
class Answers:
    """`fields`, `keys`, `constants`, words for `sides` and `multipliers` that the mapping has
    otherwise than the draft, the fields of the draft that are `gone`, and its keys that are
    `lacking`; `asked` are the draft's questions."""

    mapping: TableMapping
    fields: Fields
    keys: dict[str, Any]
    constants: dict[str, Any]
    sides: dict[str, str]
    multipliers: dict[str, float]
    gone: frozenset[str]
    asked: frozenset[str]
    lacking: frozenset[str]
    rows: bool = field(default=False)
    """Whether other rows are kept."""

    @property
    def open_something(self) -> bool:
        """Whether anything may follow from them."""
        return bool(
            self.fields
            or self.constants
            or self.sides
            or self.rows
            or self.gone
            or self.lacking
            or self.keys.keys() - _OPEN_NOTHING
        )

    def settle(self, section: str, key: str) -> bool:
        """Whether the mapping answers the question for `key` of a section (empty: at the top)."""
        if section == "multipliers":
            return any(
                fnmatch.fnmatchcase(key, own) or fnmatch.fnmatchcase(own, key)
                for own in self.mapping.multipliers
            )
        if section in ("columns", "constants"):
            return key in self.mapping.columns or key in self.mapping.constants
        if section:
            return bool(getattr(self.mapping, section))
        return key in self.keys

    def impose(self, given: Fields) -> None:
        """Put the fields of the mapping in the place of those that were found."""
        for name in self.gone:
            given.pop(name, None)
        for name, spec in self.fields.items():
            given[name] = Spec([*spec.columns], {**spec.keys})
        for name in _GIVEN:
            if name in self.constants:
                given[name] = Spec([_column_of(name)])

    def begin(self, decided: Decided) -> None:
        """Note the keys and sections that are known from the start."""
        decided.given = self
        for key, value in self.keys.items():
            decided.keys[key] = (value, "")
        for section in ("multipliers", "constants"):
            for key, value in getattr(self, section).items():
                if key not in _GIVEN:
                    decided.sections.setdefault(section, {})[key] = (value, "")

    def end(self, decided: Decided) -> None:
        """What the mapping says counts, whatever was decided after all."""
        for key, value in self.keys.items():
            decided.keys[key] = (value, "")
        for name in self.gone:
            decided.fields.pop(name, None)
        for name, spec in self.fields.items():
            if (own := decided.fields.get(name)) is not None and own.columns == spec.columns:
                own.keys.update(spec.keys)

    def contents(self, contents: Contents, rows: Sequence[Row]) -> Contents:
        """The rows with the words of the mapping as usual ones, and constants in columns."""
        mapping = self.mapping
        cells = Cells(mapping)
        side = mapping.columns.get("side")
        prices = [
            mapping.columns[name].name
            for name in ("price", "entry_price", "exit_price")
            if name in mapping.columns
        ]
        made = []
        for row in rows:
            own = dict(row.cells)
            if self.sides and side is not None:
                text = as_text(cells.field(row.cells, "side") or "").strip().lower()
                word = mapping.sides.get(text) or mapping.sides.get(text.partition(" ")[0])
                if word is not None and word != _NO_WORD:
                    own |= dict.fromkeys(side.more)
                    own[side.name] = word
            for name in _GIVEN:
                if name in self.constants:
                    own[_column_of(name)] = self.constants[name]
            if self.keys.get("apostrophe") == "32nds":
                for column in prices:
                    told = thirty_seconds(own[column]) if isinstance(own[column], str) else None
                    own[column] = own[column] if told is None else str(told)
            made.append(row._replace(cells=own))
        given = [_column_of(name) for name in _GIVEN if name in self.constants]
        found = Contents((*contents.columns, *given), made, texts=contents.texts)
        if "decimal" in self.keys:
            found.decimal = self.keys["decimal"]
        if "triangle" in self.keys:
            found.triangle = self.keys["triangle"] or ""
        found.orders = {
            column: str(spec.keys["format"])
            for spec in self.fields.values()
            if spec.keys.get("format") in COMPOSED
            for column in spec.columns
        }
        return found


def without_edits(mapping: TableMapping, drafted: Decided, decided: TableMapping) -> TableMapping:
    """The mapping with its answers, and all that the draft had decided as it was there; `decided`
    is the draft as a mapping."""
    columns = {
        name: column
        for name, column in mapping.columns.items()
        if name not in drafted.fields or is_open(drafted.fields[name])
        if name not in decided.columns or name in drafted.sections.get("columns", {})
    }
    asked = {key for key, (value, _) in drafted.keys.items() if value == OPEN_QUESTION}
    keys = {
        key: getattr(decided, key)
        for key in _DEFAULTS
        if key not in asked and (key in drafted.keys or key not in mapping.stated)
    }
    for section in ("multipliers", "sides"):
        known = drafted.sections.get(section, {})
        if not any(OPEN_QUESTION in str(value) for value, _ in known.values()):
            keys[section] = getattr(decided, section)
    named = {*columns, *decided.columns}
    constants = {k: v for k, v in mapping.constants.items() if k not in named}
    return replace(mapping, columns={**decided.columns, **columns}, constants=constants, **keys)


def answers_of(mapping: TableMapping, drafted: Decided, rows: bool) -> Answers:
    """What the mapping says otherwise than the draft; `rows` tells whether other rows are kept."""
    own = {name: spec_of(column) for name, column in mapping.columns.items()}
    theirs = drafted.fields
    keys = {name: key_of(mapping, name) for name in _DEFAULTS}
    sides = {
        word.strip().lower(): side
        for side, (words, _) in drafted.sections.get("sides", {}).items()
        for word in words
    }
    return Answers(
        mapping,
        {
            name: spec
            for name, spec in own.items()
            if name not in theirs or not same(spec, theirs[name])
        },
        {
            key: value
            for key, value in keys.items()
            if key in mapping.stated
            and (key not in drafted.keys or _differ(value, _drafted(drafted, key)))
        },
        {
            name: value
            for name, value in mapping.constants.items()
            if value != drafted.sections.get("constants", {}).get(name, (None,))[0]
        },
        {word: side for word, side in mapping.sides.items() if sides.get(word) != side},
        {
            symbol: value
            for symbol, value in mapping.multipliers.items()
            if value != drafted.sections.get("multipliers", {}).get(symbol, (None,))[0]
        },
        frozenset(
            name
            for name, spec in theirs.items()
            if name not in own and name not in mapping.constants
        ),
        frozenset(drafted.asked),
        frozenset(
            key
            for key, value in keys.items()
            if key not in mapping.stated and _differ(value, _drafted(drafted, key))
        ),
        rows,
    )


def _drafted(drafted: Decided, key: str) -> Any:
    return drafted.keys.get(key, (_DEFAULTS[key],))[0]


def _differ(one: Any, other: Any) -> bool:
    return one != other and not (
        isinstance(one, str) and isinstance(other, str) and one.upper() == other.upper()
    )


def key_of(mapping: TableMapping, name: str) -> Any:
    """A top-level key of the mapping as a draft has it."""
    value = getattr(mapping, name)
    if name == "timezone":
        return str(value)
    return [*value] if isinstance(value, tuple) else value


def spec_of(column: Column) -> Spec:
    """A field of a mapping as a draft has it."""
    keys = {}
    for key in _KEYS:
        value = getattr(column, key)
        if value is not None and value is not False and value != ():
            keys[key] = str(value) if key == "timezone" else [*value] if key == "minus" else value
    return Spec([column.name, *column.more], keys)


def same(one: Spec, other: Spec) -> bool:
    """Whether two fields are read from the same columns in the same way."""

    def plain(spec: Spec) -> dict[str, Any]:
        return {
            key: value
            for key, value in spec.keys.items()
            if value not in (None, False, ()) and value != [] and (key, value) != ("scale", 1)
        }

    return one.columns == other.columns and plain(one) == plain(other)


def _column_of(name: str) -> str:
    """The column in which a constant stands."""
    return f"{name.capitalize()} (told)"


def is_open(spec: Spec) -> bool:
    """Whether a draft asks about the field."""
    return OPEN_QUESTION in (*spec.columns, *spec.keys.values())
