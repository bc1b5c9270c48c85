"""What has to be asked of contracts: how much money a point of an option, a future or a lot is.

May touch: nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from fnmatch import fnmatchcase

from app.sources.cells import Cells, as_text
from app.sources.column_names import NAMES, known_as
from app.sources.drafting import simulate
from app.sources.drafting.decided import Decided
from app.sources.drafting.dollars import UNSAID
from app.sources.drafting.fill_rows import symbol_of
from app.sources.pairs import (
    POINT_VALUES,
    future_of,
    is_crypto,
    is_option,
    may_be_inverse,
    pair_of,
    settled_in,
)

_CONTRACTS = re.compile(
    r"fut(ures?)?|opt(n|ions?)?|fop"
    r"|(equity|index|stock|equity and index|futures?) (options?|futures?)|cfds?",
    re.IGNORECASE,
)


_STRIKE = re.compile(r" [\d.]+( |$)")
_RIGHT = re.compile(r"call|put|right|option|c_p|cp")
"""Of symbols that are composed with the strike of an option."""
_COUNTED_IN_LOTS = re.compile(
    r"(GOLD|SILVER|CRUDE|NAT(URAL)?GAS|COPPER|ZINC|LEAD|ALUMIN|NICKEL|MENTHA|COTTON|[A-Z]{3}INR)[A-Z]*"
    r"\d{2}[A-Z]{3}(FUT|[\d.]+[CP]E)"
)
"""Futures and options on commodities and currencies, as exchanges in India call them."""
_FEWEST_UNITS = 10
"""What quantities of them are at least, if they are not lots."""
_LOTS = re.compile(r"(?<![a-z])lots?(_|$)|約定lot数|ロット|手[数數]|[張张]數|张数")
_MOST_LOTS = 500
"""What quantities of currencies are below, in the median, if they are lots."""
_PIECES = re.compile(r"(st(k|ü?ck)?|pcs|pieces|shares|units|szt|ks|kpl|aandelen)\.?", re.IGNORECASE)
"""What a column of units says where shares are counted."""
_NOMINAL = re.compile(r"nominal|nennwert|face_value")
"""Of quantities that are counted in lots, and in the nominal value of bonds."""


def symbols_of(decided: Decided) -> list[str]:
    """What was traded, also where several columns say it."""
    spec = decided.fields["symbol"]
    contents = decided.kept.contents
    mapping = None
    if len(spec.columns) > 1 or "option" in spec.keys:
        mapping = simulate.mapping_of(decided)
    if mapping is None:
        return list(contents.words(spec.column))
    cells = Cells(mapping)
    return sorted({str(cells.symbol(row.cells)) for row in contents.rows})


def ask_contract_values(decided: Decided, symbols: object) -> None:
    """A question for each kind of contract among the symbols whose value nothing tells."""
    names = [str(symbol) for symbol in symbols]  # type: ignore[attr-defined]
    roots: dict[str, list[str]] = {}
    spec = decided.fields.get("symbol")
    parts = "|".join(known_as(column) for column in spec.columns) if spec else ""
    of_positions = decided.rows == "positions"
    strikes = of_positions and "strike" in parts and not _RIGHT.search(parts)
    options = [name for name in names if is_option(name) or (strikes and _STRIKE.search(name))]
    coins = spec is not None and known_as(spec.column) in ("coin", "currency", "asset")
    size = decided.fields.get("quantity")
    whole = size is None or all(
        n.is_integer() for c in size.columns for n in decided.kept.contents.read_numbers(c)
    )
    bare = not coins and whole and all(name.strip().upper() in POINT_VALUES for name in names)
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
    sizes = [] if size is None else decided.kept.contents.read_numbers(size.column)
    few = bool(sizes) and min(map(abs, sizes)) < _FEWEST_UNITS
    for name in names:
        if few and _COUNTED_IN_LOTS.fullmatch(name.strip()):
            _ask_point_value(decided, name, "in India it is counted in lots")
    decided.asked[:] = list(dict.fromkeys(decided.asked))


def ask_by_code(decided: Decided, names: list[str]) -> None:
    """Contracts that are told by another column of their codes alone: `IF2403` beside a name."""
    contents, spec = decided.kept.contents, decided.fields["symbol"]
    if len(spec.columns) > 1 or "option" in spec.keys:
        return
    called = [as_text(cell or "") for cell in contents.cells(spec.column)]
    for column in contents.columns:
        if column in decided.used() or known_as(column) not in NAMES["symbol"]:
            continue
        codes = [as_text(cell or "") for cell in contents.cells(column)]
        kinds = {
            name: "a future" if future_of(code) else "an option" if is_option(code) else None
            for name, code in zip(called, codes, strict=True)
        }
        for name in names:
            if kind := kinds.get(name):
                _ask_point_value(decided, name, f"{column} says that it is {kind}")


def ask_by_class(decided: Decided, names: list[str]) -> None:
    """Contracts that are told by a column of asset classes alone: their symbols look like those of
    shares."""
    contents, fields = decided.kept.contents, decided.fields
    if len(fields["symbol"].columns) > 1 or "option" in fields["symbol"].keys:
        return
    for column in contents.columns:
        words = {word for word in contents.words(column) if _CONTRACTS.fullmatch(word.strip())}
        if not words or len(contents.words(column)) > 12 or column in decided.used():
            continue
        symbols = {
            as_text(s)
            for s, v in zip(
                contents.cells(fields["symbol"].column), contents.cells(column), strict=True
            )
            if s and v and as_text(v) in words
        }
        for symbol in sorted(symbols & set(names)):
            _ask_point_value(decided, symbol, f"{column} says {', '.join(sorted(words))}")
        return


def _ask_point_value(decided: Decided, name: str, told: str) -> None:
    """Ask what a point of a contract is worth, unless it is known."""
    if not any(fnmatchcase(name, p) for p in decided.sections.get("multipliers", {})):
        decided.ask(
            escaped(name),
            f"What a point of {name} is worth per contract: {told}.",
            "money per point and contract; 100 for most options on shares",
            section="multipliers",
        )


def ask_for_lots(decided: Decided, told: set[str]) -> None:
    """Ask for the size of lots or contracts in which quantities are counted."""
    contents = decided.kept.contents
    if told or decided.sections.get("multipliers"):
        return
    counted = [
        c
        for c in contents.columns
        if {w.strip().lower() for w in contents.words(c)}
        <= {"cont", "conts", "contract", "contracts", "lot", "lots", "mw", "kw"}
        and contents.words(c)
    ]
    counted = counted or [
        c
        for c in [decided.fields["quantity"].column]
        if set(contents.signs(c)) & {"LOT", "LOTS", "CONT", "CONTS", "CONTRACTS"}
        or re.search(r"[(\[（](cont|contracts?|lots?|手|張|张|枚|口)\.?[)\]）]", c, re.IGNORECASE)
        or _LOTS.search(known_as(c))
    ]
    sizes = [abs(n) for n in contents.read_numbers(decided.fields["quantity"].column)]
    if not sizes:
        return
    in_lots = [
        abs(n)
        for i, n in enumerate(contents.numbers(decided.fields["quantity"].column))
        if n and _is_of_currencies(symbol_of(decided, i))
    ]
    lots = bool(in_lots) and statistics.median(in_lots) < _MOST_LOTS
    in_pieces = any(
        words and all(map(_PIECES.fullmatch, words))
        for words in map(contents.words, contents.columns)
    )
    if (
        _NOMINAL.search(name := known_as(decided.fields["quantity"].column))
        and not re.search("stück|stk|units|shares|pieces", name)
        and not in_pieces
    ):
        decided.ask(
            "*",
            "Whether prices are in percent of the nominal value, as those of bonds: nothing in the"
            " file shows it.",
            "0.01 if prices are in percent, 1 if not",
            section="multipliers",
        )
    elif counted or lots:
        decided.ask(
            "*",
            "How many units a lot or a contract has: quantities are counted in them, and the file"
            " does not say.",
            "units per lot; 100000 for most currencies, 1 if quantities are units",
            section="multipliers",
        )


def _is_of_currencies(name: str) -> bool:
    pair = pair_of(name)
    return pair is not None and len(pair[0]) == 3 and not is_crypto(name)


def ask_inverse(decided: Decided, symbols: list[str]) -> None:
    """Ask whether contracts that may be inverse are, unless their symbols say so, and for what they
    are worth, unless a column tells."""
    shown = ", ".join(symbols[:4])
    if not {"gross", "multiplier"} & decided.fields.keys():
        for symbol in symbols:
            decided.ask(
                symbol,
                f"How many dollars a contract of {shown} is worth.",
                "dollars per contract: 1 at some exchanges, 100 or 10 at others; 1 if a unit is a"
                " coin; coins per dollar, such as 0.000001, if it is settled in a third currency",
                section="multipliers",
            )
        decided.asked[:] = list(dict.fromkeys(decided.asked))
    if all(settled_in(symbol) for symbol in symbols):
        decided.keys["inverse"] = (symbols, "settled in their coin, by their symbols")
        decided.guessed.append(f"{shown} are inverse, settled in their coin, by their symbols.")
        return
    decided.ask(
        "inverse",
        f"Whether {shown} are inverse contracts, counted in dollars and settled in their coin.",
        "["
        + ", ".join(f'"{symbol}"' for symbol in symbols[:8])
        + "] if so, [] if a unit is a coin;"
        " [] too if they are settled in a third currency, which then is the currency",
    )


def ask_inverse_profits(decided: Decided) -> None:
    """Ask whether profits that nothing checks are in the coin of contracts that may be inverse,
    unless the table names their currency."""
    _, why = decided.keys.get("currency", ("", ""))
    if (
        not {"pnl_usd", "symbol"} <= decided.fields.keys()
        or "currency" in decided.fields
        or "inverse" in decided.keys
        or why not in UNSAID
    ):
        return
    symbols = [name for name in symbols_of(decided) if may_be_inverse(name)]
    if not symbols:
        return
    shown = ", ".join(symbols[:4])
    if all(map(settled_in, symbols)):
        decided.keys["inverse"] = (symbols, "settled in their coin, by their symbols")
        decided.guessed.append(f"{shown} are inverse, settled in their coin, by their symbols.")
        return
    decided.ask(
        "inverse",
        f"Whether profits of {shown} are in their coin, as those of inverse contracts, or in"
        " dollars: the file does not say, and nothing in it shows.",
        "["
        + ", ".join(f'"{symbol}"' for symbol in symbols[:8])
        + "] if they are in the coin, [] if in dollars",
    )


def stems(root: str, symbols: Iterable[str]) -> list[str]:
    """Patterns of the futures with this root among the symbols: `ES*`, `@ES*`."""
    own = [symbol for symbol in symbols if future_of(symbol) == root]
    starts = {symbol[: max(symbol.upper().find(root.upper()), 0)] for symbol in own} or {""}
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
