"""A flood of groups, and known trades rewritten in bulk, in the running pipeline."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from faust.cli.base import cli

import app.commands
from schemas import kinds
from tests.pipeline.installation import FIXED_DATES, Installation
from tests.pipeline.trades import Close
from tests.stages.making import close

app.commands.load()
pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(360)]


def record(number: int, rr: float, revision: int = 0, pattern: str = "a.b") -> Close:
    made = close(number, rr, "sol", revision)
    event = json.loads(made.value or b"")
    event["actions"][0]["pattern_key"] = pattern
    key = event["trade_id"].encode()
    return Close(json.dumps(event).encode(), key, time.time_ns() // 1_000_000)


def command(installation: Installation, *words: str) -> Any:
    environment = installation.settings.environment()
    result = CliRunner().invoke(cli, [*words, "--json"], env=environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def reasons(installation: Installation) -> Counter[str]:
    return Counter(
        dict(letter.headers)["reason"].decode() for letter in installation.read(kinds.DEAD_LETTERS)
    )


def summary(installation: Installation) -> dict[str, Any]:
    """The published summary of the group a.b."""
    (found,) = [
        lesson
        for lesson in installation.current(kinds.LESSONS).values()
        if lesson["kind"] == "group" and lesson["pattern_key"] == "pm.a.b"
    ]
    return found


def total(installation: Installation) -> float:
    """The sum of the outcomes of the group's trades."""
    return float(sum(segment["sum"] for segment in summary(installation)["segments"]))


def revised(installation: Installation) -> int:
    """Facts with a revision."""
    return sum(json.loads(fact.value)["revision"] > 0 for fact in installation.read(kinds.FACTS))


def rewrites_are_fine(installation: Installation) -> bool:
    environment = installation.settings.environment()
    checks = json.loads(CliRunner().invoke(cli, ["doctor", "--json"], env=environment).stdout)
    (check,) = [check for check in checks["checks"] if check["check"] == "rewrites"]
    return bool(check["ok"])


def test_a_flood_of_groups_and_of_revisions(install: Callable[..., Installation]) -> None:
    installation = install(
        n_min=10,
        max_groups_per_module=3,
        max_revision=0,
        rewrite_alert=20,
        partitions=2,
        **FIXED_DATES,
    )
    (worker,) = installation.start_ready()
    installation.produce(record(i, 1.0) for i in range(60))
    installation.until_idle()
    assert (summary(installation)["n"], total(installation)) == (60, 60.0)

    installation.produce(record(1_000 + i, 1.0, pattern=f"junk{i}.b") for i in range(30))
    installation.produce(record(60 + i, 1.0) for i in range(5))
    installation.until_idle()
    assert reasons(installation) == {"too_many_groups": 28}, "two were accepted beside a.b"
    assert summary(installation)["n"] == 65
    assert worker.metric("edgeloop_door_refusals_total", reason="too_many_groups") == 28
    assert worker.metric("edgeloop_admitted", what="groups") == 3

    installation.produce(record(i, -1.0, 2**53 - 1) for i in range(40))
    installation.until_idle()
    assert reasons(installation) == {"too_many_groups": 28, "held_revision": 40}
    assert (revised(installation), total(installation)) == (0, 65.0)
    assert rewrites_are_fine(installation)

    planned = command(installation, "dlq", "approve", "--dry-run")
    assert (len(planned["to_approve"]), planned["approved"]) == (40, 0)
    installation.until_idle()
    assert total(installation) == 65.0, "a dry run changes nothing"
    assert (
        command(installation, "dlq", "redrive", "--yes", "--reason", "held_revision")["sent"] == 0
    )
    one = command(installation, "dlq", "approve", "--key", "t7", "--yes")
    assert one["approved"] == 1
    installation.until_idle()
    assert revised(installation) == 1
    assert command(installation, "dlq", "approve", "--yes")["approved"] == 39
    installation.until_idle()
    assert revised(installation) == 40
    assert total(installation) < 0
    again = command(installation, "dlq", "approve", "--yes")
    assert (again["approved"], again["already_approved"]) == (0, 40)

    assert worker.metric("edgeloop_rewritten_trades_total") == 40
    assert "trades.rewritten" in worker.text()
    assert not rewrites_are_fine(installation)
    (alert,) = command(installation, "rewrites", "list")["alerts"]
    assert (alert["module"], alert["trades"] > 20) == ("pm", True)
    assert command(installation, "rewrites", "acknowledge", "--dry-run")["acknowledged"]
    assert not rewrites_are_fine(installation)
    assert command(installation, "rewrites", "acknowledge", "--yes")["acknowledged"]
    assert rewrites_are_fine(installation)

    # Closes that input validation refused are refused in a replay of the closes, too.
    command(installation, "replay", "run", "again", "--all", "--topic", "closes")
    digests = command(installation, "replay", "diff", "again")["digests"]
    assert digests["live"] == digests["shadow"]
