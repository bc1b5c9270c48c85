"""The sides of a table in which no column says them in known words: by flags, profits, payments,
signs of quantities, or by a question.

May touch: nothing.
"""

from __future__ import annotations

import re

from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.fill_amounts import money_columns
from app.sources.drafting.fill_rows import profits_of
from app.sources.drafting.first_letters import first_letters, take_letters
from app.sources.drafting.side_columns import says_disposals, says_no_side
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION
from app.sources.sides import Side, read_side

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
_OF_TERM = re.compile(
    r"^((short|long)[ -]?term|intra-?day|speculati(ve|on)|delivery|swing|business income)",
    re.IGNORECASE,
)
"""How long something was held, for taxes."""
_MOST_WORDS = 12
"""How many different texts a column of sides has at most, if its name does not say so."""
_FLAGS = (("true", "false"), ("1", "0"), ("t", "f"), ("y", "n"), ("yes", "no"))
"""What stands in columns that say whether something is so."""

_COST = re.compile(r"cost(_basis|_base)?|basis|opening_(amount|value)|open_amount")
_PROCEEDS = re.compile(r"proceeds|closing_(amount|value)|close_amount")
"""Of amounts of the entry and of the exit."""


def settle_without_sides(decided: Decided) -> None:
    """Find what says the sides, other than known words in a column of them; else ask."""
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
    if decided.rows == "positions" and negative and _by_costs(decided):
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
            if letters := first_letters(column, words):
                take_letters(decided, column, letters)
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


def _by_costs(decided: Decided) -> bool:
    """Read the side of positions from a cost with the sign of the cash, beside proceeds of the
    other sign in all rows: quantities whose sign says the opposite are those of the fill that
    closed."""
    contents, fields = decided.kept.contents, decided.fields
    by_name = {known_as(column): column for column in reversed(contents.columns)}
    cost = next((by_name[name] for name in by_name if _COST.fullmatch(name)), None)
    proceeds = next((by_name[name] for name in by_name if _PROCEEDS.fullmatch(name)), None)
    if cost is None or proceeds is None:
        return False
    quantities = contents.numbers(fields["quantity"].column)
    rows = [
        row
        for row in zip(contents.numbers(cost), contents.numbers(proceeds), quantities, strict=True)
        if all(row)
    ]
    if not rows or not all((a or 0) * (b or 0) < 0 < (a or 0) * (n or 0) for a, b, n in rows):
        return False
    fields["side"] = Spec([cost], {"cash": True}, "below 0 where something was bought")
    fields["quantity"].keys["absolute"] = True
    decided.guessed.append(
        f"Quantities are those of what closed the positions, as {cost} and {proceeds} show:"
        f" {cost} is below 0 where a long position was bought."
    )
    return True
