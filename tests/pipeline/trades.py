"""A trade log with everything that is valid, generated from a seed: both envelopes, all forms of
keys and values, corrections.

May touch: nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

START = datetime(2025, 1, 1, tzinfo=UTC)
DAYS = 110
MODULES = ("pm", "dm-2")
PATTERNS = (("uptrend.S1", 5), ("dip.S2", 3), ("breakout.S3.motif", 2), ("rare.S0", 0.3))
CATEGORIES = ("entry", "add", "trim", "exit")
# Dimension → values, each a list of its spellings.
VALUES: dict[str, list[list[Any]]] = {
    "chain": [["sol", " sol "], ["eth"], ["a|b=c%"], [None, "", "unknown", "Unknown ", "  "]],
    "mcap_bucket": [[1, 1.0, "1", " 1"], [2, "2", 2.0], [-3, "-3"]],
    "A_mode": [[0.5, "0.5"], [True, "true"], ["größe🚀"], [None, "UNKNOWN"]],
    "timeframe": [["1h"], ["4h"]],
    "btc_meso": [["S0"], ["S1"], ["S4", "s4", None, "unknown"]],
    "usdtd_micro": [["S2"], ["S3"], ["S4"]],
}


@dataclass(frozen=True)
class Close:
    """One record for `position_closed`."""

    value: bytes | None
    key: bytes | None
    timestamp_ms: int


def close(
    event: dict[str, Any], key: bytes | None = None, at: datetime = START + timedelta(days=DAYS)
) -> Close:
    """The record of an event, with the end of the log as timestamp (exits may be at most a day
    later)."""
    return Close(json.dumps(event, ensure_ascii=False).encode(), key, round(at.timestamp() * 1000))


def simple(
    trade_id: str,
    *,
    module: str = "pm",
    day: float = 50.0,
    rr: float = 1.0,
    pattern: str = "plain.S1",
    scope: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A valid close with one entry and one exit, in the form that the schema recommends."""
    exit_ = START + timedelta(days=day)
    action = {
        "ts": text_of(exit_ - timedelta(hours=5)),
        "pattern_key": f"{module}.{pattern}",
        "scope": scope or {"chain": "sol"},
    }
    return {
        "event_id": f"e-{trade_id}",
        "schema_version": 1,
        "module": module,
        "trade_id": trade_id,
        "trade_summary": {"exit_timestamp": text_of(exit_), "rr": rr},
        "actions": [
            {**action, "action_category": "entry"},
            {**action, "action_category": "exit", "ts": text_of(exit_)},
        ],
    }


def text_of(moment: datetime, random: Random | None = None) -> str:
    """RFC 3339, in one of its forms."""
    if random is None:
        return moment.isoformat().replace("+00:00", "Z")
    zone = random.choice(
        [UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=5, minutes=30))]
    )
    text = moment.astimezone(zone).isoformat(timespec=random.choice(["auto", "microseconds"]))
    if random.random() < 0.3 and "." in text:
        text = text.replace(".", ".", 1)[:26] + "789" + text[26:]  # digits beyond microseconds
    return text.replace("+00:00", "Z") if random.random() < 0.5 else text


class Generator:
    """Generates closes; the seed determines every choice."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def log(self, trades: int) -> list[Close]:
        """Closes of a number of trades, with corrections, in the order of the trades."""
        closes: list[Close] = []
        for number in range(trades):
            trade = self._trade(number)
            closes.append(self._close(trade, 0))
            if self.random.random() < 0.12:
                closes.extend(self._corrections(trade))
        return closes

    def sent(self, closes: Sequence[Close]) -> list[Close]:
        """The records as an unreliable producer sends them: each 1–3 times, shuffled."""
        repeated = [close for close in closes for _ in range(self.random.choice([1, 1, 2, 3]))]
        self.random.shuffle(repeated)
        return repeated

    # -- one trade
    # ----------------------------------------------------------------------------------------------

    def _scope(self) -> dict[str, Any]:
        r = self.random
        scope = {
            name: r.choice(r.choice(values)) for name, values in VALUES.items() if r.random() < 0.9
        }
        return {**scope, "symbol": "IGNORED", "note": [1, {"nested": None}]}

    def _action(self, module: str, pattern: str, category: str, ts: datetime) -> dict[str, Any]:
        r = self.random
        key = r.choice(
            [
                f"{module}.{pattern}.{category}",
                f"{pattern}.{category}",
                f"module={module}|pattern_key={pattern}.{category}",
            ]
        )
        action: dict[str, Any] = {
            "ts": text_of(ts, r),
            "pattern_key": key,
            "action_category": category,
            "size_frac": 0.25,
        }
        if r.random() < 0.9:
            action["scope"] = self._scope()
        elif r.random() < 0.5:
            action["scope"] = None
        return action

    def _trade(self, number: int) -> dict[str, Any]:
        r = self.random
        module = r.choices(MODULES, [3, 1])[0]
        # Sometimes whole hours, so that exits are equal.
        exit_ = START + (
            timedelta(days=r.uniform(1, DAYS))
            if r.random() < 0.8
            else timedelta(hours=r.randrange(24, DAYS * 24))
        )
        pattern = r.choices([p for p, _ in PATTERNS], [w for _, w in PATTERNS])[0]
        entry = exit_ - timedelta(hours=r.uniform(1, 200))
        actions = [self._action(module, pattern, "entry", entry)]
        for _ in range(r.choice([0, 0, 1, 2, 3, 9])):
            ts = entry + (exit_ - entry) * r.random()
            actions.append(self._action(module, pattern, r.choice(["add", "trim"]), ts))
        actions.append(
            self._action(
                module,
                r.choice([pattern, "dip.S2"]),
                "exit",
                exit_ + timedelta(minutes=r.choice([0, 0, 30])),
            )
        )
        if r.random() < 0.2:
            r.shuffle(actions)
        if r.random() < 0.1:  # two earliest actions: their order decides which group is home
            actions[0]["ts"] = actions[-1]["ts"]
        for index, action in enumerate(actions):
            if r.random() < 0.7:
                action["action_id"] = f"a{number}-{index}"
        return {
            "trade_id": f"t-{number}",
            "module": module,
            "actions": actions,
            "entry_context": self._scope() if r.random() < 0.8 else None,
            "bucket": r.choice([None, "micro", "large"]),
            "timeframe": r.choice([None, "1h", "4h"]),
            "exit": exit_,
            "rr": self._rr(actions, exit_),
        }

    def _rr(self, actions: list[dict[str, Any]], exit_: datetime) -> float:
        r = self.random
        first = actions[0].get("scope") or {}
        rr = (
            r.gauss(0.2, 0.8)
            + 0.9 * (first.get("chain") == "sol")
            - 0.7 * (first.get("btc_meso") == "S1")
        )
        if "dip" in actions[0]["pattern_key"]:
            rr += 1.5 - 0.02 * (exit_ - START).days  # decays
        return r.choice([1e6, -40.0, 33.5]) if r.random() < 0.01 else rr

    def _corrections(self, trade: dict[str, Any]) -> list[Close]:
        """Later closes of a trade, each naming every group of the earlier ones."""
        r = self.random
        made = []
        for revision in range(1, r.choice([2, 2, 3, 4])):
            kind = r.randrange(4)
            if kind == 0:
                trade = {**trade, "rr": trade["rr"] - 2.0}
            elif kind == 1:  # moved in time, perhaps out of the window or back into it
                exit_ = START + timedelta(days=r.uniform(1, DAYS))
                trade = {**trade, "exit": exit_}
            elif kind == 2:  # other scopes
                trade = {
                    **trade,
                    "actions": [{**action, "scope": self._scope()} for action in trade["actions"]],
                }
            else:  # one more action, at the same revision: more actions win
                extra = self._action(trade["module"], "dip.S2", "add", START)
                trade = {**trade, "actions": [*trade["actions"], extra]}
                made.append(self._close(trade, revision - 1))
                continue
            made.append(self._close(trade, revision))
        return made

    def _close(self, trade: dict[str, Any], revision: int) -> Close:
        r = self.random
        older = revision == 0 and r.random() < 0.3
        event = self._older(trade) if older else self._new(trade, revision)
        return close(event, r.choice([None, trade["trade_id"].encode(), b"any key"]))

    def _event_id(self, trade: dict[str, Any], revision: int) -> str:
        return f"{trade['trade_id']}-r{revision}-{self.random.randrange(10**6)}"

    def _new(self, trade: dict[str, Any], revision: int) -> dict[str, Any]:
        r = self.random
        exit_, rr = trade["exit"], trade["rr"]
        summary = {
            "exit_timestamp": text_of(exit_, r),
            "rr": rr,
            "roi": rr / 10,
            "pnl_usd": round(rr * 100),
            "fees_usd": None,
        }
        event = {
            "event_id": self._event_id(trade, revision),
            "schema_version": 1,
            "module": trade["module"] if trade["module"] != "pm" or r.random() < 0.5 else None,
            "trade_id": trade["trade_id"],
            "entry_context": trade["entry_context"],
            "regime_context": {"btc_meso": "S3"},
            "trade_summary": summary,
            "actions": trade["actions"],
            "bucket": trade["bucket"],
            "timeframe": trade["timeframe"],
            "unknown_field": {"x": [1, 2]},
        }
        if revision or r.random() < 0.5:
            event["revision"] = revision
        return event

    def _older(self, trade: dict[str, Any]) -> dict[str, Any]:
        r = self.random
        actions = [
            {("strand_id" if k == "action_id" else k): v for k, v in action.items()}
            for action in trade["actions"]
        ]
        summary = {"exit_timestamp": text_of(trade["exit"], r), "rr": trade["rr"]}
        stale = {
            "rr": -9.0,
            "exit_timestamp": "2024-01-01T00:00:00Z",
            "rpnl_pct": trade["rr"] * 10,
            "rpnl_usd": trade["rr"] * 100,
        }
        history: list[Any] = [
            {"trade_id": "another", "actions": [], "summary": {"rr": 5}},
            # the last of this id counts
            {"trade_id": trade["trade_id"], "actions": actions[:1], "summary": {"rr": 7.0}},
            {"trade_id": trade["trade_id"], "actions": actions, "summary": stale},
            {"trade_id": "a later one", "actions": "whatever"},
        ]
        content = {
            "trade_id": trade["trade_id"],
            "entry_context": trade["entry_context"],
            "trade_summary": summary,
            "completed_trades": history,
            "bucket": trade["bucket"],
            "timeframe": trade["timeframe"],
        }
        return {
            "id": self._event_id(trade, 0),
            "kind": "position_closed",
            "module": trade["module"],
            "content": content,
        }
