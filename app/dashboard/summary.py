"""The three answers at the top of the overview: what was learned, whether it helps, whether it is
running.

May touch: the clock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from app.audit.document import Audit, Curve
from app.dashboard import formatting
from app.dashboard.attribution import Helped
from app.dashboard.feed import Feed, Reading
from edgeloop.overrides import Override

BEHIND_S = 60.0
"""A role whose oldest pending record is older than this is behind."""
KAFKA = ("overrides", "lags", "workers", "letters", "stages", "learners", "helped")
POSTGRES = ("activity", "learned", "changes", "months", "since", "values", "shadows")


class Answer(NamedTuple):
    """`tone` is good, bad, unsure or none; `short` is a word or two, `text` sentences."""

    tone: str
    short: str
    text: str


class Trouble(NamedTuple):
    """A server that is away: since when, and the time of the data shown (Unix seconds)."""

    server: str
    since: float
    as_of: float | None
    error: str


def helping(helped: Helped | None, audit: Reading[Audit] | None) -> Answer:
    """Whether it helps: judged by what applied overrides have earned, else by the audit, if there
    is one."""
    if helped is not None and helped.total.trades:
        t = helped.total
        text = (
            f"Sizing by overrides has added {t.added:+,.2f} {helped.outcome} against the neutral"
            f" size, over {formatting.plural(t.trades, 'closed trade')}"
        )
        if t.low is None or t.high is None:
            return Answer("unsure", "Too early to say", f"{text}, all of one day.")
        text += f" (90 % interval {t.low:+,.2f} to {t.high:+,.2f})."
        if t.low > 0:
            return Answer("good", "Yes", text)
        return Answer("bad", "No", text) if t.high < 0 else Answer("unsure", "Not clear yet", text)
    if audit is not None and audit.value is not None:
        return _walked(audit.value)
    text = "No closed trade names an override that it was sized by, and "
    if audit is None:
        text += "no audit was given. `faust -A app audit` says whether it would have helped."
    else:
        text += "the audit cannot be read." if audit.error else "there is no audit yet."
    return Answer("none", "Not known yet", text)


def _walked(audit: Audit) -> Answer:
    """Whether it helps, judged by the audit: what sizing past decisions would have been worth."""
    value = next((s.score.value for s in audit.settings if s.name == "integrated"), None)
    if value is None or not audit.data.judged:
        return Answer("unsure", "Not shown", audit.headline)
    text = (
        f"Learned at {audit.data.cuts} past times and applied to the {audit.data.judged:,}"
        f" decisions that followed, sizes would have been worth {value.value:+.3f} per decision, in"
        f" units of size (90 % interval {value.low:+.3f} to {value.high:+.3f})."
    )
    if not audit.edge:
        return Answer("unsure", "Not shown", text)
    return Answer("good", "It would have", text)


def alive(feed: Feed) -> Answer:
    """Whether everything runs now."""
    away = [t.server for t in troubles(feed)]
    lags, workers = feed.value("lags"), feed.value("workers")
    if "loading" in (feed["lags"].state, feed["workers"].state):
        return Answer("none", "Looking", "The broker is being asked.")
    if away:
        known = any(reading.at is not None for reading in feed.readings.values())
        text = "What is shown is the last known state." if known else "Nothing has been read yet."
        return Answer("bad", f"{' and '.join(away)} away", text)
    joined = {w.client for group in workers or () for w in group.workers}
    behind = [lag for lag in lags or () if lag.seconds is not None and lag.seconds > BEHIND_S]
    pending = sum(lag.records for lag in lags or ())
    if workers is not None and not joined:
        waiting = f"; {formatting.plural(pending, 'record')} under way" if pending else ""
        text = f"No worker has joined{waiting}. Start one: `faust -A app worker`."
        return Answer("bad", "No worker", text)
    at = formatting.plural(len(joined), "worker")
    if behind:
        worst = max(behind, key=lambda lag: lag.seconds or 0.0)
        text = f"{worst.role} is {formatting.span(worst.seconds)} behind. {at.capitalize()}."
        return Answer("unsure", "Behind", text)
    if pending:
        return Answer("good", "Yes", f"{at}; {formatting.plural(pending, 'record')} under way.")
    return Answer("good", "Yes", f"{at.capitalize()}; every record is processed.")


def troubles(feed: Feed) -> list[Trouble]:
    """The servers that are away."""
    found = []
    for server, names in (("Kafka", KAFKA), ("PostgreSQL", POSTGRES)):
        failing = [feed[n] for n in names if n in feed.readings and feed[n].error]
        if failing:
            since = min(r.failing_since or time.time() for r in failing)
            known = [r.at for r in failing if r.at is not None]
            first = min(failing, key=lambda r: r.failing_since or 0.0)
            found.append(Trouble(server, since, min(known) if known else None, first.error))
    return found


def strongest(overrides: Sequence[Override], n: int) -> tuple[list[Override], list[Override]]:
    """The overrides that size up most, and those that size down most: one of each group, those that
    pass alone first."""
    best: dict[tuple[bool, str, str, str], Override] = {}
    for o in sorted(overrides, key=_weight):
        if abs(o.multiplier - 1.0) >= 0.005:
            key = (o.multiplier > 1.0, o.module, o.pattern_key, o.action_category)
            best.setdefault(key, o)
    found = sorted(best.values(), key=_weight)
    return (
        _mixed([o for o in found if o.multiplier > 1.0], overrides, n),
        _mixed([o for o in found if o.multiplier < 1.0], overrides, n),
    )


def _mixed(groups: list[Override], overrides: Sequence[Override], n: int) -> list[Override]:
    """Half of them in the given order, half of them for a context within a pattern."""
    if not groups:
        return []
    up = groups[0].multiplier > 1.0
    first = groups[: n - n // 2]
    seen: set[tuple[str, str]] = {(o.pattern_key, o.action_category) for o in first if o.scope}
    alike = (o for o in overrides if o.scope and (o.multiplier > 1.0) == up)
    for o in sorted(alike, key=_weight):
        group = (o.pattern_key, o.action_category)
        if len(first) < n and abs(o.multiplier - 1.0) >= 0.005 and group not in seen:
            first.append(o)
            seen.add(group)
    rest = [o for o in groups if o not in first]
    return [*first, *rest][:n]


def _weight(o: Override) -> tuple[bool, float, str]:
    return o.part != "selected", -abs(o.effect) * o.confidence, o.override_id


def curve_of(audit: Audit | None) -> Curve | None:
    """The audit's curve of `integrated`, if it has one worth drawing."""
    if audit is None:
        return None
    return next((c for c in audit.curves if c.name == "integrated" and len(c.cuts) > 1), None)
