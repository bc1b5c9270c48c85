"""One run: a load, a schedule of faults, a book meanwhile, and the outcome.

May touch: servers, workers, files and ports of its own, which end with it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.kafka.lag import LagReader
from app.kafka.log_identity import Lost
from schemas import kinds
from tests.chaos.bookwatch import BookWatch
from tests.chaos.faults import Faults, command
from tests.chaos.load import Item, Load, items
from tests.chaos.plan import NEEDS_A_DISK, Fault
from tests.chaos.servers import servers
from tests.pipeline.compare import check, until_right
from tests.pipeline.in_process import check_integrated, engines
from tests.pipeline.installation import FIXED_DATES, Installation
from tests.pipeline.reference import Rules, learn
from tests.pipeline.test_dead_letters import dead_letters

RULES = Rules(n_min=15, max_dims=2, window_days=60.0, window_trades=400)
SETTINGS: dict[str, Any] = {
    "n_min": RULES.n_min,
    "max_dims": RULES.max_dims,
    "window_days": RULES.window_days,
    "window_trades": RULES.window_trades,
    **FIXED_DATES,
}
IDLE_WITHIN_S = 240.0
SHOWN = 5
"""Maximum number of reported problems of one kind."""


@dataclass
class Outcome:
    """The outcome of a run; without problems, everything is as expected."""

    closes: int = 0
    hostile: int = 0
    lessons: int = 0
    overrides: int = 0
    dead_letters: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    not_reached: int = 0
    book: dict[str, Any] = field(default_factory=dict)
    idle_after_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def run(
    *,
    seed: int,
    minutes: float,
    workers: int,
    learning: str,
    trades_per_second: float,
    faults: Sequence[Fault],
    directory: Path,
    say: Callable[[str], None],
) -> Outcome:
    """Run it and return the outcome; an error of the run itself is a problem, too."""
    outcome = Outcome()
    sent = items(seed, max(100, round(minutes * 60 * trades_per_second)), learning)
    disks = any(fault.name in NEEDS_A_DISK for fault in faults)
    with servers(directory, disks=disks) as made:
        installation = Installation.on(
            made.kafka.address, made.postgres.address, directory, learning=learning, **SETTINGS
        )
        installation.command = command
        at_work = Faults(installation, made, say)
        through = dataclasses.replace(installation.settings, broker=made.kafka.proxied_address)
        watch = BookWatch(installation.settings, through)
        load = Load(installation.settings, sent, minutes * 60)
        try:
            at_work.start_ready(workers)
            with watch, load:
                at_work.run(faults, minutes * 60)
                say("no more faults")
                at_work.end_all()
                load.finish()
                began = time.monotonic()
                installation.until_idle(IDLE_WITHIN_S)
                outcome.idle_after_s = round(time.monotonic() - began, 1)
                say(f"idle after {outcome.idle_after_s} s; comparing")
                compare(installation, [item for item in sent if item.reason is None])
                outcome.lessons = len(installation.current(kinds.LESSONS))
                outcome.overrides = len(installation.current(kinds.OVERRIDES))
                assert outcome.overrides, "no override: the run is too short to show anything"
                outcome.dead_letters = check_letters(installation, load)
                check_nothing_lost(installation)
            installation.terminate_all()
        except AssertionError as error:
            outcome.problems.append(str(error))
        except Exception:
            # An error of the run itself is its outcome; its faults are kept, too.
            outcome.problems.append(traceback.format_exc())
        finally:
            at_work.clean_up()
    outcome.closes = sum(item.reason is None for item in sent)
    outcome.hostile = len(sent) - outcome.closes
    outcome.faults, outcome.skipped = at_work.done, at_work.skipped
    outcome.not_reached = at_work.not_reached
    outcome.problems += [*load.problems[:SHOWN], *watch.problems()[:SHOWN]]
    outcome.book = {
        "looks": watch.looks,
        "stale": watch.stale_looks,
        "oldest_s": round(watch.oldest_s, 2),
        "overrides": watch.most_overrides,
    }
    return outcome


def compare(installation: Installation, good: Sequence[Item]) -> None:
    """Check that topics and tables equal a batch computation over the closes."""
    if installation.settings.learning == "classic":
        world = learn([item.close.value or b"" for item in good], RULES)
        assert world.lessons, "nothing was learned: the run is too short to show anything"
        until_right(installation, lambda: check(installation, world))
        return
    expected = engines([item.close for item in good], installation.settings)
    until_right(installation, lambda: check_integrated(installation, expected))


def check_nothing_lost(installation: Installation) -> None:
    """Check that no close was deleted unread, and that none is reported as such."""

    async def told() -> list[Lost]:
        async with LagReader(installation.settings) as reader:
            return await reader.lost()

    assert not (lost := asyncio.run(told())), [str(one) for one in lost]


def check_letters(installation: Installation, load: Load) -> int:
    """Check that each hostile record has its dead letter, and no good one has any; returns their
    number."""
    letters = dead_letters(installation)
    for place, item in load.places.items():
        reason = dict(letters[place].headers)["reason"].decode() if place in letters else None
        assert reason == item.reason, (
            f"the dead letter of partition {place[0]}, offset {place[1]} is {reason},"
            f" not {item.reason}: {(item.close.value or b'')[:200]!r}"
        )
    return len(letters)
