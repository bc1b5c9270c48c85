"""The logs that can be judged, each with its settings: ours by name, the two of the sample, and
files.

May touch: build/real (made on demand), samples/ (read only), the files it is given (read only).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from app.audit.trades import Module, modules_of
from app.errors import BadDataError, UsageError
from app.settings import PREFIX, Settings
from app.sources import closes
from benchmarks.real.logs import LOGS, made

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "real"
SAMPLES = {
    "sample": ("us_equities.jsonl.zst", "us_equities.env", None),
    "journal": ("journal.csv.gz", "journal.env", "journal.toml"),
}
NAMES = (*LOGS, *SAMPLES)


@dataclass(frozen=True)
class Source:
    """A log as files: its events or rows, its settings, and for rows their mapping."""

    name: str
    path: Path
    env: Path
    mapping: Path | None = None

    def settings(self, outcome: str) -> Settings:
        """The log's settings, with this outcome."""
        try:
            lines = self.env.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise UsageError(
                f"{self.env} cannot be read: {error.strerror}.",
                "Name a file of settings, one NAME=value a line.",
            ) from error
        given = dict(
            line.strip().split("=", 1) for line in lines if line.startswith(PREFIX) and "=" in line
        )
        return replace(Settings.from_environment(given), outcome=outcome)

    def modules(self, settings: Settings) -> dict[str, Module]:
        """The log's trades; raises `BadDataError` if there are none."""
        kind = None if self.mapping is None else "table"
        found, refused = modules_of(
            closes([str(self.path)], kind, self.mapping), settings, int(time.time() * 1000)
        )
        if not found:
            first = refused[0].first if refused else "it is empty"
            raise BadDataError(
                f"There is not one trade in {self.path}: {first}.",
                "Each line has to be a valid position_closed event.",
            )
        return found


def named(name: str) -> Source:
    """The log of one of `NAMES`; ours are generated first, unless they exist."""
    if name in SAMPLES:
        log, env, mapping = SAMPLES[name]
        folder = ROOT / "samples"
        return Source(name, folder / log, folder / env, folder / mapping if mapping else None)
    return Source(name, *made(name, BUILD))


def given(log: Path, env: Path) -> Source:
    """A log from its files."""
    if not log.is_file():
        raise UsageError(
            f"There is no file {log}.", "Name a file of position_closed events, one a line."
        )
    return Source(log.name.split(".")[0], log, env)
