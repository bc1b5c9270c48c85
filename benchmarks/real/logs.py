"""The logs, each with its prices, rules, costs, outcome and suitable settings; generated on demand
and kept under build/real.

May touch: the folder it is given, and what benchmarks.real.prices reads.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from benchmarks.real import rules as r
from benchmarks.real.prices import PANELS, Panel, pairs_of
from benchmarks.real.rules import Rule
from benchmarks.real.simulate import Trade, simulate
from benchmarks.real.states import Context, Horizons

HERE = Path(__file__).parent
FULL_SIZE_USD = 10_000.0

TRENDS = ("mkt_macro", "mkt_meso", "mkt_micro", "asset_macro", "asset_meso", "asset_micro")
RANKS = ("vol_rank", "mom_rank", "rev_rank", "dispersion")


@dataclass(frozen=True)
class Log:
    """The definition of a log.

    `cost` is a fraction per side; `rr` is the return over the greatest drawdown (`drawdown`) or
    over the distance of the stop at the entry (`risk`), at least `floor` in both cases; `pairs` are
    traded in addition to the assets, by `pair_rules`.
    """

    name: str
    rules: tuple[Rule, ...]
    dimensions: tuple[str, ...]
    cost: float
    rr: str
    floor: float
    window_days: int
    signature: str = "mkt_macro"
    horizons: Horizons = Horizons()  # noqa: RUF009
    bucket: str = "stock"
    by_volatility: bool = False
    """Whether the bucket is the rank of the asset's volatility at the entry, instead of the asset's
    kind."""
    pairs: tuple[tuple[str, str], ...] = ()
    pair_rules: tuple[Rule, ...] = ()

    @property
    def env(self) -> str:
        """The suitable settings, as a file for the shell."""
        settings = {
            "DIMENSIONS": ",".join(self.dimensions),
            "OUTCOME": "rr",
            "WINDOW_DAYS": self.window_days,
            "WINDOW_TRADES": 20_000,
            "RETENTION_DAYS": 36_500,
            "N_MIN": 100,
            "MAX_DIMS": 2,
            "REGIME_SIGNATURE": self.signature,
        }
        return "".join(f"EDGELOOP_{name}={value}\n" for name, value in settings.items())


_DAILY = ("curator", "side", "asset", *TRENDS)
_SHORT = Horizons(macro=(100, 10), meso=(30, 5), micro=(8, 3), momentum=63, range=126, memory=252)
"""For logs of a few years, of which 200 days would be a large part."""
_HOURS = Horizons(
    macro=(480, 48),
    meso=(96, 12),
    micro=(12, 4),
    volatility=120,
    momentum=240,
    reversal=24,
    range=480,
    memory=2400,
)

_STOCKS_OLD = (
    Rule(
        "mom_12_1",
        "momentum",
        r.momentum(252, 21, 21, 0.2),
        12,
        63,
        target=10,
        overlapping=True,
        timeframe="1w",
    ),
    Rule(
        "mom_6_1",
        "momentum",
        r.momentum(126, 21, 21, 0.2),
        10,
        42,
        target=8,
        overlapping=True,
        timeframe="1w",
    ),
    Rule("high_52w", "year_high", r.nearness(252, 21, 0.2), 8, 42, add=3, adds=2, timeframe="1w"),
    Rule("rev_5d", "weekly_reversal", r.reversal(5, 10, 0.15), 6, 6),
    Rule("rev_21d", "monthly_reversal", r.reversal(21, 21, 0.15), 8, 21, add=-2, adds=1),
    Rule(
        "cross_50_200", "cross", r.cross(50, 200), 8, 250, add=4, adds=2, target=12, timeframe="1w"
    ),
    Rule("cross_10_50", "cross", r.cross(10, 50), 5, 90, add=3, adds=1),
)
_STOCKS_LATE = (
    Rule("channel_20", "breakout", r.breakout(20, 10), 3, 60, add=1.5, adds=2),
    Rule("channel_55", "breakout", r.breakout(55, 20), 4, 150, add=2, adds=2, target=10),
    Rule("fade_3d", "fade", r.fade(3, 2.0, 5), 4, 8, add=-1.5, adds=1),
    Rule("fade_10d", "fade", r.fade(10, 2.0, 20), 5, 20, add=-1.5, adds=1),
    Rule("streak_5", "streak", r.streak(5), 4, 6),
    Rule("jump", "jump", r.follow(1, 3.0), 4, 20, target=5),
    Rule("calm", "low_risk", r.calm(126, 42, 0.2), 12, 84, target=12, timeframe="1w"),
    Rule("trend_120", "trend", r.own_momentum(120, 21), 7, 120, add=4, adds=2, timeframe="1w"),
)
_STOCKS_FEW_YEARS = (
    Rule("rev_3d", "weekly_reversal", r.reversal(3, 5, 0.12), 5, 5),
    Rule("rev_10d", "weekly_reversal", r.reversal(10, 10, 0.12, phase=3), 6, 10, add=-2, adds=1),
    Rule("mom_3m", "momentum", r.momentum(63, 5, 10, 0.12), 8, 30, target=7, overlapping=True),
    Rule(
        "mom_6m",
        "momentum",
        r.momentum(126, 10, 21, 0.12),
        10,
        42,
        overlapping=True,
        timeframe="1w",
    ),
    Rule("channel_20", "breakout", r.breakout(20, 10), 3, 40, add=2, adds=1),
    Rule("jump", "jump", r.follow(1, 2.5), 4, 10),
    Rule("fade_5d", "fade", r.fade(5, 2.2, 10), 4, 10),
)
_INDICES = (
    Rule("rev_5d", "weekly_reversal", r.reversal(5, 5, 0.2), 5, 5),
    Rule("rev_2d", "weekly_reversal", r.reversal(2, 3, 0.15, phase=1), 4, 3),
    Rule("mom_3m", "momentum", r.momentum(63, 5, 10, 0.2), 8, 30, target=7, overlapping=True),
    Rule("channel_20", "breakout", r.breakout(20, 10), 3, 40, add=2, adds=1),
    Rule("trend_60", "trend", r.own_momentum(60, 10), 6, 60, add=3, adds=1),
    Rule("fade_5d", "fade", r.fade(5, 2.0, 10), 4, 10),
)
_FEW_ASSETS = tuple(
    replace(rule, curator=f"{rule.curator}_{n}" if n else rule.curator)
    for n, rule in (
        (10, Rule("channel", "breakout", r.breakout(10, 5), 2.5, 20, add=1, adds=2)),
        (20, Rule("channel", "breakout", r.breakout(20, 10), 3, 40, add=1, adds=2)),
        (55, Rule("channel", "breakout", r.breakout(55, 20), 4, 120, add=2, adds=2, target=8)),
        (5, Rule("cross_1", "cross", r.cross(1, 5), 3, 20)),
        (20, Rule("cross_5", "cross", r.cross(5, 20), 4, 60, add=2, adds=1)),
        (3, Rule("streak", "streak", r.streak(3), 3, 4)),
        (4, Rule("streak", "streak", r.streak(4), 3, 5)),
        (2, Rule("fade", "fade", r.fade(2, 1.5, 5), 3, 6)),
        (5, Rule("fade", "fade", r.fade(5, 1.7, 10), 4, 10, add=-1, adds=1)),
        (20, Rule("trend", "trend", r.own_momentum(20, 5), 5, 25, overlapping=True)),
        (
            60,
            Rule(
                "trend",
                "trend",
                r.own_momentum(60, 5, 2),
                6,
                60,
                add=3,
                adds=1,
                target=6,
                overlapping=True,
                timeframe="1w",
            ),
        ),
        (
            120,
            Rule(
                "trend",
                "trend",
                r.own_momentum(120, 10, 1),
                8,
                60,
                overlapping=True,
                timeframe="1w",
            ),
        ),
        (0, Rule("jump", "jump", r.follow(1, 2.0), 3, 5)),
        (0, Rule("surge", "jump", r.follow(3, 2.0), 4, 10)),
    )
)
_CALENDAR = (
    Rule("month_turn", "calendar", r.month_turn(2, 3), 6, 4),
    Rule("friday", "calendar", r.weekday(4, -1), 6, 1),
    Rule("midweek", "calendar", r.weekday(1, 1), 6, 2),
)
_HOURLY = (
    *(Rule(f"with_{h:02d}", "clock", r.clock(h, 24, 1), 5, 5) for h in (6, 9, 12, 15)),
    *(Rule(f"against_{h:02d}", "clock_fade", r.clock(h, 12, -1), 5, 4) for h in (0, 7, 13, 19)),
    Rule("asia_break", "session_break", r.session_break(0, 7, 13, 1), 4, 9, target=3),
    Rule("asia_fade", "session_fade", r.session_break(0, 7, 13, -1), 4, 6),
    Rule("europe_break", "session_break", r.session_break(7, 13, 19, 1), 4, 6),
    Rule("fade_3h", "fade", r.fade(3, 1.8, 12), 4, 8, add=-1, adds=1),
    Rule("fade_12h", "fade", r.fade(12, 1.8, 24), 5, 24, add=-1.5, adds=1),
    Rule("channel_24", "breakout", r.breakout(24, 12), 3, 24, add=1.5, adds=1),
    Rule(
        "channel_96", "breakout", r.breakout(96, 24), 5, 72, add=2, adds=2, target=6, timeframe="4h"
    ),
    Rule("streak_4", "streak", r.streak(4), 4, 4),
    Rule("cross_6_24", "cross", r.cross(6, 24), 5, 48, timeframe="4h"),
    Rule("jump", "jump", r.follow(1, 2.5), 4, 6),
)
_PAIRS = (
    Rule("pair_60", "pairs", r.spread(60, 2.0, 0.3), 6, 40, add=-2, adds=1, timeframe="1w"),
    Rule("pair_20", "pairs", r.spread(20, 1.8, 0.3), 5, 15),
)

LOGS = {
    log.name: log
    for log in (
        Log("nyse_old", _STOCKS_OLD, (*_DAILY, "mkt_vol", *RANKS), 0.001, "drawdown", 0.01, 1826),
        Log(
            "nyse_late",
            _STOCKS_LATE,
            (*_DAILY, "mkt_vol", "vol_bucket", "range_pos", *RANKS),
            0.0005,
            "risk",
            0.02,
            1461,
            by_volatility=True,
        ),
        Log(
            "toronto",
            _STOCKS_FEW_YEARS,
            (*_DAILY, "vol_rank", "mom_rank", "rev_rank", "range_pos", "last_bar"),
            0.0015,
            "drawdown",
            0.015,
            730,
            horizons=_SHORT,
            by_volatility=True,
        ),
        Log(
            "us_2000",
            _STOCKS_FEW_YEARS,
            (*_DAILY, "mkt_vol", "vol_bucket", *RANKS),
            0.0005,
            "risk",
            0.02,
            730,
            horizons=_SHORT,
        ),
        Log(
            "dow_2001",
            _STOCKS_FEW_YEARS,
            ("curator", "side", *TRENDS[1:], *RANKS, "last_bar"),
            0.0005,
            "drawdown",
            0.01,
            730,
            signature="mkt_meso",
            horizons=_SHORT,
        ),
        Log(
            "countries",
            _INDICES,
            (*_DAILY, "mkt_vol", *RANKS),
            0.001,
            "drawdown",
            0.01,
            730,
            horizons=_SHORT,
            bucket="index",
            pairs=tuple(
                (f"C{a:02d}", f"C{a + gap:02d}") for gap in (1, 5, 9) for a in range(1, 25 - gap)
            ),
            pair_rules=_PAIRS,
        ),
        Log(
            "metals_oil",
            _FEW_ASSETS,
            (*_DAILY, "mkt_vol", "vol_bucket", "range_pos", "last_bar"),
            0.0005,
            "risk",
            0.01,
            1826,
            bucket="future",
        ),
        Log(
            "currencies",
            _FEW_ASSETS,
            (*_DAILY, "mkt_vol", "vol_bucket", *RANKS, "last_bar", "dow"),
            0.0002,
            "drawdown",
            0.005,
            1096,
            bucket="currency",
        ),
        Log(
            "europe",
            _FEW_ASSETS,
            (*_DAILY, "mkt_vol", "vol_bucket", "range_pos", "last_bar"),
            0.0005,
            "drawdown",
            0.01,
            1096,
            horizons=_SHORT,
            bucket="index",
        ),
        Log(
            "us_index",
            (*_FEW_ASSETS, *_CALENDAR),
            ("curator", "side", *TRENDS[:3], "mkt_vol", "range_pos", "last_bar", "dow", "quarter"),
            0.0003,
            "drawdown",
            0.005,
            1826,
            bucket="index",
        ),
        Log(
            "eurusd",
            _HOURLY,
            (
                "curator",
                "side",
                *TRENDS[:3],
                "mkt_vol",
                "range_pos",
                "last_bar",
                "hour",
                "session",
                "dow",
            ),
            0.00003,
            "risk",
            0.001,
            730,
            horizons=_HOURS,
            signature="mkt_meso",
            bucket="currency",
        ),
    )
}


def trades(log: Log, panel: Panel) -> Iterator[tuple[Panel, Context, Trade]]:
    """The closed trades of a log, each with its panel and the context of its decisions."""
    books = [(panel, log.rules)]
    if log.pairs:
        books.append((pairs_of(panel, log.pairs), log.pair_rules))
    for book, rules in books:
        context = Context(book, log.horizons)
        for rule in rules:
            for trade in simulate(book, rule, log.cost):
                yield book, context, trade


def events(log: Log, panel: Panel) -> list[dict[str, Any]]:
    """The closed trades as `position_closed` events, sorted by exit, then id."""
    found = [_event(log, book, context, trade) for book, context, trade in trades(log, panel)]
    return sorted(found, key=lambda e: (e["trade_summary"]["exit_timestamp"], e["event_id"]))


def _event(log: Log, panel: Panel, context: Context, trade: Trade) -> dict[str, Any]:
    rule, asset = trade.rule, panel.assets[trade.asset]
    side = "long" if trade.side > 0 else "short"
    own_id = f"{rule.curator}-{side[0].upper()}-{asset}-{_text(panel, trade.actions[0].t)}"
    fixed = {"curator": rule.curator, "side": side}
    actions = [
        {
            "action_id": f"{own_id}/{i}",
            "ts": _text(panel, action.t),
            "pattern_key": f"pm.{rule.family}.{action.motif}",
            "action_category": action.category,
            "size_frac": round(action.size, 3),
            "scope": (
                context.scope(action.t, trade.asset, log.dimensions)
                | {k: v for k, v in fixed.items() if k in log.dimensions}
            ),
        }
        for i, action in enumerate(trade.actions)
    ]
    kind = "pair" if panel.assets[0].count("-") else log.bucket
    bucket = kind
    if log.by_volatility:
        rank = context.scope(trade.actions[0].t, trade.asset, ("vol_rank",)).get("vol_rank", "new")
        bucket = f"vol_{rank}"
    return {
        "schema_version": 1,
        "event_id": f"{own_id}/closed",
        "module": "pm",
        "trade_id": own_id,
        "position_id": f"{rule.curator}-{asset}",
        "symbol": asset,
        "chain": log.name,
        "timeframe": rule.timeframe,
        "bucket": bucket,
        "entry_context": {},
        "trade_summary": _summary(log, panel, trade),
        "actions": actions,
    }


def _summary(log: Log, panel: Panel, trade: Trade) -> dict[str, Any]:
    put = sum(action.size for action in trade.actions if action.category in ("entry", "add"))
    risked = trade.max_drawdown if log.rr == "drawdown" else trade.rule.stop * trade.sd
    return {
        "entry_timestamp": _text(panel, trade.entered),
        "exit_timestamp": _text(panel, trade.left),
        "roi": round(trade.roi, 6),
        "pnl_usd": round(trade.roi * put * FULL_SIZE_USD, 2),
        "rr": round(trade.roi / max(risked, log.floor), 4),
        "max_drawdown": round(trade.max_drawdown, 6),
        "max_gain": round(trade.max_gain, 6),
        "hold_time_days": _days(panel, trade.entered, trade.left),
        "time_to_payback_days": (
            None if trade.payback is None else _days(panel, trade.entered, trade.payback)
        ),
    }


def _text(panel: Panel, t: int) -> str:
    return f"{np.datetime_as_string(panel.times[t], 's')}Z"


def _days(panel: Panel, a: int, b: int) -> float:
    return round(float((panel.times[b] - panel.times[a]) / np.timedelta64(1, "h")) / 24.0, 4)


def made(name: str, folder: Path) -> tuple[Path, Path]:
    """The log `name` and its settings as files in `folder`; generated unless this version of the
    code has done so before."""
    path, env, stamp = (
        folder / f"{name}.jsonl.zst",
        folder / f"{name}.env",
        folder / f"{name}.made_by",
    )
    code = _code()
    if not (path.is_file() and env.is_file() and stamp.is_file() and stamp.read_text() == code):
        log = LOGS[name]
        found = events(log, PANELS[name]())
        data = b"".join(
            orjson.dumps(e, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE) for e in found
        )
        folder.mkdir(parents=True, exist_ok=True)
        _replace(path, zstandard.ZstdCompressor(level=10).compress(data))
        _replace(env, log.env.encode())
        _replace(stamp, code.encode())
    return path, env


def _replace(path: Path, data: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)


def _code() -> str:
    """A checksum of the code that the logs depend on; the contents of the installed packages of
    prices do not change."""
    parts = (HERE / f"{name}.py" for name in ("prices", "states", "rules", "simulate", "logs"))
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
