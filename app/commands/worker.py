"""`faust -A app worker`: Faust's own command, with a check of everything it needs before it starts.

May touch: the broker (read only), before Faust does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from faust.cli.worker import worker as _registered  # noqa: F401  (importing it puts `worker` on the command line)

from app.commands.base import cli, handle_errors
from app.settings import Settings
from app.worker.preflight import preflight

_command = cli.commands["worker"]
_start = _command.callback
assert _start is not None


@handle_errors
def _worker(*args: Any, **kwargs: Any) -> Any:
    asyncio.run(preflight(Settings.from_environment()))
    return _start(*args, **kwargs)


_command.callback = _worker
_command.help = """Start a worker: all agents, or those in EDGELOOP_AGENTS.

It waits up to a minute for the broker and refuses to start on a topic that is not as declared.  Any number of workers may run on a
machine.  SIGTERM or Ctrl-C ends it cleanly.

\b
Examples:
  faust -A app worker
  EDGELOOP_AGENTS=ingest,lesson_builder faust -A app worker -l info
"""
