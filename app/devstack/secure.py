"""What a secure Kafka has in addition to its data: certificates, users with passwords, access
control.

May touch: the folder it is given.  trustme makes the certificates, PyJWT the tokens; other users of
the machine cannot read anything in the folder.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.devstack import processes
from app.devstack.ports import HOST
from app.errors import ConfigurationError

ADMIN = "edgeloop-admin"
"""The user who may do everything, and grants the others their rights (`topics acls --apply`)."""
USERS = (
    ADMIN,
    *(
        f"edgeloop-{role}"
        for role in ("owner", "worker", "producer", "position-manager", "reader", "operator")
    ),
)
_BROKER = "broker"
_MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"
_AUDIENCE = "edgeloop"
_TOKEN_DAYS = 3650
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


@dataclass(frozen=True)
class Secure:
    """The files below `directory`; `prepare` creates those that are missing."""

    directory: Path

    @property
    def ca(self) -> Path:
        """The authority that clients trust."""
        return self.directory / "ca.pem"

    @property
    def _server(self) -> Path:
        return self.directory / "server.pem"

    @property
    def jwks(self) -> Path:
        """The public key with which the broker checks tokens."""
        return self.directory / "jwks.json"

    @property
    def scram(self) -> Path:
        """Arguments for Kafka's format tool, without passwords."""
        return self.directory / "scram.arguments"

    def prepare(self) -> None:
        """Create the certificate authority, the server's certificate and the passwords, once."""
        if self.scram.exists():
            return
        try:
            import jwt
            import trustme
        except ImportError as error:
            raise ConfigurationError(
                f"The package {error.name} is not installed.",
                "Install the extra: pip install 'edgeloop[devstack]'.",
            ) from error
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = trustme.CA(organization_name="edgeloop dev stack")
        server = authority.issue_cert(HOST, "localhost", common_name=_BROKER)
        self._write(self._server, _pkcs8(server) + _chain(server))
        signer = _private_key(authority.issue_cert("localhost"))
        public = jwt.algorithms.ECAlgorithm.to_jwk(signer.public_key(), as_dict=True)
        self._write(self.jwks, json.dumps({"keys": [{**public, "kid": "1", "use": "sig"}]}))
        now = datetime.now(UTC)
        for user in USERS:
            claims = {
                "sub": user,
                "aud": _AUDIENCE,
                "iat": now,
                "exp": now + timedelta(days=_TOKEN_DAYS),
            }
            token = jwt.encode(claims, signer, algorithm="ES256", headers={"kid": "1"})
            self._write(self.directory / f"{user}.token", token + "\n")
            self._write(self.directory / f"{user}.password", secrets.token_urlsafe(24) + "\n")
            own = authority.issue_cert(HOST, common_name=user)
            self._write(self.directory / f"{user}.pem", _pkcs8(own) + _chain(own))
            lines = [f"export {name}={value}\n" for name, value in self.environment(user).items()]
            self._write(self.directory / f"{user}.env", "".join(lines))
        self._write(self.directory / f"{_BROKER}.password", secrets.token_urlsafe(24) + "\n")
        self._write(self.ca, authority.cert_pem.bytes().decode())
        arguments = [
            text
            for user in USERS
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for text in (
                "--add-scram",
                f"{mechanism}=[name={user},password={self.password(user)}]",
            )
        ]
        self._write(self.scram, "\n".join(arguments) + "\n")

    def password(self, user: str) -> str:
        """The password of `user`."""
        return (self.directory / f"{user}.password").read_text().strip()

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """The settings with which `user` connects."""
        return {
            "EDGELOOP_KAFKA_SECURITY": "sasl_ssl",
            "EDGELOOP_KAFKA_CA": str(self.ca),
            "EDGELOOP_KAFKA_MECHANISM": "SCRAM-SHA-512",
            "EDGELOOP_KAFKA_USER": user,
            "EDGELOOP_KAFKA_PASSWORD_FILE": str(self.directory / f"{user}.password"),
        }

    def properties(self, broker: int, controller: int, certificates: int) -> dict[str, object]:
        """The part of server.properties that differs from an open broker's.

        Clients use SASL on the port `broker`, or a certificate on the port `certificates`.
        """
        broker_login = f'username="{_BROKER}" password="{self.password(_BROKER)}"'
        own = f'user_{_BROKER}="{self.password(_BROKER)}"'
        users = " ".join(f'user_{user}="{self.password(user)}"' for user in USERS)
        return {
            "listeners": f"BROKER://{HOST}:{broker},CERTIFICATES://{HOST}:{certificates},"
            f"CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"BROKER://{HOST}:{broker},"
            f"CERTIFICATES://{HOST}:{certificates}",
            "listener.security.protocol.map": (
                "BROKER:SASL_SSL,CERTIFICATES:SSL,CONTROLLER:SASL_SSL"
            ),
            "sasl.enabled.mechanisms": _MECHANISMS,
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.controller.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.broker.plain.sasl.jaas.config": (
                f"{_PLAIN} {broker_login} {own} {users};"
            ),
            "listener.name.controller.plain.sasl.jaas.config": f"{_PLAIN} {broker_login} {own};",
            "listener.name.broker.scram-sha-256.sasl.jaas.config": _SCRAM,
            "listener.name.broker.scram-sha-512.sasl.jaas.config": _SCRAM,
            "listener.name.broker.oauthbearer.sasl.jaas.config": (
                f"{_OAUTH}.OAuthBearerLoginModule required;"
            ),
            "listener.name.broker.oauthbearer.sasl.server.callback.handler.class": (
                f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
            ),
            "sasl.oauthbearer.jwks.endpoint.url": self.jwks.as_uri(),
            "sasl.oauthbearer.expected.audience": _AUDIENCE,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._server,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.ca,
            "listener.name.certificates.ssl.client.auth": "required",
            "listener.name.certificates.ssl.principal.mapping.rules": (
                "RULE:^CN=([^,]+).*$/$1/,RULE:^.*,CN=([^,]+).*$/$1/"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{_BROKER};User:{ADMIN}",
            "allow.everyone.if.no.acl.found": "false",
        }

    def _write(self, path: Path, text: str) -> None:
        processes.write_atomically(path, text)


def _chain(certificate: object) -> str:
    pems = certificate.cert_chain_pems  # type: ignore[attr-defined]
    return "".join(pem.bytes().decode() for pem in pems)


def _private_key(certificate: object) -> Any:
    from cryptography.hazmat.primitives import serialization

    pem = certificate.private_key_pem.bytes()  # type: ignore[attr-defined]
    return serialization.load_pem_private_key(pem, None)


def _pkcs8(certificate: object) -> str:
    """The private key in the only form that Kafka reads."""
    from cryptography.hazmat.primitives import serialization

    found: bytes = _private_key(certificate).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return found.decode()
