"""The schedule of faults, which a seed determines, so that it can be repeated.

May touch: nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Any

WARM_UP_S = 5.0
"""Seconds of load before the first fault."""
ONE_WORKER = ("kill", "terminate", "freeze")
FAULTS: dict[str, tuple[float, float]] = {
    "kill": (0, 0),
    "terminate": (0, 0),
    "freeze": (2, 18),  # the group's session ends after 12 s
    "rolling restart": (0, 0),
    "scale": (0, 0),
    "broker kill": (1, 16),
    "postgres pause": (3, 15),
    "postgres kill": (1, 10),
    "copy kill": (0, 0),
    "broker disk full": (3, 12),
    "postgres disk full": (3, 15),
    "compaction": (3, 15),
    "retention": (0, 0),
    "clock step": (5, 30),
    "latency": (5, 20),
    "cut": (0, 0),
    "no network": (1, 15),
}
"""Each fault, and the shortest and longest that it lasts in seconds.

0: it is over when everything that was stopped is replaced.
"""
NEEDS_A_DISK = ("broker disk full", "postgres disk full")
CLOCK_STEP_S = (-2 * 86_400.0, 3_000.0)
"""How far the clock of a worker is set back or ahead.

A broker refuses records that are more than an hour ahead of its own clock.
"""


@dataclass(frozen=True)
class Fault:
    """One fault."""

    at_s: float
    name: str
    lasts_s: float = 0.0
    pick: float = 0.0
    """Which of the workers that there are then: a share of the list."""
    delay_s: float = 0.0
    """Delay of each piece that passes the proxy, for `latency`."""
    step_s: float = 0.0
    """By which a clock is off, for `clock step`."""

    def __str__(self) -> str:
        text = f"{self.at_s:6.1f} s  {self.name}"
        if self.lasts_s:
            text += f" for {self.lasts_s:.1f} s"
        if self.delay_s:
            text += f", {self.delay_s * 1000:.0f} ms"
        if self.step_s:
            text += f", by {self.step_s:+,.0f} s"
        return text

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def schedule(seed: int, minutes: float, only: tuple[str, ...] = ()) -> list[Fault]:
    """The faults of a number of minutes, in order; each kind occurs once before any occurs
    twice."""
    random = Random(f"faults of {seed}")
    kinds = [name for name in FAULTS if not only or name in only]
    found: list[Fault] = []
    bag: list[str] = []
    at_s = WARM_UP_S
    while at_s < minutes * 60:
        if not bag:
            bag = random.sample(kinds, len(kinds))
        name = bag.pop()
        lasts_s = round(random.uniform(*FAULTS[name]), 1)
        found.append(
            Fault(
                round(at_s, 1),
                name,
                min(lasts_s, max(1.0, minutes * 60 - at_s)) if lasts_s else 0.0,
                round(random.random(), 3),
                round(random.uniform(0.005, 0.2), 3) if name == "latency" else 0.0,
                round(random.choice(CLOCK_STEP_S) * random.random()) if name == "clock step" else 0,
            )
        )
        # Sometimes during the previous one, sometimes after everything has recovered.
        at_s += random.choice([random.uniform(0.5, 4), random.uniform(6, 16)])
    return found
