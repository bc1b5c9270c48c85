"""No control character in a value reaches a terminal; no value is interpreted as markup, or as a
formula in CSV."""

from __future__ import annotations

import ast
import csv
import io
import logging
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from app.export.columns import column
from app.export.files import _Csv, inert
from app.terminal import PlainConsole, console, echo, plain
from app.worker.logs import handler

ROOT = Path(__file__).parents[1]
HOSTILE = "\x1b]0;title\x07\x1b[31mred\x9b2J\x7f\u202egnirts [bold]b[/] [/nothing] :smile:"
LEFT = "]0;title[31mred2Jgnirts [bold]b[/] [/nothing] :smile:"


def test_tables_lines_and_texts(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("scope", title=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE))
    console().print(table)
    console().print(HOSTILE)
    echo(HOSTILE)
    echo(HOSTILE, err=True)
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert plain(text) == text
    assert shown.out.count(LEFT) == 5
    assert LEFT in shown.err


def test_on_a_terminal_only_the_consoles_own_codes_are_left() -> None:
    out = io.StringIO()
    PlainConsole(file=out, force_terminal=True, color_system="standard", markup=False).print(
        Text(HOSTILE, style="bold")
    )
    text = out.getvalue()
    assert text.startswith("\x1b[1m")
    assert text.count("\x1b") == 2
    assert "\x07" not in text
    assert "\x9b" not in text


def test_a_log_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.Logger("hostile")
    logger.addHandler(handler("text"))
    logger.error("refused %s", HOSTILE)
    assert "\x1b" not in capsys.readouterr().err


def test_no_command_prints_in_another_way() -> None:
    for file in (ROOT / "app" / "commands").glob("*.py"):
        tree = ast.parse(file.read_text())
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not calls & {"click.echo", "click.secho", "print"}, file


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("\t=1", "'\t=1"),
        ("-3", "-3"),
        ("-3.5e4", "-3.5e4"),
        ("sol", "sol"),
        ('{"a":"=1"}', '{"a":"=1"}'),
    ],
)
def test_no_text_in_csv_is_a_formula(text: str, written: str) -> None:
    assert inert(text) == written
    out = io.BytesIO()
    writer = _Csv(out, [column("scope.chain", "text", "")])
    writer.write([[text], [-1.5], [True], [None]])
    writer.close()
    rows = list(csv.reader(io.StringIO(out.getvalue().decode(), newline="")))
    assert rows == [["scope.chain"], [written], ["-1.5"], ["true"], [""]]
