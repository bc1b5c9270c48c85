"""Addresses with passwords are never shown, and are refused with a message if written wrongly."""

from __future__ import annotations

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.urls import redact_url

SECRET = "hun@ter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@h:5432/d", "postgresql://me:***@h:5432/d"),
        ("postgresql://h/d?user=me&password=hunter2", "postgresql://h/d?user=me&password=***"),
        ("postgresql://h/d?sslpassword=hunter2&passfile=/p", None),
        ("postgresql://me@h,i:1/d?target_session_attrs=any", None),
        ("postgres://me:hunter2@[::1]:5432/d", "postgres://me:***@[::1]:5432/d"),
        ("postgresql:///d?host=/run/postgresql", None),
    ],
)
def test_a_url_is_shown_without_its_passwords(url: str, shown: str | None) -> None:
    found = redact_url(url)
    assert "hunter2" not in found
    if shown:
        assert found == shown
    assert Settings.from_environment({"EDGELOOP_DATABASE_URL": url}).database_url == url
    assert "hunter2" not in str(Settings(database_url=url).redacted())


@pytest.mark.parametrize("mark", ["@", "/", "#", "?", "[", "]", "\\", '"', " ", "é"])
def test_an_unescaped_character_gives_a_sentence_without_the_password(mark: str) -> None:
    url = f"postgresql://me:hunter{mark}sesame@host:5432/name"
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"EDGELOOP_DATABASE_URL": url})
    assert "percent-encoded" in caught.value.what
    for text in (str(caught.value), redact_url(url)):
        assert "hunter" not in text
        assert "sesame" not in text


@pytest.mark.parametrize(
    "broker",
    [
        "kafka://me:hunter2@host:9092",
        "me:hunter2@host:9092",
        "host:9092,me:hunter2@other:9092",
        "SASL_SSL://host:9092?password=hunter2",
        "hunter2@host:9092",
    ],
)
def test_credentials_in_the_brokers_address_are_refused_unseen(broker: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"EDGELOOP_BROKER": broker})
    assert "EDGELOOP_KAFKA_PASSWORD" in caught.value.remedy
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("broker", ["host:0", "host:65536", "a:9092,b:99999", "[::1]:70000"])
def test_ports_that_there_are_not_are_refused(broker: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({"EDGELOOP_BROKER": broker})
    assert "1 to 65535" in caught.value.remedy
