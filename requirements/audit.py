"""Asks whether packages of a lock have known vulnerabilities: `pip-audit`, and what it leaves out.

    python requirements/audit.py worker.lock

Exit code 1 if there is one, or if a package was not audited while others were.  Where the database
cannot be reached, this says so and ends with 0: a build without a network goes on.

May touch: the network, through `pip-audit`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_AWAY = ("ConnectionError", "Max retries", "Timeout", "timed out", "HTTPError", "ServiceError")
_OPTIONS = ("--progress-spinner=off", "--format=json", "--require-hashes", "--disable-pip")
LIMIT_S = 300


def verdict(audited: list[dict[str, Any]], lock: str) -> tuple[int, str]:
    """Exit code and sentences for what `pip-audit` says of each package.

    It counts a package that the database did not answer for as one without vulnerabilities.
    """
    skipped = [one["name"] for one in audited if "skip_reason" in one]
    found = [
        f"{one['name']} {one['version']}: {bad['id']}, mended in "
        + (", ".join(bad["fix_versions"]) or "no version yet")
        for one in audited
        for bad in one.get("vulns", ())
    ]
    if len(skipped) == len(audited):
        return 0, f"Skipped: the database of vulnerabilities did not answer for any of {lock}."
    lines = [*found]
    if skipped:
        lines.append(f"Not audited, as the database did not answer: {', '.join(skipped)}")
    known = len(audited) - len(skipped)
    lines.append(f"{lock}: {known} packages audited, {len(found)} vulnerabilities.")
    return int(bool(found or skipped)), "\n".join(lines)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    lock = sys.argv[1]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *_OPTIONS, "--requirement", str(HERE / lock)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        print(f"Skipped: the database of vulnerabilities did not answer within {LIMIT_S} s.")
        return 0
    if not done.stdout.lstrip().startswith("{"):
        if any(word in done.stderr for word in _AWAY):
            print("Skipped: the database of vulnerabilities cannot be reached.")
            return 0
        print(done.stderr, file=sys.stderr)
        return done.returncode or 1
    code, text = verdict(json.loads(done.stdout)["dependencies"], lock)
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
