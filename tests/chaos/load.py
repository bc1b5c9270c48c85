"""The closes that producers send during the faults: good ones, repeated and in any order, with
hostile ones among them.

May touch: the broker.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Any, NamedTuple

from confluent_kafka import Producer

from app.settings import Settings
from schemas import kinds
from tests.hostile import BAD_HEADERS
from tests.pipeline.bad import STAMP, every_sort, huge
from tests.pipeline.installation import confluent_options
from tests.pipeline.planted import Log
from tests.pipeline.trades import Close, Generator

DELIVERED_WITHIN_S = 180.0
TICK_S = 0.25


class Item(NamedTuple):
    """A record for `position_closed`; `reason` is the one of its dead letter; None for a good
    one."""

    close: Close
    reason: str | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def good_closes(seed: int, trades: int, learning: str) -> list[Close]:
    """Closes, shuffled, with repetitions and corrections, from which something can be learned."""
    if learning == "integrated":
        log = Log(seed)
        return log.sent(log.trades(trades))
    generator = Generator(seed)
    return generator.sent(generator.log(trades))


def items(seed: int, trades: int, learning: str = "classic") -> list[Item]:
    """All records, in the order in which they are sent."""
    random = Random(f"hostile input of {seed}")
    fine = [name_value for name_value in BAD_HEADERS if type(name_value[0]) is str]
    good = [
        Item(close, None, fine if random.random() < 0.05 else ())
        for close in good_closes(seed, trades, learning)
    ]
    stamp_ms = round(STAMP.timestamp() * 1000)
    bad = [
        Item(Close(b.value, random.choice([None, b"k", b"\xff\xfe"]), stamp_ms), b.reason)
        for number in range(max(1, len(good) // 800))
        for b in every_sort(number)
    ]
    bad += [Item(Close(b.value, None, stamp_ms), b.reason) for b in huge()[:2]]
    mixed = good + bad
    random.shuffle(mixed)
    return mixed


class Load:
    """Sends the items at a steady rate, in a thread of its own, during the `with` block."""

    def __init__(self, settings: Settings, items: Sequence[Item], seconds: float) -> None:
        self._settings, self._items, self._seconds = settings, items, seconds
        self.places: dict[tuple[int, int], Item] = {}
        """Partition and offset of the records that the broker has acknowledged."""
        self.sent = 0
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(DELIVERED_WITHIN_S)

    def finish(self) -> None:
        """Return when everything is sent and acknowledged."""
        self._thread.join(self._seconds + DELIVERED_WITHIN_S)
        if self._thread.is_alive():
            self.problems.append("The producer does not end.")

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:
            self.problems.append(f"The producer failed: {error!r}.")

    def _send(self) -> None:
        producer = Producer(
            {
                **confluent_options(self._settings),
                "log_level": 0,  # a killed broker is expected
                "linger.ms": 5,
                "enable.idempotence": True,
                "message.max.bytes": 20_000_000,
                "message.timeout.ms": round(DELIVERED_WITHIN_S * 1000),
            }
        )
        topic = self._settings.topic(kinds.CLOSES)
        began = time.monotonic()
        while self.sent < len(self._items) and not self._stop.is_set():
            due = (time.monotonic() - began) / self._seconds * len(self._items)
            while self.sent < min(due, len(self._items)):
                item = self._items[self.sent]
                producer.produce(
                    topic,
                    item.close.value,
                    item.close.key,
                    timestamp=item.close.timestamp_ms,
                    headers=list(item.headers),
                    on_delivery=self._noted(item),
                )
                self.sent += 1
                producer.poll(0)
            producer.poll(0)
            self._stop.wait(TICK_S)
        if self._stop.is_set():  # the run has failed: records in flight no longer matter
            producer.purge()
            producer.flush(5)
            return
        left = producer.flush(DELIVERED_WITHIN_S)
        if left:
            self.problems.append(f"{left} records were not acknowledged.")

    def _noted(self, item: Item) -> Any:
        def note(error: Any, message: Any) -> None:
            if self._stop.is_set():
                return
            if error is not None:
                self.problems.append(f"A record was refused: {error}.")
            else:
                self.places[message.partition(), message.offset()] = item

        return note
