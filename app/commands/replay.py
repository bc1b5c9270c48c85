"""`faust -A app replay run|list|show|diff|promote|drop`: relearn the log beside the live records;
compare, promote or drop.

May touch: the broker (read only, but for `promote`), files (read only), PostgreSQL (the shadow's
schema only), the work folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.audit.differences import Difference, differences
from app.commands.base import (
    cli,
    console,
    echo,
    echo_json,
    handle_errors,
    json_option,
    warn_skipped,
    yes_option,
)
from app.commands.trade_files import named_or_refused
from app.errors import ConfigurationError
from app.replay import promote as promotion
from app.replay.digest import bare, digest
from app.replay.pool import POLL_S, Pool
from app.replay.published import Live, read_live
from app.replay.run import Report, Result, described, run, source_of_files, work_folder
from app.replay.shadow import Source, State, names, opened
from app.replay.span import span_of
from app.settings import Settings
from app.sources import KINDS
from edgeloop.overrides import Override, times_text
from edgeloop.scope import canonical_text
from schemas import kinds
from schemas.lessons import LessonVerdict

LINE_EVERY_S = 5.0

work_dir_option = click.option(
    "--work-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for closes spooled to disk (default: .edgeloop/replay).",
)


@cli.group("replay")
def replay() -> None:
    """Relearn the log in bulk, beside the live workers and without affecting them; compare, then
    promote or drop."""


@replay.command("run")
@click.argument("name")
@click.argument("files", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All closed trades.")
@click.option(
    "--from", "from_time", metavar="TIME", help="Trades closed at or after TIME (RFC 3339)."
)
@click.option("--to", "to_time", metavar="TIME", help="Trades closed before TIME.")
@click.option(
    "--by-duration",
    metavar="DURATION",
    help="Trades closed within this long before now: P30D, P4W, PT36H.",
)
@click.option(
    "--offsets",
    metavar="P:A-B,…",
    help="Records by partition, from offset A up to but not including B: 0:100-200,1:50-.",
)
@click.option(
    "--topic", type=click.Choice(["facts", "closes"]), default="facts", show_default=True,
    help="Without FILES: read the facts that ingest produced, or the closes themselves under the"
    " current settings.",
)  # fmt: skip
@click.option(
    "--kind", type=click.Choice(KINDS), help="Format of FILES (default: detected per file)."
)
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="For tables: the TOML file that maps their columns.",
)
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Number of processes (default: one per core)."
)
@work_dir_option
@click.option("--restart", is_flag=True, help="Start over: drop what the shadow holds.")
@json_option
@handle_errors
def replay_run(
    name: str,
    files: tuple[str, ...],
    everything: bool,
    from_time: str | None,
    to_time: str | None,
    by_duration: str | None,
    offsets: str | None,
    topic: str,
    kind: str | None,
    mapping: Path | None,
    jobs: int | None,
    work_dir: Path | None,
    restart: bool,
    as_json: bool,
) -> None:
    """Learn from closed trades, with this environment's settings, into the shadow NAME.

    The trades come from the topics, or from FILES.  Give exactly one range; times are the exits of
    trades.  Nothing is published, and no consumer group is joined.  An interrupted run resumes when
    started again.

    \b
    Examples:
      faust -A app replay run whole --all
      faust -A app replay run spring --from 2026-03-01T00:00:00Z --to 2026-06-01T00:00:00Z
      faust -A app replay run again --all --topic closes --jobs 4
      faust -A app replay run old closes-2024.jsonl.zst closes-2025.jsonl.zst --all
    """
    settings = Settings.from_environment()
    span = span_of(
        everything=everything,
        from_time=from_time,
        to_time=to_time,
        by_duration=by_duration,
        offsets=offsets,
        now=datetime.now(UTC),
    )
    source = source_of_files(span, files, kind, mapping) if files else Source(topic, span)
    with Pool(jobs or os.cpu_count() or 1) as workers, _reporting() as report:
        result = asyncio.run(
            run(
                settings,
                name,
                source,
                folder=work_folder(name, work_dir),
                workers=workers,
                restart=restart,
                report=report,
                against=named_or_refused,
            )
        )
    if as_json:
        echo_json(result._asdict())
    else:
        _print_result(result)


def _print_result(result: Result) -> None:
    rejected = ", ".join(f"{n:,} {reason}" for reason, n in sorted(result.rejected.items()))
    if rejected:
        echo(f"Rejected closes: {rejected}.")
    if result.unreadable:
        echo(f"Skipped facts in an unknown form: {result.unreadable:,}.")
    took = (
        f"{result.records:,} records in {result.seconds:.1f} s ({result.rate:,.0f}/s), peak"
        f" {result.peak_memory_bytes / 2**20:,.0f} MiB; "
    )
    echo(
        f"{result.trades:,} trades, {result.facts:,} facts, {result.lessons:,} lessons,"
        f" {result.overrides:,} overrides; {took if result.records else ''}digest {result.digest}"
    )


@contextmanager
def _reporting() -> Iterator[Report]:
    """A reporter of progress on stderr: a bar on a terminal, else a line every few seconds; both
    with rate and time left."""
    terminal = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=terminal, disable=not terminal.is_terminal, transient=True
    ) as bar:
        state: dict[str, Any] = {
            "stage": "",
            "task": None,
            "began": 0.0,
            "base": 0,
            "said": time.monotonic(),
        }

        def report(stage: str, done: int, total: int | None) -> None:
            now = time.monotonic()
            if stage != state["stage"]:
                # What a stage has done by its first report may be an earlier run's work: the rate
                # is of what comes after.
                state.update(stage=stage, began=now - POLL_S, base=done)
                state["task"] = bar.add_task(stage, total=total, rate="")
            rate = max(done - state["base"], 0) / (now - state["began"])
            left = (
                f", {max((total or done) - done, 0) / rate:,.0f} s left" if rate and total else ""
            )
            bar.update(state["task"], completed=done, total=total, rate=f"{done:,} ({rate:,.0f}/s)")
            if bar.disable and now - state["said"] >= LINE_EVERY_S:
                state["said"] = now
                of = f" of {total:,}" if total else ""
                echo(f"{stage}: {done:,}{of} ({rate:,.0f}/s{left})", err=True)

        yield report


@replay.command("list")
@json_option
@handle_errors
def replay_list(as_json: bool) -> None:
    """List the existing shadows.

    \b
    Examples:
      faust -A app replay list
      faust -A app replay list --json
    """
    states = asyncio.run(_states(Settings.from_environment()))
    if as_json:
        echo_json([_plain(state) for state in states])
        return
    if not states:
        echo("There is no shadow.  Create one: faust -A app replay run NAME --all")
        return
    table = Table("name", "of", "begun", "finished", "trades", "overrides", "digest")
    for state in states:
        trades = f"{sum(done.trades for done in state.folded.values()):,}"
        finished = f"{state.finished_at:%Y-%m-%d %H:%M:%S}" if state.finished_at else "no"
        table.add_row(
            state.name,
            described(state.source),
            f"{state.started_at:%Y-%m-%d %H:%M:%S}",
            finished,
            trades,
            f"{sum(state.judged.values()):,}",
            (state.digest or "")[:12],
        )
    console().print(table)


async def _states(settings: Settings) -> list[State]:
    found = []
    for name in await names(settings):
        async with opened(settings, name) as shadow:
            found.append(await shadow.state())
    return found


def _plain(state: State) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(state)
    return document


@replay.command("show")
@click.argument("name")
@json_option
@handle_errors
def replay_show(name: str, as_json: bool) -> None:
    """Show one shadow: source, range, progress, settings, and the schema whose tables hold it.

    \b
    Examples:
      faust -A app replay show whole
      faust -A app replay show whole --json
    """
    settings = Settings.from_environment()

    async def ask() -> tuple[State, str, int]:
        async with opened(settings, name) as shadow:
            return await shadow.state(), shadow.schema, await shadow.size_bytes()

    state, schema, size = asyncio.run(ask())
    if as_json:
        echo_json({**_plain(state), "schema": schema, "size_bytes": size})
        return
    echo(f"{state.name}: {described(state.source)}")
    echo(f"  tables in the schema {schema}, {size / 2**20:,.1f} MiB")
    echo(
        f"  started {state.started_at:%Y-%m-%d %H:%M:%S %Z}, "
        + (
            f"finished {state.finished_at:%Y-%m-%d %H:%M:%S %Z}, digest {state.digest}"
            if state.finished_at
            else "not finished: run the same command again"
        )
    )
    for partition, done in sorted(state.folded.items(), key=lambda item: int(item[0])):
        echo(
            f"  partition {partition}: {done.records:,} records, {done.facts:,} facts,"
            f" {done.lessons:,} lessons"
        )
    for module, n in sorted(state.judged.items()):
        echo(f"  module {module}: {n:,} overrides")
    for reason, n in sorted(state.rejected.items()):
        echo(f"  rejected: {n:,} closes, {reason}")
    for setting, value in sorted(state.settings.items()):
        echo(f"  {setting}={value}")


@replay.command("diff")
@click.argument("name")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Maximum number of overrides to show.",
)
@click.option("--exit-code", is_flag=True, help="Exit with code 1 if shadow and live differ.")
@json_option
@handle_errors
def replay_diff(name: str, limit: int, exit_code: bool, as_json: bool) -> None:
    """Compare the shadow NAME with what is published, override by override, the greatest difference
    first.

    \b
    Examples:
      faust -A app replay diff whole
      faust -A app replay diff whole --limit 5 --exit-code
      faust -A app replay diff whole --json
    """
    settings = Settings.from_environment()

    async def ask() -> tuple[dict[str, dict[str, bytes]], Live]:
        async with opened(settings, name) as shadow:
            state = await shadow.state()
            promotion.require_finished(state)
            return await shadow.records(), await read_live(settings)

    records, live = asyncio.run(ask())
    warn_skipped(live.skipped)
    digests = {"live": digest(live.records), "shadow": digest(records)}
    same = digests["live"] == digests["shadow"]
    counts = {topic: _counts(live.records[topic], shadowed) for topic, shadowed in records.items()}
    found = differences(
        _decoded(records[kinds.OVERRIDES], Override),
        _decoded(live.records[kinds.OVERRIDES], Override),
        _decoded(records[kinds.VERDICTS], LessonVerdict),
    )
    if as_json:
        shown = [
            {
                "shadow": msgspec.to_builtins(d.ours),
                "live": msgspec.to_builtins(d.theirs),
                "reason": d.reason,
            }
            for d in found[:limit]
        ]
        echo_json(
            {
                "digests": digests,
                "equal": same,
                "topics": counts,
                "overrides": {"total": len(found), "shown": shown},
                "unreadable": live.skipped.document(),
            }
        )
    else:
        _print_diff(digests, same, counts, found, limit)
        if live.skipped.count:
            echo("Published records that cannot be read were not compared.")
    if exit_code and not same:
        sys.exit(1)


def _decoded(records: Any, kind: Any) -> list[Any]:
    decode = msgspec.json.Decoder(kind).decode
    return [decode(value) for value in records.values()]


def _counts(live: Any, shadow: Any) -> dict[str, int]:
    both = live.keys() & shadow.keys()
    return {
        "only_live": len(live.keys() - both),
        "only_shadow": len(shadow.keys() - both),
        "changed": sum(bare(live[key]) != bare(shadow[key]) for key in both),
        "equal": sum(bare(live[key]) == bare(shadow[key]) for key in both),
    }


def _print_diff(
    digests: dict[str, str],
    same: bool,
    counts: dict[str, dict[str, int]],
    found: list[Difference],
    limit: int,
) -> None:
    echo(f"live   {digests['live']}\nshadow {digests['shadow']}")
    if same:
        echo("Shadow and live are equal: the same lessons, verdicts and overrides.")
        return
    table = Table("topic", "only live", "only shadow", "changed", "equal")
    for topic, n in counts.items():
        table.add_row(
            topic,
            *(f"{n[column]:,}" for column in ("only_live", "only_shadow", "changed", "equal")),
        )
    console().print(table)
    if not found:
        echo("A position manager would get the same answers.")
        return
    echo(
        f"A position manager would get different answers in {len(found):,} contexts"
        + (f"; the {limit} greatest:" if len(found) > limit else ":")
    )
    for d in found[:limit]:
        o = d.of
        sides = [
            f"{word} {_shown(side)}" for word, side in (("live", d.theirs), ("shadow", d.ours))
        ]
        echo(
            f"  {', '.join(sides)}   {o.pattern_key} {o.action_category} in"
            f" {canonical_text(o.scope) or 'every context'}"
        )
        echo(f"          {o.override_id}: {d.reason}")


def _shown(side: Override | None) -> str:
    if side is None:
        return "none"
    gains = "".join(
        f", × {gain:g} of it in {regime or 'other regimes'}"
        for regime, gain in side.regime_gains.items()
    )
    fades = (
        f", half-life {side.decay.half_life_hours / 24:.3g} days"
        if side.decay.half_life_hours
        else ""
    )
    return f"× {times_text(side.multiplier)}{fades}{gains}"


@replay.command("promote")
@click.argument("name")
@click.option(
    "--accept", multiple=True, type=click.Choice(promotion.REFUSALS),
    help="Promote although the settings differ, the range is not the whole log, the replay is"
    " older than the log, or workers are running; repeatable.",
)  # fmt: skip
@yes_option
@click.option(
    "--dry-run", is_flag=True, help="Show what would be published, without publishing it."
)
@json_option
@handle_errors
def replay_promote(
    name: str, accept: tuple[str, ...], yes: bool, dry_run: bool, as_json: bool
) -> None:
    """Publish the differences between the shadow NAME and the live records, all at once: readers
    see all of them or none.

    Stop the workers first, start them afterwards: with the shadow's settings they publish nothing
    new.

    \b
    Examples:
      faust -A app replay promote whole --dry-run
      faust -A app replay promote whole --yes
      faust -A app replay promote spring --accept range --yes
    """
    settings = Settings.from_environment()

    def agreed(plan: promotion.Promotion) -> bool:
        warn_skipped(plan.skipped)
        if not as_json:
            for topic, (put, retired) in plan.counts.items():
                echo(f"{topic}: {put:,} to publish, {retired:,} to retire")
        for word, (what, _) in plan.refusals.items():
            echo(f"{'Accepted' if word in accept else 'Refused'}: {what}", err=True)
        if dry_run or not plan.records:
            return False
        if not yes:
            click.confirm(
                f"Publish {len(plan.records):,} records to {settings.broker}?", abort=True, err=True
            )
        return True

    plan, published = asyncio.run(
        promotion.promote(settings, name, accept=set(accept), dry_run=dry_run, agreed=agreed)
    )
    if as_json:
        refused = {word: what for word, (what, _) in plan.refusals.items()}
        echo_json(
            {
                "name": name,
                "dry_run": dry_run,
                "published": published,
                "records": len(plan.records),
                "id": plan.id,
                "refusals": refused,
                "unreadable": plan.skipped.document(),
                "topics": {
                    topic: {"publish": put, "retire": retired}
                    for topic, (put, retired) in plan.counts.items()
                },
            }
        )
    elif not plan.records:
        echo("Live already matches.")
    else:
        echo(f"Published {len(plan.records):,} records." if published else "Nothing was published.")


@replay.command("drop")
@click.argument("name")
@work_dir_option
@yes_option
@click.option("--dry-run", is_flag=True, help="Show what would be dropped, without dropping it.")
@json_option
@handle_errors
def replay_drop(name: str, work_dir: Path | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Drop the shadow NAME: its schema, and its spool on disk.

    \b
    Examples:
      faust -A app replay drop whole --dry-run
      faust -A app replay drop whole --yes
    """
    settings, folder = Settings.from_environment(), work_folder(name, work_dir)

    async def drop(doit: bool) -> str:
        async with opened(settings, name) as shadow:
            if not await shadow.exists():
                raise ConfigurationError(
                    f"There is no shadow {name}.",
                    "Run `faust -A app replay list` to see the existing ones.",
                )
            if doit:
                await shadow.lock()
                await shadow.drop()
            return shadow.schema

    schema = asyncio.run(drop(False))
    what = [f"the schema {schema}", *([f"the folder {folder}"] if folder.exists() else [])]
    if not dry_run:
        if not yes:
            click.confirm(f"Drop {' and '.join(what)}?", abort=True, err=True)
        asyncio.run(drop(True))
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        echo_json({"name": name, "schema": schema, "dropped": not dry_run})
    else:
        echo(f"{'Would drop' if dry_run else 'Dropped'} {' and '.join(what)}.")
