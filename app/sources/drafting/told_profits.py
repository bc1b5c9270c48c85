"""Profits and amounts in columns that are not read, beside what the rows make.

May touch: nothing.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from app.sources.column_names import NAMES, currency_in, is_in_points, known_as
from app.sources.drafting.adding_up import CENT, MOST
from app.sources.drafting.compared import EXACT, FAR, NEAR_TIMES, Compared, Contradiction, near
from app.sources.drafting.outcomes import Outcome
from app.sources.making import US_DOLLARS
from app.sources.pairs import POINT_VALUES, future_of

_PROFITS, _RETURNS = frozenset(NAMES["pnl_usd"]), frozenset(NAMES["roi"])
_AMOUNTS = frozenset((*NAMES["net"], *NAMES["gross"]))
_POINTS = re.compile(r"(^|_)(points?|pips?|ticks?|pts|r|r_multiple|rmultiple)(_|$)")
_RECEIVED = re.compile(r"proceeds|erlös|sale_value|sell_value|sold_(amount|value)")
_PAID = re.compile(r"cost(_basis|_base)?$|^basis$|buy_value|bought_(amount|value)|purchase_value")
_NO_PROFIT = re.compile(
    r"unreal|open|cum|running|day|mtm|target|risk|per_|avg|average|max|min|tax|mae|mfe"
)
_TIMES = (10.0, 100.0, 1_000.0, 5.0, 20.0, 25.0, 50.0, 0.1, 0.01, 0.001, 0.2, 0.05, 0.04, 0.02)
"""What profits may be multiples of if the value of a contract is another one."""
_MOST_PROFIT = 0.5
"""What profits may be of the value of a fill, at most, if they are no amounts."""
_SMALL = 0.03
"""What fees may be of the traded value, at most."""
_Told = tuple[int, float, Outcome, float]
"""(the place of a row, what a column has, what the row makes, its profit)."""


def by_profits(compared: Compared) -> Iterator[Contradiction]:
    """Columns of profits or returns that are not what the rows make: they have the other sign in
    nearly all rows, are a usual multiple of the profits of a symbol, or have another fee in
    them."""
    contents, of_fills = compared.contents, compared.kind == "fills"
    for column in contents.columns:
        name = known_as(column)
        # What fills realise is made of their prices, also beside a column of profits that is read.
        is_told = of_fills or column not in compared.read
        if not is_told or not contents.is_numeric(column):
            continue
        money = name in _PROFITS
        of_prices = name in _RETURNS or is_in_points(column) or bool(_POINTS.search(name))
        if _NO_PROFIT.search(name) or not (money or (of_prices and not of_fills)):
            continue
        rows = [
            (i, told, own, own.earned)
            for i, (told, own) in enumerate(
                zip(contents.numbers(column), compared.found, strict=True)
            )
            if told
            and own.earned
            and abs(own.earned) > CENT + 2 * abs(own.cost)
            and not (own.cash and abs(told) > _MOST_PROFIT * abs(own.cash))
            and not (of_prices and _is_change(told, own))
        ]
        against = [i for i, told, _, made in rows if (told > 0) != (made > 0)]
        if len(against) > 1 and len(against) >= MOST * len(rows):
            yield Contradiction(
                f"Whether profits, or the sides of the rows, are read rightly: {column} has the"
                f" other sign in {len(against):,} of {len(rows):,} rows.",
                tuple(against),
            )
        elif (
            money
            and not contents.has_percent(column)
            and not is_in_points(column)
            and "%" not in column
        ):
            if not of_fills and "pnl_usd" in compared.fields:
                yield from _by_fees(column, contents.numbers(column), compared.found)
            elif currency_in(column) in (None, *US_DOLLARS) and not _are_moves(rows):
                yield from _by_multiples(column, rows)


def _is_change(told: float, own: Outcome) -> bool:
    """Whether a number may be the change of the price, which is no gain for a short."""
    if own.side >= 0 or own.entry is None or own.exit is None:
        return False
    return (told > 0) == (own.exit > own.entry)


def _are_moves(rows: Sequence[_Told]) -> bool:
    """Whether numbers are the moves of prices, in points or pips, whatever the quantity: the same
    power of ten of them in each symbol, but no one multiple of what the rows make."""
    points: dict[str, set[int]] = defaultdict(set)
    for _, told, own, _ in rows:
        if own.entry is None or own.exit is None or own.entry == own.exit:
            return False
        steps = told / (own.side * (own.exit - own.entry)) if own.side else 0.0
        power = round(math.log10(steps)) if steps > 0 else -1
        if power < 0 or not near(steps, 10.0**power, EXACT):
            return False
        points[own.symbol].add(power)
    multiples = [told / made for _, told, _, made in rows]
    return all(len(powers) == 1 for powers in points.values()) and not all(
        near(one, multiples[0], _SMALL) for one in multiples
    )


def _by_multiples(column: str, rows: Sequence[_Told]) -> Iterator[Contradiction]:
    """Symbols whose profits are the opposite of what their rows make, or a usual multiple."""
    symbols: dict[str, list[_Told]] = defaultdict(list)
    for row in rows:
        symbols[row[2].symbol].append(row)
    for symbol, own in symbols.items():
        told, made = sum(row[1] for row in own), sum(row[3] for row in own)
        before = made + sum(row[2].cost for row in own)
        places = tuple(row[0] for row in own)
        if any(near(told, -each, _SMALL) for each in (made, before)) and all(
            (row[1] > 0) != (row[3] > 0) for row in own
        ):
            yield Contradiction(
                f"Whether purchases and sales are told apart rightly: {column} has {told:,.6g} for"
                f" {symbol}, and the rows make {made:,.6g}.",
                places,
            )
        elif (
            own[0][2].currency in US_DOLLARS
            and any(
                near(told, times * each, EXACT)
                for times in _TIMES
                for each in (made, before)
                if not _are_points(own[0][2], times)
            )
            and not any(near(told, each, 1 - 1 / FAR) for each in (made, before))
        ) or _are_near_times(own):
            yield Contradiction(
                f"Whether prices, quantities and what a point of {symbol} is worth are read"
                f" rightly: {column} has {told:,.6g}, and the rows make {made:,.6g}.",
                places,
            )


def _are_near_times(rows: Sequence[_Told]) -> bool:
    """Whether all profits are the same small multiple of what the rows make, as if the value of a
    contract were that of another one."""
    return (
        rows[0][2].currency in US_DOLLARS
        and len({round(told, 6) for _, told, *_ in rows}) > 1
        and any(
            all(near(told, times * (made + cost), EXACT) for told, made, cost in figures)
            for times in NEAR_TIMES
            for figures in (
                [(told, made, 0.0) for _, told, _, made in rows],
                [(told, made, own.cost) for _, told, own, made in rows],
            )
        )
    )


def _are_points(own: Outcome, times: float) -> bool:
    """Whether profits that are `times` what a future makes are those in points."""
    root = future_of(own.symbol)
    return (
        root is not None
        and own.value == POINT_VALUES.get(root)
        and (own.value or 0.0) * times == 1.0
    )


def _by_fees(
    column: str, numbers: Sequence[float | None], found: Sequence[Outcome]
) -> Iterator[Contradiction]:
    """A second column of profits from which fees are taken off that the profits read still have in
    them, or in which those are that were taken off twice."""
    rows = [
        (i, told, own.earned, own.cost)
        for i, (told, own) in enumerate(zip(numbers, found, strict=True))
        if told is not None and own.earned is not None
    ]
    with_fee = [i for i, _, _, cost in rows if abs(cost) > 2 * CENT]
    if not with_fee or len(rows) < 2:
        return
    for times, said in ((-1, "after the fees, and those read are not"), (2, "before the fees")):
        if all(abs(told - (made + times * cost)) <= CENT for _, told, made, cost in rows):
            yield Contradiction(
                f"Whether fees are taken off rightly: the profits in {column} are {said}.  `profit`"
                " says which they are."
                if times < 0
                else f"Whether fees are taken off twice: the profits in {column} are {said}, and"
                " those read are less by twice the fees.",
                tuple(with_fee),
            )


def by_proceeds(compared: Compared) -> Iterator[Contradiction]:
    """Profits that are the opposite of proceeds less costs in all rows."""
    numbers = [c for c in compared.contents.columns if compared.contents.is_numeric(c)]
    received = [column for column in numbers if _RECEIVED.search(known_as(column))]
    paid = [column for column in numbers if _PAID.search(known_as(column))]
    if compared.kind != "positions" or len(received) != 1 or len(paid) != 1:
        return
    contents = compared.contents
    rows = [
        (i, abs(got) - abs(given), own.earned)
        for i, (got, given, own) in enumerate(
            zip(*map(contents.numbers, (*received, *paid)), compared.found, strict=True)
        )
        if got is not None and given is not None and own.earned
    ]
    if len(rows) > 1 and all(abs(gain) > CENT and near(gain, -e, EXACT) for _, gain, e in rows):
        yield Contradiction(
            f"Whether the sign of the profits is read rightly: {received[0]} less {paid[0]} has the"
            " other sign in all rows.",
            tuple(i for i, *_ in rows),
        )


def by_amounts(compared: Compared) -> Iterator[Contradiction]:
    """Fills of which purchases cost less than their value, and sales bring more, by the amounts of
    money: sides that are exchanged."""
    if compared.kind != "fills":
        return
    contents = compared.contents
    columns = [c for c in contents.columns if known_as(c) in _AMOUNTS and contents.is_numeric(c)]
    for column in columns:
        rows: list[tuple[int, float, bool]] = []
        for i, (amount, own) in enumerate(
            zip(contents.numbers(column), compared.found, strict=True)
        ):
            value = abs(own.cash + own.fee)
            if not amount or not own.quantity or not value:
                continue
            paid = (abs(amount) - value) * (1 if own.quantity > 0 else -1)
            more = paid / value
            if abs(more) <= _SMALL and abs(paid) > CENT and abs(paid - own.cost) > CENT:
                rows.append((i, more, own.quantity > 0))
        if len(rows) > 1 and len({bought for *_, bought in rows}) > 1:
            against = [i for i, more, _ in rows if more < 0]
            if len(against) == len(rows):
                yield Contradiction(
                    f"Whether purchases and sales are told apart rightly: by {column}, what is read"
                    " as a purchase cost less than its value, and what is read as a sale brought"
                    " more.",
                    tuple(against),
                )
