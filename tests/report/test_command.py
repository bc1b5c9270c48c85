"""`faust -A app audit`: tables that end with the answers, and errors in a sentence.

Apart from the browser's test: its event loop runs for as long as a browser is open.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import app.report
from app.commands.audit import audit
from tests.report.making import ENVIRONMENT, closes


def test_the_tables_on_the_terminal_end_with_the_answers(tmp_path: Path) -> None:
    path = closes(tmp_path / "closes.jsonl", n=300)
    words = [str(path), "--cuts", "2", "--placebos", "0", "--jobs", "1"]
    result = CliRunner().invoke(audit, words, env=ENVIRONMENT)
    assert result.exit_code == 0, result.output
    places = [
        result.stdout.index(text)
        for text in (
            "2 closes were refused",
            "Walk forward",
            "would have made",
            "group means",
            "ridge",
            "Current weights of the learners",
            "Answers",
            "1. Do you need",
            "3. Do you have",
            "What to set",
        )
    ]
    assert places == sorted(places)
    assert "EDGELOOP_REGIME_WEIGHTS=auto" in result.stdout
    again = CliRunner().invoke(audit, words, env=ENVIRONMENT)
    assert again.stdout == result.stdout


def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path: Path) -> None:
    def failed(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(audit, list(words), env=ENVIRONMENT)
        return result.exit_code, result.stderr

    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"event_id": "e"}\n')
    good = closes(tmp_path / "closes.jsonl", n=40)
    assert failed(str(broken))[0] == 5
    assert "All closes were rejected" in failed(str(broken))[1]
    code, output = failed(str(good), "--module", "xm")
    assert (code, "Modules with trades: pm" in output) == (2, True)
    assert failed(str(tmp_path / "none.jsonl"))[0] == 2
    assert failed("--from", "jsonl")[0] == 2
    assert failed()[0] == 4  # the log, without a broker
    assert (
        failed(
            str(good),
            "--cuts",
            "2",
            "--placebos",
            "0",
            "--jobs",
            "1",
            "--html",
            str(tmp_path / "no" / "page.html"),
        )[0]
        == 2
    )


def test_help_has_examples() -> None:
    result = CliRunner().invoke(audit, ["--help"])
    assert result.exit_code == 0
    assert result.output.count("faust -A app audit") >= 4


def test_without_matplotlib_the_page_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        n for n in sys.modules if n.startswith(("matplotlib", "app.report.pl", "app.report.pa"))
    ]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("plots", "page"):
        monkeypatch.delattr(app.report, name, raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(
        audit,
        [str(closes(tmp_path / "closes.jsonl", n=40)), "--html", str(tmp_path / "page.html")],
        env=ENVIRONMENT,
    )
    assert result.exit_code == 3
    assert "edgeloop[report]" in result.stderr
