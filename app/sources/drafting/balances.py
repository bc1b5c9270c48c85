"""Balances and running totals of profits, beside what the rows make.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.sources.drafting.adding_up import MOST
from app.sources.drafting.compared import (
    ALIKE,
    EXACT,
    FAR,
    FEWEST,
    Contradiction,
    multiple,
    near,
)
from app.sources.drafting.contents import Contents
from app.sources.drafting.outcomes import Outcome

_TOLD_BY_FEE = 4 * EXACT
"""What a fee is of a step, at least, if the step tells whether the fee is in it."""
Step = tuple[int, float, Outcome]
"""(the place of a row, by how much a column moves with it, what the row makes)."""


@dataclass
class _Against:
    """What speaks against the reading in each order of the rows: steps that are the opposite of
    profits, the multiple of what rows make, and steps that have another fee in them."""

    unsigned: list[int] = field(default_factory=list)
    multiple: float | None = None
    of_multiple: list[int] = field(default_factory=list)
    before_fees: bool | None = None
    of_fees: list[int] = field(default_factory=list)


def by_balance(
    contents: Contents, column: str, found: Sequence[Outcome]
) -> Iterator[Contradiction]:
    """A balance that changes by another multiple of what the rows earn, the other way, or by
    profits with (or without) the fees that are read as taken off."""
    numbers, against = contents.numbers(column), _Against()
    places = range(len(found))
    for order in (
        list(places),
        list(places)[::-1],
        sorted(places, key=lambda i: found[i].moment),
    ):
        if _fits(_steps(numbers, order, found), against):
            return
    if against.unsigned:
        yield Contradiction(
            f"Whether the profits are read rightly: {column} moves the other way in"
            f" {len(against.unsigned):,} rows.  Losses need a minus sign.",
            tuple(against.unsigned),
        )
    elif against.multiple is not None:
        yield Contradiction(
            f"Whether prices, quantities and sides are read rightly: {column} changes by"
            f" {against.multiple:.4g} times what the rows make.",
            tuple(against.of_multiple),
        )
    elif against.before_fees is not None:
        when = "before" if against.before_fees else "after"
        yield Contradiction(
            f"Whether fees are taken off rightly: {column} changes by the profits {when} fees, and"
            " the rows make others.  `profit` says which they are.",
            tuple(against.of_fees),
        )


def _steps(
    numbers: Sequence[float | None], order: Sequence[int], found: Sequence[Outcome]
) -> list[Step]:
    return [
        (i, number - before, found[i])
        for before, number, i in zip(
            [numbers[i] for i in order],
            [numbers[i] for i in order[1:]],
            order[1:],
            strict=False,
        )
        if before is not None and number is not None
    ]


def _fits(steps: Sequence[Step], against: _Against) -> bool:
    """Whether the steps are what the rows make, or their quantities, as in a balance of what was
    traded; else notes what speaks against it."""
    moved = [near(step, own.quantity, EXACT) for _, step, own in steps if own.quantity]
    if moved and sum(moved) >= MOST * len(moved):
        return True
    earned = [(i, step, own, own.earned) for i, step, own in steps if own.earned]
    same = sum(near(step, made, EXACT) for _, step, _, made in earned)
    turned = [i for i, step, _, made in earned if near(step, -made, EXACT)]
    if earned and (same >= MOST * len(earned) or _as_paid(steps)):
        return True
    if len(earned) >= FEWEST and turned and same and same + len(turned) >= MOST * len(earned):
        against.unsigned = turned
    for kind in ("earned", "cash"):
        pairs = [(i, step, getattr(own, kind)) for i, step, own in steps]
        pairs = [(i, step, made) for i, step, made in pairs if step and made]
        ratio = multiple([(step, made) for _, step, made in pairs])
        if ratio is None:
            continue
        if abs(ratio - 1) <= ALIKE:
            return not (kind == "earned" and _by_fees(earned, against))
        if (ratio < 0 or not 1 / FAR < ratio < FAR) and against.multiple is None:
            against.multiple, against.of_multiple = ratio, [i for i, _, _ in pairs]
    _by_fees(earned, against)
    return False


def _as_paid(steps: Sequence[Step]) -> bool:
    """Whether the fee of each fill is taken off in its own row: of those that open by the fee
    alone, of those that close by theirs and not by that of the entry, which is about as large."""
    rows = [
        near(step, -own.cost if own.earned is None else own.earned + own.cost, ALIKE)
        for _, step, own in steps
        if own.cost
    ]
    opens = any(own.earned is None and own.cost for _, _, own in steps)
    return opens and sum(rows) >= MOST * len(rows)


def _by_fees(earned: Sequence[tuple[int, float, Outcome, float]], against: _Against) -> bool:
    """Whether nearly all steps whose fee can be told are profits with the fee added, or taken off
    once more."""
    told = [
        (i, step, own.cost, made)
        for i, step, own, made in earned
        if abs(own.cost) > _TOLD_BY_FEE * max(abs(step), abs(made))
    ]
    if len({(made, cost) for _, _, cost, made in told}) < FEWEST:
        return False
    for before, sign in ((True, 1), (False, -1)):
        rows = [i for i, step, cost, made in told if near(step, made + sign * cost, EXACT)]
        if len(rows) >= MOST * len(told):
            against.before_fees, against.of_fees = before, rows
            return True
    return False
