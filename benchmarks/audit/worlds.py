"""Trade logs with known answers: two years of entries, simulated so that each of the audit's
questions has one right answer.

May touch: nothing; randomness comes from the seed alone.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.audit.answers import NO, UNSURE, YES
from app.audit.trades import Module
from app.learning.common.config import LearningConfig
from app.learning.common.event_time import text_from_micros
from schemas.facts import FactAction, PatternTradeEvent, Segment, TradeMetrics
from schemas.times import DAY_US

Days = NDArray[np.float64]

T0_US = 19_723 * DAY_US
"""2024-01-01T00:00:00Z, where every log begins."""
SPAN_DAYS = 600.0
REGIME = "btc_macro"
REGIMES, REGIME_DAYS = ("S0", "S1", "S2"), 4.0
"""Market states, and the average days that one lasts."""
CONFIG = LearningConfig(n_min=25, max_dims=2)
SETUP_DAYS = 75.0
"""How many days a setup is traded."""
QUESTIONS = ("regimes", "decay", "double counting", "edge")
"""The questions about a log: the audit's three, and whether there is anything to size by."""


class Log(NamedTuple):
    """A log, the settings and the number of cuts with which to audit it, and the right answer to
    each question that it is made for."""

    name: str
    module: Module
    config: LearningConfig
    truth: Mapping[str, str]
    cuts: int


@dataclass
class _Trades:
    """N entries under construction: `day` and `group` (N,), the value of each dimension, the
    expected uplift."""

    rng: np.random.Generator
    day: Days
    group: NDArray[np.int64]
    dims: dict[str, NDArray[np.str_]] = field(default_factory=dict)
    uplift: Days = field(default_factory=lambda: np.zeros(0))

    def log(
        self,
        name: str,
        noise_sd: float,
        truth: Mapping[str, str],
        config: LearningConfig = CONFIG,
        cuts: int = 12,
    ) -> Log:
        outcome = self.uplift + noise_sd * self.rng.standard_normal(len(self.day))
        hold = self.rng.exponential(0.2, len(self.day))
        module = Module()
        columns = {dim: values.tolist() for dim, values in self.dims.items()}
        for i, (day, held, group, made) in enumerate(
            zip(
                self.day.tolist(), hold.tolist(), self.group.tolist(), outcome.tolist(), strict=True
            )
        ):
            scope = {dim: values[i] for dim, values in columns.items() if values[i]}
            module.add(
                _fact(
                    i,
                    T0_US + round(day * DAY_US),
                    T0_US + round((day + min(held, 2.0)) * DAY_US),
                    group,
                    scope,
                    made,
                ),
                "rr",
            )
        return Log(name, module, config, truth, cuts)


def _fact(
    i: int, entry_us: int, exit_us: int, group: int, scope: dict[str, str], outcome: float
) -> PatternTradeEvent:
    return PatternTradeEvent(
        module="pm",
        pattern_key=f"pm.family.S{group}.entry",
        action_category="entry",
        trade_id=f"t{i:06d}",
        revision=0,
        n_actions=1,
        exit_ts=text_from_micros(exit_us),
        event_id=f"e{i:06d}",
        value_sha256=hashlib.sha256(str(i).encode()).hexdigest(),
        actions=(FactAction(f"t{i:06d}/0", text_from_micros(entry_us), scope),),
        rr=outcome,
        roi=None,
        pnl_usd=None,
        segment=Segment("micro", "1h"),
        home=True,
        metrics=TradeMetrics(),
    )


def _trades(rng: np.random.Generator, per_day: float, groups: int) -> _Trades:
    n = round(per_day * SPAN_DAYS)
    made = _Trades(
        rng,
        np.sort(rng.uniform(0.0, SPAN_DAYS, n)),
        rng.integers(groups, size=n),
        uplift=np.zeros(n),
    )
    for dim in ("chain", "intent", "vol_bucket"):
        made.dims[dim] = np.array(["a", "b", "c"])[rng.integers(3, size=n)]
    return made


def _add_regimes(made: _Trades) -> None:
    ends = np.cumsum(made.rng.exponential(REGIME_DAYS, round(3 * SPAN_DAYS / REGIME_DAYS)))
    steps = made.rng.integers(1, len(REGIMES), len(ends))
    made.dims[REGIME] = np.array(REGIMES)[np.cumsum(steps) % len(REGIMES)][
        np.searchsorted(ends, made.day)
    ]


Build = Callable[[np.random.Generator, str], Log]
LOGS: dict[str, Build] = {}


def log(build: Build) -> Build:
    """Register a function under its own name."""
    LOGS[build.__name__] = build
    return build


def make(name: str, seed: int) -> Log:
    """The log of this name and seed, the same on every machine."""
    return LOGS[name](np.random.default_rng([seed, zlib.crc32(name.encode())]), name)


def _in_regimes(
    rng: np.random.Generator, name: str, gains: Mapping[str, float], answer: str
) -> Log:
    """Eight groups, each with a slice of some forty trades per window that has an edge; within one
    regime these are too few to be examined."""
    made = _trades(rng, 11.0, 8)
    _add_regimes(made)
    gain = np.array([gains[r] for r in made.dims[REGIME].tolist()])
    for group in range(8):
        dim, sign = ("chain", "intent", "vol_bucket")[group % 3], -0.65 if group % 4 == 3 else 1.0
        made.uplift += np.where((made.group == group) & (made.dims[dim] == "a"), sign * gain, 0.0)
    return made.log(name, 1.0, {"regimes": answer, "decay": NO, "double counting": NO, "edge": YES})


@log
def regimes_matter(rng: np.random.Generator, name: str) -> Log:
    """All edges are one and a half times as large in two market regimes, and zero in the third."""
    return _in_regimes(rng, name, {"S0": 1.5, "S1": 0.0, "S2": 1.5}, YES)


@log
def regimes_do_not(rng: np.random.Generator, name: str) -> Log:
    """The same edges, the same in all regimes."""
    return _in_regimes(rng, name, {"S0": 1.0, "S1": 1.0, "S2": 1.0}, NO)


@log
def regimes_in_scope(rng: np.random.Generator, name: str) -> Log:
    """Edges in one regime only, of slices large enough to be found there: the scope explains
    everything."""
    made = _trades(rng, 11.0, 3)
    _add_regimes(made)
    for group, dim in enumerate(("chain", "intent", "vol_bucket")):
        made.uplift += np.where(
            (made.group == group) & (made.dims[dim] == "a") & (made.dims[REGIME] == "S0"), 1.8, 0.0
        )
    return made.log(name, 0.8, {"regimes": NO, "edge": YES}, replace(CONFIG, n_min=15))


def _fading(rng: np.random.Generator, name: str, shape: Callable[[Days], Days], answer: str) -> Log:
    """Three groups, in each of which a new setup with a fresh edge appears every 75 days, and takes
    two fifths of the trades until the next one."""
    made = _trades(rng, 14.0, 3)
    starts = np.array([0.0, 25.0, 50.0])[made.group]
    number = np.floor((made.day + SETUP_DAYS - starts) / SETUP_DAYS).astype(int)
    age = made.day + SETUP_DAYS - starts - number * SETUP_DAYS
    inside = made.rng.random(len(made.day)) < 0.4
    made.dims["curator"] = np.where(inside, np.char.add("setup", number.astype(str)), "")
    made.uplift = np.where(inside, 2.0 * shape(age), 0.0)
    return made.log(name, 0.4, {"decay": answer}, replace(CONFIG, n_min=15), cuts=20)


@log
def decay_exponential(rng: np.random.Generator, name: str) -> Log:
    """Edges that halve every fifteen days."""
    return _fading(rng, name, lambda age: np.exp2(-age / 15.0), YES)


@log
def decay_linear(rng: np.random.Generator, name: str) -> Log:
    """Edges that fall linearly and are gone after sixty days."""
    return _fading(rng, name, lambda age: np.maximum(0.0, 1.0 - age / 60.0), NO)


@log
def decay_none(rng: np.random.Generator, name: str) -> Log:
    """Edges that stay as long as their setup is traded."""
    return _fading(rng, name, lambda age: np.full(len(age), 0.6), NO)


def _cloned(rng: np.random.Generator, name: str, clones: int, answer: str) -> Log:
    made = _trades(rng, 6.0, 2)
    made.uplift = np.where(made.dims["chain"] == "a", 0.8, 0.0)
    for k in range(clones):
        column = made.dims["chain"].copy()
        other = made.rng.random(len(column)) < 0.03
        column[other] = np.array(["a", "b", "c"])[made.rng.integers(3, size=int(other.sum()))]
        made.dims[("bucket", "market_family", "mcap_bucket")[k]] = column
    return made.log(name, 1.0, {"double counting": answer, "edge": YES})


@log
def clones(rng: np.random.Generator, name: str) -> Log:
    """Two dimensions that have nearly the same information as another."""
    return _cloned(rng, name, 2, YES)


@log
def no_clones(rng: np.random.Generator, name: str) -> Log:
    """The same edge, and dimensions with different information."""
    return _cloned(rng, name, 0, NO)


@log
def no_edge(rng: np.random.Generator, name: str) -> Log:
    """Scopes carry no information: there is nothing to size by, and so no regime and no decay."""
    made = _trades(rng, 8.0, 4)
    _add_regimes(made)
    return made.log(name, 1.0, {"regimes": UNSURE, "decay": UNSURE, "edge": NO})
