"""docs/guarantees.md lists the invariants I1 to I20, each with exactly the tests that cite it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
INVARIANTS = [f"I{number}" for number in range(1, 21)]


def docstrings() -> Iterator[tuple[str, str]]:
    """The node id and the docstring of every test function."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}::{node.name}", ast.get_docstring(node) or ""


def cited() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for test, docstring in docstrings():
        for invariant in re.findall(r"\bI\d{1,2}\b", docstring):
            found[invariant].add(test)
    return found


def listed() -> dict[str, set[str]]:
    items = re.findall(
        r"^\* \*\*(I\d+)\*\*: .+\n(?:  \w.+\n)*((?:  \* `[^`]+`\n)+)",
        (ROOT / "docs" / "guarantees.md").read_text(),
        re.M,
    )
    return {invariant: set(re.findall(r"`([^`]+)`", names)) for invariant, names in items}


def test_each_invariant_is_listed_with_the_tests_that_cite_it() -> None:
    assert list(listed()) == INVARIANTS
    assert listed() == cited()
    assert all(listed().values())
