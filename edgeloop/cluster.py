"""The identity of a log: the ids that Kafka gives clusters and topics, and the leader epochs.

A name is not enough: a topic that was deleted and created again has the same name, and so has an
empty broker behind the same address.  aiokafka uses a version of the protocol without ids, so the
requests are defined here, in the way aiokafka defines its own.

May touch: the broker, over the connections of an aiokafka client.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_ANY_EPOCH = -1
_NO_REPLICA = -1
_OK, _UNKNOWN_TOPIC = 0, 3
_CONNECTION: Any = "cluster"
"""A connection of its own per broker.  A broker answers the requests of one connection in order: on
that of a reader, they would wait behind a fetch that waits for new records, and on that of its
group, behind a rebalance."""


class Topic(NamedTuple):
    """The current state of a topic: its id, and the leader's node and epoch for each partition."""

    id: str
    leaders: Mapping[int, tuple[int, int]]

    @property
    def partitions(self) -> list[int]:
        """The numbers of its partitions."""
        return sorted(self.leaders)


class Cluster(NamedTuple):
    """A cluster: its id, and the existing ones of the requested topics, by full name."""

    id: str
    topics: Mapping[str, Topic]


async def look(client: Any, names: Iterable[str]) -> Cluster | None:
    """Ask a random broker of `client` (an `AIOKafkaClient`) for `names`.

    None if the broker is too old to report ids.  Raises `KafkaError`.
    """
    try:
        request = _MetadataRequest(list(names))
        response = await client.send(client.get_random_node(), request, group=_CONNECTION)
    except (IncompatibleBrokerVersion, NotImplementedError):
        return None
    topics: dict[str, Topic] = {}
    for code, name, topic_id, _internal, partitions, *_ in response.topics:
        if code == _UNKNOWN_TOPIC:
            continue
        if code != _OK:
            raise for_code(code)(name)
        leaders = {number: (node, epoch) for _, number, node, epoch, *_ in partitions}
        topics[name] = Topic(topic_id, leaders)
    return Cluster(response.cluster_id or "", topics)


async def ends_of_epochs(
    client: Any, cluster: Cluster, epochs: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], int]:
    """(topic, partition) → the end of what was written up to the given epoch, from each leader; -1
    if the log has no epoch that late.  Partitions without a leader are left out, and all of them if
    the broker is too old to report it.
    """
    by_node: dict[int, dict[str, list[tuple[int, int, int, dict[int, bytes]]]]] = {}
    for (name, number), epoch in epochs.items():
        node, _ = cluster.topics[name].leaders[number]
        by_node.setdefault(node, {}).setdefault(name, []).append((number, _ANY_EPOCH, epoch, {}))
    found: dict[tuple[str, int], int] = {}
    for node, topics in by_node.items():
        wanted: list[Any] = [(name, partitions, {}) for name, partitions in topics.items()]
        try:
            response = await client.send(node, _EpochRequest(wanted), group=_CONNECTION)
        except (IncompatibleBrokerVersion, NotImplementedError):
            continue
        for name, partitions, _ in response.topics:
            for code, number, _epoch, end, _ in partitions:
                if code == _OK:
                    found[name, number] = end
    return found


class SameLog:
    """Compares what a reader has read of one topic with the current log.  It takes an
    `AIOKafkaConsumer` with an assignment, and the topic's full name."""

    def __init__(self, consumer: Any, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._was: Cluster | None = None
        self._read: dict[int, tuple[int, int]] = {}  # partition → position, and an epoch after it

    async def require(self) -> None:
        """Raise `ConnectionError` unless what was read belongs to the current log.  A topic that
        was created again, or a broker that was rolled back, begins again below what was read, and
        the old versions would win forever.
        """
        client = self._consumer._client
        positions = {
            tp.partition: await self._consumer.position(tp) for tp in self._consumer.assignment()
        }
        now = await look(client, [self._topic])
        if now is None or self._topic not in now.topics:
            return  # too old to report it, or the topic is just being created again
        topic, was = now.topics[self._topic], self._was
        if was is not None:
            if (now.id, topic.id) != (was.id, was.topics[self._topic].id):
                raise ConnectionError(f"{self._topic} was created again.")
            epochs = {(self._topic, number): epoch for number, (_, epoch) in self._read.items()}
            for (_, number), end in (await ends_of_epochs(client, now, epochs)).items():
                if end < self._read[number][0]:
                    raise ConnectionError(
                        f"{self._topic} was rolled back below what was read of it."
                    )
        self._was = now
        self._read = {
            number: (position, topic.leaders[number][1])
            for number, position in positions.items()
            if number in topic.leaders
        }


class _Uuid(AbstractType[str]):
    @classmethod
    def encode(cls, value: str) -> bytes:
        return uuid.UUID(hex=value).bytes

    @classmethod
    def decode(cls, data: BytesIO) -> str:
        return uuid.UUID(bytes=data.read(16)).hex


class _MetadataResponse(Response):
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Metadata12(RequestStruct):
    API_KEY = 3
    API_VERSION = 12
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _MetadataResponse
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest(Request[_Metadata12]):
    API_KEY = 3

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_Metadata12]) -> _Metadata12:
        by_name: list[Any] = [(uuid.UUID(int=0).hex, name, {}) for name in self._names]
        return request_struct_class(by_name, False, False, {})


class _EpochResponse(Response):
    API_KEY = 23
    API_VERSION = 4
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader_epoch", Int32),
                        ("end_offset", Int64),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Epoch4(RequestStruct):
    API_KEY = 23
    API_VERSION = 4
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _EpochResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("leader_epoch", Int32),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _EpochRequest(Request[_Epoch4]):
    API_KEY = 23

    def __init__(self, topics: list[Any]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Epoch4]) -> _Epoch4:
        return request_struct_class(_NO_REPLICA, self._topics, {})
