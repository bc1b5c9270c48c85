"""`python -m tests.chaos`: workers learn while workers, servers and the network fail on a schedule
that a seed determines; in the end everything must equal a batch computation over the same closes.

May touch: servers, workers, files and ports of its own, which end with it.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import orjson

from app.settings import LEARNINGS
from tests.chaos.disk import own_mounts
from tests.chaos.plan import FAULTS, NEEDS_A_DISK, schedule
from tests.chaos.run import Outcome, run

EXAMPLES = """examples:
  python -m tests.chaos --minutes 3 python -m tests.chaos --minutes 3 --seed 7              the same
  again python -m tests.chaos --seed 7 --dry-run                only the schedule python -m
  tests.chaos --workers 1 --only kill cut       two kinds of faults, one worker

Exits with 0 if everything is as expected, with 1 if not: then the logs are kept, and their paths
printed."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__.split("\n\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, help="determines schedule and input; default: drawn")
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="minutes during which faults happen (3)"
    )
    parser.add_argument("--workers", type=int, default=2, help="at the start (2)")
    parser.add_argument("--learning", choices=LEARNINGS, default="classic", help="(classic)")
    parser.add_argument(
        "--trades-per-second", type=float, default=8.0, metavar="N", help="new trades (8)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=list(FAULTS), default=[], metavar="FAULT",
        help=f"these faults alone, of: {', '.join(FAULTS)}",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the schedule and end")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    found = parser.parse_args()
    if not 0 < found.minutes <= 24 * 60:
        parser.error("--minutes must be more than 0, and at most a day.")
    if not 1 <= found.workers <= 8:
        parser.error("--workers must be from 1 to 8.")
    if not 0 < found.trades_per_second <= 1_000:
        parser.error("--trades-per-second must be more than 0, and at most 1000.")
    return found


def shown(outcome: Outcome, seed: int, kept: Path | None) -> str:
    """The outcome as text."""
    faults = ", ".join(f"{count} × {name}" for name, count in sorted(outcome.faults.items()))
    book = outcome.book
    lines = [
        f"faults         {faults}; not reached in time: {outcome.not_reached}",
        f"closes         {outcome.closes}, repetitions included",
        f"hostile        {outcome.hostile} records, {outcome.dead_letters} dead letters",
        f"learned        {outcome.lessons} lessons, {outcome.overrides} overrides",
        f"book           asked {book['looks']} times, up to {book['oldest_s']} s old,"
        f" stale {book['stale']} times",
    ]
    if not outcome.problems:
        return "\n".join([*lines, f"Seed {seed}: everything is as expected."])
    return "\n".join(
        [
            *lines,
            *(f"PROBLEM: {problem}" for problem in outcome.problems),
            f"Seed {seed}: not everything is as expected. The logs are in {kept}.",
        ]
    )


def ended(*_: object) -> None:
    """Let SIGTERM end everything that was started, as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    options = arguments()
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    talk = sys.stderr if options.json else sys.stdout
    only = tuple(options.only) or tuple(FAULTS)
    if not options.dry_run and not set(only).isdisjoint(NEEDS_A_DISK):
        try:
            own_mounts()
        except OSError as error:
            left_out = [name for name in only if name in NEEDS_A_DISK]
            only = tuple(name for name in only if name not in left_out)
            print(
                f"Left out: {', '.join(left_out)}. A tmpfs cannot be mounted here ({error}):"
                " that needs root on Linux.",
                file=talk,
            )
            if not only:
                return 2
    faults = schedule(seed, options.minutes, only)
    print(f"Seed {seed}, {options.minutes:g} minutes:", file=talk)
    print(*(f"  {fault}" for fault in faults), sep="\n", file=talk, flush=True)
    plan = {"seed": seed, "minutes": options.minutes, "schedule": [f.as_json() for f in faults]}
    if options.dry_run:
        if options.json:
            print(orjson.dumps(plan).decode())
        return 0
    logging.disable(logging.CRITICAL)  # clients of a killed broker log many errors
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)
    began = time.monotonic()

    def say(what: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {what}", file=talk, flush=True)

    directory = Path(tempfile.mkdtemp(prefix="edgeloop-chaos-"))
    try:
        outcome = run(
            seed=seed,
            minutes=options.minutes,
            workers=options.workers,
            learning=options.learning,
            trades_per_second=options.trades_per_second,
            faults=faults,
            directory=directory,
            say=say,
        )
    except KeyboardInterrupt:
        shutil.rmtree(directory)
        raise
    if outcome.problems:
        kept: Path | None = directory
    else:
        kept = None
        shutil.rmtree(directory)
    if options.json:
        print(orjson.dumps({**plan, "ok": kept is None, **outcome.as_json()}).decode())
    else:
        print(shown(outcome, seed, kept))
    return 0 if kept is None else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything that was started has ended.")
