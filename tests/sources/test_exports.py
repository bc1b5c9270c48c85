"""Exports of brokers, platforms, exchanges and bots: each is right from the draft, after the
answers that it asks for, or refused; none is read wrongly in silence.  Names, rows and ids in the
files are made up, headers and formats are those of the programs.
"""

from __future__ import annotations

import json
import sqlite3
import tomllib
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from app.closes import RefusedCloseError
from app.errors import BadDataError, ConfigurationError
from app.sources import Closed, Notes, closes
from app.sources.draft import Drafted, draft
from app.sources.fills import STILL_OPEN
from app.sources.making import US_DOLLARS
from app.sources.mapping_file import load
from tests.sources.comparing import contradicted
from tests.sources.making import facts

EXPORTS = Path(__file__).parent / "exports"
CASES: dict[str, dict[str, Any]] = json.loads((EXPORTS / "cases.json").read_text(encoding="utf-8"))
"""By file: the questions that its draft asks, answers (text of the mapping and what replaces it),
the closes that must come out (symbol, side, entry, exit, quantity, profit, its currency, return),
rows that are refused (line, path), and positions that stay open."""


def answered(made: Drafted, answers: list[list[str]], to: Path) -> Path:
    """The drafted mapping with the answers in it."""
    text = made.text
    for question, answer in answers:
        assert question in text, (question, text)
        text = text.replace(question, answer)
    to.write_text(text, encoding="utf-8")
    return to


def judged(closed: Closed) -> tuple[dict[str, Any], str]:
    """(the event, the path at which the door refuses it or nothing): with the return as the
    outcome, else with the profit."""
    event: dict[str, Any] = json.loads(closed.value)
    try:
        facts(
            closed, "roi" if event["trade_summary"] and "roi" in event["trade_summary"] else "pnl"
        )
    except RefusedCloseError as error:
        return event, error.path
    return event, ""


def rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.8g}")


def read(path: Path, mapping: Path) -> tuple[list[list[Any]], list[list[Any]], Notes]:
    """(the closes as the cases have them, the refused rows, the notes)."""
    notes = Notes()
    found, refused = [], []
    for closed in closes([str(path)], "table", mapping, notes=notes):
        event, wrong = judged(closed)
        if wrong:
            refused.append([int(closed.place.rpartition(":")[2]), wrong])
            continue
        told, summary = closed.told, event["trade_summary"]
        assert told is not None
        assert ("pnl_usd" in summary) == (told.pnl is not None and told.currency in US_DOLLARS)
        moments = [summary.get("entry_timestamp"), summary["exit_timestamp"]]
        found.append(
            [
                told.symbol,
                told.side,
                *moments,
                rounded(told.quantity),
                rounded(told.pnl),
                told.currency,
                rounded(summary.get("roi")),
            ]
        )
    return found, refused, notes


@pytest.mark.parametrize("name", CASES)
def test_an_export_is_right_or_asked_about(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    made = draft(str(EXPORTS / name), name)
    assert made.asked == case.get("asked", [])
    if made.asked:
        # Nothing is read until the questions are answered.
        with pytest.raises(ConfigurationError, match=r'is still "\?"'):
            list(closes([str(EXPORTS / name)], "table", answered(made, [], tmp_path / "open.toml")))
    if "closes" not in case:
        return
    found, refused, notes = read(
        EXPORTS / name, answered(made, case.get("answers", []), tmp_path / "m.toml")
    )
    assert found == case["closes"]
    assert refused == case.get("refused", [])
    assert notes.names(STILL_OPEN) == case.get("open", [])
    mapping = load(tmp_path / "m.toml")
    if mapping.contradictions is None:
        assert contradicted([str(EXPORTS / name)], mapping) == []


def test_a_hidden_split_is_named_and_can_be_told(tmp_path: Path) -> None:
    path = EXPORTS / "split-phantom-short.csv"
    told = [['shorts = "?"', 'shorts = "yes"']]
    mapping = answered(draft(str(path), path.name), told, tmp_path / "m.toml")
    unknown, _ = [json.loads(closed.value) for closed in closes([str(path)], mapping=mapping)]
    assert "looks like a split that the file does not mention" in unknown["trade_summary"]
    mapping.write_text(mapping.read_text() + '\n[splits]\nTSLX = ["2022-08-25 3"]\n')
    found, refused, notes = read(path, mapping)
    assert [row[5] for row in found if row[0] == "TSLX"] == [1858.0, -402.0]
    assert (refused, notes.names(STILL_OPEN)) == ([], [])


def test_spreadsheets_are_read_with_their_sections_and_types(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (
        ["Trade History Report"],
        ["Account:", None, "123 (EUR, Broker, real, Hedge)"],
        [],
        ["Positions"],
        [
            "Time",
            "Position",
            "Symbol",
            "Type",
            "Volume",
            "Price",
            "S / L",
            "T / P",
            "Time",
            "Price",
            "Commission",
            "Swap",
            "Profit",
        ],
        [
            "2024.01.15 10:00:00",
            1,
            "EURUSD",
            "buy",
            "0.1",
            1.09,
            None,
            None,
            "2024.01.15 12:00:00",
            1.095,
            -0.7,
            0,
            45.66,
        ],
        ["Orders"],
        [
            "Open Time",
            "Order",
            "Symbol",
            "Type",
            "Volume",
            "Price",
            "S / L",
            "T / P",
            "Time",
            "State",
            "Comment",
        ],
        [
            "2024.01.15 10:00:00",
            11,
            "EURUSD",
            "buy",
            "0.1 / 0.1",
            "market",
            None,
            None,
            "2024.01.15 10:00:00",
            "filled",
        ],
        ["Results"],
        ["Total Net Profit:", None, None, 44.96],
    ):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(tmp_path / "report.xlsx")
    journal = openpyxl.Workbook()
    journal.active.append(
        ["Symbol", "Side", "Qty", "Entry time", "Exit time", "Entry price", "Exit price", "P&L"]
    )
    opened, closed = datetime(2024, 1, 5, 9, 30), datetime(2024, 1, 9, 12)  # noqa: DTZ001
    journal.active.append(["AAPL", "Long", 10, opened, closed, 180, 190, 100])
    journal.save(tmp_path / "journal.xlsx")
    expected = {
        "report.xlsx": [
            "EURUSD",
            "long",
            "2024-01-15T10:00:00Z",
            "2024-01-15T12:00:00Z",
            0.1,
            44.96,
            "EUR",
        ],
        "journal.xlsx": [
            "AAPL",
            "long",
            "2024-01-05T09:30:00Z",
            "2024-01-09T12:00:00Z",
            10.0,
            100.0,
            "USD",
        ],
    }
    for name, close in expected.items():
        made = draft(str(tmp_path / name), name)
        ((*found, _),), refused, _ = read(
            tmp_path / name, answered(made, [], tmp_path / f"{name}.toml")
        )
        assert (made.asked, found, refused) == ([], close, [])


def workbook(path: Path, *sheets: tuple[str, list[list[Any]]], form: str = "General") -> Path:
    """A spreadsheet with these sheets, in which numbers have the format `form`."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        for cells in sheet.iter_rows(min_row=2):
            for cell in cells:
                if isinstance(cell.value, (int, float)):
                    cell.number_format = form
    book.save(path)
    return path


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


POSITIONS = ["Opened", "Closed", "Symbol", "Side", "Qty", "Entry", "Exit", "Profit"]


@pytest.mark.parametrize(
    ("form", "currency"), [("#,##0.00 [$€-407]", "EUR"), ('"¥"#,##0', "JPY"), ("$#,##0.00", "USD")]
)
def test_the_currency_of_a_spreadsheets_numbers_is_in_their_format(
    form: str, currency: str, tmp_path: Path
) -> None:
    rows: list[list[Any]] = [
        POSITIONS,
        [at("2024-03-04 10:00"), at("2024-03-04 12:00"), "7203", "Long", 100, 170, 171, 100],
        [at("2024-03-05 10:00"), at("2024-03-15 12:00"), "6758", "Short", 10, 170, 171, -10],
    ]
    path = workbook(tmp_path / "a.xlsx", ("Trades", rows), form=form)
    answers = [['currency = "?"', 'currency = "USD"']] if currency == "USD" else []
    found, refused, _ = read(path, answered(draft(str(path), "a"), answers, tmp_path / "m.toml"))
    assert ([[row[0], row[5], row[6]] for row in found], refused) == (
        [["7203", 100.0, currency], ["6758", -10.0, currency]],
        [],
    )


def test_tables_with_the_same_columns_are_asked_about_and_can_be_read_together(
    tmp_path: Path,
) -> None:
    sheets: list[tuple[str, list[list[Any]]]] = [
        (
            name,
            [
                POSITIONS,
                [at(f"2024-{n:02}-04"), at(f"2024-{n:02}-14"), "AAPL", "Long", 1, 170, 171, 1.0],
                [at(f"2024-{n:02}-05"), at(f"2024-{n:02}-15"), "MSFT", "Short", 1, 400, 402, -2.0],
            ],
        )
        for n, name in enumerate(("January", "February"), 1)
    ]
    path = workbook(tmp_path / "a.xlsx", *sheets)
    made = draft(str(path), "a")
    assert made.asked == [
        "Whether all of January, February count: they have the same columns, and only January is"
        " read."
    ]
    for answer, n in (('"*"', 4), ('"February"', 2)):
        mapping = answered(made, [['table = "?"', f"table = {answer}"]], tmp_path / "m.toml")
        assert len(read(path, mapping)[0]) == n
    together = draft(str(path), "a", "*")
    assert (together.asked, 'table = "*"' in together.text) == ([], True)
    assert len(read(path, answered(together, [], tmp_path / "m.toml"))[0]) == 4


def test_an_empty_cell_below_a_symbol_is_asked_about(tmp_path: Path) -> None:
    names = ["Symbol", "Time", "Action", "Qty", "Price", "Fee"]
    rows: list[list[Any]] = [
        names,
        ["AAPL", at("2024-03-04 10:00"), "Buy", 100, 170, 1],
        [None, at("2024-03-04 11:00"), "Sell", 100, 171, 1],
    ]
    path = workbook(tmp_path / "a.xlsx", ("Trades", rows))
    made = draft(str(path), "a")
    assert made.asked == [
        "What was traded in 1 rows without Symbol: in all else they look like fills, as in a"
        " spreadsheet whose cells are merged."
    ]
    answer = [['fill_down = "?"', 'fill_down = ["Symbol"]']]
    found, refused, _ = read(path, answered(made, answer, tmp_path / "m.toml"))
    assert ([row[5] for row in found], refused) == ([98.0], [])


def test_days_that_a_spreadsheet_has_half_exchanged_are_refused(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        POSITIONS,
        [at("2024-04-03 10:00"), at("2024-05-03 12:00"), "US500", "Buy", 1, 5100, 5110, 10],
        ["14/03/2024 10:00", "15/03/2024 12:00", "US500", "Sell", 1, 5100, 5110, -10],
    ]
    path = workbook(tmp_path / "a.xlsx", ("Trades", rows))
    with pytest.raises(BadDataError, match="perhaps with day and month exchanged"):
        draft(str(path), "a")


@pytest.mark.parametrize("apart", [False, True])
def test_days_of_a_spreadsheet_count_from_where_it_says(apart: bool, tmp_path: Path) -> None:
    """In cells without a format of dates, days are bare numbers; also beside times of day."""
    clock = 9.5 / 24 + 1e-9

    def rows(first: int) -> list[list[Any]]:
        if apart:
            return [
                ["Date", "Time", "Symbol", "Side", "Qty", "Price"],
                [first, clock, "US500", "Buy", 1, 5100],
                [first + 1, clock, "US500", "Sell", 1, 5110],
            ]
        return [POSITIONS, [first + clock, first + 1 + clock, "US500", "Buy", 1, 5100, 5110, 10]]

    for epoch, first in ((CALENDAR_WINDOWS_1900, 45355), (CALENDAR_MAC_1904, 45355 - 1462)):
        book = openpyxl.Workbook()
        book.epoch = epoch
        for row in rows(first):
            book.worksheets[0].append(row)
        path = tmp_path / f"{first}.xlsx"
        book.save(path)
        mapping = answered(draft(str(path), "a"), [], tmp_path / f"{first}.toml")
        ((*found, _, _),), refused, _ = read(path, mapping)
        assert found[2:4] == ["2024-03-04T09:30:00Z", "2024-03-05T09:30:00Z"]
        assert refused == []


def test_a_bots_database_is_read_with_its_fixed_point_prices(tmp_path: Path) -> None:
    path = tmp_path / "bot.sqlite"
    columns = (
        "strategy TEXT, market TEXT, symbol TEXT, base_asset TEXT, quote_asset TEXT, timestamp"
        " BIGINT, order_id TEXT, trade_type TEXT, order_type TEXT, price BIGINT, amount BIGINT,"
        " leverage INT, trade_fee JSON, trade_fee_in_quote BIGINT, exchange_trade_id TEXT"
    )
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE TradeFill ({columns})")
        for i, (side, price) in enumerate((("BUY", 2300), ("SELL", 2310))):
            row = (
                "mm",
                "binance",
                "ETH-USDT",
                "ETH",
                "USDT",
                1_704_448_800_000 + i * 3_600_000,
                f"o{i}",
                side,
                "LIMIT",
                price * 1_000_000,
                100_000,
                1,
                '{"percent": 0.001}',
                price * 100,
                f"x{i}",
            )
            database.execute(f"INSERT INTO TradeFill VALUES ({', '.join('?' * len(row))})", row)
        database.commit()
    found, _, _ = read(path, answered(draft(str(path), path.name), [], tmp_path / "m.toml"))
    assert found == [
        [
            "ETH-USDT",
            "long",
            "2024-01-05T10:00:00Z",
            "2024-01-05T11:00:00Z",
            0.1,
            0.539,
            "USDT",
            0.0023434783,
        ]
    ]


def test_tables_of_a_file_are_named_and_can_be_chosen() -> None:
    path = str(EXPORTS / "mt5-report.html")
    made = draft(path, "report")
    assert made.guessed[0].startswith(
        "Of the 3 tables in the file, Positions is used; choose another with --table: Orders (1"
        " rows), Deals"
    )
    assert tomllib.loads(made.text)["table"] == "Positions"
    assert tomllib.loads(draft(path, "report", "Deals").text)["rows"] == "fills"
    with pytest.raises(BadDataError, match="has no table 'Trades'"):
        draft(path, "report", "Trades")


def test_what_a_row_is_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "Close time,Symbol,Side,Qty,Price,Profit\n2024-01-15 10:00,X,Buy,1,10,5\n2024-01-16"
        " 10:00,X,Sell,1,12,7\n"
    )
    assert {
        rows: tomllib.loads(draft(str(path), "t", rows=rows).text)["rows"]
        for rows in ("positions", "fills")
    } == {
        "positions": "positions",
        "fills": "fills",
    }


def test_rows_that_open_are_left_out_where_closes_have_the_profits(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "Date,Pair,Action,Direction,Collateral,Leverage,Price,Net PnL\n"
        "2025-03-11 10:00,XAU/USD,Open,Long,145,20x,2900,\n"
        "2025-03-13 10:00,XAU/USD,Close,Long,145,20x,2929,28.00\n"
        "2025-03-14 10:00,XAU/USD,Open,Short,145,20x,2930,\n"
        "2025-03-15 10:00,XAU/USD,Close,Short,145,20x,2940,-11.00\n"
    )
    made = draft(str(path), "t")
    assert "draft again with --rows positions: Net PnL has the profits" in made.text
    again = draft(str(path), "t", rows="positions")
    found, refused, _ = read(path, answered(again, [], tmp_path / "m.toml"))
    assert ([row[1:] for row in found], refused) == (
        [
            ["long", None, "2025-03-13T10:00:00Z", None, 28.0, "USD", None],
            ["short", None, "2025-03-15T10:00:00Z", None, -11.0, "USD", None],
        ],
        [],
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "refid,time,type,asset,amount,fee\n"
            "T1,2024-01-15 10:00,trade,USD,-10,0\n"
            "T1,2024-01-15 10:00,trade,BTC,1,0\n",
            "a ledger",
        ),
        (
            "portfolio,type,time,amount,balance,amount/balance unit,trade id\n"
            "default,match,2024-03-04T10:00:00Z,0.1,0.1,BTC,101\n"
            "default,match,2024-03-04T10:00:00Z,-5850,4150,EUR,101\n",
            "a ledger",
        ),
        (
            "Date,Sent Amount,Sent Currency,Received Amount,Received Currency,Label\n"
            "2024-03-04 10:00:00 UTC,6500,USD,0.1,BTC,\n",
            "what was given and what was taken",
        ),
        (
            "Date(UTC),Pair,Sell,Buy,Status\n"
            "2024-03-04 10:00:00,USDTBTC,650 USDT,0.01 BTC,Successful\n",
            "what was given and what was taken",
        ),
        (
            "id,time,operation,amount,trading_currency,price,original_currency,fee,comment\n"
            '901,2024-03-04 10:00:00 +0900,Completed trading contracts,0.01,BTC,,,0,"btc_jpy"\n'
            '902,2024-03-04 10:00:00 +0900,Completed trading contracts,-95000,JPY,,,0,"btc_jpy"\n',
            "a ledger",
        ),
        (
            "Data;Hora;Liquidação;Descrição;Valor (U$);Saldo da conta (U$)\n"
            "04/03/2024;11:35;06/03/2024;Compra de 10 AAPL a $ 175,10 cada;-1.751,00;3.249,00\n"
            "14/03/2024;12:10;18/03/2024;Venda de 10 AAPL a $ 177,10 cada;1.771,00;5.020,00\n",
            "within the text of Descrição",
        ),
        (
            "Date,Reference,Details,Debit($),Credit($),Balance($)\n"
            "04/03/2024,C123456,B 50 ALPHA @ 94.500000,4744.95,,10255.05\n"
            "18/03/2024,C123999,S 50 ALPHA @ 96.500000,,4805.05,15060.10\n",
            "within the text of Details",
        ),
        (
            "Date,Time,Symbol,Side,Qty,Price\n"
            "03/14,09:31:05,AMD,Buy,100,190.10\n03/14,10:31:05,AMD,Sell,100,191.10\n",
            "days without a year, such as '03/14'",
        ),
        (
            "Time,Settlement,Symbol,Side,Qty,Price\n"
            "Mar 14 09:31,2024-03-18,AMD,Buy,100,190.10\n"
            "Mar 14 10:31,2024-03-18,AMD,Sell,100,191.10\n",
            "days without a year, such as 'Mar 14 09:31'",
        ),
        (
            "Symbol;Side;Entry time;Exit time;Qty;Entry;Exit;PnL\n"
            "AMD;Long;14.03. 09:31;14.03. 10:31;100;190.10;191.10;100\n",
            "days without a year, such as '14.03. 09:31'",
        ),
        (
            "Date,Market,Action,Volume USD,Fee %,Fee USD,Net USD\n"
            "2024-03-04 10:00:00,BTC,buy,600.00,0.4,2.40,602.40\n"
            "2024-03-14 10:00:00,BTC,sell,700.00,0.4,2.80,697.20\n",
            "amounts of purchases and sales",
        ),
        (
            "Date,Trades,Win %,Gross P&L,Fees,Net P&L\n"
            "2024-03-04,5,60%,250.00,12.00,238.00\n2024-03-05,3,33%,-100.00,7.20,-107.20\n",
            "totals of several trades in each row",
        ),
        (
            "Block Time,DEX,Token Bought,Amount Bought,Token Sold,Amount Sold,USD Value\n"
            "2024-03-04 10:00:00,uniswap,PEPE,100000000,USDC,500,500\n",
            "what was given and what was taken",
        ),
        (
            "Operation Date,Status,Currency Ticker,Operation Type,Operation Amount\n"
            "2024-03-04T10:00:00.000Z,Confirmed,BTC,IN,0.1\n"
            "2024-03-14T10:00:00.000Z,Confirmed,BTC,OUT,0.1\n",
            "a ledger",
        ),
        (
            "Time,Pair,Type,Quantity,QuantityRemaining,Limit,PricePerUnit\n"
            "2024-03-04 10:00:00,ETHUSDT,LIMIT_BUY,2,0,3400,3390\n"
            "2024-03-05 10:00:00,ETHUSDT,LIMIT_SELL,2,0.5,3500,3510\n",
            "filled in part",
        ),
        (
            "Date,Order,Side,Symbol,Quantity,Price,Status\n"
            "2024-05-16,1,Buy,AMD,100,154.9,Executed\n"
            "2024-05-17,2,Sell,AMD,100,160.05,Partially Executed\n",
            "filled in part, as Status says",
        ),
        (
            "Time,Coin,Side,Rate,Amount,Currency\n"
            "2024-03-04 10:00:00,BTC,Buy,2300000,23000,THB\n"
            "2024-03-14 10:00:00,BTC,Sell,2600000,0.01,BTC\n",
            "amounts in BTC in some rows and in THB in others",
        ),
        (
            "Time,Symbol,Side,Price,Qty\n09:31:02,AAPL,B,180.10,100\n09:41:02,AAPL,S,180.60,100\n",
            "times of day without a date",
        ),
        (
            "Date,Trades,Wins,Losses,Net P&L\n2024-03-14,5,3,2,230\n2024-03-15,3,1,2,-132\n",
            "totals of several trades",
        ),
        (
            "datetime,Open,High,Low,Close,BuySell,Net Profit\n"
            "2024-01-15 10:00,10,11,9,10.5,,\n2024-01-16 10:00,10,12,9,11.5,buy,5\n",
            "prices of bars",
        ),
        (
            "Date,Comment,Debit/Credit\n"
            "2024-03-04,Bought 12.0000 BANK HLDGS @ R 2 045.67,\"R -24 548.04\"\n"
            "2024-03-14,Sold 12.0000 BANK HLDGS @ R 2 110.00,\"R 25 320.00\"\n",
            "quantities and prices within the text of Comment",
        ),
        (
            '{"deal": [{"dealId": 1, "symbol": "EURUSD", "tradeSide": "BUY", "volume": 1000000,'
            ' "executionTimestamp": 1709546400000, "executionPrice": 1.085, "moneyDigits": 2}]}',
            "counts money in fractions of a currency",
        ),
        (
            "Symbol;Typ;Lots;Eröffnung;Schluss;Eröffnungskurs;Schlusskurs;Gewinn\n"
            "EURUSD;buy;0,10;45355,4166667;45355,5;1,08500;1,08900;40,00\n",
            "times of entries in Eröffnung, and those in Schluss cannot be read",
        ),
        (
            "time,symbol,side,qty,price,fee\n1.70955E+12,BTCUSDT,BUY,0.1,62000,2.48\n"
            "1.70956E+12,BTCUSDT,SELL,0.1,63000,2.52\n",
            "No column of .* looks like the time of a close",
        ),
        (
            "Type,Buy,Cur.,Sell,Cur.,Fee,Cur.,Date\n"
            "Trade,0.1,BTC,6200,USD,12.4,USD,2024-03-04 10:00:00\n"
            "Trade,6300,USD,0.1,BTC,12.6,USD,2024-03-05 10:00:00\n",
            "what was given and what was taken",
        ),
        (
            "trade_time,product_id,side,price,size,size_in_quote,commission\n"
            "2024-03-04T10:00:00Z,BTC-USD,BUY,62000,6200,true,24.8\n"
            "2024-03-05T10:00:00Z,BTC-USD,SELL,63000,0.1,false,25.2\n",
            "amounts of money, as size_in_quote says",
        ),
        (
            "Time;Symbol;Side;Price;Quantity;Fee\n"
            "2024-03-04 10:00:00;BTCUSDT;BUY;62000.5;0,0105;6.2\n"
            "2024-03-05 10:00:00;BTCUSDT;SELL;63000.5;0,0105;6.3\n",
            "decimal points and, in Quantity, with decimal commas, such as 0,0105",
        ),
        (
            "Time,OrderId,Symbol,Side,OrderQty,FilledQty,AvgPrice\n"
            "2024-03-04T15:00:01Z,A1,AAPL,BUY,100,30,170.00\n"
            "2024-03-04T15:00:02Z,A1,AAPL,BUY,100,100,170.10\n"
            "2024-03-05T15:00:01Z,A2,AAPL,SELL,100,100,171.10\n",
            "each has in FilledQty what was filled so far",
        ),
        (
            "Date,Symbol,Side,Qty,Price\n"
            + "2024-03-04,AAPL,Buy,10,170\n2024-03-05,AAPL,Sell,10,171\n"
            "2024-03-06,MSFT,Buy,5,400\n" * 2,
            "the second half repeats the first",
        ),
        (
            "Time,Symbol,Side,Qty,Price\n"
            + "2024-03-04 15:31,AAPL,Buy,10,170\n2024-03-04 16:02,AAPL,Sell,10,171\n" * 2,
            "the second half repeats the first",
        ),
        (
            "Ticker,Trade,Date,Price,Second date,Second price,Profit,Shares\n"
            "SAP,Long,2024-05-06,170.5,2024-05-16,175.5,500,100\n"
            "BMW,Short,2024-05-07,100,2024-05-17,102,-200,100\n",
            "but also a profit in Profit and a second time in Second date",
        ),
        (
            "时间,交易对,方向,成交均价,成交量,手续费\n"
            "2024-03-04 10:00:00,SOLUSDT,买入,\"130,5\",10,0.01SOL\n"
            "2024-03-05 10:00:00,SOLUSDT,卖出,\"140,5\",\"9,99\",\"1,403USDT\"\n",
            "with decimal points, such as 0.01SOL",
        ),
        (
            "time,symbol,side,qty,price\n"
            "1709546400,AAPL,buy,10,170\n1709632800000,AAPL,sell,10,171\n",
            "No column of .* looks like the time of a close",
        ),
        (
            "transactTimeNs,symbol,side,execQty,execPriceEp,execFeeEv\n"
            "1709546400000000000,BTCUSD,Buy,1000,620000000,967\n"
            "1709632800000000000,BTCUSD,Sell,1000,630000000,952\n",
            "whole numbers of a unit that each contract defines: execPriceEp, execFeeEv",
        ),
        (
            "date,symbol,shares,cost_basis,last_price,pnl\n2024-03-04,AAPL,100,170,171,100\n"
            "2024-03-05,AAPL,100,170,172,200\n",
            "what was held on some days",
        ),
        (
            "Date,returns,benchmark\n2024-03-04,0.0012,0.001\n2024-03-05,-0.0034,-0.002\n",
            "the returns of days",
        ),
        (
            "transactionType,date,inBuyAmount,inBuyAsset,outSellAmount,outSellAsset\n"
            "order,2024-03-04 10:00:00,0.1,BTC,6200,USD\n"
            "order,2024-03-05 10:00:00,6300,USD,0.1,BTC\n",
            "what was given and what was taken",
        ),
        (
            "Order,Time,Symbol,Side,Quantity,Fill %,Price\n"
            "A1,2024-03-04 10:00:00,SOL-USDT,Buy,10,50%,130\n"
            "A2,2024-03-05 10:00:00,SOL-USDT,Sell,5,100%,140\n",
            "filled in part, as Fill % says",
        ),
        (
            '[{"t":1709546400,"s":"EURUSD","side":"buy","volume":10000,"price":108500,"digits":5},'
            '{"t":1709550000,"s":"EURUSD","side":"sell","volume":10000,"price":108600,"digits":5}]',
            "digits says how many of their digits are decimals",
        ),
        (
            "Date,Symbol,Long/Short,Time In,Time Out,Shares,Entry,Exit,Net\n"
            "2024-03-04,ES,Long,22:15,02:30,1,5100,5110,495.80\n"
            "2024-03-05,ES,Short,23:05,01:20,1,5100,5105,-254.20\n",
            "has one day, Date, for entries and exits",
        ),
        (
            "Date,Pair,Side,Amount,Price,Total Fee,Amount Currency\n"
            "2024-03-04 10:00,BTC-USD,BUY,6200,62000,6.2,USD\n"
            "2024-03-05 10:00,BTC-USD,SELL,0.1,63000,6.3,BTC\n",
            "quantities of one symbol in BTC and in USD",
        ),
        (
            "Date,Type,Sent Amount,Sent Currency,Received Amount,Received Currency,Gain (USD)\n"
            "2025-03-24 10:00:00,buy,8700,USD,0.1,BTC,\n"
            "2025-03-26 10:00:00,sell,0.1,BTC,8800,USD,100\n",
            "what was given and what was taken",
        ),
        (
            "Date,Strategy,Benchmark\n2023-01-03,0.0012,0.0004\n2023-01-04,-0.0034,-0.0075\n",
            "the returns of days",
        ),
        (
            "Timestamp,Delta,Amount,Cash Change Type,Currency,Contract\n"
            "2025-03-31 13:31:02,-0.35,49999.65,Exchange Fee,USD,MNQM5\n"
            "2025-03-31 13:38:40,60.00,50059.63,Trade Paired,USD,MNQM5\n",
            "a ledger",
        ),
        (
            "INSERT INTO `trades` (`id`,`symbol`,`side`,`qty`,`price`,`ts`) VALUES\n"
            "(1,'BTCUSDT','BUY',0.05,85000,'2025-03-01 10:00:00'),\n"
            "(2,'BTCUSDT','SELL',0.05,85500,'2025-03-01 11:00:00');\n",
            "SQL statements, not a table",
        ),
        (
            "2024-03-04T10:00:00Z,BTCUSDT,BUY,0.1,62000\n"
            "2024-03-05T10:00:00Z,BTCUSDT,SELL,0.1,63000\n",
            "has no names of columns.*those may be: time, symbol, side, [?], [?]",
        ),
        (
            '[[10001, "tBTCUSD", 1709546400000, 0.1, 62000],'
            '[10002, "tBTCUSD", 1709632800000, -0.1, 63000]]',
            "has no names of columns",
        ),
        (
            '[{"time": 1709546400000, "type": "funding", "coin": "ETH", "usdc": "-0.5",'
            ' "fundingRate": "0.0000125"},'
            '{"time": 1709550000000, "type": "funding", "coin": "ETH", "usdc": "0.1",'
            ' "fundingRate": "-0.00002"}]',
            "payments of funding",
        ),
        (
            "time,symbol,incomeType,income,asset\n1709546400000,BTCUSDT,REALIZED_PNL,12.5,USDT\n"
            "1709546400000,BTCUSDT,COMMISSION,-0.8,USDT\n",
            "payments of several kinds",
        ),
        (
            "timestamp,side,market,base_amount,quote_amount,fee\n"
            "1709546400,buy,ETH-USD,1000000000000000000,2000500000000000000000,1000000000000000\n"
            "1709632800,sell,ETH-USD,1000000000000000000,2100500000000000000000,1000000000000000\n",
            "whole numbers of a unit",
        ),
        (
            "Time,Symbol,Side,Size,Avg Entry,Mark Price,Liq. Price,Unrealised PnL\n"
            "2025-03-11 10:00,BTCUSDT,Long,0.1,84000,84100,70000,10\n"
            "2025-03-11 11:00,BTCUSDT,Long,0.1,84000,84200,70000,20\n",
            "open positions as they stood",
        ),
        (
            "Transaction ID,Action,Currency,Amount,Created at,Match ID\n"
            "1,Match,NOK,-50000,2025-02-03T10:00:00.000Z,m1\n"
            "2,Match,BTC,0.05,2025-02-03T10:00:00.000Z,m1\n"
            "3,Match,BTC,-0.05,2025-03-03T10:00:00.000Z,m2\n"
            "4,Match,NOK,47120,2025-03-03T10:00:00.000Z,m2\n",
            "a ledger",
        ),
        (
            "Date,Transaction ID,Action,Full Account Name,Amount Num.,Value Num.,Rate/Price\n"
            "15/01/2025,a1,Buy,Assets:VWRL,50.00,5260.00,105.20\n"
            "15/01/2025,a1,,Assets:Cash,-5260.00,-5260.00,1.00\n"
            "14/03/2025,a2,Sell,Assets:VWRL,-50.00,-5095.00,101.90\n"
            "14/03/2025,a2,,Assets:Cash,5095.00,5095.00,1.00\n",
            "a ledger",
        ),
        (
            "type,date,reference,price.currency,price.amount,cost.currency,cost.amount,"
            "value.currency,value.amount\n"
            "exchange,2025-01-14T15:02:10.000Z,r1,CHF,88000,CHF,1000.00,BTC,0.01119318\n",
            "what was given and what was taken",
        ),
        (
            "Symbol,Trade Description,Status,Order Time\n"
            "AAPL,Buy 100 Shares at Limit 175.10,Filled at $175.05,03/14/2025 09:35:10 AM\n"
            "AAPL,Sell 100 Shares at Market,Filled at $177.00,03/17/2025 10:15:00 AM\n",
            "within the text of Status",
        ),
        (
            "When,Symbol,Side,Qty,Entry,Exit,PnL\n"
            "2025-03-13 22:10 - 01:05,ES,Long,1,5600,5602,100\n"
            "2025-03-14 23:10 - 02:05,ES,Short,1,5600,5602,-100\n",
            "times of entries in Open time, and those in Close time cannot be read",
        ),
        ("V042\nAMyBroker\nD03/20/2025\n^\nTD\nN321\nC1\nL1\nP100 AAPL\n^\n", "is TXF"),
        ("OFXHEADER:100\nDATA:OFXSGML\n\n<OFX><INVTRANLIST></INVTRANLIST></OFX>", "is OFX"),
        ("!Type:Invst\nD1/5'24\nNBuy\nYApple Inc\nI181.50\nQ10\n^\n", "is QIF"),
        (
            "Time,Symbol,Side,Size,Unit,Price\n"
            "2024-03-14 09:31,EURUSD,Buy,0.1,lots,1.0850\n"
            "2024-03-14 10:31,EURUSD,Sell,10000,units,1.0870\n",
            "quantities of one symbol in lots and in units, as Unit says",
        ),
        (
            "Symbol,Side,Size,Entry time,Exit time,Entry,Exit\n"
            "EURUSD,Long,0.1 lots,2024-03-14 09:31,2024-03-14 10:31,1.0850,1.0870\n"
            "EURUSD,Short,20000 units,2024-03-15 09:31,2024-03-15 10:31,1.0850,1.0870\n",
            "quantities of one symbol in lots and in units, as Size says",
        ),
        (
            "Time,Symbol,Side,Qty,Price,Commission,Note\n"
            "A1001,2024-03-14 09:31,AMD,Buy,100,190.10,1.00,\n"
            "A1002,2024-03-14 10:31,AMD,Sell,100,191.10,1.00,\n",
            "cells stand one column to the right of their names: line 2, line 3",
        ),
        (
            "Symbol,Entry time,Exit time,Entry price,Exit price,Qty,P&L,Fees,MAE\n"
            ",AMD,2024-03-14 09:31,2024-03-14 10:31,190.10,191.10,100,100.00,2.00,\n"
            ",MSFT,2024-03-15 09:31,2024-03-15 10:31,290.10,291.10,100,100.00,2.00,\n",
            "cells stand one column to the right of their names: line 2, line 3",
        ),
        (
            "Symbol,Side,Qty,Entry time,Exit time,Entry price,Exit price,P&L,Note\n"
            "AMD,Long,100,2024-03-14 09:31,2024-03-14 10:31,190.10,191.10,100.00,a\n"
            "Long,100,2024-03-15 09:31,2024-03-15 10:31,190.10,191.10,100.00,\n",
            "cells stand one column to the left of their names: line 3",
        ),
        ("<html><body><p>Please log in</p></body></html>", "has no table with rows"),
        ('{"a": {"b": 1}}', "no list of trades"),
        ("<a><b x='1'/></a>", "no list of trades"),
        ('<!DOCTYPE x [<!ENTITY y "z">]><a b="1" c="2" d="&y;"/>', "XML entities"),
        ("[" * 50_000 + "]" * 50_000, "no row"),
        (",".join(f"c{i}" for i in range(5_000)) + "\n1\n", "5,000 cells"),
        ("a,b\n" + "x" * 1_500_000 + ",1\n", "over 1,000,000 characters"),
        ('Time,Qty\n"2024-01-15,1\n' + "2024-01-15,1\n" * 500, "never closed"),
    ],
)  # fmt: skip
def test_what_is_no_table_of_trades_is_refused_in_a_sentence(
    content: str, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(BadDataError, match=says):
        draft(str(path), "t")
