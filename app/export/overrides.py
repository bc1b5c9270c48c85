"""The exported tables `overrides`, in force now or at a time, and `changes`.

May touch: the broker and, for the past, PostgreSQL (read only).
"""

from __future__ import annotations

from app import override_changes
from app.export.columns import column, json_column
from app.export.exported import (
    GROUP_COLUMNS,
    Exported,
    Filters,
    Remarks,
    Rows,
    decay_columns,
    prefixed,
)
from app.kafka.snapshot import current
from app.learning.common.event_time import text_from_micros
from app.override_changes import in_force
from app.settings import Settings
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER, Override
from schemas import kinds

_OVERRIDE = (
    column("override_id", "text", "Id of the slice, its lesson and its override."),
    column("learning", "text", "classic or integrated."),
    *GROUP_COLUMNS,
    json_column("scope", "The scope that a context must contain."),
    column(
        "part", "text", "selected: passes alone; shared: one of many effects that count together."
    ),
    column(
        "multiplier",
        "number",
        f"Size factor of this override alone, {MIN_MULTIPLIER} to {MAX_MULTIPLIER}.",
    ),
    column("effect", "number", "Expected uplift at as_of, in units of size."),
    column("effect_sd", "number", "Its standard error."),
    column("confidence", "number", "Probability that the edge has this sign."),
    column("n_trades", "integer", "Trades behind it."),
    column("baseline", "number", "Mean outcome of its trades' segments."),
    *decay_columns("Half-life with which it decays after as_of."),
    json_column("regime_gains", "Regime → gain of the effect."),
    column("latent_factor_id", "text", "Its latent factor."),
    json_column("covers", "Further lessons that it covers."),
    column("evidence_from", "time", "First exit.", "evidence.from_ts"),
    column("evidence_to", "time", "Last exit.", "evidence.to_ts"),
    column("as_of", "time", "Time at which the effect holds."),
    column("expires_at", "time", "Time from which it is ignored."),
    column("version", "integer", "Version of the record."),
)


async def overrides_at(settings: Settings, as_of_us: int, remarks: Remarks) -> dict[str, Override]:
    """The overrides that were in force at `as_of_us`, by id; `remarks` says if changes are missing,
    and which cannot be read.

    Raises `UnreachableError` without a broker.
    """
    known = await override_changes.read(settings, remarks.skipped)
    if known.note:
        remarks.notes.append(known.note)
    return in_force(known.changes, as_of_us)


async def _overrides(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    if filters.as_of_us is None:
        records = await current(settings, kinds.OVERRIDES, remarks.skipped)
    else:
        records = await overrides_at(settings, filters.as_of_us, remarks)
    for record in sorted(filters.of(records), key=lambda o: o.override_id):
        yield record


_CHANGE = (
    column("override_id", "text", "Id of the override."),
    column(
        "published_at",
        "time",
        "Kafka timestamp of the change.",
        lambda x: text_from_micros(x.published_us),
    ),
    column("version", "integer", "Version of the change."),
    column(
        "retired",
        "flag",
        "The override was retired; the other columns are null.",
        lambda x: x.record is None,
    ),
    *prefixed("record", _OVERRIDE[1:-1]),
)


async def _changes(settings: Settings, filters: Filters, remarks: Remarks) -> Rows:
    known = await override_changes.read(settings, remarks.skipped)
    if known.note:
        remarks.notes.append(known.note)
    wanted = {
        c.override_id for c in known.changes if c.record is not None and filters.fit(c.record)
    }
    for change in known.changes:
        if change.override_id in wanted or (change.record is None and filters == Filters()):
            yield change


OVERRIDES = Exported(
    "An override in force, now or at a given time.",
    _OVERRIDE,
    _overrides,
    scope=lambda row: row.scope,
)
CHANGES = Exported(
    "A published change of an override.",
    _CHANGE,
    _changes,
    scope=lambda row: None if row.record is None else row.record.scope,
)
