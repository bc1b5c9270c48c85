"""lesson_builder: `pattern_trade_events` → `learning_lessons`, `learning_edge_history`.

May touch: the broker, through `app.ownership`.
"""

from __future__ import annotations

import faust

from app.ownership import PartitionOwner
from app.settings import Settings
from app.stages.lesson_builder import LessonBuilder
from app.worker.process import raw_topic


def attach(app: faust.App, settings: Settings) -> None:
    """Let `app` run this agent."""
    stage = LessonBuilder(settings)
    owner = PartitionOwner(app, settings, stage)
    app.agent(raw_topic(app, settings, stage.source), concurrency=1, name=stage.role)(owner.follow)
