"""The report's tables.

May touch: the console it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from app.audit.bootstrap import Estimate
from benchmarks.real.measure import Figures, differences, is_peer, mean_of, over_logs
from benchmarks.real.walk import Sized


def table(title: str, found: Mapping[str, Figures]) -> Table:
    """The table of a log, or of the mean of all: one row per contender."""
    made = Table(title=title, title_justify="left")
    made.add_column("sized by")
    for name in (
        "value",
        "90 %",
        "within groups",
        "between",
        "of the possible",
        "slope",
        "product − peer, variant − product",
        "",
    ):
        made.add_column(name, justify="left" if not name else "right")
    for name, f in found.items():
        row = [
            name,
            _figure(f.value),
            _range(f.value),
            _figure(f.within),
            _figure(f.between),
            _percent(f.share),
            _figure(f.slope, 2),
        ]
        differs = f.beyond != Estimate(0.0, 0.0, 0.0)
        beyond = (
            [f"{_figure(f.beyond)} {_range(f.beyond)}", _sure(f.beyond)] if differs else ["", ""]
        )
        made.add_row(*row, *beyond, style="" if is_peer(name) else "bold")
    return made


def by_log(by: Mapping[str, Mapping[str, Figures]], outcome: str) -> Table:
    """The value of each contender in each log."""
    names = list(dict.fromkeys(name for found in by.values() for name in found))
    made = Table(
        title=(f"value per decision by log, {outcome}; * product clearly better, ! clearly worse"),
        title_justify="left",
    )
    made.add_column("log")
    for name in names:
        made.add_column(name, justify="right")
    for log, found in by.items():
        made.add_row(
            log,
            *(
                _figure(found[n].value) + _mark(found[n].beyond, is_peer(n)) if n in found else ""
                for n in names
            ),
        )
    mean = over_logs(by)
    made.add_section()
    made.add_row(
        "mean", *(_figure(mean[n].value) + _mark(mean[n].beyond, is_peer(n)) for n in names)
    )
    made.add_row("mean, of the possible", *(_percent(mean[n].share) for n in names))
    return made


def against(by: Mapping[str, Mapping[tuple[str, str], Estimate]], outcome: str) -> Table:
    """The mean over the logs of each variant's value minus each peer's, and the numbers of logs in
    which it is clearly better and clearly worse."""
    pairs = list(dict.fromkeys(pair for found in by.values() for pair in found))
    peers = list(dict.fromkeys(peer for _, peer in pairs))
    made = Table(
        title=(
            f"variant − peer, mean over {len(by)} logs, {outcome} (logs where it is clearly better"
            " / worse)"
        ),
        title_justify="left",
    )
    made.add_column("variant")
    for peer in peers:
        made.add_column(peer, justify="right")
    for ours in dict.fromkeys(ours for ours, _ in pairs):
        cells = []
        for peer in peers:
            each = [found[ours, peer] for found in by.values() if (ours, peer) in found]
            mean = mean_of(each)
            better, worse = sum(e.low > 0 for e in each), sum(e.high < 0 for e in each)
            cells.append(f"{_figure(mean)}{_mark(mean, True)} ({better}/{worse})")
        made.add_row(ours, *cells)
    return made


def heading(log: str, outcome: str, sized: Sized) -> str:
    """The description of a log's table."""
    groups = len(set(sized.group.tolist()))
    return (
        f"{log}, {outcome}: {len(sized.uplift)} decisions of {groups} groups at"
        f" {len(set(sized.cut_us.tolist()))} cuts"
    )


def show(
    console: Console,
    by: Mapping[str, Mapping[str, Figures]],
    sizes: Mapping[str, Sized],
    outcome: str,
) -> None:
    """The closing tables of an outcome."""
    if len(by) > 1:
        console.print(table(f"mean over {len(by)} logs, {outcome}", over_logs(by)))
    console.print(by_log(by, outcome))
    console.print(against({log: differences(sized) for log, sized in sizes.items()}, outcome))


def document(
    by: Mapping[tuple[str, str], Mapping[str, Figures]], sizes: Mapping[tuple[str, str], Sized]
) -> dict[str, Any]:
    """All figures for JSON: infinite ends are null."""

    def plain(e: Estimate) -> list[float | None]:
        return [x if np.isfinite(x) else None for x in (e.value, e.low, e.high)]

    out: dict[str, Any] = {}
    for (log, outcome), found in by.items():
        sized = sizes[log, outcome]
        out.setdefault(outcome, {})[log] = {
            "decisions": len(sized.uplift),
            "cuts": len(set(sized.cut_us.tolist())),
            "differences": {
                f"{ours} − {peer}": plain(e) for (ours, peer), e in differences(sized).items()
            },
            "contenders": {
                n: {k: plain(e) for k, e in f._asdict().items()} | {"peer": is_peer(n)}
                for n, f in found.items()
            },
        }
    return out


def _figure(e: Estimate, digits: int = 4) -> str:
    return f"{e.value:+.{digits}f}" if np.isfinite(e.value) and np.isfinite(e.low) else "–"


def _range(e: Estimate) -> str:
    return f"{e.low:+.4f} … {e.high:+.4f}" if np.isfinite(e.low) else ""


def _percent(e: Estimate) -> str:
    return f"{e.value:+.2%}" if np.isfinite(e.low) else "–"


def _sure(e: Estimate) -> str:
    """A difference in words."""
    return (
        "[green]clearly better[/]" if e.low > 0 else "[red]clearly worse[/]" if e.high < 0 else ""
    )


def _mark(e: Estimate, peer: bool) -> str:
    if not peer:
        return ""
    return "*" if e.low > 0 else "!" if e.high < 0 else " "
