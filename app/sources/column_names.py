"""What people call the columns of a trade log, and how they write times: the vocabulary of a mapping's draft.

May touch: nothing.
"""

from __future__ import annotations

import re

_WORDS = {
    "trade_id": "trade_id tradeid position_id deal_id ticket id trade trade_no trade_number no nr",
    "entry_timestamp": (
        "entry_time entry_timestamp entry_date entry_datetime open_time open_date open_timestamp opened opened_at date_opened "
        "opened_on time_in entered entered_at entry_ts buy_date bought start_time start_date entry_at"
    ),
    "exit_timestamp": (
        "exit_time exit_timestamp exit_date exit_datetime close_time close_date close_timestamp closed closed_at date_closed "
        "closed_on time_out exited exited_at exit_ts sell_date sold end_time end_date exit_at"
    ),
    "symbol": "symbol ticker pair instrument market asset underlying contract security coin product",
    "side": "side direction long_short position_side action buy_sell b_s type position",
    "rr": "rr r_multiple r_mult rmultiple r risk_reward realized_r result_r pnl_r",
    "roi": (
        "roi return return_pct ret returns profit_pct profit_ratio profit_percent pnl_pct pnl_percent gain_pct pct_return "
        "return_percent result_pct net_return percent roi_pct profit_loss_pct net_roi"
    ),
    "pnl_usd": (
        "pnl_usd pnl profit net_profit profit_usd p_l pl net_pnl realized_pnl realised_pnl gain profit_loss profit_abs result "
        "net_pl net_p_l profit_usdt pnl_usdt gross_pnl net_gain"
    ),
    "max_drawdown": "max_drawdown drawdown max_dd mae mae_pct worst drawdown_pct max_drawdown_pct max_adverse_excursion",
    "max_gain": "max_gain mfe mfe_pct runup run_up best max_runup max_favorable_excursion",
    "entry_price": "entry_price open_price open_rate buy_price avg_entry_price avg_px_open price_in entry avg_entry",
    "exit_price": "exit_price close_price close_rate sell_price avg_exit_price avg_px_close price_out exit avg_exit",
    "quantity": "quantity qty size amount shares contracts volume units lots filled filled_qty exec_qty",
    "fees_usd": "fees_usd fees fee commission commissions costs total_fees comm comm_fee trading_fee",
    "hold_time_days": "hold_time_days hold_days days_held holding_days",
    "timeframe": "timeframe time_frame tf interval",
    "bucket": "bucket sector asset_class category",
    "chain": "chain exchange venue broker",
    "currency": "currency ccy quote_currency",
    "revision": "revision",
    "multiplier": "multiplier contract_size point_value",
    "account": "account account_id acct subaccount",
    "price": "price fill_price exec_price avg_price trade_price execution_price rate t_price",
    "time": (
        "time timestamp date datetime date_time fill_time exec_time executed_at trade_time trade_date execution_time time_utc "
        "date_utc created_at transact_time filled_at"
    ),
    "fee": "fee fees commission commissions comm comm_fee trading_fee cost_fee",
    "fill_id": "fill_id exec_id execution_id trade_id tradeid id transaction_id txid match_id",
}
NAMES = {field: tuple(words.split()) for field, words in _WORDS.items()}
"""Names that a field goes by, the likeliest first, as `folded` writes them."""

PATTERNS = (
    "setup",
    "strategy",
    "pattern",
    "system",
    "signal",
    "enter_tag",
    "entry_tag",
    "buy_tag",
    "tag",
    "playbook",
    "model",
    "algo",
    "setup_name",
)
"""Names of columns that say what kind of trade it was, the likeliest first."""

REASONS = ("exit_reason", "close_reason", "exit_tag", "sell_reason", "exit_type", "exit_setup")
"""Names of columns that say why a trade was left."""

AFTERWARDS = re.compile(
    r"(exit|close|profit|loss|pnl|return|roi|result|outcome|win(?!d)|durat|hold|held|days|mae|mfe|draw|gain|peak|worst|best|after|balance|equity|"
    r"comment|note|fee|commission|swap|slippage|realis|realiz|final|stop_hit|target_hit|cum|grade|mistake|lesson|review|screenshot|url)"
)
"""In the name of a column that is likely to hold what nobody knew at the entry."""

FORMATS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y.%m.%d %H:%M:%S", "%Y.%m.%d %H:%M", "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y-%m-%d, %H:%M:%S", "%Y-%m-%d;%H:%M:%S", "%Y%m%d;%H%M%S", "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y", "%m/%d/%y %H:%M", "%m/%d/%y", "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d %b %Y %H:%M", "%d %b %Y", "%b %d, %Y", "%b %d %Y",
)  # fmt: skip
"""How times are written where it is not ISO 8601.  Where day and month can be either, the month is tried first."""


def folded(column: str) -> str:
    """A column's name as names are compared, and as a dimension is called: small letters, with `_` between the words.

    >>> folded("Entry Time"), folded("exitTime"), folded("Return %"), folded("P&L")
    ('entry_time', 'exit_time', 'return_pct', 'p_l')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower().replace("%", "_pct")
    return re.sub(r"[\W_]+", "_", words).strip("_") or "column"
