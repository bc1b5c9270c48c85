"""More workers than partitions start, stop, freeze and are killed all the time."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from random import Random

import pytest

from app.settings import AGENTS
from tests.pipeline.compare import check_until_right
from tests.pipeline.installation import FIXED_DATES, POLL_S, Installation, Worker, wait
from tests.pipeline.reference import Rules, learn
from tests.pipeline.trades import Generator

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

RULES = Rules(n_min=15, max_dims=2, window_days=60.0, window_trades=200)
SETTINGS = {
    "learning": "classic",
    "n_min": 15,
    "max_dims": 2,
    "window_days": 60.0,
    "window_trades": 200,
    **FIXED_DATES,
}
ROLES = (AGENTS, AGENTS, AGENTS[:1], AGENTS[1:2], AGENTS[2:])
SECONDS, EVERY_S, CLOSES_PER_S = 60.0, 6.0, 20
FROZEN_S = 15.0


def test_partitions_never_lie_idle_while_workers_come_and_go(
    install: Callable[..., Installation],
) -> None:
    random = Random(17)
    log = Generator(17).log(round(SECONDS * CLOSES_PER_S) + 100)
    closes, later = log[:-100], log[-100:]
    installation = install(**SETTINGS)
    roles: dict[Worker, tuple[str, ...]] = {}

    def start(agents: tuple[str, ...]) -> None:
        roles[installation.start(agents=agents)] = agents

    for number in range(6):
        start(ROLES[number % len(ROLES)])
    wait(lambda: all(worker.ready() for worker in roles), 120, "workers", installation.logs)

    began = time.monotonic()
    frozen: list[tuple[float, Worker]] = []
    sent, next_s = 0, EVERY_S
    while (now := time.monotonic() - began) < SECONDS:
        due = min(len(closes), round(now * CLOSES_PER_S))
        installation.produce(closes[sent:due])
        sent = due
        while frozen and frozen[0][0] <= now:
            frozen.pop(0)[1].signal(signal.SIGCONT)
        if now >= next_s:
            next_s += EVERY_S
            asleep = [worker for _, worker in frozen]
            worker = random.choice([w for w in installation.workers if w not in asleep])
            what = random.choice(("terminate", "kill", "freeze"))
            if what == "freeze":
                worker.signal(signal.SIGSTOP)
                frozen.append((now + FROZEN_S, worker))
                continue
            if what == "kill":
                installation.kill(worker)
            else:
                leave(installation, worker)
            start(random.choice(ROLES))
        time.sleep(POLL_S)
    for _, worker in frozen:
        worker.signal(signal.SIGCONT)
    installation.produce(closes[sent:])
    start(AGENTS)  # if by chance a role has no worker
    wait(
        lambda: all(worker.ready() for worker in installation.workers),
        120,
        "workers that are ready, spare ones too",
        installation.logs,
    )
    installation.until_idle(120)
    check_until_right(installation, learn([close.value for close in closes], RULES))

    # One takes over from all others.
    last = next(worker for worker in reversed(installation.workers) if roles[worker] == AGENTS)
    for worker in [worker for worker in installation.workers if worker is not last]:
        installation.kill(worker)
    installation.produce(later)
    installation.until_idle(120)
    assert last.ready()
    check_until_right(installation, learn([close.value for close in log], RULES))


def leave(installation: Installation, worker: Worker) -> None:
    """Send SIGTERM; it must exit with 0, unless it has not installed its handler yet."""
    installation.workers.remove(worker)
    code = worker.terminate(40)
    heard = "worker.listening" in worker.text()
    assert code == 0 or (code == -signal.SIGTERM and not heard), worker.text()[-8_000:]
