"""The operator's view of a worker: the trace of a close up to the override, metrics, the log."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from schemas import kinds
from tests.hostile import Record, send
from tests.pipeline.installation import FIXED_DATES, Installation, wait
from tests.pipeline.trades import close, simple

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE = [("traceparent", PARENT), ("tracestate", b"vendor=1")]


@pytest.fixture(scope="module")
def installation(install: Callable[..., Installation]) -> Installation:
    made = install(learning="classic", n_min=5, max_dims=1, **FIXED_DATES)
    made.start_ready()
    return made


def test_a_trace_leads_from_the_close_to_the_override(installation: Installation) -> None:
    records: list[Record] = []
    for i in range(60):
        chain = "sol" if i % 2 else "eth"
        trade = simple(
            f"t{i}", module="pm", day=i / 2, rr=i % 5 / 9 + 2 * (i % 2), scope={"chain": chain}
        )
        made = close(trade)
        records.append((made.key, made.value, TRACE))
    settings = installation.settings
    topic = settings.topic(kinds.CLOSES)
    send(settings.broker, topic, 0, records)
    bad = send(settings.broker, topic, 0, [(b"k", b"{", TRACE)])
    installation.until_idle()
    for name in (kinds.FACTS, kinds.LESSONS, kinds.OVERRIDES, kinds.VERDICTS, kinds.DEAD_LETTERS):
        found = installation.read(name)
        assert found, name
        for record in found:
            headers = dict(record.headers)
            assert headers["traceparent"] == PARENT, name
            assert headers["tracestate"] == b"vendor=1", name

    (worker,) = installation.workers
    assert worker.metric("edgeloop_dead_letters_total", reason="not_json") == 1
    refused = [line for line in worker.text().splitlines() if "close.refused" in line]
    assert len(refused) == 1
    assert f"offset={bad}" in refused[0]
    assert "partition=0" in refused[0]
    assert f"topic={topic}" in refused[0]
    _, page = worker.get("/metrics")
    shown = {line.partition(" ")[0]: line.split()[-1] for line in page.splitlines()}
    overrides = [float(v) for name, v in shown.items() if name.startswith("edgeloop_overrides{")]
    assert sum(overrides) == len(installation.current(kinds.OVERRIDES)) > 0
    for role in ("ingest", "lesson_builder", "override_materializer", "projector"):
        assert float(shown[f'edgeloop_batch_seconds_count{{role="{role}"}}']) > 0, role
    wait(lambda: worker.metric("edgeloop_lag_records", role="projector") == 0, 40, "no lag")
    assert json.loads(worker.page("/readyz")[1]) == {
        "ready": True,
        "reasons": [],
        "degraded": [],
    }


@pytest.mark.long
def test_lag_is_shown_in_records_and_seconds(installation: Installation) -> None:
    """The lag covers the whole installation: a worker without ingest shows that ingest is
    missing."""
    installation.terminate_all()
    roles = ("lesson_builder", "override_materializer", "projector")
    worker = installation.start(agents=roles)
    wait(worker.ready, 60, "ready")
    made = close(simple("late", module="pm", day=31, rr=1.0))
    settings = installation.settings
    send(settings.broker, settings.topic(kinds.CLOSES), 1, [(made.key, made.value, ())])
    wait(lambda: worker.metric("edgeloop_lag_records", role="ingest") == 1, 60, "lag in records")
    wait(lambda: worker.metric("edgeloop_lag_seconds", role="ingest") > 10, 60, "lag in seconds")
