"""An index of the overrides of one group: those that match a context, in microseconds.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from edgeloop.explore import explored
from edgeloop.prepared import Prepared
from edgeloop.resolution import NO_MATCH, Columns, Resolution, Together
from edgeloop.scope import canonical_value

MAX_SPELLINGS = 10_000
"""Most values of one dimension that an index caches."""
MAX_REMEMBERED = 4_096
"""Most cached sets of matching overrides, over all indexes; one of 30 overrides takes some 4 kB."""
_WORD = (1 << 60) - 1


class GroupIndex:
    """The overrides of one group, immutable.  Override i is bit i.  For each dimension,
    `by_value[v]` has the bits of the overrides whose scope has v or does not have the dimension,
    and `indifferent` the bits of the latter.  The matches of a context are the intersection over
    the dimensions: one dictionary look-up and one `&` for each, with no loop over overrides.
    """

    def __init__(self, overrides: Iterable[Prepared]) -> None:
        # By id, so that sums and their last digits do not depend on the order of arrival.
        held = sorted(overrides, key=lambda o: o.override_id)
        self._columns = Columns(held)
        self._all = (1 << len(held)) - 1
        wanted: dict[str, dict[str | None, int]] = {}
        for i, override in enumerate(held):
            for dimension, value in override.items:
                values = wanted.setdefault(dimension, {})
                values[value] = values.get(value, 0) | 1 << i
        self._dimensions: list[tuple[str, dict[str | None, int], int]] = []
        for dimension, values in wanted.items():
            choosy = 0
            for bits in values.values():
                choosy |= bits
            indifferent = self._all & ~choosy
            by_value = {value: bits | indifferent for value, bits in values.items()}
            by_value[None] = indifferent
            self._dimensions.append((dimension, by_value, indifferent))
        # The most selective dimension first: the loop ends when no override is left.
        self._dimensions.sort(key=lambda entry: entry[2].bit_count())
        self._values = [(dimension, by_value) for dimension, by_value, _ in self._dimensions]

    def match(self, context: Mapping[str, object]) -> Together | None:
        """The overrides whose scope is contained in `context`, by id; None if there are none.

        The context's values may be raw.  Raises `CanonicalError`.
        """
        left = self._left(context)
        return _together(self, left) if left else None

    def _left(self, context: Mapping[str, object]) -> int:
        """The bits of the overrides that match."""
        left = self._all
        if type(context) is dict:
            # The usual case: every dimension has a value, spelled as before.
            try:
                for dimension, by_value in self._values:
                    left &= by_value[context[dimension]]
                    if not left:
                        break
            except (KeyError, TypeError):  # or one that cannot be looked up: an object, an array
                left = self._all
            else:
                return left
        for dimension, by_value, indifferent in self._dimensions:
            value = context.get(dimension)
            bits = by_value.get(value) if value is None or type(value) is str else None
            if bits is None:
                bits = self._canonical(dimension, by_value, indifferent, value)
            left &= bits
            if not left:
                break
        return left

    def together(self, left: int) -> Together:
        """The overrides of these bits."""
        places = []
        first = -1
        while left:
            part = left & _WORD  # small numbers are faster
            while part:
                low = part & -part
                places.append(first + low.bit_length())
                part ^= low
            left >>= 60
            first += 60
        return Together(self._columns, places)

    @staticmethod
    def _canonical(
        dimension: str, by_value: dict[str | None, int], indifferent: int, value: object
    ) -> int:
        text = canonical_value(value, dimension)
        bits = indifferent if text is None else by_value.get(text, indifferent)
        if type(value) is str and len(by_value) < MAX_SPELLINGS:
            # Cache this spelling, or this value that no override has.
            by_value[value] = bits
        return bits


@lru_cache(maxsize=MAX_REMEMBERED)
def _together(index: GroupIndex, left: int) -> Together:
    return index.together(left)


def answer(
    index: GroupIndex | None,
    scope: Mapping[str, object],
    at_s: float,
    share: float,
    key: str,
    action_category: str,
    decision_id: str | None,
) -> Resolution:
    """The answer of a group's index (None: it has no overrides) at `at_s` (Unix seconds).

    A decision with an id explores with this share of exploration.  Raises `CanonicalError`.
    """
    matched = index.match(scope) if index is not None else None
    if not matched:
        return NO_MATCH
    found = matched.at(scope, at_s)
    if decision_id is None or not share:
        return found
    return explored(found, share, key, action_category, decision_id)
