"""Which columns say what was traded: a symbol, a pair, a description, or an underlying with the
parts of an option.

May touch: nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from app.sources.cells import as_text
from app.sources.column_names import NAMES
from app.sources.currencies import FIAT
from app.sources.drafting.contents import Contents, alike
from app.sources.drafting.side_columns import lists_disposals
from app.sources.drafting.spec import Names, Spec
from app.sources.pairs import future_of, is_coin, is_occ, is_option, pair_of
from app.sources.sides import Side, opens_or_closes, read_side
from app.sources.symbol_texts import named, option_contract

CURRENCIES = FIAT | {"GBX", "GBp"}
_EXCHANGES = frozenset(
    [
        "NASDAQ",
        "NYSE",
        "ARCA",
        "AMEX",
        "BATS",
        "ASX",
        "LSE",
        "TSX",
        "XETRA",
        "FRA",
        "NSE",
        "BSE",
        "HKEX",
        "SGX",
        "JPX",
        "TSE",
        "MCX",
        "NFO",
        "FX",
        "OTC",
    ]
)
"""Where something is traded, which is not what is traded."""
_CLASSES = frozenset(
    (
        "OPTIDX", "OPTSTK", "FUTIDX", "FUTSTK", "FUTCOM", "OPTFUT", "OPTCUR", "FUTCUR", "STK",
        "OPT", "FUT", "FOP", "EQUITY", "EQUITIES", "STOCK", "STOCKS", "OPTION", "OPTIONS", "FUTURE",
        "FUTURES", "FOREX", "CRYPTO", "CFD", "CFDS", "ETF", "ETFS", "BOND", "BONDS", "INDEX", "MIS",
        "SECURITY", "SECURITIES", "SHARE",
        "SHARES", "FUND", "FUNDS", "CRYPTOCURRENCY", "DERIVATIVE", "WARRANT", "NRML", "CNC",
        "INTRADAY", "DELIVERY", "MARGIN", "SPOT", "FILL", "FILLED", "TRADE", "EXECUTION",
    )
)  # fmt: skip
"""What kind of thing is traded, or how it is held, which is not what is traded."""
_OPTION_PARTS = (
    re.compile(
        r"^(expir|maturity|last_trade_date|verfall|fälligkeit|échéance|vencim|scadenza|slutdag|lösendag"
        r"|forfald|förfall|laufzeit_ende|eräpäivä|wygaśnięcie|vervaldatum)|(^|_)(exp(iry|iration|_date|_day)?|expiration_date)$"
    ),
    re.compile(
        r"^strike|(^|_)strike(_price)?$|^basispreis|prix_d_exercice|precio_(de_)?ejercicio|^ausübungspreis"
        r"|^lösenpris|prezzo_d?i?_?esercizio|preço_de_exercício|^uitoefenprijs|^innløsningskurs"
    ),
    re.compile(
        r"(^|_)(call_put|put_call|right|c_p|p_c|option_type|callput|putcall|cp)$|^optionst?yp$|^optionsart"
        r"|^type_d_option|^tipo_(de_|di_)?op(ción|cion|ção|zione)|^optietype|^opsjonstype"
    ),
)
_RIGHTS = frozenset(("call", "put", "calls", "puts", "c", "p", "ce", "pe"))
"""What says whether an option is a call or a put."""
_SAYS_RIGHT = re.compile(
    r"((european|american|index|stock|equity|us|vanilla|opt\w*)[ -])?(calls?|puts?|ce|pe)"
    r"([ -]options?)?"
    r"|(ver)?kaufs?option|opci[oó]n de (compra|venta)|opção de (compra|venda)|option d['’]achat"
    r"|option de vente|opzione (call|put)|(koop|call|put)optie|k[öø]bsoption|sælgsoption"
)
_CLASS = re.compile(r"(OPT|FUT)(IDX|STK|CUR|COM|FUT)?([ -]?(CE|PE|CALL|PUT))?")
"""Kinds of contracts, as exchanges in India call them, and no contracts: `OPTIDX CE`."""
_SENTENCE = re.compile(r"\d\s*@|@\s*\d|\bat \d")
"""Of a description that names quantity and price."""
_MONEY = CURRENCIES | {"USDT", "USDC", "BUSD", "FDUSD", "BTC", "ETH", "BNB"}
"""In what coins are priced, and names of columns with that."""
_OF_MONEY = re.compile("quote|margin|settle|fee|commission|collateral|fiat|payment")
_COUNTRIES = {"HK", "SZ", "SS", "SH", "TW", "TWO", "KS", "KQ", "JP", "T", "US", "SI", "SG", "KL"}
"""What follows the number of a share: `0700.HK`."""
_WORDS = frozenset(
    (
        "instrument", "symbol", "ticker", "security", "stock", "contract", "scrip", "papier",
        "wertpapier", "titel", "valeur",
        "título", "titulo", "valor", "asset", "share", "fund", "pair",
    )
)  # fmt: skip
"""Words for what is traded."""
_NO_SYMBOL = re.compile("type|class|currency|exchange|market|category|sector|status|account|side")
_CODE = re.compile(
    r"^code$|((stock|security|scrip|share|instrument)_?(code|symbol|no)|ticker|symbol)$|代[码碼號号]|コード|종목"
)
"""Of columns whose numbers are the codes of shares."""
_CODES = ("code", "stock_code", "stock_id", "security_code", "symbol", "ticker")
"""Names of columns whose numbers of several digits are such codes, even if each is there once."""
OUTCOMES = (
    ("yes", "no"), ("oui", "non"), ("sí", "no"), ("si", "no"), ("sì", "no"), ("ja", "nein"),
    ("ja", "nee"), ("ja", "nej"), ("sim", "não"), ("tak", "nie"), ("да", "нет"), ("evet", "hayır"),
)  # fmt: skip
"""What both outcomes of a prediction are called."""
_OUTCOME = re.compile(
    r"side|outcome|token|contract|position|r[ée]sultat|issue|resultado|ergebnis|esito|uitkomst|utfall"
)
_CODE_OF_END = 3
"""Letters at most of what says that a fill opens or closes."""
_SYMBOLS = (*_CODES, "company", "security", "stock", "isin", "symbol_name", "instrument")
"""Names of columns that say what was traded, where markets are others."""
_NUMBER = re.compile(r"[A-Za-z]{0,4}[-/]?\d{2,}")
_MARKETS = ("market", "markt", "marktname", "market_name")


class SymbolColumns:
    """Chooses the columns of a table whose columns are called `names`."""

    def __init__(self, contents: Contents, names: Names) -> None:
        self._contents = contents
        self._names = names

    def spec(self, candidates: Iterable[str], used: set[str]) -> Spec | None:
        """The columns of what was traded; `candidates` are those whose names say it."""
        c = self._contents
        named = list(dict.fromkeys(candidates))
        found = [
            column
            for column in named
            if column not in used
            and c.values(column)
            and (
                not c.is_numeric(column)
                or set(c.signs(column)) & _COUNTRIES
                or all(map(future_of, c.words(column)))  # `6EM4`
                or all(map(pair_of, c.words(column)))  # `1000PEPEUSDT`
            )
            and c.time(column) is None
            and not c.is_clock(column)
            and (
                self._names[column] not in ("market", "action")
                or not any(isinstance(read_side(w), Side) for w in c.words(column))
            )
            and not all(
                w.strip().upper() in _EXCHANGES | _CLASSES | CURRENCIES
                or _CLASS.fullmatch(w.strip().upper())
                for w in c.words(column)
            )
            and not self._is_money(column)
            and not self._says_what_was_done(column)
            and not (self._names[column] == "code" and self._are_disposals())
        ]
        found = [column for column in found if len(c.values(column)) * 2 >= c.n_rows] or found[:1]
        # `O` and `C` may be symbols, and what fills open and close.
        found.sort(
            key=lambda own: all(
                len(word) <= _CODE_OF_END and opens_or_closes(word) is not None
                for word in c.words(own)
            )
        )
        if len(found) > 1 and (
            self._is_quote(found[0], found[1]) or self._is_coarser(found[0], found[1:])
        ):
            found = found[1:]
        if len(found) > 1 and self._is_of_user(found[0], found[1]):
            found = found[1:]
        found = self._without_numbers(self._before_markets(found, used))
        if not found and "quote_currency" in self._names.values():
            # What is bought is a coin, beside the currency in which it is priced.
            found = [c for c, own in self._names.items() if own == "currency"][:1]
        if not found:
            found = self._pairs(used) or self._descriptions(used)
        if not found:
            found = (
                self._unit_column(used)
                or self._named(used)
                or [
                    column
                    for column, own in self._names.items()
                    if column not in used
                    and (_CODE.search(own) or self._may_be_code(column))
                    and self._is_code(column)
                ][:1]
            )
        if not found:
            return None
        symbol = found[0]
        if any(option_contract(word) or is_occ(word) for word in c.words(symbol)):
            return Spec([symbol])
        if (outcome := self._outcome(symbol)) is not None:
            return Spec([symbol, outcome], comment="yes and no are instruments of their own")
        parts = [self._part(pattern, symbol) for pattern in _OPTION_PARTS]
        if parts[1] and {word.strip().lower() for word in c.words(symbol)} <= _RIGHTS:
            return Spec(
                [part for part in (parts[0], parts[1], symbol) if part],
                comment="the options of one underlying, which the file does not name",
            )
        parts[2] = parts[2] or self._right(symbol)
        if parts[1] and (parts[0] or parts[2]) and self._is_underlying(symbol, parts[1]):
            return Spec(
                [symbol, *(part for part in parts if part)],
                comment="an option is an instrument of its own",
            )
        if parts[0] and not parts[2] and self._has_several(symbol, parts[0]):
            return Spec([symbol, parts[0]], comment="each expiry is an instrument of its own")
        if parts[2] and self._is_underlying(symbol):
            return self._by_right(symbol, [part for part in parts if part])
        for column in alike(c.columns, r"^description|^name$|^security|^option_?symbol|^occ"):
            if column != symbol and any(option_contract(word) for word in c.words(column)):
                return Spec(
                    [symbol],
                    {"option": column},
                    "an option named in the other column is an instrument of its own",
                )
        return Spec([symbol])

    def _is_of_user(self, column: str, other: str) -> bool:
        """Whether a `name` is the same in all rows, as that of the user is, and what stands in the
        other column differs."""
        words = self._contents.words
        return self._names[column] == "name" and len(words(column)) == 1 < len(words(other))

    def _before_markets(self, found: list[str], used: set[str]) -> list[str]:
        """The columns, that of markets behind those of symbols and of codes that have as many
        values: `Tadawul` beside `2222`."""
        if not found or self._names[found[0]] not in _MARKETS:
            return found
        words = self._contents.words
        codes = [
            column
            for column, own in self._names.items()
            if column not in used and own in _CODES and self._is_code(column)
        ]
        better = [
            column
            for column in (*codes, *found[1:])
            if self._names[column] in _SYMBOLS and len(words(column)) >= len(words(found[0]))
        ]
        return better + [column for column in found if column not in better]

    def _without_numbers(self, found: list[str]) -> list[str]:
        """The columns without a first one that numbers the rows (the contract `N01`), where what
        is in the second one recurs."""
        words = self._contents.words
        if (
            len(found) > 1
            and max(words(found[0]).values()) == 1 < max(words(found[1]).values())
            and all(
                _NUMBER.fullmatch(word.strip())
                and not (future_of(word) or is_option(word) or pair_of(word))
                for word in words(found[0])
            )
        ):
            return found[1:]
        return found

    def _has_several(self, symbol: str, expiry: str) -> bool:
        """Whether one symbol has several expiries, in several rows each."""
        reading = self._contents.time(expiry)
        if reading is not None and reading.has_clock:
            return False
        cells = (self._contents.cells(column) for column in (symbol, expiry))
        pairs = {pair for pair in zip(*cells, strict=True) if None not in pair}
        n_symbols = len({name for name, _ in pairs})
        return n_symbols < len(pairs) <= self._contents.n_rows / 2

    def _by_right(self, symbol: str, parts: list[str]) -> Spec:
        """Options without a column of strikes: by the column that names each of them, else by the
        parts that there are."""
        rights = self._contents.cells(parts[-1])
        for column in alike(self._contents.columns, r"descr|contract|instrument|^name$|^legs?$"):
            names = self._contents.cells(column)
            if column not in parts and all(
                name and is_option(as_text(name))
                for name, right in zip(names, rights, strict=True)
                if as_text(right or "").strip().lower() in ("call", "put", "c", "p")
            ):
                return Spec([column], comment="each option is an instrument of its own")
        return Spec([symbol, *parts], comment="an option is an instrument of its own")

    def _pairs(self, used: set[str]) -> list[str]:
        """The column of nothing but pairs or coins, whatever it is called: of several, the one
        with fewer of them, as ids may look like pairs."""
        found = [
            column
            for column, own in self._names.items()
            if column not in used
            and self._contents.values(column)
            and not self._contents.is_numeric(column)
            and not re.search("fee|commission|tax|taxa|balance", own)
            and not self._is_money(column)
            and (
                all(pair_of(word) for word in self._contents.words(column))
                or all(is_coin(word) for word in self._contents.words(column))
            )
        ]
        return sorted(found, key=lambda column: len(self._contents.words(column)))[:1]

    def _descriptions(self, used: set[str]) -> list[str]:
        """A column with the names of securities, if nothing shorter says what was traded: some
        recur, but in lists of disposals, and none says what was done."""
        for column in alike(
            self._contents.columns,
            r"^(description|details?|text|libellé|libelle|omschrijving|beschreibung|descripción"
            r"|descrição|descrizione|opis|popis|beskrivning|beskrivelse|kuvaus|açıklama|описание)$",
        ):
            words = Counter(named(as_text(v)) or "" for v in self._contents.values(column))
            if (
                column not in used
                and words
                and (max(words.values()) > 1 or self._are_disposals())
                and not self._contents.is_numeric(column)
                and not any(_SENTENCE.search(word) for word in words)
                and not any(isinstance(read_side(word), Side) for word in words)
            ):
                return [column]
        return []

    def _unit_column(self, used: set[str]) -> list[str]:
        """The column with the coin or asset of the quantities: `Amount currency` of `Amount`."""
        quantities = {
            own for own in self._names.values() if own in NAMES["quantity"] and own != "currency"
        }
        return [
            column
            for column, own in self._names.items()
            if column not in used
            and own.rpartition("_")[0] in quantities
            and own.rpartition("_")[2] in ("currency", "coin", "asset", "ccy", "unit")
            and not all(word.strip() in CURRENCIES for word in self._contents.words(column))
            and self._contents.values(column)
            and not self._contents.is_numeric(column)
        ]

    def _may_be_code(self, column: str) -> bool:
        """Whether a name says what was traded, and is foreign or has numbers that begin with 0."""
        own, words = self._names[column], self._contents.words(column)
        zeros = all(re.fullmatch(r"0\d{3,5}", word.strip()) for word in words)
        return own in NAMES["symbol"] and (zeros or not own.isascii())

    def _is_code(self, column: str) -> bool:
        """Whether whole numbers stand there that recur, as the codes of shares in Asia do."""
        words = self._contents.words(column)
        if not words:
            return False
        foreign = not self._names[column].isascii() or self._may_be_code(column)
        if (self._names[column] in _CODES or foreign) and all(
            re.fullmatch(r"\d{4,6}", word.strip()) for word in words
        ):
            return True
        return (
            max(words.values(), default=0) > 1
            and self._contents.time(column) is None
            and all(re.fullmatch(r"\d{1,6}", word.strip()) for word in words)
        )

    def _named(self, used: set[str]) -> list[str]:
        """A column of texts with a word for instruments in its name, among others; one of codes
        first."""
        names = sorted(self._names.items(), key=lambda one: not re.search("code|symbol", one[1]))
        return [
            column
            for column, own in names
            if column not in used
            and _WORDS & set(own.split("_"))
            and not self._is_money(column)
            and not _NO_SYMBOL.search(own)
            and self._contents.values(column)
            and not self._contents.is_numeric(column)
            and self._contents.time(column) is None
            and not all(
                isinstance(read_side(word), Side) or word.strip().upper() in _CLASSES | CURRENCIES
                for word in self._contents.words(column)
            )
        ][:1]

    def _are_disposals(self) -> bool:
        """Whether costs and proceeds are listed, as in tax forms: a code there is that of an
        adjustment, and what was sold is described."""
        return lists_disposals(self._names.values())

    def _is_money(self, column: str) -> bool:
        """Whether the column has what prices, margins or fees are in, and not what was traded."""
        return bool(_OF_MONEY.search(self._names[column])) and all(
            word.strip().upper() in _MONEY for word in self._contents.words(column)
        )

    def _says_what_was_done(self, column: str) -> bool:
        """Whether there are texts of purchases and of sales, as `BUY Nike` and `SELL Nike`, or
        nothing but words for opening and closing: one instrument would be two."""
        ends = {opens_or_closes(word) for word in self._contents.words(column)}
        if ends == {True, False} and (
            self._names[column] == "action"
            or all(len(word) > _CODE_OF_END for word in self._contents.words(column))
        ):
            return True
        texts = [w.split() for w in self._contents.words(column)]
        said = [read_side(words[0]) for words in texts if len(words) > 1]
        return {side.fill for side in said if isinstance(side, Side)} == {1, -1}

    def _is_quote(self, column: str, other: str) -> bool:
        """Whether the column has nothing but the money that what is in the other one is priced in:
        the market `KRW` of the coin `BTC`."""
        c = self._contents
        return self._names[column] in _MARKETS and all(
            word.strip().upper() in _MONEY and other_word.strip().upper() not in CURRENCIES
            for word in c.words(column)
            for other_word in c.words(other)
        )

    def _is_coarser(self, column: str, others: list[str]) -> bool:
        """Whether the column has markets, in each of which several of what is in another one were
        traded: the market `REG` of several shares."""
        cells = self._contents.cells
        for other in others if self._names[column] in _MARKETS else ():
            pairs = {pair for pair in zip(cells(column), cells(other), strict=True) if all(pair)}
            if len({own for own, _ in pairs}) < len({name for _, name in pairs}) == len(pairs):
                return True
        return False

    def _outcome(self, symbol: str) -> str | None:
        """A column with the two outcomes that are traded in a market of predictions."""
        return next(
            (
                column
                for column, own in self._names.items()
                if column != symbol
                and _OUTCOME.search(own)
                and (words := {word.strip().lower() for word in self._contents.words(column)})
                and any(words <= {*pair} for pair in OUTCOMES)
            ),
            None,
        )

    def _is_underlying(self, symbol: str, strike: str | None = None) -> bool:
        """Whether the symbols are short ones, that do not name the contract themselves; of rows
        with a strike, if there are others, as those of futures."""
        cells = self._contents.cells
        words = [as_text(value) for value in cells(symbol) if value is not None]
        if strike is not None:
            both = zip(cells(symbol), cells(strike), self._contents.numbers(strike), strict=True)
            named = [(as_text(v), n) for v, own, n in both if v is not None and own is not None]
            if named and not any(n and f"{n:.10g}" in v.replace(",", "") for v, n in named):
                return True
            words = [v for v, _ in named] or words
        return all(len(word) <= 6 or re.fullmatch("[A-Z&-]{1,12}", word) for word in words)

    def _part(self, pattern: re.Pattern[str], symbol: str) -> str | None:
        return next(
            (
                column
                for column, name in self._names.items()
                if pattern.search(name) and column != symbol and self._contents.values(column)
            ),
            None,
        )

    def _right(self, symbol: str) -> str | None:
        """A column that says call or put, whatever it is called."""
        for column in self._contents.columns:
            words = {word.strip().lower() for word in self._contents.words(column)}
            rights = {word for word in words if _SAYS_RIGHT.fullmatch(word)}
            others = {"fut", "stock", "equity", "etf", "future", "none", "-"}
            if column != symbol and (
                words == {"c", "p"} or (rights and words <= rights | _RIGHTS | others)
            ):
                return column
        return None

    def market(self, symbol: str, used: set[str]) -> Spec | None:
        """The column with the market, where that is the money which coins are priced in."""
        for column, own in self._names.items():
            if (
                own in _MARKETS
                and column not in used
                and column != symbol
                and self._contents.values(column)
                and self._is_quote(column, symbol)
            ):
                return Spec([column], comment="the market that the coin is traded in")
        return None
