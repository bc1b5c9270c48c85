"""The results of a trade log, computed at once by brute force: an independent implementation of the
specification in plain Python.

May touch: nothing.  From the project it uses only the published function for ids, and no code that
it is compared with.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from statistics import median, pstdev
from typing import Any

from edgeloop.identity import baseline_id, group_id, slice_id

REGIMES = frozenset(
    f"{market}_{span}"
    for market in ("btc", "alt", "bucket", "btcd", "usdtd")
    for span in ("macro", "meso", "micro")
)
DIMENSIONS = REGIMES | {
    "curator",
    "chain",
    "mcap_bucket",
    "vol_bucket",
    "age_bucket",
    "intent",
    "mcap_vol_ratio_bucket",
    "market_family",
    "timeframe",
    "A_mode",
    "E_mode",
    "bucket",
    "bucket_leader",
    "bucket_rank_position",
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Scope = dict[str, str]
Group = tuple[str, str, str]
"""Module, pattern key, category."""


@dataclass(frozen=True)
class Rules:
    """The settings that the learning depends on."""

    n_min: int = 33
    max_dims: int = 3
    window_days: float = 90.0
    window_trades: int = 10_000
    edge_min: float = 0.05
    baseline: float = 0.0
    outcome: str = "rr"


@dataclass(frozen=True)
class Action:
    action_id: str
    pattern_key: str
    category: str
    ts_us: int
    scope: Scope


@dataclass(frozen=True)
class Trade:
    """One close of a trade, with the rank by which one of several counts."""

    module: str
    trade_id: str
    rank: tuple[int, int, int, str, str]
    exit_us: int
    rr: float | None
    roi: float | None
    pnl_usd: float | None
    segment: tuple[str | None, str | None]
    actions: tuple[Action, ...]
    outcome: float

    @property
    def home(self) -> Group:
        first = min(self.actions, key=lambda action: action.ts_us)  # the first of equal ones
        return self.module, first.pattern_key, first.category

    def groups(self) -> dict[Group, list[Action]]:
        found: dict[Group, list[Action]] = {}
        for action in self.actions:
            found.setdefault((self.module, action.pattern_key, action.category), []).append(action)
        return found


@dataclass
class World:
    """The expected content of topics and tables, by id."""

    trades: dict[tuple[str, str], Trade] = field(default_factory=dict)
    lessons: dict[str, dict[str, Any]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)


def learn(values: Iterable[bytes], rules: Rules) -> World:
    """The expected content after these values of `position_closed`, all of them valid, in any
    order."""
    world = World()
    for value in values:
        trade = read(value, rules.outcome)
        known = world.trades.get((trade.module, trade.trade_id))
        if known is None or known.rank < trade.rank:
            world.trades[trade.module, trade.trade_id] = trade
    windows = {
        group: window(trades, rules) for group, trades in _by_group(world.trades.values()).items()
    }
    for module in sorted({group[0] for group in windows}):
        _learn_module(
            world,
            module,
            {group: trades for group, trades in windows.items() if group[0] == module},
            rules,
        )
    return world


# -- reading
# --------------------------------------------------------------------------------------------------


def read(value: bytes, outcome: str) -> Trade:
    """The close in `value`, in either envelope; `outcome` is rr, roi or pnl."""
    event = json.loads(value)
    digest = hashlib.sha256(value).hexdigest()
    if event.get("kind") == "position_closed" and event.get("schema_version") is None:
        event = _from_older(event)
    summary, module = event["trade_summary"], event.get("module") or "pm"
    actions = []
    for index, action in enumerate(event["actions"]):
        actions.append(
            Action(
                action.get("action_id") or f"{event['trade_id']}/{index}",
                pattern_key(action["pattern_key"], module),
                action["action_category"],
                microseconds(action["ts"]),
                scope_of(action.get("scope") or {}, event.get("entry_context") or {}),
            )
        )
    exit_us = microseconds(summary["exit_timestamp"])
    return Trade(
        module,
        event["trade_id"],
        (event.get("revision") or 0, len(actions), exit_us, event["event_id"], digest),
        exit_us,
        summary.get("rr"),
        summary.get("roi"),
        summary.get("pnl_usd"),
        (event.get("bucket"), event.get("timeframe")),
        tuple(actions),
        (
            min(33.0, max(-33.0, summary["rr"]))
            if outcome == "rr"
            else summary["roi" if outcome == "roi" else "pnl_usd"]
        ),
    )


def _from_older(envelope: Mapping[str, Any]) -> dict[str, Any]:
    content = envelope["content"]
    trade = [t for t in content["completed_trades"] if t.get("trade_id") == content["trade_id"]][-1]
    summary = dict(trade.get("summary") or {})
    summary.update({k: v for k, v in (content.get("trade_summary") or {}).items() if v is not None})
    if summary.get("rpnl_pct") is not None:
        summary["roi"] = summary["rpnl_pct"] / 100
    if summary.get("rpnl_usd") is not None:
        summary["pnl_usd"] = summary["rpnl_usd"]
    return {
        **content,
        "event_id": envelope["id"],
        "module": envelope.get("module"),
        "trade_summary": summary,
        "actions": [
            {**action, "action_id": action.get("strand_id")} for action in trade["actions"]
        ],
    }


def pattern_key(text: str, module: str) -> str:
    if text.startswith("module="):
        text = text.partition("|pattern_key=")[2]
    return text if text.split(".")[0] == module else f"{module}.{text}"


def microseconds(text: str) -> int:
    """Digits beyond microseconds are cut."""
    text = re.sub(r"\.([0-9]{1,6})[0-9]*", lambda match: "." + match[1].ljust(6, "0"), text)
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


def scope_of(own: Mapping[str, Any], entry: Mapping[str, Any]) -> Scope:
    """The action's own values; missing ones come from the entry, except regimes."""
    scope = {}
    for name in DIMENSIONS:
        value = text_of(name, own.get(name))
        if value is None and name not in REGIMES:
            value = text_of(name, entry.get(name))
        if value is not None:
            scope[name] = value
    return scope


def text_of(name: str, value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    text = (value or "").strip()
    if text.lower() in ("", "unknown") or (name in REGIMES and text.lower() == "s4"):
        return None
    return text


# -- learning
# --------------------------------------------------------------------------------------------------


def _by_group(trades: Iterable[Trade]) -> dict[Group, list[Trade]]:
    found: dict[Group, list[Trade]] = {}
    for trade in trades:
        for group in trade.groups():
            found.setdefault(group, []).append(trade)
    return found


def window(trades: list[Trade], rules: Rules) -> list[Trade]:
    """The trades that count: those within the time before the newest exit, and of these the
    greatest by (exit, trade id)."""
    oldest = max(trade.exit_us for trade in trades) - round(rules.window_days * 86_400_000_000)
    inside = sorted(
        (t for t in trades if t.exit_us >= oldest), key=lambda t: (t.exit_us, t.trade_id)
    )
    return inside[-rules.window_trades :]


def slices(
    group: Group, trades: list[Trade], rules: Rules
) -> dict[tuple[tuple[str, str], ...], list[Trade]]:
    """Every slice with the trades in it: those with *one* action in the group that has all of its
    values."""
    found: dict[tuple[tuple[str, str], ...], list[Trade]] = {}
    for trade in trades:
        matched = set()
        for action in trade.groups()[group]:
            pairs = sorted(action.scope.items())
            for size in range(min(rules.max_dims, len(pairs)) + 1):
                matched.update(combinations(pairs, size))
        for pairs_ in matched:
            found.setdefault(pairs_, []).append(trade)
    return {pairs: inside for pairs, inside in found.items() if len(inside) >= rules.n_min}


def moments(ys: list[float]) -> tuple[float, float]:
    """Mean and sample variance."""
    mean = math.fsum(ys) / len(ys)
    return mean, math.fsum((y - mean) ** 2 for y in ys) / (len(ys) - 1) if len(ys) > 1 else 0.0


def robust_sd(ys: list[float]) -> float:
    """1.4826 times the median absolute deviation, or the standard deviation where that is 0."""
    middle = median(ys)
    mad = median([abs(y - middle) for y in ys])
    return 1.4826 * mad if mad > 0 else pstdev(ys)


def unit_of(windows: Iterable[list[Trade]], rules: Rules) -> float:
    """Units of the outcome that make one unit of size, to three significant digits."""
    if rules.outcome == "rr":
        return 1.0
    spread = [(robust_sd([t.outcome for t in trades]), len(trades)) for trades in windows]
    spread = [(sd, n) for sd, n in spread if sd > 0]
    if not spread:
        return 1.0
    unit = math.sqrt(sum(sd * sd * n for sd, n in spread) / sum(n for _, n in spread))
    return float(f"{unit:.3g}")  # three significant digits


def decay_of(trades: list[Trade], unit: float = 1.0) -> tuple[str, float]:
    """State and multiplier, from the least-squares slope of the outcome, in such units, on hours of
    exit."""
    if len({trade.exit_us for trade in trades}) < 5:
        return "insufficient", 1.0
    first = min(trade.exit_us for trade in trades)
    hours = [(trade.exit_us - first) / 3.6e9 for trade in trades]
    mean_x, mean_y = (
        math.fsum(hours) / len(hours),
        math.fsum(t.outcome for t in trades) / len(trades),
    )
    b = math.fsum(
        (x - mean_x) * (t.outcome - mean_y) for x, t in zip(hours, trades, strict=True)
    ) / math.fsum((x - mean_x) ** 2 for x in hours)
    b /= unit
    if b < -0.001:
        return "decaying", max(0.5, 1 - min(100 * abs(b), 0.5))
    if b > 0.001:
        return "improving", min(1.5, 1 + min(100 * abs(b), 0.5))
    return "stable", 1.0


def _learn_module(
    world: World, module: str, windows: Mapping[Group, list[Trade]], rules: Rules
) -> None:
    home = [trade for group, trades in windows.items() for trade in trades if trade.home == group]
    baseline, variance = (
        moments([trade.outcome for trade in home]) if home else (rules.baseline, 0.0)
    )
    world.baselines[baseline_id(module)] = {
        "module": module,
        "n": len(home),
        "mean": baseline,
        "variance": variance,
    }
    unit = unit_of(windows.values(), rules)
    for group, trades in windows.items():
        found = slices(group, trades, rules)
        segments: dict[tuple[str | None, str | None], list[float]] = {}
        for trade in trades:
            if trade.home == group:
                segments.setdefault(trade.segment, []).append(trade.outcome)
        world.summaries[group_id(*group)] = {
            "n": len(trades),
            "n_slices": len(found),
            "segments": {
                key: (len(ys), math.fsum(ys), math.fsum(y * y for y in ys))
                for key, ys in segments.items()
            },
        }
        for pairs, inside in found.items():
            scope = dict(pairs)
            world.lessons[slice_id(*group, scope)] = _lesson(
                group, scope, inside, baseline, unit, rules
            )


def _lesson(
    group: Group, scope: Scope, trades: list[Trade], baseline: float, unit: float, rules: Rules
) -> dict[str, Any]:
    n = len(trades)
    mean, variance = moments([trade.outcome for trade in trades])
    state, decay_multiplier = decay_of(trades)
    judged_state, judged_decay = decay_of(trades, unit)
    size, spread = mean / unit, variance / unit**2
    reliability = 1 / (1 + spread + 0.25 / n)
    support = 1 - math.exp(-n / 50)
    magnitude = 1 / (1 + math.exp(-size))
    stability = 1 / (1 + spread)
    edge = (
        (size - baseline / unit)
        * reliability
        * (support + magnitude + 1 + stability)
        * judged_decay
    )
    held = n >= rules.n_min and abs(edge) >= rules.edge_min
    return {
        "module": group[0],
        "pattern_key": group[1],
        "action_category": group[2],
        "scope": scope,
        "n": n,
        "mean": mean,
        "variance": variance,
        "decay_state": state,
        "judged_decay_state": judged_state,
        "decay_multiplier": decay_multiplier,
        "from_us": min(trade.exit_us for trade in trades),
        "to_us": max(trade.exit_us for trade in trades),
        "baseline": baseline,
        "edge": edge,
        "confidence": support * reliability,
        "decision": "override" if held else "neutral",
        "multiplier": round(min(3.0, max(0.3, 1 + edge)), 2) if held else None,
    }
