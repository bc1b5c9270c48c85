"""Simulate a rule on a stock: fills, costs, stops, take-profits, and each trade's path to its
result.

May touch: samples.market, samples.rules.

A decision is made at the close of day t from what is known then, and filled at the close of day t +
1, gaps included.  There is one decision per day and trade: exit (stop, rule, time), else trim, else
add.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from samples.market import SCALE, Floats, Market, rsi, volatility
from samples.rules import Rule, Signals

FULL_SIZE_USD = 40_000.0
COST = 0.0005
"""Commission, spread and slippage: a fraction of the traded amount, per side (5 bps)."""
DRAWDOWN_FLOOR = 0.01
"""Minimum drawdown by which a return is divided: an ordinary day's move, so that a trade without a
drawdown has a finite `rr`."""
STALE = 0.001
"""There is no entry below this daily volatility, at which the quotes do not move."""


@dataclass(frozen=True)
class Decision:
    """An action, decided at the close of day `t`; `size_frac` is a fraction of a full position for
    buys, and of the shares held for sales."""

    t: int
    state: str
    motif: str
    category: str
    size_frac: float


@dataclass
class Trade:
    """A position from first buy to last sale.  `fills` has the day, the shares (negative: sold) and
    the price in USD."""

    rule: Rule
    symbol: str
    e_mode: str
    sd: float
    """Daily volatility at the entry decision."""
    decisions: list[Decision]
    fills: list[tuple[int, float, float]] = field(default_factory=list)
    shares: float = 0.0
    cost_usd: float = 0.0
    """Paid for the shares still held."""
    last_buy: float = 0.0
    peak: float = 0.0
    next_target: float = 1.0
    """The gain at which profits are next taken, in multiples of the stop's distance; doubles each
    time."""
    closed: bool = False

    @property
    def average_price(self) -> float:
        """Average price paid for the shares still held, USD."""
        return self.cost_usd / self.shares

    def fill(self, t: int, price: float) -> None:
        """Carry out the last decision at `price` on day t."""
        decision = self.decisions[-1]
        if decision.category in ("entry", "add"):
            shares = decision.size_frac * FULL_SIZE_USD / price
            self.cost_usd += shares * price
            self.last_buy = price
            self.shares += shares
        else:
            shares = -self.shares * decision.size_frac
            self.cost_usd *= 1.0 - decision.size_frac
            self.closed = decision.category == "exit"
            self.shares = 0.0 if self.closed else self.shares + shares
        self.fills.append((t, shares, price))


def simulate(market: Market, rule: Rule, symbol: str) -> list[Trade]:
    """All trades of `rule` in `symbol`, in order of entry; the last ones may still be open.

    Trades alternate between two ways to exit, so that both occur in all markets: `target` keeps its
    first stop and takes profits in thirds; `trail` lets the stop follow the highest close and trims
    when overheated.
    """
    close = market.close[symbol]
    prices = [c / SCALE for c in close.tolist()]
    signals = rule.signals(close, market.prices.days)
    sd, heat = volatility(close, 20), rsi(close, 14)
    trades: list[Trade] = []
    busy_until = -1
    for t in signals.entry.nonzero()[0].tolist():
        if not (sd[t] >= STALE) or (t <= busy_until and not rule.overlapping):
            continue
        opening = Decision(t, "S1", "entry", "entry", rule.sizes[0])
        trade = Trade(rule, symbol, ("trail", "target")[len(trades) % 2], float(sd[t]), [opening])
        trades.append(trade)
        _run(trade, t, prices, signals, heat)
        busy_until = trade.fills[-1][0] if trade.closed else len(prices)
    return trades


def _run(trade: Trade, start: int, prices: list[float], signals: Signals, heat: Floats) -> None:
    pending = True
    for t in range(start + 1, len(prices)):
        if pending:
            trade.fill(t, prices[t])
            if trade.closed:
                return
        trade.peak = max(trade.peak, prices[t])
        decision = _decide(trade, t, t - start, prices[t], signals, heat)
        pending = decision is not None
        if decision:
            trade.decisions.append(decision)


def _decide(
    trade: Trade, t: int, age: int, price: float, signals: Signals, heat: Floats
) -> Decision | None:
    rule, step = trade.rule, trade.sd
    gain = price / trade.average_price - 1.0
    state = "S3" if gain >= 6 * step else "S2" if gain >= 2 * step else "S1"
    trailing = trade.e_mode == "trail" and price <= trade.peak * (1.0 - 1.5 * rule.stop * step)
    if gain <= -rule.stop * step or trailing:
        return Decision(t, state, "stop", "exit", 1.0)
    if signals.exit[t]:
        return Decision(t, state, "rule", "exit", 1.0)
    if age >= rule.max_days:
        return Decision(t, state, "time", "exit", 1.0)
    bought = [d for d in trade.decisions if d.category in ("entry", "add")]
    waited = t - trade.decisions[-1].t
    if trade.e_mode == "target" and gain >= trade.next_target * rule.stop * step:
        trade.next_target *= 2.0
        return Decision(t, state, "take_profit", "trim", 0.333)
    if trade.e_mode == "trail" and heat[t] > 75 and waited >= 10 and gain > 0:
        return Decision(t, state, "overheated", "trim", 0.2)
    if len(bought) < rule.max_buys and waited > rule.add_wait_days and signals.add[t]:
        move = price / trade.last_buy - 1.0
        if move >= rule.add_step * step if rule.add_step > 0 else move <= rule.add_step * step:
            size = rule.sizes[min(len(bought), len(rule.sizes) - 1)]
            return Decision(t, state, "pyramid" if rule.add_step > 0 else "scale_in", "add", size)
    return None


def summary(trade: Trade, days: tuple[str, ...], prices: list[float]) -> dict[str, Any]:
    """The figures of a closed trade.

    The path is the profit after costs at each close, with open shares at market value, divided by
    all that was bought; `roi` is its end, `max_gain` its highest and `max_drawdown` its greatest
    fall from a high (both at least 0, starting at 0), and `rr` = roi / max(max_drawdown,
    DRAWDOWN_FLOOR).  `time_to_payback_days` is from the entry to the first close in profit (null:
    never).
    """
    first, last = trade.fills[0][0], trade.fills[-1][0]
    bought = sum(shares * price for _, shares, price in trade.fills if shares > 0)
    cash = held = fees = peak = drawdown = profit = 0.0
    payback = None
    fills = iter(trade.fills)
    due = next(fills, None)
    for t in range(first, last + 1):
        while due and due[0] == t:
            _, shares, price = due
            cash -= shares * price
            held += shares
            fees += abs(shares) * price * COST
            due = next(fills, None)
        profit = cash - fees + (0.0 if t == last else held * prices[t])
        peak = max(peak, profit)
        drawdown = max(drawdown, peak - profit)
        if payback is None and profit > 0:
            payback = _days_between(days[first], days[t])
    roi, drawdown = profit / bought, drawdown / bought
    return {
        "entry_timestamp": timestamp(days[first]),
        "exit_timestamp": timestamp(days[last]),
        "entry_price": trade.fills[0][2],
        "exit_price": trade.fills[-1][2],
        "roi": round(roi, 5),
        "pnl_usd": round(profit, 2),
        "rr": round(roi / max(drawdown, DRAWDOWN_FLOOR), 4),
        "max_drawdown": round(drawdown, 5),
        "max_gain": round(peak / bought, 5),
        "fees_usd": round(fees, 2),
        "hold_time_days": _days_between(days[first], days[last]),
        "time_to_payback_days": payback,
    }


def timestamp(day: str) -> str:
    """A day's close: 21:00 UTC, at or after the closing bell in New York in summer and winter."""
    return f"{day}T21:00:00Z"


def _days_between(a: str, b: str) -> int:
    return (date.fromisoformat(b) - date.fromisoformat(a)).days


def actions(trade: Trade, market: Market) -> Iterator[dict[str, Any]]:
    """The trade's actions as the event has them.  Values that do not change during a trade are in
    its entry context only."""
    for i, d in enumerate(trade.decisions):
        yield {
            "action_id": f"{trade_id(trade, market)}/{i}",
            "ts": timestamp(market.prices.days[d.t]),
            "pattern_key": f"pm.{trade.rule.family}.{d.state}.{d.motif}",
            "action_category": d.category,
            "size_frac": d.size_frac,
            "scope": market.scope(trade.symbol, d.t),
        }


def trade_id(trade: Trade, market: Market) -> str:
    """Rule, parameters, symbol and day of the entry decision."""
    day = market.prices.days[trade.decisions[0].t]
    return f"{trade.rule.curator}-{trade.rule.a_mode}-{trade.symbol}-{day}"


def event(trade: Trade, market: Market, prices: list[float]) -> dict[str, Any]:
    """The `position_closed` event of a closed trade."""
    own_id, entry = trade_id(trade, market), trade.decisions[0].t
    sector = market.sector[trade.symbol]
    fixed = {
        "curator": trade.rule.curator,
        "A_mode": trade.rule.a_mode,
        "E_mode": trade.e_mode,
        "bucket": sector,
        "timeframe": "1d",
    }
    return {
        "schema_version": 1,
        "event_id": f"{own_id}/closed",
        "module": "pm",
        "trade_id": own_id,
        "position_id": f"{trade.rule.curator}-{trade.rule.a_mode}-{trade.symbol}",
        "symbol": trade.symbol,
        "chain": "us_equities",
        "timeframe": "1d",
        "bucket": sector,
        "entry_context": market.scope(trade.symbol, entry) | fixed,
        "regime_context": market.market_states(trade.symbol, trade.fills[-1][0]),
        "trade_summary": summary(trade, market.prices.days, prices),
        "actions": list(actions(trade, market)),
    }
