"""What follows from the answers in a mapping: the table is decided once more with them, as the
draft does it, and what then is asked, or is read otherwise than by the mapping, was left open.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.errors import BadDataError
from app.sources.cells import Cells, as_text
from app.sources.drafting import simulate
from app.sources.drafting.adding_up import CENT
from app.sources.drafting.answers import answers_of, key_of, same, spec_of, without_edits
from app.sources.drafting.compared import Contradiction
from app.sources.drafting.contents import Contents
from app.sources.drafting.decide import decide
from app.sources.drafting.decided import Decided
from app.sources.drafting.outcomes import Outcome, outcomes_of
from app.sources.drafting.text import bare, spec_text, toml
from app.sources.drafting.witnesses import by_sums, witnesses
from app.sources.filters import kept
from app.sources.mapping import OPEN_QUESTION, TableMapping
from app.sources.notes import Notes
from app.sources.tables import Row

MOST_ROWS = 1_000
"""Rows that are decided once more, at most."""
_TIMES = frozenset(("time", "entry_timestamp", "exit_timestamp"))
_LEFT_OPEN = "What follows from the answers, and is not in the mapping:"
_FEW = 3
_SHARE = 1e-6


def follow_ups(path: str, contents: Contents, mapping: TableMapping) -> Iterator[Contradiction]:
    """What the mapping leaves open in `contents`, a table as the draft sees it."""
    contents.rows[:] = [row._replace(line=i) for i, row in enumerate(contents.rows)]
    # Rows whose cells have slipped are refused when they are read.
    rows = [row for row in kept(contents.rows, mapping, Notes()) if not row.beyond]
    chosen = None
    try:
        drafted = decide(path, contents)
        if drafted.rows != mapping.rows:
            chosen = mapping.rows
            drafted = decide(path, contents, chosen)
    except BadDataError:
        return  # Whoever maps what no draft reads knows more than it does.
    as_drafted = {row.line for row in drafted.kept.contents.rows if not row.beyond}
    others = as_drafted != {row.line for row in rows}
    given = answers_of(mapping, drafted, others)
    against = list(_by_figures(mapping, rows, contents, drafted))
    yield from against
    if against or not given.open_something:
        return
    told = given.contents(contents, rows if others else contents.rows)
    try:
        again = decide(path, told, chosen, given)
    except BadDataError as error:
        yield Contradiction(f"What follows from the mapping: {error}")
        return
    asked = [
        question
        for question in again.asked
        if question not in given.asked or again.key_of.get(question) in given.lacking
    ]
    answered = set()
    if mapping.rows == "fills" and _has_word_of_shorts(mapping, rows):
        answered.add("shorts")
    others_named = given.fields.keys() - _TIMES or given.constants or given.sides or given.rows
    if not others_named and "currency" not in given.lacking:
        answered.add("currency")  # Times have no currency.
    asked = [question for question in asked if again.key_of.get(question) not in answered]
    for question in asked:
        yield Contradiction(
            f"{_LEFT_OPEN} {question}  {_where_to_answer(again, question)}".rstrip()
        )
    if not asked:
        yield from _read_otherwise(mapping, rows, drafted, again)


def _where_to_answer(decided: Decided, question: str) -> str:
    """Where in a mapping the answer to a question goes."""
    key = decided.key_of.get(question)
    if key is None:
        return ""
    for section, keys in decided.sections.items():
        if key in keys:
            return f"Write {bare(key)} = … below [{section}]."
    return f"Write {key} = … at the top."


def _by_figures(
    mapping: TableMapping, rows: Sequence[Row], contents: Contents, drafted: Decided
) -> Iterator[Contradiction]:
    """Figures that neither reads, which confirm the draft and contradict the mapping."""
    plain = simulate.mapping_of(drafted)
    if plain is None:
        return
    decided = without_edits(mapping, drafted, plain)
    counted = {row.line: row for row in drafted.kept.contents.rows}
    both = [(row, counted[row.line]) for row in rows if row.line in counted]
    if not both or decided == mapping:
        return
    own = outcomes_of(mapping, [row for row, _ in both])
    drafts = outcomes_of(decided, [row for _, row in both])
    unread = {*contents.columns} - {
        column
        for one in (mapping, decided)
        for spec in one.columns.values()
        for column in (spec.name, *spec.more)
    }
    found = drafted.kept.contents.with_rows([row for _, row in both])
    found.columns = tuple(column for column in contents.columns if column in unread)
    told = "pnl_usd" in mapping.columns and "pnl_usd" in decided.columns
    for said in (*(by_sums(drafts, own) if told else ()), *witnesses(found, drafts, own)):
        yield Contradiction(said.said, tuple(both[i][0].line for i in said.rows))


def _has_word_of_shorts(mapping: TableMapping, rows: Sequence[Row]) -> bool:
    """Whether what opens short positions has a word of its own: none that closes a long one has
    it."""
    cells = Cells(mapping)
    words: dict[bool, set[str]] = {True: set(), False: set()}
    tried = simulate.fills_of(mapping, rows)
    for position in (*tried.closed, *tried.open):
        for step in position.steps:
            if step.fill.quantity < 0:
                word = as_text(cells.field(step.fill.row, "side") or "")
                words[position.direction < 0].add(word.strip().lower())
    return all(words.values()) and not words[True] & words[False]


def _read_otherwise(
    mapping: TableMapping, rows: Sequence[Row], drafted: Decided, again: Decided
) -> Iterator[Contradiction]:
    """Rows that would be left out, or make something else, with what follows from the answers."""
    decided = simulate.mapping_of(again)
    if decided is None:
        return
    counted = {row.line for row in again.kept.contents.rows}
    gone = [row.line for row in rows if row.line not in counted]
    new = [said for said in again.guessed if said not in drafted.guessed]
    if gone and (why := again.kept.said):
        yield Contradiction(
            f"Whether rows count that the draft leaves out: {' '.join(why[:_FEW])}", tuple(gone)
        )
        return
    theirs = {
        row.line: own
        for row, own in zip(
            again.kept.contents.rows,
            outcomes_of(decided, again.kept.contents.rows),
            strict=True,
        )
    }
    against = [
        row.line
        for row, own in zip(rows, outcomes_of(mapping, rows), strict=True)
        if row.line in theirs and _differ(own, theirs[row.line])
    ]
    lines = [*_missing(mapping, again)]
    if against and lines:
        yield Contradiction(
            f"{_LEFT_OPEN} {'; '.join(lines[:_FEW])}.  {' '.join(new[:_FEW])}".rstrip(),
            tuple(against),
        )


def _differ(one: Outcome, other: Outcome) -> bool:
    """Whether two outcomes of a row are not the same."""
    return (
        one.currency != other.currency
        or one.side != other.side
        or any(
            (a is None) != (b is None) or (a is not None and b is not None and not _near(a, b))
            for a, b in (
                (one.earned, other.earned),
                (one.ret, other.ret),
                (one.quantity, other.quantity),
                (one.cost, other.cost),
            )
        )
    )


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= CENT + _SHARE * max(abs(one), abs(other))


def _missing(mapping: TableMapping, again: Decided) -> Iterator[str]:
    """What was decided and the mapping has otherwise, as lines of a mapping."""
    for key, (value, comment) in again.keys.items():
        if (
            value != OPEN_QUESTION
            and key != "contradictions"
            and str(value).upper() != str(key_of(mapping, key)).upper()
        ):
            yield f"{key} = {toml(value)}" + (f" ({comment})" if comment else "")
    for name, spec in again.fields.items():
        if any(column.endswith(" (told)") for column in spec.columns):
            continue
        own = mapping.columns.get(name)
        if own is None or not same(spec, spec_of(own)):
            yield f"{name} = {spec_text(spec)}" + (f" ({spec.comment})" if spec.comment else "")
    for name, column in mapping.columns.items():
        if name not in again.fields:
            yield f"no {name}, which is {column.name} now"
    for symbol, (value, _) in again.sections.get("multipliers", {}).items():
        if value != OPEN_QUESTION and mapping.multipliers.get(symbol) != value:
            yield f"[multipliers] {bare(symbol)} = {toml(value)}"
