"""Shared by the tests: the real Kafka and PostgreSQL of the dev stack, and unique names in it for
each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from app.devstack import StackInfo, temporary_stack
from app.settings import Settings

# How fast a machine is says nothing about the property.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackInfo]:
    """A stack in a folder of its own, on free ports, for the test session."""
    with temporary_stack(tmp_path_factory.mktemp("stack")) as info:
        yield info


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test uses (EDGELOOP_TOPIC_PREFIX)."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def database_schema() -> str:
    """A PostgreSQL schema that no other test uses (EDGELOOP_DATABASE_SCHEMA); it does not exist
    yet."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def stack_settings(stack: StackInfo, topic_prefix: str, database_schema: str) -> Settings:
    """Settings of an installation on the shared stack, with its own topics, consumer groups and
    tables."""
    return Settings(
        broker=stack.broker,
        database_url=stack.database_url,
        database_schema=database_schema,
        topic_prefix=topic_prefix,
        consumer_group=f"{topic_prefix}edgeloop",
        partitions=2,
    )
