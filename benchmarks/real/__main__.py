"""`python -m benchmarks.real`: does the learner help on real prices, and more than other methods
do?

May touch: stdout, stderr, build/real, the processes of its own pool, and the files of `--json` and
`--out`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn, TimeRemainingColumn

from app.commands.base import working
from app.errors import EdgeloopError, UsageError
from benchmarks.real import report
from benchmarks.real.measure import Figures, figures
from benchmarks.real.needs import missing
from benchmarks.real.sources import NAMES, Source, given, named
from benchmarks.real.walk import Sized, walk

QUICK = (("dow_2001", "europe"), ("rr",), 6)
"""Logs, outcomes and cuts of the quick run, which takes a minute."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real", description=__doc__.splitlines()[0] if __doc__ else None
    )
    parser.add_argument(
        "--logs",
        nargs="+",
        choices=NAMES,
        metavar="NAME",
        help=f"of: {', '.join(NAMES)} (default: all, or none with --log)",
    )
    parser.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also judge a log of your own; may be repeated",
    )
    parser.add_argument(
        "--env",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="the settings of each --log, in the same order",
    )
    parser.add_argument(
        "--outcome", nargs="+", choices=("rr", "roi"), default=None, help="(default: rr and roi)"
    )
    parser.add_argument(
        "--cuts",
        type=int,
        default=None,
        metavar="N",
        help="number of past times at which to learn (default 24)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="number of processes (default: one per core)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures")
    parser.add_argument("--out", type=Path, metavar="DIR", help="also draw a picture of each log")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{' and '.join(QUICK[0])} only, by rr, at {QUICK[2]} cuts: a minute",
    )
    return parser.parse_args(given)


def main(given_arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = arguments(given_arguments)
    try:
        _run(options)
    except EdgeloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _sources(options: argparse.Namespace) -> list[Source]:
    if len(options.log) != len(options.env):
        raise UsageError("Each --log needs its --env.", "Name as many files of settings as logs.")
    names = (
        options.logs
        if options.logs is not None
        else QUICK[0]
        if options.quick
        else ()
        if options.log
        else NAMES
    )
    with working(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as progress:
        found = [named(name) for name in progress.track(names, description="making logs")]
    return [*found, *(given(log, env) for log, env in zip(options.log, options.env, strict=True))]


def _run(options: argparse.Namespace) -> None:
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise missing("Boosting is done", "scikit-learn") from error
    if options.out:
        # raises where matplotlib is missing, before the work rather than after it
        from benchmarks.real.plots import draw
    began = time.monotonic()
    outcomes = tuple(options.outcome or (QUICK[1] if options.quick else ("rr", "roi")))
    cuts = options.cuts or (QUICK[2] if options.quick else 24)
    sources = _sources(options)
    console = Console() if sys.stdout.isatty() else Console(width=200)
    found: dict[tuple[str, str], dict[str, Figures]] = {}

    def finished(log: str, outcome: str, sized: Sized) -> None:
        found[log, outcome] = figures(sized)
        console.print(report.table(report.heading(log, outcome, sized), found[log, outcome]))
        if options.out:
            draw(log, outcome, sized, options.out)

    with working(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    ) as progress:
        bar = progress.add_task("learning", total=len(sources) * len(outcomes) * cuts)
        sizes = walk(sources, outcomes, cuts, options.jobs, lambda: progress.advance(bar), finished)
    for outcome in outcomes:
        names = [source.name for source in sources]
        report.show(
            console,
            {n: found[n, outcome] for n in names},
            {n: sizes[n, outcome] for n in names},
            outcome,
        )
    if options.json:
        options.json.write_bytes(
            orjson.dumps(
                report.document(found, sizes),
                option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
            )
        )
    print(f"Done in {time.monotonic() - began:.0f} s.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
