"""`python -m tests.soak`: a steady load, and whether memory, descriptors, threads or tasks of any
worker grow.

May touch: servers, workers, files and ports of its own, which end with it.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from app.devstack import temporary_stack
from app.settings import LEARNINGS
from tests.pipeline.installation import Installation
from tests.soak.load import SETTINGS, Steady
from tests.soak.samples import QUANTITIES, Samples, allowed

EXAMPLES = """examples:
  python -m tests.soak --minutes 30
  python -m tests.soak --minutes 600 --rate 50 --workers 3

Exits with 0 if nothing grows, with 1 if something does."""
TICK_S = 0.25
SAMPLES = 120
IDLE_WITHIN_S = 120.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak",
        description=__doc__.split("\n\n")[0],
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--workers", type=int, default=2, help="how many (2)")
    parser.add_argument("--rate", type=float, default=20.0, help="closes per second (20)")
    parser.add_argument("--seed", type=int, default=1, help="of the closes (1)")
    parser.add_argument("--learning", choices=LEARNINGS, default="integrated", help="(integrated)")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON")
    found = parser.parse_args()
    if not 0.2 <= found.minutes <= 7 * 24 * 60:
        parser.error("--minutes must be from 0.2 to a week.")
    if not 1 <= found.workers <= 8:
        parser.error("--workers must be from 1 to 8.")
    if not 0 < found.rate <= 2_000:
        parser.error("--rate must be more than 0, and at most 2000.")
    return found


def soak(options: argparse.Namespace, directory: Path) -> list[Samples]:
    """Run the load and take samples; fails if a worker ends, or falls behind permanently."""
    seconds = options.minutes * 60
    with temporary_stack(directory / "stack") as stack:
        installation = Installation.on(
            stack.broker,
            stack.database_url,
            directory,
            learning=options.learning,
            **SETTINGS,
        )
        try:
            samples = [Samples(w) for w in installation.start_ready(options.workers)]
            load = Steady(installation, options.seed, options.rate, seconds)
            began = next_sample = time.monotonic()
            while (now := time.monotonic()) < began + seconds:
                load.send_due()
                if now >= next_sample:
                    for one in samples:
                        one.take(now - began)
                    next_sample += seconds / SAMPLES
                time.sleep(TICK_S)
            installation.until_idle(IDLE_WITHIN_S)
            installation.terminate_all()
        finally:
            installation.kill_all()
    return samples


def table(samples: list[Samples]) -> tuple[list[str], list[dict[str, Any]]]:
    """The report as text, and as plain data."""
    lines = [f"{'worker':8}{'':14}{'first':>9}{'last':>9}{'growth':>9}{'allowed':>9}"]
    rows = []
    for number, one in enumerate(samples, 1):
        for name in QUANTITIES:
            found = one.trends()[name]
            may = allowed(name, found)
            grows = found.grows(may)
            lines.append(
                f"{number:<8}{name:14}{found.first:9.1f}{found.last:9.1f}{found.growth:+9.1f}"
                f"{may:9.1f}{'  GROWS' if grows else ''}"
            )
            rows.append(
                {"worker": number, "quantity": name, **found._asdict(), "allowed": may}
                | {"grows": grows}
            )
    return lines, rows


def ended(*_: object) -> None:
    """Let SIGTERM end everything that was started, as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    options = arguments()
    logging.disable(logging.CRITICAL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ended)
    with tempfile.TemporaryDirectory(prefix="edgeloop-soak-") as folder:
        samples = soak(options, Path(folder))
    lines, rows = table(samples)
    bad = [row for row in rows if row["grows"]]
    if options.json:
        series = [{"times_s": s.times, **s.values} for s in samples]
        print(orjson.dumps({"ok": not bad, "rows": rows, "samples": series}).decode())
    else:
        print(*lines, sep="\n")
        print(f"{len(bad)} quantities grow." if bad else "Nothing grows.")
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted; everything that was started has ended.")
