"""`faust -A app worker`: Faust's own command, with a check of everything it needs before it starts.

May touch: the broker, before Faust does: see `app.worker.preflight`; helper processes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import click

# importing it puts `worker` on the command line
from faust.cli.worker import worker as _registered  # noqa: F401

from app.commands.base import cli, handle_errors
from app.faust_app import app, guard, health
from app.settings import Settings
from app.worker.helpers import HELPERS
from app.worker.preflight import preflight
from schemas.kinds import FACTS

_command = cli.commands["worker"]
_start: Callable[..., Any] = _command.callback  # type: ignore[assignment]


@handle_errors
def _worker(*args: Any, with_web: bool, web_port: int | None, **kwargs: Any) -> Any:
    health.configure(enabled=with_web, port=web_port)
    settings = Settings.from_environment()
    seen = asyncio.run(preflight(settings))
    guard.begin_with(seen)
    if "lesson_builder" in settings.agents:
        # They start while this process imports its agents and joins its group.
        HELPERS.start_for(seen.records(settings.topic(FACTS)), "app.stages.lesson_builder")
    app.load_agents()
    # a worker's log has it, limited (app.worker.logs)
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    return _start(
        *args,
        with_web=False,
        web_port=None,
        web_bind=None,
        web_host=None,
        web_transport=None,
        **kwargs,
    )


# Faust's web server listens on every address, always on the same port, and serves table data, so it
# never starts.  Its switch and its port apply to app.worker.health instead, because scripts of
# Faust users pass them.
HELP = {
    "with_web": "Serve /healthz, /readyz and /metrics over HTTP, or do not (default: serve).",
    "web_port": "Port for /healthz, /readyz and /metrics (default: EDGELOOP_METRICS_PORT).",
}
_command.params = [
    option
    for option in _command.params
    if option.name in HELP or not (option.name or "").startswith("web_")
]
for _option in _command.params:
    if isinstance(_option, click.Option) and _option.name in HELP:
        _option.help = HELP[_option.name]
_command.callback = _worker
_command.help = """Start a worker: all agents, or those in EDGELOOP_AGENTS.

It waits up to a minute for the broker and refuses to start if a topic differs from its
declaration, or a setting from what the workers have agreed on.  Any number of workers can run on
one machine.  SIGTERM or Ctrl-C shuts it down cleanly.

\b
Examples:
  faust -A app worker
  EDGELOOP_AGENTS=ingest,lesson_builder faust -A app worker -l info
"""
