"""The tables that can be exported, by name.

May touch: nothing; reading their rows touches the broker and, for the past, PostgreSQL (read only).
"""

from __future__ import annotations

from app.export.exported import Exported
from app.export.lessons import LESSONS
from app.export.modules import BASELINES, FACTORS, HISTORY, WEIGHTS
from app.export.overrides import CHANGES, OVERRIDES
from app.export.trades import TRADES

TABLES: dict[str, Exported] = {
    "lessons": LESSONS,
    "overrides": OVERRIDES,
    "changes": CHANGES,
    "history": HISTORY,
    "weights": WEIGHTS,
    "factors": FACTORS,
    "baselines": BASELINES,
    "trades": TRADES,
}
"""By name; `faust -A app export NAME --describe` prints the columns."""
