"""What workers report at `/metrics`: how long refits take, and how much learners count.

May touch: the addresses that are passed to it (read only).

By default workers listen on any free port, so `--metrics` must name the addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from app.errors import UnreachableError

WITHIN_S = 3.0
MOST_BYTES = 4_000_000


def address(text: str) -> str:
    """The URL of a worker's metrics; `text` is that URL, or its host and port.

    >>> address("worker:9464"), address("http://127.0.0.1:1/metrics")
    ('http://worker:9464/metrics', 'http://127.0.0.1:1/metrics')
    """
    return text if text.startswith(("http://", "https://")) else f"http://{text}/metrics"


class Refits(msgspec.Struct, frozen=True):
    """Refits of one role of one worker since it started."""

    worker: str
    role: str
    count: int
    mean_s: float
    within_s: float | None
    """90 % of refits took at most this long: the upper bound of the histogram's bucket, None for
    the last bucket."""


class Metrics(msgspec.Struct, frozen=True):
    """What the workers reported, and which of them did not answer."""

    refits: tuple[Refits, ...]
    weights: dict[str, float]
    silent: tuple[str, ...]


async def ask(urls: Sequence[str]) -> Metrics:
    """The metrics of all workers.  Raises `UnreachableError` if none of them answers."""
    texts = await asyncio.gather(*(asyncio.to_thread(_text, url) for url in urls))
    silent = tuple(url for url, text in zip(urls, texts, strict=True) if text is None)
    if urls and len(silent) == len(urls):
        raise UnreachableError(
            f"No worker answers at {', '.join(urls)}.", "Start one, or correct --metrics."
        )
    refits: list[Refits] = []
    weights: dict[str, float] = {}
    for url, text in zip(urls, texts, strict=True):
        if text is not None:
            refits += refits_of(url, text)
            weights |= weights_of(text)
    return Metrics(tuple(refits), weights, silent)


def _text(url: str) -> str | None:
    # No proxy: these addresses belong to the installation.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=WITHIN_S) as response:
            return str(response.read(MOST_BYTES).decode(errors="replace"))
    except (URLError, OSError, ValueError):
        return None


def refits_of(worker: str, text: str) -> list[Refits]:
    """The refits in a worker's metrics text."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    buckets: dict[str, list[tuple[float, float]]] = {}
    for family in text_string_to_metric_families(text):
        if family.name != "edgeloop_refit_seconds":
            continue
        for sample in family.samples:
            role = sample.labels.get("role", "")
            if sample.name.endswith("_sum"):
                sums[role] = sample.value
            elif sample.name.endswith("_count"):
                counts[role] = int(sample.value)
            elif sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"])
                buckets.setdefault(role, []).append((bound, sample.value))
    found = []
    for role, count in sorted(counts.items()):
        if count:
            most = next((b for b, n in sorted(buckets.get(role, [])) if n >= 0.9 * count), None)
            finite = None if most is None or most == float("inf") else most
            found.append(Refits(worker, role, count, sums.get(role, 0.0) / count, finite))
    return found


def weights_of(text: str) -> dict[str, float]:
    """`module category learner` → weight."""
    return {
        " ".join(sample.labels.get(n, "") for n in ("module", "category", "learner")): sample.value
        for family in text_string_to_metric_families(text)
        if family.name == "edgeloop_learner_weight"
        for sample in family.samples
    }
