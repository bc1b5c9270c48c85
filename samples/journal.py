"""Makes `journal.csv.gz`: the sample's trades as a trader's spreadsheet has them: `python -m
samples.journal`; with `--check` compares.

May touch: samples.*, `us_equities.jsonl.zst` (read only), the file it writes.

A row is a closed trade of the sample: its days, its rule under a name that a trader might use,
three numbers that were known at the close of the day of the decision, and its result.  The numbers
are computed from the same prices as the sample itself.  Nothing is random: the rows are the last
`ROWS` trades by exit.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from app.errors import BadDataError, EdgeloopError
from app.sources import jsonl
from samples.market import Floats, Ints, Prices, known, load_prices, volatility, window_sum

HERE = Path(__file__).parent
SAMPLE, JOURNAL = HERE / "us_equities.jsonl.zst", HERE / "journal.csv.gz"
ROWS = 18_000
COLUMNS = (
    "no",
    "opened",
    "closed",
    "symbol",
    "sector",
    "setup",
    "speed",
    "plan",
    "volatility_pct",
    "trend_pct",
    "market_trend_pct",
    "return_pct",
    "drawdown_pct",
    "exit_reason",
)
SETUPS = {
    "donchian": "channel breakout",
    "squeeze": "squeeze breakout",
    "oversold": "oversold dip",
    "pullback": "pullback",
    "average_cross": "average cross",
    "momentum": "momentum",
}


def above_average_pct(level: Ints, n: int = 200) -> Floats:
    """How far each close is above its n-day mean, in percent; NaN until there are n closes."""
    out = np.full(len(level), np.nan)
    seen = known(len(level), n)
    out[seen] = (level[seen] * n / window_sum(level, n)[seen] - 1.0) * 100.0
    return out


def rows(prices: Prices) -> Iterator[tuple[Any, ...]]:
    """The journal's rows, sorted by exit; numbers that were not known yet are empty."""
    events = [orjson.loads(line) for line, _, _ in deque(jsonl.lines(str(SAMPLE)), ROWS)]
    day_of = {day: t for t, day in enumerate(prices.days)}
    close = {
        symbol: np.ascontiguousarray(prices.close[:, i]) for i, symbol in enumerate(prices.symbols)
    }
    yearly = {
        symbol: volatility(level, 63) * np.sqrt(252.0) * 100.0 for symbol, level in close.items()
    }
    trend = {symbol: above_average_pct(level) for symbol, level in close.items()}
    market = above_average_pct(prices.index)
    for number, event in enumerate(events, 1):
        summary, context, actions = event["trade_summary"], event["entry_context"], event["actions"]
        t, symbol = day_of[actions[0]["ts"][:10]], event["symbol"]
        yield (
            number,
            summary["entry_timestamp"][:10],
            summary["exit_timestamp"][:10],
            symbol,
            context["bucket"],
            SETUPS[context["curator"]],
            context["A_mode"],
            context["E_mode"],
            _shown(yearly[symbol][t]),
            _shown(trend[symbol][t]),
            _shown(market[t]),
            f"{summary['roi'] * 100:.2f}",
            f"{summary['max_drawdown'] * 100:.2f}",
            actions[-1]["pattern_key"].rpartition(".")[2],
        )


def _shown(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.1f}"


def to_csv(prices: Prices) -> bytes:
    """The table, with a header."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(prices))
    return out.getvalue().encode()


def main(arguments: list[str] | None = None) -> int:
    """Write or compare the file; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m samples.journal", description="Make the sample journal from the sample log."
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=JOURNAL,
        metavar="FILE",
        help="where to write (default: beside this script)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with code 5 if FILE differs"
    )
    options = parser.parse_args(arguments)
    try:
        made = to_csv(load_prices()[0])
        if options.check:
            if gzip.decompress(options.out.read_bytes()) != made:
                raise BadDataError(
                    f"{options.out.name} does not match what the script produces.",
                    "Run python -m samples.journal and review the change.",
                )
            print(
                f"{options.out.name}: {len(made.splitlines()) - 1} rows, as the script produces"
                " them."
            )
            return 0
        packed = gzip.compress(made, 9, mtime=0)
        options.out.write_bytes(packed)
    except EdgeloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{options.out.name}: {ROWS} rows, {len(packed) / 1e3:.0f} kB.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
