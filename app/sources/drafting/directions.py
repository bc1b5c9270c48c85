"""The sides of a table: their meaning, questions if there are none, rows that belong to one trade,
and separate books of one symbol.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict

from app.sources.cells import OWN_SIDES, as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.books import column_of_books
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_amounts import money_columns
from app.sources.drafting.fill_rows import profits_of, symbol_of
from app.sources.drafting.side_columns import closes_first, says_disposals, says_no_side
from app.sources.drafting.spec import Spec
from app.sources.drafting.text import quoted
from app.sources.drafting.time_readings import STILL_OPEN
from app.sources.mapping import OPEN_QUESTION
from app.sources.positions import BOUGHT, SOLD
from app.sources.sides import CLOSED_SIDE, Event, Side, opens_or_closes, read_side

_NO_SIDE = (
    "order_type", "activity", "activity_type", "typ", "art", "tipo", "type_d_ordre", "tür", "тип",
    "類型", "类型", "description", "sub_type", "subtype", "activity_sub_type", "operation", "tipe",
    "jenis", "ประเภท", "loại", "loại_lệnh", "رقم", "النوع", "タイプ", "trade", "position_type",
)  # fmt: skip
"""Names that may be those of sides and of much else."""
_SHORT_SALE = re.compile(
    r"short[ _-]?(sell(ing)?|sales?|sold)|sold short|融券|空売り|空売|공매도|leerverkauf"
    r"|margin short|short margin",
    re.IGNORECASE,
)
"""How a position was sold that had been borrowed."""
_WITH_PROFITS = {"entry_price", "exit_price", "pnl_usd"}
_TWO_SIDED = re.compile("side|direction|type|position|cmd|action")
"""Of columns with two values that may be the sides of positions."""
_OPEN_BUY = re.compile(r"(open|close)\W*(buy|sell)|(buy|sell)\W*(open|close)", re.IGNORECASE)
"""Texts that may have the side of the position, or of the fill."""
_OF_TERM = re.compile(
    r"^((short|long)[ -]?term|intra-?day|speculati(ve|on)|delivery|swing|business income)",
    re.IGNORECASE,
)
"""How long something was held, for taxes."""
_NOTHING = 1e-9
"""What may be left of a quantity by rounding."""


def settle_sides(decided: Decided, unknown: list[str]) -> None:
    """Decide how sides are read; ask which side the `unknown` words are."""
    contents, spec = decided.kept.contents, decided.fields.get("side")
    if spec is None:
        _no_side(decided)
        return
    if spec.keys.keys() & {"cash", "paid"}:
        return
    words = contents.words(spec.column)
    if len(spec.columns) == 1 and (letters := _first_letters(spec.column, list(words))):
        _take_letters(decided, spec.column, letters)
        return
    if _are_only_sales(decided, spec):
        del decided.fields["side"]
        decided.guessed.append(
            f"{spec.column} is the side of the sale: what was sold was acquired before."
        )
        return
    said = {word: s for word in words if isinstance(s := read_side(word), Event)}
    if reducing := [word for word, s in said.items() if s.kind == "closing"]:
        decided.guessed.append(f"{', '.join(reducing)} in {spec.column} reduces what is held.")
    events = [word for word, s in said.items() if s.kind != "closing" and len(spec.columns) == 1]
    if events and decided.rows == "fills":
        decided.guessed.append(
            f"{', '.join(events[:4])} in {spec.column} is an expiry (the position ends at 0), an"
            " assignment (so does the option, and its shares are in other rows) or a split (units"
            " are added)."
        )
    closing = [
        word for word in words if isinstance(s := read_side(word), Side) and s.opens is False
    ]
    if closing and decided.rows == "positions":
        decided.guessed.append(
            f"{', '.join(closing[:4])} in {spec.column} shows how the position was closed: the side"
            " is that of the position."
        )
    if not unknown:
        _of_positions(decided, spec)
    if unknown and not _by_order(decided, spec.column, unknown):
        shown = ", ".join(repr(word) for word in unknown[:6])
        decided.sections.setdefault("sides", {})["buy"] = (
            [OPEN_QUESTION],
            f"those of {shown} that are purchases or long positions; list the others as sell",
        )
        decided.asked.append(
            f"Which side {shown} in {spec.column} is: name the words in [sides], as buy, sell,"
            " expiry or split."
        )


def _by_order(decided: Decided, column: str, unknown: list[str]) -> bool:
    """Whether words that name the position which they end, or the fill that ends it, can be read in
    one way alone: only in that one nothing is closed before it was opened."""
    verbs = {word: found["verb"] for word in unknown if (found := CLOSED_SIDE.fullmatch(word))}
    if len(verbs) < len(unknown) or decided.rows != "fills":
        return False
    rows: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for i, value in enumerate(decided.kept.contents.cells(column)):
        word = "" if value is None else as_text(value)
        side = read_side(verbs.get(word, word))
        if isinstance(side, Side) and side.opens is None:
            rows[symbol_of(decided, i)].append((side.position, word not in verbs))
    by_fills, by_positions = (
        min(sum(closes_first(own[::turn], of_fills) for own in rows.values()) for turn in (1, -1))
        for of_fills in (True, False)
    )
    if by_fills == by_positions:
        return False
    of_fills = by_fills < by_positions
    for word, verb in verbs.items():
        buys = (read_side(verb) == Side(1, 1)) == of_fills
        own = decided.sections.setdefault("sides", {}).setdefault(
            "buy" if buys else "sell", ([], "")
        )
        own[0].append(word)
    decided.keys["shorts"] = ("yes", "what ends a position has words of its own")
    what = "the fill that ends a position" if of_fills else "the position that is ended"
    decided.guessed.append(
        f"{', '.join(verbs)} in {column} name {what}: only so is nothing closed before it was"
        " opened."
    )
    return True


def _are_only_sales(decided: Decided, spec: Spec) -> bool:
    """Whether positions have the days on which they were acquired and sold, and all sides are plain
    sales: none says that it was sold short."""
    fields = decided.fields
    if decided.rows != "positions" or not fields.keys() >= {"entry_timestamp", "exit_timestamp"}:
        return False
    if not BOUGHT.search(fields["entry_timestamp"].column) or not SOLD.search(
        fields["exit_timestamp"].column
    ):
        return False
    sides = {word: read_side(word) for word in decided.kept.contents.words(spec.column)}
    return all(
        isinstance(s, Side) and s.fill < 0 and not re.search("short|open|cover", word.lower())
        for word, s in sides.items()
    )


def _of_positions(decided: Decided, spec: Spec) -> None:
    """Read `buy` beside `close` as a sale if it is the side of the position, as some exchanges have
    it for hedged positions: only so does each close follow what it closes."""
    contents, effect = decided.kept.contents, decided.fields.get("open_close", spec)
    if decided.rows != "fills" or len(spec.columns) > 1:
        return
    rows: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    n_closes = 0
    closing: dict[str, str] = {}
    cells = zip(contents.cells(spec.column), contents.cells(effect.column), strict=True)
    for i, (value, word) in enumerate(cells):
        side = read_side(as_text(value or ""))
        opens = opens_or_closes(as_text(word or ""))
        if not isinstance(side, Side) or opens is None:
            return
        if side.opens is not None and not _OPEN_BUY.fullmatch(as_text(value).strip()):
            return
        rows[symbol_of(decided, i)].append((side.fill, opens))
        if not opens:
            n_closes += 1
            both = (value,) if effect is spec else (value, word)
            text = " ".join(map(as_text, both)).strip().lower()
            closing[text] = "sell" if side.fill > 0 else "buy"

    def wrong(of_fills: bool) -> int:
        return min(
            sum(closes_first(own[::turn], of_fills) for own in rows.values()) for turn in (1, -1)
        )

    if n_closes < 2 or not wrong(of_fills=True) or wrong(of_fills=False):
        return
    if effect is not spec:
        spec.columns = [spec.column, effect.column]
    for text, side_of_fill in closing.items():
        own = decided.sections.setdefault("sides", {}).setdefault(side_of_fill, ([], ""))
        own[0].append(text)
    decided.guessed.append(
        f"{spec.column} is the side of the position, also in fills that close it: only so is"
        " nothing closed before it was opened."
    )


_MOST_WORDS = 12
"""How many different texts a column of sides has at most, if its name does not say so."""
_FLAGS = (("true", "false"), ("1", "0"), ("t", "f"), ("y", "n"), ("yes", "no"))
"""What stands in columns that say whether something is so."""


def _no_side(decided: Decided) -> None:
    contents, fields = decided.kept.contents, decided.fields
    quantity = fields.get("quantity")
    negative = quantity is not None and any(n < 0 for n in contents.read_numbers(quantity.column))
    flags = [
        c
        for c in contents.columns
        if known_as(c)
        in (
            "is_short",
            "isshort",
            "short",
            "is_buyer",
            "isbuyer",
            "is_buy",
            "isbuy",
            "is_long",
            "islong",
            "long",
            "direction",
            "side",
            "type",
            "position",
            "pos",
            "cmd",
        )
    ]
    for column in flags:
        words = {word.strip().lower() for word in contents.words(column)}
        named = known_as(column).startswith("is")
        flag = next((f for f in _FLAGS if words <= {*f} and (named or f == _FLAGS[0])), None)
        if words and flag is not None:
            fields["side"] = Spec([column])
            yes, no = flag
            of_buys = bool(re.search("buy|long", known_as(column)))
            decided.sections["sides"] = {
                "buy": ([yes if of_buys else no], ""),
                "sell": ([no if of_buys else yes], ""),
            }
            return
        if (
            words
            and words <= {"0", "1"}
            and {"entry_price", "exit_price", "pnl_usd"} <= fields.keys()
        ):
            fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": (["0"], ""), "sell": (["1"], "")}
            return
    for column in contents.columns:
        words = {word.strip().removeprefix("+") for word in contents.words(column)}
        if known_as(column) in NAMES["side"][:20] and _by_results(decided, column):
            return
        if words == {"1", "-1"} and known_as(column) in (*NAMES["side"], "pos"):
            fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": (["1", "+1"], ""), "sell": (["-1"], "")}
            return
    symbol = fields.get("symbol")
    if symbol is not None and all(
        re.search(r"\s(long|short)\b", word, re.IGNORECASE) and isinstance(read_side(word), Side)
        for word in contents.words(symbol.column)
    ):
        fields["side"] = Spec([symbol.column], comment="the side stands beside the symbol")
        return
    if decided.rows == "positions" and not negative and _sold_short(decided):
        return
    if decided.rows == "fills" and negative:
        decided.guessed.append("A negative quantity is a sale.")
        return
    if decided.rows == "positions" and negative:
        decided.guessed.append("A negative quantity is a short position.")
        return
    if _deal_types(decided) or _by_profits(decided) or _unknown_words(decided):
        return
    if decided.rows == "positions" and (mixed := _with_sides_among_others(decided)):
        fields["side"] = Spec([OPEN_QUESTION], comment="the column that says long or short")
        decided.asked.append(
            f"Which rows are shorts: {mixed} has words for both sides in some rows, and others."
        )
        return
    if decided.rows == "fills":
        if (columns := money_columns(contents)) is not None:
            fields["side"] = Spec([columns[0]], {"paid": True}, "bought where something was paid")
            decided.guessed.append(f"What has an amount in {columns[0]} was bought, else sold.")
            return
        if (paid := _cash_column(decided)) is not None:
            fields["side"] = Spec([paid], {"cash": True}, "below 0 where something was bought")
            decided.guessed.append(f"The side is the sign of {paid}: below 0 it was bought.")
            return
        fields["side"] = Spec([OPEN_QUESTION], comment="the column that says buy or sell")
        decided.asked.append(
            "Which fills are purchases and which are sales: no column says, and no quantity is"
            " negative."
        )


def _with_sides_among_others(decided: Decided) -> str | None:
    """A column that is not read and has purchases and sales in half of its rows, or more, and other
    words in the rest."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = contents.words(column)
        if column in decided.used() or len(words) > _MOST_WORDS or contents.is_numeric(column):
            continue
        if says_no_side(known_as(column)):
            continue
        said = {word: read_side(word) for word in words}
        n = sum(words[word] for word, side in said.items() if isinstance(side, Side))
        both = len({side.position for side in said.values() if isinstance(side, Side)}) > 1
        others = any(not isinstance(side, Side) for side in said.values())
        if both and others and 2 * n >= contents.n_rows and not says_disposals(contents, column):
            return column
    return None


def _by_profits(decided: Decided) -> bool:
    """Use a column with two values as the side, if one stands where profits rise with the prices,
    and the other where they fall."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.rows != "positions" or not fields.keys() >= _WITH_PROFITS:
        return False
    entry, left, profit = (
        contents.numbers(fields[name].column) for name in ("entry_price", "exit_price", "pnl_usd")
    )
    signs = [
        None if not (a and b and n) or a == b else (b > a) == (n > 0)
        for a, b, n in zip(entry, left, profit, strict=True)
    ]
    for column in contents.columns:
        if not _TWO_SIDED.search(known_as(column)) or column in decided.used():
            continue
        said: dict[str, set[bool]] = {}
        for value, sign in zip(contents.cells(column), signs, strict=True):
            if value is not None and sign is not None:
                said.setdefault(as_text(value).strip().lower(), set()).add(sign)
        if len(said) == len(contents.words(column)) == 2 and sorted(said.values(), key=str) == [
            {False},
            {True},
        ]:
            long, short = sorted(said, key=lambda word: said[word] == {False})
            fields["side"] = Spec([column])
            decided.sections["sides"] = {"buy": ([long], ""), "sell": ([short], "")}
            decided.guessed.append(
                f"{long} in {column} is long and {short} is short: so profits follow from the"
                " prices."
            )
            return True
    return False


def _by_results(decided: Decided, column: str) -> bool:
    """Use a column with two numbers as the side of fills, if in one reading alone the profits have
    the signs that the prices give."""
    contents, fields = decided.kept.contents, decided.fields
    words = sorted(contents.words(column))
    if decided.rows != "fills" or len(words) != 2 or not contents.is_numeric(column):
        return False
    results = {
        id(row.cells): number
        for profit in profits_of(contents)[:1]
        for row, number in zip(contents.rows, contents.numbers(profit), strict=True)
    }
    fields["side"] = Spec([column])
    fitting = []
    for buy, sell in (words, words[::-1]):
        decided.sections["sides"] = {"buy": ([buy], ""), "sell": ([sell], "")}
        signs = [
            (step.realized > 0) == (result > 0)
            for position in simulate.fills(decided).closed
            for step in position.steps
            if step.realized and (result := results.get(id(step.fill.row)))
        ]
        if signs and all(signs):
            fitting.append((buy, sell))
    if len(fitting) != 1:
        del fields["side"], decided.sections["sides"]
        return False
    buy, sell = fitting[0]
    decided.sections["sides"] = {"buy": ([buy], ""), "sell": ([sell], "")}
    decided.guessed.append(
        f"{buy} in {column} is a purchase and {sell} a sale: so profits follow from the prices."
    )
    return True


def _sold_short(decided: Decided) -> bool:
    """Whether a column says of some positions alone that they were sold short: `ShortSelling`
    beside `Cash`."""
    contents = decided.kept.contents
    for column in contents.columns:
        words = list(contents.words(column))
        if column in decided.used() or contents.is_numeric(column) or not 2 <= len(words) <= 6:
            continue
        short = [word for word in words if _SHORT_SALE.fullmatch(word.strip())]
        if short and not any(isinstance(read_side(w), Side) for w in words if w not in short):
            decided.fields["side"] = Spec([column])
            decided.sections["sides"] = {
                "buy": ([w.strip().lower() for w in words if w not in short], ""),
                "sell": ([w.strip().lower() for w in short], ""),
            }
            decided.guessed.append(f"{', '.join(short)} in {column} are short positions.")
            return True
    return False


def _cash_column(decided: Decided) -> str | None:
    """A column of amounts with both signs, as money is paid and received."""
    contents = decided.kept.contents
    for column in contents.columns:
        numbers = contents.read_numbers(column) if contents.is_numeric(column) else []
        if (
            known_as(column) in (*NAMES["net"], *NAMES["gross"])
            and len(numbers) == contents.n_rows
            and min(numbers) < 0 < max(numbers)
        ):
            return column
    return None


def _deal_types(decided: Decided) -> bool:
    """MetaTrader's numbers for the types of deals: 0 is a purchase, 1 a sale."""
    contents = decided.kept.contents
    by_name = {known_as(column): column for column in contents.columns}
    if decided.rows != "fills" or not {"type", "entry", "position_id", "volume"} <= by_name.keys():
        return False
    if not contents.words(by_name["type"]).keys() <= {"0", "1"}:
        return False
    decided.fields["side"] = Spec([by_name["type"]], comment="0 is a purchase, 1 a sale")
    decided.sections["sides"] = {"buy": (["0"], ""), "sell": (["1"], "")}
    decided.guessed.append("The types of deals are MetaTrader's: 0 is a purchase, 1 a sale.")
    return True


def _first_letters(column: str, words: list[str]) -> dict[str, str] | None:
    """What means a purchase and what a sale, where the column's name has both words and its cells
    have their first letters.

    >>> _first_letters("Nákup/Prodej", ["N", "P"]), _first_letters("Buy/Sell", ["1", "2"])
    ({'buy': 'n', 'sell': 'p'}, None)
    """
    parts = [part.strip().lower() for part in re.split("[/|]", column)]
    said = [read_side(part) for part in parts]
    found = {
        "buy" if side.fill > 0 else "sell": part[0]
        for part, side in zip(parts, said, strict=True)
        if isinstance(side, Side)
    }
    same = {word.strip().lower() for word in words} <= {*found.values()}
    if [read_side(letter) for letter in found.values()] == said:
        return None  # They are known.
    return found if len(parts) == len(found) == len({*found.values()}) == 2 and same else None


def _take_letters(decided: Decided, column: str, letters: dict[str, str]) -> None:
    """Write which first letter means which side, whatever it means in other languages."""
    decided.sections["sides"] = {
        side: ([letter], f"by the words in {column}") for side, letter in letters.items()
    }


def _unknown_words(decided: Decided) -> bool:
    """A column named like a side, with unknown words: ask which means what."""
    for column in decided.kept.contents.columns:
        words = list(decided.kept.contents.words(column))
        if (
            _is_side(known_as(column), len(words))
            and not all(_OF_TERM.search(word) for word in words)
            and not says_disposals(decided.kept.contents, column)
            and column not in decided.used()
            and (
                known_as(column) in (*NAMES["side"][:20], "position_type")
                or not decided.kept.contents.is_numeric(column)
            )
        ):
            decided.fields["side"] = Spec([column])
            if letters := _first_letters(column, words):
                _take_letters(decided, column, letters)
                return True
            shown = ", ".join(words)
            for side, kind in (
                ("buy", "purchases or long positions"),
                ("sell", "sales or short positions"),
            ):
                decided.sections.setdefault("sides", {})[side] = (
                    [OPEN_QUESTION],
                    f"those of {shown} that are {kind}",
                )
            decided.asked.append(
                f"Which of {shown} in {column} mean a purchase and which a sale: name them in"
                " [sides]."
            )
            return True
    return False


def _is_side(name: str, n_words: int) -> bool:
    """Whether a column with so many different words may be the side, by its name."""
    if name in ("position_type", "positiontype"):
        return n_words == 2
    if name in NAMES["side"][:20]:
        return (1 if name == "side" else 2) <= n_words <= 4
    return n_words == 2 and name in NAMES["side"] and name not in _NO_SIDE


def settle_trade_ids(decided: Decided) -> None:
    """A number shared by the entry and the exit of a trade if each has a row of its own."""
    contents, side = decided.kept.contents, decided.fields.get("side")
    if side is None or side.column == OPEN_QUESTION or len(side.columns) > 1:
        return
    said = [read_side(as_text(v)) if v is not None else None for v in contents.cells(side.column)]
    if not any(isinstance(s, Side) and s.opens is not None for s in said):
        return
    for column in contents.columns:
        name = known_as(column)
        if (
            not {name, name.removesuffix("_no")} & set(NAMES["trade_id"])
            or contents.time(column) is not None
        ):
            continue
        groups: dict[str, list[Side]] = {}
        for value, one in zip(contents.cells(column), said, strict=True):
            if value is not None and isinstance(one, Side):
                groups.setdefault(as_text(value), []).append(one)
        if len(groups) > 1 and sum(map(_is_trade, groups.values())) >= 0.8 * len(groups):
            decided.fields["trade_id"] = Spec(
                [column], comment="rows with the same number are one trade"
            )
            for name in [
                name
                for name, spec in decided.fields.items()
                if name != "trade_id" and column in spec.columns
            ]:
                del decided.fields[name]
            decided.two_rows = True
            _leave_out_open(decided)
            decided.guessed.append(
                f"The entry and the exit of a trade are two rows with the same {column}."
            )
            return


def _is_trade(sides: list[Side]) -> bool:
    """Whether the sides of rows with one number are those of an entry and an exit."""
    return {side.opens for side in sides} >= {True, False} or (
        len(sides) == len({side.fill for side in sides}) == 2
    )


def _leave_out_open(decided: Decided) -> None:
    """Exits that a program has put where a trade is still open: it says `Open` for the signal of
    the exit."""
    contents, side = decided.kept.contents, decided.fields["side"].column
    closes = [
        isinstance(s := read_side(as_text(v or "")), Side) and s.opens is False
        for v in contents.cells(side)
    ]
    for column in contents.columns:
        cells = ["" if v is None else as_text(v) for v in contents.cells(column)]
        words = {cell for cell in cells if cell.strip().lower() in STILL_OPEN}
        if (
            column != side
            and words
            and all(
                closing or cell not in words for closing, cell in zip(closes, cells, strict=True)
            )
        ):
            decided.kept.drop(column, sorted(words), "the trade is still open")
            decided.guessed.append(decided.kept.said[-1])
            return


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


_POSITION_SIDES = (
    "position_side", "positionside", "pos_side", "posside",
    "持仓方向", "持倉方向", "仓位方向", "倉位方向", "ポジション方向",
    "포지션_방향", "포지션방향", "positionsseite", "côté_de_la_position",
    "lado_de_la_posición", "lado_da_posição", "сторона_позиции",
)  # fmt: skip
"""What exchanges call the side of the position that a fill opens or closes."""


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
