"""A bot's connection to Edgeloop: the book that sizes, and the spool and sender that report.

May touch: the broker, the spool's folder, two daemon threads; the environment, on request.

    with Connection.from_environment(spool="spool") as edgeloop:
        with edgeloop.trade("T-1001", symbol="BONK", timeframe="1h") as trade:
            size = 100 * trade.entry("uptrend.S1.entry", {"btc_macro": "S2"}).multiplier
            ...
            trade.exit("uptrend.S3.trim", {"btc_macro": "S3"})
            trade.close(rr=1.4, roi=0.12, pnl_usd=84.0)
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from edgeloop.integrations.decision import Book
from edgeloop.integrations.sender import CloseSender, SenderStatus
from edgeloop.integrations.spool import Spool
from edgeloop.integrations.trade import Trade
from edgeloop.kafka_security import KafkaSecurity
from edgeloop.threaded import ThreadedOverrideBook

F = TypeVar("F", bound=Callable[..., Any])


class Connection:
    """One bot's connection.

    `spool`: a folder of its own, in which closes wait while the broker is away.  `book` answers
    instead of a book on `broker`, for instance an `OverrideHistory`.  `module` names the bot's
    patterns.  `security` is TLS and SASL; its user reads `pm_overrides` and writes
    `position_closed`.  `client_options` go to aiokafka's clients, `book_options` to the book.  It
    starts without a broker: sizes are neutral until one answers.
    """

    def __init__(
        self,
        broker: str,
        *,
        spool: str | Path,
        topic_prefix: str = "",
        module: str = "pm",
        book: Book | None = None,
        security: KafkaSecurity | None = None,
        client_options: Mapping[str, Any] | None = None,
        **book_options: Any,
    ) -> None:
        self.module = module
        self.spool = Spool(spool)
        self._started = False
        self._own_book: ThreadedOverrideBook | None = None
        if book is None:
            book = self._own_book = ThreadedOverrideBook(
                broker,
                topic_prefix=topic_prefix,
                security=security,
                client_options=client_options,
                **book_options,
            )
        self.book: Book = book
        self.sender = CloseSender(
            broker,
            self.spool,
            topic_prefix=topic_prefix,
            security=security,
            client_options=client_options,
        )

    @classmethod
    def from_environment(cls, *, spool: str | Path, **options: Any) -> Connection:
        """With EDGELOOP_BROKER, EDGELOOP_TOPIC_PREFIX and EDGELOOP_KAFKA_*, as workers read them.

        Raises `SecurityError`, which names the variable.
        """
        return cls(
            os.environ.get("EDGELOOP_BROKER") or "127.0.0.1:9092",
            spool=spool,
            topic_prefix=os.environ.get("EDGELOOP_TOPIC_PREFIX", ""),
            security=KafkaSecurity.from_environment(),
            **options,
        )

    def __enter__(self) -> Connection:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Follow the overrides, and send what waits in the spool."""
        self._started = True
        if self._own_book is not None:
            self._own_book.__enter__()
        self.sender.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Send what can be sent within `timeout` seconds, and stop; returns whether nothing is
        left."""
        done = self.sender.stop(timeout)
        if self._own_book is not None and self._started:
            self._own_book.__exit__(None, None, None)
        self.spool.close()
        return done

    def ready(self, timeout: float) -> bool:
        """Wait until the overrides are known; False after `timeout` seconds."""
        if not self._started:
            raise RuntimeError("The connection has not been started; call start() or use `with`.")
        return self._own_book is None or self._own_book.ready(timeout)

    def flush(self, timeout: float) -> bool:
        """Wait until Kafka has every close; False after `timeout` seconds."""
        return self.sender.flush(timeout)

    @property
    def status(self) -> SenderStatus:
        """How many closes wait, were sent and were refused."""
        return self.sender.status

    def trade(self, trade_id: str, **about: Any) -> Trade:
        """The open trade `trade_id`: a new one, or the one that this or an earlier process has
        begun.

        `about`: `symbol`, `timeframe`, `bucket`, `chain`, `context` (scope at entry), if known.
        """
        return Trade(self.book, self.spool, self.sender.send, self.module, trade_id, about)

    def sized(
        self, pattern_key: str, action_category: str, *, size: str = "size", scope: str = "scope"
    ) -> Callable[[F], F]:
        """A decorator for a function that places an order for a trade.

            @edgeloop.sized("uptrend.S1.entry", "entry")
            def buy(trade, size, scope): ...

            buy(trade, size=100, scope={"btc_macro": "S2"})     # size arrives as 100 × multiplier

        The function's argument `trade` is the `Trade`.  The action is recorded once the function
        has returned; if it raises, no action is recorded.  Coroutines work in the same way.
        """

        def decorate(function: F) -> F:
            signature = inspect.signature(function)

            def asked(args: Any, kwargs: Any) -> tuple[Trade, Any, inspect.BoundArguments]:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                trade: Trade = bound.arguments["trade"]
                decision = trade.decide(
                    pattern_key, action_category, bound.arguments.get(scope) or {}
                )
                bound.arguments[size] *= decision.multiplier
                return trade, decision, bound

            if inspect.iscoroutinefunction(function):

                @functools.wraps(function)
                async def wait(*args: Any, **kwargs: Any) -> Any:
                    trade, decision, bound = asked(args, kwargs)
                    done = await function(*bound.args, **bound.kwargs)
                    trade.record(decision)
                    return done

                return wait  # type: ignore[return-value]

            @functools.wraps(function)
            def call(*args: Any, **kwargs: Any) -> Any:
                trade, decision, bound = asked(args, kwargs)
                done = function(*bound.args, **bound.kwargs)
                trade.record(decision)
                return done

            return call  # type: ignore[return-value]

        return decorate
