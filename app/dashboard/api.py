"""`GET /api/resolve` and its OpenAPI document: sizes for bots in any language.

May touch: nothing but the dashboard's state, an argument.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from starlette.datastructures import QueryParams

from app.dashboard.state import Dashboard
from app.errors import UsageError
from app.time_argument import parse_time
from edgeloop import __version__
from edgeloop.identity import CATEGORIES
from edgeloop.resolution import Resolution

MOST_DIMENSIONS = 100
MOST_CHARACTERS = 2_000
_DIMENSION = re.compile(r"scope\[([^\]]+)\]")


class ResolvedMatch(msgspec.Struct, frozen=True):
    """An override that matched, and what it adds to 1."""

    override_id: str
    contribution: float


class Resolved(msgspec.Struct, frozen=True):
    """The answer to `GET /api/resolve`.  `multiplier` is the size factor, always from 0.3 to 3.0;
    `reason` is matched, no_match, emergency, not_ready, stale or error; unless it is `matched`, the
    multiplier is 1.0.  `age_s`: seconds since the overrides were last known to be current."""

    multiplier: float
    reason: str
    detail: str
    at: str
    age_s: float | None
    matches: tuple[ResolvedMatch, ...]


class Refused(msgspec.Struct, frozen=True):
    """A request that is not valid."""

    error: str


class Question(NamedTuple):
    """The decision to be sized."""

    pattern: str
    category: str
    scope: dict[str, str]
    module: str
    at: datetime
    emergency: bool


def question(query: QueryParams) -> Question:
    """The question in a query string, with `scope[dimension]=value` in OpenAPI's `deepObject`
    style; empty values are left out.  Raises `UsageError`."""
    if sum(len(name) + len(value) for name, value in query.multi_items()) > MOST_CHARACTERS * 4:
        raise UsageError("The request is too long.", "Leave out what does not affect the size.")
    pattern, category = query.get("pattern", "").strip(), query.get("category", "").strip()
    if not pattern:
        raise UsageError("`pattern` is missing.", "Such as pattern=uptrend.S1.entry")
    if category not in CATEGORIES:
        raise UsageError(
            f"`category` is {category!r}.", f"Expected one of: {', '.join(CATEGORIES)}."
        )
    emergency = query.get("emergency", "false").lower()
    if emergency not in ("true", "false", "1", "0"):
        raise UsageError(f"`emergency` is {emergency!r}.", "Expected true or false.")
    return Question(
        pattern,
        category,
        scope_of(query.multi_items()),
        query.get("module", "").strip() or "pm",
        parse_time(query.get("at", "").strip() or None).astimezone(UTC),
        emergency in ("true", "1"),
    )


def scope_of(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The scope in a query string.

    >>> scope_of([("scope[chain]", "sol"), ("scope[btc_macro]", " "), ("pattern", "x")])
    {'chain': 'sol'}
    """
    scope: dict[str, str] = {}
    for name, value in items:
        found = _DIMENSION.fullmatch(name)
        if found is not None and value.strip():
            scope[found[1].strip()] = value.strip()
    if len(scope) > MOST_DIMENSIONS:
        raise UsageError(
            f"The scope has {len(scope)} dimensions.", f"At most {MOST_DIMENSIONS} are accepted."
        )
    return scope


def resolve(dashboard: Dashboard, asked: Question) -> Resolution:
    """The answer that the position manager would get."""
    return dashboard.book.resolve(
        asked.pattern,
        asked.category,
        asked.scope,
        asked.at,
        module=asked.module,
        emergency=asked.emergency,
    )


def resolved(dashboard: Dashboard, asked: Question) -> Resolved:
    """The answer, in the form that programs get."""
    found, age_s = resolve(dashboard, asked), dashboard.book.status.age_s
    return Resolved(
        found.multiplier,
        found.reason,
        found.detail,
        asked.at.isoformat().replace("+00:00", "Z"),
        None if age_s is None else round(age_s, 3),
        tuple(ResolvedMatch(m.override_id, m.contribution) for m in found.matches),
    )


def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    _, components = msgspec.json.schema_components(
        (Resolved, Refused), ref_template="#/components/schemas/{name}"
    )

    def parameter(name: str, description: str, schema: dict[str, Any], **more: Any) -> Any:
        return {"name": name, "in": "query", "description": description, "schema": schema, **more}

    def answer(description: str, name: str) -> dict[str, Any]:
        reference = {"$ref": f"#/components/schemas/{name}"}
        content = {"application/json": {"schema": reference}}
        return {"description": description, "content": content}

    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Edgeloop",
            "version": __version__,
            "description": "The size multiplier of a decision, as a position manager gets it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/api/resolve": {
                "get": {
                    "operationId": "resolve",
                    "summary": "The size multiplier of a decision",
                    "description": "Answers from memory. Multiply the size by `multiplier`, and"
                    " write the ids of `matches` into the action's `applied_overrides`. When this"
                    " does not answer within your deadline, size by 1.",
                    "parameters": [
                        parameter(
                            "pattern",
                            "Pattern key in any accepted form.",
                            {"type": "string"},
                            required=True,
                            example="uptrend.S1.entry",
                        ),
                        parameter(
                            "category",
                            "Action category.",
                            {"type": "string", "enum": list(CATEGORIES)},
                            required=True,
                        ),
                        parameter(
                            "scope",
                            "The context: a value by dimension, as scope[chain]=sol.",
                            {"type": "object", "additionalProperties": {"type": "string"}},
                            style="deepObject",
                            explode=True,
                            example={"chain": "sol"},
                        ),
                        parameter(
                            "module",
                            "Module, if the pattern key does not name it.",
                            {"type": "string", "default": "pm"},
                        ),
                        parameter(
                            "at",
                            "Time of the decision (default: now).",
                            {"type": "string", "format": "date-time"},
                        ),
                        parameter(
                            "emergency",
                            "An exit that must close the whole position: never resized.",
                            {"type": "boolean", "default": False},
                        ),
                    ],
                    "responses": {
                        "200": answer("The multiplier and its parts.", "Resolved"),
                        "401": {"description": "A token is needed."},
                        "422": answer("The request is not valid.", "Refused"),
                    },
                }
            }
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }
