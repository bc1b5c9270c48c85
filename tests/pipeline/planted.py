"""Trade logs with planted effects, generated from a seed, for the learners of `integrated` to find.

May touch: nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from tests.pipeline.trades import START, Close, close, text_of

DAYS = 80
REGIMES = ("S1", "S3")


@dataclass(frozen=True)
class Trade:
    """One close.  `actions` are (pattern, category, scope), the first one the earliest; `day` is
    that of the exit, in days since START."""

    trade_id: str
    module: str
    day: float
    rr: float
    actions: tuple[tuple[str, str, dict[str, str]], ...]
    segment: tuple[str | None, str | None] = (None, None)
    hold_days: float = 0.5
    revision: int = 0

    @property
    def close(self) -> Close:
        """The record of it."""
        exit_ = START + timedelta(days=self.day)
        first = exit_ - timedelta(hours=6)
        event: dict[str, Any] = {
            "event_id": f"{self.trade_id}-r{self.revision}",
            "schema_version": 1,
            "revision": self.revision,
            "module": self.module,
            "trade_id": self.trade_id,
            "bucket": self.segment[0],
            "timeframe": self.segment[1],
            "trade_summary": {
                "exit_timestamp": text_of(exit_),
                "rr": self.rr,
                "hold_time_days": self.hold_days,
            },
            "actions": [
                {
                    "ts": text_of(first + timedelta(minutes=i)),
                    "pattern_key": pattern,
                    "action_category": category,
                    "scope": scope,
                }
                for i, (pattern, category, scope) in enumerate(self.actions)
            ],
        }
        return close(event, self.trade_id.encode(), START + timedelta(days=DAYS + 1))


def closes(trades: Iterable[Trade]) -> list[Close]:
    """Their records."""
    return [trade.close for trade in trades]


def regime_of(day: float) -> str:
    """The market's state, which alternates every three days."""
    return REGIMES[int(day // 3) % 2]


# -- one log with everything


class Log:
    """Two modules, groups with slices that have an edge, one that decays, segments that differ,
    clones across groups, and corrections."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def trades(self, count: int) -> list[Trade]:
        """A number of trades, and later closes of some of them, in the order of the trades."""
        made: list[Trade] = []
        for number in range(count):
            trade = self._trade(f"t-{number}")
            made.append(trade)
            if self.random.random() < 0.1:
                made.append(self._correction(trade))
        return made

    def sent(self, trades: Sequence[Trade]) -> list[Close]:
        """Their records as an unreliable producer sends them: each 1–3 times, shuffled."""
        repeated = [
            trade.close for trade in trades for _ in range(self.random.choice([1, 1, 2, 3]))
        ]
        self.random.shuffle(repeated)
        return repeated

    def _trade(self, trade_id: str) -> Trade:
        r = self.random
        day = r.uniform(0, DAYS)
        module = r.choices(["pm", "dm-2"], [4, 1])[0]
        pattern = r.choices(["uptrend.S1", "dip.S2", "breakout.S3"], [3, 3, 2])[0]
        scope = self._scope(day)
        segment = (r.choice(["micro", "large"]), r.choice(["1h", "4h"]))
        # An exit in the context of the entry, so that slices of both groups match the same trades.
        actions = [(f"{pattern}.entry", "entry", scope), (f"{pattern}.exit", "exit", scope)]
        if r.random() < 0.4:
            actions.insert(1, (f"{pattern}.add", "add", self._scope(day)))
        return Trade(
            trade_id,
            module,
            day,
            self._rr(pattern, scope, segment, day),
            tuple(actions),
            segment,
            r.choice([0.2, 1.0, 4.0]),
        )

    def _scope(self, day: float) -> dict[str, str]:
        r = self.random
        chain = r.choice(["sol", "eth", "base"])
        # The same information as the chain, nearly always.
        venue = chain if r.random() < 0.97 else "other"
        return {
            "chain": chain,
            "market_family": venue,
            "A_mode": r.choice(["fast", "slow", "patient"]),
            "curator": r.choice(["alpha", "beta", "gamma"]),
            "btc_macro": regime_of(day),
        }

    def _rr(
        self, pattern: str, scope: dict[str, str], segment: tuple[str, str], day: float
    ) -> float:
        rr = (
            self.random.gauss(0.0, 0.6) - 0.8 * (segment[0] == "micro") + 0.3 * (segment[1] == "4h")
        )
        sign = {"sol": 1.0, "eth": -1.0}.get(scope["chain"], 0.0)
        if pattern != "dip.S2":
            rr += sign * (1.6 if scope["btc_macro"] == "S1" else 0.1)
        elif scope["A_mode"] == "fast":
            rr += 3.0 * math.exp2(-max(day - 20.0, 0.0) / 12.0)
        return rr

    def _correction(self, trade: Trade) -> Trade:
        r = self.random
        later = replace(trade, revision=trade.revision + 1)
        kind = r.randrange(3)
        if kind == 0:
            return replace(later, rr=trade.rr - 1.0)
        if kind == 1:
            return replace(later, day=r.uniform(0, DAYS))
        return replace(
            later,
            actions=tuple(
                (pattern, category, self._scope(trade.day))
                for pattern, category, _ in trade.actions
            ),
        )


# -- a module for each learned quantity: 60 days in which `edge.S1` has an edge in its slice
# `chain=sol`

CHAINS = ("sol", "eth", "base")


def entry(pattern: str, scope: dict[str, str]) -> tuple[tuple[str, str, dict[str, str]], ...]:
    """The only action of a trade."""
    return ((pattern, "entry", scope),)


def lesson(module: str, effect: float, revision: int = 0) -> list[Trade]:
    """The edge is `effect`."""
    r = Random(1)
    return [
        Trade(
            f"e{i}",
            module,
            i / 5,
            r.gauss(effect * (i % 3 == 0), 0.5),
            entry("edge.S1", {"chain": CHAINS[i % 3]}),
            revision=revision,
        )
        for i in range(300)
    ]


def baseline(module: str) -> list[Trade]:
    """The edge is 1.2; all of its trades are in the segment `micro`, which has other trades,
    too."""
    r = Random(2)
    return [
        Trade(
            f"e{i}",
            module,
            i / 6,
            r.gauss(1.2 * (i % 3 == 0), 0.5),
            entry("edge.S1", {"chain": CHAINS[i % 3]}),
            ("micro" if i % 3 < 2 else "large", "1h"),
        )
        for i in range(360)
    ]


def others(module: str, micro: float, revision: int = 0) -> list[Trade]:
    """Trades of another pattern: in `micro` they earn `micro`, in `large` nothing."""
    r = Random(3)
    made = []
    for i in range(420):
        bucket = ("large", "micro")[i % 2]
        rr = r.gauss(micro * (bucket == "micro"), 0.5)
        made.append(
            Trade(
                f"o{i}", module, i / 7, rr, entry("other.S1", {}), (bucket, "1h"), revision=revision
            )
        )
    return made


def half_life(module: str, days: float, revision: int = 0) -> list[Trade]:
    """The edge is 2, and half as much after each `days`."""
    r = Random(4)
    made = []
    for i in range(600):
        day, chain = i / 10, CHAINS[i % 3]
        rr = r.gauss(2.0 * math.exp2(-day / days) * (chain == "sol"), 0.3)
        made.append(
            Trade(f"e{i}", module, day, rr, entry("edge.S1", {"chain": chain}), revision=revision)
        )
    return made


def regimes(module: str, share: float, revision: int = 0) -> list[Trade]:
    """In two patterns `chain=sol` earns and `chain=eth` loses 0.4 on average: 0.8 times `share` in
    S1, and the rest of 0.8 in S3."""
    r = Random(5)
    made = []
    for i in range(1_200):
        day, chain = i / 20, CHAINS[i // 2 % 3]
        regime = regime_of(day)
        edge = {"sol": 0.8, "eth": -0.8, "base": 0.0}[chain] * (
            share if regime == "S1" else 1.0 - share
        )
        pattern = ("edge.S1", "edge.S2")[i % 2]
        made.append(
            Trade(
                f"e{i}",
                module,
                day,
                r.gauss(edge, 0.25),
                entry(pattern, {"chain": chain, "btc_macro": regime}),
                revision=revision,
            )
        )
    return made


def factor(module: str) -> list[Trade]:
    """The edge is 1; of thirty trades 29 also have an add of `edge.S2`, in the same context."""
    r = Random(6)
    made = []
    for i in range(360):
        scope = {"chain": CHAINS[i % 3]}
        adds = (("edge.S2", "add", scope),) if i % 30 else ()
        made.append(
            Trade(
                f"e{i}",
                module,
                i / 6,
                r.gauss(1.0 * (i % 3 == 0), 0.5),
                (*entry("edge.S1", scope), *adds),
            )
        )
    return made


def more_adds(module: str, *, shared: bool) -> list[Trade]:
    """300 more adds of `edge.S2` with the same edge: by trades that `edge.S1` entered too, or by
    trades of their own."""
    r = Random(7)
    made = []
    for i in range(300):
        scope = {"chain": CHAINS[i % 3]}
        add = ("edge.S2", "add", scope)
        actions = (*entry("edge.S1", scope), add) if shared else (add,)
        made.append(Trade(f"m{i}", module, i / 6, r.gauss(1.0 * (i % 3 == 0), 0.5), actions))
    return made
