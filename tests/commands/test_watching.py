"""Commands that watch: in place on a terminal, line by line without one."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from app.kafka import topics
from app.kafka.producer import Producer
from app.kafka.records import published, tombstone
from app.settings import Settings
from edgeloop.overrides import TOPIC
from tests.client.test_resolve import make

pytestmark = pytest.mark.stack

FAUST = (sys.executable, "-m", "faust", "-A", "app")
HOME = "\x1b[1A"
"""The sequence that moves the cursor up a line, which marks a refresh in place."""


@contextmanager
def started(
    settings: Settings, *words: str, terminal: bool
) -> Iterator[tuple[subprocess.Popen, int]]:
    """A command whose output is a terminal or a pipe."""
    ours, theirs = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, **settings.environment(), "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        [*FAUST, *words], stdout=theirs, stderr=subprocess.STDOUT, env=environment
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=30)
        os.close(ours)


def read(source: int, until: str = "", deadline_s: float = 60.0) -> str:
    """The output up to `until`, or to the end."""
    text, give_up = "", time.monotonic() + deadline_s
    while not (until and until in text):
        ready, _, _ = select.select([source], [], [], max(0.0, give_up - time.monotonic()))
        assert ready, f"not within {deadline_s} s: {text}"
        try:
            part = os.read(source, 65_536)
        except OSError:  # a terminal whose program has ended
            break
        if not part:
            break
        text += part.decode()
    return text


@pytest.fixture
def settings(stack_settings: Settings) -> Settings:
    asyncio.run(topics.create(stack_settings))
    return stack_settings


def test_status_refreshes_in_place_on_a_terminal(settings: Settings) -> None:
    words = ("status", "--watch", "--count", "3", "--every", "0.1")
    with started(settings, *words, terminal=True) as (process, source):
        text = read(source)
        assert process.wait(timeout=30) == 0
    assert text.count("lesson_builder") >= 3  # the end draws it once more
    assert text.count(HOME) > 2


def test_status_goes_on_line_by_line_without_a_terminal(settings: Settings) -> None:
    words = ("status", "--watch", "--count", "2", "--every", "0.1")
    with started(settings, *words, terminal=False) as (process, source):
        text = read(source)
        assert process.wait(timeout=30) == 0
    assert text.count("lesson_builder") == 2
    assert "\x1b" not in text
    with started(settings, *words, "--json", terminal=False) as (process, source):
        documents = [json.loads(line) for line in read(source).splitlines()]
    assert [d["idle"] for d in documents] == [True, True]


def test_watching_and_waiting_exclude_each_other(settings: Settings) -> None:
    with started(settings, "status", "--watch", "--until-idle", terminal=False) as (
        process,
        source,
    ):
        assert "exclude each other" in read(source)
        assert process.wait(timeout=30) == 2


async def publish_until(settings: Settings, source: int, wanted: str) -> str:
    """Publish a change and a retirement repeatedly until both are shown: the command shows only
    records that arrive after it has started to listen."""
    producer, text, version = Producer(settings), "", 0
    give_up = time.monotonic() + 60
    override = msgspec.structs.replace(make("o1"), pattern_key="pm.dip.[red]x", multiplier=1.4)
    try:
        while wanted not in text:
            assert time.monotonic() < give_up, text
            version += 2
            await producer.send(
                [
                    published(settings, TOPIC, override, version),
                    tombstone(settings, TOPIC, "pm", "o1", version + 1),
                ]
            )
            if select.select([source], [], [], 0.5)[0]:
                text += os.read(source, 65_536).decode()
        return text
    finally:
        await producer.stop()


@pytest.mark.parametrize("terminal", [True, False])
def test_changes_of_overrides_are_shown(settings: Settings, terminal: bool) -> None:
    with started(settings, "overrides", "watch", terminal=terminal) as (_, source):
        if terminal:
            read(source, until="0 changes")
        text = asyncio.run(publish_until(settings, source, "retired"))
    assert "×1.40" in text
    assert "pm.dip.[red]x" in text  # shown as it is, not as markup
    assert (HOME in text) == terminal
