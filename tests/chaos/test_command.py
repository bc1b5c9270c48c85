"""The commands of `make chaos`, `make soak` and `make fuzz`, each in a short run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import __main__ as command
from tests.chaos.plan import FAULTS, Fault
from tests.chaos.run import Outcome

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
    """If no disk can be mounted, the other two faults happen."""
    faults = ("clock step", "copy kill", "broker disk full", "postgres disk full")
    outcome = told("tests.chaos", "--seed", "2", "--minutes", "0.8", "--only", *faults)
    assert outcome["ok"], outcome
    assert set(faults[:2]) <= set(outcome["faults"])
    assert set(outcome["faults"]) in ({*faults[:2]}, {*faults})


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.long
def test_a_short_chaos_of_what_kafka_removes() -> None:
    """Closes that were read are deleted, logs are compacted, workers read them again."""
    faults = ("retention", "compaction", "kill")
    outcome = told("tests.chaos", "--seed", "3", "--minutes", "0.8", "--only", *faults)
    assert outcome["ok"], outcome
    assert set(outcome["faults"]) == {*faults}


DISKS = ("broker disk full", "postgres disk full")


def test_faults_that_need_a_disk_are_left_out_where_none_can_be_mounted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says so, and the other faults happen; if none is left, that is not a success."""
    ran: list[set[str]] = []

    def not_allowed() -> None:
        raise PermissionError(1, "Operation not permitted")

    def run(*, faults: Sequence[Fault], **_: object) -> Outcome:
        ran.append({fault.name for fault in faults})
        return Outcome(book=dict.fromkeys(("looks", "stale", "oldest_s", "overrides"), 0))

    monkeypatch.setattr(command, "own_mounts", not_allowed)
    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(command.logging, "disable", lambda _: None)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["chaos", "--seed", "5", "--minutes", "5"])
    assert command.main() == 0
    (names,) = ran
    assert names == set(FAULTS) - set(DISKS)
    said = capsys.readouterr().out
    assert "Left out: broker disk full, postgres disk full" in said
    assert "Operation not permitted" in said

    monkeypatch.setattr(sys, "argv", ["chaos", "--only", *DISKS])
    assert command.main() == 2
    assert len(ran) == 1
    assert "Left out" in capsys.readouterr().out


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.long
def test_a_short_soak_samples_everything() -> None:
    """The run is too short to tell whether memory grows; nothing else grows."""
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
