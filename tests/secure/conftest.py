"""One Kafka with TLS, users and access control for all tests of this folder."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.devstack import StackInfo, temporary_stack
from app.settings import Settings


@pytest.fixture(scope="session")
def secure_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackInfo]:
    """A secure stack in a folder of its own."""
    with temporary_stack(tmp_path_factory.mktemp("secure"), secure=True) as info:
        yield info


As = Callable[..., Settings]
"""`as_user("worker")`: settings of the module's installation, as that user."""


@pytest.fixture(scope="module")
def as_user(secure_stack: StackInfo) -> As:
    name = f"s{uuid.uuid4().hex[:12]}"
    folder = Path(secure_stack.security["EDGELOOP_KAFKA_CA"]).parent
    base = Settings.from_environment(
        {
            **secure_stack.security,
            "EDGELOOP_BROKER": secure_stack.broker,
            "EDGELOOP_DATABASE_URL": secure_stack.database_url,
            "EDGELOOP_DATABASE_SCHEMA": name,
            "EDGELOOP_TOPIC_PREFIX": f"{name}.",
            "EDGELOOP_CONSUMER_GROUP": name,
            "EDGELOOP_PARTITIONS": "2",
            "EDGELOOP_N_MIN": "15",
            "EDGELOOP_MAX_DIMS": "2",
            "EDGELOOP_WINDOW_DAYS": "60",
            "EDGELOOP_WINDOW_TRADES": "400",
            "EDGELOOP_RETENTION_DAYS": "100000",
        }
    )

    def settings(role: str, **changed: object) -> Settings:
        password = (folder / f"edgeloop-{role}.password").read_text().strip()
        return replace(
            base, **{"kafka_user": f"edgeloop-{role}", "kafka_password": password, **changed}
        )

    return settings
