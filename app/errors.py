"""Errors for people: one sentence on what happened, one on what to do, and the exit code.

May touch: nothing.  Commands raise these; `app.commands.base` prints them and exits with
`exit_code`.
"""

from __future__ import annotations


class EdgeloopError(Exception):
    """An error with a remedy.  `what` and `remedy` are full sentences; `exit_code` is the
    process's."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy


class UsageError(EdgeloopError):
    """The command line is invalid."""

    exit_code = 2


class ConfigurationError(EdgeloopError):
    """A setting, a topic or a table is not as required."""

    exit_code = 3


class UnreachableError(EdgeloopError):
    """A dependency (broker, database, network, cache) is not reachable or not usable."""

    exit_code = 4


class BadDataError(EdgeloopError):
    """Input data is not usable."""

    exit_code = 5


class MissingError(BadDataError):
    """The requested object does not exist; asking again will not change that."""
