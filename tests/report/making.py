"""A log in files."""

from __future__ import annotations

from pathlib import Path

import orjson

from tests.audit.making import market

ENVIRONMENT = {
    "EDGELOOP_N_MIN": "20",
    "EDGELOOP_DIMENSIONS": "chain,btc_macro",
    "EDGELOOP_BROKER": "127.0.0.1:1",
}
"""There is no broker, since an audit of files needs none."""


def closes(path: Path, n: int = 500, broken: int = 2) -> Path:
    """A log with an edge that fades on {chain=0}, two of whose lines cannot be read."""
    with path.open("wb") as file:
        for f in market(1, n=n, edge=lambda day: 3.0 * 2 ** (-day / 60)):
            action = f.actions[0]
            scope = {"chain": action.scope["d0"], "btc_macro": f"S{action.scope['d1']}"}
            file.write(
                orjson.dumps(
                    {
                        "event_id": f"e-{f.trade_id}",
                        "schema_version": 1,
                        "module": "pm",
                        "trade_id": f.trade_id,
                        "trade_summary": {"exit_timestamp": f.exit_ts, "rr": f.rr},
                        "actions": [
                            {
                                "ts": action.ts,
                                "pattern_key": "pm.a<b>.c",
                                "action_category": "entry",
                                "scope": scope,
                            }
                        ],
                    }
                )
                + b"\n"
            )
        file.write(b'{"event_id": "<script>"}\n' * broken)
    return path
