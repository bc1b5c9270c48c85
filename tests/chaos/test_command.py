"""The commands of `make chaos`, `make soak` and `make fuzz`, each so short that it fits in here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, codes: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=230
    )
    assert done.returncode in codes, done.stdout[-4_000:] + done.stderr[-4_000:]
    return done.stdout


def told(*words: str, codes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json", codes=codes))
    return found


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_short_chaos_with_one_worker_and_two_faults() -> None:
    outcome = told(
        "tests.chaos", "--seed", "1", "--minutes", "0.3", "--workers", "1", "--only", "kill", "cut"
    )
    assert outcome["ok"], outcome
    assert set(outcome["faults"]) == {"kill", "cut"}
    assert outcome["lessons"] > 10
    assert outcome["overrides"] > 0
    assert outcome["hostile"] == outcome["dead_letters"] > 50
    assert outcome["book"]["overrides"] > 0


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.long
def test_a_short_chaos_with_clocks_and_disks() -> None:
    """Where no disk can be mounted, the other two faults happen."""
    faults = ("clock step", "copy kill", "broker disk full", "postgres disk full")
    outcome = told("tests.chaos", "--seed", "2", "--minutes", "0.8", "--only", *faults)
    assert outcome["ok"], outcome
    assert set(faults[:2]) <= set(outcome["faults"])
    assert set(outcome["faults"]) in ({*faults[:2]}, {*faults})


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_short_soak_samples_everything() -> None:
    """It is too short to say whether memory grows; the rest does not."""
    words = ("--minutes", "0.3", "--workers", "1", "--learning", "classic")
    outcome = told("tests.soak", *words, codes=(0, 1))
    assert not [r for r in outcome["rows"] if r["grows"] and r["quantity"] != "rss_mb"], outcome
    assert outcome["ok"] == (not any(row["grows"] for row in outcome["rows"]))
    (samples,) = outcome["samples"]
    assert {row["quantity"] for row in outcome["rows"]} == samples.keys() - {"times_s"}
    assert all(min(samples[name]) > 0 for name in samples.keys() - {"times_s"})
    assert len(samples["times_s"]) > 20


def test_the_schedule_alone() -> None:
    text = run("tests.chaos", "--seed", "7", "--minutes", "2", "--dry-run")
    assert text == run("tests.chaos", "--seed", "7", "--minutes", "2", "--dry-run")
    assert text.startswith("Seed 7, 2 minutes:\n")
    assert run("tests.chaos", "--minutes", "0", codes=(2,)) == ""


@pytest.mark.slow
def test_a_short_fuzz_tries_every_part(tmp_path: Path) -> None:
    outcome = told("tests.fuzz", "--minutes", "0.2", "--seed", "1", "--out", str(tmp_path))
    assert outcome["ok"], outcome
    assert all(target["tried"] > 0 for target in outcome["targets"]), outcome
    accepted = {target["part"] for target in outcome["targets"] if target["accepted"]}
    assert accepted == {"door", "book", "importers"}
