"""What figures in files say against a mapping, and how it is said: a question may have been
answered wrongly, or a mapping edited.

May touch: nothing.  `comparing.py` finds it; that needs all that drafts a mapping, and is imported
only where a table is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.errors import BadDataError
from app.sources.mapping import ACCEPT, TableMapping

_TITLE = "The file contradicts the mapping, or the mapping leaves something open:"
_ACCEPTED = "What the file contradicts, or is left open, which the mapping accepts:"


@dataclass(frozen=True)
class Contradicted:
    """What to check, as a sentence, how many rows speak against the mapping, and the first of them
    (`trades.csv:3`); none where it is about all of them."""

    sentence: str
    rows: int = 0
    places: tuple[str, ...] = ()

    def line(self) -> str:
        """The sentence with the first rows."""
        more = f" and {self.rows - len(self.places):,} more" if self.rows > len(self.places) else ""
        where = f"  Rows: {', '.join(self.places)}{more}." if self.places else ""
        return f"{self.sentence}{where}"


Against = Callable[[Sequence[Contradicted], TableMapping], None]
"""Called with what contradicts a mapping."""


def refuse(found: Sequence[Contradicted], mapping: TableMapping) -> None:
    """Raises `BadDataError` for contradictions that the mapping does not accept."""
    if found and not _accepts(mapping):
        raise BadDataError(
            f"{_TITLE} {found[0].line()}",
            f'Correct {mapping.path}; or write contradictions = "{ACCEPT}" at its top, if it is'
            " right.",
        )


def lines(found: Sequence[Contradicted], mapping: TableMapping | None) -> Iterator[str]:
    """The contradictions with a mapping as text; nothing if there are none."""
    if not found:
        return
    yield _ACCEPTED if mapping is not None and _accepts(mapping) else _TITLE
    for one in found:
        yield f"  {one.line()}"


def _accepts(mapping: TableMapping) -> bool:
    return mapping.contradictions == ACCEPT
