"""The error for missing packages that are not installed with Edgeloop.

May touch: nothing.
"""

from __future__ import annotations

from app.errors import ConfigurationError

INSTALL = "Install what the benchmark needs with: python -m pip install -e '.[real]'"


def missing(what: str, package: str) -> ConfigurationError:
    """The error for a package that is not installed."""
    return ConfigurationError(
        f"{what} with the Python package {package}, which is not installed.", INSTALL
    )
