"""A field of a mapping as a draft has it.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Spec:
    """A field's columns and the other keys of its entry in the mapping, with a comment."""

    columns: list[str]
    keys: dict[str, Any] = field(default_factory=dict)
    comment: str = ""

    @property
    def column(self) -> str:
        """The first column."""
        return self.columns[0]


Fields = dict[str, Spec]

Names = dict[str, str]
"""The columns' names as names are compared, by column."""
