"""The cache of Kafka's jars: only jars in the lock file are used, and none is downloaded twice."""

from __future__ import annotations

import hashlib
import re
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from app.devstack import cache, jars
from app.errors import UnreachableError

CONTENTS = {
    "/org/example/one/1.0/one-1.0.jar": b"one" * 50_000,
    "/org/example/two/2.0/two-2.0.jar": b"two" * 5_000,
}


@dataclass
class Repository:
    """A Maven repository on the loopback interface."""

    port: int
    contents: dict[str, bytes]
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = served.contents.get(self.path)
            if self.path.endswith(".jar"):
                served.requests.append(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    served = Repository(server.server_port, dict(CONTENTS))
    _use_repository(monkeypatch, server.server_port)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def _use_repository(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    from jgo.maven import MavenContext

    def context(repository: Path) -> MavenContext:
        return MavenContext(
            repo_cache=repository, remote_repos={"test": f"http://127.0.0.1:{port}"}, timeout=5
        )

    monkeypatch.setattr(jars, "maven_context", context)


def locked() -> list[jars.Jar]:
    digests = [hashlib.sha256(content).hexdigest() for content in CONTENTS.values()]
    return [
        jars.Jar("org.example", "one", "1.0", digests[0]),
        jars.Jar("org.example", "two", "2.0", digests[1]),
    ]


def test_fetches_what_is_missing_and_reports_it(tmp_path: Path, repository: Repository) -> None:
    reports: list[str] = []
    paths = jars.ensure_jars(tmp_path, reports.append, locked())
    assert [path.read_bytes() for path in paths] == list(CONTENTS.values())
    assert "2 of 2 files" in reports[-1]


def test_needs_neither_network_nor_jgo_once_cached(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars.ensure_jars(tmp_path, lambda _: None, locked())

    def refuse(_repository: Path) -> None:
        raise AssertionError("jgo was asked")

    monkeypatch.setattr(jars, "maven_context", refuse)
    jars.ensure_jars(tmp_path, lambda _: None, locked())
    assert len(repository.requests) == 2


@pytest.mark.parametrize(
    "altered",
    [b"tampered", b"", CONTENTS["/org/example/one/1.0/one-1.0.jar"][:1000]],
    ids=["other", "empty", "half"],
)
def test_an_altered_jar_is_removed_and_downloaded_again(
    tmp_path: Path, repository: Repository, altered: bytes
) -> None:
    path = jars.ensure_jars(tmp_path, lambda _: None, locked())[0]
    path.write_bytes(altered)
    repository.requests.clear()
    reports: list[str] = []
    jars.ensure_jars(tmp_path, reports.append, locked())
    assert path.read_bytes() == CONTENTS["/org/example/one/1.0/one-1.0.jar"]
    assert repository.requests == ["/org/example/one/1.0/one-1.0.jar"]
    assert any(
        "one-1.0.jar in the cache does not match the lock file" in report for report in reports
    )


def test_refuses_what_the_repository_altered(tmp_path: Path, repository: Repository) -> None:
    repository.contents["/org/example/two/2.0/two-2.0.jar"] = b"something else"
    with pytest.raises(
        UnreachableError, match=r"two-2\.0\.jar was downloaded, but its SHA-256 differs"
    ):
        jars.ensure_jars(tmp_path, lambda _: None, locked())
    assert not list(tmp_path.rglob("two-2.0.jar"))


def test_a_file_that_no_repository_has_is_a_clear_error(
    tmp_path: Path, repository: Repository
) -> None:
    del repository.contents["/org/example/two/2.0/two-2.0.jar"]
    with pytest.raises(UnreachableError, match="could not be downloaded"):
        jars.ensure_jars(tmp_path, lambda _: None, locked())


def test_no_network_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use_repository(monkeypatch, 1)  # nobody listens on port 1
    with pytest.raises(UnreachableError) as caught:
        jars.ensure_jars(tmp_path, lambda _: None, locked())
    assert "Check the network and the proxy settings" in caught.value.remedy
    assert caught.value.exit_code == 4


def test_a_full_disk_is_not_called_a_network_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_repository: Path) -> None:
        raise OSError(28, "No space left on device")

    class Context:
        project = staticmethod(lambda *_: full(tmp_path))

    monkeypatch.setattr(jars, "maven_context", lambda _: Context())
    with pytest.raises(UnreachableError) as caught:
        jars.ensure_jars(tmp_path, lambda _: None, locked())
    assert "disk is full" in caught.value.remedy


def test_two_at_once_fetch_each_file_once(tmp_path: Path, repository: Repository) -> None:
    threads = [
        threading.Thread(target=jars.ensure_jars, args=(tmp_path, lambda _: None, locked()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(repository.requests) == sorted(CONTENTS)


def test_the_lock_names_a_sum_for_each_jar_and_no_address() -> None:
    text = jars.LOCK_PATH.read_text()
    entries = tomllib.loads(text)["dependencies"]
    assert all(
        re.fullmatch("[0-9a-f]{64}", entry["sha256"]) and entry["packaging"] == "jar"
        for entry in entries
    )
    assert not any("classifier" in entry for entry in entries)
    assert "://" not in text
    assert "://" not in jars.SPEC_PATH.read_text()


def test_the_lock_is_of_one_kafka_release_and_of_what_the_specification_asks_for() -> None:
    versions = {f"{jar.group}:{jar.artifact}": jar.version for jar in jars.locked_jars()}
    for coordinate in tomllib.loads(jars.SPEC_PATH.read_text())["dependencies"]["coordinates"]:
        name, _, version = coordinate.rstrip("!").rpartition(":")
        assert versions[name] == version
    # The parent of a log binding once added clients of another release.
    assert {
        version for name, version in versions.items() if name.startswith("org.apache.kafka:")
    } == {"4.3.1"}
    assert (
        len(
            {
                version
                for name, version in versions.items()
                if name.startswith("org.apache.logging.log4j:")
            }
        )
        == 1
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"EDGELOOP_CACHE_DIR": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/edgeloop"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/edgeloop"),
        ({}, "/home/me/.cache/edgeloop"),
    ],
)
def test_the_cache_is_where_the_environment_says(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EDGELOOP_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache.cache_directory() == Path(expected)
