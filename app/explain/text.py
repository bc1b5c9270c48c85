"""An explanation in a terminal.

May touch: the console that is passed to it.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from app.explain.document import ContextDocument, OverrideDocument
from app.explain.sections import sections
from app.explain.sparklines import history


def show(document: OverrideDocument | ContextDocument, console: Console) -> None:
    """Print the sections of `document`."""
    for number, section in enumerate(sections(document)):
        console.print(Text(f"{'' if number == 0 else chr(10)}{section.title}", style="bold"))
        for sentence in section.sentences:
            console.print(Text(sentence))
        if section.plot is not None:
            for name, line in history(section.plot):
                console.print(Text(f"{name:9} {line}"))
        if section.table is not None:
            table = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
            for place, name in enumerate(section.table.columns):
                table.add_column(
                    Text(name), justify="right" if place in section.table.numbers else "left"
                )
            for row in section.table.rows:
                table.add_row(*map(Text, row))
            console.print(table)
