"""Why Kafka refuses a connection or a record: errors of the client as sentences.

May touch: the broker (one connection, closed at once).
"""

from __future__ import annotations

import re
import ssl
import time

from aiokafka.conn import create_conn
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidTimestampError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from app.errors import ConfigurationError, EdgeloopError, UnreachableError
from app.kafka.client import client_options
from app.settings import Settings
from edgeloop.kafka_security import SecurityError

_NOT_ALLOWED = {
    TopicAuthorizationFailedError: "use a topic",
    GroupAuthorizationFailedError: "use a consumer group",
    # The error of an idempotent producer that may not write to any topic.
    ClusterAuthorizationFailedError: "write to any topic, or administer the cluster",
    TransactionalIdAuthorizationFailed: "use a transactional id",
}
_EXPIRED, _NOT_YET_VALID = 10, 9  # OpenSSL's codes
_TIMEOUT_MS = 5_000


def explained(error: BaseException) -> EdgeloopError | None:
    """A refusal by the broker as a readable error; None for any other error."""
    for kind, what in _NOT_ALLOWED.items():
        if isinstance(error, kind):
            return ConfigurationError(
                f"Kafka does not let this user {what}: {_details(error)}.",
                "`faust -A app topics acls` shows the rights that each role needs.",
            )
    if isinstance(error, InvalidTimestampError):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return ConfigurationError(
            f"The broker refuses the time of the records: this machine's clock ({now}) and the"
            " broker's differ too much.",
            "Synchronise the clocks (NTP); `faust -A app doctor` compares them.",
        )
    return None


def _details(error: BaseException) -> str:
    names = [str(item) for value in error.args for item in _flat(value)]
    return ", ".join(names) or type(error).__name__


def _flat(value: object) -> list[object]:
    return sorted(value, key=str) if isinstance(value, (set, frozenset, list, tuple)) else [value]


async def why_unreachable(settings: Settings, error: BaseException) -> EdgeloopError:
    """Why the brokers cannot be reached; clients only say that they cannot connect.  Tries each
    address once.  Causes that waiting does not fix (a wrong password, a certificate, TLS on a plain
    port) give a `ConfigurationError`.
    """
    if known := explained(error):
        return known
    options = client_options(settings, request_timeout_ms=_TIMEOUT_MS)
    for address in options.pop("bootstrap_servers").split(","):
        host, _, port = address.rpartition(":")
        connection = None
        try:
            connection = await create_conn(host.strip("[]"), int(port), **options)
            # A broker that requires SASL closes a connection without it at the first request.
            answer = await connection.send(MetadataRequest([]))
            # aiokafka takes the broker's error message about a refused token for a response.
            if settings.kafka.mechanism == "OAUTHBEARER" and not answer.brokers:
                return _not_accepted(address, "the token")
        except (KafkaError, OSError, SecurityError, ValueError, TimeoutError) as cause:
            if found := _refusal(settings, address, cause):
                return found
        finally:
            if connection is not None:
                connection.close()
    return UnreachableError(
        f"No Kafka broker responds at {settings.broker} ({type(error).__name__}).",
        "Start one (`faust -A app stack up` starts a local one) or set EDGELOOP_BROKER.",
    )


def _refusal(settings: Settings, address: str, error: BaseException) -> EdgeloopError | None:
    security = settings.kafka
    if isinstance(error, SecurityError):
        return ConfigurationError(error.what, error.remedy)
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = (
            "Renew the broker's certificate, or correct this machine's clock."
            if error.verify_code in (_EXPIRED, _NOT_YET_VALID)
            else "Set EDGELOOP_KAFKA_CA to the authority that signed it, and name the broker in"
            " EDGELOOP_BROKER as the certificate does."
        )
        return ConfigurationError(
            f"The certificate of the broker {address} is not accepted: {error.verify_message}.",
            remedy,
        )
    if isinstance(error, ssl.SSLError):
        return ConfigurationError(
            f"TLS with the broker {address} failed: {_reason(error)}.",
            "Does this port use TLS, and does it require a client certificate"
            " (EDGELOOP_KAFKA_CERTIFICATE)? Check EDGELOOP_KAFKA_SECURITY.",
        )
    if isinstance(error, UnsupportedSaslMechanismError):
        return ConfigurationError(
            f"The broker {address} does not accept the mechanism {security.mechanism}:"
            f" {_details(error)}.",
            "Set EDGELOOP_KAFKA_MECHANISM to one that it accepts.",
        )
    closed = isinstance(error, KafkaError) and re.search(r"closed|SASL", str(error), re.IGNORECASE)
    if isinstance(error, SaslAuthenticationFailed):
        return _not_accepted(
            address, f"the user {security.user!r} or its password ({security.mechanism})"
        )
    if closed:
        return UnreachableError(
            f"The broker {address} ends the connection before it answers"
            f" (EDGELOOP_KAFKA_SECURITY={security.protocol}).",
            "If it keeps doing so: does it expect TLS, SASL or a client certificate? Set"
            " EDGELOOP_KAFKA_SECURITY and what belongs to it.",
        )
    return None


def _not_accepted(address: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The broker {address} does not accept {what}.",
        "Correct EDGELOOP_KAFKA_USER and EDGELOOP_KAFKA_PASSWORD (or the files that"
        " EDGELOOP_KAFKA_PASSWORD_FILE and EDGELOOP_KAFKA_TOKEN_FILE name).",
    )


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "the handshake was not completed").replace("_", " ").lower()
