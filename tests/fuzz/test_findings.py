"""A violated property is found and reported, and its input is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import Target, fuzz


@settings(database=None)
@given(st.binary())
def no_seven(data: bytes) -> None:
    assert 7 not in data


def test_what_breaks_a_property_is_kept_and_breaks_it_again(tmp_path: Path) -> None:
    messages: list[str] = []
    target = Target("door", no_seven)
    fuzz([target], 1, 20.0, tmp_path, messages.append)
    assert "assert 7 not in data" in target.problem
    (kept,) = tmp_path.iterdir()
    assert str(kept) in messages[0]
    with pytest.raises(AssertionError):
        Target("door", no_seven).once(kept.read_bytes())
