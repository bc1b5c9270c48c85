"""From one close to its facts: one per group, with canonical scopes.

May touch: nothing but its arguments.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from app.closes.decode import decode
from app.closes.raw_checks import check_bytes
from app.closes.refused import Paths, RefusedCloseError
from app.closes.times import canonical_time, epoch_us
from edgeloop.canonical import CanonicalError
from edgeloop.pattern_key import canonical_pattern_key, check_module
from edgeloop.scope import canonical_value, canonical_values, is_regime
from schemas.events import DEFAULT_MODULE, PositionClosed, Sizing, TradeSummary
from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from schemas.times import DAY_MS

OUTCOME_FIELDS = {"rr": "rr", "roi": "roi", "pnl": "pnl_usd"}
"""The field of `trade_summary` that holds the outcome, by the setting EDGELOOP_OUTCOME."""

_TEXTS = frozenset((str, type(None)))


class Checked(NamedTuple):
    """A valid close as it was read, with the canonical forms that its facts need.  `groups` are its
    actions by (pattern key, category), in the order of each group's first one."""

    close: PositionClosed[Any]
    module: str
    exit_ts: str
    exit_us: int
    entry_ts: str | None
    groups: dict[tuple[str, str], list[FactAction]]
    home: tuple[str, str]
    segment: Segment
    value_sha256: str


def check(
    value: bytes | None,
    timestamp_ms: int,
    *,
    dimensions: tuple[str, ...],
    outcome: str,
    max_actions: int | None = None,
) -> Checked:
    """Validate one record of `position_closed`.  Parameters and exceptions are those of
    `explode`."""
    if value is None:
        raise RefusedCloseError("null_value", "$", "The record has no value.")
    check_bytes(value)
    close, paths = decode(value, dimensions)
    if max_actions is not None and len(close.actions) > max_actions:
        raise RefusedCloseError(
            "too_many_actions",
            paths.actions,
            f"The trade has {len(close.actions)} actions, more than"
            f" EDGELOOP_MAX_ACTIONS={max_actions}.",
            "Quota",
        )
    summary = close.trade_summary
    module = DEFAULT_MODULE if close.module is None else close.module
    try:
        check_module(module)
    except CanonicalError as error:
        raise _refused(error, paths.module) from None
    exit_ts, exit_us, entry_ts = _exit_and_entry(summary, paths, timestamp_ms)
    field = OUTCOME_FIELDS[outcome]
    if getattr(summary, field) is None:
        raise RefusedCloseError(
            "missing_outcome",
            paths.of_summary(field),
            f"The configured outcome is {outcome}, and the trade has no {field}.",
        )
    groups, home = _groups(close, paths, module, dimensions)
    segment = Segment(label(close.bucket), label(close.timeframe))
    sha256 = hashlib.sha256(value).hexdigest()
    return Checked(close, module, exit_ts, exit_us, entry_ts, groups, home, segment, sha256)


def explode(
    value: bytes | None,
    timestamp_ms: int,
    *,
    dimensions: tuple[str, ...],
    outcome: str,
    max_actions: int | None = None,
) -> tuple[PatternTradeEvent, ...]:
    """The facts of one record of `position_closed`: one per group, in the order of each group's
    first action.

    `value` is the record's value in either envelope, `timestamp_ms` its Kafka timestamp (ms since
    1970), `dimensions` the configured scope dimensions, `outcome` a key of `OUTCOME_FIELDS`,
    `max_actions` how many actions a close may have (None: any number).  A pure function: a replay
    gives the same facts.

    Raises `RefusedCloseError`, and nothing else, for every value that is not a valid close.
    """
    checked = check(
        value, timestamp_ms, dimensions=dimensions, outcome=outcome, max_actions=max_actions
    )
    close, summary = checked.close, checked.close.trade_summary
    metrics = _metrics(summary)
    return tuple(
        PatternTradeEvent(
            module=checked.module,
            pattern_key=group[0],
            action_category=group[1],
            trade_id=close.trade_id,
            revision=close.revision or 0,
            n_actions=len(close.actions),
            exit_ts=checked.exit_ts,
            event_id=close.event_id,
            value_sha256=checked.value_sha256,
            actions=tuple(actions),
            rr=summary.rr,
            roi=summary.roi,
            pnl_usd=summary.pnl_usd,
            segment=checked.segment,
            home=group == checked.home,
            metrics=metrics,
            position_id=close.position_id,
            symbol=close.symbol,
            entry_ts=checked.entry_ts,
        )
        for group, actions in checked.groups.items()
    )


def _groups(
    close: PositionClosed[Any], paths: Paths, module: str, dimensions: tuple[str, ...]
) -> tuple[dict[tuple[str, str], list[FactAction]], tuple[str, str]]:
    """The actions by (pattern key, category), and the home group: that of the earliest action, or
    of the first in `actions` if several are equally early."""
    try:
        scopes = Scopes(close.entry_context, dimensions)
    except CanonicalError as error:
        raise _refused(error, paths.entry_context) from None
    groups: dict[tuple[str, str], list[FactAction]] = {}
    seen: set[str] = set()
    home, earliest = ("", ""), "~"  # Greater than every time.
    for index, action in enumerate(close.actions):
        try:
            ts = canonical_time(action.ts)
            key = canonical_pattern_key(action.pattern_key, module)
            scope = scopes.of(action.scope)
        except CanonicalError as error:
            raise _refused(
                error, f"{paths.actions}[{index}].{'scope' if error.path else 'pattern_key'}"
            ) from None
        except ValueError as error:
            raise RefusedCloseError(
                "bad_time", f"{paths.actions}[{index}].ts", str(error)
            ) from None
        name = action_id(close, index)
        if name in seen:
            raise RefusedCloseError(
                "duplicate_action_id",
                f"{paths.actions}[{index}].{paths.action_id}",
                "Another action of the trade has this id.",
            )
        seen.add(name)
        group = (key, action.action_category)
        if ts < earliest:
            home, earliest = group, ts
        if action.applied_overrides:
            applied, sizing = _applied(action.applied_overrides, f"{paths.actions}[{index}]")
            fact = FactAction(name, ts, scope, action.size_frac, applied, sizing)
        else:
            fact = FactAction(name, ts, scope, action.size_frac)
        if group in groups:
            groups[group].append(fact)
        else:
            groups[group] = [fact]
    return groups, home


def action_id(close: PositionClosed[Any], index: int) -> str:
    """The id of the action at `index` of a close: its own, or one made of the trade's."""
    own = close.actions[index].action_id
    return f"{close.trade_id}/{index}" if own is None else own


class Scopes:
    """The canonical scopes of the actions of one close, filled in from its entry context: without
    regimes, since the state at entry says nothing about a later action.  Raises `CanonicalError`.
    """

    __slots__ = ("_dimensions", "_inherited", "_last", "_texts")

    def __init__(self, entry_context: Any, dimensions: tuple[str, ...]) -> None:
        self._dimensions = dimensions
        self._inherited: dict[str, str] = {}
        if entry_context is not None:
            context = canonical_values(dimensions, astuple(entry_context))
            self._inherited = {name: text for name, text in context.items() if not is_regime(name)}
        # Most actions of a trade have the same context: that of the last one, if all of it is text
        # (1, 1.0 and True are equal, but not the same value).
        self._texts: tuple[Any, ...] | None = None
        self._last: dict[str, str] = {}

    def of(self, given: Any) -> dict[str, str]:
        """The scope of the next action, from what it says of it itself (None: nothing)."""
        if given is None:
            return self._inherited
        row = astuple(given)
        if row != self._texts:
            own = canonical_values(self._dimensions, row)
            self._last = {**self._inherited, **own} if self._inherited else own
            self._texts = row if _TEXTS.issuperset(map(type, row)) else None
        return self._last


def _applied(
    applied: tuple[str | Sizing, ...], path: str
) -> tuple[tuple[str, ...], Sizing | UnsetType]:
    """The ids of the overrides, and the sizing if there is one."""
    if not any(type(entry) is Sizing for entry in applied):
        return applied, UNSET  # type: ignore[return-value]
    places = [place for place, entry in enumerate(applied) if isinstance(entry, Sizing)]
    if len(places) > 1:
        raise RefusedCloseError(
            "wrong_type",
            f"{path}.applied_overrides[{places[1]}]",
            "An action has one object that says how its multiplier was drawn, not several.",
        )
    ids = tuple(entry for entry in applied if isinstance(entry, str))
    return ids, next(entry for entry in applied if isinstance(entry, Sizing))


def _exit_and_entry(
    summary: TradeSummary, paths: Paths, timestamp_ms: int
) -> tuple[str, int, str | None]:
    exit_ts = _time(summary.exit_timestamp, paths.of_summary("exit_timestamp"))
    entry_ts = (
        None
        if summary.entry_timestamp is None
        else _time(summary.entry_timestamp, paths.of_summary("entry_timestamp"))
    )
    if entry_ts is not None and exit_ts < entry_ts:
        raise RefusedCloseError(
            "exit_before_entry",
            paths.of_summary("exit_timestamp"),
            f"The exit {exit_ts} is before the entry {entry_ts}.",
        )
    exit_us = epoch_us(exit_ts)
    if exit_us < 0:
        raise RefusedCloseError(
            "ancient_exit",
            paths.of_summary("exit_timestamp"),
            f"The exit {exit_ts} is before 1970.",
        )
    if exit_us > (timestamp_ms + DAY_MS) * 1000:
        raise RefusedCloseError(
            "future_exit",
            paths.of_summary("exit_timestamp"),
            f"The exit {exit_ts} is more than a day after the record's timestamp of {timestamp_ms}"
            " ms since 1970.",
        )
    return exit_ts, exit_us, entry_ts


def _time(text: str, path: str) -> str:
    try:
        return canonical_time(text)
    except ValueError as error:
        raise RefusedCloseError("bad_time", path, str(error)) from None


def time_efficiency(summary: TradeSummary) -> float | None:
    """1/(1 + days to payback, else held); None if neither is known.

    A negative number of days is meaningless, so the next candidate is used.
    """
    for days in (summary.time_to_payback_days, summary.hold_time_days):
        if days is not None and days >= 0:
            return 1 / (1 + days)
    return None


def _metrics(summary: TradeSummary) -> TradeMetrics:
    return TradeMetrics(
        time_efficiency=time_efficiency(summary),
        hold_time_days=summary.hold_time_days,
        time_to_payback_days=summary.time_to_payback_days,
        max_drawdown=summary.max_drawdown,
        max_gain=summary.max_gain,
        fees_usd=summary.fees_usd,
    )


@lru_cache(maxsize=4_096)
def label(text: str | None) -> str | None:
    """A segment's bucket or timeframe, missing by the same rules as a scope value."""
    return canonical_value(text)


def _refused(error: CanonicalError, path: str) -> RefusedCloseError:
    return RefusedCloseError(error.reason, path + error.path, error.message, "CanonicalError")
