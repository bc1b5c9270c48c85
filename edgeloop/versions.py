"""The rule of every reader: the highest version of a key wins; among equals, the later record.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, ItemsView
from typing import Any, Generic, TypeVar

MAX_VERSION = 2**53 - 1
"""The largest integer that a double holds exactly, so that readers in any language agree; no log is
that long."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Latest(Generic[Key, Value]):
    """For each key the value that counts: the one with the highest version; among equals, the later
    one.  Versions only need to be comparable with the others of their key.  A tombstone is a value
    like any other (None): it counts until a higher version comes.

    >>> latest = Latest()
    >>> [latest.put("a", version, value) for version, value in ((2, "x"), (1, "y"), (2, "z"))]
    [True, False, True]
    >>> dict(latest.items()), latest.version("a"), latest.version("b")
    ({'a': 'z'}, 2, None)
    """

    def __init__(self) -> None:
        self._versions: dict[Key, Any] = {}
        self._values: dict[Key, Value] = {}

    def accepts(self, key: Key, version: Any) -> bool:
        """Whether a record of this version would count."""
        held = self._versions.get(key)
        return held is None or bool(version >= held)

    def put(self, key: Key, version: Any, value: Value) -> bool:
        """Keep the value if it counts; returns whether it does."""
        if not self.accepts(key, version):
            return False
        self._versions[key] = version
        self._values[key] = value
        return True

    def remove(self, key: Key) -> None:
        """Forget a key, and its version."""
        del self._versions[key], self._values[key]

    def items(self) -> ItemsView[Key, Value]:
        """Keys and the values that count, in the order in which the keys first came."""
        return self._values.items()

    def get(self, key: Key) -> Value | None:
        """The value that counts, or None."""
        return self._values.get(key)

    def version(self, key: Key) -> Any:
        """The highest version of a key, or None."""
        return self._versions.get(key)

    def versions(self) -> dict[Key, Any]:
        """The highest version of each key."""
        return dict(self._versions)
