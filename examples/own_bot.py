"""A bot of one's own, connected to Edgeloop: it sizes by the overrides and sends its closes."""

import os
from tempfile import mkdtemp

from edgeloop.integrations import Connection, Trade

SPOOL = os.environ.get("BOT_SPOOL") or mkdtemp()  # of a real bot: a folder that stays

with Connection.from_environment(spool=SPOOL) as edgeloop:
    edgeloop.ready(timeout=10)  # until then, and whenever in doubt, sizes are neutral

    @edgeloop.sized("uptrend.S1.entry", "entry")
    def buy(trade: Trade, size: float, scope: dict) -> None:
        print(f"buy {size:.2f}")  # place your order here

    with edgeloop.trade("T-2001", symbol="BONK", timeframe="1h", context={"chain": "sol"}) as trade:
        buy(trade, size=100.0, scope={"btc_macro": "S2"})
        share = min(1.0, trade.trim("uptrend.S2.trim", {"btc_macro": "S2"}).multiplier / 2)
        print(f"sell {share:.0%} of it")
        trade.exit("uptrend.S3.stop", {"btc_macro": "S3"}, emergency=True)
        trade.close(rr=1.4, roi=0.12, pnl_usd=84.0)
    print("sent" if edgeloop.flush(timeout=30) else "waits on disk", edgeloop.status)
