"""Open a connection to PostgreSQL, with errors that say what to do.

May touch: PostgreSQL.
"""

from __future__ import annotations

import asyncio

import asyncpg

from app.errors import ConfigurationError, UnreachableError
from app.settings import redact_url

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 20.0


async def connect(
    database_url: str, schema: str, *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> asyncpg.Connection:
    """A connection whose unqualified names are those of `schema`.

    Raises `ConfigurationError` if the URL is missing or invalid, `UnreachableError` if the server
    refuses the connection.
    """
    if not database_url:
        raise ConfigurationError(
            "EDGELOOP_DATABASE_URL is not set.",
            "Set it to the URL of a PostgreSQL database, such as"
            " postgresql://user:password@host:5432/name.",
        )
    try:
        return await asyncpg.connect(
            database_url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"search_path": schema, "application_name": "edgeloop"},
        )
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        # The server's words name user or database, never the password.
        raise UnreachableError(
            f"PostgreSQL at {redact_url(database_url)} is not usable:"
            f" {str(error) or type(error).__name__}.",
            "Start it (`faust -A app stack up` starts a local one) or correct"
            " EDGELOOP_DATABASE_URL.",
        ) from error
    except (ValueError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(
            f"EDGELOOP_DATABASE_URL ({redact_url(database_url)}) is not valid for the PostgreSQL"
            f" client: {error}.",
            "Expected a URL such as postgresql://user:password@host:5432/name.",
        ) from error


async def close(connection: asyncpg.Connection, *, timeout_s: float = 2.0) -> None:
    """Close cleanly, or abruptly after `timeout_s` or on any error.  Raises only when cancelled."""
    try:
        await asyncio.wait_for(connection.close(), timeout_s)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        pass
    finally:
        connection.terminate()
