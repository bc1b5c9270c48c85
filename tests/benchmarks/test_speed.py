"""The speed benchmark runs and prints all of its lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_every_line_is_there(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--quick", "--json", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    document = json.loads(file.read_text())
    names = [row["name"] for row in document["rows"]]
    for beginning in (
        "full refit",
        "one more trade",
        "100 more trades",
        "a fact of a log",
        "incremental batch",
        "the refits",
        "materialising",
        "the same module",
        "memory per trade",
        "memory per lesson",
        "resolve",
    ):
        assert any(name.startswith(beginning) for name in names), beginning
    assert all(row["value"] > 0 for row in document["rows"])
    assert [comparison["peer"].split()[0] for comparison in document["peers"]] == [
        "duckdb",
        "pandas",
        "sliceline",
        "river",
    ]
    assert document["command"].startswith("python -m benchmarks.speed --quick")
    for text in ("speed", "peers", document["machine"]):
        assert text in run.stdout


def test_a_peer_that_is_not_installed_is_left_out_with_a_word(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    script = (
        "import sys; sys.argv[1:] = ['--quick', '--json', sys.argv[1]]\n"
        "from benchmarks.speed import __main__, core, lookup, peers\n"
        "core.measure, lookup.measure = lambda *_: [], lambda *_: []\n"
        "peers.find_spec = __main__.find_spec = lambda _: None\n"
        "sys.exit(__main__.main())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert run.returncode == 0, run.stderr
    assert "not installed" in run.stdout
    assert "`peers`" in run.stdout
    assert {comparison["peer_s"] for comparison in json.loads(file.read_text())["peers"]} == {None}
