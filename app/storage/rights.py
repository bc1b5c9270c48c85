"""The rights that the projector needs in PostgreSQL, and whether it has them.

May touch: PostgreSQL (read only).
"""

from __future__ import annotations

import asyncpg

from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import tables

_TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_SQL = """
SELECT 'TEMPORARY on the database ' || current_database()
    WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
UNION ALL
SELECT 'USAGE on the schema ' || $1 WHERE NOT has_schema_privilege($1, 'USAGE')
UNION ALL
SELECT p || ' on ' || c.relname FROM pg_class c CROSS JOIN unnest($3::text[]) p
    WHERE c.relnamespace = to_regnamespace(quote_ident($1)) AND c.relname = ANY ($2::text[])
    AND NOT has_table_privilege(c.oid, p)
"""


async def missing_rights(connection: asyncpg.Connection, schema: str) -> list[str]:
    """Rights that the projector needs and this user does not have, in words."""
    rows = await connection.fetch(_SQL, schema, list(tables()), list(_TABLE_RIGHTS))
    return [row[0] for row in rows]


async def require_rights(settings: Settings) -> None:
    """Raise `ConfigurationError` if PostgreSQL would refuse the projector's writes, which would
    wait forever; `UnreachableError` if it accepts no writes from anybody."""
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        missing = await missing_rights(connection, settings.database_schema)
        user = await connection.fetchval("SELECT current_user")
        read_only = await connection.fetchval("SELECT current_setting('transaction_read_only')")
    finally:
        await close(connection)
    if read_only == "on":
        raise UnreachableError(
            "PostgreSQL accepts no writes (transaction_read_only is on): it is a standby, or was"
            " made read-only.",
            "Learning goes on, and the projector waits. Make it writable, or name the primary in"
            " EDGELOOP_DATABASE_URL (with several hosts: target_session_attrs=read-write).",
        )
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ConfigurationError(
            f"The PostgreSQL user {user} lacks the right {missing[0]}{more}; the projector cannot"
            " write.",
            f'As the owner run `faust -A app migrate`, then: GRANT edgeloop_writer TO "{user}" (and'
            " GRANT TEMPORARY ON DATABASE, if that is what is lacking).",
        )
