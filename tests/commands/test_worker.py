"""`worker` takes the web options that scripts of Faust users pass, and applies them to its own
health server."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Any
from unittest.mock import MagicMock

import pytest
from click.testing import CliRunner
from faust.cli.base import cli

import app.commands
from app.errors import EdgeloopError
from app.kafka.log_identity import Log
from app.settings import Settings
from app.worker import health as health_module
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

    async def no_preflight(_: Settings) -> Log:
        """There is nothing to connect to: the command is tested, not the worker."""
        return Log()

    monkeypatch.setattr(worker, "health", health)
    monkeypatch.setattr(worker, "preflight", no_preflight)
    monkeypatch.setattr(worker, "app", MagicMock())
    monkeypatch.setattr(worker, "_start", lambda *_, **given: started.update(given))
    result = CliRunner().invoke(cli.commands["worker"], options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    health.configure.assert_called_once_with(enabled=enabled, port=port)
    assert started["with_web"] is False, "Faust's own server never starts"


def test_a_disabled_health_server_does_not_listen() -> None:
    health = Health(MagicMock(), Settings(), MagicMock(), MagicMock())
    health.configure(enabled=False, port=None)
    asyncio.run(health.start())
    assert health._runner is None


@pytest.mark.parametrize("host", ["127.0.0.1", "203.0.113.9", "no.such.host.invalid"])
def test_an_address_that_cannot_be_listened_on_is_named(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: list[EdgeloopError] = []
    monkeypatch.setattr(health_module, "refuse", refusals.append)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(metrics_host=host, metrics_port=port)
        health = Health(MagicMock(), settings, MagicMock(), MagicMock())

        async def start() -> None:
            with suppress(IndexError):  # without an address it would have ended
                await health.start()
            await health.stop()

        asyncio.run(start())
    (refusal,) = refusals
    assert f"cannot listen on {host}:{port}" in refusal.what
    assert "EDGELOOP_METRICS_PORT" in refusal.remedy


def test_readiness_has_its_reasons() -> None:
    app, guard = MagicMock(should_stop=False, rebalancing=False), MagicMock(reasons=[])
    watchdog = MagicMock(reasons=[])
    health = Health(app, Settings(), guard, watchdog)
    assert [found["reason"] for found in health.reasons] == ["not_hydrated"]
    asyncio.run(health._on_joined())
    assert health.ready
    assert health.reasons == []
    guard.reasons = [("records_lost", "50 records were deleted.")]
    assert not health.ready
    assert health.reasons == [{"reason": "records_lost", "text": "50 records were deleted."}]
    watchdog.reasons = [("stalled", "No close was taken in for 60 s.")]
    app.should_stop = True
    assert [found["reason"] for found in health.reasons] == ["stopping", "records_lost", "stalled"]
