"""Files that unpack to gigabytes or nest without end: refused with exit code 5, within bounded
memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

ROOT = Path(__file__).parents[2]
MOST_MB = 900
"""The maximum peak of resident memory, in MB.

Read as `VmHWM`: `ru_maxrss` survives `exec`, so a child starts with the peak of its test worker."""

RUN = """
import sys
from pathlib import Path
from click.testing import CliRunner
import app.commands
from app.commands.base import cli
app.commands.load()
result = CliRunner().invoke(cli.commands["import"], sys.argv[1:])
sys.stderr.write(result.output[-2000:])
if result.exception and not isinstance(result.exception, SystemExit):
    raise result.exception
status = Path("/proc/self/status").read_text()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
sys.exit(result.exit_code)
"""

MB = 1024 * 1024


def zst(path: Path, unit: bytes, size: int) -> None:
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as stream:
        for _ in range(size // (len(unit) * 1000)):
            stream.write(unit * 1000)


def one_line(path: Path) -> None:
    zst(path.with_suffix(".jsonl.zst"), b"a" * 1000, 3_000 * MB)


def many_lines(path: Path) -> None:
    zst(path.with_suffix(".csv.zst"), b"1,2,3\n" * 200, 1_000 * MB)


def gzipped(path: Path) -> None:
    with gzip.open(path.with_suffix(".csv.gz"), "wb", compresslevel=1) as file:
        for _ in range(400):
            file.write(b"1,2,3\n" * 200_000)


def _zip(path: Path, name: str, unit: bytes, count: int, head: bytes = b"") -> None:
    with (
        zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(head)
        for _ in range(count):
            member.write(unit)


def large_in_a_zip(path: Path) -> None:
    _zip(path, "backtest.json", b"[" * MB, 600)


def values_in_a_zip(path: Path) -> None:
    _zip(path, "backtest.json", b"[]," * MB, 60, b'{"strategy":{"s":{"trades":[')


def deep(path: Path) -> None:
    path.with_suffix(".json").write_bytes(b"[" * 5 * MB)


def deep_result(path: Path) -> None:
    nested = b'{"strategy":{"s":{"trades":' + b"[" * 200_000 + b"]" * 200_000 + b"}}}"
    path.with_suffix(".json").write_bytes(nested)


def many_values(path: Path) -> None:
    path.with_suffix(".json").write_bytes(b"[" + b"{},\n" * (10 * MB) + b"{}]")


def many_elements(path: Path) -> None:
    path.with_suffix(".xml").write_bytes(b"<r>" + b"<a/>" * (10 * MB) + b"</r>")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "draft"),
    [
        (one_line, False),
        (many_lines, True),
        (gzipped, True),
        (large_in_a_zip, False),
        (values_in_a_zip, False),
        (deep, True),
        (deep_result, True),
        (many_values, True),
        (many_elements, True),
    ],
)
def test_it_is_refused_within_bounds(
    make: Callable[[Path], None], draft: bool, tmp_path: Path
) -> None:
    make(tmp_path / "bomb")
    (bomb,) = tmp_path.iterdir()
    words = [str(bomb), *(["--draft", str(tmp_path / "m.toml")] if draft else ["--dry-run"])]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr[-3_000:]
    assert "Error: " in done.stderr
    assert done.returncode == 5, (done.returncode, done.stderr)
    assert int(done.stdout) < MOST_MB, (done.stdout, done.stderr)


def test_a_result_that_nests_too_deeply_is_bad_data() -> None:
    from app.sources.adapters.freqtrade_results import parse

    with pytest.raises(ValueError, match="nested"):
        parse(b"[" * 100_000 + b"]" * 100_000)
    assert parse(json.dumps({"a": float("nan")}).encode())
