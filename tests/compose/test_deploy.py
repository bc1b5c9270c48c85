"""The examples for systemd and Kubernetes match the code: settings, commands, health, exit codes,
the duration of a stop."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.errors import ConfigurationError, UsageError
from app.settings import PREFIX, Settings
from app.worker.end_process import STOP_LIMIT_S
from tests.compose.test_compose import faust_commands

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "docs" / "deploy" / "edgeloop-worker@.service"
MANIFESTS = ROOT / "docs" / "deploy" / "kubernetes.yaml"


Unit = dict[str, dict[str, list[str]]]


@pytest.fixture(scope="module")
def unit() -> Unit:
    """Section → directive → its values (some have several)."""
    found: Unit = {}
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            assert equals, line
            section.setdefault(name, []).append(value)
    return found


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], Any]:
    """By (kind, name)."""
    documents = yaml.safe_load_all(MANIFESTS.read_text())
    return {(d["kind"], d["metadata"]["name"]): d for d in documents}


def test_the_unit_runs_the_worker_with_settings_that_exist(unit: Unit, tmp_path: Path) -> None:
    service = unit["Service"]
    (command,) = service["ExecStart"]
    assert command.split("/bin/")[1] == "faust -A app worker"
    (credential,) = service["LoadCredential"]
    name = credential.partition(":")[0]
    (tmp_path / name).write_text("postgresql://edgeloop:word@db.example/edgeloop\n")
    given = dict(
        pair.replace("%d", str(tmp_path)).split("=", 1)
        for line in service["Environment"]
        for pair in line.split()
        if pair.startswith(PREFIX)
    )
    settings = Settings.from_environment(given)
    assert settings.database_url.endswith("@db.example/edgeloop")


def test_the_unit_is_hardened(unit: Unit) -> None:
    service = unit["Service"]
    for name in (
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateTmp",
        "ProtectHome",
        "RestrictSUIDSGID",
    ):
        assert service[name] == ["yes"], name
    assert service["ProtectSystem"] == ["strict"]
    assert service["CapabilityBoundingSet"] == [""]
    assert "ReadWritePaths" not in service
    families = set(service["RestrictAddressFamilies"][0].split())
    assert families == {"AF_INET", "AF_INET6", "AF_UNIX"}


def test_systemd_reads_the_unit_without_a_complaint(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs the optional package systemd")
    copy = tmp_path / UNIT.name
    program = tmp_path / "faust"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    command = "/opt/edgeloop/.venv/bin/faust"
    copy.write_text(UNIT.read_text().replace(command, str(program)))
    done = subprocess.run([analyze, "verify", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_gives_a_stop_its_time_and_does_not_repeat_what_cannot_work(
    unit: Unit,
) -> None:
    service = {name: values[-1] for name, values in unit["Service"].items()}
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


def test_the_manifests_hold_settings_that_exist(
    manifests: dict[tuple[str, str], Any], tmp_path: Path
) -> None:
    given = dict(manifests["ConfigMap", "edgeloop"]["data"])
    secrets = manifests["Secret", "edgeloop"]["stringData"]
    for container in containers(manifests):
        assert container["envFrom"] == [{"configMapRef": {"name": "edgeloop"}}]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        for name in [name for name in given if name.endswith("_FILE")]:
            file = Path(given[name])
            assert str(file.parent) == mounts["secrets"]
            (tmp_path / file.name).write_text(secrets[file.name])
    for name, value in given.items():
        if name.endswith("_FILE"):
            given[name] = str(tmp_path / Path(value).name)
    settings = Settings.from_environment(given)
    assert settings.replication == 3
    assert settings.database_url == secrets["database-url"]
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
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": int(user[1]),
        "fsGroup": int(user[1]),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["terminationGracePeriodSeconds"] > STOP_LIMIT_S
    for container in (setup, worker):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["limits"]["memory"]


def test_the_manifests_are_valid(manifests: dict[tuple[str, str], Any]) -> None:
    for document in manifests.values():
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    wrong = manifests["PodDisruptionBudget", "edgeloop-worker"] | {"spec": {"maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_a_drain_takes_one_worker_at_a_time(manifests: dict[tuple[str, str], Any]) -> None:
    budget = manifests["PodDisruptionBudget", "edgeloop-worker"]["spec"]
    deployment = manifests["Deployment", "edgeloop-worker"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert (
        budget["selector"]["matchLabels"].items()
        <= deployment["template"]["metadata"]["labels"].items()
    )


def test_the_probes_ask_what_a_worker_serves(manifests: dict[tuple[str, str], Any]) -> None:
    health = (ROOT / "app" / "worker" / "health.py").read_text()
    _, worker = containers(manifests)
    for probe, path in (("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        assert worker[probe]["httpGet"] == {"path": path, "port": "metrics"}
        assert f'"{path}"' in health
