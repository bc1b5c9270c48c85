"""A scope value has the same canonical text whether or not it has been seen before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeloop import scope
from edgeloop.canonical import CanonicalError
from edgeloop.scope import canonical_value, canonical_values

DIMENSIONS = ("chain", "btc_macro", "vol bucket", "alt_micro")
VALUES = st.one_of(
    st.sampled_from(("S4", "s4 ", "unknown", " a ", "a", "1", "", "x" * 200, "x" * 201, "\x00")),
    st.sampled_from((None, 1, 1.0, True, 0, 0.0, False, 1e-7, float("inf"), 2**70)),
    st.text(max_size=5),
)
ROWS = st.lists(st.tuples(*[VALUES] * len(DIMENSIONS)), max_size=8)


def one_by_one(row: tuple[Any, ...]) -> dict[str, str] | tuple[str, str]:
    """What `canonical_value` says of each, or the reason and place of the first error."""
    texts = {}
    for dimension, value in zip(DIMENSIONS, row, strict=True):
        try:
            text = canonical_value(value, dimension)
        except CanonicalError as error:
            return error.reason, error.path
        if text is not None:
            texts[dimension] = text
    return texts


def together(row: tuple[Any, ...]) -> dict[str, str] | tuple[str, str]:
    try:
        return canonical_values(DIMENSIONS, row)
    except CanonicalError as error:
        return error.reason, error.path


@given(ROWS)
def test_a_row_is_its_values(rows: list[tuple[Any, ...]]) -> None:
    for row in (*rows, *rows):
        assert together(row) == one_by_one(row)
        assert list(together(row)) == list(one_by_one(row))


def test_few_values_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope, "_KNOWN_VALUES", 10)
    for number in range(1_000):
        row = (f"value {number}", None, None, None)
        assert together(row) == {"chain": f"value {number}"}
    assert len(scope._plain_texts) <= 12
    assert together((None,) * 4) == {}
