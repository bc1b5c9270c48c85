"""The position manager's side of Edgeloop: the size overrides, followed in memory.

May touch: the broker (read only), through a book.

    async with OverrideBook("127.0.0.1:9092") as book:
        await book.ready(timeout=30)
        size *= book.resolve("uptrend.S1.entry", "add", {"chain": "sol"}).multiplier

`ThreadedOverrideBook` is the same for programs without asyncio, `resolve` the pure function on
records of the topic.  `canonical_pattern_key`, `canonical_scope` and `canonical_value` give keys
and scopes the form that records have.

| file | what |
|---|---|
| `book.py`, `threaded.py` | the overrides in memory, kept current |
| `shelf.py`, `promotions.py`, `versions.py` | which records of the topic are in force |
| `lookup.py` | the look-up: the overrides that match a context |
| `resolution.py` | the size: effects, gains and decay of those that have not expired |
| `overrides.py`, `prepared.py` | the record, and the record ready for use |
| `explore.py` | sizes drawn at random for a small share of decisions |
| `history.py` | the overrides as of any time, for back-tests |
| `pattern_key.py`, `scope.py`, `canonical.py`, `identity.py` | canonical keys and scopes, ids |
| `times.py` | the epoch |
| `cluster.py`, `kafka_security.py`, `tolerant.py`, `close_client.py`, `back_off.py` | Kafka |
| `integrations/` | connections of bots |
"""

from edgeloop.book import BookStatus, OverrideBook
from edgeloop.canonical import CanonicalError
from edgeloop.kafka_security import KafkaSecurity, SecurityError
from edgeloop.overrides import Override
from edgeloop.pattern_key import canonical_pattern_key
from edgeloop.resolution import Match, Resolution, resolve
from edgeloop.scope import canonical_scope, canonical_value
from edgeloop.threaded import ThreadedOverrideBook

__version__ = "0.1.0"

__all__ = [
    "BookStatus",
    "CanonicalError",
    "KafkaSecurity",
    "Match",
    "Override",
    "OverrideBook",
    "Resolution",
    "SecurityError",
    "ThreadedOverrideBook",
    "canonical_pattern_key",
    "canonical_scope",
    "canonical_value",
    "resolve",
]
