"""What ingest makes of closes, without Kafka: closes in, facts and dead letters out."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import msgspec

from app.deadletters.write import CUT_BYTES
from app.kafka.records import MAX_RECORD_BYTES, partition_of
from schemas.facts import PatternTradeEvent
from schemas.kinds import DEAD_LETTERS, FACTS
from tests.stages.making import SETTINGS, Message, close, facts_of


def test_a_close_becomes_a_fact_with_its_offset_as_version() -> None:
    (sent,) = facts_of(SETTINGS, [close(7, 1.5, "sol")])
    fact = msgspec.json.decode(sent.value or b"", type=PatternTradeEvent)
    assert (sent.topic, sent.key) == (FACTS, b"pm.a.b|entry")
    assert sent.partition == partition_of("pm.a.b|entry", SETTINGS.partitions)
    assert dict(sent.headers) == {
        "version": b"7",
        "content-type": b"application/json",
        "schema-version": b"1",
        "event-id": b"e7-0",
    }
    assert (fact.trade_id, fact.rr, fact.actions[0].scope) == ("t7", 1.5, {"chain": "sol"})


def test_the_settings_are_arguments() -> None:
    other = replace(SETTINGS, topic_prefix="x.", dimensions=("bucket",), partitions=1)
    (sent,) = facts_of(other, [close(7, 1.5, "sol")])
    assert (sent.topic, sent.partition) == (f"x.{FACTS}", 0)
    scope = msgspec.json.decode(sent.value or b"", type=PatternTradeEvent).actions[0].scope
    assert "chain" not in scope


def test_a_bad_record_is_a_dead_letter_and_the_good_one_beside_it_a_fact() -> None:
    bad = Message(b'{"event_id": 1}', b"key", partition=5, offset=9, timestamp=1250)
    letter, fact = facts_of(SETTINGS, [bad, close(1, 1.0, "sol")])
    headers = dict(letter.headers)
    assert (letter.topic, letter.key, letter.value) == (DEAD_LETTERS, b"key", bad.value)
    assert letter.partition == 5 % SETTINGS.partitions
    assert headers["source.partition"] == b"5"
    assert (headers["source.offset"], headers["source.timestamp"]) == (b"9", b"1250")
    assert headers["reason"]
    assert fact.topic == FACTS


def test_a_value_that_fits_no_record_is_cut_and_its_hash_kept() -> None:
    value = b"x" * MAX_RECORD_BYTES
    (letter,) = facts_of(SETTINGS, [Message(value)])
    headers = dict(letter.headers)
    assert letter.value == value[:CUT_BYTES]
    assert headers["value.length"] == str(len(value)).encode()
    assert headers["value.sha256"] == hashlib.sha256(value).hexdigest().encode()


def test_a_key_that_fits_no_record_is_cut_and_so_is_the_value() -> None:
    key = b"k" * MAX_RECORD_BYTES
    (letter,) = facts_of(SETTINGS, [Message(None, key)])
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (key[:CUT_BYTES], None)
    assert headers["key.length"] == str(len(key)).encode()
    assert headers["key.sha256"] == hashlib.sha256(key).hexdigest().encode()
    assert "value.length" not in headers
    (letter,) = facts_of(SETTINGS, [Message(b"x" * 2 * CUT_BYTES, key)])
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (key[:CUT_BYTES], b"x" * CUT_BYTES)
    assert headers["key.length"] == str(len(key)).encode()
    assert headers["value.length"] == str(2 * CUT_BYTES).encode()
