"""Output to a terminal: text without control characters, wherever its parts came from.

A scope value or a pattern key may hold an escape sequence, which would move the cursor, rename the
window or hide a line.  May touch: stdout and stderr, when asked to print.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_KEPT = "\t\n"
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
# Direction marks and overrides, with which text can be displayed in another order.
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_STRIPPED = dict.fromkeys([c for c in [*_CONTROLS, *_DIRECTIONS] if chr(c) not in _KEPT])


def plain(text: str) -> str:
    """`text` without control characters; tabs and line breaks stay.

    >>> plain("a\\x1b[2Jb\\x9bc\\td\\n")
    'a[2Jbc\\td\\n'
    """
    return text.translate(_STRIPPED)


def echo(message: Any = "", *, err: bool = False, nl: bool = True) -> None:
    """Print a line as `click.echo` does, without control characters."""
    click.echo(plain(str(message)), err=err, nl=nl)


class PlainConsole(Console):
    """A console that adds its own colours to text without control characters."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render anything, including tables and their cells."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(plain(segment.text), segment.style)


def console() -> Console:
    """The console for tables: as wide as the terminal, or wide enough for any table where there is
    none.  Text is never markup."""
    options: dict[str, Any] = {"markup": False, "emoji": False}
    found = PlainConsole(**options)
    return found if found.is_terminal else PlainConsole(width=320, **options)
