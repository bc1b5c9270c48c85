"""The examples in the docstrings are right."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import app
import edgeloop
import schemas

MODULES = sorted(
    m.name
    for package in (app, edgeloop, schemas)
    for m in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)
WITH_EXAMPLES = 25


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    assert (
        sum(
            bool(test.examples)
            for name in MODULES
            for test in finder.find(importlib.import_module(name))
        )
        >= WITH_EXAMPLES
    )
