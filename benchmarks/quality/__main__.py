"""The command: run the worlds, print the tables, write plots and JSON."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from benchmarks.quality import plots
from benchmarks.quality.figures import FAMILY_FIGURES, ROWS, Pool, shown
from benchmarks.quality.run import SETTINGS, Task, run_all
from benchmarks.quality.worlds import FAMILIES

PROCESSES = 2
QUICK_WORLDS = 2
QUICK_ONCE = ("dense", "movement")
"""Kinds of families that get one world each in a quick run: their searches are the longest.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument(
        "--worlds",
        type=int,
        metavar="N",
        help="worlds per family (default 12, null families twice as many)",
    )
    parser.add_argument(
        "--families", nargs="+", metavar="NAME", help=f"of {', '.join(FAMILIES)}; or kinds of them"
    )
    parser.add_argument(
        "--settings",
        nargs="+",
        choices=list(SETTINGS),
        default=list(SETTINGS),
        metavar="NAME",
        help=", ".join(SETTINGS),
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="another seed gives other worlds of the same families (default 1)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_WORLDS} worlds per family (dense: 1), classic and integrated only",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write figures and all scores")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a plot per kind of family")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    return parser.parse_args()


def tasks(options: argparse.Namespace) -> list[Task]:
    wanted = options.families or list(FAMILIES)
    unknown = set(wanted) - set(FAMILIES) - {f.kind for f in FAMILIES.values()}
    if unknown:
        raise SystemExit(f"no such family: {', '.join(sorted(unknown))}")
    settings = tuple(options.settings)
    if options.quick:
        settings = tuple(s for s in settings if s in ("classic", "integrated"))
    made = []
    for name, family in FAMILIES.items():
        if name in wanted or family.kind in wanted:
            quick = 1 if family.kind in QUICK_ONCE else QUICK_WORLDS
            n = options.worlds or (
                quick if options.quick else 24 if family.kind in ("null", "segments") else 12
            )
            made += [Task(name, index, options.seed, settings) for index in range(n)]
    # Spread the families, so that the estimate of the time left is fair.
    return sorted(made, key=lambda task: task.index)


def targets(pool: Pool) -> Table:
    table = Table(title="all worlds", title_justify="left")
    table.add_column("figure")
    table.add_column("target", justify="right")
    for setting in pool.settings:
        table.add_column(setting, justify="right")
    for row in ROWS:
        values = [row.measure(pool, setting) for setting in pool.settings]
        if all(v is None for v in values):
            continue
        cells = []
        for value in values:
            met = row.met(value)
            text = shown(value, row.unit)
            cells.append(
                text if met is None else f"[green]{text} ✓[/]" if met else f"[red]{text} ✗[/]"
            )
        table.add_row(row.name, row.target, *cells)
    return table


def by_family(pool: Pool, setting: str) -> Table:
    table = Table(title=f"by family, {setting}", title_justify="left")
    for name in (
        "family",
        "worlds",
        "m",
        *FAMILY_FIGURES,
        "half-life error",
        "covered",
        "claimed if seen",
        "claimed",
    ):
        table.add_column(name, justify="left" if name == "family" else "right")
    half_life = [row for row in ROWS if row.name.startswith("half-life")]
    for family in pool.families:
        records = pool.of(setting, families=[family])
        if not records:
            continue
        cells = [shown(figure(records), unit) for figure, unit in FAMILY_FIGURES.values()]
        cells += [shown(row.figure(records), "%") for row in half_life]
        m = sum(r["m"] for r in records) / len(records)
        table.add_row(family, str(len({r["index"] for r in records})), f"{m:.0f}", *cells)
    return table


def document(pool: Pool) -> dict[str, object]:
    """The figures by setting, overall and by family."""
    return {
        "figures": {row.name: {s: row.measure(pool, s) for s in pool.settings} for row in ROWS},
        "met": {
            row.name: {s: row.met(row.measure(pool, s)) for s in pool.settings} for row in ROWS
        },
        "families": {
            f: {
                s: {
                    name: figure(pool.of(s, families=[f]))
                    for name, (figure, _) in FAMILY_FIGURES.items()
                }
                for s in pool.settings
            }
            for f in pool.families
        },
    }


def main() -> int:
    options = arguments()
    todo = tasks(options)
    console = Console(width=None if sys.stdout.isatty() else 200)
    began = time.perf_counter()
    records = []
    columns = (
        TextColumn("worlds"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("worlds", total=len(todo))
        for record in run_all(todo, options.processes, lambda task: progress.advance(bar)):
            records.append(record)
    # The order of completion must not affect the result.
    order = {name: i for i, name in enumerate(("truth", *SETTINGS))}
    records.sort(
        key=lambda r: (list(FAMILIES).index(r["family"]), r["index"], order[r["setting"]], r["cut"])
    )
    pool = Pool(records)
    console.print(targets(pool))
    for setting in pool.settings:
        if setting in ("classic", "integrated") or len(pool.settings) == 1:
            console.print(by_family(pool, setting))
    seconds = time.perf_counter() - began
    spent = Counter[str]()
    for r in records:
        spent[r["setting"]] += r.get("seconds", 0.0)
    machine = (
        f"{platform.machine()}, Python {platform.python_version()}, {options.processes} processes"
    )
    console.print(
        f"{len(todo)} worlds in {seconds:.0f} s"
        f" ({', '.join(f'{s} {t:.0f} s' for s, t in spent.items() if t)}) on {machine}"
    )
    command = f"python -m benchmarks.quality {shlex.join(sys.argv[1:])}".strip()
    console.print(command)
    if options.json:
        options.json.write_text(
            json.dumps(
                {"command": command, "machine": machine, **document(pool), "scores": records}
            )
            + "\n"
        )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for path in plots.draw(pool, options.out):
            console.print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
