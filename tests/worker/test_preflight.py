"""A broker that goes away during a worker's preflight checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiokafka.errors import RequestTimedOutError, TopicAuthorizationFailedError

from app.errors import UnreachableError
from app.kafka import topics
from app.settings import Settings
from app.worker import preflight

pytestmark = pytest.mark.stack
AWAY = UnreachableError("The log cannot be read.", "Run: faust -A app doctor")


async def test_it_looks_again_from_the_beginning(
    stack_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(stack_settings, agents=("ingest",))
    await topics.create(settings)
    failures: list[Exception] = [AWAY, RequestTimedOutError(), ConnectionResetError()]
    require = preflight.require_same_log

    async def cut_off(settings: Settings) -> None:
        if failures:
            raise failures.pop()
        await require(settings)

    monkeypatch.setattr(preflight, "require_same_log", cut_off)
    await preflight.preflight(settings)
    assert not failures


@pytest.mark.parametrize(
    ("error", "timeout_s"), [(AWAY, 0.0), (TopicAuthorizationFailedError(), 60.0)]
)
async def test_it_gives_up(
    stack_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    timeout_s: float,
) -> None:
    await topics.create(stack_settings)

    async def cut_off(_: Settings) -> None:
        raise error

    monkeypatch.setattr(preflight, "require_same_log", cut_off)
    with pytest.raises(type(error)):
        await preflight.preflight(stack_settings, timeout_s)
