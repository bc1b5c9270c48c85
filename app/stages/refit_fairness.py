"""Which group is refitted next when more groups wait than there is time for.

May touch: nothing but its arguments, and the monotonic clock.

The order has no effect on what is learned, only on when: a refit depends on the trades of its group
alone.  Groups with enough trades to have lessons come first, but a quarter of the time is kept for
the others.  Within both, modules take turns by the seconds that they have used (start-time fair
queueing), and so do the groups of a module.  Neither many small groups nor a slow one delays the
rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import Protocol

from app.stages.pace import SMALL_GROUPS_PART


class Waiting(Protocol):
    """A group that waits."""

    @property
    def module(self) -> str:
        """The group's module."""

    @property
    def window(self) -> Sized:
        """Its trades; only their number matters."""


class Sized(Protocol):
    """Something with a number of trades, such as a window."""

    def __len__(self) -> int: ...


class _Line:
    """Groups of one kind: the seconds used by each module and group since nobody waited."""

    def __init__(self) -> None:
        self.used_s = 0.0
        self._module_s: dict[str, float] = {}
        self._group_s: dict[str, float] = {}
        self._now_s = 0.0
        self._now_of: dict[str, float] = {}
        self._modules: list[tuple[float, str]] = []
        self._groups: dict[str, list[tuple[float, int, str]]] = {}

    def fill(self, waiting: list[tuple[str, str]]) -> None:
        """Set the (module, group) pairs that wait, in the order in which they came."""
        self._groups = {}
        for place, (module, key) in enumerate(waiting):
            start = max(self._now_of.get(module, 0.0), self._group_s.get(key, 0.0))
            self._groups.setdefault(module, []).append((start, place, key))
        for groups in self._groups.values():
            heapify(groups)
        self._modules = [
            (max(self._now_s, self._module_s.get(module, 0.0)), module) for module in self._groups
        ]
        heapify(self._modules)

    def __bool__(self) -> bool:
        return bool(self._modules)

    def next(self) -> tuple[str, str]:
        """The (module, group) whose turn it is."""
        self._now_s, module = heappop(self._modules)
        start, _, key = heappop(self._groups[module])
        self._now_of[module] = self._group_s[key] = start
        return module, key

    def served(self, module: str, key: str, seconds: float) -> None:
        """Charge a (module, group) with the seconds that it took."""
        self.used_s += seconds
        self._group_s[key] += seconds
        self._module_s[module] = self._now_s + seconds
        if self._groups[module]:
            heappush(self._modules, (self._module_s[module], module))


class Turns:
    """The turns of the groups of one partition.  A group with `least` trades may have lessons.

    >>> from types import SimpleNamespace
    >>> waiting = {f"{module}{i}": SimpleNamespace(module=module, window=range(n))
    ...     for module, n in (("a", 50), ("b", 50), ("c", 1)) for i in range(2)}
    >>> clock = iter(range(100))
    >>> list(Turns(11, lambda: next(clock)).order(waiting))
    ['a0', 'c0', 'b0', 'a1', 'b1', 'c1']
    """

    def __init__(self, least: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._least = least
        self._clock = clock
        self._large, self._small = _Line(), _Line()

    def order(self, waiting: Mapping[str, Waiting]) -> Iterator[str]:
        """The keys of the groups, one after the other; each group is charged with the time until
        the caller asks for the next one."""
        large: list[tuple[str, str]] = []
        small: list[tuple[str, str]] = []
        for key, group in waiting.items():
            line = large if len(group.window) >= self._least else small
            line.append((group.module, key))
        self._large.fill(large)
        self._small.fill(small)
        while self._large or self._small:
            line_ = self._next_line()
            module, key = line_.next()
            began = self._clock()
            try:
                yield key
            finally:
                line_.served(module, key, self._clock() - began)
        # Nothing waits: past use no longer counts.
        self._large, self._small = _Line(), _Line()

    def _next_line(self) -> _Line:
        large, small = self._large, self._small
        if not (large and small):
            return large or small
        owed = SMALL_GROUPS_PART / (1 - SMALL_GROUPS_PART) * large.used_s
        return small if small.used_s < owed else large
