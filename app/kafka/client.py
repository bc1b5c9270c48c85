"""The options of every Kafka client, so that connections are configured in one place.

May touch: the files of certificates and secrets (read only); aiokafka: every consumer also
reads headers that are not UTF-8 (`edgeloop.tolerant`).
"""

from __future__ import annotations

import os
import socket
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, conn

from app.errors import ConfigurationError
from app.settings import Settings
from edgeloop import tolerant
from edgeloop.close_client import close_client
from edgeloop.kafka_security import SecurityError

tolerant.install()  # every client's options come from here, Faust's consumer's too

T = TypeVar("T", AIOKafkaConsumer, AIOKafkaProducer)

REQUEST_TIMEOUT_MS = 30_000
READ_BYTES = 8 << 20


def client_options(settings: Settings, **more: Any) -> dict[str, Any]:
    """The keyword arguments of an aiokafka client of this installation; `more` are added."""
    return {
        "bootstrap_servers": settings.broker,
        "request_timeout_ms": REQUEST_TIMEOUT_MS,
        **security_options(settings),
        **more,
    }


def security_options(settings: Settings) -> dict[str, Any]:
    """The part of the options that is about TLS and SASL.  Raises `ConfigurationError`."""
    try:
        return settings.kafka.client_options()
    except SecurityError as error:
        raise ConfigurationError(error.what, error.remedy) from error


async def started(client: T) -> T:
    """Start `client`, a consumer or a producer, and return it; close it if it cannot start.  Raises
    what its start raises.
    """
    try:
        await client.start()
    except BaseException:
        await close_client(client)
        raise
    return client


def read_large() -> None:
    """Make connections that this process opens from now on take in large responses in one go.

    aiokafka lets asyncio buffer 64 kB, stops reading, and wakes up whoever waits for the response:
    a fetch of 4 MB takes dozens of such turns, and a fifth of the CPU of reading in bulk.
    """
    conn.READER_LIMIT = max(conn.READER_LIMIT, READ_BYTES)


def faust_broker(settings: Settings) -> str:
    """The broker in the form of Faust's setting `broker`."""
    return ";".join(f"kafka://{address}" for address in settings.broker.split(","))


def faust_credentials(settings: Settings) -> Any:
    """The same options in the form of Faust's setting `broker_credentials`; None without TLS and
    SASL."""
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

    options, security = security_options(settings), settings.kafka
    context = options.get("ssl_context")
    if not security.sasl:
        return None if context is None else SSLCredentials(context)
    if "sasl_oauth_token_provider" in options:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    return SASLCredentials(
        username=security.user,
        password=security.password,
        ssl_context=context,
        mechanism=security.mechanism,
    )


def client_id() -> str:
    """The client id of this worker's connections, by which `faust -A app workers` distinguishes
    workers."""
    return f"edgeloop-{socket.gethostname()}-{os.getpid()}"
