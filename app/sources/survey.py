"""A survey of a log before it is sent: whether each close would be accepted, which outcomes and
dimensions it has, and which settings would fit.

May touch: nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from app.closes import OUTCOME_FIELDS, RefusedCloseError, explode
from app.closes.times import canonical_time
from app.errors import ConfigurationError
from app.settings import PREFIX, Settings
from app.sources import Closed
from app.sources.dry_run_totals import Totals
from app.sources.making import joined
from app.sources.mapping import TableMapping
from app.sources.positions import ClosedTrade
from app.sources.words import in_words
from edgeloop.scope import DEFAULT_DIMENSIONS

_PLACES = 3
_OLDER_NAMES = {"rr": "rr", "roi": "rpnl_pct", "pnl_usd": "rpnl_usd"}
"""The names of outcomes in the older envelope."""


@dataclass
class Refused:
    """Closes that would be dead letters for one reason at one path: how many, where the first ones
    are, the first one's error, and what is wrong with the first ones in words."""

    count: int = 0
    places: list[str] = field(default_factory=list)
    exception: str = ""
    words: list[str] = field(default_factory=list)


@dataclass
class Survey:
    """The closes so far: `outcomes` counts closes by outcome field, `dimensions` by key of a scope,
    whether configured or not."""

    settings: Settings
    mapping: TableMapping | None = None
    totals: Totals = field(default_factory=Totals)
    closes: int = 0
    facts: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    dimensions: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    refused: dict[tuple[str, str], Refused] = field(default_factory=dict)
    first: list[tuple[str, dict[str, Any], ClosedTrade | None]] = field(default_factory=list)
    exits: list[str] = field(default_factory=list)
    repeated: int = 0
    _ids: set[bytes] = field(default_factory=set)

    def see(self, closed: Closed, timestamp_ms: int, show: int = 0) -> None:
        """Add one close, validated as ingest would at `timestamp_ms`; the first `show` events are
        kept as a whole."""
        self.closes += 1
        event = _event(closed.value)
        if event is not None:
            self._see_event(event)
            if len(self.first) < show:
                self.first.append((closed.place, event, closed.told))
        if closed.key is not None:
            self.repeated += closed.key in self._ids
            self._ids.add(closed.key)
        try:
            facts = explode(
                closed.value,
                timestamp_ms,
                dimensions=self.settings.dimensions,
                outcome=self.settings.outcome,
            )
        except RefusedCloseError as error:
            refused = self.refused.setdefault(
                (error.reason, error.path), Refused(exception=error.exception)
            )
            refused.count += 1
            if len(refused.places) < _PLACES:
                refused.places.append(closed.place)
                refused.words.append(in_words(event, error.path, error.reason, self.mapping))
            if event is not None and self._lacks_only_the_outcome(closed, event, timestamp_ms):
                self.totals.add(closed.told or _as_trader_sees(event))
            return
        if event is not None:
            self.totals.add(closed.told or _as_trader_sees(event))
        self.facts += len(facts)
        for fact in facts:
            self.groups[f"{fact.pattern_key}|{fact.action_category}"] += 1
        self.exits.append(facts[0].exit_ts)

    def _lacks_only_the_outcome(
        self, closed: Closed, event: dict[str, Any], timestamp_ms: int
    ) -> bool:
        """Whether a refused close would be accepted with another outcome: then its figures can
        still be compared."""
        summary, _ = _parts(event)
        for outcome, name in OUTCOME_FIELDS.items():
            if outcome == self.settings.outcome or summary.get(name) is None:
                continue
            try:
                explode(
                    closed.value,
                    timestamp_ms,
                    dimensions=self.settings.dimensions,
                    outcome=outcome,
                )
            except RefusedCloseError:
                continue
            return True
        return False

    def _see_event(self, event: dict[str, Any]) -> None:
        summary, scopes = _parts(event)
        self.outcomes.update(
            name
            for name, older in _OLDER_NAMES.items()
            if any(type(summary.get(n)) in (int, float) for n in (name, older))
        )
        self.dimensions.update(
            {
                name
                for scope in scopes
                if isinstance(scope, dict)
                for name, value in scope.items()
                if value is not None
            }
        )

    @property
    def dead_letters(self) -> int:
        """Closes that would be dead letters."""
        return sum(refused.count for refused in self.refused.values())

    @property
    def unconfigured(self) -> list[str]:
        """Keys of scopes that are not in EDGELOOP_DIMENSIONS and are therefore ignored, in
        alphabetical order."""
        return sorted(self.dimensions.keys() - set(self.settings.dimensions))

    @property
    def export(self) -> str:
        """The line that adds the found dimensions to the configured ones, or replaces the default
        ones by them; empty if none is new."""
        if not self.unconfigured:
            return ""
        kept = () if self.settings.dimensions == DEFAULT_DIMENSIONS else self.settings.dimensions
        names = (
            *kept,
            *(name for name in sorted(self.dimensions) if name not in kept and "," not in name),
        )
        return f"export {PREFIX}DIMENSIONS={','.join(names)}"

    def in_window(self) -> int:
        """Closes whose exits are within EDGELOOP_WINDOW_DAYS before the newest one."""
        if not self.exits:
            return 0
        oldest = canonical_time(
            (
                datetime.fromisoformat(max(self.exits)) - timedelta(days=self.settings.window_days)
            ).isoformat()
        )
        return sum(exit_ts >= oldest for exit_ts in self.exits)

    @property
    def outcome_field(self) -> str:
        """The field that has the configured outcome."""
        return OUTCOME_FIELDS[self.settings.outcome]

    def outcome_remedy(self) -> str:
        """What to do if no close has the configured outcome; empty if one has."""
        if not self.closes or self.outcomes[self.outcome_field]:
            return ""
        others = [name for name, held in OUTCOME_FIELDS.items() if self.outcomes[held]]
        if not others:
            return "They have no other outcome: map a return (roi), a profit (pnl_usd) or rr."
        best = max(others, key=lambda name: self.outcomes[OUTCOME_FIELDS[name]])
        held = " and ".join(
            f"{OUTCOME_FIELDS[name]} ({self.outcomes[OUTCOME_FIELDS[name]]:,})" for name in others
        )
        return f"They have {held}: export {PREFIX}OUTCOME={best}"

    def check_outcome(self) -> None:
        """Raises `ConfigurationError` if no close has the configured outcome: all of them would be
        dead letters."""
        if remedy := self.outcome_remedy():
            raise ConfigurationError(
                f"None of the {'first ' if self.closes > 1 else ''}{self.closes:,} closes has the"
                f" outcome {self.outcome_field}, which {PREFIX}OUTCOME={self.settings.outcome}"
                " requires; all would be dead letters.",
                remedy,
            )

    def document(self) -> dict[str, Any]:
        """The survey as plain data for `--json`."""
        return {
            "closes": self.closes,
            "facts": self.facts,
            "groups": dict(sorted(self.groups.items())),
            "dead_letters": [
                {
                    "reason": reason,
                    "path": path,
                    "count": r.count,
                    "places": r.places,
                    "exception": r.exception,
                    "words": r.words,
                }
                for (reason, path), r in sorted(
                    self.refused.items(), key=lambda item: (-item[1].count, item[0])
                )
            ],
            "outcome": {
                "configured": self.outcome_field,
                "found": {name: self.outcomes[name] for name in OUTCOME_FIELDS.values()},
            },
            "outcome_remedy": self.outcome_remedy(),
            "dimensions": {
                "found": sorted(self.dimensions),
                "not_configured": self.unconfigured,
                "export": self.export,
            },
            "first_exit": min(self.exits, default=None),
            "last_exit": max(self.exits, default=None),
            "in_window": self.in_window(),
            "repeated_trade_ids": self.repeated,
            "account": self.totals.document(),
        }


def _as_trader_sees(event: dict[str, Any]) -> ClosedTrade:
    """An event that does not come from a table, as a trader sees it."""
    summary, scopes = _parts(event)
    pnl: Any = summary.get("pnl_usd")
    short = next(
        (
            scope["is_short"]
            for scope in scopes
            if isinstance(scope, dict) and isinstance(scope.get("is_short"), bool)
        ),
        None,
    )
    side = "unknown" if short is None else ("short" if short else "long")
    entry, left = (str(summary.get(name) or "") for name in ("entry_timestamp", "exit_timestamp"))
    profit = float(pnl) if type(pnl) in (int, float) else None
    return ClosedTrade(
        str(event.get("symbol") or "(none)"), side, entry, left, None, profit, None, "USD", True
    )


def survey(settings: Settings, found: Iterable[Closed], timestamp_ms: int, show: int = 0) -> Survey:
    """The survey of all closes in `found`."""
    made = Survey(settings)
    for closed in found:
        made.see(closed, timestamp_ms, show)
    return made


def _event(value: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) else None


def _parts(event: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """(the summary, the scopes) of an event in either envelope, as far as it has them."""
    content = event.get("content")
    if "schema_version" not in event and isinstance(content, dict):
        elements = [e for e in _list(content.get("completed_trades")) if isinstance(e, dict)]
        last = elements[-1] if elements else {}
        summaries = [
            s for s in (last.get("summary"), content.get("trade_summary")) if isinstance(s, dict)
        ]
        event = {
            **content,
            "trade_summary": {k: v for s in summaries for k, v in s.items()},
            "actions": last.get("actions"),
        }
    summary = event.get("trade_summary")
    scopes = [
        event.get("entry_context"),
        *(a.get("scope") for a in _list(event.get("actions")) if isinstance(a, dict)),
    ]
    return summary if isinstance(summary, dict) else {}, scopes


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def unconfigured_sentence(survey: Survey) -> str:
    """A sentence on dimensions that are not configured; empty if there are none."""
    if not survey.unconfigured:
        return ""
    return f"Not in {PREFIX}DIMENSIONS, so ignored: {joined(survey.unconfigured, 12)}."
