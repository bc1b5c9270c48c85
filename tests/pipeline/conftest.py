"""Installations for the tests of the whole pipeline; their workers never outlive the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.devstack import StackInfo
from tests.pipeline.installation import Installation


@pytest.fixture(scope="module")
def install(
    stack: StackInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Installation]]:
    """`install(**settings)` makes an installation; workers still running at the end are killed."""
    made: list[Installation] = []

    def make(
        *, broker: str = stack.broker, database_url: str = stack.database_url, **changed: Any
    ) -> Installation:
        made.append(
            Installation.on(
                broker, database_url, tmp_path_factory.mktemp("installation"), **changed
            )
        )
        return made[-1]

    yield make
    for installation in made:
        installation.kill_all()
