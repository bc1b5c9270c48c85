"""Closed positions: whether returns and excursions are percent or fractions, or not to be read.

May touch: nothing.
"""

from __future__ import annotations

import statistics

from app.sources.column_names import known_as
from app.sources.drafting.adding_up import Reading
from app.sources.drafting.contents import Contents
from app.sources.drafting.decided import Decided
from app.sources.drafting.spec import Spec
from app.sources.mapping import OPEN_QUESTION

_LARGEST_FRACTION = 0.3
"""What a return or an excursion that does not say percent may be, to be taken for a fraction."""
_FRACTIONS = ("max_drawdown", "max_gain")


def settle_returns(decided: Decided, reading: Reading) -> None:
    """Whether returns are percent, by the prices or by their size; those on margin are not read."""
    spec = decided.fields.get("roi")
    if spec is not None and (reading.of_another or reading.leverage):
        del decided.fields["roi"]
        what = (
            "on margin, as it is larger than the prices give"
            if reading.leverage
            else "not on the purchase value"
        )
        decided.guessed.append(
            f"{spec.column} is not read: it is a return {what}. The return is computed from the"
            " prices."
        )
        return
    levers = [c for c in decided.kept.contents.columns if known_as(c) == "leverage"]
    if spec is not None and reading.percent is None and levers:
        decided.left.append(
            f"Whether {spec.column} is on what was traded or on the margin: {levers[0]} suggests"
            " the latter."
        )
    if spec is None or decided.kept.contents.has_percent(spec.column):
        return
    if reading.percent is not None:
        if reading.percent:
            spec.keys["scale"], spec.comment = 0.01, "percent, which agrees with the prices"
        decided.guessed.append(
            f"{spec.column} is {'percent' if reading.percent else 'a fraction'}, since so it agrees"
            " with the prices."
        )
        return
    _by_size(decided, spec)


def settle_fractions(contents: Contents, decided: Decided) -> None:
    """Greatest losses and gains of a trade: fractions of the stake or percent, or amounts of money,
    which are not read."""
    specs = {name: decided.fields[name] for name in _FRACTIONS if name in decided.fields}
    named = [
        spec
        for spec in specs.values()
        if _named_percent(spec.column) and not contents.has_percent(spec.column)
    ]
    percent = any(abs(n) > 1 for spec in named for n in contents.read_numbers(spec.column))
    for name, spec in specs.items():
        largest = max(map(abs, contents.read_numbers(spec.column)), default=0.0)
        if contents.has_percent(spec.column):
            continue
        if spec in named and percent:
            spec.keys["scale"], spec.comment = (
                0.01,
                "assumed to be percent: remove the scale if 0.05 means five percent",
            )
            decided.left.append(
                f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
            )
        elif contents.signs(spec.column) or spec in named or largest > _LARGEST_FRACTION:
            del decided.fields[name]
            decided.guessed.append(
                f"{spec.column} is not read: nothing shows that it is a fraction of the stake."
            )
        elif largest:
            decided.left.append(f"Whether {spec.column} is a fraction of the stake: assumed.")


def _named_percent(column: str) -> bool:
    return any(word in column.lower() for word in ("pct", "percent", "%"))


def _by_size(decided: Decided, spec: Spec) -> None:
    """Percent or fraction where no prices tell: by the name and the size of the numbers, and asked
    where both are possible."""
    numbers = [abs(n) for n in decided.kept.contents.read_numbers(spec.column)]
    largest = max(numbers, default=0.0)
    named = _named_percent(spec.column)
    if named and largest > 1.5 and statistics.median(numbers) > 0.1:
        spec.keys["scale"], spec.comment = (
            0.01,
            "assumed to be percent: remove the scale if 0.05 means five percent",
        )
        decided.left.append(
            f"Whether {spec.column} is in percent: assumed, since its numbers are that large."
        )
    elif largest and (named or largest > _LARGEST_FRACTION):
        spec.keys["scale"], spec.comment = (
            OPEN_QUESTION,
            f"0.01 if {largest:g} is {largest:g} percent, 1 if it is a fraction",
        )
        decided.asked.append(
            f"Whether {spec.column} is in percent or a fraction: its largest number is {largest:g},"
            " and there are no prices to compare."
        )
    elif largest:
        decided.left.append(
            f"Whether {spec.column} is a fraction: assumed, since its largest number is"
            f" {largest:g}."
        )
