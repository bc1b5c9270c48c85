"""A worker ends whatever happens to its log."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.child import child

ENDING = """
import logging, os, sys, threading, time
from app.errors import ConfigurationError
from app.worker import end_process
from app.worker.logs import handler

end_process.REPORT_WITHIN_S = 1.0
logging.basicConfig(handlers=[handler("text")], level=logging.INFO)
for line in range(int(sys.argv[2])):  # the last one may block, and holds the handler's lock
    threading.Thread(target=logging.info, args=("x" * 100_000,), daemon=True).start()
time.sleep(0.5)
try:
    if sys.argv[1] == "fatal":
        end_process.fatal_exit("test", RuntimeError("a bug"))
    elif sys.argv[1] == "refuse":
        end_process.refuse(ConfigurationError("what", "remedy"))
    else:
        end_process.guard_stop(0.1)
        time.sleep(60)
finally:
    os._exit(1)  # it should have ended above
"""
CODES = {"fatal": 70, "refuse": 3, "stop": 75}
ways = pytest.mark.parametrize("way", CODES)


def ending(way: str, lines: int, stderr: int) -> int:
    """The exit code of a process that ends in this way, after so many lines in its log."""
    process = subprocess.Popen(child("-c", ENDING, way, str(lines)), stderr=stderr)
    try:
        return process.wait(60)
    finally:
        process.kill()
        process.wait()


@ways
def test_a_log_that_nobody_reads(way: str) -> None:
    """As with a log collector that has stopped: the pipe is full, and writing to it blocks."""
    reading, writing = os.pipe()
    try:
        assert ending(way, 3, writing) == CODES[way]
    finally:
        os.close(reading)
        os.close(writing)


@ways
def test_a_log_whose_reader_is_gone(way: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert ending(way, 3, writing) == CODES[way]
    finally:
        os.close(writing)


@ways
@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_log_on_a_full_disk(way: str) -> None:
    with open("/dev/full", "wb") as full:
        assert ending(way, 3, full.fileno()) == CODES[way]
