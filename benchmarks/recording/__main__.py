"""Record a run of the sample into a folder: a text file for each derived topic and each table.

May touch: a Kafka, a PostgreSQL and workers of its own, which end with it; the folder.

1. The sample is sent in parts.  After each part, every stage runs alone until it is idle, so that
   all records, with their versions, are functions of the log and not of timing.  Each part gets new
   workers, which adopt what the previous ones have published.
2. A line of a topic is a distinct record, without the name of its writer; delivery is at least
   once, so repetitions do not count.  A line of a table is a row.  Both are sorted.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import asyncpg
import zstandard

from app.devstack import StackInfo, processes, temporary_stack
from app.kafka.bulk_reader import scan
from app.kafka.lag import LagReader
from app.settings import AGENTS, LEARNINGS, Settings
from schemas.kinds import DEAD_LETTERS, DERIVED

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "us_equities.jsonl.zst"
SAMPLE_SETTINGS = ROOT / "samples" / "us_equities.env"
BAD = b'{"trade_id": "bad", "not": "a close"}\n'
DEADLINE_S = 600.0
SETTLED_S = 1.5  # within half a second, an idle stage publishes what waited for a pause
LEFT_OUT = {"writer", "source.timestamp"}
CLOCK_COLUMNS = {"published_at"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recording",
        description="Record a run of the sample into a folder.",
    )
    parser.add_argument("folder", type=Path, help="where the text files go; it must not exist")
    parser.add_argument("--learning", choices=LEARNINGS, default="integrated", help="which learner")
    parser.add_argument(
        "--parts", type=int, nargs="+", default=[15_000, 15_000], help="closes in each part"
    )
    return parser.parse_args()


def environment_of(info: StackInfo, learning: str) -> dict[str, str]:
    """The variables of the recording's own installation."""
    lines = [
        line
        for line in SAMPLE_SETTINGS.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    own = {
        "EDGELOOP_BROKER": info.broker,
        "EDGELOOP_DATABASE_URL": info.database_url,
        "EDGELOOP_LEARNING": learning,
        "EDGELOOP_PARTITIONS": "2",
        "EDGELOOP_LESSONS_PER_SECOND": "1000000",
    }
    return dict(line.split("=", 1) for line in lines) | own


def parts_of(sizes: Iterable[int]) -> Iterable[bytes]:
    """The sample in parts of this many closes; the first part ends with a record that is not a
    close."""
    with SAMPLE.open("rb") as file:
        lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file))
        for number, size in enumerate(sizes):
            yield b"".join(line for _, line in zip(range(size), lines, strict=False)) + BAD * (
                number == 0
            )


def faust(environment: dict[str, str], *words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "faust", "-A", "app", *words],
        cwd=ROOT,
        env=os.environ | environment,
        check=True,
    )


def run_alone(role: str, environment: dict[str, str]) -> None:
    """Run one stage until it is idle.  Raises `SystemExit` when its worker ends early, or takes too
    long."""
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(
            processes.launcher_command([sys.executable, "-m", "faust", "-A", "app", "worker"]),
            cwd=ROOT,
            env=os.environ | environment | {"EDGELOOP_AGENTS": role},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            if not asyncio.run(idle(role, Settings.from_environment(environment), worker)):
                log.seek(0)
                raise SystemExit(
                    f"{role} did not become idle:\n{log.read().decode(errors='replace')[-3000:]}"
                )
            time.sleep(SETTLED_S)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)


async def idle(role: str, settings: Settings, worker: subprocess.Popen[bytes]) -> bool:
    """Wait until the stage has done everything; False if its worker ended or it took too long."""
    give_up = time.monotonic() + DEADLINE_S
    async with LagReader(settings) as reader:
        while any(lag.records for lag in await reader.lags() if lag.role == role):
            if worker.poll() is not None or time.monotonic() > give_up:
                return False
            await asyncio.sleep(0.2)
    return True


async def topic_lines(settings: Settings, topic: str) -> list[str]:
    """The distinct records of a topic, one per line."""
    found = set()
    async for records in scan(settings, topic):
        for r in records:
            headers = sorted((name, value) for name, value in r.headers if name not in LEFT_OUT)
            found.add(f"{r.partition} {r.key!r} {headers} {r.value!r}")
    return sorted(found)


async def table_lines(settings: Settings) -> dict[str, list[str]]:
    """The rows of each table, one per line."""
    connection = await asyncpg.connect(
        settings.database_url, server_settings={"search_path": settings.database_schema}
    )
    try:
        columns: dict[str, list[str]] = {}
        for row in await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1"
            " ORDER BY 1, 2",
            settings.database_schema,
        ):
            if (
                row["table_name"] != "edgeloop_migrations"
                and row["column_name"] not in CLOCK_COLUMNS
            ):
                columns.setdefault(row["table_name"], []).append(row["column_name"])
        return {
            name: sorted(
                [
                    row[0]
                    for row in await connection.fetch(
                        f"SELECT row({', '.join(names)})::text FROM {name}"
                    )
                ]
            )
            for name, names in columns.items()
        }
    finally:
        await connection.close()


async def read(settings: Settings) -> dict[str, list[str]]:
    """The lines of every file of a recording."""
    found = {
        f"topic.{topic}": await topic_lines(settings, topic) for topic in (DEAD_LETTERS, *DERIVED)
    }
    return found | {f"table.{name}": lines for name, lines in (await table_lines(settings)).items()}


def record(info: StackInfo, learning: str, sizes: Iterable[int], folder: Path) -> None:
    """Run the parts, then write the topics and tables."""
    environment = environment_of(info, learning)
    faust(environment, "topics", "create")
    faust(environment, "migrate")
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as part:
        for closes in parts_of(sizes):
            Path(part.name).write_bytes(closes)
            faust(environment, "produce", part.name)
            for role in AGENTS:
                run_alone(role, environment)
    folder.mkdir(parents=True)
    for name, lines in asyncio.run(read(Settings.from_environment(environment))).items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        print(f"{len(lines):>8,}  {folder / name}")


def main() -> None:
    """Run the command line."""
    given = arguments()
    if given.folder.exists():
        raise SystemExit(f"{given.folder} exists already.")
    with tempfile.TemporaryDirectory() as home, temporary_stack(Path(home) / "stack") as info:
        record(info, given.learning, given.parts, given.folder)


if __name__ == "__main__":
    main()
