"""Draft a mapping for a table from its columns and their contents, with all quantile edges fixed.

May touch: the table (read only).  `draft` returns text; the caller writes the file.  Whatever the
file does not decide becomes a question: a sentence, and where a wrong guess would change the
result, a `"?"` that must be replaced before anything is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from app.errors import BadDataError
from app.sources.blocks import TEXT_LINES, Block
from app.sources.comparing import facts_of
from app.sources.drafting.contents import Contents
from app.sources.drafting.decide import Decided, decide
from app.sources.drafting.scope import Scoped, scoped
from app.sources.drafting.text import written
from app.sources.files import opened
from app.sources.mapping import OPEN_QUESTION
from app.sources.notes import Notes
from app.sources.sheets import form_of
from app.sources.tables import EVERY, Row, blocks, encoding_of, goes_on, is_parquet, named

_TXF = re.compile(rb"V0\d\d\s+A")
"""How files for programs for taxes begin."""
_FINANCE_FILES = ((b"OFXHEADER", "OFX"), (b"<?OFX", "OFX"), (b"<OFX>", "OFX"), (b"!TYPE:", "QIF"))
"""How files of programs for personal finance begin."""
ROWS_READ = 200_000
"""Maximum number of rows from which a draft is made; the quantiles of more rows would hardly
differ."""


@dataclass
class Drafted:
    """The mapping's text, and as sentences: guesses, open decisions, and questions to answer before
    anything is read."""

    text: str
    guessed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@dataclass
class _Found:
    title: str
    line: int
    number: int
    columns: tuple[str, ...]
    rows: list[Row]

    @property
    def name(self) -> str:
        """The table's name for `table` of a mapping."""
        return self.title or f"line {self.line}"


def draft(path: str, name: str, which: str | None = None, rows: str | None = None) -> Drafted:
    """A mapping of a table in the file at `path`; `name` is what the mapping calls the file,
    `which` the table's title or number (None: the one that is most likely to hold the trades),
    `rows` what a row is (None: inferred from the table).

    Raises `BadDataError` if there is no row, or no column that could be the time of a close (or of
    a fill).
    """
    _refuse_finance_files(path)
    encoding = encoding_of(path)
    notes = Notes()
    found = _merged(list(_tables(path, encoding, notes)), which == EVERY)
    several = sum(bool(table.rows) for table in found) > 1
    if which is not None:
        found = [table for table in found if named_as(table, which)]
        if not found:
            raise BadDataError(
                f"{path} has no table {which!r}.",
                "Name it by its title, by its number, or by its line: line 12.",
            )
    with_rows = [table for table in found if table.rows]
    if not with_rows and not is_parquet(path) and form_of(path) == "html":
        raise BadDataError(
            f"{path} is HTML and has no table with rows.",
            "Save the report itself as HTML or CSV; this may be a login page.",
        )
    if not with_rows:
        raise BadDataError(
            f"{path} has no row.",
            "The first line names the columns; at least one row must follow.",
        )
    chosen, decided, others_decided = _best(path, with_rows, rows, notes.names(TEXT_LINES))
    _refuse_wider_rows(path, chosen)
    if len(with_rows) > 1:
        others = ", ".join(f"{t.name} ({len(t.rows):,} rows)" for t in with_rows if t is not chosen)
        decided.guessed.insert(
            0,
            f"Of the {len(with_rows)} tables in the file, {chosen.name} is used; choose another"
            f" with --table: {others}.",
        )
    alike = [t for t in with_rows if t is not chosen and {*t.columns} == {*chosen.columns}]
    if alike and which is None and not any(map(_is_other, alike)):
        names = [t.name for t in (chosen, *alike)]
        decided.ask(
            "table",
            f"Whether all of {', '.join(names[:6])} count: they have the same columns, and only"
            f" {chosen.name} is read.",
            f'"*" for all of them (draft again with --table "*"), or one, such as "{names[0]}"',
        )
    elif which is None:
        _ask_about_others(chosen, decided, others_decided)
    contents = decided.kept.contents
    if which == EVERY:
        decided.keys["table"] = (EVERY, "all tables with these columns")
    title = None
    if several and "table" not in decided.keys:
        title = chosen.title or (chosen.name if which is not None else None)
    found_scope: Scoped = scoped(contents, decided)
    text = written(name, contents, decided, found_scope, encoding, title)
    if notes.names(TEXT_LINES):
        decided.guessed.append(
            "Lines that are not rows are left out: " + "; ".join(notes.names(TEXT_LINES)[:8]) + "."
        )
    return Drafted(text, decided.guessed, decided.left, list(dict.fromkeys(decided.asked)))


def _ask_about_others(
    chosen: _Found, decided: Decided, others: Sequence[tuple[_Found, Decided]]
) -> None:
    """Ask whether tables count in which other instruments were traded than in the chosen one."""
    own = _traded(decided)
    apart = [
        table.name
        for table, other in others
        if not _is_other(table) and (found := _traded(other)) and own and not own & found
    ]
    if apart:
        shown = ", ".join(apart[:4])
        decided.ask(
            "table",
            f"Whether {shown} counts, too: other instruments were traded in it, and only"
            f" {chosen.name} is read.",
            f'"{chosen.name}" for this one alone; the others need a mapping of their own: draft'
            f' again with --table "{apart[0]}"',
        )


def _traded(decided: Decided) -> set[str]:
    """What was traded, if the rows are trades that nothing is missing of."""
    fields, contents = decided.fields, decided.kept.contents
    fills = {"time", "symbol", "side", "quantity", "price"} <= fields.keys()
    ends = {"exit_timestamp", "symbol"} <= fields.keys() and bool(
        fields.keys() & {"pnl_usd", "exit_price"}
    )
    if not (fills if decided.rows == "fills" else ends):
        return set()
    columns = [column for spec in fields.values() for column in spec.columns]
    symbols = [column for column in fields["symbol"].columns if column in contents.columns]
    if OPEN_QUESTION in columns or not symbols:
        return set()
    return {word.strip() for word in contents.words(symbols[0])}


def _refuse_finance_files(path: str) -> None:
    """Raises `BadDataError` for files of programs for personal finance, which are no tables."""
    with opened(path) as (file, _):
        start = file.read(200).lstrip(b"\xef\xbb\xbf \r\n").upper()
    kind = next((kind for mark, kind in _FINANCE_FILES if start.startswith(mark)), None)
    if _TXF.match(start):
        kind = "TXF"
    if kind:
        raise BadDataError(
            f"{path} is {kind}, as programs for personal finance and taxes read it, and no table.",
            "Export the trades or transactions as CSV or as a spreadsheet.",
        )


def _refuse_wider_rows(path: str, table: _Found) -> None:
    """Raises `BadDataError` if every row has more cells than the header has names: none could be
    read."""
    if table.rows and all(row.beyond for row in table.rows):
        raise BadDataError(
            f"Every row of {path} has more cells than there are names of columns: line"
            f" {table.rows[0].line} ends with {str(table.rows[0].beyond[-1])!r}.",
            "Name each column, also one of row numbers, and put numbers with commas in quotes.",
        )


def _is_other(table: _Found) -> bool:
    """Whether the title says that the table's rows are not closed trades."""
    return bool(
        re.search(
            r"\b(open|pending|working|cancel\w*|summary|unreali[sz]ed|holdings?|offene?"
            r"|abertas?|abiertas?|ouvertes)\b",
            table.title,
            re.IGNORECASE,
        )
    )


def named_as(table: _Found, which: str) -> bool:
    """Whether the user selected this table."""
    return named(Block(table.title, table.line, table.columns, iter(())), table.number, which)


def _tables(path: str, encoding: str, notes: Notes) -> list[_Found]:
    return [
        _Found(block.title, block.line, number, block.columns, list(islice(block.rows, ROWS_READ)))
        for number, block in enumerate(blocks(path, None, encoding, notes), 1)
    ]


def _merged(found: list[_Found], every: bool) -> list[_Found]:
    """Merge tables with the same columns, and unless `every` one counts with the same title."""
    merged: list[_Found] = []
    for table in found:
        same = next(
            (
                t
                for t in merged
                if goes_on((t.title, t.columns), (table.title, table.columns), every)
            ),
            None,
        )
        if same is None:
            merged.append(table)
        else:
            same.rows = [*same.rows, *table.rows][:ROWS_READ]
    return merged


def _best(
    path: str, found: Sequence[_Found], rows: str | None, texts: list[str]
) -> tuple[_Found, Decided, list[tuple[_Found, Decided]]]:
    """The table with the trades, and how to read it; the same of the others that can be read."""
    if len(found) == 1:
        only = decide(path, Contents(found[0].columns, found[0].rows, texts=texts), rows)
        return found[0], only, []
    texts = texts + [fact for table in found for fact in facts_of(table.columns, table.rows)]
    tried: list[tuple[float, int, _Found, Decided]] = []
    for at, table in enumerate(found):
        try:
            decided = decide(path, Contents(table.columns, table.rows, texts=texts), rows)
        except BadDataError:
            continue
        tried.append((decided.score(table.title), -at, table, decided))
    if not tried:
        titles = ", ".join(table.name for table in found)
        raise BadDataError(
            f"None of the tables in {path} looks like a table of trades: {titles}.",
            "Export the list of trades or transactions, with a day, a quantity and a price in each"
            " row. If it is among these, name it with --table, and map it by hand.",
        )
    _, _, table, decided = max(tried, key=lambda one: one[:2])
    return table, decided, [(one, own) for _, _, one, own in tried if one is not table]
