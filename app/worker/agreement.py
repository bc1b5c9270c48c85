"""The settings that must be equal for all workers, agreed on through the control log.

May touch: the broker, through `app.kafka.control`; the process of a worker that no longer agrees,
which it ends.

The first worker of an installation claims its settings; if two claim at once, the first claim in
the log counts.  A worker that starts later with other settings is refused, and told the
differences.  To change settings, `faust -A app settings agree` claims the next epoch while no
worker runs.  Workers compare again before they take partitions and every few seconds, so that one
that started during such a change ends, too.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from aiokafka.errors import KafkaError

from app.errors import ConfigurationError, UnreachableError
from app.kafka.client import client_id
from app.kafka.consumer_groups import groups
from app.kafka.control import Claim, ControlLog, ControlState
from app.kafka.retry import client_errors
from app.kafka.topics import require_existence
from app.learning.common.config import LearningConfig
from app.settings import PREFIX, Settings
from app.worker.end_process import fatal_exit, refuse
from app.worker.process import LOOK_WITHIN_S, EdgeloopApp
from schemas.kinds import CONTROL

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 5.0
REMEDY = (
    "Give all workers the same values.  To change them for all: stop the workers, run"
    " `faust -A app settings agree` with the new values, start the workers."
)

MUST_BE_EQUAL = (
    *(
        "window_days" if field.name == "window_us" else field.name
        for field in fields(LearningConfig)
    ),
    "dimensions",
    "partitions",
    "retention_days",
    "database_schema",
    "max_actions",
    "max_groups_per_module",
    "max_groups",
    "max_modules",
    "max_revision",
)
"""Settings that determine what is learned, which closes are accepted, and where records are
kept."""

MAY_DIFFER = (
    "broker",
    "kafka_security",
    "kafka_ca",
    "kafka_certificate",
    "kafka_key",
    "kafka_key_password",
    "kafka_mechanism",
    "kafka_user",
    "kafka_password",
    "kafka_token",
    "kafka_token_file",
    "database_url",
    "agents",
    "topic_prefix",
    "consumer_group",
    "replication",
    "lessons_per_second",
    "broker_away_s",
    "rewrite_alert",
    "metrics_host",
    "metrics_port",
    "log_format",
)
"""Settings that may differ: how a worker connects, and which part of the work it does.  The topic
prefix names the control log itself, and a consumer group of another name reads the same topics from
the beginning."""


def fingerprint(settings: Settings) -> dict[str, Any]:
    """The settings that must be equal, as plain data.

    >>> fingerprint(Settings(n_min=5))["n_min"]
    5
    """
    plain = {name: getattr(settings, name) for name in MUST_BE_EQUAL}
    return dict(msgspec.json.decode(msgspec.json.encode(plain)))


def differences(agreed: Mapping[str, Any], mine: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(variable, agreed value, our value) of each setting that differs.  A setting that an older
    version did not know counts as its default.

    >>> differences({"n_min": 33}, {**fingerprint(Settings()), "n_min": 5})
    [('EDGELOOP_N_MIN', 33, 5)]
    """
    defaults = fingerprint(Settings())
    return [
        (PREFIX + name.upper(), theirs, ours)
        for name in sorted(agreed.keys() | mine.keys())
        if (theirs := agreed.get(name, defaults.get(name))) != (ours := mine.get(name))
    ]


def shown(value: Any) -> str:
    """A value as its environment variable is written."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, list) else f"{value}"


def refusal(agreed: Claim, mine: Mapping[str, Any]) -> str:
    """The differences in one sentence; empty if there are none."""
    found = [
        f"{name} is {shown(ours)} here, but this installation has agreed on {shown(theirs)}"
        for name, theirs, ours in differences(agreed.settings, mine)
    ]
    return f"{'; '.join(found)} (since {agreed.at}, by {agreed.by})." if found else ""


async def require_agreement(settings: Settings) -> None:
    """Claim our settings if there is no claim yet; raise `ConfigurationError` if other settings
    were agreed on, `UnreachableError` without a broker."""
    mine = fingerprint(settings)
    async with ControlLog(settings) as control:
        try:
            agreed = (await control.read()).agreed
            if agreed is None:
                agreed = (await control.write([claim(1, mine)])).agreed
        except (KafkaError, OSError) as error:
            raise _unreachable(settings, error) from error
    assert agreed is not None
    if what := refusal(agreed, mine):
        raise ConfigurationError(what, REMEDY)


async def agree(settings: Settings, *, dry_run: bool = False) -> list[tuple[str, Any, Any]]:
    """Make this environment's settings those of the installation; returns what changes.

    Raises `ConfigurationError` while workers run and without the topic, `UnreachableError`.
    """
    mine = fingerprint(settings)
    await require_existence(settings, [CONTROL])
    async with ControlLog(settings) as control:
        try:
            agreed = (await control.read()).agreed
            changed = [] if agreed is None else differences(agreed.settings, mine)
            if dry_run or (agreed is not None and not changed):
                return changed
            if agreed is not None:
                await _refuse_while_running(settings)
            epoch = 1 if agreed is None else agreed.epoch + 1
            winner = (await control.write([claim(epoch, mine)])).agreed
        except (KafkaError, OSError) as error:
            raise _unreachable(settings, error) from error
    assert winner is not None
    if what := refusal(winner, mine):
        raise ConfigurationError(f"Another claim was first: {what}", REMEDY)
    return changed


async def control_state(settings: Settings) -> ControlState:
    """What the control log says.  Raises `UnreachableError`, and `ConfigurationError` without the
    topic."""
    await require_existence(settings, [CONTROL])
    async with ControlLog(settings) as control:
        try:
            return await control.read()
        except (KafkaError, OSError) as error:
            raise _unreachable(settings, error) from error


def claim(epoch: int, mine: dict[str, Any]) -> tuple[str, Claim]:
    """Key and value of a claim."""
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"settings|{uuid.uuid4().hex}", Claim(epoch, mine, client_id(), at)


async def _refuse_while_running(settings: Settings) -> None:
    members = [member for group in await groups(settings) for member in group.members]
    if members:
        clients = sorted({member.client for member in members})
        raise ConfigurationError(
            f"{len(clients)} worker(s) are running with the settings that would change:"
            f" {', '.join(clients)}.",
            "Stop them first; one that was killed counts for another 12 seconds.",
        )


def _unreachable(settings: Settings, error: BaseException) -> UnreachableError:
    return UnreachableError(
        f"The control log cannot be read from {settings.broker}: {error!r}.",
        "Run: faust -A app doctor",
    )


class AgreementGuard:
    """Compares again while the worker runs, and ends it when other settings are in force."""

    def __init__(self, app: EdgeloopApp, settings: Settings) -> None:
        self._app = app
        self._mine = fingerprint(settings)
        self._control = ControlLog(settings)
        app.look_before_assignment(self.look)
        app.on_before_shutdown.connect(self.stop)
        app.task(self.run)

    async def look(self) -> None:
        """End the process unless the settings agree.  While the broker is away, this cannot be
        decided."""
        try:
            with client_errors():
                agreed = (await asyncio.wait_for(self._control.read(), LOOK_WITHIN_S)).agreed
        except (KafkaError, OSError):  # a time-out, too
            return
        except Exception as error:
            fatal_exit("agreement", error)
        if agreed is not None and (what := refusal(agreed, self._mine)):
            refuse(ConfigurationError(what, REMEDY))

    async def run(self) -> None:
        """Compare every few seconds until the worker stops."""
        while not self._app.should_stop:
            await asyncio.sleep(LOOK_EVERY_S)
            await self.look()

    async def stop(self, *_: Any, **__: Any) -> None:
        """Close the connection."""
        await self._control.stop()
