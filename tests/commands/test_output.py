"""Commands whose output cannot be written end with a sentence, or silently as in any pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRINTS_MUCH = """
from app.commands.base import echo, handle_errors

@handle_errors
def command():
    for _ in range({lines}):
        echo("\u2192 1.5")

command()
"""

LOGS = """
import structlog
from app.commands.base import echo_json, handle_errors

@handle_errors
def command():
    structlog.get_logger("app.kafka.control").error("control.unreadable", offset=91)
    echo_json({})

command()
"""


def start(lines: int, stdout: int, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PRINTS_MUCH.format(lines=lines)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def test_a_reader_that_has_left_is_not_taken_for_a_broker_that_is_away() -> None:
    process = start(100_000, subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(3)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 1


def test_a_full_disk_is_named() -> None:
    with Path("/dev/full").open("wb") as full:
        _, errors = start(1, full.fileno()).communicate(timeout=60)
    assert errors.decode().splitlines()[0] == "Error: Cannot write: No space left on device."
    assert b"Traceback" not in errors


def test_characters_that_the_encoding_lacks_are_escaped() -> None:
    process = start(1, subprocess.PIPE, PYTHONIOENCODING="latin-1")
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, b"\\u2192 1.5\n", b"")


def test_log_lines_are_not_in_the_output() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOGS], cwd=ROOT, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == b"{}\n"
    assert b"control.unreadable" in done.stderr
