"""Assignments and exercises of options."""

from __future__ import annotations

from pathlib import Path

from tests.sources.making import facts, read
from tests.sources.test_exports import answered, draft

HEADER = "Date,Action,Symbol,Quantity,Price,Fees & Comm,Amount\n"
OPENED = "07/01/2024,Sell to Open,AAPL 07/19/2024 220.00 P,2,$3.50,$1.32,$698.68\n"
ASSIGNED = "07/22/2024,Assigned,AAPL 07/19/2024 220.00 P,1,,,\n"
SHARES = "07/22/2024,Buy,AAPL,100,$220.00,,-$22000.00\n"
CLOSED = "07/23/2024,Buy to Close,AAPL 07/19/2024 220.00 P,1,$1.00,$0.66,-$100.66\n"
OTHERS = "".join(
    f"07/{day}/2024,{deed},MSFT,10,${price}.00,,{sign}${price}0.00\n"
    for day, deed, price, sign in (("03", "Buy", 400, "-"), ("15", "Sell", 410, ""))
)


def test_a_partial_assignment_ends_only_its_part(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + OPENED + ASSIGNED + SHARES + CLOSED + OTHERS)
    made = draft(str(path), "t")
    events, _ = read(path, mapping=answered(made, [], tmp_path / "m.toml"))
    option = next(event for event in events if " P" in event["symbol"])
    assert [
        (action["action_category"], action.get("realized_pnl")) for action in option["actions"]
    ] == [("entry", None), ("trim", 349.34), ("exit", 248.68)]
    assert facts(option)


def test_an_assignment_without_its_shares_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(HEADER + OPENED + ASSIGNED + CLOSED + OTHERS)
    made = draft(str(path), "t")
    events, _ = read(path, mapping=answered(made, [], tmp_path / "m.toml"))
    refused = [event for event in events if isinstance(event["trade_summary"], str)]
    assert len(refused) == 1
    assert "no row within 4 days does" in refused[0]["trade_summary"]
    assert "[leave_out]" in refused[0]["trade_summary"]
