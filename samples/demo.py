"""`make demo`: a real Kafka and PostgreSQL, a worker, the sample of real prices, and an account of
what was learned.

May touch: `.edgeloop/` below this folder, the per-user cache, processes that it started.  Each step
is a command of the README, printed before it runs.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from app import devstack
from app.audit.document import Audit
from app.devstack import processes
from app.devstack.ports import accepts, free_ports
from app.report.text import show
from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".edgeloop"
PAGE = HOME / "audit.html"
WORKER_RECORD = HOME / "demo-worker.pid"
WORKER_LOG = HOME / "demo-worker.log"
AUDIT = HOME / "audit.json"
DASHBOARD_RECORD = HOME / "demo-dashboard.pid"
DASHBOARD_LOG = HOME / "demo-dashboard.log"
DASHBOARD_WITHIN_S = 60.0
ENVIRONMENT = HOME / "demo.env"
SAMPLE = ROOT / "samples" / "us_equities.jsonl.zst"
SAMPLE_SETTINGS = ROOT / "samples" / "us_equities.env"
IDLE_TIMEOUT_S = 240
CUTS, PLACEBOS = 12, 6
"""Number of past times at which the demo learns, and of shuffled logs that it learns from: half of
the audit's defaults, to take half the time."""

console = Console(highlight=False, soft_wrap=True)


def settings_of(path: Path) -> dict[str, str]:
    """The `NAME=value` lines of an environment file."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def faust(*words: str, environment: dict[str, str], show: bool = True) -> str:
    """Run `faust -A app …`; its output goes to the terminal, or with `show=False` is returned."""
    console.print(f"\n[bold]$ faust -A app {shlex.join(words)}[/bold]")
    command = [sys.executable, "-m", "faust", "-A", "app", *words]
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=None if show else subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(
            f"`faust -A app {shlex.join(words)}` ended with exit code {result.returncode}; the"
            f" worker's log is {WORKER_LOG}."
        )
    return result.stdout or ""


def start_worker(environment: dict[str, str]) -> None:
    """Start one worker in the background, unless one runs."""
    if processes.running(WORKER_RECORD) is not None:
        return
    console.print(
        f"\n[bold]$ faust -A app worker &[/bold]   [dim](log: {WORKER_LOG.relative_to(ROOT)})[/dim]"
    )
    command = processes.launcher_command([sys.executable, "-m", "faust", "-A", "app", "worker"])
    processes.start(
        command,
        WORKER_RECORD,
        WORKER_LOG,
        cwd=ROOT,
        environment=os.environ | environment,
        leash=False,
    )


def start_dashboard(environment: dict[str, str], port: int, metrics_port: int) -> str:
    """Start the dashboard in the background; returns its address once it answers."""
    words = [
        "dashboard", "--port", str(port), "--audit", str(AUDIT.relative_to(ROOT)),
        "--metrics", f"127.0.0.1:{metrics_port}",
    ]  # fmt: skip
    shown = f"faust -A app {shlex.join(words)} &"
    console.print(f"\n[bold]$ {shown}[/bold]   [dim](log: {DASHBOARD_LOG.relative_to(ROOT)})[/dim]")
    command = processes.launcher_command([sys.executable, "-m", "faust", "-A", "app", *words])
    processes.start(
        command,
        DASHBOARD_RECORD,
        DASHBOARD_LOG,
        cwd=ROOT,
        environment=os.environ | environment,
        leash=False,
    )
    give_up = time.monotonic() + DASHBOARD_WITHIN_S
    while not accepts(port):
        if processes.running(DASHBOARD_RECORD) is None or time.monotonic() > give_up:
            raise SystemExit(f"The dashboard does not answer; its log is {DASHBOARD_LOG}.")
        time.sleep(0.1)
    return f"http://127.0.0.1:{port}/"


def up() -> None:
    """Run the whole demo, from an empty folder to the account.  Run again, it starts over with
    empty topics and tables."""
    started = time.monotonic()
    down(quiet=True)
    HOME.mkdir(exist_ok=True)
    AUDIT.unlink(missing_ok=True)  # from an earlier run
    with console.status("checking the stack") as line:
        devstack.reset(HOME / "stack")
        info = devstack.up(HOME / "stack", report=line.update)
    environment = settings_of(SAMPLE_SETTINGS) | {
        "EDGELOOP_BROKER": info.broker,
        "EDGELOOP_DATABASE_URL": info.database_url,
    }
    ENVIRONMENT.touch(mode=0o600)
    ENVIRONMENT.write_text(
        "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
    )
    console.print(
        f"Kafka is at {info.broker}, with PostgreSQL beside it; both serve this demo only."
    )
    faust("topics", "create", environment=environment)
    faust("migrate", environment=environment)
    metrics_port, dashboard_port = free_ports(2)
    start_worker(environment | {"EDGELOOP_METRICS_PORT": str(metrics_port)})
    faust("produce", str(SAMPLE.relative_to(ROOT)), "--shift-to", "now", environment=environment)
    faust("status", "--until-idle", "--timeout", str(IDLE_TIMEOUT_S), environment=environment)
    from samples.account import account

    account(Settings.from_environment(environment), console)
    console.print("\nWhat each learner changes, and whether it would have helped:")
    faust(
        "overrides",
        "diff",
        "--against",
        "classic",
        "--category",
        "entry",
        "--limit",
        "5",
        environment=environment,
    )
    page = start_dashboard(environment, dashboard_port, metrics_port)
    audit = faust(
        "audit",
        "--cuts",
        str(CUTS),
        "--placebos",
        str(PLACEBOS),
        "--html",
        str(PAGE.relative_to(ROOT)),
        "--json",
        environment=environment,
        show=False,
    )
    processes.write_atomically(AUDIT, audit)
    show(msgspec.json.decode(audit, type=Audit), Console())
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s.  [bold]Open {page} in a browser:[/bold]"
        f" what was learned, whether it helps, and why a size is what it is.  The audit in full is"
        f" {PAGE.relative_to(ROOT)}.  To explore further:"
    )
    for command in (
        "source .venv/bin/activate && source .edgeloop/demo.env",
        "faust -A app overrides list --limit 20",
        "faust -A app overrides watch",
        "faust -A app audit --html audit.html     # a longer run, with narrower intervals",
        "faust -A app explain --pattern pm.dip.S1.entry --category entry --scope curator=oversold",
        "faust -A app lessons list --category entry",
        "faust -A app doctor",
        'psql "$EDGELOOP_DATABASE_URL" -c "select * from pm_overrides limit 5"',
        "make demo-down        # stops the dashboard, the worker, Kafka and PostgreSQL",
    ):
        console.print(f"  {command}", markup=False)


def down(quiet: bool = False) -> None:
    """Stop the dashboard, the worker and the stack; their data are kept until the next `make
    demo`."""
    processes.stop(DASHBOARD_RECORD, signal.SIGTERM, 10.0)
    processes.stop(WORKER_RECORD, signal.SIGTERM, 30.0)
    devstack.down(HOME / "stack")
    if not quiet:
        console.print("The demo's dashboard, worker, Kafka and PostgreSQL are stopped.")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["up", "down"])
    {"up": up, "down": down}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
