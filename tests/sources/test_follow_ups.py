"""What follows from the answers in a drafted mapping, and from edits: it is asked, or named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.sources.draft import draft
from app.sources.mapping_file import loads
from tests.sources.comparing import contradicted

PROFITS = (
    "Symbol,Side,Opened,Closed,{name},Fee\n"
    "AMD,Long,2024-05-06 09:31,2024-05-06 10:31,100,2\n"
    "MSFT,Short,2024-05-07 09:40,2024-05-07 11:40,-97,3\n"
    "SPY,Long,2024-05-08 09:55,2024-05-08 13:55,40,2\n"
)
RETURNS = (
    "Symbol,Side,Opened,Closed,Zz\n"
    "AMD,Long,2024-05-06 09:31,2024-05-06 10:31,1.2\n"
    "MSFT,Short,2024-05-07 09:40,2024-05-07 11:40,-0.7\n"
    "SPY,Long,2024-05-08 09:55,2024-05-08 13:55,4\n"
)
SIDES = (
    "Time,Symbol,Side,Qty,Price\n"
    "2024-05-06 09:31,AMD,Zu,100,190\n"
    "2024-05-06 10:31,AMD,Ab,100,191\n"
    "2024-05-07 09:31,MSFT,Ab,50,415\n"
    "2024-05-07 11:31,MSFT,Zu,50,413\n"
)
ONE_SYMBOL = "Time,Side,Qty,Price\n2024-05-06 09:31,Buy,1,5190\n2024-05-06 10:31,Sell,1,5191\n"
STATUSES = (
    "Time,Symbol,Side,Qty,Price,Status\n"
    "2024-05-06 09:31,AMD,Buy,100,190,Filled\n"
    "2024-05-06 10:31,AMD,Sell,100,191,Filled\n"
    "2024-05-07 09:31,MSFT,Buy,50,415,Cancelled\n"
    "2024-05-07 11:31,MSFT,Buy,50,413,Filled\n"
    "2024-05-07 12:31,MSFT,Sell,50,414,Filled\n"
)
PRICED = (
    "Symbol,Side,Qty,Opened,Closed,Entry,Exit,Result,Fee\n"
    "AMD,Long,5,2024-05-06 09:31,2024-05-06 10:31,100,120,98,2\n"
    "MSFT,Short,6,2024-05-07 09:40,2024-05-07 11:40,400,390,57,3\n"
    "SPY,Long,7,2024-05-08 09:55,2024-05-08 13:55,500,490,-72,2\n"
)


FILLS = (
    "Time,Symbol,Side,Qty,Filled,Price,Fee,Net Amount,Level\n"
    "2024-05-06 09:31,AMD,Buy,100,100,190,1,19001.00,188\n"
    "2024-05-06 10:31,AMD,Sell,50,50,191,1,9549.00,187\n"
    "2024-05-06 11:31,AMD,Sell,50,50,192,1.5,9598.50,186\n"
)
SUMS = (
    "Symbol,Side,Qty,Opened,Closed,Entry,Exit,Profit,Fee,Balance,Size\n"
    "AMD,Long,5,2024-05-06 09:31,2024-05-06 10:31,100,120,100,2,1098,7\n"
    "MSFT,Short,6,2024-05-07 09:40,2024-05-07 11:40,400,390,60,3,1155,8\n"
    "SPY,Long,7,2024-05-08 09:55,2024-05-08 13:55,500,490,-70,2,1083,9\n"
)


def left_open(content: str, edits: list[tuple[str, str]], folder: Path) -> list[str]:
    """What is said against the draft of a table with these edits."""
    path = folder / "t.csv"
    path.write_text(content)
    text = draft(str(path), "t").text
    for old, new in edits:
        assert old in text, (old, text)
        text = text.replace(old, new)
    return [one.sentence for one in contradicted([str(path)], loads(text, "m.toml"))]


@pytest.mark.parametrize(
    ("content", "edits", "says"),
    [
        # A column that is named as the profit: before or after fees, and in which currency?
        (
            PROFITS.format(name="Zysk własny"),
            [('pnl_usd = "?"', 'pnl_usd = "Zysk własny"')],
            ["The currency of the profits: ", "Whether Zysk własny is before or after fees: "],
        ),
        # One that is named as the return: percent or fraction?
        (RETURNS, [('pnl_usd = "?"', 'roi = "Zz"')], ["Whether Zz is in percent or a fraction: "]),
        # Words that are named as sides: what is sold first?
        (
            SIDES,
            [('buy = ["?"]', 'buy = ["zu"]'), ('sell = ["?"]', 'sell = ["ab"]')],
            ["Whether a sale of more than is held opens a short position: MSFT (50)."],
        ),
        # Exchanged, other sales are the ones in question.
        (
            SIDES,
            [('buy = ["?"]', 'buy = ["ab"]'), ('sell = ["?"]', 'sell = ["zu"]')],
            ["Whether a sale of more than is held opens a short position: AMD (100)."],
        ),
        # What was traded: a future.
        (
            ONE_SYMBOL,
            [('symbol = "?"', 'symbol = "ESM4"')],
            ["What a point of the future ES is worth per contract: the file does not say."],
        ),
        # A filter that was removed.
        (
            STATUSES,
            [('Status = ["Filled"]\n', "")],
            ["1 rows are left out, as only those count where Status is Filled: "],
        ),
        # Other columns confirm what the draft reads, and contradict the edit.
        (
            FILLS,
            [('price = "Price"', 'price = "Level"')],
            ["Net Amount is the cash after fees as the draft reads the rows"],
        ),
        (
            SUMS,
            [('quantity = "Qty"', 'quantity = "Size"')],
            ["profits are what prices, quantities and fees make as the draft reads the rows"],
        ),
        (
            SUMS,
            [("[pattern]", '[multipliers]\n"*" = 3\n[pattern]')],
            ["profits are what prices, quantities and fees make as the draft reads the rows"],
        ),
        # A question that was deleted, and a decision.
        (
            re.sub(r"2024-05-0(\d)", r"1\1.05.2024", PROFITS.format(name="Profit")),
            [('currency = "?"', "# "), ('profit = "?"', 'profit = "net"')],
            ["The currency of the profits: the file does not use American formats"],
        ),
        (
            PRICED.replace("98,", "100,").replace("57,", "60,").replace("-72,", "-70,"),
            [('profit = "gross"', "#")],
            ['profit = "gross" (Result is before fees, as the prices show).'],
        ),
    ],
)
def test_what_follows_from_answers_is_asked(
    content: str, edits: list[tuple[str, str]], says: list[str], tmp_path: Path
) -> None:
    found = left_open(content, edits, tmp_path)
    assert len(found) == len(says)
    kinds = ("What follows from the answers", "Whether rows count", "Whether the edits are right")
    assert all(one.startswith(kinds) for one in found)
    assert [any(words in one for one in found) for words in says] == [True] * len(says)


@pytest.mark.parametrize(
    ("content", "edits"),
    [
        (
            PROFITS.format(name="Zz"),
            [('pnl_usd = "?"', 'pnl_usd = "Zz"'), ('timezone = "UTC"', 'profit = "net"')],
        ),
        (RETURNS, [('pnl_usd = "?"', 'roi = {column = "Zz", scale = 0.01}')]),
        (
            SIDES,
            [
                ('buy = ["?"]', 'buy = ["zu"]'),
                ('sell = ["?"]', 'sell = ["ab"]'),
                ('timezone = "UTC"', 'shorts = "yes"'),
            ],
        ),
        # What opens a short has a word of its own.
        (
            SIDES.replace("MSFT,Ab", "MSFT,T").replace("Zu", "B").replace("Ab", "S"),
            [('buy = ["?"]', 'sell = ["t"]')],
        ),
        (ONE_SYMBOL, [('symbol = "?"', 'symbol = "AMD"')]),
        (PRICED, [('timezone = "UTC"', 'timezone = "America/New_York"')]),
        (STATUSES, [('timezone = "UTC"', 'timezone = "America/New_York"')]),
    ],
)
def test_what_is_answered_is_not_asked_again(
    content: str, edits: list[tuple[str, str]], tmp_path: Path
) -> None:
    assert left_open(content, edits, tmp_path) == []


def test_only_drafted_mappings_are_decided_once_more(tmp_path: Path) -> None:
    """Whoever writes a mapping by hand takes the defaults that are documented."""
    edits = [('pnl_usd = "?"', 'roi = "Zz"'), ("drafted = true", "drafted = false")]
    assert left_open(RETURNS, edits, tmp_path) == []
    with pytest.raises(ConfigurationError, match="drafted"):
        left_open(
            RETURNS, [('pnl_usd = "?"', 'roi = "Zz"'), ("drafted = true", "drafted = 1")], tmp_path
        )
