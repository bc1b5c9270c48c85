"""Tables that are refused, as they have no trades in their rows: ledgers and account statements.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.errors import BadDataError
from app.sources.blocks import UNNAMED
from app.sources.cells import as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting.contents import Contents
from app.sources.drafting.spec import Fields, Spec
from app.sources.drafting.time_readings import MOST, half_exchanged
from app.sources.ends import end_of, is_price
from app.sources.pairs import pair_of
from app.sources.sides import Side, read_side
from app.sources.times import lacks_year

_GIVEN_AND_TAKEN = (
    {"buy", "sell", "cur"},
    {"buy", "sell", "cur_buy"},
    {"sent_amount", "received_amount"},
    {"amount", "to_amount"},
    {"sent_quantity", "received_quantity"},
    {"buy_amount", "sell_amount"},
    {"from_amount", "to_amount"},
    {"amount_bought", "amount_sold"},
    {"bought_amount", "sold_amount"},
    {"token_bought", "token_sold"},
    {"amount_in", "amount_out"},
    {"token_in", "token_out"},
    {"origin_amount", "destination_amount"},
    {"in_buy_amount", "out_sell_amount"},
    {"in_amount", "out_amount"},
    {"cost_amount", "value_amount"},
    {"montant_reçu", "montant_envoyé"},
    {"erhaltene_menge", "gesendete_menge"},
)
_TRADE_IN_WORDS = re.compile(
    r"\b(buy|sell|bought|sold|kauf|verkauf|koop|verkoop|achat|vente|compra|venta|vendita)\b"
    r".*\d.*(@|\b(at|a|à|zu|por|per|for|au prix de)\b)\s*[^\d\s]{0,3}\s?\d"
    r"|^[BS] \d[\d,.]* \S+ @ \d|\b(filled|executed) (at|@) ?[^\d\s]{0,3}\d",
    re.IGNORECASE,
)
_TIMES = {name for field in ("time", "entry_timestamp", "exit_timestamp") for name in NAMES[field]}
_LATER = re.compile("settle|valu|valut|expir|matur|clear")
"""Of times that are not those of trades."""
_FEWEST_PRICES, _BEYOND_PRICES = 2, 1e14
_NEARLY = 0.05
"""By how much an amount after fees may differ from that before them, as a share of it."""
_HELD_AT = re.compile(r"(avg|average)_(cost|price|entry_price)|cost_basis|cost_price|unit_cost")
_OF_THE_DAY = re.compile(r"(last|current|market|mark|closing)_(price|value)|last_sale_price")
_CLOSED = re.compile(r"proceeds|sold|sell|sale_date|(?<!un)reali[sz]ed|side|action")
"""Of columns of holdings, and of trades that were closed."""
_UNREALIZED = re.compile(r"unreali[sz]ed|(^|_)(upl|upnl|floating)(_|$)")
_REALIZED = re.compile(r"(?<!un)reali[sz]ed|closed|(^|_)(pnl|profit)$")
_OF_MARGIN = re.compile(r"(mark|liq|liquidation)_(price|px)|liquidation")
"""Of columns of open positions, and of what those that were closed have."""
_OF_DAYS = re.compile(r"(daily_|strategy_|portfolio_)?returns|daily_return|strategy")
_BENCHMARK = re.compile(r"benchmark|(^|_)spy(_|$)")
"""Of columns of returns that are of days, and of what they are compared with."""
_LARGEST_OF_A_DAY = 1
_STATEMENT = re.compile(r"\s*(INSERT\s+INTO|CREATE\s+TABLE|COPY\s+\S+\s*\()", re.IGNORECASE)
_RATE_OF_FUNDING = re.compile(r"funding_rate")
_FUNDING = re.compile(r"payment|funding(_(fee|payment|amount|cost))?|amount|income")
"""Of what was paid or received for a position, at some rate."""
_SCALED = re.compile("(price|px|value|fee|pnl|rate)[_ ]?(e[prv]|[ex]18)$", re.IGNORECASE)
"""Of columns whose numbers are scaled by a power of ten, by a letter for what they are."""
_OF_AMOUNTS = re.compile(r"price|amount|(^|_)(fee|base|quote|filled|size|qty|quantity|pnl)(_|$)")
_SMALLEST_UNITS = 1e12
"""Above which whole amounts of coins are counted in the smallest unit of a blockchain."""
_KINDS_OF_INCOME = {
    "realized_pnl", "realised_pnl", "commission", "funding_fee", "funding", "trading_fee",
    "insurance_clear", "commission_rebate", "referral_kickback",
}  # fmt: skip
_MOVED = {"amount", "change", "amount_change", "quantity", "balance_delta", "delta"}
"""What a ledger calls its payments and receipts."""


_LEGS, _CENT = 2, 0.005
"""Rows of a transaction at least, and up to which sum they make up nothing."""
_DIGITS = re.compile(
    r"(price_)?(digits|decimals|precision|decimal_places|exponent|price_scale|scale)"
)
"""Of columns with how many digits of whole numbers are decimals."""


def refuse_without_year(path: str, contents: Contents, times: Sequence[str]) -> None:
    """Raises for days without a year, unless one of `times`, the columns with times that were
    found, has days of its own that are not those of settlements."""
    if any(not _LATER.search(known_as(column)) for column in times):
        return
    for column in contents.columns:
        values = [as_text(v) for v in contents.values(column)]
        named = known_as(column) in _TIMES
        if (
            values
            and (named or not (times or contents.is_numeric(column)))
            and sum(map(lacks_year, values)) >= MOST * len(values)
        ):
            raise BadDataError(
                f"{column} of {path} has days without a year, such as {values[0]!r}.",
                "Export the file with full dates, or write the year into the cells of that column.",
            )


def refuse_half_exchanged(path: str, contents: Contents) -> None:
    """Raises for a column in which a spreadsheet has made days of some texts, and may have
    exchanged their day and month."""
    for column in contents.columns:
        if contents.time(column) is not None and (day := half_exchanged(contents.values(column))):
            raise BadDataError(
                f"{column} of {path} has days such as {day} beside texts such as 31/12/2024: a"
                " spreadsheet has read those that it could, perhaps with day and month exchanged.",
                "Export the file again, and import it without opening it in a spreadsheet first.",
            )


def refuse_sentences(path: str, contents: Contents) -> None:
    """Raises for an account statement whose text names side, quantity and price."""
    for column in contents.columns:
        if any(_TRADE_IN_WORDS.search(word) for word in contents.words(column)):
            raise BadDataError(
                f"{path} names quantities and prices within the text of {column}: an account"
                " statement, not a list of trades.",
                "Export the trades or transactions, with a column each for quantity and price.",
            )


def refuse_amounts(path: str, contents: Contents, as_positions: Fields) -> None:
    """Raises for amounts of purchases and sales that look like profits: they are nearly those of
    another column, on both sides."""
    profit, side = as_positions.get("pnl_usd"), as_positions.get("side")
    if profit is None or side is None or len(profit.columns) > 1:
        return
    said = {s.fill for w in contents.words(side.column) if isinstance(s := read_side(w), Side)}
    used = {*profit.columns, *side.columns}
    for column in contents.columns if len(said) > 1 else ():
        if column in used or not contents.is_numeric(column):
            continue
        rows = [
            abs(abs(amount / other) - 1)
            for amount, other in zip(
                contents.numbers(profit.column), contents.numbers(column), strict=True
            )
            if amount and other
        ]
        if len(rows) > 1 and all(rest <= _NEARLY for rest in rows):
            raise BadDataError(
                f"{path} has amounts of purchases and sales ({profit.column}), without prices.",
                "Export the trades or fills with their prices and quantities.",
            )


def refuse_scaled(path: str, contents: Contents, as_fills: Fields) -> None:
    """Raises for prices and amounts that are whole numbers of a power of ten that the name of their
    column stands for, as in interfaces of exchanges: `priceEp`, `execFeeEv`."""
    found = [column for column in contents.columns if _SCALED.search(column)]
    if not {"price", "quantity"} <= as_fills.keys():
        found += [c for c in contents.columns if c not in found and _is_fixed_point(contents, c)]
    if len(found) > 1 and all(map(contents.is_numeric, found)):
        raise BadDataError(
            f"{path} has prices and amounts as whole numbers of a unit that each contract defines:"
            f" {', '.join(found[:4])}.",
            "Export the trades on the exchange's page instead, or divide the numbers first.",
        )


def _is_fixed_point(contents: Contents, column: str) -> bool:
    """Whether amounts are whole numbers of the smallest unit that a blockchain counts."""
    if not _OF_AMOUNTS.search(known_as(column)) or not contents.is_numeric(column):
        return False
    numbers = [abs(n) for n in contents.read_numbers(column) if n]
    return bool(numbers) and all(n.is_integer() and n >= _SMALLEST_UNITS for n in numbers)


def refuse_holdings(path: str, contents: Contents, fields: Fields) -> None:
    """Raises for what was held on some days: an average cost beside the price or the value of a
    day, and no end of a trade."""
    if "exit_price" in fields or any(
        end_of(known_as(column)) == "exit" for column in contents.columns
    ):
        return
    names = [known_as(column) for column in contents.columns]
    if (
        any(_HELD_AT.fullmatch(name) for name in names)
        and any(_OF_THE_DAY.fullmatch(name) for name in names)
        and not any(_CLOSED.search(name) for name in names)
    ):
        raise BadDataError(
            f"{path} has what was held on some days and its value then, not closed trades.",
            "Export the trades or transactions, or the closed positions.",
        )


def refuse_open_positions(path: str, contents: Contents) -> None:
    """Raises for positions as they stood at some time: what they would bring then, beside a price
    of the market or one of liquidation, and nothing of a close."""
    names = [known_as(column) for column in contents.columns]
    rest = [name for name in names if not _UNREALIZED.search(name)]
    if (
        len(rest) < len(names)
        and any(map(_OF_MARGIN.search, rest))
        and any(end_of(name) == "entry" for name in rest)
        and not any(end_of(name) == "exit" or _REALIZED.search(name) for name in rest)
    ):
        raise BadDataError(
            f"{path} has open positions as they stood at some time, and no closed trades.",
            "Export the trades (fills), or the closed positions.",
        )


def refuse_digits(path: str, contents: Contents) -> None:
    """Raises for prices as whole numbers beside a column with how many of their digits are
    decimals."""
    digits = next((c for c in contents.columns if _DIGITS.fullmatch(known_as(c))), None)
    if digits is None or not any(contents.read_numbers(digits)):
        return
    prices = [c for c in contents.columns if is_price(known_as(c)) and contents.is_numeric(c)]
    least = 10 ** min(contents.read_numbers(digits))
    numbers = [n for column in prices for n in contents.read_numbers(column) if n]
    if numbers and all(n.is_integer() and n >= least for n in numbers):
        raise BadDataError(
            f"{path} has prices as whole numbers, and {digits} says how many of their digits are"
            " decimals.",
            "Export prices with a decimal point.",
        )


def refuse_base_units(path: str, contents: Contents) -> None:
    """Raises for prices that are whole numbers beyond any price: those of contracts on a chain,
    which count in 10^-18."""
    for column in filter(lambda column: is_price(known_as(column)), contents.columns):
        numbers = [n for n in contents.read_numbers(column) if n]
        if len(numbers) >= _FEWEST_PRICES and all(
            n.is_integer() and n >= _BEYOND_PRICES for n in numbers
        ):
            raise BadDataError(
                f"{path} has prices in the smallest unit of a chain, such as"
                f" {contents.values(column)[0]} in {column}, and nothing says how many of their"
                " digits are decimals.",
                "Export prices and sizes with a decimal point, one row for each fill or position.",
            )


def _returns_beside_a_benchmark(contents: Contents, time: Spec) -> Spec | None:
    """The column of returns, if there are but a day, returns, and those of a benchmark."""
    others = [column for column in contents.columns if column not in time.columns]
    small = [
        column
        for column in others
        if contents.is_numeric(column)
        and all(abs(n) < _LARGEST_OF_A_DAY for n in contents.read_numbers(column))
    ]
    own = [column for column in small if not _BENCHMARK.search(known_as(column))]
    return Spec([own[0]]) if small == others and 0 < len(own) < len(small) else None


def refuse_statements(path: str, contents: Contents) -> None:
    """Raises for a dump of a database: the statements that would fill a table."""
    if any(_STATEMENT.match(text) for text in (*contents.columns, *contents.texts)):
        raise BadDataError(
            f"{path} has SQL statements, not a table.",
            "Export the table as CSV, such as with COPY ... TO or a client's export.",
        )


def refuse_unnamed(path: str, contents: Contents) -> None:
    """Raises for a table without a line of names: numbers alone do not say which are prices,
    quantities or fees."""
    if not all(map(UNNAMED.fullmatch, contents.columns)):
        return
    first = ", ".join(as_text(contents.cells(c)[0] or "") for c in contents.columns[:4])
    names = ", ".join(_likely_name(contents, column) for column in contents.columns)
    raise BadDataError(
        f"{path} has no names of columns: its first line is a row, which begins with {first}.",
        "Add a first row that names them, and draft again. By what stands in the columns, those"
        f" may be: {names}. Replace each ? by what it is, such as quantity, price or fee.",
    )


def _likely_name(contents: Contents, column: str) -> str:
    """What a column without a name may be, `?` where its cells do not show it."""
    words = contents.words(column)
    if contents.time(column) is not None:
        return "time"
    if words and all(isinstance(read_side(word), Side) for word in words):
        return "side"
    return "symbol" if words and all(map(pair_of, words)) else "?"


def refuse_returns_of_days(path: str, contents: Contents, fields: Fields) -> None:
    """Raises for returns of days, one after the other, as statistics of portfolios read them."""
    spec, time = fields.get("roi"), fields.get("exit_timestamp")
    if spec is None and fields.keys() == {"exit_timestamp"}:
        spec = _returns_beside_a_benchmark(contents, fields["exit_timestamp"])
    if spec is None or time is None or fields.keys() - {"roi", "exit_timestamp"}:
        return
    days = contents.values(time.column)
    named = _OF_DAYS.fullmatch(known_as(spec.column)) or any(
        _BENCHMARK.search(known_as(column)) for column in contents.columns
    )
    if named and len(days) == contents.n_rows == len({as_text(day) for day in days}):
        raise BadDataError(
            f"{path} has the returns of days ({spec.column}), not of trades.",
            "Export the trades themselves.",
        )


def _are_fundings(contents: Contents) -> bool:
    """Whether a column says of all rows that they are payments of funding."""
    return any(
        {word.strip().lower() for word in contents.words(column)} == {"funding"}
        for column in contents.columns
    )


def refuse_ledger(path: str, contents: Contents, as_fills: Fields, outcome: bool) -> None:
    """Raises for a ledger, which has payments and receipts in separate rows."""
    names = {known_as(column) for column in contents.columns}
    given = any(pair <= names for pair in _GIVEN_AND_TAKEN) or (
        {"buy", "sell"} <= names
        and all(contents.signs(c) for c in contents.columns if known_as(c) in ("buy", "sell"))
    )
    sent = {"sent_amount", "received_amount"} <= names and any("currency" in n for n in names)
    if given and (sent or not outcome) and not {"price", "quantity"} <= as_fills.keys():
        raise BadDataError(
            f"{path} has what was given and what was taken in each row, without a price.",
            "Export the trades (or trade history, fills) of the exchange itself instead.",
        )
    if (
        any(_RATE_OF_FUNDING.search(name) for name in names)
        and (
            _are_fundings(contents)
            or ("price" not in as_fills and any(_FUNDING.fullmatch(name) for name in names))
        )
        and not any(end_of(name) for name in names)
    ):
        raise BadDataError(
            f"{path} has payments of funding, not trades.",
            "Export the trades or the closed positions.",
        )
    for column in contents.columns if "price" not in as_fills else ():
        kinds = {known_as(word) for word in contents.words(column)} & _KINDS_OF_INCOME
        if len(kinds) > 1:
            raise BadDataError(
                f"{path} has payments of several kinds in rows of their own, as {column} says:"
                f" {', '.join(sorted(kinds))}.",
                "Export the trades (fills) or the closed positions of the same period instead.",
            )
    in_and_out = any(
        {word.strip().lower() for word in contents.words(column)} >= {"in", "out"}
        for column in contents.columns
    )
    moved = names & _MOVED and names & {"asset", "coin", "currency", "trading_currency"}
    units = any(name.endswith("_unit") for name in names) and {"amount", "balance"} <= names
    apart = "price" not in as_fills and not outcome and _in_rows_apart(contents)
    if apart or (
        (moved or units or in_and_out)
        and (
            in_and_out
            or any(name.endswith("_change_type") for name in names)
            or names
            & {
                "refid",
                "operation",
                "reference",
                "transfer_id",
                "type",
                "account",
                "balance",
                "record_type",
            }
        )
        and "price" not in as_fills
        and not outcome
    ):
        raise BadDataError(
            f"{path} looks like a ledger: payments and receipts are in separate rows, without a"
            " price.",
            "Export the trades (or trade history, fills) of the same period instead.",
        )


def refuse_postings(path: str, contents: Contents) -> None:
    """Raises for the books of double entry, in which a transaction has a row for each account."""
    accounts = [c for c in contents.columns if re.search(r"account", known_as(c))]
    if any(_in_rows_apart(contents, contents.cells(column)) for column in accounts):
        raise BadDataError(
            f"{path} looks like a ledger: each transaction has a row for each of its accounts.",
            "Export the trades (or trade history, fills) of the same period instead.",
        )


def _in_rows_apart(contents: Contents, accounts: Sequence[object] | None = None) -> bool:
    """Whether the rows that share a number are payments and receipts of one transaction: amounts in
    several currencies, or postings that make up nothing, each in an account of its own."""
    amounts = [
        column
        for column in contents.columns
        if contents.is_numeric(column) and len({n > 0 for n in contents.read_numbers(column)}) > 1
    ]
    coins = [c for c in contents.columns if known_as(c) in ("currency", "coin", "asset")]
    for column in contents.columns if amounts else ():
        if not re.search(r"(^|_)(id|ref|refid|no)$", known_as(column)):
            continue
        groups: dict[str, list[int]] = {}
        for i, cell in enumerate(contents.cells(column)):
            groups.setdefault("" if cell is None else as_text(cell), []).append(i)
        if "" in groups or any(len(own) < _LEGS for own in groups.values()):
            continue
        for coin in coins if accounts is None else ():
            cells = contents.cells(coin)
            if all(len({cells[i] for i in own}) > 1 for own in groups.values()):
                return True
        if accounts is not None and any(
            len({accounts[i] for i in own}) < _LEGS for own in groups.values()
        ):
            continue
        for amount in amounts:
            numbers = contents.numbers(amount)
            if all(
                any(numbers[i] for i in own) and abs(sum(numbers[i] or 0 for i in own)) < _CENT
                for own in groups.values()
            ):
                return True
    return False
