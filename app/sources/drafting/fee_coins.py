"""Fills: in which coin the fees are, by a column of coins, by names, or by what share of the
quantity and of the value they are.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from itertools import pairwise

from app.sources.cells import WHOLE, as_text
from app.sources.column_names import currency_in, joined_words, known_as
from app.sources.drafting.contracts import escaped
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import ASSUMED
from app.sources.drafting.fee_columns import in_both_coins
from app.sources.drafting.fill_rows import profits_of, purchases
from app.sources.drafting.spec import Spec
from app.sources.drafting.symbol_columns import CURRENCIES
from app.sources.glued_names import spaced
from app.sources.making import US_DOLLARS
from app.sources.mapping import BASE, TRADED
from app.sources.pairs import pair_in, settled_in

_OF_COIN = re.compile(r"(?i:fees?|commission|gebühr)[ _]*[(\[]?([A-Z]{2,6})[)\]]?$")
"""Of fees that are named with their coin."""
_LEVIES = ("GST", "VAT", "SEC", "NFA", "TAF", "ORF", "IVA", "TTF", "STT", "USD", "PCT", "BPS", "ID")
"""Words in capitals behind fees, which are no coins."""
_ROUNDED = 0.003
"""By what share fees of one rate differ, as they are rounded."""


def settle_fee_coins(decided: Decided) -> None:
    contents, fields = decided.kept.contents, decided.fields
    fee = fields.get("fee")
    if fee is None or fee.keys.get("rate"):
        return
    _told_in_quotes(decided, fee)
    both = in_both_coins(contents, fee, purchases(decided), _bases(decided))
    if both is not None and "fee_currency" not in fields:
        if both:
            decided.sections.setdefault("constants", {})["fee_currency"] = (
                BASE,
                "of purchases in the coin bought, of sales in the other",
            )
        else:
            decided.left.append(
                f"The fees: {' and '.join(fee.columns)} are in two coins within a row, so they are"
                " left out."
            )
            del fields["fee"]
        return
    if "symbol" not in fields:
        return
    if _of_each_side(decided) or _in_own_currencies(decided, fee):
        return
    _one_currency(decided, fee)
    coins = dict(contents.signs(fee.column))
    if "fee_currency" in fields:
        coins = dict(contents.words(fields["fee_currency"].column))
    pairs = _pairs(decided)
    coins_of_contracts = {settled_in(word) for word in contents.words(fields["symbol"].column)}
    if "inverse" in decided.keys:
        coins_of_contracts |= {pair[0] for pair in pairs if pair}
    bases = {pair[0] for pair in pairs if pair} - coins_of_contracts
    quotes = {pair[1] for pair in pairs if pair} | coins_of_contracts
    if coins:
        base = [coin for coin in coins if coin in bases]
        counted = bases | quotes | (US_DOLLARS if quotes & US_DOLLARS else set())
        other = [coin for coin in coins if coin not in counted and pairs and all(pairs)]
        if base:
            decided.guessed.append(
                f"Fees in the coin that is traded ({', '.join(base[:4])}) are deducted from its"
                " quantity."
            )
        if other:
            decided.guessed.append(
                f"Fees in {', '.join(other[:4])} are left out: their worth in the quote currency is"
                " unknown."
            )
    elif (own := currency_in(fee.column)) is not None and (
        "currency" in fields or own in bases | quotes or (pairs and all(pairs))
    ):
        priced = decided.keys.get("currency", ("",))[0] == own
        settled = any(currency_in(column) == own for column in profits_of(contents))
        if own in bases and settled and not priced:
            decided.left.append(
                f"The fees: {fee.column} is in {own}, as the profits are, so it is no part of what"
                " was traded. It is left out: its worth in the quote currency is unknown."
            )
            del fields["fee"]
            return
        decided.sections.setdefault("constants", {})["fee_currency"] = (own, "by the column's name")
    elif (
        pairs
        and all(pairs)
        and (named := _coin_of(fee.column, contents.columns))
        and named not in (*_LEVIES, *bases, *quotes)
    ):
        decided.left.append(
            f"The fees: {fee.column} is in {named}, by its name, so it is left out: its worth in"
            " the quote currency is unknown."
        )
        del fields["fee"]
    elif pairs and all(pairs) and any(contents.read_numbers(fee.column)):
        if _fees_in_the_coin(decided, fee, True) and _fees_in_the_coin(decided, fee, False):
            if _of_contracts(decided, fee):
                _ask_for_contracts(decided, fee)
                return
            decided.sections.setdefault("constants", {})["fee_currency"] = (
                TRADED,
                "the coin that is traded",
            )
            decided.guessed.append(
                f"{fee.column} is in the coin that is traded: in the quote currency it would be"
                " next to nothing."
            )
            return
        if _fees_in_the_coin(decided, fee, True):
            decided.sections.setdefault("constants", {})["fee_currency"] = (
                BASE,
                "of purchases in the coin bought, of sales in the other",
            )
            decided.guessed.append(
                f"{fee.column} of purchases is in the coin bought: in the quote currency it would"
                " be next to nothing."
            )
            return
        decided.left.append(
            f"The currency of the fees: the file does not say, so {fee.column} is read in the quote"
            " currency."
        )


def _told_in_quotes(decided: Decided, fee: Spec) -> None:
    """Of a fee in two columns of one name but for a currency, take the one in the currency of the
    prices: it is the worth of the other, which is in coins that a third column names."""
    contents, fields = decided.kept.contents, decided.fields
    if len(fee.columns) != 2 or "fee_currency" not in fields:
        return
    named = [column for column in fee.columns if currency_in(column)]
    plain = [column for column in fee.columns if column not in named]
    quotes = {pair[1] for pair in _pairs(decided) if pair}
    if not (len(named) == 1 == len(plain) and known_as(named[0]) == known_as(plain[0])):
        return
    code, told = str(currency_in(named[0])), contents.words(fields["fee_currency"].column)
    if not (quotes == {code} or quotes | {code} <= US_DOLLARS) or told.keys() <= quotes:
        return
    fee.columns = named
    del fields["fee_currency"]
    decided.guessed.append(
        f"The fee is {named[0]}, which {plain[0]} in other coins is worth: it counts once."
    )


def name_fees_abroad(decided: Decided) -> None:
    """Name fees that are in another currency than the prices of their fills: they do not count."""
    contents, fields = decided.kept.contents, decided.fields
    fee = fields.get("fee")
    if fee is None or any(said.startswith("The fees:") for said in decided.left):
        return
    told, _ = decided.sections.get("constants", {}).get("fee_currency", ("", ""))
    coin = fields.get("fee_currency")
    coins = contents.cells(coin.column) if coin else [told or None] * contents.n_rows
    own: list[object] = [decided.keys.get("currency", ("",))[0]] * contents.n_rows
    if "currency" in fields:
        own = list(contents.cells(fields["currency"].column))
    paid = [any(row) for row in zip(*map(contents.numbers, fee.columns), strict=True)]
    abroad = sorted(
        {
            code
            for one, priced, some in zip(coins, own, paid, strict=True)
            if some and (code := as_text(one or "").strip()) in CURRENCIES
            if (of_price := as_text(priced or "").strip()) in CURRENCIES
            and code != of_price
            and WHOLE.get(of_price) != code
        }
    )
    if abroad:
        decided.left.append(
            f"The fees: those in {', '.join(abroad)} are in another currency than the prices, so"
            " they are left out."
        )


def _in_own_currencies(decided: Decided, fee: Spec) -> bool:
    """Whether there is a column of fees for each currency, named after it, and each fill has its
    fee in that of its own price."""
    contents, fields = decided.kept.contents, decided.fields
    named = [currency_in(column) for column in fee.columns]
    if "currency" not in fields or "fee_currency" in fields or len({*named}) < 2 or None in named:
        return False
    own = contents.cells(fields["currency"].column)
    numbers = [contents.numbers(column) for column in fee.columns]
    return all(
        own[i] is not None and as_text(own[i]).strip() == code
        for code, column in zip(named, numbers, strict=True)
        for i, n in enumerate(column)
        if n
    )


def _one_currency(decided: Decided, fee: Spec) -> None:
    """Fees in several columns, each with a column of its currency, that are all in the same one."""
    contents, fields = decided.kept.contents, decided.fields
    if len(fee.columns) < 2 or "fee_currency" not in fields:
        return
    codes = {
        word.strip()
        for column in fee.columns
        for own in contents.columns
        if own not in fee.columns and column.lower() in own.lower()
        for word in contents.words(own)
    }
    told = contents.cells(fields["fee_currency"].column)
    numbers = [contents.numbers(column) for column in fee.columns]
    unsaid = any(code is None and any(own[i] for own in numbers) for i, code in enumerate(told))
    if unsaid and len(codes) == 1 and codes <= CURRENCIES:
        del fields["fee_currency"]
        decided.sections.setdefault("constants", {})["fee_currency"] = (
            codes.pop(),
            "by the columns of the currencies of fees",
        )


def _of_each_side(decided: Decided) -> bool:
    """Whether purchases of what has only a number or a code pay fees in one coin, and sales in
    another one: those are the coin bought and the currency."""
    contents, fields = decided.kept.contents, decided.fields
    if "fee_currency" not in fields or any(_pairs(decided)):
        return False
    coins: dict[str, dict[bool, set[str]]] = {}
    for symbol, coin, buy, n in zip(
        contents.cells(fields["symbol"].column),
        contents.cells(fields["fee_currency"].column),
        purchases(decided),
        contents.numbers(fields["fee"].column),
        strict=True,
    ):
        if n and coin is not None and buy is not None:
            own = coins.setdefault(as_text(symbol), {True: set(), False: set()})
            own[buy].add(as_text(coin))
    if not coins or not all(
        len(own[True]) == len(own[False]) == 1 and own[True] != own[False] for own in coins.values()
    ):
        return False
    del fields["fee_currency"]
    decided.sections.setdefault("constants", {})["fee_currency"] = (
        BASE,
        "of purchases in the coin bought, of sales in the other",
    )
    paid = {coin for own in coins.values() for coin in own[False]}
    if len(paid) == 1 and decided.keys.get("currency", ("", ""))[0] == "USD":
        decided.keys["currency"] = (paid.pop(), "that of the fees of sales")
        decided.left[:] = [said for said in decided.left if said != ASSUMED]
    decided.guessed.append(
        f"Fees of purchases are in the coin bought, those of sales in the currency, by"
        f" {fields['fee'].column}."
    )
    return True


def _coin_of(column: str, columns: Iterable[str]) -> str | None:
    """The coin at the end of the name of fees: in capitals where the other words are not, or in
    place of the currency of another column.

    >>> _coin_of("Fee BNB", ()), _coin_of("FEE PAID", ()), _coin_of("fee_paid", ("fee_rate",))
    ('BNB', None, None)
    >>> _coin_of("TRADE FEE BSQ", ("TRADE FEE BTC",)), _coin_of("feeBsq", ("feeBtc",))
    ('BSQ', 'BSQ')
    """
    named = _OF_COIN.search(column)
    if named and column != column.upper():
        return named[1]
    *begin, last = joined_words(spaced(column)).split("_")
    for other in columns:
        *same, coin = joined_words(spaced(other)).split("_")
        if same == begin and coin != last and currency_in(other) == coin.upper():
            return last.upper()
    return None


def _fees_in_the_coin(decided: Decided, fee: Spec, bought: bool) -> bool:
    """Whether the fees of purchases (or of sales) are usual ones as a share of the quantity, and
    next to nothing as a share of the price."""
    contents, fields = decided.kept.contents, decided.fields
    if decided.sections.get("multipliers") or fields["quantity"].keys.get("money"):
        return False  # Of contracts or money: a quantity of coins is another one.
    columns = [contents.numbers(fields[name].column) for name in ("quantity", "price")] + [
        contents.numbers(fee.column)
    ]
    rows = [
        (q, p, f)
        for q, p, f, buy in zip(*columns, purchases(decided), strict=True)
        if buy is bought and q and p and f
    ]
    if not rows:
        return False
    of_quantity = statistics.median(abs(f / q) for q, _, f in rows)
    of_price = statistics.median(abs(f / (q * p)) for q, p, f in rows)
    return bool(of_price < 1e-5 and 5e-5 <= of_quantity <= 0.02)


def _of_contracts(decided: Decided, fee: Spec) -> bool:
    """Whether the fees follow the price: a share of the value, however small, is the same in more
    rows than a share of the quantity.  Then quantities are contracts, and no coins."""
    contents, fields = decided.kept.contents, decided.fields
    columns = [fields["quantity"], fields["price"], fee]
    rows = [
        (abs(f / q), abs(f / (q * p)))
        for q, p, f in zip(*(contents.numbers(spec.column) for spec in columns), strict=True)
        if q and p and f
    ]
    whole = all(n.is_integer() for n in contents.read_numbers(fields["quantity"].column))
    of_quantity, of_value = (_n_different(shares) for shares in zip(*rows, strict=True))
    return whole and of_value < of_quantity


def _n_different(shares: Iterable[float]) -> int:
    """How many shares differ by more than what rounding makes of them."""
    ordered = sorted(shares)
    return 1 + sum(b > a * (1 + _ROUNDED) for a, b in pairwise(ordered))


def _ask_for_contracts(decided: Decided, fee: Spec) -> None:
    for name in decided.kept.contents.words(decided.fields["symbol"].column):
        decided.ask(
            escaped(name),
            f"What a contract of {name} is worth: {fee.column} is a share of price × quantity, as"
            " fees are, but far smaller than usual ones, so quantities are contracts.",
            "coins per contract, such as 0.0001; 1 if quantities are coins",
            section="multipliers",
        )


def _bases(decided: Decided) -> set[str]:
    """The coins that were traded, by the pairs, or else by the name of the quantity's column."""
    if "symbol" in decided.fields:
        return {pair[0] for pair in _pairs(decided) if pair}
    spec = decided.fields.get("quantity")
    coin = currency_in(spec.column) if spec is not None else None
    return {coin} if coin is not None else set()


def _pairs(decided: Decided) -> list[tuple[str, str] | None]:
    """The pairs that were traded, also where the coin and its currency have columns of their
    own."""
    contents, fields = decided.kept.contents, decided.fields
    symbols = contents.cells(fields["symbol"].column)
    currencies = (
        contents.cells(fields["currency"].column) if "currency" in fields else [None] * len(symbols)
    )
    both = dict.fromkeys(zip(symbols, currencies, strict=True))
    return [
        pair_in(as_text(symbol), None if currency is None else as_text(currency))
        for symbol, currency in both
        if symbol is not None
    ]
