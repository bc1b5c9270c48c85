"""The published test vectors hold, and the ids in them are what their README says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import schemas
from edgeloop.canonical import CanonicalError
from edgeloop.identity import baseline_id, factor_id, group_id, regime_id, slice_id
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.scope import canonical_text, canonical_value

FOLDER = Path(schemas.__file__).parent / "vectors"


def cases(name: str) -> list[dict[str, Any]]:
    found = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    assert found
    return found


@pytest.mark.parametrize("case", cases("pattern_keys"), ids=lambda c: ascii(c["text"])[:40])
def test_pattern_keys(case: dict[str, Any]) -> None:
    if "reason" in case:
        with pytest.raises(CanonicalError) as caught:
            canonical_pattern_key(case["text"], case["module"])
        assert caught.value.reason == case["reason"]
    else:
        key = canonical_pattern_key(case["text"], case["module"])
        assert key == case["key"]
        assert canonical_pattern_key(key, case["module"]) == key, (
            "a canonical key is its own canonical form"
        )


@pytest.mark.parametrize("case", cases("scope_values"), ids=lambda c: ascii(c["value"])[:40])
def test_scope_values(case: dict[str, Any]) -> None:
    if "reason" in case:
        with pytest.raises(CanonicalError) as caught:
            canonical_value(case["value"], case["dimension"])
        assert (caught.value.reason, caught.value.path) == (case["reason"], f".{case['dimension']}")
    else:
        text = canonical_value(case["value"], case["dimension"])
        assert text == case["canonical"]
        if text is not None:
            assert canonical_value(text, case["dimension"]) == text


@pytest.mark.parametrize("case", cases("scopes"), ids=lambda c: ascii(c["text"])[:40])
def test_canonical_texts(case: dict[str, Any]) -> None:
    assert canonical_text(case["scope"]) == case["text"]
    assert canonical_text(dict(reversed(case["scope"].items()))) == case["text"]


@pytest.mark.parametrize(
    "case", cases("ids"), ids=lambda c: next(v for k, v in c.items() if k.endswith("_id"))
)
def test_ids(case: dict[str, Any]) -> None:
    if "baseline_id" in case:
        assert baseline_id(case["module"], case["bucket"], case["timeframe"]) == case["baseline_id"]
        return
    if "regime_id" in case:
        assert regime_id(case["module"], canonical_text(case["regime"])) == case["regime_id"]
        return
    if "factor_id" in case:
        assert factor_id(case["representative"]) == case["factor_id"]
        return
    identity = case["module"], case["pattern_key"], case["category"]
    assert slice_id(*identity, case["scope"]) == case["slice_id"]
    assert group_id(*identity) == case["group_id"]
    lines = [
        "slice",
        case["module"],
        canonical_pattern_key(*reversed(identity[:2])),
        case["category"],
        canonical_text(case["scope"]),
    ]
    assert (
        hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest() == case["slice_id"]
    )
