"""A recording of a small part of the sample has all topics and tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.kinds import DERIVED

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_it_has_every_topic_and_table(tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    command = [
        sys.executable,
        "-m",
        "benchmarks.recording",
        str(folder),
        "--learning",
        "classic",
        "--parts",
        "600",
    ]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    files = {file.name: file.read_text().splitlines() for file in folder.iterdir()}
    assert {f"topic.{topic}" for topic in DERIVED} < files.keys()
    assert len(files["topic.position_closed.dlq"]) == 1
    assert len(files["topic.pm_overrides"]) == len(files["table.pm_overrides"]) > 0
    assert len(files["topic.learning_lessons"]) > len(files["table.learning_lessons"]) > 0
    assert not any(b"writer" in line.encode() for line in files["topic.pm_overrides"])
