"""The worker's Prometheus metrics, named once.

May touch: prometheus-client's default registry.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf

from prometheus_client import Counter, Gauge, Histogram

from edgeloop.identity import CATEGORIES

CLOSES = Counter("edgeloop_closes_total", "Closed trades ingested, by result", ["result"])
DOOR_REFUSALS = Counter(
    "edgeloop_door_refusals_total",
    "Closes refused by a quota or held for approval, by reason",
    ["reason"],
)
DEAD_LETTERS_TOTAL = Counter(
    "edgeloop_dead_letters_total", "Closes that became dead letters, by reason", ["reason"]
)
ADMITTED = Gauge("edgeloop_admitted", "Groups and modules that closes may name", ["what"])
REWRITTEN = Counter("edgeloop_rewritten_trades_total", "Known trades replaced by a later close")
LESSONS = Gauge("edgeloop_lessons", "Lessons in force", ["partition"])
HYPOTHESES = Gauge(
    "edgeloop_hypotheses",
    "Slices that share the error rate: those that the groups search",
    ["partition"],
)
OVERRIDE_AGES = {"1d": (0.0, 1.0), "7d": (1.0, 7.0), "30d": (7.0, 30.0), "older": (30.0, inf)}
"""Days since the newest trade of an override: the label, from, to."""
OVERRIDES = Gauge(
    "edgeloop_overrides",
    "Overrides in force, by action and by the age of their newest trade",
    ["partition", "action", "age"],
)
GROUPS = Gauge("edgeloop_groups", "Groups in memory", ["partition"])
WINDOW_BYTES = Gauge("edgeloop_window_bytes", "Bytes of the windows' arrays", ["partition"])
WAITING_GROUPS = Gauge(
    "edgeloop_waiting_groups", "Groups that wait for a refit, by size", ["partition", "size"]
)
SEARCHES_CUT = Counter(
    "edgeloop_searches_cut_total", "Refits whose search left out its deepest slices for memory"
)
HELD_GROUPS = Gauge(
    "edgeloop_held_groups", "Groups held back because a refit found no memory", ["partition"]
)
MEMORY_FULL = Gauge(
    "edgeloop_memory_full", "1 while input is paused because memory is nearly full", ["role"]
)
TASKS = Gauge("edgeloop_asyncio_tasks", "Tasks of the worker's event loop")
STALLED = Gauge("edgeloop_stalled", "1 while input waits and nothing moves", ["role"])
FOLDED = Counter("edgeloop_folded_total", "Records folded into state", ["role"])
RECORDS_SENT = Counter(
    "edgeloop_records_sent_total", "Records published and acknowledged", ["role"]
)
UNREADABLE_RECORDS = Counter(
    "edgeloop_unreadable_total",
    "Records in derived topics that are not in the form this version writes",
    ["role"],
)
WITHOUT_OUTCOME = Counter("edgeloop_without_outcome_total", "Facts without the configured outcome")
REBALANCES = Counter(
    "edgeloop_rebalances_total", "Rebalances after which state was rebuilt", ["role"]
)
LAG_RECORDS = Gauge(
    "edgeloop_pending_records",
    "Records read from the log and not yet folded",
    ["role", "partition"],
)
REFIT_SECONDS = Histogram(
    "edgeloop_refit_seconds", "Duration of one refit of one partition", ["role"]
)
BATCH_SECONDS = Histogram(
    "edgeloop_batch_seconds",
    "Duration of one batch, from its input to the end of sending or writing",
    ["role"],
)
LAG = Gauge("edgeloop_lag_records", "Records that a role has not processed yet", ["role"])
LAG_SECONDS = Gauge(
    "edgeloop_lag_seconds",
    "Seconds for which the oldest record that a role has not processed has waited",
    ["role"],
)
IN_TRANSACTION = Gauge(
    "edgeloop_in_transaction_records",
    "Records that wait behind a producer's open transaction",
    ["topic"],
)
LOST = Counter(
    "edgeloop_lost_records_total", "Records that were deleted before they were read", ["topic"]
)
RESETS = Counter(
    "edgeloop_offset_resets_total",
    "Partitions whose committed offset was gone, so that they are read from their beginning",
    ["topic"],
)
PROJECTED_ROWS = Counter(
    "edgeloop_projected_rows_total",
    "Rows written to PostgreSQL, including superseded ones",
    ["topic"],
)
BAD_RECORDS = Counter(
    "edgeloop_projection_bad_records_total",
    "Records in derived topics that could not be stored in PostgreSQL",
    ["topic"],
)
PROJECTION_WAITING = Gauge(
    "edgeloop_projection_waiting", "1 while writes to PostgreSQL are failing"
)
WEIGHT = Gauge(
    "edgeloop_learner_weight",
    "Weight of a learner, from 0 to 1, according to its track record; first modules by name only",
    ["module", "category", "learner"],
)


def forget_partition(role: str, partition: str) -> None:
    """Remove the metrics of a partition that moved away."""
    gone: list[tuple[Gauge, tuple[str, ...]]] = [(LAG_RECORDS, (role, partition))]
    if role == "lesson_builder":
        gone += [(gauge, (partition,)) for gauge in (GROUPS, WINDOW_BYTES, HELD_GROUPS)]
        gone += [(WAITING_GROUPS, (partition, size)) for size in ("large", "small")]
    elif role == "override_materializer":
        gone += [(gauge, (partition,)) for gauge in (LESSONS, HYPOTHESES)]
        gone += [
            (OVERRIDES, (partition, action, age)) for action in CATEGORIES for age in OVERRIDE_AGES
        ]
    for gauge, labels in gone:
        with suppress(KeyError):
            gauge.remove(*labels)
