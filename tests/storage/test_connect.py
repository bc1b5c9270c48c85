"""PostgreSQL with TLS (verify-full), with a passfile, and behind a pooler, which is refused."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import trustme

from app.devstack.ports import free_ports
from app.errors import ConfigurationError, UnreachableError
from app.settings import Settings
from app.storage.connect import connect
from app.storage.migrate import migrate
from tests.pipeline.installation import wait

pytestmark = pytest.mark.stack

SSL_REQUEST = bytes.fromhex("0000000804d2162f")


@asynccontextmanager
async def with_tls(database_url: str, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """The test's PostgreSQL, which is built without TLS, behind a port that speaks TLS as a server
    does: 'S' in answer to an SSLRequest, then the handshake; yields the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    target = urlsplit(database_url)
    open_: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass  # if one side ends, both end
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_.add(task := asyncio.current_task())  # type: ignore[arg-type]
        try:
            if await reader.readexactly(8) != SSL_REQUEST:
                return
            writer.write(b"S")
            await writer.start_tls(context)
            theirs = await asyncio.open_connection(target.hostname, target.port)
            await asyncio.gather(pump(reader, theirs[1]), pump(theirs[0], writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client did not accept the certificate
        finally:
            writer.close()
            open_.discard(task)  # type: ignore[arg-type]

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in list(open_):
            task.cancel()


def url(settings: Settings, port: int, folder: Path, *, host: str = "127.0.0.1", **query: str):
    """The URL of the port, with the password in a passfile."""
    parts = urlsplit(settings.database_url)
    passfile = folder / "pgpass"
    passfile.write_text(f"{host}:{port}:*:{parts.username}:{parts.password}\n")
    passfile.chmod(stat.S_IRUSR | stat.S_IWUSR)
    words = "&".join(f"{name}={quote(value, safe='/')}" for name, value in query.items())
    return f"postgresql://{parts.username}@{host}:{port}{parts.path}?passfile={passfile}&{words}"


async def test_verify_full_and_a_passfile(stack_settings: Settings, tmp_path: Path) -> None:
    authority = trustme.CA()
    (ca := tmp_path / "ca.pem").write_bytes(authority.cert_pem.bytes())
    async with with_tls(stack_settings.database_url, authority.issue_cert("127.0.0.1")) as port:
        secure = url(stack_settings, port, tmp_path, sslmode="verify-full", sslrootcert=str(ca))
        settings = Settings.from_environment({"EDGELOOP_DATABASE_URL": secure})
        await migrate(settings.database_url, stack_settings.database_schema)
        connection = await connect(settings.database_url, stack_settings.database_schema)
        assert await connection.fetchval("SELECT count(*) FROM pm_overrides") == 0
        assert connection._transport.get_extra_info("ssl_object") is not None
        await connection.close()


@pytest.mark.parametrize(
    ("names", "days", "trusted", "says"),
    [
        (["127.0.0.1"], -1, True, "certificate has expired"),
        (["elsewhere.example"], 1, True, "mismatch"),
        (["127.0.0.1"], 1, False, "unable to get local issuer|self-signed|verify failed"),
    ],
)
async def test_a_certificate_that_is_not_accepted_gives_a_sentence(
    stack_settings: Settings,
    tmp_path: Path,
    names: list[str],
    days: int,
    trusted: bool,
    says: str,
) -> None:
    authority = trustme.CA()
    known = authority if trusted else trustme.CA()
    (ca := tmp_path / "ca.pem").write_bytes(known.cert_pem.bytes())
    now = datetime.now(UTC)
    certificate = authority.issue_cert(
        *names, not_before=now - timedelta(days=9), not_after=now + timedelta(days=days)
    )
    async with with_tls(stack_settings.database_url, certificate) as port:
        secure = url(stack_settings, port, tmp_path, sslmode="verify-full", sslrootcert=str(ca))
        with pytest.raises(UnreachableError, match=says) as caught:
            await connect(secure, "public")
    assert "sslrootcert" in caught.value.remedy


async def test_a_server_without_tls_and_files_that_are_not_there(
    stack_settings: Settings, tmp_path: Path
) -> None:
    """The password is never shown."""
    port = urlsplit(stack_settings.database_url).port
    assert port is not None
    plain = url(stack_settings, port, tmp_path, sslmode="require")
    with pytest.raises(UnreachableError, match="SSL") as caught:
        await connect(plain, "public")
    assert "sslmode" in caught.value.remedy
    missing = url(stack_settings, port, tmp_path, sslmode="verify-full", sslrootcert="/none.pem")
    with pytest.raises((ConfigurationError, UnreachableError)) as lost:
        await connect(missing, "public")
    assert "/none.pem" in str(lost.value) or "root.crt" in str(lost.value)
    wrong = f"{plain.replace('sslmode=require', 'sslmode=disable')}"
    (tmp_path / "pgpass").write_text("*:*:*:*:hunter2\n")
    with pytest.raises(UnreachableError, match="password authentication failed") as refused:
        await connect(wrong, "public")
    assert "passfile" in refused.value.remedy
    assert "hunter2" not in str(refused.value)


@contextmanager
def pgbouncer(settings: Settings, folder: Path, **more: str) -> Iterator[str]:
    """PgBouncer before the test's PostgreSQL; yields the URL."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    parts, (port,) = urlsplit(settings.database_url), free_ports(1)
    name = parts.path.lstrip("/")
    (folder / "users.txt").write_text(f'"{parts.username}" "{parts.password}"\n')
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(folder / "users.txt"),
        **more,
    }
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host={parts.hostname} port={parts.port} dbname={name}\n"
        "[pgbouncer]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())
    )
    for path in (folder.parent.parent, folder.parent, folder, *folder.iterdir()):
        path.chmod(0o755)  # it refuses to run as root
    log = folder / "pgbouncer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-u", "nobody", str(folder / "pgbouncer.ini")],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait(lambda: b"listening on" in log.read_bytes(), 10, "PgBouncer", log.read_text)
        yield f"postgresql://{parts.username}:{parts.password}@127.0.0.1:{port}{parts.path}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ignore_startup_parameters": "search_path", "pool_mode": "session"},
        {"ignore_startup_parameters": "search_path", "pool_mode": "transaction"},
    ],
)
def test_a_pooler_is_refused_with_the_reason(
    stack_settings: Settings, tmp_path_factory: pytest.TempPathFactory, options: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("pgbouncer")
    with (
        pgbouncer(stack_settings, folder, **options) as pooled,
        pytest.raises(ConfigurationError, match="PgBouncer") as caught,
    ):
        asyncio.run(connect(pooled, "public"))
    assert "Name the server itself" in caught.value.remedy
