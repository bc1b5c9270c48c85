"""`faust -A app overrides diff`: what another way of learning would say, override by override, and whether ours would have helped.

May touch: the broker (read only).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.audit.differences import Difference, Sides, differences, sides
from app.audit.resample import Resampler
from app.audit.trades import Decision, Module, read_modules
from app.audit.variants import LEARNERS
from app.audit.walk_forward import HORIZON_US, SIZED, Cut, Judged, Score, compared, cut_times, score, summary, verdict, walk_forward
from app.commands.base import console, echo_json, handle_errors, json_option
from app.commands.learned import overrides
from app.learning.config import DAY_US
from app.report.text import figure
from app.settings import Settings
from schemas.identity import CATEGORIES
from schemas.scope import canonical_text

SEED = 1
"""Of the intervals' draws."""
AGAINST = ("classic", *(f"no {name}" for name in LEARNERS))
PLURAL = {"half-life": "half-lives"}
"""A learner's name, where it is not a plural yet."""


@overrides.command("diff")
@click.option(
    "--against", type=click.Choice([name.replace(" ", "-") for name in AGAINST]), default="classic", show_default=True,
    help="The other side: the batch jobs' formulas, or `integrated` with one learner off.",
)  # fmt: skip
@click.option("--category", type=click.Choice(CATEGORIES), help="Tell only of overrides of this action category.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Show at most so many differences of a kind.")
@click.option(
    "--walk-forward", "cuts", type=click.IntRange(min=2), metavar="CUTS", help="Also: would it have helped?  Learn so many times."
)
@json_option
@handle_errors
def diff(against: str, category: str | None, limit: int, cuts: int | None, as_json: bool) -> None:
    """Compare `integrated` with another way of learning, on the closed trades in the log.

    Both sides learn from the facts in the log as they are now, in this process; nothing is published.  `--walk-forward CUTS` then
    goes through the log: so many times, over the later two thirds of it, it learns from what had closed by then, sizes the entries of the
    next 30 days, and adds up what their trades made.

    \b
    Examples:
      faust -A app overrides diff --against classic
      faust -A app overrides diff --against no-half-life --category entry --limit 5
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
        learning = progress.add_task("learning", total=None)
        cuts_us = cut_times(_entries(modules), cuts) if cuts else []
        progress.update(learning, total=len(modules) * (1 + len(cuts_us)))
        found: dict[str, Sides] = {}
        walked: list[Cut] = []
        for name, module in sorted(modules.items()):
            found[name] = sides(name, module.trades, settings.learning_config)
            progress.advance(learning)
            if cuts:
                walked += walk_forward(name, module, settings.learning_config, cuts_us, lambda: progress.advance(learning))
    told = {
        name: _merged(
            d for s in found.values() for d in differences(s.overrides["integrated"], s.overrides[name], s.verdicts)
            if category in (None, d.of.action_category)
        )
        for name in AGAINST
    }  # fmt: skip
    if as_json:
        echo_json(_document(other, found, told, limit, summary(walked) if cuts else None))
        return
    _print(other, category, found, told, limit)
    if cuts:
        _print_walk(summary(walked), len(_entries(modules)))


def _entries(modules: dict[str, Module]) -> list[Decision]:
    """The decisions of all modules that a walk forward sizes, by time."""
    return sorted((d for module in modules.values() for d in module.decisions(SIZED)), key=lambda d: d.at_us)


def _merged(found: Iterable[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: (-d.size, d.of.override_id))


def _document(other: str, found: dict[str, Sides], told: dict[str, list[Difference]], limit: int, whole: Judged | None) -> dict[str, Any]:
    def plain(differing: list[Difference]) -> list[dict[str, Any]]:
        return [
            {"ours": msgspec.to_builtins(d.ours), "theirs": msgspec.to_builtins(d.theirs), "reason": d.reason} for d in differing[:limit]
        ]

    document: dict[str, Any] = {
        "against": other,
        "overrides": {name: sum(len(s.overrides[name]) for s in found.values()) for name in ("integrated", *AGAINST)},
        "differences": {"total": len(told[other]), "shown": plain(told[other])},
        "learners": {
            name: {"changed": len(changed), "greatest": max((d.size for d in changed), default=0.0)}
            for name, changed in ((name, told[f"no {name}"]) for name in LEARNERS)
        },
    }
    if whole is not None:
        draws = Resampler(whole.cut_us, SEED)
        scores = {name: compared(whole.multipliers["integrated"], whole.multipliers[name], whole, draws) for name in AGAINST}
        document["walk_forward"] = {
            "decisions": len(whole.uplift),
            "cuts": len(set(whole.cut_us.tolist())),
            "horizon_days": HORIZON_US // DAY_US,
            "variants": {name: msgspec.to_builtins(score(m, whole, draws)) for name, m in whole.multipliers.items()},
            "differences": {name: {**msgspec.to_builtins(s), "helps": verdict(s)} for name, s in scores.items()},
        }
    return document


def _print(other: str, category: str | None, found: dict[str, Sides], told: dict[str, list[Difference]], limit: int) -> None:
    counts = {
        name: sum(category in (None, o.action_category) for s in found.values() for o in s.overrides[name])
        for name in ("integrated", other)
    }  # fmt: skip
    of = f" of category {category}" if category else ""
    click.echo(f"{counts['integrated']:,} overrides{of} by `integrated`, {counts[other]:,} by `{other}`.")
    by = "by classic" if other == "classic" else f"with {other}"
    _print_told(f"They differ in {len(told[other]):,} contexts", by, told[other], limit)
    for name in LEARNERS:
        if f"no {name}" != other:
            changed = told[f"no {name}"]
            what = f"What {PLURAL.get(name, name)} change: {len(changed):,} override{'s' * (len(changed) != 1)}"
            _print_told(what, "without", changed, max(3, limit // 4))


def _print_told(what: str, theirs: str, told: list[Difference], limit: int) -> None:
    click.echo(f"\n{what}" + (f"; the {limit} greatest:" if len(told) > limit else ":" if told else "."))
    for d in told[:limit]:
        o, mine = d.of, d.ours
        gains = "".join(f", × {gain:g} of it in {regime}" for regime, gain in mine.regime_gains.items()) if mine else ""
        fades = f", half-life {mine.decay.half_life_hours / 24:.3g} days" if mine and mine.decay.half_life_hours else ""
        click.echo(
            f"  × {mine.multiplier if mine else 1.0:.2f}, {theirs} × {d.theirs.multiplier if d.theirs else 1.0:.2f}   "
            f"{o.pattern_key} {o.action_category} in {canonical_text(o.scope) or 'every context'}, {o.n_trades:,} trades"
        )
        click.echo(f"          {d.reason.removesuffix('.')}{gains}{fades}.")


def _print_walk(whole: Judged, of: int) -> None:
    n, cuts = len(whole.uplift), len(set(whole.cut_us.tolist()))
    click.echo("\nWould it have helped?")
    if not n:
        click.echo("There is no entry to judge: none was taken after the first third of the log.")
        return
    days = HORIZON_US // DAY_US
    click.echo(f"{n:,} of {of:,} entries judged: those within {days} days after {cuts} cuts, sized by what had closed before the cut.")
    draws = Resampler(whole.cut_us, SEED)
    table = Table("sized by", "value per entry", "outcome added", "sized", "sd of ×")
    for column in (1, 2, 3, 4):
        table.columns[column].justify = "right"
    for name, multiplier in whole.multipliers.items():
        s = score(multiplier, whole, draws)
        table.add_row(name, figure(s.value), figure(s.added), f"{s.sized:.0%}", f"{s.spread:.2f}")
    console().print(table)
    mine = whole.multipliers["integrated"]
    click.echo(f"Would sizing by `integrated` have helped?  {_answer(score(mine, whole, draws))}")
    for name in AGAINST:
        learner = name.removeprefix("no ")
        what = "More than `classic`?" if name == "classic" else f"Do {PLURAL.get(learner, learner)} earn their place?"
        click.echo(f"{what}  {_answer(compared(mine, whole.multipliers[name], whole, draws))}")
    click.echo("The whole picture, with what chance alone would say: faust -A app audit")


def _answer(s: Score) -> str:
    said = verdict(s)
    return f"{said.capitalize()}." if s.sized == 0.0 else f"{said.capitalize()}: value {figure(s.value)} an entry."
