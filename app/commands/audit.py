"""`faust -A app audit`: do regime weights, half-lives and merging earn their place, and is there
anything to size by at all?

May touch: the broker (read only) or the files it is given (read only), the processes of its own
pool, the page of `--html`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.audit.assess import audit as assess
from app.audit.trades import (
    Module,
    Refused,
    explode_all,
    modules_of,
    of_groups,
    read_facts,
    read_modules,
)
from app.audit.walk_forward import SIZED
from app.audit.work import AuditPlan, run
from app.commands.base import (
    cli,
    console,
    echo,
    handle_errors,
    json_option,
    now_ms,
    warn_skipped,
    working,
)
from app.commands.trade_files import named_or_refused, source_options
from app.errors import BadDataError, UsageError
from app.kafka.skipped import Skipped
from app.report.text import show
from app.settings import Settings
from app.sources import closes
from edgeloop.identity import CATEGORIES


@cli.command("audit")
@click.argument("files", nargs=-1)
@source_options
@click.option("--module", help="Only this module (default: all).")
@click.option(
    "--category", "categories", type=click.Choice(CATEGORIES), multiple=True,
    default=SIZED, show_default=True,
    help="Judge decisions in this category; repeatable.",
)  # fmt: skip
@click.option(
    "--cuts",
    type=click.IntRange(2, 400),
    default=24,
    show_default=True,
    help="Number of past points in time at which to learn.",
)
@click.option(
    "--placebos",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    help="Number of shuffled logs to learn from.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the report as an HTML page.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Number of processes (default: one per core)."
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Random seed for intervals and shuffles."
)
@json_option
@handle_errors
def audit(
    files: tuple[str, ...],
    kind: str | None,
    mapping: Path | None,
    module: str | None,
    categories: tuple[str, ...],
    cuts: int,
    placebos: int,
    html: Path | None,
    jobs: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Test on your own history whether regime weights, half-lives and merging pay off.

    Uses the closed trades in the log, or in FILES, without a broker.  At --cuts past times it
    learns from the trades closed by then, sizes the decisions of the next 30 days, and scores the
    results of their trades.  It also learns from --placebos logs with shuffled outcomes.  Three
    questions are answered with yes, no, or not enough data.  Nothing is published.  See
    docs/audit.md.

    \b
    Examples:
      faust -A app audit
      faust -A app audit closes.jsonl --html audit.html
      faust -A app audit trades.csv --from table --mapping mine.toml
      faust -A app audit --module pm --category entry --category add --cuts 48
      faust -A app audit closes.jsonl --json
    """
    settings = Settings.from_environment()
    if html is not None:
        from app.report.explained import explanations, groups

        # raises where the plots' extra is missing, before the work rather than after it
        from app.report.page import page
    began = time.monotonic()
    with working(
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    ) as progress:
        skipped = Skipped()
        modules, refused = _read(files, kind, mapping, settings, skipped, progress)
        if module is not None:
            if module not in modules:
                raise UsageError(
                    f"Module {module!r} has no trades.",
                    f"Modules with trades: {', '.join(sorted(modules)) or 'none'}.",
                )
            modules = {module: modules[module]}
        if files and not modules:
            raise BadDataError(
                (
                    "The input contains no trades."
                    if not refused
                    else f"All closes were rejected; the first: {refused[0].first}"
                ),
                "Each close must be a valid position_closed event with the configured outcome; see"
                " docs/data.md.",
            )
        plan = AuditPlan(
            modules,
            settings.learning_config,
            tuple(dict.fromkeys(categories)),
            cuts,
            placebos,
            seed,
            jobs or os.cpu_count() or 1,
        )
        learning = progress.add_task("learning", total=None)
        done = run(plan, lambda n, total: progress.update(learning, completed=n, total=total))
        source = ", ".join(files) if files else "the log"
        found = assess(plan, done, source, refused, skipped, time.monotonic() - began)
        if html is not None:
            kept = groups(found)
            reading = progress.add_task("explaining", total=None)
            if files:
                explode_all(
                    closes(files, kind, mapping, against=None),  # compared above
                    settings,
                    now_ms(),
                    of_groups(kept),
                    lambda closed: progress.advance(reading),
                )
            elif kept:
                asyncio.run(
                    read_facts(
                        settings,
                        of_groups(kept),
                        Skipped(),  # the same records as above
                        lambda n: progress.advance(reading, n),
                    )
                )
            _write(html, page(found, explanations(found, done.now, plan.config, kept)))
    warn_skipped(skipped)
    if as_json:
        echo(msgspec.json.encode(found, order="sorted").decode())
        return
    show(found, console())
    echo(f"\nDone in {found.seconds:.0f} s." + (f"  Report: {html}." if html else ""), err=True)


def _read(
    files: Sequence[str],
    kind: str | None,
    mapping: Path | None,
    settings: Settings,
    skipped: Skipped,
    progress: Progress,
) -> tuple[dict[str, Module], list[Refused]]:
    if not files:
        if kind is not None or mapping is not None:
            raise UsageError(
                "--from and --mapping apply to files, and no file was given.",
                "Name the files to read.",
            )
        reading = progress.add_task("reading facts", total=None)
        take = read_modules(settings, skipped, lambda n: progress.advance(reading, n))
        return asyncio.run(take), []
    reading = progress.add_task("reading closes", total=None)
    return modules_of(
        closes(files, kind, mapping, against=named_or_refused),
        settings,
        now_ms(),
        lambda closed: progress.advance(reading),
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"Cannot write {path}: {error.strerror}.", "Name a file in an existing folder."
        ) from error
