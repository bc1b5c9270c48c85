"""`faust -A app audit`, and the reader of `replay run`: tables are compared with figures that their
mapping does not read, as for an import."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from app.commands.audit import audit
from app.commands.trade_files import named_or_refused
from app.errors import BadDataError
from app.replay.explode import explode_files
from app.replay.pool import Pool
from app.replay.shadow import Source
from app.replay.span import Span
from app.replay.spool import checkpoints
from app.settings import Settings

SETTINGS = Settings(broker="127.0.0.1:1", outcome="pnl")
WRONG = """rows = "positions"
[columns]
symbol = "Symbol"
entry_timestamp = "Opened"
exit_timestamp = "Closed"
pnl_usd = {column = "Profit", scale = -1}
[pattern]
entry = "x"
"""
SAYS = "Result calls 2 of 2 rows a win whose profit has the other sign."
ACCEPTED = 'contradictions = "accept"\n'


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.csv"
    path.write_text(
        "Opened,Closed,Symbol,Profit,Result\n"
        "2024-05-06 09:31,2024-05-06 10:31,AMD,100,win\n"
        "2024-05-07 09:31,2024-05-07 10:31,MSFT,-50,loss\n"
    )
    return path


def test_an_audit_refuses_what_figures_contradict(table: Path, tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    words = [str(table), "--mapping", str(mapping), "--placebos", "0", "--jobs", "1"]
    mapping.write_text(WRONG)
    refused = CliRunner().invoke(audit, words, env=SETTINGS.environment())
    assert (refused.exit_code, SAYS in refused.stderr) == (5, True)
    assert 'or write contradictions = "accept" at its top' in refused.stderr
    mapping.write_text(ACCEPTED + WRONG)
    accepted = CliRunner().invoke(audit, words, env=SETTINGS.environment())
    assert (accepted.exit_code, SAYS in accepted.stderr) == (0, True)
    assert "which the mapping accepts:" in accepted.stderr


def test_a_replay_refuses_what_figures_contradict(table: Path, tmp_path: Path) -> None:
    mapping, folder = tmp_path / "m.toml", tmp_path / "spool"
    status = table.stat()
    source = Source(
        "files",
        Span("all"),
        files=[(str(table), status.st_size, status.st_mtime_ns)],
        mapping=str(mapping),
        at_ms=1_800_000_000_000,
    )

    def explode() -> None:
        with Pool(1) as workers:
            explode_files(SETTINGS, source, folder, workers, lambda total: None, named_or_refused)

    mapping.write_text(WRONG)
    with pytest.raises(BadDataError, match=SAYS):
        explode()
    assert not folder.exists()
    mapping.write_text(ACCEPTED + WRONG)
    explode()
    assert [done.closes for done in checkpoints(folder)] == [2]
