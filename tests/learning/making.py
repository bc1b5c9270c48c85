"""Trades to learn from, and strategies that generate them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from app.learning.common.config import LearningConfig
from app.learning.common.trade import Scope, Trade
from app.learning.engine import Engine
from schemas.times import DAY_US


def trade(
    trade_id: str,
    exit_us: int,
    outcome: float = 0.0,
    *scopes: dict[str, str],
    revision: int = 0,
    n_actions: int = 1,
    event_id: str = "e",
    home: bool = True,
    segment: tuple[str | None, str | None] = ("micro", "1h"),
) -> Trade:
    """A trade whose SHA-256 depends on its content, as that of a real close."""
    rows: tuple[Scope, ...] = tuple({tuple(sorted(s.items())): s for s in scopes or ({},)}.values())
    sha = hashlib.sha256(
        repr(
            (trade_id, exit_us, outcome, rows, revision, n_actions, event_id, home, segment)
        ).encode()
    ).hexdigest()
    return Trade(
        trade_id,
        (revision, n_actions, exit_us, event_id, sha),
        exit_us,
        outcome,
        segment,
        home,
        rows,
    )


SCOPES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), max_size=4)


@st.composite
def trades(draw: st.DrawFn, max_ids: int = 12, max_exit: int = 40) -> Trade:
    """A record of one of a few trades, with exits on a coarse grid, so that ties, revisions and
    evictions are frequent."""
    return trade(
        f"t{draw(st.integers(0, max_ids))}",
        draw(st.integers(0, max_exit)) * 1_800_000_000,
        draw(st.one_of(st.floats(-33, 33), st.sampled_from([0.5, -1.0, 33.0]))),
        *draw(st.lists(SCOPES, min_size=1, max_size=3)),
        revision=draw(st.integers(0, 2)),
        n_actions=draw(st.integers(1, 2)),
        event_id=draw(st.sampled_from(["a", "b"])),
        home=draw(st.booleans()),
        segment=draw(st.sampled_from([("micro", "1h"), (None, "1h"), ("mega", None)])),
    )


def market(
    seed: int,
    n: int = 120,
    *,
    edge: float = 2.0,
    n_dims: int = 3,
    n_values: int = 3,
    n_actions: int = 1,
    per_day: float = 4.0,
    name: str = "t",
    home: bool = True,
    segments: tuple[tuple[str | None, str | None], ...] = (("micro", "1h"),),
    macros: int = 2,
) -> list[Trade]:
    """`n` trades with normal noise of sd 1, `edge` on {d0=0} and half of it, of the other sign, on
    {d1=1}; actions differ in d1 alone.

    Some lack the last dimension.  Each is in one of the given number of `btc_macro` states, and in
    one of the segments.
    """
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        scope = {f"d{k}": str(rng.integers(n_values)) for k in range(n_dims)}
        if rng.random() < 0.1:
            del scope[f"d{n_dims - 1}"]
        if macros:
            scope["btc_macro"] = f"S{rng.integers(macros)}"
        scopes = [
            {**scope, "d1": str(rng.integers(n_values))}
            for _ in range(int(rng.integers(1, n_actions + 1)))
        ]
        held = edge * (scope.get("d0") == "0") - edge / 2 * any(s["d1"] == "1" for s in scopes)
        segment = segments[int(rng.integers(len(segments)))]
        close = trade(
            f"{name}{i:04d}",
            int(i * DAY_US / per_day),
            float(rng.normal() + held),
            *scopes,
            home=home,
            segment=segment,
            n_actions=len(scopes),
        )
        made.append(close._replace(time_efficiency=float(rng.random()) if i % 3 else None))
    return made


GROUPS = (("pm.a.b", "add"), ("pm.a.b", "trim"), ("pm.c.d", "entry"))


def told(records: Any) -> Any:
    """Records as plain data, without versions."""
    if isinstance(records, dict):
        return {
            key: told(value)
            for key, value in records.items()
            if key not in ("version", "lesson_version")
        }
    if isinstance(records, list | tuple):
        return [told(record) for record in records]
    return told(msgspec.to_builtins(records)) if isinstance(records, msgspec.Struct) else records


def everything(engine: Engine) -> dict[str, Any]:
    """Everything that an engine publishes, to the last digit, without versions."""
    kinds = (
        "lessons",
        "summaries",
        "overrides",
        "verdicts",
        "baselines",
        "regime_weights",
        "latent_factors",
    )
    return {kind: told(getattr(engine, kind)()) for kind in kinds}


def learned(
    groups: Mapping[tuple[str, str], Iterable[Trade]], module: str = "pm", **settings: Any
) -> Engine:
    """An engine that has learned from these trades; slices of 10 trades count."""
    engine = Engine(LearningConfig(**{"n_min": 10, **settings}), module)
    engine.fold(groups)
    engine.learn()
    return engine
