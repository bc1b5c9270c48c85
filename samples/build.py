"""Makes `us_equities.jsonl.zst` and its metadata: `python -m samples.build`; with `--check`
compares instead of writing.

May touch: samples.*, the two files it writes.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import zstandard

from app.errors import BadDataError, EdgeloopError
from samples.market import SCALE, Market, load_prices
from samples.rules import RULES
from samples.simulate import COST, DRAWDOWN_FLOOR, FULL_SIZE_USD, Trade, event, simulate

HERE = Path(__file__).parent
NAME = "us_equities"


def trades(market: Market) -> list[Trade]:
    """Every trade of every rule in every symbol, including open ones."""
    return [
        trade
        for rule in RULES
        for symbol in market.prices.symbols
        for trade in simulate(market, rule, symbol)
    ]


def events(market: Market) -> list[dict[str, Any]]:
    """The closed trades as events, sorted by exit, then id: the order in which a trading system
    would have sent them."""
    prices = {symbol: [c / SCALE for c in close.tolist()] for symbol, close in market.close.items()}
    made = [event(trade, market, prices[trade.symbol]) for trade in trades(market) if trade.closed]
    return sorted(made, key=lambda e: (e["trade_summary"]["exit_timestamp"], e["event_id"]))


def to_jsonl(made: Iterable[dict[str, Any]]) -> bytes:
    """One event per line, with sorted keys."""
    return b"".join(
        orjson.dumps(e, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE) for e in made
    )


def compress(data: bytes) -> bytes:
    """A zstd frame without time or name.  Its bytes may differ between versions of the library; its
    content does not."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, window_log=26, enable_ldm=True, write_checksum=True
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(data)


def metadata(
    made: list[dict[str, Any]], source: dict[str, Any], data: bytes, packed: bytes
) -> dict[str, Any]:
    """The metadata beside the log: its source, its contents, and both checksums."""
    per_trade = sorted(len(e["actions"]) for e in made)
    return {
        "file": f"{NAME}.jsonl.zst",
        "sha256": hashlib.sha256(packed).hexdigest(),
        "bytes": len(packed),
        "jsonl_sha256": hashlib.sha256(data).hexdigest(),
        "jsonl_bytes": len(data),
        "events": len(made),
        "actions": sum(per_trade),
        "actions_per_trade": {
            "min": per_trade[0],
            "median": per_trade[len(per_trade) // 2],
            "max": per_trade[-1],
        },
        "groups": len(
            {(a["pattern_key"], a["action_category"]) for e in made for a in e["actions"]}
        ),
        "first_exit": made[0]["trade_summary"]["exit_timestamp"],
        "last_exit": made[-1]["trade_summary"]["exit_timestamp"],
        "events_by_rule": dict(
            sorted(Counter(e["position_id"].rpartition("-")[0] for e in made).items())
        ),
        "made_by": "python -m samples.build",
        "assumptions": {
            "cost_per_side": COST,
            "full_size_usd": FULL_SIZE_USD,
            "rr_drawdown_floor": DRAWDOWN_FLOOR,
            "fill": "close of the day after the decision",
        },
        "source": source,
    }


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the files; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m samples.build", description="Make the sample trade log from real prices."
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE,
        metavar="DIR",
        help="where to write (default: beside this script)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit with code 5 if the files in DIR differ",
    )
    options = parser.parse_args(arguments)
    try:
        _run(options.out, options.check)
    except EdgeloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _run(out: Path, check: bool) -> None:
    prices, source = load_prices()
    made = events(Market(prices))
    data = to_jsonl(made)
    log, description = out / f"{NAME}.jsonl.zst", out / f"{NAME}.json"
    if check:
        packed = log.read_bytes()
        held = zstandard.ZstdDecompressor().decompress(packed, max_output_size=1 << 30)
        found, expected = (
            orjson.loads(description.read_bytes()),
            metadata(made, source, data, packed),
        )
        for each in (found, expected):
            del each["source"]["package_version"]  # another version with the same files will do
        if held != data or found != expected:
            raise BadDataError(
                f"{log.name} or {description.name} does not match what the script produces.",
                "Run python -m samples.build, review the changes, and commit both files.",
            )
        print(f"{log.name}: {len(made)} events, as the script produces them.")
        return
    packed = compress(data)
    log.write_bytes(packed)
    description.write_bytes(
        orjson.dumps(
            metadata(made, source, data, packed),
            option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
        )
    )
    print(
        f"{log.name}: {len(made)} events, {len(packed) / 1e6:.2f} MB ({len(data) / 1e6:.0f} MB of"
        " JSON lines)."
    )


if __name__ == "__main__":
    sys.exit(main())
