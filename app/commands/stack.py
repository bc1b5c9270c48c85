"""`faust -A app stack`: a local Kafka and PostgreSQL in a folder, for development, the demo, tests
and benchmarks.

May touch: the stack's folder, the per-user cache, processes of the stack; the network, the first
time.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from app import devstack
from app.commands.base import cli, echo, echo_json, handle_errors, json_option, yes_option

directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=devstack.DEFAULT_DIRECTORY,
    show_default=True,
    help="Where the stack keeps its data and logs.",
)


@cli.group("stack")
def stack() -> None:
    """Run a local Kafka and PostgreSQL; neither Docker nor Java is needed.

    Both listen on the loopback interface only. PostgreSQL needs a password (it is in the URL),
    Kafka only after `up --secure`. For development only: PostgreSQL does not wait for the disk
    (fsync is off).

    \b
    Examples:
      faust -A app stack up
      faust -A app stack status
      faust -A app stack down
    """


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A reporter of progress on stderr: one changing line on a terminal, else a line each."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda message: echo(message, err=True)
        return
    with console.status("Checking the stack") as line:
        yield line.update


def _addresses(info: devstack.StackInfo) -> dict[str, Any]:
    more = {"settings": dict(info.security)} if info.security else {}
    return {"broker": info.broker, "database_url": info.database_url, **more}


def _echo_addresses(info: devstack.StackInfo) -> None:
    echo("The stack is up. Set these for the other commands:")
    echo(f"  export EDGELOOP_BROKER={info.broker}")
    echo(f"  export EDGELOOP_DATABASE_URL={info.database_url}")
    for name, value in info.security.items():
        echo(f"  export {name}={shlex.quote(value)}")
    if info.security:
        folder = Path(info.security["EDGELOOP_KAFKA_CA"]).parent
        echo(f"This user is Kafka's administrator. For other users, source one of {folder}/*.env")
    echo(f"Data and logs: {info.directory}")


@stack.command("up")
@directory_option
@click.option(
    "--secure",
    is_flag=True,
    help="Create Kafka with TLS, passwords and access control (for a new stack).",
)
@json_option
@handle_errors
def stack_up(directory: Path, secure: bool, as_json: bool) -> None:
    """Start the stack and return once it is ready; it keeps running in the background.

    Does nothing if it is already running. The first run downloads Kafka (44 MB) into a per-user
    cache shared by all clones ($EDGELOOP_CACHE_DIR, else $XDG_CACHE_HOME/edgeloop, else
    ~/.cache/edgeloop); after that, no network is needed. With --json, the last line on stdout is
    {"broker": "127.0.0.1:PORT", "database_url": "postgresql://..."}.

    With --secure, Kafka accepts only TLS connections and has a user for each role, who has no
    rights until `topics acls --apply` grants them. An existing stack cannot be switched. --json
    then includes "settings".

    \b
    Examples:
      faust -A app stack up
      faust -A app stack up --dir /tmp/second-stack
      faust -A app stack up --dir /tmp/secure-stack --secure
      faust -A app stack up --json | tail -n 1
    """
    with _progress() as report:
        info = devstack.up(directory, report=report, secure=secure)
    if as_json:
        echo_json(_addresses(info))
    else:
        _echo_addresses(info)


@stack.command("status")
@directory_option
@json_option
@handle_errors
def stack_status(directory: Path, as_json: bool) -> None:
    """Show whether the stack is running, and where; exit with code 4 if it is not.

    \b
    Examples:
      faust -A app stack status
      faust -A app stack status --json
    """
    status = devstack.status(directory)
    if as_json:
        addresses = (
            _addresses(status.info) if status.info else {"broker": None, "database_url": None}
        )
        echo_json(
            {
                "up": status.is_up,
                "broker_running": status.broker_running,
                "database_running": status.database_running,
                **addresses,
            }
        )
    elif status.info:
        _echo_addresses(status.info)
        echo(f"Process ids: Kafka {status.info.broker_pid}, PostgreSQL {status.info.database_pid}")
    else:
        for name, running in (
            ("Kafka", status.broker_running),
            ("PostgreSQL", status.database_running),
        ):
            echo(f"{name} is {'running' if running else 'not running'}.")
        echo("Start the stack with: faust -A app stack up")
    sys.exit(0 if status.is_up else 4)


@stack.command("down")
@directory_option
@json_option
@handle_errors
def stack_down(directory: Path, as_json: bool) -> None:
    """Stop the stack; its data is kept for the next `up`.

    \b
    Examples:
      faust -A app stack down
    """
    devstack.down(directory)
    if as_json:
        echo_json({"up": False})
    else:
        echo("The stack is stopped; its data is kept (`stack reset` deletes it).")


@stack.command("reset")
@directory_option
@yes_option
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, without deleting it.")
@json_option
@handle_errors
def stack_reset(directory: Path, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Stop the stack and delete its topics, tables and logs. The per-user cache stays.

    \b
    Examples:
      faust -A app stack reset --dry-run
      faust -A app stack reset --yes
    """
    folders = devstack.data_of(directory)
    if folders and not yes and not dry_run:
        click.confirm(f"Delete {' and '.join(map(str, folders))}?", abort=True, err=True)
    if not dry_run:
        devstack.reset(directory)
    if as_json:
        echo_json(
            {
                "deleted": [] if dry_run else list(map(str, folders)),
                "would_delete": list(map(str, folders)) if dry_run else [],
            }
        )
    elif not folders:
        echo(f"There is no stack in {directory}.")
    else:
        echo(
            ("Would stop the stack and delete: " if dry_run else "Deleted: ")
            + ", ".join(map(str, folders))
        )
