"""An owned partition: its state and its progress.

May touch: nothing but its arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from app.stages.owned import StateStore


class PartitionState(Enum):
    """The state of a partition in the protocol."""

    HYDRATING = auto()
    """It is being read from the beginning, and takes no records from Faust."""
    CURRENT = auto()
    """Every record before its next offset is folded or pending."""
    BEHIND = auto()
    """The log must be read from its next offset on, at least up to `known_end`."""


@dataclass(slots=True)
class Partition:
    """One partition that this worker owns.

    `next_offset` is the next offset to accept, `pending` the accepted records not yet folded.
    `folded` is true if something was folded since the last refit.  Times are of the monotonic
    clock.  `done_offset` is the progress to note, `noted_offset` the progress noted last.
    """

    number: int
    store: StateStore
    state: PartitionState = PartitionState.HYDRATING
    next_offset: int = 0
    known_end: int = 0
    pending: list[Any] = field(default_factory=list)
    folded: bool = False
    last_new_s: float = 0.0
    last_refit_s: float = 0.0
    last_full_s: float = 0.0
    done_offset: int | None = None
    noted_offset: int | None = None

    def receive(self, records: Sequence[Any], now_s: float) -> None:
        """Take in records from Faust, in the order of their offsets (step 2)."""
        if self.state is PartitionState.HYDRATING:
            return
        new = [record for record in records if record.offset >= self.next_offset]
        if not new:
            return
        last = new[-1].offset
        consecutive = new[0].offset == self.next_offset and last - new[0].offset == len(new) - 1
        if self.state is PartitionState.CURRENT and consecutive:
            self.pending += new
            self.next_offset = last + 1
        else:
            self._receive_one_by_one(new)
        self.last_new_s = now_s

    def _receive_one_by_one(self, records: Sequence[Any]) -> None:
        for record in records:
            if self.state is PartitionState.BEHIND or record.offset > self.next_offset:
                self.fall_behind(record.offset + 1)
            elif record.offset == self.next_offset:
                self.pending.append(record)
                self.next_offset += 1

    def fall_behind(self, known_end: int) -> None:
        """The log must be read further, at least up to `known_end`."""
        self.known_end = max(self.known_end, known_end)
        self.state = PartitionState.BEHIND

    def read_to(self, next_offset: int) -> None:
        """The log was folded up to here."""
        self.next_offset = next_offset
        self.folded = True

    def caught_up(self) -> None:
        """The end of the log was reached."""
        if self.known_end <= self.next_offset:
            self.state = PartitionState.CURRENT

    def take_pending(self) -> tuple[list[Any], int]:
        """The pending records, to be folded, and the offset after them."""
        batch, self.pending = self.pending, []
        return batch, self.next_offset

    @property
    def owes_refit(self) -> bool:
        """Whether there may be something to publish, and the state is valid."""
        return not self.store.settled and not self.store.needs_rebuild

    def note_done(self) -> None:
        """Update the progress (step 4) if nothing is left to fold or send, or nothing from before
        an offset."""
        if self.store.needs_rebuild:
            return
        if self.store.settled and not self.pending:
            self.done_offset = self.next_offset
        elif progress := self.store.progress:
            self.done_offset = max(progress, self.done_offset or 0)
