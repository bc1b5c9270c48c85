"""Our commands on Faust's command line, beside its own.

May touch: nothing; each command says what it touches.  A command's module is imported only when the
command runs: half of them need scipy or the audit, which would add a second and a half to each
start of the others.
"""

from __future__ import annotations

from importlib import import_module

from faust.cli.base import cli

from app.commands.base import import_later

MODULES = {
    "audit": "audit",
    "dashboard": "dashboard",
    "dlq": "dlq",
    "doctor": "doctor",
    "explain": "explain",
    "export": "export",
    "import": "import_",
    "lessons": "learned",
    "migrate": "migrate",
    "overrides": "learned",
    "produce": "produce",
    "rebuild": "migrate",
    "replay": "replay",
    "resolve": "resolve",
    "rewrites": "rewrites",
    "settings": "settings",
    "stack": "stack",
    "status": "status",
    "topics": "topics",
    "worker": "worker",
    "workers": "workers",
}
"""Command, and its module in this folder."""


def _load_agents() -> None:
    """For Faust's own commands, such as `agents` and `send`."""
    from app.faust_app import app

    app.load_agents()


import_later(cli, MODULES, before_others=_load_agents)


def load() -> None:
    """Import all of them, for `--help` and tests of the whole command line."""
    for module in {*MODULES.values(), "diff"}:
        import_module(f"app.commands.{module}")
