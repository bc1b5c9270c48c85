"""Shows that refresh in place on a terminal, and go on line by line where there is none.

May touch: stdout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.live import Live

Show = Callable[[RenderableType], None]


@contextmanager
def refreshing(console: Console) -> Iterator[Show]:
    """What is shown replaces what was shown before; without a terminal it follows it."""
    if not console.is_terminal:
        yield console.print
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda shown: live.update(shown, refresh=True)
