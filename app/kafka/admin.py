"""An admin client.

May touch: the broker.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError

from app.kafka.client import client_options
from app.kafka.connection_errors import why_unreachable
from app.kafka.retry import client_errors
from app.settings import Settings
from edgeloop.close_client import close_client


@asynccontextmanager
async def admin(settings: Settings, timeout_s: float = 10.0) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client.  Raises the error that `why_unreachable` returns."""
    options = client_options(settings, request_timeout_ms=round(timeout_s * 1000))
    client = AIOKafkaAdminClient(**options)
    try:
        with client_errors():
            await client.start()
    except (KafkaError, OSError) as error:
        await close_client(client)
        raise await why_unreachable(settings, error) from error
    try:
        yield client
    except (KafkaConnectionError, NodeNotReadyError) as error:
        raise await why_unreachable(settings, error) from error
    finally:
        await close_client(client)
