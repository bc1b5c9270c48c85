"""Settings: one frozen object, read once from the environment, validated with full sentences.

May touch: nothing but the mapping it is given.  Names are `EDGELOOP_` plus the field's name in
capitals.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from app.errors import ConfigurationError
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import DAY_US
from app.urls import HIDDEN, read_broker, read_database_url, redact_url
from edgeloop.kafka_security import MECHANISMS, PROTOCOLS, KafkaSecurity, SecurityError, secret
from edgeloop.scope import DEFAULT_DIMENSIONS
from schemas.events import MAX_REVISION

PREFIX = "EDGELOOP_"
AGENTS = ("ingest", "lesson_builder", "override_materializer", "projector")
OUTCOMES = ("rr", "roi", "pnl")
LEARNINGS = ("classic", "integrated")
MAX_DIMS = {"classic": 3, "integrated": 4}
"""Default where EDGELOOP_MAX_DIMS is not set."""


@dataclass(frozen=True)
class Settings:
    """All settings.  Times are in the unit that their name gives; the README's table has the
    meaning of each."""

    broker: str = "127.0.0.1:9092"
    kafka_security: str = "plaintext"
    kafka_ca: str = ""
    kafka_certificate: str = ""
    kafka_key: str = ""
    kafka_key_password: str = field(default="", repr=False)
    kafka_mechanism: str = KafkaSecurity.mechanism
    kafka_user: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_token: str = field(default="", repr=False)
    kafka_token_file: str = ""
    database_url: str = field(default="", repr=False)
    learning: str = "integrated"
    half_life: bool | None = None
    regime_weights: bool | None = None
    latent_factors: bool | None = None
    shared_effects: bool | None = None
    regime_signature: tuple[str, ...] = ("btc_macro",)
    factor_jaccard: float = 0.7
    alpha: float = 0.02
    lessons_per_group: int = 200
    outcome: str = "rr"
    window_days: float = 90.0
    window_trades: int = 10_000
    n_min: int = 33
    max_dims: int = MAX_DIMS["integrated"]
    edge_min: float = 0.05
    baseline_default: float = 0.0
    dimensions: tuple[str, ...] = DEFAULT_DIMENSIONS
    max_actions: int = 500
    max_groups_per_module: int = 1_000
    max_groups: int = 5_000
    max_modules: int = 100
    max_revision: int = MAX_REVISION
    rewrite_alert: int = 100
    agents: tuple[str, ...] = AGENTS
    topic_prefix: str = ""
    consumer_group: str = "edgeloop"
    partitions: int = 4
    replication: int = 1
    retention_days: float = 0.0
    lessons_per_second: float = 2_000.0
    broker_away_s: float = 3_600.0
    database_schema: str = "public"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    log_format: str = "text"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and validate.  Raises `ConfigurationError` with the variable, its value and the
        allowed values."""
        source = os.environ if environment is None else environment
        known = {PREFIX + f.name.upper(): f for f in fields(cls)}
        unknown = sorted(
            k
            for k in source
            if k.startswith(PREFIX) and k not in known and k not in OTHER_VARIABLES
        )
        if unknown:
            raise ConfigurationError(
                f"{unknown[0]} is not an Edgeloop setting.",
                f"Known settings: {', '.join(sorted(known))}.",
            )
        given: dict[str, Any] = {}
        for variable, known_field in known.items():
            name = known_field.name
            text = _secret(source, variable) if name in _SECRETS else source.get(variable, "")
            if name not in _SECRETS or name == "database_url":
                text = text.strip()
            if text or (variable in source and name in _MAY_BE_EMPTY):
                given[name] = _READERS.get(name, _as_it_is)(variable, text)
        given.setdefault("max_dims", MAX_DIMS[given.get("learning", cls.learning)])
        if "regime_signature" not in given and "dimensions" in given:
            given["regime_signature"] = tuple(
                name for name in cls.regime_signature if name in given["dimensions"]
            )
        settings = cls(**given)
        settings._check_together()
        return settings

    @property
    def log_retention_days(self) -> float:
        """Days that trades stay in the log: `retention_days`, or if that is 0, twice the window and
        at least 400."""
        return self.retention_days or max(400.0, 2 * self.window_days)

    @property
    def window_us(self) -> int:
        """Length of the sliding window in microseconds."""
        return round(self.window_days * DAY_US)

    @property
    def learning_config(self) -> LearningConfig:
        """The part that the learning depends on."""
        names = {field.name for field in fields(LearningConfig)} - {"window_us"}
        return LearningConfig(
            window_us=self.window_us, **{name: getattr(self, name) for name in names}
        )

    @property
    def kafka(self) -> KafkaSecurity:
        """How Kafka clients authenticate themselves and verify the broker."""
        names = {f.name: "kafka_" + f.name for f in fields(KafkaSecurity)}
        names["protocol"] = "kafka_security"
        return KafkaSecurity(**{name: getattr(self, ours) for name, ours in names.items()})

    def topic(self, name: str) -> str:
        """The name of a topic on the broker: the prefix, then `name`."""
        return self.topic_prefix + name

    def _check_together(self) -> None:
        try:
            self.kafka.check()
        except SecurityError as error:
            raise ConfigurationError(error.what, error.remedy) from error
        unknown = [name for name in self.regime_signature if name not in self.dimensions]
        if unknown:
            raise ConfigurationError(
                f"EDGELOOP_REGIME_SIGNATURE names {unknown[0]!r}, which is not one of"
                " EDGELOOP_DIMENSIONS.",
                "Name the scope dimensions that distinguish market regimes, coarsest first.",
            )
        if self.log_retention_days < self.window_days + 1:
            raise ConfigurationError(
                f"EDGELOOP_RETENTION_DAYS is {self.retention_days:g}, less than the sliding window"
                f" of {self.window_days:g} days plus one.",
                "The log must cover the window: raise EDGELOOP_RETENTION_DAYS, or set it to 0 to"
                " keep twice the window.",
            )

    def redacted(self) -> dict[str, Any]:
        """Every setting by the name of its variable, passwords replaced by `***`."""
        shown: dict[str, Any] = {
            PREFIX + f.name.upper(): getattr(self, f.name) for f in fields(self)
        }
        for name in _HIDDEN:
            if getattr(self, name):
                shown[PREFIX + name.upper()] = HIDDEN
        shown[PREFIX + "DATABASE_URL"] = redact_url(self.database_url)
        return {
            name: _as_text(v) if isinstance(v, (tuple, bool)) else v for name, v in shown.items()
        }

    def environment(self) -> dict[str, str]:
        """Variables from which `from_environment` makes an equal object (for a child process)."""
        return {PREFIX + f.name.upper(): _as_text(getattr(self, f.name)) for f in fields(self)}


_HIDDEN = ("kafka_key_password", "kafka_password", "kafka_token")
_SECRETS = frozenset({*_HIDDEN, "kafka_user", "database_url"})
_FROM_FILE = frozenset(_SECRETS - {"kafka_token"})  # whose file is read again and again

OTHER_VARIABLES = frozenset(
    {
        PREFIX + "CACHE_DIR",
        PREFIX + "EXPLORE",
        *(f"{PREFIX}{name.upper()}_FILE" for name in _FROM_FILE),
    }
)
"""Variables of the dev stack and of the position manager's side, which are no settings of a
worker, and files of secrets."""

_MAY_BE_EMPTY = frozenset({"topic_prefix", "database_url", "regime_signature"})


def _as_text(value: Any) -> str:
    """The value as the environment variable holds it."""
    if value is None:
        return "auto"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _secret(environment: Mapping[str, str], variable: str) -> str:
    """A secret, or the content of the file that `variable` + `_FILE` names."""
    if variable == PREFIX + "KAFKA_TOKEN":
        return environment.get(variable, "")
    try:
        return secret(environment, variable)
    except SecurityError as error:
        raise ConfigurationError(error.what, error.remedy) from error


def _as_it_is(_variable: str, text: str) -> str:
    return text


def _number(
    kind: Callable[[str], Any], low: float, high: float, words: str
) -> Callable[[str, str], Any]:
    def read(variable: str, text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise ConfigurationError(
                f"{variable} is {text!r}.", f"Expected {words} from {low:g} to {high:g}."
            )
        return value

    return read


def _choice(options: tuple[str, ...]) -> Callable[[str, str], str]:
    def read(variable: str, text: str) -> str:
        if text not in options:
            raise ConfigurationError(
                f"{variable} is {text!r}.", f"Expected one of: {', '.join(options)}."
            )
        return text

    return read


def _pattern(expression: str, words: str) -> Callable[[str, str], str]:
    def read(variable: str, text: str) -> str:
        if not re.fullmatch(expression, text):
            raise ConfigurationError(f"{variable} is {text!r}.", f"Expected {words}.")
        return text

    return read


def _names(
    options: tuple[str, ...] | None, expression: str = ".+"
) -> Callable[[str, str], tuple[str, ...]]:
    def read(variable: str, text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",")) if text else ()
        wrong = [
            n
            for n in names
            if not re.fullmatch(expression, n) or (options is not None and n not in options)
        ]
        if wrong:
            allowed = f", each one of: {', '.join(options)}" if options else ""
            raise ConfigurationError(
                f"{variable} holds {wrong[0]!r}.",
                f"Expected a comma-separated list of names{allowed}.",
            )
        if len(set(names)) < len(names):
            raise ConfigurationError(
                f"{variable} is {text!r}, which repeats a name.", "List each name once."
            )
        return names

    return read


def _switch(variable: str, text: str) -> bool | None:
    """On, off, or None for auto."""
    if text.lower() not in ("auto", "on", "off", "true", "false", "1", "0"):
        raise ConfigurationError(f"{variable} is {text!r}.", "Expected auto, on or off.")
    return None if text.lower() == "auto" else text.lower() in ("on", "true", "1")


_DAYS = _number(float, 1 / 24, 36_500, "a number of days")
_TOPIC = r"[A-Za-z0-9._-]{0,100}"
_READERS: dict[str, Callable[[str, str], Any]] = {
    "broker": read_broker,
    "kafka_security": _choice(PROTOCOLS),
    "kafka_mechanism": _choice(MECHANISMS),
    "database_url": read_database_url,
    "learning": _choice(LEARNINGS),
    "half_life": _switch,
    "regime_weights": _switch,
    "latent_factors": _switch,
    "shared_effects": _switch,
    "regime_signature": _names(None),
    "factor_jaccard": _number(float, 0.5, 1.0, "a number"),
    "alpha": _number(float, 1e-9, 0.5, "a number"),
    "lessons_per_group": _number(int, 1, 1_000_000, "a whole number"),
    "outcome": _choice(OUTCOMES),
    "window_days": _DAYS,
    "window_trades": _number(int, 1, 10_000_000, "a whole number"),
    "n_min": _number(int, 1, 1_000_000, "a whole number"),
    "max_dims": _number(int, 0, 64, "a whole number"),
    "edge_min": _number(float, 0.0, 10.0, "a number"),
    "baseline_default": _number(float, -1e9, 1e9, "a number"),
    "dimensions": _names(None, r"[^\x00-\x1f\x7f\"\\]{1,200}"),
    "max_actions": _number(int, 1, 1_000_000, "a whole number"),
    "max_groups_per_module": _number(int, 1, 10_000_000, "a whole number"),
    "max_groups": _number(int, 1, 10_000_000, "a whole number"),
    "max_modules": _number(int, 1, 10_000_000, "a whole number"),
    "max_revision": _number(int, 0, MAX_REVISION, "a whole number"),
    "rewrite_alert": _number(int, 1, 10_000_000, "a whole number"),
    "agents": _names(AGENTS),
    "topic_prefix": _pattern(_TOPIC, "at most 100 characters from A-Z a-z 0-9 . _ -"),
    "consumer_group": _pattern(
        r"[A-Za-z0-9._-]{1,200}", "1 to 200 characters from A-Z a-z 0-9 . _ -"
    ),
    "partitions": _number(int, 1, 1_000, "a whole number"),
    "replication": _number(int, 1, 10, "a whole number"),
    "retention_days": _number(float, 0, 100_000, "a number of days"),
    "lessons_per_second": _number(float, 1, 1_000_000, "a number"),
    "broker_away_s": _number(float, 0, 31_536_000, "a number of seconds"),
    "database_schema": _pattern(r"[a-z_][a-z0-9_]{0,62}", "a lower-case PostgreSQL schema name"),
    "metrics_host": _pattern(r"\S+", "an address to listen on, such as 127.0.0.1"),
    "metrics_port": _number(int, 0, 65_535, "a port number (0 picks a free one)"),
    "log_format": _choice(("text", "json")),
}
