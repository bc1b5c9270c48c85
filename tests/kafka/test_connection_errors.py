"""Why a broker refuses a connection: a sentence, from a real handshake."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from aiokafka.errors import InvalidTimestampError, KafkaConnectionError

from app.errors import ConfigurationError, EdgeloopError, UnreachableError
from app.kafka.connection_errors import explained, why_unreachable
from app.settings import Settings

NOW = datetime.now(UTC)


@asynccontextmanager
async def tls_server(certificate: trustme.LeafCert) -> AsyncIterator[str]:
    """A port that speaks TLS with this certificate; yields its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    async def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def error_of(address: str, ca: Path) -> EdgeloopError:
    settings = Settings(broker=address, kafka_security="ssl", kafka_ca=str(ca))
    return await why_unreachable(settings, KafkaConnectionError())


@pytest.mark.parametrize(
    ("names", "days", "says", "do"),
    [
        (["127.0.0.1"], -1, "certificate has expired", "Renew the broker's certificate"),
        (["elsewhere.example"], 1, "IP address mismatch", "name the broker in EDGELOOP_BROKER"),
    ],
)
async def test_a_certificate_that_is_not_accepted(
    tmp_path: Path, names: list[str], days: int, says: str, do: str
) -> None:
    authority = trustme.CA()
    (ca := tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    certificate = authority.issue_cert(
        *names, not_before=NOW - timedelta(days=9), not_after=NOW + timedelta(days=days)
    )
    async with tls_server(certificate) as address:
        error = await error_of(address, ca)
    assert isinstance(error, ConfigurationError)
    assert says in error.what
    assert do in error.remedy


async def test_a_port_without_tls(tmp_path: Path) -> None:
    (ca := tmp_path / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())

    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no TLS record\n" * 10)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        error = await error_of(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", ca)
        nobody = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    assert "Does this port use TLS" in error.remedy
    error = await error_of(nobody, ca)
    assert isinstance(error, UnreachableError)
    assert "No Kafka broker responds" in error.what


def test_a_refused_time_names_the_clock() -> None:
    error = explained(InvalidTimestampError())
    assert error is not None
    assert "clock" in error.what
    assert explained(KafkaConnectionError()) is None
