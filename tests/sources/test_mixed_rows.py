"""Tables that are refused, with what to do, as some of their cells or rows are of another kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import BadDataError
from app.sources.draft import draft

_REFUSED = {
    "Cr may be a credit, or crores": (
        "Symbol,Qty,Buy Date,Sell Date,Buy Value,Sell Value,Gain\n"
        "ABC,100,2025-03-12,2025-03-18,1.50 Cr,1.60 Cr,0.10 Cr\n"
        "XYZ,50,2025-03-19,2025-03-25,2.00 Cr,1.90 Cr,-0.10 Cr\n",
        "Cr may mean a credit, or crores",
    ),
    "prices that were paid or received": (
        "Date,Symbol,Action,Contracts,Price,Fees\n"
        "2025-03-12,SPY 250417P550,STO,1,3.00 Cr,0.66\n"
        "2025-03-18,SPY 250417P550,BTC,1,1.00 Db,0.66\n",
        r"has prices with a word for a credit or a debit, such as '3\.00 Cr' in Price",
    ),
    "money and percentages": (
        "Symbol,Side,Qty,Entry Date,Exit Date,Profit\n"
        "ABC,Long,100,2025-03-12,2025-03-18,1.25%\n"
        "XYZ,Short,50,2025-03-19,2025-03-25,-80.00\n",
        r"has percentages in Profit, such as 1\.25%",
    ),
    "lots below the sales of an employer's shares": (
        "Date,Action,Symbol,Quantity,FeesAndCommissions,Amount,Type,Shares,SalePrice,VestDate\n"
        '03/18/2025,Sale,ACME,100,$0.30,"$14,999.70",,,,\n'
        ",,,,,,RS,60,$150.00,08/15/2024\n"
        ",,,,,,RS,40,$150.00,11/15/2024\n"
        '02/18/2025,Sale,ACME,50,$0.20,"$6,999.80",,,,\n'
        ",,,,,,RS,50,$140.00,08/15/2024\n",
        "say in Shares and SalePrice what lots were sold",
    ),
    "settlements of contracts on events": (
        "type,market_ticker,side,action,quantity,price_cents,fee_cents,timestamp\n"
        "trade,KXHIGHNY-B55,yes,buy,100,45,120,2025-03-12T14:00:00Z\n"
        "settlement,KXHIGHNY-B55,yes,,100,100,0,2025-03-13T14:00:00Z\n"
        "trade,KXLOWNY-B55,no,buy,50,60,80,2025-03-14T14:00:00Z\n"
        "settlement,KXLOWNY-B55,no,,50,0,0,2025-03-15T14:00:00Z\n",
        r"rows such as 'settlement' \(line 3\), which end what is held",
    ),
}


@pytest.mark.parametrize("case", _REFUSED)
def test_rows_or_cells_of_two_kinds_are_refused(case: str, tmp_path: Path) -> None:
    text, said = _REFUSED[case]
    path = tmp_path / "trades.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadDataError, match=said) as refused:
        draft(str(path), "trades")
    assert refused.value.remedy
