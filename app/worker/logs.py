"""Logging of a worker: structlog to stderr, as text or JSON, with repeated messages of libraries
limited.

May touch: the logging configuration of the process, when Faust sets it up from `logging_config`.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import structlog

from app import terminal
from app.settings import Settings

PER_MINUTE = 6
"""Equal messages per minute from one library logger; otherwise a broker that is unreachable for 60
s causes 5 400 lines."""


class RateLimit(logging.Filter):
    """Passes the first `PER_MINUTE` records per minute from one place in the code, and reports how
    many it dropped."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write the record; critical ones always are."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        since, count = self._seen.get(place, (now, 0))
        if now - since >= 60.0:
            if count > PER_MINUTE:
                record.msg = (
                    f"{record.msg} [{count - PER_MINUTE} more like this in the last minute]"
                )
            since, count = now, 0
        self._seen[place] = (since, count + 1)
        return count < PER_MINUTE or record.levelno >= logging.CRITICAL


def handler(log_format: str) -> logging.Handler:
    """A handler on stderr that writes all records in one format, limiting those of libraries."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor
    if log_format == "json":
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        # Plain tracebacks: the rich ones show local variables, which may hold secrets.
        plain = structlog.dev.plain_traceback
        shared.append(_without_controls)
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=plain
        )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    limit = RateLimit()
    stream.addFilter(
        lambda record: record.name.startswith(("app.", "agents.")) or limit.filter(record)
    )
    return stream


def _without_controls(
    _logger: Any, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Remove escape sequences that come from records and names."""
    return {
        name: terminal.plain(value) if isinstance(value, str) else value
        for name, value in event.items()
    }


def configure(settings: Settings) -> None:
    """Log warnings and errors as a worker does, in a process that is not Faust's."""
    logging.basicConfig(level=logging.WARNING, handlers=[handler(settings.log_format)])


def logging_config(settings: Settings) -> dict[str, Any]:
    """For Faust's `logging_config`: our handler, with the level that `faust worker -l` gives."""
    return {
        "merge": True,
        "disable_existing_loggers": False,
        "handlers": {
            "default": {"()": "app.worker.logs.handler", "log_format": settings.log_format}
        },
    }
