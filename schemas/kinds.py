"""The registry of record kinds: each one's topic, struct, key and source.

May touch: nothing of ours.  Topics, tables, documents, learners and readers follow from it.  To
add a kind, add it here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgeloop import overrides
from edgeloop.overrides import Override
from schemas.events import PositionClosed, scope_type
from schemas.facts import PatternTradeEvent
from schemas.lessons import (
    Baseline,
    EdgeHistory,
    GroupSummary,
    LatentFactor,
    Lesson,
    LessonVerdict,
    RegimeWeight,
)

CLOSES = "position_closed"
DEAD_LETTERS = "position_closed.dlq"
FACTS = "pattern_trade_events"
LESSONS = "learning_lessons"
VERDICTS = "lesson_verdicts"
OVERRIDES = overrides.TOPIC
BASELINES = "learning_baselines"
REGIME_WEIGHTS = "learning_regime_weights"
FACTORS = "learning_latent_factors"
HISTORY = "learning_edge_history"
CONTROL = "edgeloop_control"
"""What workers agree on (`app.kafka.control`).  It is not a record kind, since nothing is derived
from it."""


@dataclass(frozen=True)
class Kind:
    """One kind of record.

    `topic` is the topic's name without a prefix.  `struct` is the type of its values, None for
    bytes as they came.  `key` names the fields that the message key joins with `|`; it is empty
    where any key will do.  `source` is the topic that it is derived from: its versions are offsets
    of that.  `by_module`: it is partitioned by module instead of by key.  `cleanup` is
    Kafka's `cleanup.policy`.  `key_text` and `description` are for the documents.
    """

    topic: str
    struct: Any
    key: tuple[str, ...]
    source: str | None
    by_module: bool
    cleanup: str
    key_text: str
    description: str

    def key_of(self, record: Any) -> str:
        """The message key of a record of this kind.

        >>> KINDS[BASELINES].key
        ('baseline_id',)
        """
        if len(self.key) == 1:
            return str(getattr(record, self.key[0]))
        return "|".join([getattr(record, name) for name in self.key])

    def checked(self, record: Any, key: bytes | None) -> Any:
        """The record, if `key` is its message key; raises `ValueError` otherwise."""
        if key is None or self.key_of(record).encode() != key:
            raise ValueError(f"The key is not the record's {' and '.join(self.key)}.")
        return record

    def partition_text(self, record: Any) -> str:
        """The text whose hash names the record's partition."""
        return str(record.module) if self.by_module else self.key_of(record)


_SCOPE: Any = scope_type()

_KINDS = (
    Kind(
        CLOSES,
        PositionClosed[_SCOPE],
        (),
        None,
        False,
        "delete",
        "Any; the trade_id is recommended.",
        "Closed positions, from the trading system. Of several closes of one trade, one counts as a"
        " whole: the one with the greatest (revision, number of actions, exit_timestamp, event_id"
        " as text, SHA-256 of the value). A later close must name every group of the earlier one.",
    ),
    Kind(
        DEAD_LETTERS,
        None,
        (),
        None,
        False,
        "delete",
        "The key of the rejected record.",
        "Records of position_closed that cannot become facts: key and value unchanged, at least"
        " once per source offset.",
    ),
    Kind(
        FACTS,
        PatternTradeEvent,
        ("pattern_key", "action_category"),
        CLOSES,
        False,
        "delete",
        "The group: pattern key and category, e.g. pm.uptrend.S1.entry|add.",
        "One fact per closed trade and group.",
    ),
    Kind(
        LESSONS,
        Lesson | GroupSummary,
        ("lesson_id",),
        FACTS,
        True,
        "compact",
        "The lesson id.",
        "Evidence of every slice, and a summary of every group; partitioned by module. A null value"
        " retires its key.",
    ),
    Kind(
        VERDICTS,
        LessonVerdict,
        ("lesson_id",),
        LESSONS,
        True,
        "compact",
        "The lesson id.",
        "The verdict on each lesson, with its reason. A null value retires its key.",
    ),
    Kind(
        OVERRIDES,
        Override,
        ("override_id",),
        LESSONS,
        True,
        "compact",
        "The override id.",
        "Overrides, which the position manager reads. A null value retires its override.",
    ),
    Kind(
        BASELINES,
        Baseline,
        ("baseline_id",),
        LESSONS,
        True,
        "compact",
        "The baseline id.",
        "Mean outcomes of trades. A null value retires its key.",
    ),
    Kind(
        REGIME_WEIGHTS,
        RegimeWeight,
        ("regime_id",),
        LESSONS,
        True,
        "compact",
        "The regime id.",
        "How well each quality metric predicts, in a regime, which edges persist. A null value"
        " retires"
        " its key.",
    ),
    Kind(
        FACTORS,
        LatentFactor,
        ("factor_id",),
        LESSONS,
        True,
        "compact",
        "The factor id.",
        "Slices that match (nearly) the same trades: one piece of evidence. A null value retires"
        " its key.",
    ),
    Kind(
        HISTORY,
        EdgeHistory,
        ("lesson_id", "day"),
        FACTS,
        True,
        "compact,delete",
        "Lesson id and day: 0123456789abcdef0123456789abcdef|2024-03-02.",
        "The uplift predicted for a lesson's slice before a day, and that day's realised uplift;"
        " partitioned by module. A null value withdraws its day.",
    ),
)

KINDS: dict[str, Kind] = {kind.topic: kind for kind in _KINDS}
"""Every kind by its topic, in the order of the data flow."""

DERIVED = tuple(kind.topic for kind in _KINDS if kind.source)
"""What workers write and the projector copies into PostgreSQL."""

JUDGED = tuple(
    sorted(
        (kind.topic for kind in _KINDS if kind.source == LESSONS),
        key=lambda topic: topic != OVERRIDES,
    )
)
"""What is judged from a module's lessons, overrides first: a position manager waits for them."""

LEARNED = tuple(kind.topic for kind in _KINDS if kind.cleanup == "compact")
"""What is learned: functions of the trades and the settings.  (Edge history is part of the lessons;
its topic keeps older days, too.)"""

JUDGED_TOPIC: dict[type, str] = {KINDS[topic].struct: topic for topic in JUDGED}
"""The topic of each struct that a judge publishes."""
