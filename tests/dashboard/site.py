"""A dashboard in a process of its own, and its sources."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Site:
    """A running dashboard: its address, and its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body of a page; redirects are not followed."""

        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_: object) -> None:
                return None

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url.rstrip("/") + path, headers=named)
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, dict(answer.headers), answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read().decode()


@contextmanager
def running(settings: Settings, folder: Path, *words: str) -> Iterator[Site]:
    """Run the command until the block ends; it must exit with 0, and soon."""
    log = folder / "dashboard.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "faust"), "-A", "app", "dashboard",
                "--port", "0", *words,
            ],
            cwd=ROOT,
            env={**os.environ, **settings.environment(), "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:

        def url() -> str | None:
            assert process.poll() is None, log.read_text()
            found = re.search(r"http://\S+?/", log.read_text())
            return found[0] if found else None

        wait(lambda: url() is not None, 60, "address")
        site = Site(url() or "", process, log)
        wait(lambda: answers(site), 60, "answer", log.read_text)
        yield site
        process.terminate()
        assert process.wait(30) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def answers(site: Site) -> bool:
    """Whether it answers."""
    try:
        return site.get("/healthz")[0] == 200
    except OSError:
        return False


def wait(
    condition: Callable[[], object], deadline_s: float, what: str, detail: Callable[[], str] = str
) -> None:
    """Return once `condition` holds; fail after the deadline."""
    give_up = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < give_up, f"no {what} within {deadline_s} s\n{detail()}"
        time.sleep(0.1)
