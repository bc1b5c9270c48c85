"""TLS and SASL of clients: read from variables and files, refused with a message, never shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import trustme

from app.errors import ConfigurationError
from app.kafka.client import client_options, faust_credentials
from app.settings import Settings
from edgeloop.kafka_security import KafkaSecurity, SecurityError


def read(**variables: str) -> KafkaSecurity:
    return KafkaSecurity.from_environment(
        {f"EDGELOOP_KAFKA_{name}": value for name, value in variables.items()}
    )


@pytest.fixture
def ca(tmp_path: Path) -> str:
    (path := tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
    return str(path)


def test_each_secret_may_be_in_a_file(tmp_path: Path, ca: str) -> None:
    (user := tmp_path / "user").write_text("worker\n")
    (password := tmp_path / "password").write_text(" pass word \n")
    found = read(
        SECURITY="sasl_ssl", CA=ca, USER_FILE=str(user), PASSWORD_FILE=str(password)
    ).client_options()
    assert found["sasl_plain_username"] == "worker"
    assert found["sasl_plain_password"] == " pass word "
    assert found["ssl_context"].check_hostname
    settings = Settings.from_environment(
        {
            "EDGELOOP_KAFKA_SECURITY": "sasl_plaintext",
            "EDGELOOP_KAFKA_USER": "worker",
            "EDGELOOP_KAFKA_PASSWORD_FILE": str(password),
            "EDGELOOP_DATABASE_URL_FILE": str(_file(tmp_path, "postgresql://me:word@h/d\n")),
        }
    )
    assert settings.kafka_password == " pass word "
    assert settings.database_url == "postgresql://me:word@h/d"


def _file(folder: Path, text: str) -> Path:
    path = folder / "url"
    path.write_text(text)
    return path


def test_a_token_is_read_for_each_connection(tmp_path: Path) -> None:
    (file := tmp_path / "token").write_text("first\n")
    security = read(SECURITY="sasl_plaintext", MECHANISM="OAUTHBEARER", TOKEN_FILE=str(file))
    provider = security.client_options()["sasl_oauth_token_provider"]
    assert asyncio.run(provider.token()) == "first"
    file.write_text("second")
    assert asyncio.run(provider.token()) == "second"
    file.unlink()
    with pytest.raises(SecurityError, match="TOKEN_FILE"):
        asyncio.run(provider.token())


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"SECURITY": "tls"}, "one of: plaintext, ssl"),
        ({"SECURITY": "sasl_ssl", "MECHANISM": "GSSAPI"}, "one of: PLAIN"),
        ({"SECURITY": "sasl_ssl"}, "EDGELOOP_KAFKA_USER is not set"),
        ({"SECURITY": "sasl_ssl", "USER": "me"}, "EDGELOOP_KAFKA_PASSWORD is not set"),
        ({"USER": "me", "PASSWORD": "hunter2"}, "EDGELOOP_KAFKA_SECURITY is plaintext"),
        ({"CA": "/ca.pem"}, "EDGELOOP_KAFKA_SECURITY is plaintext"),
        ({"SECURITY": "ssl", "KEY": "/key.pem"}, "EDGELOOP_KAFKA_CERTIFICATE is not"),
        ({"SECURITY": "sasl_ssl", "MECHANISM": "OAUTHBEARER"}, "needs one token"),
        ({"SECURITY": "sasl_ssl", "USER": "a", "PASSWORD": "b", "TOKEN": "c"}, "does not use it"),
        (
            {"SECURITY": "sasl_ssl", "MECHANISM": "OAUTHBEARER", "TOKEN": "c", "PASSWORD": "b"},
            "does not use it",
        ),
        ({"USER": "a", "USER_FILE": "/b"}, "both set"),
        ({"SECURITY": "sasl_ssl", "USER": "a", "PASSWORD_FILE": "/none"}, "cannot be read"),
    ],
)
def test_what_does_not_go_together_is_refused(variables: dict[str, str], says: str) -> None:
    """The workers' settings refuse the same, in the same words."""
    with pytest.raises(SecurityError) as refused:
        read(**variables)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({f"EDGELOOP_KAFKA_{n}": v for n, v in variables.items()})
    assert caught.value.what == refused.value.what or "one of" in says


def test_files_that_cannot_be_used_are_named(tmp_path: Path, ca: str) -> None:
    (junk := tmp_path / "junk.pem").write_text("not a certificate")
    for settings, name in (
        (Settings(kafka_security="ssl", kafka_ca=str(junk)), "EDGELOOP_KAFKA_CA"),
        (Settings(kafka_security="ssl", kafka_ca="/none.pem"), "EDGELOOP_KAFKA_CA"),
        (
            Settings(kafka_security="ssl", kafka_ca=ca, kafka_certificate=str(junk)),
            "EDGELOOP_KAFKA_CERTIFICATE",
        ),
    ):
        with pytest.raises(ConfigurationError, match=name):
            client_options(settings)


def test_faust_is_told_the_same(ca: str) -> None:
    assert faust_credentials(Settings()) is None
    tls = faust_credentials(Settings(kafka_security="ssl", kafka_ca=ca))
    assert tls.context.check_hostname
    sasl = faust_credentials(
        Settings(
            kafka_security="sasl_ssl",
            kafka_ca=ca,
            kafka_mechanism="SCRAM-SHA-256",
            kafka_user="me",
            kafka_password="hunter2",
        )
    )
    assert (sasl.username, sasl.mechanism.value) == ("me", "SCRAM-SHA-256")
    assert sasl.ssl_context.check_hostname
    assert "hunter2" not in repr(sasl)


def test_secrets_are_in_no_representation() -> None:
    settings = Settings(
        database_url="postgresql://me:hunter2@h/d",
        kafka_security="sasl_plaintext",
        kafka_user="me",
        kafka_password="hunter2",
    )
    for shown in (repr(settings), repr(settings.kafka), str(settings.redacted())):
        assert "hunter2" not in shown
