"""What the owner of partitions (`app.ownership`) asks of a stage that keeps state in memory.

May touch: nothing.  The stages derive from these classes, so an editor finds what implements each
method: `lesson_builder.py` and `override_materializer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from app.kafka.records import Outgoing
from app.settings import Settings


class Part(NamedTuple):
    """The offsets `start` to before `end` of a partition."""

    settings: Settings
    partition: int
    start: int
    end: int


class StateStore(Protocol):
    """A stage's state of one input partition.  Every call comes from one thread.

    `app.stages.lesson_builder.GroupStore` holds groups,
    `app.stages.override_materializer.ModuleStore` modules.
    """

    def fold(self, records: Sequence[Any], next_offset: int) -> None:
        """Fold records in the order of their offsets; `next_offset` is the store's version."""

    def take_over(self, folded: Any) -> None:
        """Start, before anything else, from what another process has folded; never called where the
        stage has no `read_apart`."""

    def adopt(self, published: Iterable[Any]) -> None:
        """Take these records, and no others, as the published ones."""

    def changes(self, full: bool) -> list[Outgoing]:
        """The records to send, which then count as published.

        Unless `full`, only differences that matter to readers.
        """

    @property
    def settled(self) -> bool:
        """True if `changes(full=True)` would be empty."""

    @property
    def unfinished(self) -> bool:
        """True if `changes` stopped early to let other partitions have their turn."""

    @property
    def progress(self) -> int | None:
        """While the store is not settled: the offset before which everything is settled; None if
        not known."""

    @property
    def needs_rebuild(self) -> bool:
        """Whether the state is valid only after folding the whole partition again."""


class OwnedStage(Protocol):
    """A stage that owns partitions of the topic `source` and publishes to `outputs` (no prefix).

    It is `app.stages.lesson_builder.LessonBuilder` or
    `app.stages.override_materializer.OverrideMaterializer`, as the agent of that name chooses.
    """

    @property
    def role(self) -> str:
        """The stage's name in logs, metrics and consumer groups."""

    @property
    def source(self) -> str:
        """The topic whose partitions are owned, without prefix."""

    @property
    def outputs(self) -> Sequence[str]:
        """The topics, without prefix, whose published records this stage owns and compares with its
        own."""

    @property
    def read_apart(self) -> Callable[[Part], Any] | None:
        """Folds a part of a partition in another process, and returns what `take_over` of an empty
        store takes.  None if that is not worth it."""

    def new_store(self, partition: int) -> StateStore:
        """An empty store."""

    def route(self, record: Any) -> int | None:
        """The partition of `source` whose owner publishes this record; None if it is unreadable.

        Only another program can have written such a record.
        """
