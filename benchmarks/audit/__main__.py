"""`python -m benchmarks.audit`: how often the audit's answers are right, wrong, and withheld, over
many logs of each kind.

May touch: stdout, stderr, the processes of its own pool, and the file of `--json`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.audit.ask import OUTCOMES, ask
from benchmarks.audit.worlds import LOGS, QUESTIONS


def main() -> None:
    """Audit the logs and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description=__doc__)
    parser.add_argument(
        "--logs",
        nargs="+",
        choices=list(LOGS),
        default=list(LOGS),
        metavar="NAME",
        help=f"of: {', '.join(LOGS)}",
    )
    parser.add_argument(
        "--worlds", type=int, default=20, metavar="N", help="logs of each kind (default 20)"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the first log of each kind (default 1)"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all results")
    options = parser.parse_args()
    tasks = [
        (name, seed)
        for seed in range(options.seed, options.seed + options.worlds)
        for name in options.logs
    ]
    began, rows = time.monotonic(), []
    with ProcessPoolExecutor(options.processes, get_context("spawn")) as pool:
        running = [pool.submit(ask, *task) for task in tasks]
        for done, future in enumerate(as_completed(running), 1):
            rows.append(future.result())
            left = (time.monotonic() - began) / done * (len(tasks) - done)
            print(
                f"\r{done}/{len(tasks)} logs, {left:4.0f} s left",
                end="",
                file=sys.stderr,
                flush=True,
            )
    print(file=sys.stderr)
    _print(rows)
    if options.json:
        options.json.write_text(
            json.dumps(sorted(rows, key=lambda r: (r["log"], r["seed"])), indent=1)
        )


def _print(rows: list[dict[str, Any]]) -> None:
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        for question, result in row["results"].items():
            counts[row["log"], question][result] += 1
    print(
        "| log | question | right answer | right | wrong | not enough data"
        " |\n|---|---|---|---|---|---|"
    )
    for name in LOGS:
        for question in QUESTIONS:
            if found := counts.get((name, question)):
                truth = next(r["truth"][question] for r in rows if r["log"] == name)
                shares = " | ".join(f"{found[o] / found.total():.0%}" for o in OUTCOMES)
                print(f"| `{name}` | {question} | {truth} | {shares} |")


if __name__ == "__main__":
    main()
