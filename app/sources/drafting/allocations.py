"""Rows that are the sum of others at the same times: what a manager traded for several accounts,
beside what each of them got.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from app.sources.cells import as_text
from app.sources.column_names import known_as
from app.sources.drafting.compared import EXACT, Compared, Contradiction, near

_ACCOUNT = re.compile("acc(ount|t)|login|client|user|konto|compte|cuenta|conto|счет|счёт")
"""Of columns with the numbers of accounts."""
_MOST_ACCOUNTS, _FEWEST_PARTS, _FEWEST_SUMS = 50, 2, 2
"""Different texts in a column of accounts at most, the rows that a sum has, and how many sums show
that they are."""


def by_allocations(compared: Compared) -> Iterator[Contradiction]:
    """Rows of one account whose quantities are the sums of the rows of all others, of the same
    symbol, side and times."""
    groups: dict[tuple[str, str, str, bool], list[int]] = defaultdict(list)
    for i, own in enumerate(compared.found):
        if own.quantity and own.moment:
            side = (own.side or own.quantity) > 0
            groups[own.symbol, own.entered, own.moment, side].append(i)
    shared = [rows for rows in groups.values() if len(rows) > _FEWEST_PARTS]
    if len(shared) < _FEWEST_SUMS:
        return
    sizes = [abs(own.quantity) for own in compared.found]
    contents = compared.contents
    for column in contents.columns:
        if not _FEWEST_PARTS < len(contents.words(column)) <= _MOST_ACCOUNTS or (
            contents.is_numeric(column) and not _ACCOUNT.search(known_as(column))
        ):
            continue
        cells = ["" if cell is None else as_text(cell) for cell in contents.cells(column)]
        for whole in contents.words(column):
            sums = [
                at
                for rows in shared
                if len({cells[i] for i in rows}) == len(rows)
                for at in rows
                if cells[at] == whole
                and near(sizes[at], sum(sizes[i] for i in rows) - sizes[at], EXACT)
            ]
            if len(sums) >= _FEWEST_SUMS and len(sums) == cells.count(whole):
                yield Contradiction(
                    f"Whether the rows with {whole!r} in {column} count beside the others: their"
                    " quantities are the sums of those of the other accounts at the same times."
                    "  Leave out the ones or the others.",
                    tuple(sums),
                )
                return
