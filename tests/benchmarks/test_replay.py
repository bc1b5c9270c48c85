"""The benchmark of the replay runs on a small log, and both of its replays give the same digest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.long
def test_it_measures_both_topics(tmp_path: Path) -> None:
    file = tmp_path / "replay.json"
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.replay", "--trades", "5000", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    document = json.loads(file.read_text())
    facts, closes = document["rows"]
    assert (facts["topic"], facts["records"], closes["topic"], closes["records"]) == (
        "facts",
        10_000,
        "closes",
        5_000,
    )
    assert facts["digest"] == closes["digest"]
    assert facts["trades"] == closes["trades"] == 5_000
    assert facts["lessons"] == closes["lessons"] > 0
    for row in document["rows"]:
        assert row["ratio"] == pytest.approx(row["replay_per_s"] / row["bare_per_s"])
        assert 0 < row["peak_bytes"] < 2 * 2**30
        assert f"ratio {row['ratio']:.2f}" in run.stdout
    assert document["command"] in run.stdout
