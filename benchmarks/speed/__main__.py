"""The command: measure; print a table with the machine and the command, and with --json one
document."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.speed import core, lookup, peers
from benchmarks.speed.measure import Comparison, Row

PEERS = ("sliceline", "duckdb", "pandas", "river")
CALLS, QUICK_CALLS = 50_000, 2_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a tiny version of everything, to test that it runs",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    return parser.parse_args()


def shown(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def figures(rows: list[Row]) -> Table:
    table = Table(title="speed", title_justify="left")
    for name in ("what", "measured", "target", "met", ""):
        table.add_column(name, justify="right" if name in ("measured", "target") else "left")
    for row in rows:
        met = "" if row.met is None else "[green]yes[/]" if row.met else "[red]no[/]"
        target = "" if row.below is None else f"< {shown(row.below, row.unit)}"
        table.add_row(row.name, shown(row.value, row.unit), target, met, row.detail)
    return table


def comparisons(found: list[Comparison]) -> Table:
    table = Table(title="peers", title_justify="left")
    for name in ("peer", "peer's", "ours", "peer's / ours", "the same work"):
        table.add_column(name, justify="left" if name in ("peer", "the same work") else "right")
    for c in found:
        ratio = "" if c.ratio is None else f"{c.ratio:.3g}"
        theirs = "not installed" if c.peer_s is None else shown(c.peer_s, "s")
        table.add_row(c.peer, theirs, shown(c.ours_s, "s"), ratio, c.work)
    return table


def installed(package: str) -> str | None:
    """The version of a package."""
    return version(package) if find_spec(package) else None


def main() -> int:
    options = arguments()
    console = Console(width=None if sys.stdout.isatty() else 200)
    with Console(stderr=True).status("") as status:
        rows = core.measure(core.QUICK if options.quick else core.FULL, status.update)
        status.update("resolve")
        rows += lookup.measure(QUICK_CALLS if options.quick else CALLS)
        if options.quick:
            rows = [replace(row, below=None) for row in rows]  # the targets are for the full sizes
        found = (
            []
            if options.no_peers
            else peers.measure(peers.QUICK if options.quick else peers.FULL, status.update)
        )
    versions = {package: installed(package) for package in ("numpy", "scipy", *PEERS)}
    console.print(figures(rows))
    if found:
        console.print(comparisons(found))
        missing = [package for package in PEERS if versions[package] is None]
        if missing:
            console.print(
                f"Without {', '.join(missing)}: install the extra `peers` to compare with it."
            )
    packages = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" {packages}"
    )
    load = f"load {os.getloadavg()[0]:.1f}"
    command = f"python -m benchmarks.speed {shlex.join(sys.argv[1:])}".strip()
    runs = (core.QUICK if options.quick else core.FULL).runs
    console.print(
        f"{command}\n{machine}; {load}; medians of {runs} runs (of a peer: one), one process"
    )
    if options.json:
        document = {
            "command": command,
            "machine": machine,
            "load": os.getloadavg()[0],
            "quick": options.quick,
            "rows": [asdict(r) | {"met": r.met} for r in rows],
            "peers": [asdict(c) | {"ratio": c.ratio} for c in found],
        }
        options.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
