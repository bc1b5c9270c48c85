"""The secure stack: only its owner can read its files, and it stays secure or open as it was
created."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from app import devstack
from app.commands.stack import stack
from app.devstack import StackInfo
from app.devstack.kafka import Kafka
from app.devstack.secure import USERS, Secure
from app.errors import ConfigurationError

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]


def test_secrets_are_in_files_of_the_owner_and_in_no_log(secure_stack: StackInfo) -> None:
    folder = Path(secure_stack.security["EDGELOOP_KAFKA_CA"]).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {0o600}
    logs = "".join(
        path.read_text(errors="replace") for path in secure_stack.directory.glob("kafka/**/*.log")
    )
    assert "Kafka Server started" in logs
    for user in USERS:
        assert Secure(folder).password(user) not in logs
        assert (folder / f"{user}.token").read_text().strip() not in logs


def test_status_names_the_settings_and_no_password_of_kafka(secure_stack: StackInfo) -> None:
    shown = CliRunner().invoke(stack, ["status", "--dir", str(secure_stack.directory)])
    assert shown.exit_code == 0
    assert "export EDGELOOP_KAFKA_SECURITY=sasl_ssl" in shown.stdout
    folder = Path(secure_stack.security["EDGELOOP_KAFKA_CA"]).parent
    for user in USERS:
        assert Secure(folder).password(user) not in shown.stdout


def test_it_is_found_up_again(secure_stack: StackInfo) -> None:
    assert devstack.up(secure_stack.directory) == secure_stack
    assert devstack.up(secure_stack.directory, secure=True) == secure_stack


def test_an_open_stack_does_not_become_secure_unnoticed(tmp_path: Path) -> None:
    (tmp_path / "kafka" / "data").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="created without --secure"):
        Kafka(tmp_path / "kafka", [], make_secure=True).prepare()
    assert not (tmp_path / "kafka" / "secure").exists()
