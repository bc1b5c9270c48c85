"""`docker-compose.yml` and the `Dockerfile` match the code: settings, commands, health, files.  No
container engine is needed."""

from __future__ import annotations

import fnmatch
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import app.commands
from app.commands.base import cli
from app.dashboard.access import OPEN
from app.dashboard.server import token_for
from app.settings import PREFIX, Settings
from app.worker.end_process import STOP_LIMIT_S

app.commands.load()

ROOT = Path(__file__).parents[2]
OURS = ("setup", "worker", "dashboard")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file, with `${NAME:-default}` replaced by its default as Compose does it."""
    text = (ROOT / "docker-compose.yml").read_text()
    loaded = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    assert "$" not in str(loaded["services"])
    return loaded


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """(instruction, arguments) of each line."""
    lines = [
        line
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def settings_of(service: dict[str, Any]) -> Settings:
    """The settings that a container of `service` would read; raises if a name or a value is
    invalid."""
    environment = {name: str(value) for name, value in service["environment"].items()}
    assert all(name.startswith(PREFIX) for name in environment)
    return Settings.from_environment(environment)


def faust_commands(command: list[str]) -> list[list[str]]:
    """The words after `faust -A app` of each command that a service runs."""
    words = (
        [shlex.split(part) for part in command[2].split("&&")]
        if command[:2] == ["sh", "-c"]
        else [command]
    )
    assert all(one[:3] == ["faust", "-A", "app"] for one in words)
    return [one[3:] for one in words]


def test_the_services_are_these(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"kafka", "postgres", *OURS, "prometheus", "grafana"}
    assert {name for name in services if "profiles" in services[name]} == {"prometheus", "grafana"}


@pytest.mark.parametrize("name", OURS)
def test_ours_may_write_nothing_and_have_no_rights(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", OURS)
def test_environment_names_and_values_are_settings(compose: dict[str, Any], name: str) -> None:
    settings = settings_of(compose["services"][name])
    assert settings.log_format == "json"


def test_all_of_ours_have_the_same_settings(compose: dict[str, Any]) -> None:
    setup, worker, dashboard = (settings_of(compose["services"][name]) for name in OURS)
    assert setup == worker == dashboard


def test_commands_exist(compose: dict[str, Any]) -> None:
    for name in OURS:
        for words in faust_commands(compose["services"][name]["command"]):
            found: click.Command = cli
            rest = list(words)
            while isinstance(found, click.Group):
                assert rest, words
                assert rest[0] in found.commands, words
                found = found.commands[rest.pop(0)]
            found.make_context("faust", rest, resilient_parsing=False)


def test_the_one_shot_makes_topics_and_tables_before_a_worker_starts(
    compose: dict[str, Any],
) -> None:
    setup, worker, dashboard = (compose["services"][name] for name in OURS)
    assert faust_commands(setup["command"]) == [
        ["topics", "create"],
        ["topics", "check"],
        ["migrate"],
    ]
    assert setup["restart"] == "on-failure"
    assert {name: wait["condition"] for name, wait in setup["depends_on"].items()} == dict.fromkeys(
        ("kafka", "postgres"), "service_healthy"
    )
    assert worker["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    assert faust_commands(worker["command"]) == [["worker"]]
    assert dashboard["depends_on"]["setup"] == worker["depends_on"]["setup"]


def test_the_dashboard_is_reached_from_the_host_alone_and_asks_for_a_token(
    compose: dict[str, Any],
) -> None:
    dashboard, worker = (compose["services"][name] for name in ("dashboard", "worker"))
    ((_, *words),) = faust_commands(dashboard["command"])
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert token_for(given["--host"], None) is not None
    (port,) = dashboard["ports"]
    assert port == f"127.0.0.1:{given['--port']}:{given['--port']}"
    assert given["--metrics"] == f"worker:{settings_of(worker).metrics_port}"
    (url,) = re.findall(r"http://[^'\"]+", " ".join(dashboard["healthcheck"]["test"]))
    assert url == f"http://127.0.0.1:{given['--port']}/healthz"
    assert "/healthz" in OPEN


def test_the_worker_can_be_scaled(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert not {"container_name", "ports", "hostname", "volumes", "network_mode"} & set(worker)


def test_the_worker_has_time_to_stop_and_comes_back(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert worker["restart"] in ("unless-stopped", "always", "on-failure")
    assert int(worker["stop_grace_period"].removesuffix("s")) > STOP_LIMIT_S


def test_health_is_asked_where_it_is_served(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    settings = settings_of(worker)
    (url,) = re.findall(r"http://[^'\"]+", " ".join(worker["healthcheck"]["test"]))
    assert url == f"http://127.0.0.1:{settings.metrics_port}/readyz"
    assert settings.metrics_host == "0.0.0.0"  # inside its own network
    assert '"/readyz"' in (ROOT / "app/worker/health.py").read_text()


def test_every_server_has_a_health_check_and_keeps_its_data_in_a_named_volume(
    compose: dict[str, Any],
) -> None:
    for name in ("kafka", "postgres", "prometheus", "grafana"):
        service = compose["services"][name]
        assert service["healthcheck"]["test"]
        volumes = [
            volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith(".")
        ]
        assert volumes
        assert set(volumes) <= set(compose["volumes"])


def test_only_loopback_ports_of_the_host_are_used(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")


def test_the_broker_is_an_official_one_in_kraft_mode_that_makes_no_topics(
    compose: dict[str, Any],
) -> None:
    kafka = compose["services"]["kafka"]
    assert re.fullmatch(r"apache/kafka:4\.\d+\.\d+", kafka["image"])
    environment = kafka["environment"]
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert "ZOOKEEPER" not in str(environment)
    assert environment["KAFKA_LOG_DIRS"] == kafka["volumes"][0].partition(":")[2]
    assert environment["KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR"] == "1"


def test_the_addresses_are_those_of_the_services(compose: dict[str, Any]) -> None:
    settings = settings_of(compose["services"]["worker"])
    advertised = compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://{settings.broker}" in advertised.split(",")
    postgres = compose["services"]["postgres"]["environment"]
    assert settings.database_url == (
        f"postgresql://{postgres['POSTGRES_USER']}:{postgres['POSTGRES_PASSWORD']}@postgres:5432/{postgres['POSTGRES_DB']}"
    )


def test_the_image_is_not_root_and_starts_a_worker(dockerfile: list[tuple[str, str]]) -> None:
    users = [rest for word, rest in dockerfile if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert any(
        word == "RUN" and "useradd" in rest and users[-1] in rest for word, rest in dockerfile
    )
    after = dockerfile.index(("USER", users[-1]))
    assert not [word for word, _ in dockerfile[after:] if word in ("RUN", "COPY")]
    assert dockerfile[-1] == ("CMD", '["faust", "-A", "app", "worker"]')


def test_the_image_has_what_the_package_is_made_of(dockerfile: list[tuple[str, str]]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    copied = [source for word, rest in dockerfile if word == "COPY" for source in rest.split()[:-1]]
    packages = {
        name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    needed = packages | {
        "pyproject.toml",
        project["project"]["readme"],
        *project["project"]["license-files"],
    }
    assert needed <= set(copied)
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    for source in copied:
        assert (ROOT / source).exists(), source
        assert not any(fnmatch.fnmatch(source.split("/")[0], pattern) for pattern in ignored), (
            source
        )


def test_the_image_installs_the_lock_with_hashes_and_what_the_build_needs(
    dockerfile: list[tuple[str, str]],
) -> None:
    runs = [rest for word, rest in dockerfile if word == "RUN" and "pip install" in rest]
    assert "--require-hashes -r requirements/worker.lock" in runs[0]
    assert all("--no-deps" in run for run in runs[1:])
    lock = (ROOT / "requirements/worker.lock").read_text()
    assert re.search(r"^setuptools==", lock, flags=re.MULTILINE)  # --no-build-isolation
    assert not re.search(r"https?://", lock)


def test_the_python_of_the_image_is_one_that_the_package_takes(
    dockerfile: list[tuple[str, str]],
) -> None:
    assert [rest for word, rest in dockerfile if word == "FROM"] == ["${BASE}"]
    assert dockerfile[0][0] == "ARG"
    version = re.fullmatch(r"BASE=python:3\.(\d+)-slim", dockerfile[0][1])
    assert version is not None
    assert 11 <= int(version[1]) <= 13


def test_make_image_builds_from_a_digest() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^image:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert "imagetools inspect" in recipe
    assert "--build-arg BASE=$(BASE)@$$digest" in recipe
    (base,) = re.findall(r"^ARG BASE=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert re.findall(r"^BASE := (.*)$", makefile, re.MULTILINE) == [base]


def test_the_build_leaves_out_what_a_worker_does_not_need() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", ".venv", ".edgeloop", "tests"} <= ignored
