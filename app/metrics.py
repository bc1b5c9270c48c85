"""The worker's Prometheus metrics, named once.

May touch: prometheus-client's default registry.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CLOSES = Counter("edgeloop_closes_total", "Closed trades taken in, by what became of them", ["result"])
FOLDED = Counter("edgeloop_folded_total", "Records folded into state", ["role"])
RECORDS_SENT = Counter("edgeloop_records_sent_total", "Records published, each delivery awaited", ["role"])
UNREADABLE = Counter("edgeloop_unreadable_total", "Records of derived topics that are not what this version writes", ["role"])
WITHOUT_OUTCOME = Counter("edgeloop_without_outcome_total", "Facts that lack the outcome which is learned from")
REBALANCES = Counter("edgeloop_rebalances_total", "Rebalances after which state was hydrated", ["role"])
LAG_RECORDS = Gauge("edgeloop_pending_records", "Records taken from the log and not yet folded", ["role", "partition"])
REFIT_SECONDS = Histogram("edgeloop_refit_seconds", "Duration of one refit of one partition", ["role"])
PROJECTED_ROWS = Counter("edgeloop_projected_rows_total", "Rows written to PostgreSQL, superseded ones included", ["topic"])
BAD_RECORDS = Counter("edgeloop_projection_bad_records_total", "Records of derived topics that have no place in PostgreSQL", ["topic"])
PROJECTION_WAITING = Gauge("edgeloop_projection_waiting", "1 while PostgreSQL does not take what there is to write")
WEIGHT = Gauge(
    "edgeloop_learner_weight",
    "How far a learner counts by its record, from 0 to 1; of the first modules by name",
    ["module", "category", "learner"],
)
