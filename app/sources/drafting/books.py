"""Separate books of one symbol: of long and short positions held at the same time, and by a column
such as that of a strategy: the fills of each of its values end flat by themselves, while positions
without it are made of several.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import replace

from app.sources.cells import OWN_SIDES, as_text
from app.sources.column_names import known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_rows import symbol_of
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import quoted
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Event, Side, opens_or_closes, read_side
from app.sources.value_names import is_balance

_MOST_BOOKS = 50
_NOTHING = 1e-9
"""What may be left of a quantity by rounding."""
_POSITION_SIDES = (
    "position_side", "positionside", "pos_side", "posside",
    "持仓方向", "持倉方向", "仓位方向", "倉位方向", "ポジション方向",
    "포지션_방향", "포지션방향", "positionsseite", "côté_de_la_position",
    "lado_de_la_posición", "lado_da_posição", "сторона_позиции",
)  # fmt: skip
"""What exchanges call the side of the position that a fill opens or closes."""


def column_of_books(decided: Decided) -> str | None:
    """The column that keeps positions apart, None if there is none.  Each value needs fills of
    its own that close positions, and there are fewer values than positions could be numbered
    by."""
    contents = decided.kept.contents
    candidates = [
        column
        for column in contents.columns
        if column not in decided.used()
        and 1 < len(contents.words(column)) <= min(_MOST_BOOKS, contents.n_rows // 2)
        and None not in contents.cells(column)
        and contents.time(column) is None
        and _may_name(decided, column)
    ]
    if not candidates:
        return None
    tried = simulate.fills(decided)
    positions = [
        {id(step.fill.row) for step in position.steps} for position in (*tried.closed, *tried.open)
    ]
    for column in candidates:
        words = {
            id(row.cells): as_text(cell)
            for row, cell in zip(contents.rows, contents.cells(column), strict=True)
        }
        mixed = any(len({words.get(row) for row in rows}) > 1 for rows in positions)
        if mixed and _end_flat(decided, column):
            return column
    return None


def _may_name(decided: Decided, column: str) -> bool:
    """Whether the cells are words or whole numbers, and no amounts."""
    contents = decided.kept.contents
    return not is_balance(column) and (
        not any(contents.read_numbers(column))
        or all(n.is_integer() and n > 0 for n in contents.read_numbers(column))
    )


def _end_flat(decided: Decided, column: str) -> bool:
    """Whether all positions are closed, and nothing else is sold, if the column keeps them
    apart."""
    fields = {**decided.fields, "account": Spec([column])}
    apart = simulate.fills(replace(decided, fields=fields))
    return bool(apart.closed) and not (apart.open or apart.oversold)


def settle_books(decided: Decided) -> None:
    """Long and short positions held at the same time are kept in separate books."""
    contents, fields = decided.kept.contents, decided.fields
    for column in contents.columns:
        words = {word.strip().lower() for word in contents.words(column)}
        if (
            column not in decided.used()
            and known_as(column) in _POSITION_SIDES
            and any(pair <= words for pair in ({"long", "short"}, {"多", "空"}, {"做多", "做空"}))
        ):
            account = fields.get("account")
            fields["account"] = Spec(
                [*(account.columns if account else []), column],
                comment="long and short positions are kept in separate books",
            )
            decided.guessed.append(
                f"Long and short positions of one symbol are kept apart, by {column}."
            )
            return
    if _are_hedged(decided):
        decided.keys["hedged"] = (True, "long and short positions were held at the same time")
        decided.guessed.append(
            "Long and short positions of one symbol are kept apart: fills say to open one while the"
            " other is held."
        )
    elif "account" not in fields and (named := column_of_books(decided)) is not None:
        fields["account"] = Spec(
            [OPEN_QUESTION],
            comment=f"{quoted(named)} keeps them apart; delete this line if they are one",
        )
        decided.asked.append(
            f"Whether positions of one symbol are kept apart by {named}: the fills of each of its"
            " values end flat by themselves."
        )


def _said(decided: Decided, text: str) -> Side | Event | None:
    """What a text in the columns of the side means, by the words of the draft first."""
    for name, (words, _) in decided.sections.get("sides", {}).items():
        if text.strip().lower() in words:
            return OWN_SIDES[name]
    return read_side(text)


def _are_hedged(decided: Decided) -> bool:
    """Whether fills that all say to open or to close hold long and short positions of a symbol at
    the same time."""
    contents, fields = decided.kept.contents, decided.fields
    side, effect = fields.get("side"), fields.get("open_close")
    if side is None or "symbol" not in fields or "quantity" not in fields:
        return False
    if side.column == OPEN_QUESTION or fields["quantity"].column == OPEN_QUESTION:
        return False
    rows = []
    times = simulate.moments(decided, "time")
    quantities = contents.numbers(fields["quantity"].column)
    for i, (time, quantity) in enumerate(zip(times, quantities, strict=True)):
        said = _said(
            decided,
            " ".join(as_text(v) for c in side.columns if (v := contents.cells(c)[i]) is not None),
        )
        if not isinstance(said, Side) or time is None or quantity is None:
            return False
        word = contents.cells(effect.column)[i] if effect else None
        opens = said.opens if word is None else opens_or_closes(as_text(word))
        if opens is None:
            return False
        rows.append((time, symbol_of(decided, i), (said.fill > 0) == opens, opens, abs(quantity)))
    if len(rows) > 1 and rows[0][0] > rows[-1][0]:
        rows.reverse()
    rows.sort(key=lambda row: row[0])
    held: dict[tuple[str, bool], float] = {}
    both = False
    for _, symbol, is_long, opens, quantity in rows:
        own = held.get((symbol, is_long), 0.0) + (quantity if opens else -quantity)
        if own < -_NOTHING * quantity:
            return False  # Something was held before the file begins, or it says something else.
        held[symbol, is_long] = own
        both = both or min(own, held.get((symbol, not is_long), 0.0)) > _NOTHING * quantity
    # What turns a position over says to open too, and leaves the other one open for ever.
    return both and not any(
        min(own, held.get((symbol, not is_long), 0.0)) > _NOTHING
        for (symbol, is_long), own in held.items()
    )
