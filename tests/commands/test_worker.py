"""`worker` takes the web options that scripts of Faust users pass, and applies them to its own
health server."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import MagicMock

import pytest
from click.testing import CliRunner
from faust.cli.base import cli

import app.commands
from app.settings import Settings
from app.worker.health import Health

app.commands.load()


@pytest.mark.parametrize(
    ("options", "enabled", "port"),
    [
        ([], True, None),
        (["--without-web"], False, None),
        (["--with-web", "-p", "6066"], True, 6066),
        (["--web-port", "6067", "--without-web"], False, 6067),
    ],
)
def test_fausts_web_options_reach_the_health_server(
    options: list[str], enabled: bool, port: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.commands import worker

    started: dict[str, Any] = {}
    health = MagicMock()

    async def no_preflight(_: Settings) -> None:
        """Nothing to reach: the command is tested, not the worker."""

    monkeypatch.setattr(worker, "health", health)
    monkeypatch.setattr(worker, "preflight", no_preflight)
    monkeypatch.setattr(worker, "app", MagicMock())
    monkeypatch.setattr(worker, "_start", lambda *_, **given: started.update(given))
    result = CliRunner().invoke(cli.commands["worker"], options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    health.configure.assert_called_once_with(enabled=enabled, port=port)
    assert started["with_web"] is False, "Faust's own server never starts"


def test_a_disabled_health_server_does_not_listen() -> None:
    health = Health(MagicMock(), Settings(), MagicMock())
    health.configure(enabled=False, port=None)
    asyncio.run(health.start())
    assert health._runner is None
