"""Addresses that may hold a password: validated when they are read, and shown without it.

May touch: nothing.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from app.errors import ConfigurationError

HIDDEN = "***"
_SCHEME = r"(?P<scheme>[a-z][a-z0-9+.-]*)://"
# The characters that RFC 3986 allows in a user or password; all others must be percent-encoded.
_TOKEN = r"[A-Za-z0-9._~!$&'()*+,;=%-]"
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%-]*)(?::\d{1,5})?"
_URL = re.compile(
    rf"{_SCHEME}(?:(?P<user>{_TOKEN}*)(?P<secret>:(?:{_TOKEN}|:)*)?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)(?P<path>/[^\s?#@]*)?(?:\?(?P<query>[^\s#]*))?"
)
_SECRET_NAME = re.compile(r"pass(?!file)|secret|token|credential", re.IGNORECASE)


def redact_url(url: str) -> str:
    """`url` without passwords.  Of one that cannot be parsed, only the scheme is shown.

    >>> redact_url("postgresql://me:word@db/x?sslmode=verify-full&sslpassword=other")
    'postgresql://me:***@db/x?sslmode=verify-full&sslpassword=***'
    >>> redact_url("postgresql://me:wo#rd@db/x")
    'postgresql://***'
    """
    if not url:
        return url
    parts = _URL.fullmatch(url)
    if parts is None:
        scheme = re.match(_SCHEME, url)
        return f"{scheme[0] if scheme else ''}{HIDDEN}"
    user, query = parts["user"], parts["query"]
    shown = f"{parts['scheme']}://"
    if user is not None:
        shown += f"{user}{f':{HIDDEN}' if parts['secret'] else ''}@"
    shown += parts["hosts"] + (parts["path"] or "")
    return shown if query is None else f"{shown}?{_redact_query(query)}"


def _redact_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    hidden = [(name, HIDDEN if _SECRET_NAME.search(name) else value) for name, value in pairs]
    return urlencode(hidden, safe="/*:,@")


def read_database_url(variable: str, text: str) -> str:
    """`text`, if it is the URL of a PostgreSQL database; raises a `ConfigurationError` that does
    not show it."""
    if not text:
        return text
    if not re.match(r"postgres(ql)?://", text):
        raise ConfigurationError(
            f"{variable} is {redact_url(text)!r}.",
            "Expected a URL such as postgresql://user:password@host:5432/name.",
        )
    if not _URL.fullmatch(text):
        raise ConfigurationError(
            f"{variable} ({redact_url(text)}) is not a URL: a character in it must be"
            " percent-encoded.",
            "In a password write @ as %40, / as %2F, # as %23, ? as %3F, [ as %5B and ] as %5D;"
            " or leave the password out and name a file: ?passfile=/path/to/pgpass.",
        )
    return text


_BROKER = r"(?:[^\s,:@/\[\]]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}"


def read_broker(variable: str, text: str) -> str:
    """`text`, if it is host:port or a comma-separated list of them; raises a `ConfigurationError`
    that shows no credentials."""
    if re.fullmatch(rf"{_BROKER}(,{_BROKER})*", text):
        ports = [int(address.rpartition(":")[2]) for address in text.split(",")]
        if all(0 < port < 65_536 for port in ports):
            return text
        raise ConfigurationError(f"{variable} is {text!r}.", "Expected ports from 1 to 65535.")
    if "@" in text or "://" in text:
        raise ConfigurationError(
            f"{variable} is a URL or holds credentials.",
            "Expected host:port, or a comma-separated list of them. User and password belong in"
            " EDGELOOP_KAFKA_USER and EDGELOOP_KAFKA_PASSWORD.",
        )
    raise ConfigurationError(
        f"{variable} is {text!r}.", "Expected host:port, or a comma-separated list of them."
    )
