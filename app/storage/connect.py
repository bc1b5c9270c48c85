"""Open a connection to PostgreSQL, with errors that say what to do.

May touch: PostgreSQL.
"""

from __future__ import annotations

import asyncio
import ssl

import asyncpg

from app.errors import ConfigurationError, UnreachableError
from app.urls import redact_url

CONNECT_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 20.0
_PASSING = ("08", "53", "57")
"""Classes of SQLSTATE: connection, resources, intervention of an operator."""


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
        connection = await asyncpg.connect(
            database_url,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=command_timeout_s,
            server_settings={"search_path": schema, "application_name": "edgeloop"},
        )
        pooled = await connection.fetchval("SELECT pg_backend_pid()") != connection.get_server_pid()
    except (asyncpg.PostgresError, OSError, TimeoutError) as error:
        if isinstance(error, asyncpg.PostgresError) and "startup parameter" in str(error):
            raise _pooled(database_url) from error
        # The server's message names the user or the database, never the password.
        raise UnreachableError(
            f"PostgreSQL at {redact_url(database_url)} is not usable:"
            f" {str(error) or type(error).__name__}.",
            _remedy(error),
        ) from error
    except (ValueError, asyncpg.InterfaceError) as error:
        raise ConfigurationError(
            f"EDGELOOP_DATABASE_URL ({redact_url(database_url)}) is not valid for the PostgreSQL"
            f" client: {error}.",
            "Expected a URL such as postgresql://user:password@host:5432/name.",
        ) from error
    if pooled:
        await close(connection)
        raise _pooled(database_url)
    return connection


def is_transient(error: asyncpg.PostgresError) -> bool:
    """Whether waiting may help: the connection was lost, or the server stops, starts, is out of
    resources, or accepts no writes at the moment.

    >>> is_transient(asyncpg.AdminShutdownError())
    True
    >>> is_transient(asyncpg.InsufficientPrivilegeError())
    False
    """
    state = error.sqlstate or ""
    return state[:2] in _PASSING or state == asyncpg.ReadOnlySQLTransactionError.sqlstate


def _remedy(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError) or "SSL" in str(error):
        return (
            "Check sslmode and sslrootcert in EDGELOOP_DATABASE_URL, the server's certificate (its"
            " dates, and the name that the URL gives the server) and this machine's clock."
        )
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):
        return (
            "Correct user and password in EDGELOOP_DATABASE_URL, or the file that passfile names."
        )
    return "Start it (`faust -A app stack up` starts a local one) or correct EDGELOOP_DATABASE_URL."


def _pooled(database_url: str) -> ConfigurationError:
    """Whether there is a connection pooler in between, which the server's process id reveals.
    Migrations hold a lock and the projector a temporary table in their session, which a pooler may
    give to another client."""
    return ConfigurationError(
        f"A connection pooler such as PgBouncer is in front of PostgreSQL at"
        f" {redact_url(database_url)}.",
        "Name the server itself: a worker has one connection, which it keeps, and needs its search"
        " path, locks and temporary tables.",
    )


async def close(connection: asyncpg.Connection, *, timeout_s: float = 2.0) -> None:
    """Close cleanly, or abruptly after `timeout_s` or on any error.  Raises only when cancelled."""
    try:
        await asyncio.wait_for(connection.close(), timeout_s)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        pass
    finally:
        connection.terminate()
