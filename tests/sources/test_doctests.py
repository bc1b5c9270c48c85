"""The examples in the docstrings of the sources are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import app.sources

MODULES = sorted(m.name for m in pkgutil.iter_modules(app.sources.__path__, "app.sources."))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in MODULES) >= 20
