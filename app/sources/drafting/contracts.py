"""What has to be asked of contracts: how much money a point of an option, a future or a lot is.

May touch: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from app.sources.column_names import known_as
from app.sources.drafting.decided import Decided
from app.sources.pairs import POINT_VALUES, future_of, is_option


def ask_contract_values(decided: Decided, symbols: object) -> None:
    """A question for each kind of contract among the symbols whose value nothing tells."""
    names = [str(symbol) for symbol in symbols]  # type: ignore[attr-defined]
    options = [name for name in names if is_option(name)]
    roots: dict[str, list[str]] = {}
    spec = decided.fields.get("symbol")
    coins = spec is not None and known_as(spec.column) in ("coin", "currency", "asset")
    bare = not coins and all(name.strip().upper() in POINT_VALUES for name in names)
    for name in names:
        root = future_of(name) or (name.strip().upper() if bare else None)
        if root is not None and name not in options:
            roots.setdefault(root, []).append(name)
    for pattern in _option_patterns(options, names):
        decided.ask(
            pattern,
            "How many units an option contract covers (most cover 100 shares): the file does not"
            " say.",
            "units per contract; 100 for most options on shares, 1 if quantities are in a coin",
            section="multipliers",
        )
        decided.asked[:] = list(dict.fromkeys(decided.asked))
    for root, own in roots.items():
        usual = POINT_VALUES.get(root)
        hint = (
            f"money per point; {usual:g} is usual for {root}"
            if usual
            else "money per point of the contract"
        )
        patterns = stems(root, own)
        matched = [name for name in names if any(fnmatchcase(name, p) for p in patterns)]
        for text in patterns if sorted(matched) == sorted(own) else map(escaped, own):
            decided.ask(
                text,
                f"What a point of the future {root} is worth per contract: the file does not say.",
                hint,
                section="multipliers",
            )
    decided.asked[:] = list(dict.fromkeys(decided.asked))


def stems(root: str, symbols: Iterable[str]) -> list[str]:
    """Patterns of the futures with this root among the symbols: `ES*`, `@ES*`."""
    own = [symbol for symbol in symbols if future_of(symbol) == root]
    starts = {symbol[: max(symbol.upper().find(root), 0)] for symbol in own} or {""}
    return [f"{escaped(start)}{root}*" for start in sorted(starts)]


def _option_patterns(options: list[str], names: list[str]) -> list[str]:
    """Patterns that match all the options and no other symbol."""
    usual = (
        "*[0-9][0-9][0-9][0-9][0-9][0-9][CP][0-9]*",
        "* [CP]",
        "* Call *",
        "* Put *",
        "* C *",
        "* P *",
        "*[0-9] C*",
        "*[0-9] P*",
        "* CALL*",
        "* PUT*",
    )
    found: list[str] = []
    rest = list(options)
    for pattern in usual:
        own = [name for name in rest if fnmatchcase(name, pattern)]
        if own and not any(fnmatchcase(name, pattern) for name in names if name not in options):
            found.append(pattern)
            rest = [name for name in rest if name not in own]
    return [*found, *(escaped(name) for name in rest[:30])]


def escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "[*?" else c for c in name)
