"""The mapping's text: TOML with comments on the findings.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from app.sources.column_names import folded
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.scope import Scoped
from app.sources.drafting.spec import Spec
from app.sources.tables import UTF_8

_SECTIONS = ("constants", "sides", "multipliers", "splits")
_TITLES = {
    "sides": "further words for sides, in lower case",
    "multipliers": (
        "symbol (* matches anything) = money per point and unit; the first match counts"
    ),
    "constants": "field = value",
    "splits": 'symbol = ["day factor"]',
}


def written(
    name: str, contents: Contents, decided: Decided, found: Scoped, encoding: str, table: str | None
) -> str:
    """The whole mapping of the file `name`; `table` is the title of the table that was chosen among
    several."""
    if encoding != UTF_8:
        decided.left.append(
            "Whether accented letters read correctly: the file is not UTF-8 and was read as"
            f" {encoding}."
        )
    columns = ", ".join(
        f"{field} is {' + '.join(spec.columns)}"
        for field, spec in decided.fields.items()
        if "?" not in spec.columns
    )
    decided.guessed.append(f"Columns: {columns}.")
    return "\n".join(_lines(name, contents, decided, found, encoding, table)) + "\n"


def mapping_only(decided: Decided, encoding: str = UTF_8, order: str = "md") -> str:
    """The part of the mapping that reads the rows, to try it; open questions get any valid
    answer: that for the order of day and month is `order`."""
    text = "\n".join(
        _lines("", decided.kept.contents, decided, Scoped({"entry": "x"}), encoding, None)
    )
    text = re.sub(r'format = "\?"', f'format = "{order}"', text)
    text = re.sub(r'^symbol = "\?".*$', 'symbol = "none"', text, flags=re.MULTILINE)
    text = re.sub(r'^decimal = "\?".*$', 'decimal = "."', text, flags=re.MULTILINE)
    text = re.sub(r'^side = .*"\?".*$', "", text, flags=re.MULTILINE)
    return re.sub(r'^(?!\[).*"\?".*$', "", text, flags=re.MULTILINE)


def _lines(
    name: str, contents: Contents, decided: Decided, found: Scoped, encoding: str, table: str | None
) -> Iterator[str]:
    n_rows = contents.n_rows
    yield (
        f"# What the columns of {quoted(name)[1:-1]} mean, guessed from {n_rows:,} rows.  Read it,"
        " correct it, keep it with the table."
    )
    yield "# docs/adapters.md describes each key."
    if decided.asked:
        yield (
            '# Each "?" is a question that the file does not answer: nothing is read until all are'
            " replaced."
        )
    yield ""
    fills = decided.rows == "fills"
    what = (
        "each row is a fill; positions are matched first in, first out"
        if fills
        else "each row is a closed position"
    )
    yield f'rows = "{decided.rows}"  # {what}'
    if table is not None:
        yield f"table = {quoted(table)}  # the title of the table in the file"
    yield 'module = "pm"'
    yield "drafted = true  # what follows from answers and edits is checked"
    if encoding != UTF_8:
        yield f'encoding = "{encoding}"'
    for key, (value, comment) in decided.keys.items():
        yield f"{key} = {toml(value)}" + _comment(comment)
    yield ""
    yield "[columns]  # field of position_closed = column"
    for field, spec in decided.fields.items():
        yield f"{field} = {spec_text(spec)}" + _comment(spec.comment)
    for field, (value, comment) in decided.sections.get("columns", {}).items():
        if field not in decided.fields:
            yield f"{field} = {toml(value)}" + _comment(comment)
    for section in _SECTIONS:
        if decided.sections.get(section):
            yield ""
            yield f"[{section}]  # {_TITLES[section]}"
            for key, (value, comment) in decided.sections[section].items():
                yield f"{bare(key)} = {toml(value)}" + _comment(comment)
    for section, rows, title in (
        ("keep", decided.kept.keep, "column = values of the rows that count"),
        (
            "leave_out",
            decided.kept.leave_out,
            'column = values of rows that are not trades ("" is an empty cell)',
        ),
    ):
        if rows:
            yield ""
            yield f"[{section}]  # {title}"
            yield from (f"{bare(column)} = {toml(words)}" for column, words in rows.items())
    yield ""
    yield "[pattern]  # the kind of action; {column} is the cell's text"
    yield from (f"{category} = {quoted(template)}" for category, template in found.pattern.items())
    if found.empty:
        yield ""
        yield "[defaults]  # the value of an empty cell"
        yield from (f'{bare(column)} = "none"' for column in found.empty)
    yield ""
    yield (
        "[scope]  # dimension = column, as known at the entry: nothing that was known only"
        " afterwards"
    )
    yield from (
        f"{bare(dimension)} = {quoted(column)}" for dimension, column in found.scope.items()
    )
    for column, why in found.left_out.items():
        yield f"# {folded(column)} = {quoted(column)}{_comment(f'left out: {why}')}"
    if found.buckets:
        yield ""
        yield (
            f"[buckets]  # edges between labels: quantiles of these {n_rows:,} rows, fixed so that"
            " a label keeps its meaning"
        )
        for column, (edges, labels) in found.buckets.items():
            yield (
                f"{bare(column)} = {{edges = [{', '.join(map(repr, edges))}], labels ="
                f" [{', '.join(map(quoted, labels))}]}}"
            )


def _comment(text: str) -> str:
    """A comment after a value, without characters that TOML does not allow there."""
    return "  # " + re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", " ", text) if text else ""


def spec_text(spec: Spec) -> str:
    """A column with how it is read, in TOML."""
    if not spec.keys and len(spec.columns) == 1:
        return quoted(spec.column)
    columns = (
        f"column = {quoted(spec.column)}"
        if len(spec.columns) == 1
        else f"columns = {toml(spec.columns)}"
    )
    return (
        "{"
        + columns
        + "".join(f", {key} = {toml(value)}" for key, value in spec.keys.items())
        + "}"
    )


def toml(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml(item) for item in value)}]"
    if isinstance(value, (int, float)):
        return f"{int(value)}" if float(value).is_integer() else repr(value)
    return quoted(str(value))


def quoted(text: str) -> str:
    """A TOML text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped) + '"'


def bare(name: str) -> str:
    """A TOML key."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)
