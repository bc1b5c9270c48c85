"""How soon the dashboard's pages appear, with 5 000 overrides and 100 000 lessons: `python -m
benchmarks.dashboard`.

May touch: a stack of its own in a temporary folder, the processes that it starts, a Chromium.

Lessons and overrides are published to the topics and written to PostgreSQL as the projector writes
them; the dashboard runs as a user starts it.  For each page a fresh browser context (an empty
cache) measures the first contentful paint, and the size of the response.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from app.devstack import temporary_stack
from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import published
from app.learning.common.event_time import text_from_micros
from app.learning.integrated.sketches import encode
from app.settings import Settings
from app.storage.connect import close, connect
from app.storage.migrate import migrate
from app.storage.tables import PROJECTIONS
from edgeloop.identity import slice_id
from edgeloop.overrides import Evidence, Override, OverrideDecay
from schemas import kinds
from schemas.lessons import Lesson, LessonDecay

ROOT = Path(__file__).parents[1]
TARGET_S = 1.0
BATCH = 2_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

PAGES = (
    "/",
    "/overrides",
    "/overrides?q=chain=c7&sort=trades",
    "/overrides/{id}",
    "/ask",
    "/health",
)


def made(n_overrides: int, n_lessons: int) -> tuple[list[Lesson], list[Override]]:
    """Lessons of distinct slices, and overrides of the first of them."""
    random, hashes = Random(1), np.random.default_rng(1)
    now = datetime.now(UTC)
    as_of = text_from_micros(round(now.timestamp() * 1e6))
    expires = text_from_micros(round((now + timedelta(days=20)).timestamp() * 1e6))
    began = text_from_micros(round((now - timedelta(days=80)).timestamp() * 1e6))
    lessons, overrides = [], []
    for i in range(n_lessons):
        key = f"pm.p{i % 60}.S{i % 4}.entry"
        scope = {"chain": f"c{i // 60 % 40}", "btc_macro": f"S{i % 4}", "curator": f"w{i // 2400}"}
        lesson_id = slice_id("pm", key, "entry", scope)
        n, mean = random.randrange(33, 200), random.gauss(0.0, 0.4)
        lessons.append(
            Lesson(
                learning="integrated", lesson_id=lesson_id, module="pm", pattern_key=key,
                action_category="entry", scope=scope, n=n, mean=mean, variance=1.0,
                decay=LessonDecay("stable", 0.0), evidence=Evidence(began, as_of, 1),
                sketch=encode(np.sort(hashes.integers(0, 1 << 48, n, dtype=np.uint64))),
                as_of=as_of, version=1,
            )
        )  # fmt: skip
        if i < n_overrides:
            half_life = random.choice((None, 200.0, 900.0))
            overrides.append(
                Override(
                    override_id=lesson_id, learning="integrated", module="pm", pattern_key=key,
                    action_category="entry", scope=scope, effect=mean, effect_sd=0.1,
                    multiplier=round(min(max(1 + mean, 0.3), 3.0), 2), confidence=0.9, n_trades=n,
                    baseline=0.0, decay=OverrideDecay("stable", half_life), latent_factor_id=None,
                    covers=(), regime_gains={}, evidence=Evidence(began, as_of, 1), as_of=as_of,
                    expires_at=expires, version=1, part=random.choice(("selected", "shared")),
                )
            )  # fmt: skip
    return lessons, overrides


async def fill(settings: Settings, lessons: list[Lesson], overrides: list[Override]) -> None:
    """Publish the lessons and overrides, and write them to PostgreSQL as the projector does."""
    await topics.create(settings)
    await migrate(settings.database_url, settings.database_schema)
    producer = Producer(settings)
    connection = await connect(settings.database_url, settings.database_schema)
    at_ms = round(time.time() * 1000)
    try:
        for topic, records in ((kinds.LESSONS, lessons), (kinds.OVERRIDES, overrides)):
            for start in range(0, len(records), BATCH):
                sent = [published(settings, topic, r, 1) for r in records[start : start + BATCH]]
                await producer.send(sent)
                logged: list[Any] = [
                    SimpleNamespace(key=r.key, value=r.value, headers=r.headers, timestamp=at_ms)
                    for r in sent
                ]
                rows = [row for r in logged if (row := PROJECTIONS[topic].decode(r)) is not None]
                await PROJECTIONS[topic].write(connection, rows)
    finally:
        await producer.stop()
        await close(connection)


@contextmanager
def dashboard(settings: Settings, folder: Path) -> Iterator[str]:
    """Run the command in a process of its own; yields its address."""
    log = folder / "dashboard.log"
    command = [sys.executable, "-m", "faust", "-A", "app", "dashboard", "--port", "0"]
    environment = {**os.environ, **settings.environment(), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        give_up = time.monotonic() + 120
        while not (found := re.search(r"http://\S+", log.read_text())):
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(log.read_text())
            time.sleep(0.1)
        yield found[0].rstrip("/")
    finally:
        process.terminate()
        process.wait(30)


def until_read(url: str, settings: Settings, n_overrides: int) -> None:
    """Return once the overview has been filled from every source."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    give_up = time.monotonic() + 600
    while True:
        try:
            text = opener.open(f"{url}/", timeout=30).read().decode()
        except OSError:
            text = ""
        if f"{n_overrides:,} overrides" in text and "Reading" not in text:
            return
        if time.monotonic() > give_up:
            raise SystemExit("The dashboard has not read everything in ten minutes.")
        time.sleep(0.5)


def measured(url: str, pages: list[str], times: int) -> list[dict[str, Any]]:
    """First contentful paint of each page in ms, each in a fresh context."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit(f"There is no Chromium: install one of {', '.join(BROWSERS)}.")
    lines = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--headless", "--no-sandbox", "--disable-gpu"]
        )
        for path in pages:
            paints, size = [], 0
            for _ in range(times):
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                answer = page.goto(url + path)
                size = len(answer.body()) if answer is not None else 0
                page.wait_for_load_state()
                paints.append(page.evaluate(PAINT))
                context.close()
            lines.append(
                {
                    "page": path,
                    "median_ms": round(statistics.median(paints)),
                    "max_ms": round(max(paints)),
                    "html_kb": round(size / 1000, 1),
                }
            )
        browser.close()
    return lines


PAINT = """() => new Promise(done => {
  const seen = () => performance.getEntriesByName("first-contentful-paint")[0];
  if (seen()) done(seen().startTime);
  else new PerformanceObserver((list, one) => {
    if (seen()) { one.disconnect(); done(seen().startTime); }
  }).observe({ type: "paint", buffered: true });
})"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--overrides", type=int, default=5_000)
    parser.add_argument("--lessons", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--here",
        action="store_true",
        help="on the servers of this shell's settings, under names of its own, which stay",
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        if asked.here:
            given = Settings.from_environment()
            own = f"bench{os.getpid()}"
            settings = Settings(
                broker=given.broker,
                database_url=given.database_url,
                topic_prefix=f"{own}.",
                consumer_group=own,
                database_schema=own,
            )
        else:
            stack = opened.enter_context(temporary_stack(Path(name) / "stack"))
            settings = Settings(broker=stack.broker, database_url=stack.database_url)
        lessons, overrides = made(asked.overrides, asked.lessons)
        asyncio.run(fill(settings, lessons, overrides))
        pages = [path.replace("{id}", overrides[0].override_id) for path in PAGES]
        with dashboard(settings, Path(name)) as url:
            until_read(url, settings, len(overrides))
            lines = measured(url, pages, asked.times)
    if asked.json:
        print(json.dumps({"overrides": len(overrides), "lessons": len(lessons), "pages": lines}))
    else:
        for line in lines:
            print(
                f"{line['page'][:44]:44} first paint {line['median_ms']:5} ms, at most"
                f" {line['max_ms']:5} ms, {line['html_kb']:6} kB"
            )
    slow = [line for line in lines if line["median_ms"] > TARGET_S * 1000]
    if slow:
        raise SystemExit(f"{len(slow)} pages take longer than {TARGET_S:g} s.")


if __name__ == "__main__":
    main()
