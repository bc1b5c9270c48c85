"""What every command shares: registration on Faust's CLI, error exits and `--json` output.

May touch: stdout, stderr.  A command is a plain click command added with `@cli.command` or a group from `@cli.group`.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from faust.cli.base import cli
from rich.console import Console

from app.errors import EdgeloopError
from app.sources import KINDS

__all__ = ["cli", "console", "echo_json", "handle_errors", "json_option", "source_options"]

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def source_options(command: F) -> F:
    """The options that say how to read FILES: `kind` (None: told from each file) and `mapping`, as `app.sources.closes` takes them."""
    kind = click.option("--from", "kind", type=click.Choice(KINDS), help="What the files are (default: told from each file).")
    mapping = click.option(
        "--mapping",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="For tables: the TOML file that says what columns mean.",
    )
    return kind(mapping(command))


def handle_errors(command: F) -> F:
    """Turn an `EdgeloopError` into its message on stderr and its exit code; anything else is a bug and keeps its traceback."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # What aiokafka has to say on a command's way (a broker away, a new topic's leader unknown) ends in our own sentence, or well.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        try:
            return command(*args, **kwargs)
        except EdgeloopError as error:
            click.echo(f"Error: {error.what}", err=True)
            if error.remedy:
                click.echo(f"       {error.remedy}", err=True)
            sys.exit(error.exit_code)

    return wrapper  # type: ignore[return-value]


def console() -> Console:
    """Where tables are printed: as wide as the terminal, and wide enough for any table where there is none."""
    found = Console()
    return found if found.is_terminal else Console(width=240)


def echo_json(document: Any) -> None:
    """Print `document` as one line of JSON with sorted keys."""
    click.echo(orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode())
