"""The audit's plots, as SVG that takes its colours from the page: light, dark, or print.

May touch: nothing but its arguments.  Drawn by matplotlib (extra `report`), without a display.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from datetime import date
from html import escape
from typing import Any

import numpy as np

from app.audit.bootstrap import Estimate
from app.audit.document import Audit, EffectCurve, Peer, Setting
from app.errors import ConfigurationError

try:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
except ImportError as error:
    raise ConfigurationError(
        f"The page's plots need matplotlib, which cannot be imported: {error}.",
        "Install it: pip install 'edgeloop[report]'.",
    ) from error

WIDTH_PT, HEIGHT_PT = 400.0, 230.0
NARROW_PT = 300.0
"""Size of plots in rows of three."""
INK, PAPER, FAINT = "#010203", "#fafbfc", "#a0a1a2"
COLOURS = {
    "integrated": "#111213",
    "classic": "#212223",
    "no half-life": "#313233",
    "no regime weights": "#414243",
    "no latent factors": "#515253",
    "no shared effects": "#616263",
}
"""Placeholder colours, which the page's own colours replace; see `CSS`."""
CSS = {
    INK: "var(--ink)",
    PAPER: "var(--paper)",
    FAINT: "var(--faint)",
    **{colour: f"var(--c{i})" for i, colour in enumerate(COLOURS.values(), 1)},
}
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 11.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "legend.fontsize": 10.5,
    "axes.unicode_minus": True,
}

Draw = Callable[[Any], None]


def svg(
    name: str, label: str, draw: Draw, height_pt: float = HEIGHT_PT, width_pt: float = WIDTH_PT
) -> str:
    """The drawing that `draw` makes on the axes passed to it, as an element of a page; `name` makes
    its ids unique, `label` describes it."""
    style: Any = {**STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width_pt / 72, height_pt / 72), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _inline(buffer.getvalue(), name, label)


def _inline(text: str, name: str, label: str) -> str:
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    found = re.search(r'viewBox="([^"]+)"', body)
    box = found[1] if found else f"0 0 {WIDTH_PT} {HEIGHT_PT}"
    body = body[body.index(">") + 1 :]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'href="#{name}-\2"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    for mark, variable in CSS.items():
        body = body.replace(mark, variable)
    return f'<svg class="plot" viewBox="{box}" role="img" aria-label="{escape(label)}">{body}'


def _days(texts: Sequence[str]) -> list[date]:
    return [date.fromisoformat(text) for text in texts]


def value_over_time(found: Audit) -> str:
    """The value of sizing so far, setting by setting."""

    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=FAINT, linewidth=1.0)
        for curve in sorted(found.curves, key=lambda c: c.name in ("integrated", "classic")):
            main = curve.name in ("integrated", "classic")
            days = _days(curve.cuts)
            axes.plot(
                days,
                curve.total,
                color=COLOURS[curve.name],
                linewidth=2.0 if main else 0.9,
                label=curve.name,
            )
            if main:
                axes.fill_between(
                    days, curve.low, curve.high, color=COLOURS[curve.name], alpha=0.14, linewidth=0
                )
        axes.set_ylabel("value so far")
        _few_dates(axes)
        axes.legend(loc="upper left", fontsize=9.0)

    last = {c.name: c.total[-1] for c in found.curves}
    label = "Value of sizing so far: " + ", ".join(
        f"{name} {total:+.1f}" for name, total in last.items()
    )
    return svg("value", label, draw, width_pt=NARROW_PT)


def _few_dates(axes: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=3, maxticks=5)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def forest(
    name: str,
    label: str,
    rows: Sequence[tuple[str, Estimate, str]],
    xlabel: str,
    zero: float = 0.0,
    width_pt: float = WIDTH_PT,
) -> str:
    """Figures with their intervals, one below the other: (name, figure, colour)."""

    def draw(axes: Any) -> None:
        axes.axvline(zero, color=FAINT, linewidth=1.2)
        finite = [v for _, e, _ in rows for v in (e.value, e.low, e.high) if np.isfinite(v)] + [
            zero
        ]
        span = (max(finite) - min(finite)) or 1.0
        for place, (_, e, colour) in enumerate(rows):
            low, high = (
                v if np.isfinite(v) else bound
                for v, bound in ((e.low, min(finite) - span), (e.high, max(finite) + span))
            )
            axes.plot(
                [low, high],
                [place, place],
                color=colour,
                linewidth=2.2,
                solid_capstyle="round",
                alpha=0.75,
            )
            axes.plot([e.value], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [text for text, _, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(min(finite) - 0.06 * span, max(finite) + 0.06 * span)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(xlabel)

    return svg(name, label, draw, 62.0 + 25.0 * len(rows), width_pt)


def settings_forest(settings: Sequence[Setting], peers: Sequence[Peer] = ()) -> str:
    """The value of sizing by each setting and by simple tools."""
    rows = [
        *((s.name, s.score.value, COLOURS[s.name]) for s in settings),
        *((p.name, p.score.value, INK) for p in peers),
    ]
    label = "Value per decision: " + ", ".join(
        f"{name} {value.value:+.4f}" for name, value, _ in rows
    )
    return forest("settings", label, rows, "value per decision, 90 % interval", width_pt=NARROW_PT)


def calibration(found: Audit) -> str:
    """Outcomes of decisions against the predictions."""

    def draw(axes: Any) -> None:
        predicted = [b.told for bins in found.calibration.values() for b in bins] or [0.0]
        low, high = min(predicted), max(predicted)
        middle = next(
            (s.intercept.value for s in found.settings if s.name == "integrated" and s.intercept),
            0.0,
        )
        axes.axline(
            (0.0, middle),
            slope=1.0,
            color=FAINT,
            linewidth=1.2,
            linestyle=(0, (4, 3)),
            label="as predicted",
        )
        for name, bins in found.calibration.items():
            x, y, se = ([getattr(b, key) for b in bins] for key in ("told", "made", "se"))
            axes.errorbar(
                x,
                y,
                yerr=[1.645 * v for v in se],
                fmt="o",
                color=COLOURS[name],
                markersize=5,
                linewidth=1.2,
                label=name,
            )
        pad = 0.08 * ((high - low) or 1.0)
        axes.set_xlim(low - pad, high + pad)
        axes.set_xlabel("predicted: multiplier − 1")
        axes.set_ylabel("realised, above the baseline")
        axes.legend(loc="best")

    slopes = ", ".join(
        f"{s.name} {s.slope.value:.2f}"
        for s in found.settings
        if s.slope and s.name in found.calibration
    )
    return svg(
        "calibration",
        f"Realised against predicted outcome of decisions; slopes: {slopes or 'none'}",
        draw,
        width_pt=NARROW_PT,
    )


def placebo(setting: Setting) -> str:
    """The number of overrides by chance, compared with the real number."""
    p = setting.placebo
    if p is None:
        raise ValueError(f"There are no shuffled logs for {setting.name}.")

    def draw(axes: Any) -> None:
        top = max(*p.counts, p.real, 1)
        edges = np.arange(-0.5, top + 1.5) if top <= 30 else np.linspace(0, top * 1.05, 31)
        axes.hist(
            p.counts, bins=edges, color=COLOURS[setting.name], alpha=0.7, label="shuffled logs"
        )
        axes.axvline(p.real, color=INK, linewidth=2.0, label=f"real: {p.real:,}")
        axes.set_xlabel(f"overrides by {setting.name}")
        axes.set_ylabel("shuffled logs")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.legend(loc="best")

    return svg(
        f"placebo-{setting.name}",
        f"{setting.name}: {p.real} overrides, {p.mean:.1f} on average in {len(p.counts)} shuffled"
        " logs",
        draw,
        190.0,
    )


def regimes(found: Audit) -> str:
    """Gains by regime."""
    rows = [(g.regime, g.gain, COLOURS["integrated"]) for g in found.regimes.gains] + [
        ("all", found.regimes.overall, INK)
    ]
    label = "Gain by regime: " + ", ".join(f"{name} {e.value:.2f}" for name, e, _ in rows)
    return forest("regimes", label, rows, "realised part of the prediction (1: all of it)", 1.0)


def forms(found: Audit) -> str:
    """How well the three forms of decay predicted."""
    d = found.decay
    rows = [
        ("exponential − linear", d.exponential_over_linear, COLOURS["integrated"]),
        ("exponential − constant", d.exponential_over_constant, COLOURS["classic"]),
        ("linear − constant", d.linear_over_constant, COLOURS["no half-life"]),
    ]
    label = "Log predictive density: " + ", ".join(f"{name} {e.value:+.4f}" for name, e, _ in rows)
    return forest("forms", label, rows, "nats per trade, 90 % interval")


def effect(name: str, label: str, curve: EffectCurve) -> str:
    """One edge over time, with the three forms."""

    def draw(axes: Any) -> None:
        axes.axhline(0.0, color=FAINT, linewidth=1.0)
        at = [-d for d in curve.at_days]
        axes.errorbar(
            [-d for d in curve.days],
            curve.uplift,
            yerr=curve.se,
            fmt="o",
            color=INK,
            markersize=4,
            linewidth=1.0,
            label="trades, ± 1 se",
        )
        for form, colour in (
            ("constant", FAINT),
            ("linear", COLOURS["classic"]),
            ("exponential", COLOURS["integrated"]),
        ):
            axes.plot(at, getattr(curve, form), color=colour, linewidth=1.8, label=form)
        axes.set_xlabel("days before the newest trade")
        axes.set_ylabel("uplift")
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
        axes.legend(loc="best", ncols=2, fontsize=8.5)

    return svg(name, label, draw, 200.0)
