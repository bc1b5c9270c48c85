"""A lesson as its module's judge holds it: small, since a module has very many.

May touch: nothing but its arguments.

What all lessons of a refit share is one object, numbers are bytes of one text, and histories are
packed until they are read.  Numbers that no judgement reads are 0.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections.abc import Sequence
from functools import cache, lru_cache
from hashlib import blake2b
from sys import intern
from typing import TypeAlias

import msgspec

from app.learning.integrated.effect_history import packed_history, unpacked_history
from edgeloop.overrides import Evidence
from schemas.lessons import GroupSummary, HistoryCell, Lesson, LessonDecay, Marginal, Metrics

_NUMBER = re.compile(r"[+-]\d+\.\d+")
_PLACE = "\0"
"""Placeholder for the number in a reason; no stored text contains it."""
SKETCH_BYTES = 8
"""Bytes of the digest by which sketches are compared."""
_POSTERIOR = SKETCH_BYTES + 3 * 8
"""Where the posterior begins in the numbers of a lesson."""
SCOPES = 16_384
"""Scopes that are shared by equal ones."""


class Common(msgspec.Struct, frozen=True, gc=False):
    """What many lessons of a group share.

    `step`, `now`, `now_sd` and `noise_sd` are the marginal's, `judged` says whether there is one,
    and `shares` how many shared effects it has; `history` is packed.
    """

    learning: str
    module: str
    pattern_key: str
    action_category: str
    version: int
    lesson_version: int
    decay: LessonDecay
    judged: bool
    shares: int = 0
    step: int | None = None
    now: float = 0.0
    now_sd: float = 0.0
    noise_sd: float = 0.0
    metrics: Metrics | None = None
    history: bytes = b""


class HeldLesson(msgspec.Struct, frozen=True, gc=False):
    """A `Lesson` without what no judgement reads; the rest has the same names.

    Attributes
    ----------
    lesson_id, scope, n, as_of
        As in the lesson; n counts its trades.
    from_ts, to_ts
        Its first and last exit.
    reason
        Why it was not chosen, with a place for the number.
    numbers
        A digest of the sketch, the marginal's statistic, effect, its standard error, precision and
        prior of its shared effects, these effects, and the number in its reason as text.
    common
        What it has in common with many others.
    """

    lesson_id: str
    scope: dict[str, str]
    n: int
    from_ts: str
    to_ts: str
    as_of: str
    reason: str
    numbers: bytes
    common: Common

    @property
    def learning(self) -> str:
        """The learning method."""
        return self.common.learning

    @property
    def module(self) -> str:
        """The module."""
        return self.common.module

    @property
    def pattern_key(self) -> str:
        """The pattern key of its group."""
        return self.common.pattern_key

    @property
    def action_category(self) -> str:
        """The category of its group."""
        return self.common.action_category

    @property
    def version(self) -> int:
        """Its version."""
        return self.common.version

    @property
    def decay(self) -> LessonDecay:
        """State and half-life."""
        return self.common.decay

    @property
    def metrics(self) -> Metrics | None:
        """Quality of its edge."""
        return self.common.metrics

    @property
    def evidence(self) -> Evidence:
        """Its first and last exit."""
        return Evidence(self.from_ts, self.to_ts, self.common.lesson_version)

    @property
    def history(self) -> tuple[HistoryCell, ...]:
        """Its days."""
        return unpacked_history(self.common.history)

    @property
    def sketch(self) -> bytes:
        """A digest of its sketch."""
        return self.numbers[:SKETCH_BYTES]

    @property
    def shared(self) -> tuple[float, ...]:
        """Its shared effects."""
        shares = self.common.shares
        return _layout(shares).unpack_from(self.numbers)[6:] if shares else ()

    @property
    def marginal(self) -> Marginal | None:
        """What the search found of it."""
        common = self.common
        if not common.judged:
            return None
        layout = _layout(common.shares)
        _, statistic, effect, effect_sd, precision, prior, *shared = layout.unpack_from(
            self.numbers
        )
        return Marginal(
            step=common.step,
            statistic=statistic,
            conditional=0.0,
            p_value=0.0,
            hypotheses=0,
            effect=effect,
            effect_sd=effect_sd,
            now=common.now,
            now_sd=common.now_sd,
            noise_sd=common.noise_sd,
            reason=self.reason.replace(_PLACE, self.numbers[layout.size :].decode(), 1),
            shared=tuple(shared),
            shared_precision=precision,
            shared_prior=prior,
        )


AnyLesson: TypeAlias = Lesson | HeldLesson
"""A lesson, as it is read or as it is held."""


def shared_of(lesson: AnyLesson) -> tuple[float, ...]:
    """The shared effects of a lesson.

    Parameters
    ----------
    lesson
        The lesson.

    Returns
    -------
    Its shared effects; none if it has none.
    """
    if isinstance(lesson, HeldLesson):
        return lesson.shared
    return () if lesson.marginal is None else lesson.marginal.shared


def packed_posteriors(lessons: Sequence[AnyLesson]) -> bytes:
    """The posteriors of lessons with a shared effect for each of the same shares.

    Parameters
    ----------
    lessons
        The lessons.

    Returns
    -------
    Of each, precision and prior of its shared effects, and these, as doubles.
    """
    end = _POSTERIOR + 8 * (2 + len(shared_of(lessons[0]))) if lessons else 0
    return b"".join(
        [
            x.numbers[_POSTERIOR:end] if isinstance(x, HeldLesson) else _packed_posterior(x)
            for x in lessons
        ]
    )


def has_history(lesson: AnyLesson) -> bool:
    """Whether a lesson has a history, without reading it.

    Parameters
    ----------
    lesson
        The lesson.

    Returns
    -------
    True if it has.
    """
    return bool(lesson.common.history if isinstance(lesson, HeldLesson) else lesson.history)


def held(lesson: Lesson, old: HeldLesson | None, like: Common | None) -> HeldLesson:
    """A lesson as it is held.

    Parameters
    ----------
    lesson
        The lesson.
    old
        The lesson that it replaces, with the same id.
    like
        What the lesson before it shares with others: the same object, if it is equal.

    Returns
    -------
    The lesson, without its sketch and without numbers that no judgement reads.
    """
    marginal, decay, evidence = lesson.marginal, _decay(lesson.decay), lesson.evidence
    digest = blake2b(lesson.sketch.encode(), digest_size=SKETCH_BYTES).digest()
    if not lesson.sketch:
        digest = bytes(SKETCH_BYTES)
    reason, numbers = "", digest
    if marginal is None:
        common = _common(lesson, decay, judged=False)
    else:
        chosen, shares = marginal.step is not None, len(marginal.shared)
        common = _common(
            lesson,
            decay,
            judged=True,
            shares=shares,
            step=marginal.step,
            now=marginal.now if chosen else 0.0,
            now_sd=marginal.now_sd if chosen else 0.0,
            noise_sd=marginal.noise_sd if lesson.history else 0.0,
        )
        reason, number = _split(marginal.reason)
        numbers = (
            _layout(shares).pack(
                digest,
                marginal.statistic,
                marginal.effect,
                marginal.effect_sd,
                marginal.shared_precision,
                marginal.shared_prior,
                *marginal.shared,
            )
            + number
        )
    return HeldLesson(
        lesson.lesson_id if old is None else old.lesson_id,
        _scope(tuple(lesson.scope.items())),
        lesson.n,
        intern(evidence.from_ts),
        intern(evidence.to_ts),
        intern(lesson.as_of),
        reason,
        numbers,
        like if like is not None and like == common else common,
    )


def held_summary(summary: GroupSummary) -> GroupSummary:
    """A group's summary as it is held.

    Parameters
    ----------
    summary
        The summary.

    Returns
    -------
    The same, with its products in arrays: eight bytes each instead of forty.
    """
    record = tuple(
        [
            msgspec.structs.replace(cell, products=array("d", cell.products))
            for cell in summary.record
        ]
    )
    blocks = summary.persistence
    if blocks is not None:
        blocks = msgspec.structs.replace(blocks, upper=array("d", blocks.upper))
    return msgspec.structs.replace(summary, persistence=blocks, record=record)


def _packed_posterior(lesson: Lesson) -> bytes:
    marginal = lesson.marginal
    assert marginal is not None
    posterior = (marginal.shared_precision, marginal.shared_prior, *marginal.shared)
    return struct.pack(f"<{len(posterior)}d", *posterior)


def _common(
    lesson: Lesson,
    decay: LessonDecay,
    *,
    judged: bool,
    shares: int = 0,
    step: int | None = None,
    now: float = 0.0,
    now_sd: float = 0.0,
    noise_sd: float = 0.0,
) -> Common:
    return Common(
        intern(lesson.learning),
        intern(lesson.module),
        intern(lesson.pattern_key),
        intern(lesson.action_category),
        lesson.version,
        lesson.evidence.lesson_version,
        decay,
        judged,
        shares,
        step,
        now,
        now_sd,
        noise_sd,
        lesson.metrics,
        packed_history(lesson.history),
    )


@cache
def _layout(shares: int) -> struct.Struct:
    """The layout of the numbers of a lesson with `shares` shared effects."""
    return struct.Struct(f"<{SKETCH_BYTES}s{5 + shares}d")


def _split(reason: str) -> tuple[str, bytes]:
    """A reason without its first number, which is the only part that differs between many; and that
    number."""
    found = _NUMBER.search(reason)
    if found is None:
        return intern(reason), b""
    return intern(reason[: found.start()] + _PLACE + reason[found.end() :]), found[0].encode()


@lru_cache(maxsize=SCOPES)
def _scope(pairs: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """One object for equal scopes of all groups."""
    return {intern(name): intern(value) for name, value in pairs}


@lru_cache(maxsize=64)
def _decay(decay: LessonDecay) -> LessonDecay:
    """One object for equal decays: most lessons have the same empty one."""
    return decay
