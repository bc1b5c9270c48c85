"""Migrations run once, in order, safely from two processes, and never with changed files."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import LEDGER, migrate, migrations, require_migrated

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(ROOT / "app" / "migrations", tmp_path / "migrations"))


async def _query(settings: Settings, sql: str) -> list[tuple]:
    connection = await connect(settings.database_url, settings.database_schema)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await close(connection)


async def test_applies_each_once_and_then_nothing(stack_settings: Settings):
    s = stack_settings
    names = [m.name for m in migrations()]
    assert await migrate(s.database_url, s.database_schema, dry_run=True) == names
    with pytest.raises(ConfigurationError, match="faust -A app migrate"):
        await require_migrated(s.database_url, s.database_schema)
    assert await migrate(s.database_url, s.database_schema) == names
    assert await migrate(s.database_url, s.database_schema) == []
    await require_migrated(s.database_url, s.database_schema)
    assert await _query(s, "SELECT count(*) FROM pm_overrides") == [(0,)]
    assert await _query(s, f"SELECT name, sha256 FROM {LEDGER}") == [
        (m.name, m.sha256) for m in migrations()
    ]


async def test_many_at_once_apply_it_once(stack_settings: Settings):
    s = stack_settings
    results = await asyncio.gather(*(migrate(s.database_url, s.database_schema) for _ in range(5)))
    assert sorted(map(len, results)) == [0, 0, 0, 0, len(migrations())]


async def test_refuses_a_file_that_changed_after_it_was_applied(
    stack_settings: Settings, folder: Path
):
    s = stack_settings
    await migrate(s.database_url, s.database_schema, folder=folder)
    first = folder / migrations()[0].name
    first.write_text(first.read_text() + "-- changed\n")
    with pytest.raises(ConfigurationError, match="was changed after"):
        await migrate(s.database_url, s.database_schema, folder=folder)
    with pytest.raises(ConfigurationError, match="was changed after"):
        await migrate(s.database_url, s.database_schema, folder=folder, dry_run=True)


async def test_refuses_a_database_that_is_ahead(stack_settings: Settings, folder: Path):
    s = stack_settings
    extra = folder / f"{len(migrations()) + 1:04d}_future.sql"
    extra.write_text("CREATE TABLE future (x int);")
    await migrate(s.database_url, s.database_schema, folder=folder)
    with pytest.raises(ConfigurationError, match=r"_future.sql, which this release"):
        await migrate(s.database_url, s.database_schema)


async def test_a_migration_that_fails_leaves_nothing_behind(stack_settings: Settings, folder: Path):
    s = stack_settings
    broken = folder / f"{len(migrations()) + 1:04d}_broken.sql"
    broken.write_text("CREATE TABLE half (x int); SELECT 1/0;")
    with pytest.raises(ConfigurationError, match="division by zero"):
        await migrate(s.database_url, s.database_schema, folder=folder)
    assert await _query(s, "SELECT to_regclass('half')") == [(None,)]
    assert await migrate(s.database_url, s.database_schema, folder=folder, dry_run=True) == [
        broken.name
    ]
    broken.write_text("CREATE TABLE half (x int);")
    assert await migrate(s.database_url, s.database_schema, folder=folder) == [broken.name]


def test_a_gap_in_the_numbers_is_refused(folder: Path):
    (folder / "0099_far.sql").write_text("SELECT 1;")
    with pytest.raises(ConfigurationError, match="not numbered"):
        migrations(folder)


async def test_errors_say_what_to_do():
    with pytest.raises(ConfigurationError, match="EDGELOOP_DATABASE_URL is not set"):
        await migrate("", "public")
    with pytest.raises(UnreachableError, match=r"not usable.*stack up") as caught:
        await migrate("postgresql://me:secret@127.0.0.1:1/x", "public")
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="not valid for the PostgreSQL client"):
        await migrate("postgresql://127.0.0.1:notaport/x", "public")


async def test_scope_has_a_gin_index(stack_settings: Settings):
    s = stack_settings
    await migrate(s.database_url, s.database_schema)
    found = await _query(
        s,
        f"SELECT tablename FROM pg_indexes WHERE schemaname = '{s.database_schema}' AND indexdef"
        " LIKE '%USING gin (scope)%'",
    )
    assert ("pm_overrides",) in found


def test_the_command(stack_settings: Settings):
    import os

    environment = {**os.environ, **stack_settings.environment()}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "faust", "-A", "app", "migrate", *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    dry = run("--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    names = [m.name for m in migrations()]
    assert json.loads(dry.stdout)["migrations"] == names
    assert json.loads(run("--json").stdout)["migrations"] == names
    again = run()
    assert again.returncode == 0
    assert "up to date" in again.stdout
    environment["EDGELOOP_DATABASE_URL"] = "postgresql://x@127.0.0.1:1/y"
    away = run()
    assert away.returncode == 4
    assert "not usable" in away.stderr
    assert "Traceback" not in away.stderr
