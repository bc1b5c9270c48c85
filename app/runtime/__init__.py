"""The position manager's side: `OverrideBook`, which follows the overrides in memory, and the pure function `resolve`.

May touch: the broker (read only), through `OverrideBook`.  Needs neither Faust nor PostgreSQL.
"""

from app.runtime.book import OverrideBook
from app.runtime.resolve import Match, Resolution, resolve

__all__ = ["Match", "OverrideBook", "Resolution", "resolve"]
