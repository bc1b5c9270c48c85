"""The answers are right where the truth is known: one log of most kinds.  `python -m
benchmarks.audit` audits many of each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from app.audit.document import Audit
from benchmarks.audit.ask import answers_of, audited_log, outcome
from benchmarks.audit.worlds import make

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(400),  # complete learning runs, also on a busy machine
]

SEED = 1
CUTS = {
    "decay_exponential": 20,
    "decay_linear": 16,
    "regimes_matter": 10,
    "regimes_do_not": 10,
    "regimes_in_scope": 12,
    "no_edge": 8,
    "clones": 6,
    "no_clones": 6,
}
"""The longest first."""


@pytest.fixture(scope="module")
def audits() -> Iterator[dict[str, Audit]]:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        running = {name: pool.submit(audited_log, name, SEED, cuts) for name, cuts in CUTS.items()}
        yield {name: future.result() for name, future in running.items()}


@pytest.mark.parametrize("name", list(CUTS))
def test_answers_are_right(name: str, audits: dict[str, Audit]) -> None:
    found = audits[name]
    given, truth = answers_of(found), make(name, SEED).truth
    assert {
        question: (given[question], outcome(given[question], right))
        for question, right in truth.items()
    } == {question: (right, "right") for question, right in truth.items()}, [
        q.why for q in found.questions
    ]


def test_what_is_recommended_follows(audits: dict[str, Audit]) -> None:
    switches = {name: {s.variable: s for s in found.switches} for name, found in audits.items()}
    assert switches["regimes_matter"]["EDGELOOP_REGIME_WEIGHTS"].reason.startswith("It adds +")
    assert switches["decay_exponential"]["EDGELOOP_HALF_LIFE"].reason.startswith("It adds +")
    assert "not applied" in switches["no_edge"]["EDGELOOP_LEARNING"].recommended
    assert "no edge to size by" in audits["no_edge"].headline
    assert switches["regimes_do_not"]["EDGELOOP_LEARNING"].recommended == "integrated"
    assert audits["clones"].double_counting.matched > 2 * audits["clones"].double_counting.distinct
