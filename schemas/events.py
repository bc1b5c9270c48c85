"""`position_closed`, version 1: what a trading system sends when a position is closed.

May touch: nothing of ours.  The JSON Schema is generated from these structs, and input validation
(`app.closes`) decodes with them.

Times are RFC 3339 texts with `T`, seconds and `Z` or `±hh:mm`.  Numbers are finite IEEE doubles.
Unknown fields are ignored; fields with a default may be null.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Generic, Literal, TypeVar

from msgspec import Meta, Struct, defstruct

from edgeloop.canonical import MAX_CODE_POINTS
from edgeloop.scope import DEFAULT_DIMENSIONS

DEFAULT_MODULE = "pm"
MAX_REVISION = 2**53 - 1
MAX_EVENT_BYTES = 1024 * 1024
MAX_NESTING = 64

ScopeValue = str | int | float | bool | None
"""The types that a dimension's value may have."""

ScopeT = TypeVar("ScopeT")

Identifier = Annotated[str, Meta(min_length=1, max_length=MAX_CODE_POINTS)]
Label = Annotated[str, Meta(max_length=MAX_CODE_POINTS)]
Time = Annotated[
    str,
    Meta(
        description=(
            "RFC 3339 with T, seconds and Z or an offset; digits beyond microseconds are cut."
        ),
        extra_json_schema={
            "format": "date-time",
            "pattern": (
                r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
                r"(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"
            ),
        },
    ),
]
Module = Annotated[str, Meta(extra_json_schema={"pattern": "^[A-Za-z0-9_-]{1,200}$"})]
PatternKey = Annotated[
    str,
    Meta(
        description=(
            "Dotted, e.g. pm.uptrend.S1.entry; a missing module is prepended. Canonical: at most"
            " 200 code points."
        )
    ),
]


@lru_cache(maxsize=16)
def scope_type(dimensions: tuple[str, ...] = DEFAULT_DIMENSIONS) -> type[Struct]:
    """The struct of a scope: one field per dimension, in their order, each None where it is absent.

    Decoding with it ignores all other keys, and its errors name the path of a wrong value.  Its
    encoded names are the dimensions'.
    """
    fields = [(f"d{i}", ScopeValue, None) for i in range(len(dimensions))]
    names = {f"d{i}": name for i, name in enumerate(dimensions)}
    documentation = {
        "__doc__": (
            "Context dimensions to discrete values.  Keys that are not configured as dimensions are"
            " ignored."
        )
    }
    return defstruct("Scope", fields, rename=names, namespace=documentation, frozen=True, gc=False)


class RegimeContext(Struct, frozen=True):
    """Regime states at the close.  Never used as scope: it is after the decision."""


class TradeSummary(Struct, frozen=True, kw_only=True):
    """How the trade ended.  Of `rr`, `roi` and `pnl_usd` the configured outcome (EDGELOOP_OUTCOME)
    is required."""

    exit_timestamp: Time
    rr: Annotated[float | None, Meta(description="Return divided by maximal drawdown.")] = None
    roi: Annotated[
        float | None, Meta(description="Return on investment as a fraction: 0.27 is +27 %.")
    ] = None
    pnl_usd: Annotated[float | None, Meta(description="Profit in US dollars.")] = None
    entry_timestamp: Time | None = None
    entry_price: float | None = None
    exit_price: float | None = None
    hold_time_days: Annotated[float | None, Meta(description="Days from first buy to close.")] = (
        None
    )
    time_to_payback_days: Annotated[
        float | None, Meta(description="Days until the trade had earned back its stake.")
    ] = None
    max_drawdown: Annotated[float | None, Meta(description="A fraction.")] = None
    max_gain: Annotated[float | None, Meta(description="A fraction.")] = None
    fees_usd: Annotated[float | None, Meta(description="US dollars.")] = None


class Sizing(Struct, frozen=True, kw_only=True):
    """How a multiplier was drawn by a reader that explores (EDGELOOP_EXPLORE): the learned
    multiplier, the one used, and its probability."""

    multiplier: Annotated[
        float, Meta(gt=0, description="Multiplier by which the action was sized.")
    ]
    learned: Annotated[float, Meta(gt=0, description="Multiplier according to the overrides.")]
    propensity: Annotated[
        float, Meta(gt=0, le=1, description="Probability with which `multiplier` was drawn.")
    ]
    explore: Annotated[float, Meta(gt=0, le=1, description="Share of decisions that explore.")]
    decision_id: Annotated[
        Identifier | None, Meta(description="Determines the draw, together with the pattern.")
    ] = None


class Action(Struct, Generic[ScopeT], frozen=True, kw_only=True):
    """One decision of the position manager inside the trade."""

    ts: Time
    pattern_key: PatternKey
    action_category: Literal["entry", "add", "trim", "exit"]
    action_id: Annotated[
        Identifier | None,
        Meta(
            description=(
                "Unique in the trade; else trade_id/index, where index is the place in actions,"
                " from 0."
            )
        ),
    ] = None
    scope: Annotated[ScopeT | None, Meta(description="Scope at the time of the action.")] = None
    size_frac: Annotated[
        float | None, Meta(description="Size of the action as a fraction of the full position.")
    ] = None
    applied_overrides: Annotated[
        tuple[Identifier | Sizing, ...] | None,
        Meta(
            description=(
                "Ids of the overrides that sized it; where the reader explores, at most one object"
                " that says how the multiplier was drawn."
            )
        ),
    ] = None


class PositionClosed(Struct, Generic[ScopeT], frozen=True, kw_only=True):
    """A closed position: its actions, the context of each, and how it ended."""

    event_id: Annotated[Identifier, Meta(description="A redelivery repeats it.")]
    schema_version: Literal[1]
    trade_id: Annotated[Identifier, Meta(description="With the module it identifies the trade.")]
    trade_summary: TradeSummary
    actions: Annotated[tuple[Action[ScopeT], ...], Meta(min_length=1)]
    revision: (
        Annotated[
            int,
            Meta(
                ge=0, le=MAX_REVISION, description="Corrections of a close increase it; null is 0."
            ),
        ]
        | None
    ) = 0
    module: Module | None = DEFAULT_MODULE
    position_id: Identifier | None = None
    symbol: Label | None = None
    chain: Label | None = None
    timeframe: Label | None = None
    bucket: Label | None = None
    entry_context: Annotated[
        ScopeT | None,
        Meta(
            description=(
                "Scope at entry; used where an action's scope lacks a dimension, except regime"
                " dimensions."
            )
        ),
    ] = None
    regime_context: RegimeContext | None = None
