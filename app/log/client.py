"""The options of every Kafka client, so that connections are configured in one place.

May touch: the files of certificates and secrets (read only); aiokafka: every consumer also
reads headers that are not UTF-8 (`edgeloop.tolerant`).
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import structlog

from app.errors import ConfigurationError
from app.settings import Settings
from edgeloop import tolerant
from edgeloop.security import SecurityError

tolerant.install()  # whoever makes a client comes by here, and so does Faust's consumer

log = structlog.get_logger(__name__)

REQUEST_TIMEOUT_MS = 30_000
CLOSE_WITHIN_S = 5.0


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


async def close_client(client: Any, within_s: float = CLOSE_WITHIN_S) -> None:
    """Stop a consumer or a producer.  Raises only when cancelled.

    In a task of its own: a client whose broker is away answers a stop with the `CancelledError` of
    its own tasks, which would end whoever waits for it, and without a word.
    """
    closing = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({closing}, timeout=within_s)
    finally:
        closing.add_done_callback(_noted)
        if not closing.done():
            closing.cancel()  # one that cannot be closed is left to the garbage collector


def _noted(closing: asyncio.Future[Any]) -> None:
    if not closing.cancelled() and (error := closing.exception()) is not None:
        log.info("client.close_failed", error=repr(error))


def faust_broker(settings: Settings) -> str:
    """The broker as Faust's setting `broker` names it."""
    return ";".join(f"kafka://{address}" for address in settings.broker.split(","))


def faust_credentials(settings: Settings) -> Any:
    """The same options as Faust's setting `broker_credentials` names them; None for neither."""
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
