"""Writes `docs/licences.md`: the licences of the packages that a worker installs.

    python requirements/licences.py           # rewrite it
    python requirements/licences.py --check   # exit code 1 if it is not up to date

The packages are those of `worker.lock`; the licences are what the installed ones say of themselves.
What is not installed here, as it is for another system, keeps the licence that the file has.

May touch: `docs/licences.md`; the metadata of installed packages (read only).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
LOCK = HERE / "worker.lock"
TARGET = HERE.parent / "docs" / "licences.md"
_OPTIONS = ("--with-system", "--from=mixed", "--format=json")
_HEAD = """# Licences

For everyone who distributes a worker: the packages that it installs, from
`requirements/worker.lock`, with the licences that they state. `make licences` writes this file.

| package | versions | licence |
|---|---|---|
"""


def locked(text: str) -> dict[str, list[str]]:
    """The versions of each package of a lock; some have one for each Python."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
        found.setdefault(name, []).append(version)
    return found


def stated(names: list[str]) -> dict[str, str]:
    """The licences that installed packages state."""
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses", *_OPTIONS, "--packages", *names],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        re.sub(r"[-_.]+", "-", one["Name"]).lower(): _short(one["License"])
        for one in json.loads(done.stdout)
    }


def _short(licence: str) -> str:
    """On one line, and without what would end a cell."""
    return " ".join(licence.replace("|", "/").split())


def written(text: str) -> dict[str, str]:
    """The licences in a document that was made before."""
    return dict(re.findall(r"^\| ([\w.-]+) \| [^|]+ \| ([^|]+) \|$", text, flags=re.MULTILINE))


def document(lock: str, before: str) -> str:
    """The whole file.  Raises `SystemExit` where a licence is not known."""
    packages = locked(lock)
    known = written(before) | stated(list(packages))
    unknown = [name for name in packages if known.get(name, "UNKNOWN") == "UNKNOWN"]
    if unknown:
        raise SystemExit(
            f"The licence is not known of: {', '.join(unknown)}. Install the lock, or write the"
            f" licence into {TARGET.name}, and run this again."
        )
    rows = [
        f"| {name} | {', '.join(versions)} | {known[name]} |\n"
        for name, versions in sorted(packages.items())
    ]
    return _HEAD + "".join(rows)


def main() -> None:
    before = TARGET.read_text() if TARGET.exists() else ""
    now = document(LOCK.read_text(), before)
    if sys.argv[1:] == ["--check"]:
        if now != before:
            raise SystemExit(f"{TARGET.name} is not up to date. Run: make licences")
    elif sys.argv[1:]:
        raise SystemExit(__doc__)
    else:
        TARGET.write_text(now)


if __name__ == "__main__":
    main()
