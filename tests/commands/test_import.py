"""`faust -A app import`: dry runs that say what would happen and why, drafts that overwrite
nothing, and real sends with stable ids."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

from app.closes import RefusedCloseError, explode
from app.commands.import_ import import_
from app.kafka import topics
from app.settings import Settings
from tests.commands.test_produce import written
from tests.sources.making import (
    ORDERS_2025,
    TRADES_2025,
    backtest_trade,
    database,
    position_closed,
    result,
    stored_trade,
    zipped,
)

JOURNAL = Path(__file__).parents[2] / "samples" / "journal.csv.gz"
NO_BROKER = Settings(broker="127.0.0.1:1")


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(import_, list(words), env=settings.environment())


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    """Forty closed trades, two of which cannot be read."""
    path = tmp_path / "trades.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["no", "entry_time", "exit_time", "symbol", "setup", "return_pct", "atr"])
        for i in range(40):
            bad = {7: "lots", 9: ""}.get(i, f"{(-1) ** i * 2.5:.2f}")
            exit_time = "never" if i == 9 else f"2024-03-{i % 28 + 1:02} 16:00"
            writer.writerow(
                [
                    i,
                    "2024-02-01 10:00",
                    exit_time,
                    "ABC"[i % 3],
                    ("gap", "dip")[i % 2],
                    bad,
                    i * 1.1,
                ]
            )
    return path


@pytest.fixture
def mapping(trades: Path) -> Path:
    path = trades.with_suffix(".toml")
    assert run(NO_BROKER, str(trades), "--draft", str(path)).exit_code == 0
    return path


def test_from_a_table_to_a_draft_to_a_dry_run_without_a_broker(trades: Path, mapping: Path) -> None:
    drafted = run(NO_BROKER, str(trades), "--draft", str(mapping))
    assert (drafted.exit_code, "does not overwrite files" in drafted.stderr) == (2, True)
    other = run(NO_BROKER, str(trades), "--draft", str(mapping.with_name("other.toml")))
    assert "Guessed:" in other.stdout
    assert "Please check:\n  The time zone of exit_time and entry_time" in other.stdout
    settings = Settings(broker=NO_BROKER.broker, outcome="roi")
    shown = run(settings, str(trades), "--mapping", str(mapping), "--dry-run")
    assert shown.exit_code == 0, shown.stderr
    for expected in (
        "40 closes: 38 would be accepted, 2 would become dead letters.",
        "4 groups; exits from 2024-03-01 to 2024-03-28.",
        "38 of them are within EDGELOOP_WINDOW_DAYS=90 of the newest exit.",
        "wrong_type",
        "$.trade_summary.roi",
        f"{trades}:9",
        "bad_time",
        "Outcomes found: roi 38. EDGELOOP_OUTCOME=roi learns from roi.",
        "Not in EDGELOOP_DIMENSIONS, so ignored: atr, symbol.",
        "export EDGELOOP_DIMENSIONS=atr,symbol",
        '"pattern_key": "pm.gap.entry"',
    ):
        assert expected in shown.stdout, expected
    assert "Nothing was sent." in shown.stderr


def test_a_dry_run_as_json(trades: Path, mapping: Path) -> None:
    settings = Settings(
        broker=NO_BROKER.broker, outcome="roi", dimensions=("atr", "symbol"), regime_signature=()
    )
    shown = json.loads(
        run(settings, str(trades), "--mapping", str(mapping), "--dry-run", "--json").stdout
    )
    letters = {
        (letter["reason"], letter["path"]): (letter["count"], letter["places"])
        for letter in shown["dead_letters"]
    }
    assert letters == {
        ("wrong_type", "$.trade_summary.roi"): (1, [f"{trades}:9"]),
        ("bad_time", "$.trade_summary.exit_timestamp"): (1, [f"{trades}:11"]),
    }
    assert shown["outcome"] == {"configured": "roi", "found": {"rr": 0, "roi": 38, "pnl_usd": 0}}
    assert shown["dimensions"] == {"found": ["atr", "symbol"], "not_configured": [], "export": ""}
    assert (shown["closes"], shown["facts"], shown["dry_run"], len(shown["first"])) == (
        40,
        76,
        True,
        6,
    )
    limited = json.loads(
        run(
            settings, str(trades), "--mapping", str(mapping), "--dry-run", "--json", "--limit", "5"
        ).stdout
    )
    assert limited["closes"] == 5


def test_an_outcome_that_no_close_has_is_said_before_anything_is_sent(
    trades: Path, mapping: Path
) -> None:
    words = (str(trades), "--mapping", str(mapping))
    shown = run(NO_BROKER, *words, "--dry-run")
    assert "EDGELOOP_OUTCOME=rr learns from rr." in shown.stdout
    assert (
        "No close has rr, so all would become dead letters. They have roi (38): export"
        " EDGELOOP_OUTCOME=roi" in shown.stdout
    )
    sent = run(NO_BROKER, *words)
    assert sent.exit_code == 3
    assert "None of the first 40 closes has the outcome rr" in sent.stderr
    assert "export EDGELOOP_OUTCOME=roi" in sent.stderr
    # Now the broker is missing.
    assert run(Settings(broker=NO_BROKER.broker, outcome="roi"), *words).exit_code == 4


@pytest.mark.parametrize(
    ("words", "exit_code", "says"),
    [
        (["{trades}"], 2, "--draft mapping.toml"),
        (["{trades}", "--mapping", "{trades}"], 3, "not TOML"),
        (["{trades}", "--draft", "{new}", "--json"], 0, ""),
        (["{trades}", "{trades}", "--draft", "{new}"], 2, "A draft needs exactly one table"),
        (["{closes}", "--module", "x"], 2, "carry their own module"),
        (["{what}"], 2, "is not clear from its name"),
        (["journal.ods"], 2, "Save it as .xlsx or CSV"),
        (["{trades}", "--mapping", "{mapping}", "--shift-to", "soon"], 2, "not a time"),
        (["{open}", "--dry-run"], 0, ""),
        (["{open}"], 5, "Trades that are still open, left out: 1."),
        (["{trades}", "--from", "freqtrade"], 5, "is not JSON"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: list[str], exit_code: int, says: str, trades: Path, mapping: Path
) -> None:
    folder = trades.parent
    (folder / "closes.jsonl").write_text("{}")
    (folder / "what.xyz").write_text("?")
    names = {
        "trades": trades,
        "mapping": mapping,
        "new": folder / "new.toml",
        "closes": folder / "closes.jsonl",
        "what": folder / "what.xyz",
        "open": database(
            folder / "open.sqlite", (TRADES_2025, ORDERS_2025), [stored_trade(is_open=1)]
        ),
    }
    found = run(NO_BROKER, *(word.format(**names) for word in words))
    assert found.exit_code == exit_code, found.output
    assert says in found.stderr


@pytest.mark.stack
def test_every_kind_arrives_once_and_again_the_same(
    stack_settings: Settings, trades: Path, mapping: Path
) -> None:
    settings = Settings(**{**vars(stack_settings), "outcome": "roi"})
    asyncio.run(topics.create(settings))
    folder = trades.parent
    (folder / "events.jsonl").write_bytes(orjson.dumps(position_closed()))
    logs: list[tuple[list[str], int]] = [
        ([str(trades), "--mapping", str(mapping)], 40),
        (
            [
                database(
                    folder / "bot.sqlite",
                    (TRADES_2025, ORDERS_2025),
                    [stored_trade(id=i) for i in (1, 2)],
                )
            ],
            2,
        ),
        (
            [
                zipped(folder / "backtest.zip", result(Trend=[backtest_trade()])),
                "--module",
                "backtest",
            ],
            1,
        ),
        ([str(folder / "events.jsonl"), "--shift-to", "2024-06-01T00:00:00Z"], 1),
        (
            [str(JOURNAL), "--mapping", str(JOURNAL.with_name("journal.toml")), "--limit", "3000"],
            3000,
        ),
    ]
    for words, count in [*logs, logs[0]]:
        found = run(settings, *words, "--json")
        assert found.exit_code == 0, found.output
        assert json.loads(found.stdout)["sent"] == count, words
    records = written(settings)
    assert len(records) == sum(count for _, count in logs) + 40
    by_key: dict[bytes | None, set[bytes]] = {}
    for key, value in records:
        by_key.setdefault(key, set()).add(value)
    # Rows 1 to 40 of the table and of the journal share ids, as they share a module; the table was
    # sent twice with the same bytes.
    assert len(by_key) == 3000 + 1 + 4
    assert max(len(values) for values in by_key.values()) == 2
    taken, refused = 0, 0
    for values in by_key.values():
        for value in values:
            try:
                taken += bool(
                    explode(value, 4_102_444_800_000, dimensions=settings.dimensions, outcome="roi")
                )
            except RefusedCloseError:
                refused += 1
    assert (taken, refused) == (3000 + 38 + 4, 2)
    shifted: dict[str, Any] = orjson.loads(
        next(v for k, v in records if k and k.startswith(b"TRADER"))
    )
    assert shifted["trade_summary"]["exit_timestamp"] == "2024-06-01T00:00:00Z"


EXPORTS = Path(__file__).parents[1] / "sources" / "exports"


def drafted(name: str, to: Path, *words: str) -> Result:
    return run(NO_BROKER, str(EXPORTS / name), "--draft", str(to), *words)


def test_a_draft_asks_and_nothing_is_read_before_the_answer(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    made = drafted("ninjatrader-executions.csv", mapping)
    assert 'Answer these before importing: replace each "?" in the mapping.' in made.stdout
    words = (str(EXPORTS / "ninjatrader-executions.csv"), "--mapping", str(mapping), "--dry-run")
    refused = run(NO_BROKER, *words)
    assert refused.exit_code == 3
    assert '[multipliers] ES* is still "?"' in refused.stderr
    assert "money per point; 50 is usual for ES" in refused.stderr
    mapping.write_text(mapping.read_text().replace('= "?"', "= 50"))
    shown = run(Settings(broker=NO_BROKER.broker, outcome="roi"), *words)
    assert shown.exit_code == 0, shown.stderr
    assert "Closes by symbol and side: ES 03-24 1 long." in shown.stdout
    assert "Total profit: 245.50 USD of 1 closes; before fees of 4.50: 250.00." in shown.stdout
    assert "contract values are ES* 50" in shown.stdout
    asked = json.loads(
        drafted("ninjatrader-executions.csv", tmp_path / "again.toml", "--json").stdout
    )["asked"]
    assert asked == ["What a point of the future ES is worth per contract: the file does not say."]


def test_what_figures_in_the_file_contradict_is_not_sent(tmp_path: Path) -> None:
    path, mapping = tmp_path / "t.csv", tmp_path / "m.toml"
    path.write_text(
        "Opened,Closed,Symbol,Side,Qty,Entry,Exit,Profit,Result\n"
        "2024-05-06 09:31,2024-05-06 10:31,AMD,Long,100,190,191,100,win\n"
        "2024-05-07 09:31,2024-05-07 10:31,MSFT,Short,50,415,416,-50,loss\n"
    )
    assert run(NO_BROKER, str(path), "--draft", str(mapping)).exit_code == 0
    settings = Settings(broker=NO_BROKER.broker, outcome="roi")
    words = (str(path), "--mapping", str(mapping))
    assert run(settings, *words, "--dry-run").exit_code == 0
    right = mapping.read_text()
    edited = re.sub("(entry|exit)_price = .*\\n", "", right)
    edited = edited.replace('"Profit"', '{column = "Profit", scale = -1}')
    mapping.write_text(edited.replace('quantity = "Qty"', 'stake = "Qty"'))
    says = (
        "Whether the profits are read rightly: Result calls 2 of 2 rows a win whose profit has the"
        f" other sign.  Losses need a minus sign.  Rows: {path}:2, {path}:3."
    )
    dry = run(settings, *words, "--dry-run")
    assert (dry.exit_code, says in dry.stdout, says in dry.stderr) == (5, True, True)
    sent = run(settings, *words)
    assert (sent.exit_code, says in sent.stderr) == (5, True)
    assert 'or write contradictions = "accept" at its top' in sent.stderr
    document = json.loads(run(settings, *words, "--dry-run", "--json").stdout)
    (told,) = document["contradictions"]
    assert (told["rows"], told["places"]) == (2, [f"{path}:2", f"{path}:3"])
    assert told["sentence"] in says
    mapping.write_text('contradictions = "accept"\n' + mapping.read_text())
    accepted = run(settings, *words, "--dry-run")
    assert (accepted.exit_code, "which the mapping accepts:" in accepted.stdout) == (0, True)
    assert run(settings, *words).exit_code == 4  # Now the broker is missing.


@pytest.mark.parametrize(
    ("amount", "exit_code", "says"),
    [
        (
            "1931.50",
            0,
            "The expected profit of 1,931.50 is what these closes make: 1,931.50 USD after fees.",
        ),
        ("$1,957.00", 0, "1,957.00 USD before fees"),
        (
            "188 EUR",
            5,
            "The expected profit is 188.00, but these closes make 190.00 EUR after fees",
        ),
        ("much", 2, "--expect-pnl is 'much'"),
    ],
)
def test_the_profit_is_compared_with_what_the_broker_shows(
    amount: str, exit_code: int, says: str, tmp_path: Path
) -> None:
    mapping = tmp_path / "m.toml"
    assert drafted("ibkr-trades-section.csv", mapping).exit_code == 0
    words = (
        str(EXPORTS / "ibkr-trades-section.csv"),
        "--mapping",
        str(mapping),
        "--dry-run",
        "--expect-pnl",
        amount,
    )
    shown = run(Settings(broker=NO_BROKER.broker, outcome="roi"), *words)
    assert shown.exit_code == exit_code, shown.output
    assert says in shown.output


def test_an_account_names_what_is_open_left_out_and_refused(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    drafted("webull-orders.csv", mapping)
    mapping.write_text(mapping.read_text().replace('= "?"', "= 100"))
    words = (str(EXPORTS / "webull-orders.csv"), "--mapping", str(mapping), "--dry-run")
    shown = run(Settings(broker=NO_BROKER.broker, outcome="roi"), *words)
    for expected in (
        (
            "Positions that are still open, left out: 3 (EXMP251121C00012500 2,"
            " EXMP251121C00009000 -2, TWFD -1100)."
        ),
        "Rows left out by the mapping, by their Filled: 1 (0).",
        "Rows that cannot be read as fills; positions of their symbols may be wrong: 1 (TWFD).",
        "Line 3: The row has 1 more cells than there are columns.",
        "2150 TWFD were sold on 2025-11-03, but only 1050 were held; a row of TWFD could not be"
        " read.",
    ):
        assert expected in shown.stdout, expected
    document = json.loads(
        run(
            Settings(broker=NO_BROKER.broker, outcome="roi"), *words, "--json", "--show", "all"
        ).stdout
    )
    assert len(document["first"]) == document["closes"] == 4
    assert document["account"]["by_symbol"] == {"EXMP": {"long": 1, "short": 1}}
    assert document["named"]["rows left out by the mapping, by their Symbol"] == ["(empty)"]
    assert run(NO_BROKER, *words, "--show", "few").exit_code == 2


def test_options_of_drafts_and_of_dry_runs_are_not_mixed_up(
    tmp_path: Path, trades: Path, mapping: Path
) -> None:
    for words, says in (
        (["--mapping", str(mapping), "--table", "1"], "--table and --rows apply to --draft only"),
        (["--mapping", str(mapping), "--expect-pnl", "1"], "--expect-pnl requires --dry-run"),
    ):
        found = run(NO_BROKER, str(trades), *words)
        assert (found.exit_code, says in found.stderr) == (2, True)
    chosen = drafted("mt5-report.html", tmp_path / "deals.toml", "--table", "Deals")
    assert chosen.exit_code == 0
    assert 'table = "Deals"' in (tmp_path / "deals.toml").read_text()
