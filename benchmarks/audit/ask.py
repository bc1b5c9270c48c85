"""Audit one log: the answers, and whether they are right.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.audit.answers import NO, UNSURE, YES
from app.audit.assess import audit
from app.audit.document import Audit
from app.audit.work import AuditPlan, run
from app.kafka.skipped import Skipped
from benchmarks.audit.worlds import QUESTIONS, Log, make

OUTCOMES = ("right", "wrong", "withheld")


def audited(log: Log, cuts: int | None = None) -> Audit:
    """Audit a log, in this process and without placebos, on which no answer depends."""
    plan = AuditPlan(
        {"pm": log.module},
        log.config,
        ("entry",),
        log.cuts if cuts is None else cuts,
        placebos=0,
        seed=1,
        jobs=1,
    )
    return audit(plan, run(plan), log.name, (), Skipped(), 0.0)


def audited_log(name: str, seed: int, cuts: int | None = None) -> Audit:
    """Audit the log of this name and seed."""
    return audited(make(name, seed), cuts)


def answers_of(found: Audit) -> dict[str, str]:
    """The answer to each of `QUESTIONS`."""
    return dict(
        zip(
            QUESTIONS,
            [*(q.answer for q in found.questions), YES if found.edge else NO],
            strict=True,
        )
    )


def outcome(answer: str, truth: str) -> str:
    """right, wrong, or withheld.

    >>> (
    ...     outcome("yes", "yes"), outcome("no", "yes"), outcome("not enough data", "yes"),
    ...     outcome("no", "not enough data"),
    ... )
    ('right', 'wrong', 'withheld', 'wrong')
    """
    if answer == truth:
        return "right"
    return "withheld" if answer == UNSURE else "wrong"


def ask(name: str, seed: int) -> dict[str, Any]:
    """The audit's answers about a log, with their figures, compared with the truth."""
    log = make(name, seed)
    found = audited(log)
    answers = answers_of(found)
    return {
        "log": name,
        "seed": seed,
        "truth": dict(log.truth),
        "answers": answers,
        "results": {
            question: outcome(answers[question], truth) for question, truth in log.truth.items()
        },
        "figures": {
            q: msgspec.to_builtins(found.questions[k].figure) for k, q in enumerate(QUESTIONS[:3])
        },
        "material": {q: found.questions[k].material for k, q in enumerate(QUESTIONS[:3])},
        "attainable": msgspec.to_builtins(found.regimes.attainable),
        "values": {s.name: msgspec.to_builtins(s.score.value) for s in found.settings},
        "decay": msgspec.to_builtins(found.decay),
        "why": [q.why for q in found.questions],
    }
