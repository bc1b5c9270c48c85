"""Trades to learn from, and strategies that make them."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from app.learning.window import Scope, Trade

DAY_US = 86_400_000_000


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
    """A trade whose SHA-256 is that of its content, as the wire's would be."""
    rows: tuple[Scope, ...] = tuple({tuple(sorted(s.items())): s for s in scopes or ({},)}.values())
    sha = hashlib.sha256(repr((trade_id, exit_us, outcome, rows, revision, n_actions, event_id, home, segment)).encode()).hexdigest()
    return Trade(trade_id, (revision, n_actions, exit_us, event_id, sha), exit_us, outcome, segment, home, rows)


SCOPES = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"), max_size=4)


@st.composite
def trades(draw: st.DrawFn, max_ids: int = 12, max_exit: int = 40) -> Trade:
    """A record of one of few trades, exits on a coarse grid so that ties, revisions and evictions abound."""
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
