"""The pages: routes, what each page needs, and how it is rendered.

May touch: the dashboard's state, an argument; templates and static files of this package.

Pages are rendered from the last known state and never wait for a server.  Parts that take seconds
are fragments that the page's script fetches (without scripts: links).  Templates escape everything.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope as AsgiScope

from app.context_text import context_text
from app.dashboard import api, charts, formatting, heat, summary, table
from app.dashboard.access import Guard
from app.dashboard.state import Dashboard
from app.errors import EdgeloopError, MissingError, UsageError
from app.explain.sections import sections
from edgeloop.identity import CATEGORIES
from edgeloop.overrides import MAX_MULTIPLIER, MIN_MULTIPLIER

STATIC = Path(__file__).parent / "static"
BEAT_S = 5.0
"""Seconds after which an open page gets an update, whether or not something changed."""
LEAST_S = 1.0
"""Minimum time between two updates of a page, in seconds."""
SHOWN_APART = ("Evidence", "Over time", "History", "Realised effect")
"""Sections of an explanation that have a place of their own on an override's page."""
PAGES = (
    ("/", "Overview"),
    ("/overrides", "Overrides"),
    ("/ask", "Ask"),
    ("/what-if", "What if"),
    ("/health", "Health"),
)
_STATUSES: dict[type[EdgeloopError], int] = {MissingError: 404, UsageError: 422}
"""Errors which say that there is nothing to show or that the request is invalid; all others are
failures."""


class _Static(StaticFiles):
    """Static files whose URL includes a hash of their contents, so that they can be cached
    forever."""

    async def get_response(self, path: str, scope: AsgiScope) -> Response:
        answer = await super().get_response(path, scope)
        answer.headers["cache-control"] = "public, max-age=31536000, immutable"
        return answer


def environment() -> Environment:
    """The templates' environment."""
    made = Environment(
        loader=PackageLoader("app.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "size",
        "signed",
        "moment",
        "span",
        "age",
        "hours",
        "pairs",
        "prose",
    ):
        made.filters[name] = getattr(formatting, name)
    made.filters["plural"] = formatting.plural
    made.filters["context_text"] = context_text
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(STATIC.iterdir())))
    made.globals.update(
        pages=PAGES,
        charts=charts,
        words=formatting,
        ask_link=ask_link,
        least=MIN_MULTIPLIER,
        most=MAX_MULTIPLIER,
        categories=CATEGORIES,
        assets=digest.hexdigest()[:12],
    )
    return made


class Site:
    """The routes over one dashboard."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._templates = environment()

    def application(self, token: str | None) -> Starlette:
        """The ASGI application; its lifespan runs the dashboard."""

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            async with self._dashboard.running():
                yield

        routes = [
            Route("/", self.overview),
            Route("/overrides", self.overrides),
            Route("/overrides/{override_id:str}", self.override),
            Route("/overrides/{override_id:str}/behind", self.behind),
            Route("/ask", self.ask),
            Route("/ask/why", self.why),
            Route("/what-if", self.what_if),
            Route("/what-if/{name:str}", self.compared),
            Route("/health", self.health),
            Route("/events", self.events),
            Route("/api/resolve", self.api_resolve),
            Route("/api/openapi.json", self.api_openapi),
            Route("/healthz", self.healthz),
            Mount("/static", _Static(directory=STATIC)),
        ]
        return Starlette(
            routes=routes,
            lifespan=lifespan,
            # The event stream is not compressed: it has to arrive as it is written.
            middleware=[Middleware(Guard, token=token), Middleware(GZipMiddleware)],
            exception_handlers={HTTPException: self.failed, 500: self.failed},
        )

    # -- rendering

    def _page(
        self, request: Request, template: str, status: int = 200, **values: Any
    ) -> HTMLResponse:
        feed = self._dashboard.feed
        bare = request.headers.get("x-fragment") == "1"
        text = self._templates.get_template(template).render(
            layout="bare.html" if bare else "base.html",
            path=request.url.path,
            address=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
            feed=feed,
            troubles=summary.troubles(feed),
            now=time.time(),
            settings=self._dashboard.settings,
            **values,
        )
        return HTMLResponse(text, status)

    async def failed(self, request: Request, error: Exception) -> Response:
        """The page for an unknown address, or for one that cannot be rendered."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        what = (
            "There is no such page."
            if status == 404
            else "The page could not be rendered; the dashboard's log says why."
        )
        if request.url.path.startswith("/api/"):
            return _json(api.Refused(what), status)
        return self._shown(request, status, what)

    def _trouble(self, request: Request, error: EdgeloopError) -> Response:
        """The fragment with the result of a request; one for something that does not exist is not
        repeated."""
        return self._shown(request, _STATUSES.get(type(error), 503), error.what, error.remedy)

    def _shown(self, request: Request, status: int, what: str, remedy: str = "") -> Response:
        return self._page(
            request,
            "error.html",
            status,
            title="Error",
            what=what,
            remedy=remedy,
            again=status >= 500,
        )

    # -- pages

    async def overview(self, request: Request) -> Response:
        """What was learned, whether it helps, whether it is running."""
        held, feed = self._dashboard.overrides(), self._dashboard.feed
        asked = feed["audit"] if self._dashboard.has("audit") else None
        audit = asked.value if asked else None
        up, down = summary.strongest(held, 4)
        return self._page(
            request,
            "overview.html",
            title="Overview",
            held=held,
            up=up,
            down=down,
            helping=summary.helping(feed.value("helped"), asked),
            alive=summary.alive(feed),
            audit=audit,
            audit_asked=asked is not None,
            audit_file=self._dashboard.options.audit,
            curve=summary.curve_of(audit),
        )

    async def overrides(self, request: Request) -> Response:
        """The table and the heat map."""
        held = self._dashboard.overrides()
        wanted = table.asked(request.query_params)
        since: dict[str, str] = self._dashboard.feed.value("since") or {}
        return self._page(
            request,
            "overrides.html",
            title="Overrides",
            asked=wanted,
            table=table.shown(held, wanted, since, time.time_ns() // 1000),
            options=table,
            since=since,
            heat=heat.heat(
                held,
                self._dashboard.settings.regime_signature,
                datetime.now(UTC),
                request.query_params.get("by", ""),
            ),
        )

    async def override(self, request: Request) -> Response:
        """One override: its record at once, the evidence behind it as a fragment."""
        asked = request.path_params["override_id"]
        found = self._dashboard.override(asked)
        loading = self._dashboard.feed["overrides"].value is None
        known = [
            o for o in self._dashboard.feed.value("overrides") or () if _same_group(o, found, asked)
        ]
        ask = ""
        if found is not None:
            ask = ask_link(found.pattern_key, found.action_category, found.scope, found.module)
        return self._page(
            request,
            "override.html",
            title="Override",
            override_id=asked,
            o=found,
            loading=loading,
            others=known,
            ask=ask,
            since=(self._dashboard.feed.value("since") or {}).get(asked),
        )

    async def behind(self, request: Request) -> Response:
        """Everything behind one override."""
        try:
            found = await self._dashboard.behind(request.path_params["override_id"])
        except EdgeloopError as error:
            return self._trouble(request, error)
        parts = sections(found.document)
        return self._page(
            request,
            "behind.html",
            title="Behind the override",
            d=found.document,
            touched=found.touched,
            parts={s.title: s for s in parts},
            # The page shows the first in its header, and the newest trades in a table of their own.
            rest=[
                s
                for s in parts[1:]
                if s.title not in SHOWN_APART and not s.title.startswith("The newest")
            ],
        )

    async def ask(self, request: Request) -> Response:
        """The form, and the answer if something was asked."""
        query = request.query_params
        values = self._dashboard.feed.value("values")
        held = self._dashboard.overrides()
        found = asked = None
        problem = ""
        given: dict[str, str] = {}
        try:
            given = api.scope_of(query.multi_items())
            if "pattern" in query:
                asked = api.question(query)
                found = api.resolve(self._dashboard, asked)
        except UsageError as error:
            problem = f"{error.what} {error.remedy}"
        by_id = {o.override_id: o for o in held}
        parts = []
        if found is not None:
            parts = [(m, by_id.get(m.override_id)) for m in found.matches]
        dimensions = list(dict.fromkeys([*given, *_dimensions(held, values)]))
        return self._page(
            request,
            "ask.html",
            title="Ask",
            query=query,
            given=given,
            problem=problem,
            asked=asked,
            found=found,
            parts=parts,
            values=values,
            dimensions=dimensions,
            patterns=sorted({*(values.patterns if values else ()), *(o.pattern_key for o in held)}),
            examples=_examples(held),
        )

    async def why(self, request: Request) -> Response:
        """Why a context resolves to what it does."""
        try:
            asked = api.question(request.query_params)
        except UsageError as error:
            return self._trouble(request, error)
        at = asked.at.replace(second=0, microsecond=0)
        try:
            document = await self._dashboard.context(
                asked.pattern,
                asked.category,
                asked.scope,
                asked.module,
                at.isoformat().replace("+00:00", "Z"),
            )
        except EdgeloopError as error:
            return self._trouble(request, error)
        return self._page(
            request, "why.html", title="Why this size", d=document, parts=sections(document)
        )

    async def what_if(self, request: Request) -> Response:
        """The existing replays."""
        return self._page(request, "what_if.html", title="What if")

    async def compared(self, request: Request) -> Response:
        """One replay compared with the published records: the page, and the comparison as a
        fragment."""
        name = request.path_params["name"]
        if request.query_params.get("part") != "differences":
            lines = self._dashboard.feed.value("shadows")
            line = next((s for s in lines or () if s.name == name), None)
            return self._page(
                request, "shadow.html", title=f"What if: {name}", name=name, line=line, lines=lines
            )
        try:
            found = await self._dashboard.compared(name)
        except EdgeloopError as error:
            return self._trouble(request, error)
        return self._page(request, "differences.html", title=f"What if: {name}", found=found)

    async def health(self, request: Request) -> Response:
        """Roles, lag, dead letters, refits, and the sources of these pages."""
        return self._page(
            request,
            "health.html",
            title="Health",
            metrics=self._dashboard.feed.value("metrics")
            if self._dashboard.has("metrics")
            else None,
            metrics_asked=self._dashboard.has("metrics"),
        )

    # -- for programs

    async def api_resolve(self, request: Request) -> Response:
        """The multiplier of a decision."""
        try:
            asked = api.question(request.query_params)
        except UsageError as error:
            return _json(api.Refused(f"{error.what} {error.remedy}".strip()), 422)
        return _json(api.resolved(self._dashboard, asked))

    async def api_openapi(self, request: Request) -> Response:
        """The OpenAPI document."""
        return JSONResponse(api.openapi())

    async def healthz(self, request: Request) -> Response:
        """Liveness: the process answers."""
        return JSONResponse({"ok": True})

    async def events(self, request: Request) -> Response:
        """Server-sent events: the state of the sources, whenever something changes."""
        return StreamingResponse(
            self._events(request),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def _events(self, request: Request) -> AsyncIterator[bytes]:
        feed, revision = self._dashboard.feed, -1
        while not feed.closed:
            changed, revision = revision != feed.revision, feed.revision
            state = {
                "revision": revision,
                "changed": changed,
                "now": time.time(),
                "away": [
                    {"server": t.server, "since": t.since, "as_of": t.as_of}
                    for t in summary.troubles(feed)
                ],
            }
            yield b"event: state\ndata: " + msgspec.json.encode(state) + b"\n\n"
            began = time.monotonic()
            await feed.changed(revision, BEAT_S)
            if not feed.closed:
                await asyncio.sleep(max(0.0, LEAST_S - (time.monotonic() - began)))


def ask_link(pattern: str, category: str, scope: dict[str, str], module: str = "pm") -> str:
    """The address of a question, at its answer.

    >>> ask_link("a.b", "entry", {"chain": "s&l"})
    '/ask?pattern=a.b&category=entry&scope%5Bchain%5D=s%26l#answer-live'
    """
    pairs = [("pattern", pattern), ("category", category)]
    pairs += [("module", module)] if module != "pm" else []
    pairs += [(f"scope[{d}]", v) for d, v in sorted(scope.items())]
    return f"/ask?{urlencode(pairs)}#answer-live"


def _json(record: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(record), status, media_type="application/json")


def _same_group(o: Any, found: Any, asked: str) -> bool:
    return (
        found is not None
        and (o.pattern_key, o.action_category) == (found.pattern_key, found.action_category)
        and o.override_id != asked
    )


def _dimensions(held: list[Any], values: Any) -> list[str]:
    """The dimensions in the form, the most used ones first."""
    used: dict[str, int] = {}
    for o in held:
        for dimension in o.scope:
            used[dimension] = used.get(dimension, 0) + 1
    known = sorted(used, key=lambda d: (-used[d], d))
    return list(dict.fromkeys([*known, *(values.scopes if values else ())]))


def _examples(held: list[Any]) -> list[tuple[str, Any]]:
    up, down = summary.strongest(held, 2)
    return [
        (ask_link(o.pattern_key, o.action_category, o.scope, o.module), o) for o in (*up, *down)
    ]
