"""`faust -A app doctor`: check everything that a worker needs, and say how to fix what is missing.

May touch: the broker and the database (read only).
"""

from __future__ import annotations

import asyncio
import sys

from app.commands.base import cli, echo, echo_json, handle_errors, json_option
from app.doctor import examine
from app.settings import Settings


@cli.command("doctor")
@json_option
@handle_errors
def doctor(as_json: bool) -> None:
    """Check broker, topics, database, versions and clock, and print the settings in force; exit
    code 4 if something is wrong.

    \b
    Examples:
      faust -A app doctor
      faust -A app doctor --json
    """
    settings = Settings.from_environment()
    findings = asyncio.run(examine(settings))
    if as_json:
        checks = [
            {"check": f.check, "ok": f.ok, "found": f.found, "remedy": f.remedy} for f in findings
        ]
        echo_json(
            {"ok": all(f.ok for f in findings), "checks": checks, "settings": settings.redacted()}
        )
    else:
        for name, value in sorted(settings.redacted().items()):
            echo(f"  {name}={value}")
        for f in findings:
            echo(f"{'ok  ' if f.ok else 'FAIL'} {f.check}: {f.found}")
            if not f.ok:
                echo(f"     do: {f.remedy}")
    if not all(f.ok for f in findings):
        sys.exit(4)
