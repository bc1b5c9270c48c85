"""Settings that must be equal are agreed on through Kafka; others are refused and named."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace

import pytest
from click.testing import CliRunner, Result

import app.commands
from app.commands.base import cli
from app.commands.doctor import doctor
from app.commands.settings import settings_group
from app.errors import ConfigurationError
from app.kafka import topics
from app.kafka.control import ControlLog
from app.settings import Settings
from app.worker.agreement import (
    MAY_DIFFER,
    MUST_BE_EQUAL,
    agree,
    claim,
    control_state,
    fingerprint,
    require_agreement,
)
from tests.child import faust
from tests.pipeline.conftest import install
from tests.pipeline.installation import ROOT, Installation, wait

__all__ = ["install"]
app.commands.load()


def run(settings: Settings, *words: str) -> Result:
    return CliRunner().invoke(settings_group, list(words), env=settings.environment())


def test_of_every_setting_it_is_said_whether_it_must_be_equal() -> None:
    assert sorted(MUST_BE_EQUAL + MAY_DIFFER) == sorted(field.name for field in fields(Settings))


@pytest.mark.stack
def test_of_two_claims_at_once_the_first_in_the_log_counts(stack_settings: Settings) -> None:
    """Each sees the other's claim, whichever reads first, and both reach the same answer."""
    asyncio.run(topics.create(stack_settings))
    others = [replace(stack_settings, n_min=n) for n in range(20, 26)]

    async def all_at_once() -> list[object]:
        return await asyncio.gather(
            *(require_agreement(settings) for settings in others), return_exceptions=True
        )

    outcomes = asyncio.run(all_at_once())
    accepted = [s for s, outcome in zip(others, outcomes, strict=True) if outcome is None]
    assert len(accepted) == 1
    agreed = asyncio.run(control_state(stack_settings)).agreed
    assert agreed is not None
    assert agreed.settings["n_min"] == accepted[0].n_min
    for settings, outcome in zip(others, outcomes, strict=True):
        if settings is not accepted[0]:
            assert isinstance(outcome, ConfigurationError)
            assert outcome.exit_code == 3
            assert (
                f"EDGELOOP_N_MIN is {settings.n_min} here, but this installation has agreed on"
                f" {accepted[0].n_min}" in outcome.what
            )


@pytest.mark.stack
def test_a_planned_change_is_shown_then_made_and_the_old_values_are_refused(
    stack_settings: Settings,
) -> None:
    asyncio.run(topics.create(stack_settings))
    assert "No settings are agreed yet" in run(stack_settings, "show").stdout
    asyncio.run(require_agreement(stack_settings))
    longer = replace(stack_settings, window_days=120.0, dimensions=("chain", "btc_macro"))
    shown = run(longer, "show")
    assert shown.exit_code == 3
    assert "DIFFERS EDGELOOP_WINDOW_DAYS: 120.0 here, 90.0 agreed on" in shown.stdout
    planned = json.loads(run(longer, "agree", "--dry-run", "--json").stdout)
    assert [c["name"] for c in planned["changed"]] == [
        "EDGELOOP_DIMENSIONS",
        "EDGELOOP_WINDOW_DAYS",
    ]
    assert run(stack_settings, "show").exit_code == 0, "a dry run changes nothing"
    assert run(longer, "agree", "--json").exit_code == 2
    assert run(longer, "agree", "--yes").exit_code == 0
    asyncio.run(require_agreement(longer))
    with pytest.raises(ConfigurationError, match="EDGELOOP_DIMENSIONS is"):
        asyncio.run(require_agreement(stack_settings))
    found = CliRunner().invoke(doctor, ["--json"], env=stack_settings.environment())
    (check,) = [c for c in json.loads(found.stdout)["checks"] if c["check"] == "settings"]
    assert not check["ok"]
    assert "EDGELOOP_WINDOW_DAYS is 90.0 here" in check["found"]
    assert "settings agree" in check["remedy"]


@pytest.mark.stack
@pytest.mark.slow
def test_a_worker_with_other_settings_is_refused_and_one_that_slipped_in_ends(
    install: Callable[..., Installation],
) -> None:
    installation = install()
    (worker,) = installation.start_ready()
    for changed in ({"window_days": 30.0}, {"dimensions": ("chain", "btc_macro")}):
        other = replace(installation.settings, **changed)  # type: ignore[arg-type]
        refused = subprocess.run(
            faust("worker"),
            cwd=ROOT,
            env={**os.environ, **other.environment()},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 3, refused.stderr
        name = f"EDGELOOP_{next(iter(changed)).upper()}"
        assert f"{name} is " in refused.stderr
        assert "has agreed on" in refused.stderr
    assert worker.ready(), "the one that agrees goes on"
    longer = replace(installation.settings, window_days=120.0)
    with pytest.raises(ConfigurationError, match="are running"):
        asyncio.run(agree(longer))

    async def change_all_the_same() -> None:
        """As a change that saw no worker, because this one was about to join."""
        async with ControlLog(longer) as control:
            await control.write([claim(2, fingerprint(longer))])

    asyncio.run(change_all_the_same())
    wait(lambda: worker.process.poll() is not None, 30, "end of the worker", worker.text)
    assert worker.process.returncode == 3
    assert "EDGELOOP_WINDOW_DAYS is 90.0 here" in worker.text()
    installation.workers.remove(worker)
    installation.settings = longer
    wait(lambda: installation.members() == 0, 30, "an empty group")
    installation.start_ready()


def test_the_command_line_explains_itself() -> None:
    shown = CliRunner().invoke(cli, ["settings", "agree", "--help"])
    assert shown.exit_code == 0
    assert "--dry-run" in shown.output
    assert "Examples:" in shown.output
