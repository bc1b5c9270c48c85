"""Settings: read once, validated with full sentences, printed without secrets."""

from __future__ import annotations

import pytest

from app.errors import ConfigurationError
from app.settings import AGENTS, Settings, redact_url


def read(**variables: str) -> Settings:
    return Settings.from_environment(
        {f"EDGELOOP_{name}": value for name, value in variables.items()}
    )


def test_nothing_set_gives_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_setting_survives_the_way_through_an_environment() -> None:
    settings = read(
        BROKER="a:1,b:2",
        DATABASE_URL="postgresql://u:p@h/d",
        OUTCOME="pnl",
        WINDOW_DAYS="30.5",
        AGENTS="ingest",
        N_MIN="5",
    )
    assert Settings.from_environment(settings.environment()) == settings


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BROKER", "nowhere", "host:port"),
        ("DATABASE_URL", "mysql://x", "postgresql://"),
        ("LEARNING", "deep", "one of: classic"),
        ("OUTCOME", "profit", "one of: rr, roi, pnl"),
        ("WINDOW_DAYS", "0", "a number of days from"),
        ("WINDOW_DAYS", "nan", "a number of days from"),
        ("WINDOW_TRADES", "ten", "a whole number from 1"),
        ("N_MIN", "3.5", "a whole number from 1"),
        ("AGENTS", "ingest,cook", "'cook'"),
        ("AGENTS", "ingest,ingest", "repeats a name"),
        ("DIMENSIONS", "chain,,bucket", "comma-separated list of names"),
        ("DIMENSIONS", 'a"b', "comma-separated list of names"),
        ("TOPIC_PREFIX", "a b", "characters"),
        ("METRICS_PORT", "70000", "a port"),
        ("DATABASE_SCHEMA", "Drop Table", "lower-case"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: value})
    assert f"EDGELOOP_{name}" in caught.value.what
    assert says in str(caught.value)
    assert caught.value.exit_code == 3


def test_an_unknown_setting_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ConfigurationError, match="EDGELOOP_WINDOW_DAYS"):
        read(WINDOWDAYS="3")


def test_the_log_has_to_hold_the_window() -> None:
    with pytest.raises(ConfigurationError, match="RETENTION_DAYS"):
        read(WINDOW_DAYS="90", RETENTION_DAYS="90")
    assert read(WINDOW_DAYS="1000").log_retention_days == 2000
    assert Settings().log_retention_days == 400


def test_secrets_are_not_shown() -> None:
    shown = read(DATABASE_URL="postgresql://user:hunter2@h:5/d").redacted()
    assert "hunter2" not in str(shown)
    assert shown["EDGELOOP_DATABASE_URL"] == "postgresql://user:***@h:5/d"
    assert redact_url("postgresql://h/d") == "postgresql://h/d"
    with pytest.raises(ConfigurationError) as caught:
        read(DATABASE_URL="mysql://user:hunter2@h/d")
    assert "hunter2" not in str(caught.value)


def test_agents_are_those_that_there_are() -> None:
    from importlib.util import find_spec

    assert all(find_spec(f"agents.{name}") for name in AGENTS)


def test_no_regimes_is_a_signature_too() -> None:
    """An empty one that a command passes to a child process stays empty."""
    assert Settings.from_environment({"EDGELOOP_REGIME_SIGNATURE": ""}).regime_signature == ()
    none = Settings(regime_signature=())
    assert Settings.from_environment(none.environment()) == none
