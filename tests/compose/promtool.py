"""`python -m tests.compose.promtool`: test that every alert fires, with Prometheus's own tool.

The tool is the one on the PATH, or one that an earlier run has put below `build`.  If there is
neither, this extracts it from Debian's package `prometheus`, without installing the package.

May touch: the folder `build`; the package archive of the machine, through apt-get.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "docs" / "deploy" / "monitoring"
OURS = ROOT / "build" / "promtool"
MISSING = "promtool is not here: `make alerts` fetches it, or install Prometheus."


def find() -> str | None:
    """The tool, if it exists."""
    return shutil.which("promtool") or (str(OURS) if OURS.exists() else None)


def fetch() -> str:
    """Extract it from Debian's package.  Raises `SystemExit` if that is not possible."""
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise SystemExit("promtool is not on the PATH, and only Debian's package is known here.")
    sys.stderr.write("fetching promtool from Debian's package prometheus into build\n")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            ["apt-get", "download", "prometheus"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        packages = list(Path(folder).glob("*.deb"))
        if done.returncode or not packages:
            raise SystemExit(f"The package cannot be fetched: {done.stderr.strip()}")
        subprocess.run(["dpkg", "-x", packages[0], folder], check=True)
        OURS.parent.mkdir(exist_ok=True)
        shutil.copy(Path(folder) / "usr" / "bin" / "promtool", OURS)
    return str(OURS)


def check(tool: str) -> subprocess.CompletedProcess[str]:
    """The tool's result for the rules and the series of their tests."""
    return subprocess.run(
        [tool, "test", "rules", "alerts.test.yml"],
        cwd=MONITORING,
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    found = check(find() or fetch())
    sys.stdout.write(found.stdout + found.stderr)
    sys.exit(found.returncode)
