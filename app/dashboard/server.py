"""The process: a listening socket, the token, and uvicorn.

May touch: one listening socket, SIGINT and SIGTERM.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from app.dashboard.access import is_loopback
from app.dashboard.state import Dashboard, Options
from app.dashboard.web import Site
from app.errors import ConfigurationError, UnreachableError, UsageError
from app.settings import Settings

LEAST_TOKEN = 16
"""Minimum length of a token."""
STOP_WITHIN_S = 3


class _Server(uvicorn.Server):
    """Ends the event streams when a signal comes, because uvicorn waits for open responses."""

    def __init__(self, config: uvicorn.Config, closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._closing()
        super().handle_exit(sig, frame)


def token_for(host: str, path: Path | None) -> str | None:
    """The token: from the file; else a new one if other machines can reach `host`; None on
    loopback.  Raises `UsageError`."""
    if path is None:
        return None if is_loopback(host) else secrets.token_urlsafe(24)
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The token file {path} cannot be read: {error}.") from error
    if len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"The token in {path} is not usable.",
            f"It needs at least {LEAST_TOKEN} printable ASCII characters without spaces, such as"
            " from: openssl rand -hex 24",
        )
    return token


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.  Raises `UnreachableError`, `ConfigurationError`."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigurationError(
            f"{host} is not an address: {error.strerror}.", "Name one with --host."
        ) from error
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise UnreachableError(
            f"Cannot listen on port {port} of {host}: {error.strerror}.",
            "Choose another with --port; 0 takes a free one.",
        ) from error
    return made


def link(host: str, port: int, token: str | None) -> str:
    """The URL to open."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def serve(settings: Settings, options: Options, sock: socket.socket, token: str | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    dashboard = Dashboard(settings, options)
    config = uvicorn.Config(
        Site(dashboard).application(token),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_WITHIN_S,
        lifespan="on",
    )
    server = _Server(config, dashboard.feed.close)
    # After it has stopped, uvicorn raises the signal again for the previous handler. A requested
    # stop must end with exit code 0.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    asyncio.run(server.serve(sockets=[sock]))
