"""What commands that read files of trades share: the options that say how, and what is said of a
mapping that figures in them contradict.

May touch: stderr.  This is not in `base.py`, because every command imports that, and a worker reads
no files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from app.sources import KINDS
from app.sources.contradictions import Contradicted, lines, refuse
from app.sources.mapping import TableMapping
from app.terminal import echo

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


def named_or_refused(found: Sequence[Contradicted], mapping: TableMapping) -> None:
    """Raise `BadDataError` for what figures in files say against a mapping; name it on stderr if
    the mapping accepts it."""
    refuse(found, mapping)
    for line in lines(found, mapping):
        echo(line, err=True)
