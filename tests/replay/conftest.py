"""Installations with workers, as in tests/pipeline."""

from tests.pipeline.conftest import install

__all__ = ["install"]
