"""Bots, connected: sizes from the overrides, and closes to Kafka.

`Connection` is for your own bot; `edgeloop.integrations.freqtrade` and
`edgeloop.integrations.nautilus` are for those two programs.  All of them put closes on disk before
they are sent, so that none is lost while the broker is away.

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
