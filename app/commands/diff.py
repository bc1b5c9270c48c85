"""`faust -A app overrides diff`: what another way of learning would say, override by override, and whether ours would have helped.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.audit.differences import Difference, Sides, differences, sides
from app.audit.trades import Module, read_modules
from app.audit.variants import LEARNERS
from app.audit.walk_forward import Judged, Score, compared, score, summary, verdict, walk_forward
from app.commands.base import console, echo_json, handle_errors, json_option
from app.commands.learned import overrides
from app.settings import Settings
from schemas.scope import canonical_text

AGAINST = ("classic", *(f"no {name}" for name in LEARNERS))


@overrides.command("diff")
@click.option(
    "--against", type=click.Choice([name.replace(" ", "-") for name in AGAINST]), default="classic", show_default=True,
    help="The other side: the batch jobs' formulas, or `integrated` with one learner off.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most so many differences of a kind.")
@click.option(
    "--walk-forward", "cuts", type=click.IntRange(min=2), metavar="CUTS", help="Also: would it have helped?  Learn so many times."
)
@json_option
@handle_errors
def diff(against: str, limit: int, cuts: int | None, as_json: bool) -> None:
    """Compare `integrated` with another way of learning, on the closed trades in the log.

    Both sides learn from the facts in the log as they are now, in this process; nothing is published.  `--walk-forward CUTS` then
    goes through the log: so many times it learns from what had closed by then, sizes the entries that came after, and adds up what their
    trades made.

    \b
    Examples:
      faust -A app overrides diff --against classic
      faust -A app overrides diff --against no-half-life --limit 5
      faust -A app overrides diff --against classic --walk-forward 8
      faust -A app overrides diff --json
    """
    settings = Settings.from_environment()
    other = next(name for name in AGAINST if name.replace(" ", "-") == against)
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True), transient=True, disable=not Console(stderr=True).is_terminal,
    ) as progress:  # fmt: skip
        reading = progress.add_task("reading facts", total=None)
        modules = asyncio.run(read_modules(settings, lambda n: progress.advance(reading, n)))
        learning = progress.add_task("learning", total=len(modules) * (1 + (cuts or 0)))
        found: dict[str, Sides] = {}
        judged: dict[str, Judged] = {}
        for name, module in sorted(modules.items()):
            found[name] = sides(name, module.trades, settings.learning_config)
            progress.advance(learning)
            if cuts:
                judged[name] = walk_forward(name, module, settings.learning_config, cuts, lambda: progress.advance(learning))
    by_module = {n: differences(s.overrides["integrated"], s.overrides[other], s.verdicts) for n, s in found.items()}
    together = sorted((d for ds in by_module.values() for d in ds), key=lambda d: (-d.size, d.of.override_id))
    if as_json:
        echo_json(_document(other, found, together, limit, judged))
        return
    _print(other, modules, found, together, limit, judged)


def _document(other: str, found: dict[str, Sides], together: list[Difference], limit: int, judged: dict[str, Judged]) -> dict[str, Any]:
    def plain(differing: list[Difference]) -> list[dict[str, Any]]:
        return [
            {"ours": msgspec.to_builtins(d.ours), "theirs": msgspec.to_builtins(d.theirs), "reason": d.reason} for d in differing[:limit]
        ]

    document: dict[str, Any] = {
        "against": other,
        "overrides": {name: sum(len(s.overrides[name]) for s in found.values()) for name in ("integrated", *AGAINST)},
        "differences": {"total": len(together), "shown": plain(together)},
        "learners": {name: _learner_changes(found, name) for name in LEARNERS},
    }
    if judged:
        whole = summary(judged)
        document["walk_forward"] = {
            "decisions": len(whole.uplift),
            "variants": {name: score(m, whole)._asdict() for name, m in whole.multipliers.items()},
            "differences": {name: {**(s := compared(whole, "integrated", name))._asdict(), "helps": verdict(s)} for name in AGAINST},
        }
    return document


def _learner_changes(found: dict[str, Sides], name: str) -> dict[str, Any]:
    changed = [d for s in found.values() for d in s.learner(name)]
    return {"changed": len(changed), "greatest": max((d.size for d in changed), default=0.0)}


def _print(
    other: str, modules: dict[str, Module], found: dict[str, Sides], together: list[Difference], limit: int, judged: dict[str, Judged]
) -> None:
    out = console()
    counts = {name: sum(len(s.overrides[name]) for s in found.values()) for name in ("integrated", other)}
    click.echo(f"{counts['integrated']:,} overrides by `integrated`, {counts[other]:,} by `{other}`; {len(together):,} contexts differ.")
    out.print(_table(f"× {other}", together[:limit]))
    for name in LEARNERS:
        changed = sorted((d for s in found.values() for d in s.learner(name)), key=lambda d: (-d.size, d.of.override_id))
        click.echo(f"\nWhat {name} changes: {len(changed):,} overrides.")
        if changed:
            out.print(_table("× without", changed[: max(3, limit // 4)]))
    if judged:
        _print_walk(summary(judged), out)


def _table(theirs: str, differing: list[Difference]) -> Table:
    table = Table("pattern", "category", "scope", "trades", "× integrated", theirs, "fades", "why")
    for column in (3, 4, 5):
        table.columns[column].justify = "right"
    for d in differing:
        o, mine = d.of, d.ours
        gains = "".join(f" ({regime or 'else'}: {gain:g})" for regime, gain in mine.regime_gains.items()) if mine else ""
        fades = (
            f"half-life {mine.decay.half_life_hours / 24:.0f} d"
            if mine and mine.decay.half_life_hours
            else mine.decay.state
            if mine
            else ""
        )
        table.add_row(
            o.pattern_key, o.action_category, canonical_text(o.scope) or "(all)", f"{o.n_trades:,}",
            f"{mine.multiplier:.2f}{gains}" if mine else "1.00", f"{d.theirs.multiplier:.2f}" if d.theirs else "1.00", fades, d.reason,
        )  # fmt: skip
    return table


def _print_walk(whole: Judged, out: Console) -> None:
    click.echo(f"\nWould it have helped?  {len(whole.uplift):,} entries, each sized by what had closed before it.")
    table = Table("sized by", "outcome added per decision", "90 % interval", "sized", "spread of ×")
    for column in (1, 2, 3, 4):
        table.columns[column].justify = "right"

    def row(name: str, s: Score) -> None:
        table.add_row(name, f"{s.value:+.4f}", f"{s.low:+.4f} … {s.high:+.4f}", f"{s.sized:.0%}", f"{s.spread:.2f}")

    for name, multiplier in whole.multipliers.items():
        row(name, score(multiplier, whole))
    out.print(table)
    for name in AGAINST:
        s = compared(whole, "integrated", name)
        what = f"Is `integrated` better than `{name}`?" if name == "classic" else f"Do {name.removeprefix('no ')} earn their place?"
        click.echo(f"{what}  {verdict(s)}: {s.value:+.4f} a decision ({s.low:+.4f} … {s.high:+.4f}).")
    mine = score(whole.multipliers["integrated"], whole)
    click.echo(f"Would sizing by `integrated` have helped at all?  {verdict(mine)}.")
