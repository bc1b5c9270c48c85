"""What every command shares: registration on Faust's CLI, error exits and `--json` output.

May touch: stdout, stderr.  A command is a plain click command added with `@cli.command` or a group
from `@cli.group`.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import io
import logging
import os
import select
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
import orjson
import structlog
from aiokafka.errors import KafkaError
from faust.cli.base import cli
from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, TextColumn

from app.errors import EdgeloopError, UnreachableError, UsageError
from app.kafka.connection_errors import explained
from app.kafka.skipped import Skipped
from app.sources import KINDS
from app.sources.contradictions import Contradicted, lines, refuse
from app.sources.mapping import TableMapping
from app.terminal import console, echo

__all__ = [
    "check_can_ask",
    "cli",
    "console",
    "echo",
    "echo_json",
    "handle_errors",
    "import_later",
    "json_option",
    "named_or_refused",
    "now_ms",
    "source_options",
    "warn_skipped",
    "working",
    "yes_option",
]

_FULL = (errno.ENOSPC, errno.EDQUOT)

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")


def check_can_ask(as_json: bool) -> None:
    """Raise `UsageError` where a question would end up beside a JSON document."""
    if as_json:
        raise UsageError("--json cannot ask for confirmation.", "Add --yes or --dry-run.")


def source_options(command: F) -> F:
    """The options that say how to read FILES: `kind` (None: detected from each file) and `mapping`,
    as `app.sources.closes` takes them."""
    kind = click.option(
        "--from",
        "kind",
        type=click.Choice(KINDS),
        help="Format of the files (default: detected per file).",
    )
    mapping = click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="For tables: the TOML file that maps their columns.",
    )
    return kind(mapping(command))


def import_later(
    group: click.Group, modules: Mapping[str, str], before_others: Callable[[], None] = lambda: None
) -> None:
    """Have `group` import `app.commands.<module>` (by command) when the command is asked for, and
    all of them when its commands are listed.

    `before_others` is called when another command is asked for.
    """
    get, listed = group.get_command, group.list_commands

    def get_command(ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in modules:
            import_module(f"app.commands.{modules[cmd_name]}")
        else:
            before_others()
        return get(ctx, cmd_name)

    def list_commands(ctx: click.Context) -> list[str]:
        for module in modules.values():
            import_module(f"app.commands.{module}")
        return listed(ctx)

    group.get_command = get_command  # type: ignore[method-assign]
    group.list_commands = list_commands  # type: ignore[method-assign]


def handle_errors(command: F) -> F:
    """Turn an `EdgeloopError` into its message on stderr and its exit code; anything else is a bug
    and keeps its traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # aiokafka logs errors on the way (a broker away, a new topic's leader unknown). They are
        # retried, or end in our own message.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        _write_in_any_encoding()
        if not structlog.is_configured():  # its default is stdout, where documents are
            structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))
        try:
            return command(*args, **kwargs)
        except EdgeloopError as error:
            _exit_with(error)
        except BrokenPipeError as error:
            if not _reader_has_left():
                _exit_with(_away(error))
            _drop_output()
            sys.exit(EdgeloopError.exit_code)
        except (KafkaError, ConnectionError, asyncio.CancelledError) as error:
            # A cancellation that reaches this point comes from a client that has given up a
            # request.
            _exit_with(explained(error) or _away(error))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _drop_output()
            _exit_with(EdgeloopError(f"Cannot write: {error.strerror}.", "Free some space."))

    return wrapper  # type: ignore[return-value]


def _write_in_any_encoding() -> None:
    """Let a terminal or pipe whose encoding lacks a character get its escape (`\\xd7`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Send what is still buffered nowhere: Python would fail to write it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _reader_has_left() -> bool:
    """Whether the program that reads our output, such as `head`, has ended."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(events & select.POLLERR for _, events in poll.poll(0))
    except (OSError, ValueError):  # stdout is no file, or is closed
        return False


def _away(error: BaseException) -> UnreachableError:
    return UnreachableError(
        f"Kafka or the connection to it failed in the middle of the command: {error!r}.",
        "Run: faust -A app doctor.  If it finds nothing, run the command again.",
    )


def _exit_with(error: EdgeloopError) -> NoReturn:
    echo(f"Error: {error.what}", err=True)
    if error.remedy:
        echo(f"       {error.remedy}", err=True)
    sys.exit(error.exit_code)


def warn_skipped(skipped: Skipped) -> None:
    """Name the records that could not be read, on stderr."""
    for line in skipped.lines():
        echo(f"Warning: {line}", err=True)


def named_or_refused(found: Sequence[Contradicted], mapping: TableMapping) -> None:
    """Raise `BadDataError` for what figures in files say against a mapping; name it on stderr if
    the mapping accepts it."""
    refuse(found, mapping)
    for line in lines(found, accepted=True):
        echo(line, err=True)


def now_ms() -> int:
    """Milliseconds since 1970; closes from files get it as their record timestamp."""
    return time.time_ns() // 1_000_000


def working(*columns: ProgressColumn) -> Progress:
    """Progress on stderr: a spinner, what is being done, then `columns`; removed at the end, and
    not shown without a terminal."""
    terminal = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        *columns,
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    )


def echo_json(document: Any) -> None:
    """Print `document` as one line of JSON with sorted keys."""
    echo(orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode())
