"""`faust -A app dashboard`: pages for a browser, and sizes for bots over HTTP.

May touch: the broker, PostgreSQL and workers' `/metrics` (all read only), one listening socket.
"""

from __future__ import annotations

import logging
from pathlib import Path

import click

from app.commands.base import cli, echo, echo_json, handle_errors, json_option
from app.errors import ConfigurationError
from app.settings import Settings
from app.worker.logs import handler


@cli.command("dashboard")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on.  Any other than loopback needs a token, which is generated if none"
    " is given.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8787,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the token that visitors need.",
)
@click.option(
    "--metrics",
    "metrics",
    multiple=True,
    metavar="HOST:PORT",
    help="Where a worker's /metrics listens, for refit times; repeatable.",
)
@click.option(
    "--audit",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Audit to show: what `faust -A app audit --json` printed.  Read again when it changes.",
)
@json_option
@handle_errors
def dashboard(
    host: str,
    port: int,
    token_file: Path | None,
    metrics: tuple[str, ...],
    audit: Path | None,
    as_json: bool,
) -> None:
    """Serve pages for a browser: what was learned, whether it helps, why a size is what it is.

    Read only.  The pages (overview, overrides, questions, replays compared with live, health)
    update live, and show the last known state while the broker or PostgreSQL is away.  Programs ask
    GET /api/resolve; see /api/openapi.json.  Prints the link to open, and runs until Ctrl-C.

    \b
    Examples:
      faust -A app dashboard
      faust -A app dashboard --port 0 --audit audit.json
      faust -A app dashboard --host 0.0.0.0 --token-file token --metrics worker:9464
      faust -A app dashboard --json
    """
    try:
        from app.dashboard.server import link, listen, serve, token_for
        from app.dashboard.state import Options
        from app.dashboard.worker_metrics import address as metrics_address
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The dashboard needs the package {error.name}.",
            "Install it: python -m pip install 'edgeloop[dashboard]'",
        ) from error
    settings = Settings.from_environment()
    token = token_for(host, token_file)
    sock = listen(host, port)
    # A token of the visitor's own file is not repeated where others may read it.
    address = link(host, sock.getsockname()[1], None if token_file else token)
    logging.basicConfig(handlers=[handler(settings.log_format)], level=logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if as_json:
        echo_json({"url": address})
    else:
        echo(f"Dashboard: {address}")
    serve(settings, Options(tuple(map(metrics_address, metrics)), audit), sock, token)
