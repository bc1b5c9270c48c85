"""The examples for systemd and Kubernetes name what the code has: settings, commands, health, exit
codes, the time that a stop takes."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.errors import ConfigurationError, UsageError
from app.settings import PREFIX, Settings
from app.worker.fatal import STOP_LIMIT_S
from tests.compose.test_compose import faust_commands

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs" / "deploy" / "edgeloop-worker@.service"
MANIFESTS = ROOT / "docs" / "deploy" / "kubernetes.yaml"


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], Any]:
    """By (kind, name)."""
    documents = yaml.safe_load_all(MANIFESTS.read_text())
    return {(d["kind"], d["metadata"]["name"]): d for d in documents}


def test_the_unit_runs_the_worker_with_settings_that_exist(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]
    assert service["ExecStart"].split("/bin/")[1] == "faust -A app worker"
    given = dict(
        pair.split("=", 1) for pair in service["Environment"].split() if pair.startswith(PREFIX)
    )
    assert given
    Settings.from_environment(given)


def test_the_unit_gives_a_stop_its_time_and_does_not_repeat_what_cannot_work(
    unit: configparser.ConfigParser,
) -> None:
    service = unit["Service"]
    assert int(service["TimeoutStopSec"]) > STOP_LIMIT_S
    assert service["KillSignal"] == "SIGTERM"
    assert service["Restart"] == "on-failure"
    final = {int(code) for code in service["RestartPreventExitStatus"].split()}
    assert final == {UsageError("").exit_code, ConfigurationError("").exit_code}


def containers(manifests: dict[tuple[str, str], Any]) -> list[dict[str, Any]]:
    return [
        container
        for key in (("Job", "edgeloop-setup"), ("Deployment", "edgeloop-worker"))
        for container in manifests[key]["spec"]["template"]["spec"]["containers"]
    ]


def test_the_manifests_hold_settings_that_exist(manifests: dict[tuple[str, str], Any]) -> None:
    given = (
        manifests["ConfigMap", "edgeloop"]["data"] | manifests["Secret", "edgeloop"]["stringData"]
    )
    settings = Settings.from_environment(given)
    assert settings.replication == 3
    for container in containers(manifests):
        assert container["envFrom"] == [
            {"configMapRef": {"name": "edgeloop"}},
            {"secretRef": {"name": "edgeloop"}},
        ]
    assert manifests["Deployment", "edgeloop-worker"]["spec"]["replicas"] <= settings.partitions
    port = next(p for p in containers(manifests)[1]["ports"] if p["name"] == "metrics")
    assert port["containerPort"] == settings.metrics_port


def test_the_manifests_run_commands_that_exist_with_the_images_user(
    manifests: dict[tuple[str, str], Any],
) -> None:
    setup, worker = containers(manifests)
    assert faust_commands(setup["command"]) == [
        ["topics", "create"],
        ["topics", "check"],
        ["migrate"],
    ]
    assert faust_commands(worker["command"]) == [["worker"]]
    user = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert user is not None
    pod = manifests["Deployment", "edgeloop-worker"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": int(user[1])}
    assert pod["terminationGracePeriodSeconds"] > STOP_LIMIT_S


def test_the_probes_ask_what_a_worker_serves(manifests: dict[tuple[str, str], Any]) -> None:
    health = (ROOT / "app" / "worker" / "health.py").read_text()
    _, worker = containers(manifests)
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        assert worker[probe]["httpGet"] == {"path": path, "port": "metrics"}
        assert f'"{path}"' in health
