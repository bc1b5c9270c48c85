"""The audit on the terminal: tables, then the answers and what to set.

May touch: nothing but the console that is passed to it.
"""

from __future__ import annotations

import textwrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.audit.bootstrap import Estimate
from app.audit.document import Audit
from edgeloop.overrides import times_text
from edgeloop.scope import canonical_text

WIDTH = 120
OVERRIDES = 8
SIMPLE = "what simple tools would have made"


def show(found: Audit, console: Console) -> None:
    """Print the document."""
    data = found.data
    console.print(
        f"{data.trades:,} trades of {', '.join(data.modules) or 'no module'}, {data.from_ts[:10]}"
        f" to {data.to_ts[:10]}, from {data.source}.  {data.judged:,} of {data.decisions:,}"
        f" {' and '.join(data.categories)} decisions judged: those within {data.horizon_days:g}"
        f" days after {data.cuts} cuts, sized by the trades closed before the cut.",
        highlight=False,
    )
    for refusal in data.refused:
        console.print(
            Text.assemble(
                (f"{refusal.count:,} closes were refused: {refusal.reason}", "yellow"),
                f"  (the first: {refusal.first})",
            )
        )
    if data.unreadable:
        console.print(
            Text.assemble(
                (f"Records that cannot be read were skipped: {data.unreadable:,}", "yellow"),
                f"  (the first: {data.first_unreadable})",
            )
        )
    if data.judged:
        for table in (
            _settings(found),
            _learned(found),
            _weights(found),
            _forms(found),
            _regimes(found),
            _overrides(found),
            _exploration(found),
        ):
            if table is not None:
                console.print()
                console.print(table)
    console.print()
    _answers(found, console)


def figure(estimate: Estimate | None, digits: int = 4, *, sign: bool = True) -> str:
    """A figure and its interval.

    >>> (
    ...     figure(Estimate(0.5, 0.25, 0.75), 2), figure(None),
    ...     figure(Estimate(0.0, float("-inf"), float("inf"))),
    ... )
    ('+0.50 (+0.25 … +0.75)', '–', '+0.0000 (unknown)')
    """
    if estimate is None:
        return "–"
    form = f"{'+' if sign else ''}.{digits}f"
    value = format(estimate.value, form)
    if estimate.low == float("-inf") or estimate.high == float("inf"):
        return f"{value} (unknown)"
    return f"{value} ({format(estimate.low, form)} … {format(estimate.high, form)})"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _settings(found: Audit) -> Table:
    table = _table(
        "Walk forward, per decision (90 % intervals)",
        "sized by",
        "value",
        "outcome added",
        "calibration slope",
        "sized",
        "sd of ×",
        "turnover per month",
        "integrated beyond it",
    )
    for s in found.settings:
        table.add_row(
            s.name,
            figure(s.score.value, 3),
            figure(s.score.added, 3),
            figure(s.slope, 2, sign=False),
            f"{s.score.sized:.0%}",
            f"{s.score.spread:.2f}",
            "–" if s.turnover is None else f"{s.turnover:.3f}",
            figure(s.beyond.value, 3) if s.beyond else "–",
        )
    table.add_section()
    table.add_row("\n".join(textwrap.wrap(SIMPLE, 20)), *[""] * 7, style="italic")
    for p in found.peers:
        table.add_row(
            p.name,
            figure(p.score.value, 3),
            figure(p.score.added, 3),
            figure(p.slope, 2, sign=False),
            f"{p.score.sized:.0%}",
            f"{p.score.spread:.2f}",
            "–",
            figure(p.beyond.value, 3),
        )
    return table


def _weights(found: Audit) -> Table | None:
    if not found.weights:
        return None
    table = _table(
        "Current weights of the learners, by their past accuracy (0 to 1)",
        "",
        "half-life",
        "shared effects",
        "opened",
    )
    for w in found.weights:
        table.add_row(
            f"{w.module} {w.category}",
            f"{w.half_life:.2f}",
            f"{w.shared_effects:.2f}",
            f"{w.opened:.2f}",
        )
    return table


def _learned(found: Audit) -> Table:
    table = _table(
        "Current overrides, and what chance would give",
        "setting",
        "overrides",
        "by chance",
        "share false",
        "match a decision",
        "several do",
    )
    for s in found.settings:
        p = s.placebo
        counted = p is not None and bool(p.counts)
        table.add_row(
            s.name,
            f"{s.overrides:,}",
            f"{p.mean:,.1f}" if p is not None and counted else "–",
            f"{p.share:.0%}" if p is not None and p.share is not None else "–",
            f"{s.overlap.matched:.1f}",
            figure(s.overlap.several, 2, sign=False) if s.overlap.decisions else "–",
        )
    return table


def _forms(found: Audit) -> Table | None:
    if not found.decay.trades:
        return None
    d = found.decay
    table = _table(
        f"Decay of edges: log predictive density of {d.trades:,} later trades in {d.effects:,}"
        " effects (nats per trade)",
        "",
        "",
    )
    for name, value in (
        ("best form over no edge", d.skill),
        ("exponential over linear", d.exponential_over_linear),
        ("exponential over constant", d.exponential_over_constant),
        ("linear over constant", d.linear_over_constant),
    ):
        table.add_row(name, figure(value))
    table.show_header = False
    return table


def _regimes(found: Audit) -> Table | None:
    if not found.regimes.gains:
        return None
    table = _table(
        "Realised part of the prediction, by regime", "regime", "decisions", "predicted", "gain"
    )
    for g in found.regimes.gains:
        table.add_row(
            g.regime, f"{g.decisions:,}", f"{g.promised:.3f}", figure(g.gain, 2, sign=False)
        )
    table.add_row("all", "", "", figure(found.regimes.overall, 2, sign=False))
    return table


def _exploration(found: Audit) -> Table | None:
    e = found.exploration
    if e is None:
        return None
    table = _table(
        f"Value of sizing, estimated from exploration: {e.explored:,} of {e.decisions:,} decisions"
        " drew another size (beyond neutral, a decision)",
        "sizing",
        "doubly robust",
        "self-normalised IPS",
        "IPS",
        "decisions",
    )
    for policy in e.policies:
        table.add_row(
            policy.name,
            figure(policy.dr),
            figure(policy.snips),
            figure(policy.ips),
            f"{policy.decisions:,}",
        )
    table.add_row("as learned, by chosen sizes alone", figure(e.on_chosen_sizes), "", "", "")
    if e.unusable:
        table.caption = f"{e.unusable:,} inconsistent logged draws were left out."
    return table


def _overrides(found: Audit) -> Table | None:
    if not found.overrides:
        return None
    shown = found.overrides[:OVERRIDES]
    which = f"the {len(shown)} strongest" if len(found.overrides) > len(shown) else "all"
    table = _table(
        f"Overrides of `integrated` now: {which}",
        "group",
        "scope",
        "×",
        "trades",
        "half-life",
    )
    for audited in shown:
        o = audited.override
        life = o.decay.half_life_hours
        table.add_row(
            f"{o.pattern_key} {o.action_category}",
            canonical_text(o.scope) or "every context",
            times_text(o.multiplier),
            f"{o.n_trades:,}",
            f"{life / 24:.3g} days" if life else "–",
        )
    return table


def _answers(found: Audit, console: Console) -> None:
    def say(text: str, indent: str = "") -> None:
        console.print(
            textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=indent),
            highlight=False,
            markup=False,
        )

    console.print("Answers", style="bold")
    say(found.headline)
    for number, q in enumerate(found.questions, 1):
        colour = {"yes": "green", "no": "cyan"}.get(q.answer, "yellow")
        console.print(
            Text.assemble(
                f"\n{number}. {q.question}  ", (f"{q.answer.capitalize()}.", f"bold {colour}")
            ),
            soft_wrap=True,
        )
        say(
            f"{q.name[0].upper()}{q.name[1:]}: {figure(q.figure)}."
            + (f" Material: {q.material:.4f}." if q.material is not None else ""),
            "   ",
        )
        say(q.why, "   ")
        say(q.switching, "   ")
    console.print("\nWhat to set", style="bold")
    for s in found.switches:
        change = "" if s.recommended.split()[0] == s.now else f" (now {s.now})"
        console.print(f"  {s.variable}={s.recommended}{change}", highlight=False, markup=False)
        say(s.reason, "      ")
