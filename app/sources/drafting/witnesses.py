"""Figures of the file that are what the rows make as the draft reads them, and are not as an edited
mapping reads them.

May touch: nothing.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence

from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import Contradiction
from app.sources.drafting.contents import Contents
from app.sources.drafting.outcomes import Outcome
from app.sources.value_names import is_balance

_CENT, _SHARE = 0.00501, 2e-6
"""What an exact figure may be off by rounding, in units and as a share."""
_FEWEST = 2
_FAILS = 0.5
"""Share of rows below which a figure is not what the rows make."""
_Figures = dict[str, list[float | None]]


def witnesses(
    contents: Contents, drafted: Sequence[Outcome], own: Sequence[Outcome]
) -> Iterator[Contradiction]:
    """Columns of `contents`, which neither the draft nor the mapping reads, that confirm the one
    and contradict the other; both have an outcome for each row."""
    theirs, ours = _figures(drafted), _figures(own)
    for column in contents.columns:
        if not contents.is_numeric(column) or contents.time(column) is not None:
            continue
        for told, steps in _told(contents, column):
            for name, made in theirs.items():
                confirmed = _confirmed(told, made)
                off = [
                    i
                    for i in confirmed
                    if (b := ours[name][i]) is None or not _is(told[i] or 0.0, b)
                ]
                if len(off) > _FAILS * len(confirmed):
                    yield Contradiction(
                        f"Whether the edits are right: {'the steps of ' if steps else ''}{column}"
                        f" {'are' if steps else 'is'} {name} as the draft reads the rows, and not"
                        " as the mapping does.",
                        tuple(off),
                    )
                    return


def by_sums(drafted: Sequence[Outcome], own: Sequence[Outcome]) -> Iterator[Contradiction]:
    """Positions whose profits are what prices and quantities make as the draft reads them alone."""
    fits, fails = _adds_up(drafted), _adds_up(own)
    known = [i for i, fit in fits.items() if fit]
    off = [i for i, fit in fails.items() if not fit]
    if (
        len(known) >= _FEWEST
        and len(known) >= MOST * len(fits)
        and len(off) > _FAILS * len(fits)
        and len({round(drafted[i].earned or 0.0, 6) for i in known}) >= _FEWEST
    ):
        yield Contradiction(
            "Whether the edits are right: profits are what prices, quantities and fees make as the"
            " draft reads the rows, and not as the mapping does.",
            tuple(off),
        )


def _told(contents: Contents, column: str) -> Iterator[tuple[list[float | None], bool]]:
    """(the numbers of a column, or of a balance its steps in either order; whether they are
    steps)."""
    numbers = contents.numbers(column)
    if not is_balance(column):
        yield numbers, False
        return
    for before in ([None, *numbers[:-1]], [*numbers[1:], None]):
        yield (
            [
                None if a is None or b is None else a - b
                for a, b in zip(numbers, before, strict=True)
            ],
            True,
        )


def _figures(found: Sequence[Outcome]) -> _Figures:
    """What rows make, by its name."""
    made: _Figures = defaultdict(list)
    for own in found:
        value = own.value or 1.0
        known = own.earned is not None
        made["the profit after fees"].append(own.earned)
        made["the profit before fees"].append(own.earned + own.fee if known else None)  # type: ignore[operator]
        made["the return in percent"].append(None if own.ret is None else 100 * own.ret)
        made["the cash after fees"].append(own.cash or None)
        for name, price in (("entry", own.entry), ("exit", own.exit)):
            made[f"the value at the {name}"].append(
                price * own.quantity * value if price and own.quantity else None
            )
        made["the quantity"].append(own.quantity or None)
    return made


def _is(told: float, made: float) -> bool:
    return abs(abs(told) - abs(made)) <= _CENT + _SHARE * abs(told)


def _confirmed(told: Sequence[float | None], made: Sequence[float | None]) -> list[int]:
    """The rows that have what they make, if nearly all do, and not always the same."""
    both = [
        (i, a, b) for i, (a, b) in enumerate(zip(told, made, strict=True)) if a is not None and b
    ]
    same = [(i, a) for i, a, b in both if _is(a, b)]
    enough = len({a for _, a in same}) >= _FEWEST and len(same) >= MOST * len(both)
    return [i for i, _ in same] if enough else []


def _adds_up(found: Sequence[Outcome]) -> dict[int, bool]:
    """By row with a profit, whether it is what prices and quantities make, at the value of a point
    that is told, else at one for each symbol."""
    ratios: dict[str, list[float]] = defaultdict(list)
    rows = []
    for i, own in enumerate(found):
        if own.earned is None or not (own.side and own.quantity) or None in (own.entry, own.exit):
            continue
        move = own.side * (own.exit - own.entry) * own.quantity  # type: ignore[operator]
        rows.append((i, own, own.earned + own.fee, move))
        if move:
            ratios[own.symbol].append((own.earned + own.fee) / move)
    found_values = {
        symbol: {1.0, *([statistics.median(own)] if len(own) >= _FEWEST else [])}
        for symbol, own in ratios.items()
    }
    return {
        i: any(
            _is(gross, value * move) and (gross > 0) == (value * move > 0)
            for value in ({own.value} if own.value else found_values.get(own.symbol, {1.0}))
        )
        for i, own, gross, move in rows
    }
