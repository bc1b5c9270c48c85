"""The options that say how to read files of trades, for the commands that read some.

May touch: nothing.  `base.py` does not have them, because every command imports it, and a worker
reads no files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from app.sources import KINDS

F = TypeVar("F", bound=Callable[..., Any])


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
