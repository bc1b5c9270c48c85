"""How a Kafka client authenticates itself and verifies the broker: TLS and SASL. May touch: the
configured files (certificates, secrets), read only.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROTOCOLS = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_PREFIX = "EDGELOOP_KAFKA_"
_MOST_BYTES = 1_000_000


class SecurityError(ValueError):
    """A setting, certificate or secret that cannot be used.  Never contains a secret."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True)
class KafkaSecurity:
    """What a client needs besides the broker's address.  `ca`, `certificate` and `key` are paths of
    PEM files; without `ca`, the system's certificate authorities are trusted.  `token_file` is read
    again for each connection, since tokens expire.

    >>> KafkaSecurity().client_options()
    {'security_protocol': 'PLAINTEXT'}
    """

    protocol: str = "plaintext"
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> KafkaSecurity:
        """From `EDGELOOP_KAFKA_SECURITY` and the other `EDGELOOP_KAFKA_*` variables; secrets also
        from files.

        Raises `SecurityError`, which names the variable.
        """
        source = os.environ if environment is None else environment

        def text(name: str) -> str:
            return source.get(_PREFIX + name, "").strip()

        found = cls(
            protocol=text("SECURITY") or cls.protocol,
            ca=text("CA"),
            certificate=text("CERTIFICATE"),
            key=text("KEY"),
            key_password=secret(source, _PREFIX + "KEY_PASSWORD"),
            mechanism=text("MECHANISM") or cls.mechanism,
            user=secret(source, _PREFIX + "USER"),
            password=secret(source, _PREFIX + "PASSWORD"),
            token=text("TOKEN"),
            token_file=text("TOKEN_FILE"),
        )
        found.check()
        return found

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol in ("ssl", "sasl_ssl")

    @property
    def sasl(self) -> bool:
        """Whether the client authenticates by SASL."""
        return self.protocol in ("sasl_plaintext", "sasl_ssl")

    def check(self) -> None:
        """Raise `SecurityError` if settings contradict each other.  A setting that would be ignored
        is an error, too: it was set to protect something.
        """
        for name, value, options in (
            ("SECURITY", self.protocol, PROTOCOLS),
            ("MECHANISM", self.mechanism, MECHANISMS),
        ):
            if value not in options:
                raise SecurityError(
                    f"{_PREFIX}{name} is {value!r}.", f"Expected one of: {', '.join(options)}."
                )
        for name in ("ca", "certificate", "key", "key_password"):
            if getattr(self, name) and not self.tls:
                raise self._ignored(name, "ssl or sasl_ssl")
        for name in ("user", "password", "token", "token_file"):
            if getattr(self, name) and not self.sasl:
                raise self._ignored(name, "sasl_ssl")
        if self.key and not self.certificate:
            raise SecurityError(
                f"{_PREFIX}KEY is set, but {_PREFIX}CERTIFICATE is not.",
                "A client certificate needs both; set both or neither.",
            )
        bearer = self.mechanism == "OAUTHBEARER"
        for name in ("password",) if bearer else ("token", "token_file"):
            if self.sasl and getattr(self, name):
                raise SecurityError(
                    f"{_PREFIX}{name.upper()} is set, but {_PREFIX}MECHANISM is {self.mechanism},"
                    " which does not use it.",
                    f"Leave {_PREFIX}{name.upper()} out, or correct {_PREFIX}MECHANISM.",
                )
        if self.sasl and bearer:
            if bool(self.token) == bool(self.token_file):
                raise SecurityError(
                    f"{_PREFIX}MECHANISM is OAUTHBEARER, which needs one token.",
                    f"Set {_PREFIX}TOKEN_FILE (read again for each connection) or {_PREFIX}TOKEN.",
                )
        elif self.sasl and not (self.user and self.password):
            missing = "USER" if not self.user else "PASSWORD"
            raise SecurityError(
                f"{_PREFIX}SECURITY is {self.protocol}, but {_PREFIX}{missing} is not set.",
                f"Set {_PREFIX}{missing}, or {_PREFIX}{missing}_FILE to a file that holds it.",
            )

    def _ignored(self, name: str, needed: str) -> SecurityError:
        return SecurityError(
            f"{_PREFIX}{name.upper()} is set, but {_PREFIX}SECURITY is {self.protocol},"
            " which does not use it.",
            f"Set {_PREFIX}SECURITY to {needed}, or leave {_PREFIX}{name.upper()} out.",
        )

    def client_options(self) -> dict[str, Any]:
        """The keyword arguments of any aiokafka client.  Raises `SecurityError`."""
        self.check()
        options: dict[str, Any] = {"security_protocol": self.protocol.upper()}
        if self.tls:
            options["ssl_context"] = self.ssl_context()
        if self.sasl:
            options["sasl_mechanism"] = self.mechanism
            if self.mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = self.token_provider()
            else:
                options |= {
                    "sasl_plain_username": self.user,
                    "sasl_plain_password": self.password,
                }
        return options

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context, which always verifies the broker's certificate and host name.  Raises
        `SecurityError`."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ValueError) as error:
            raise _unusable("CA", self.ca, error) from error
        if self.certificate:
            try:
                context.load_cert_chain(
                    self.certificate, self.key or None, password=lambda: self.key_password
                )
            except (OSError, ValueError) as error:
                name = "KEY" if self.key and Path(self.certificate).is_file() else "CERTIFICATE"
                raise _unusable(name, self.key or self.certificate, error) from error
        return context

    def token_provider(self) -> Any:
        """Provides the token for each connection of aiokafka."""
        from aiokafka.abc import AbstractTokenProvider

        token, file = self.token, self.token_file

        class Token(AbstractTokenProvider):  # type: ignore[misc]
            async def token(self) -> str:
                return token or _read(_PREFIX + "TOKEN_FILE", file)

        return Token()


def secret(environment: Mapping[str, str], variable: str) -> str:
    """The value of `variable`, or the contents of the file that `variable` + `_FILE` names, which
    is how Docker and Kubernetes provide secrets.  Raises `SecurityError`.

    >>> secret({"EDGELOOP_KAFKA_USER": "worker"}, "EDGELOOP_KAFKA_USER")
    'worker'
    """
    given, path = environment.get(variable, ""), environment.get(f"{variable}_FILE", "").strip()
    if given and path:
        raise SecurityError(f"{variable} and {variable}_FILE are both set.", "Set one of them.")
    return _read(f"{variable}_FILE", path) if path else given


def _read(variable: str, path: str) -> str:
    """A secret in a file, without the line break at its end."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        text = raw.decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SecurityError(
            f"{variable} is {path!r}, which cannot be read: {why}.",
            "Name a file that this user may read, with the secret as its only line.",
        ) from None
    if not text or len(raw) > _MOST_BYTES:
        raise SecurityError(
            f"{variable} is {path!r}, which {'is empty' if not text else 'is too large'}.",
            "The file must hold the secret as its only line.",
        )
    return text


def _unusable(name: str, path: str, error: Exception) -> SecurityError:
    why = (
        error.strerror
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.strerror
        else "it is not a matching PEM file, or its password is wrong"
    )
    return SecurityError(
        f"{_PREFIX}{name} is {path!r}, which cannot be used: {why}.",
        "Name a PEM file; a key must match its certificate, and an encrypted one needs"
        f" {_PREFIX}KEY_PASSWORD.",
    )
