"""Connect bots: sizes from the overrides, closes to Kafka.  `Connection` is for your own bot;
`edgeloop.integrations.freqtrade` and `edgeloop.integrations.nautilus` are for freqtrade and
nautilus_trader.  All of them write closes to disk before sending them, so that none is lost while
the broker is away.

May touch: the broker, the spool's folder.
"""

from edgeloop.integrations.connection import Connection
from edgeloop.integrations.decision import Decision
from edgeloop.integrations.sender import CloseSender, SenderStatus
from edgeloop.integrations.spool import Spool, SpoolError
from edgeloop.integrations.trade import Trade, TradeClosedError

__all__ = [
    "CloseSender",
    "Connection",
    "Decision",
    "SenderStatus",
    "Spool",
    "SpoolError",
    "Trade",
    "TradeClosedError",
]
