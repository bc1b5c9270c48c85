"""Kafka's jars in the per-user cache; only jars with the SHA-256 that `jgo.lock.toml` names are
used.

May touch: the per-user cache; the network, through jgo, for missing jars.

`jgo` downloads jars without comparing their hashes with the lock file, and a process that is killed
while writing leaves half a file.  So the hash of every jar is checked here before each start (44 MB
take 0.1 s), and a jar that differs is removed and downloaded again, once.
"""

from __future__ import annotations

import hashlib
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.devstack import processes
from app.errors import UnreachableError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

SPEC_PATH = Path(__file__).with_name("jgo.toml")
LOCK_PATH = Path(__file__).with_name("jgo.lock.toml")

# Several at a time: most jars are small, so round trips take most of the time.
PARALLEL_DOWNLOADS = 4
# jgo's own 10 s for a response is short for a slow proxy.
TIMEOUT_S = 60
LOCK_TIMEOUT_S = 600
REPORT_INTERVAL_S = 1.0


@dataclass(frozen=True)
class Jar:
    """A locked artifact: its Maven coordinates and the SHA-256 (hexadecimal) of its content."""

    group: str
    artifact: str
    version: str
    sha256: str

    def path(self, repository: Path) -> Path:
        """Where the jar is in `repository`, in Maven's layout."""
        return repository.joinpath(
            *self.group.split("."),
            self.artifact,
            self.version,
            f"{self.artifact}-{self.version}.jar",
        )

    def is_intact(self, repository: Path) -> bool:
        """Whether the jar exists with exactly the locked content."""
        try:
            with self.path(repository).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except FileNotFoundError:
            return False


def locked_jars(lock_path: Path = LOCK_PATH) -> list[Jar]:
    """The jars of a jgo lock file, in its order."""
    with lock_path.open("rb") as file:
        dependencies = tomllib.load(file)["dependencies"]
    return [Jar(d["groupId"], d["artifactId"], d["version"], d["sha256"]) for d in dependencies]


def maven_context(repository: Path) -> MavenContext:
    """jgo's access to Maven repositories, keeping its files in `repository` and nowhere else.

    Repositories that the user has configured for jgo (such as a company's mirror) come first.
    """
    from jgo.config import GlobalSettings
    from jgo.constants import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext

    repositories = {**GlobalSettings.load().repositories, "central": MAVEN_CENTRAL_URL}
    return MavenContext(repo_cache=repository, remote_repos=repositories, timeout=TIMEOUT_S)


def ensure_jars(
    cache: Path, report: Callable[[str], None], jars: list[Jar] | None = None
) -> list[Path]:
    """The paths of all locked jars, each checked against the lock file; missing and altered ones
    are downloaded.

    Raises `UnreachableError` when a jar cannot be fetched, or when what was fetched is not what the
    lock names.
    """
    from filelock import FileLock, Timeout

    jars = locked_jars() if jars is None else jars
    repository = cache / "jars"
    repository.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(cache / "jars.lock", timeout=LOCK_TIMEOUT_S):
            wanted = [jar for jar in jars if not jar.is_intact(repository)]
            if wanted:
                _fetch(wanted, repository, report)
    except Timeout:
        raise UnreachableError(
            f"Another process has been downloading Kafka into {cache} for {LOCK_TIMEOUT_S} s.",
            "Let it finish, or stop it, then try again.",
        ) from None
    return [jar.path(repository) for jar in jars]


def _fetch(wanted: list[Jar], repository: Path, report: Callable[[str], None]) -> None:
    context = maven_context(repository)

    def fetch(jar: Jar) -> Jar:
        path = jar.path(repository)
        if path.exists():
            report(f"{path.name} in the cache does not match the lock file; downloading it again")
            path.unlink()
        context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        return jar

    report(f"Downloading Apache Kafka: {len(wanted)} files, up to 44 MB, once per user")
    pool = ThreadPoolExecutor(PARALLEL_DOWNLOADS)
    try:
        fetched_bytes = 0
        next_report = time.monotonic() + REPORT_INTERVAL_S
        for done, future in enumerate(as_completed([pool.submit(fetch, jar) for jar in wanted]), 1):
            jar = future.result()
            if not jar.is_intact(repository):
                jar.path(repository).unlink()
                raise UnreachableError(
                    f"{jar.path(repository).name} was downloaded, but its SHA-256 differs from the"
                    f" one in {LOCK_PATH.name}.",
                    "A proxy or mirror may have altered it. The file was removed without being"
                    " used; try again from another network.",
                )
            fetched_bytes += jar.path(repository).stat().st_size
            if time.monotonic() > next_report or done == len(wanted):
                report(
                    f"Downloading Apache Kafka: {done} of {len(wanted)} files,"
                    f" {fetched_bytes / 1e6:.0f} MB"
                )
                next_report = time.monotonic() + REPORT_INTERVAL_S
    except (OSError, RuntimeError) as error:
        # requests' exceptions are OSErrors; jgo raises RuntimeError when no repository has the
        # file.
        raise UnreachableError(
            f"Apache Kafka could not be downloaded from the Maven repository: {error}",
            processes.remedy(str(error))
            or "Check the network and the proxy settings (HTTPS_PROXY), then try again. Completed"
            " files are kept.",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
