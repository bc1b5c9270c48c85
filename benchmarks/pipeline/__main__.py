"""Measure; print a table with a description of the machine, and with --json one document."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from app import devstack
from benchmarks.pipeline.bulk import backlog, produce_rate
from benchmarks.pipeline.figures import Figure
from benchmarks.pipeline.latency import latency
from benchmarks.pipeline.peer import installed
from benchmarks.pipeline.throughput import LEARNINGS, LOADS, per_close, throughput, workers

PARTS = ("produce", "throughput", "workers", "records", "latency", "backlog")


async def measure(
    stack: devstack.StackInfo, part: str, scale: float, runs: int, quix: str | None
) -> list[Figure]:
    """The figures of one part."""
    if part == "produce":
        return [await produce_rate(stack, round(50_000 * scale))]
    count = round(30_000 * scale)
    figures: list[Figure] = []
    if part == "throughput":
        for load in LOADS:
            peer = quix if load == "12 slices a group" else None
            figures += await throughput(stack, count, load, runs, peer)
    elif part == "workers":
        figures += await workers(stack, count, runs, quix)
    elif part == "records":
        figures += await per_close(stack, round(4_000 * scale), 200.0)
    elif part == "latency":
        for learning in LEARNINGS:
            figures += await latency(stack, 200.0, 60.0 * scale, learning, quix)
            quix = None  # one run is enough
        # Groups of 10 000 trades, at 20 closes/s; one pattern alone would have no overrides.
        figures += await latency(
            stack, 20.0, 60.0 * scale, "integrated", None, warm=round(20_000 * scale), patterns=2
        )
    elif part == "backlog":
        for learning in LEARNINGS:
            figures += await backlog(stack, round(1_000_000 * scale), learning)
    return figures


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pipeline",
        description="Speed of the pipeline, as ratios in one run.",
    )
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        help="fraction of the full size, for a quick look (default 1)",
    )
    parser.add_argument(
        "--runs", type=int, default=3, help="runs, whose medians are reported (default 3)"
    )
    parser.add_argument(
        "--quix",
        metavar="PYTHON",
        default=sys.executable,
        help="the interpreter that has quixstreams, for the peer (default: this one)",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    quix = options.quix if installed(options.quix) else None
    if quix is None:
        print(f"{options.quix} has no quixstreams: ours alone", file=sys.stderr)
    figures: list[Figure] = []
    # the first records of a new topic are resent until its leader is known
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    with (
        tempfile.TemporaryDirectory() as folder,
        devstack.temporary_stack(Path(folder) / "stack") as stack,
    ):
        for part in options.only or PARTS:
            found = asyncio.run(measure(stack, part, options.scale, options.runs, quix))
            figures += found
            if not options.json:
                show(found)
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()},"
        f" load {os.getloadavg()[0]:.1f}; scale {options.scale:g}, medians of {options.runs}"
    )
    if options.json:
        print(json.dumps({"machine": machine, "figures": [asdict(f) for f in figures]}, indent=2))
    else:
        print(machine)


def show(figures: list[Figure]) -> None:
    """Print lines of the table."""
    for f in figures:
        ratio = f"{f.ratio:.2f}" if f.ratio is not None else ""
        target = f"target {f.target}" if f.target else ""
        print(f"{f.name:74} {f.value:70} {ratio:>8}  {target}", flush=True)


if __name__ == "__main__":
    main()
