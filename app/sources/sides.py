"""Sides as exports write them: what a fill or a position's own side says, in several languages,
alone or inside a sentence.

May touch: nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from app.sources.side_words import EXACT, Event, Side

__all__ = [
    "CLOSED_SIDE",
    "Event",
    "Side",
    "is_no_trade",
    "opens_or_closes",
    "read_side",
]

_OPEN = (
    r"(open(ing)?|increased?|add|entry|enter|entered|eröffn\w*|einstieg|entrada|entr[ée]e|abrir|apertura|ouverture"
    r"|открыт\w*|вход|giriş|otwarci\w*|進場|进场|开仓|開倉|開|开|新規|진입)"
)
_CLOSE = (
    r"(clos(e|ed|ing)|decreased?|reduced?|liq(uidat\w+)?|exit|cover|schlie(ß|ss)\w*|ausstieg|salida|sortie|cerrar|cierre|chiusura"
    r"|fermeture|закрыт\w*|выход|çıkış|zamknięci\w*|出場|出场|平仓|平倉|平|決済|청산)"
)
_LONG = (
    r"(longs?|larg[oa]s?|longues?|kauf\w*|buy|achat|compra\w*"
    r"|лонг|uzun|dług[ai]|ロング|롱|多頭|多头|做多|多)"
)
_SHORT = (
    r"(shorts?|cort[oa]s?|courte?s?|verkauf\w*|sell|vente|venta"
    r"|шорт|kısa|krótk[ai]|ショート|숏|空頭|空头|做空|空)"
)
_EAST_BUY, _EAST_SELL = (
    re.compile("現物買|买入|買入|買付|買進|买进|現買|購入"),
    re.compile("現物売|卖出|賣出|売付|現賣|売却"),
)
_KOREAN = re.compile(
    r"(?!.*(취소|정정|예약))(?P<what>.*?)(?P<verb>매수|매도)\W*((?P<repaid>상환)|체결|결제)?\W*"
)
"""A purchase or a sale at the end of what was done; not what was called off."""
CLOSED_SIDE = re.compile(r"(?P<verb>매수|매도)\W*청산\W*")
"""The end of a long or a short position, or a purchase or sale that ends one: both are written
so."""
_EXPIRY = re.compile(
    r"\b(expir(ed|ation|y|es)?|exp|oexp|expire worthless)\b"
    r"|\b(verfall(en)?|wertlos\w*|fälligkeit|vencimiento|scadenza|vervallen)\b"
    r"|\b(laps(ed|e)|abandon(ed|né)?|worthless|caducidad|caducad[ao]|expira(tion|ción|ção|do)"
    r"|vencimento|virou pó|knock(ed)?[ -]?out|lejárat)\b"
)
_SPLIT = re.compile(
    r"\b(stock |forward |reverse )?split\b|^spl$|^spr$|\bsplit-?up\b|\bsubdivision\b|株式分割"
    r"|\b(aktien|reverse)?split\b|aktienteilung|\bdesdobramento\b|\bdesdoblamiento\b"
    r"|\bfrazionamento\b|\bdivision du nominal\b|红股|送股|\bsplittning\b"
    r"|kapitalma(ß|ss)nahme (aus|ein)buchung"
)
_BONUS = re.compile(r"\b(bonus|scrip|capitali[sz]ation) (issue|shares?)\b")
"""Of shares that are added to those held, as by a split."""
_PART_OF_SPLIT = re.compile(
    r"\bsplit (uttag|inl[äa]gg|ut|in|out|removal|addition|withdrawal|deposit)\b"
)
"""Of the row of a split with the units that are removed, or those that are added."""
_REVERSE = re.compile(r"\b(reverse|rev)\b.*\bsplit\b|^spr$|\bconsolidation\b|\breversesplit\b")
_ASSIGNMENT = re.compile(r"\b(assign(ed|ment)?|exercis(e|ed)|oasgn|oexcs|oca)\b")
_CLOSING = re.compile(
    r"(close|closing) (trade|position|deal)|(trade|position|deal) closed?"
    r"|t p|s l|close at stop"
    r"|stop loss|take profit|trailing stop|stop out|margin (call|close ?out)|liquidation"
)
_NO_TRADE = re.compile(
    r"\b(div(idends?|nra|s)?|coupons?|cupón|cdiv|cash div\w*|dividende\w*|interest|int|sint|zinsen"
    r"|ach|wire|deposit|withdraw(al|n)?|einzahlung|auszahlung|transfer|journal|jnl"
    r"|fees?|dfee|gold|tax|adr|moneylink|balance|credit|rebate|funding(_fee)?|referral|bonus"
    r"|reinvest(ment)?|roll(over)?|swap|money movement|cancel(l?ed)?|correction|adjustment"
    r"|mergers?|spinoff|xent|mint|cash (in|out)|slip|sweep|commission|net out|insurance_clear"
    r"|receive[ds]?(?! deliver)|send|sent|rewards?|income|learning|incentives?|unstaking"
    r"|coin_swap_\w+|payment|subscription|airdrop|staking|earn|convert|distribution|stake"
    r"|unstake|reward|utdelning|insättning|uttag|ränta|källskatt|dividendo?s?|dividendi|proventi?|cedola"
    r"|juros|rendimento|rimborso|versamento|bonifico|prelievo|dywidenda|wpłata|wypłata|storno|ausschüttung"
    r"|distribution|component|deposito|retiro|saque|dépôt|retrait|дивиденды?|пополнение|вывод|osinko"
    r"|utbytte|udbytte|dividenda|divident|osztalék|temettü|μέρισμα|proventos|korko|odsetki|úrok|kamat"
    r"|faiz|innskudd|uttak|talletus|nosto|vklad|výběr|befizetés|kifizetés|storting|lähdevero"
    r"|kildeskatt|quellensteuer|withholding|intérêts|interessi|intereses|דיבידנד)\b|배당|分红"
    r"|入金|ปันผล|ฝากเงิน|ถอนเงิน|cổ tức|dividen\b|nộp tiền|rút tiền|配当|股息|出金|红利|紅利"
    r"|입금|출금"
)
_SENTENCE = re.compile(
    r"\b(you )?(bought|sold)\b( short| to open| to close| to cover)?"
    r"|^(buy|sell)\b[ _]?(short|to open|to close|to cover)?"
)
_COVERED = re.compile(r"cover(ed|ing)? (short|sale|of short)\b|short cover(ed|ing)?\b")
"""Of texts about what ends a short position, such as `COVER SHORT APPLE INC`."""
_VERB = re.compile(
    r"(purchase|sale|achat|vente|kauf|verkauf|compra|venta|venda|acquisto|vendita|koop|verkoop|köp"
    r"|sälj|kupno|sprzedaż|alış|satış|покупка|продажа)\b"
)
"""Of texts that begin with what was done: `VENTE COMPTANT`."""
_OF_ORDER = re.compile(
    r"(?:market|limit|stop)[ _](bid|offer|ask)"
    r"|(bid|ask)[ _-](?:done|filled|fill|executed|completed?|traded?)"
)
_OF_OPENING = re.compile(
    r"\b((er)?öffnung|ouverture|apertura|abertura|opening|découvert|descoberto|scoperto|descubierto)\b"
)
_OF_CLOSING = re.compile(
    r"\b(schlie(ß|ss)ung|glattstellung|cl[ôo]ture|cierre|chiusura|fechamento)\b"
)
"""Of what stands behind a purchase or sale that opens a position, or ends one."""
_PAIR_AND_SIDE = re.compile(r"[A-Z0-9/_.:-]{5,}\s+(Long|Short|LONG|SHORT)\b")
_REINVESTED = re.compile(r"(dividend )?reinvestment\b|reinvest(ed)? shares")
_GLUE = re.compile(r"[\s_./|·-]+")


_DEAL = re.compile(r"(buy|sell)[ ,/_-]+(in|out)")
"""A deal that opens a position, or closes one."""


_PICTURES = re.compile("[\U0001f300-\U0001faff\u25a0-\u27bf\ufe0f\u200d]+ ?")
"""Pictures that stand with the words of sheets."""


@lru_cache(maxsize=16_384)
def read_side(text: str) -> Side | Event | None:
    """What the side says, None where it says nothing that is known.

    >>> read_side("YOU BOUGHT APPLE INC (Cash)"), read_side("Close Long")
    (Side(fill=1, position=1, opens=None), Side(fill=-1, position=1, opens=False))
    >>> read_side("🔴 Short")
    Side(fill=-1, position=-1, opens=None)
    >>> read_side("▲ Long"), read_side("▼ Short").fill
    (Side(fill=1, position=1, opens=None), -1)
    >>> read_side("BID_DONE"), read_side("Limit Ask")
    (Side(fill=1, position=1, opens=None), Side(fill=-1, position=-1, opens=None))
    >>> read_side("SSHRT")
    Side(fill=-1, position=-1, opens=True)
    >>> (
    ...     read_side("空頭出場"), read_side("Expired"), read_side("Cash Dividend"),
    ...     read_side("Stock Split"),
    ... )
    (Side(fill=1, position=-1, opens=False), Event(kind='expiry'), None, Event(kind='split'))
    """
    if not text.isascii():
        text = _PICTURES.sub("", text)
    word = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).strip().lower()
    if not word:
        return None
    if _COVERED.match(word):
        return EXACT["buy to cover"]
    if of_pair := _PAIR_AND_SIDE.match(text.strip()):
        return EXACT[of_pair[1].lower()]
    found = EXACT.get(word) or EXACT.get(_GLUE.sub(" ", word).strip())
    if found:
        return found
    if of_deal := _DEAL.fullmatch(word):
        fill = 1 if of_deal[1] == "buy" else -1
        return Side(fill, fill if of_deal[2] == "in" else -fill, of_deal[2] == "in")
    if _CLOSING.fullmatch(_GLUE.sub(" ", word)):
        return Event("closing")
    if _REINVESTED.match(word):
        return Side(1, 1)
    if _BONUS.search(word) or _PART_OF_SPLIT.search(word):
        return Event("split")
    if is_no_trade(word) and not re.match(r"(you )?(bought|sold|buy|sell)\b", word):
        return None
    inner = re.search(r"\((?:(open|close) (long|short))\)", word)
    if inner and re.match(r"(buy|sell)\b", word):
        return _of_two_words(f"{inner[1]} {inner[2]}")
    for kind, pattern in (("expiry", _EXPIRY), ("split", _SPLIT), ("assignment", _ASSIGNMENT)):
        bought = kind == "assignment" and re.match(r"(you )?(bought|sold|buy|sell)\b", word)
        if kind == "split" and _REVERSE.search(word):
            kind = "reverse"
        if pattern.search(word) and not bought:
            return Event(kind)  # `YOU BOUGHT ASSIGNED PUTS` are the shares.
    if sentence := _SENTENCE.search(word):
        verb = "buy" if sentence[0].removeprefix("you ").startswith(("bought", "buy")) else "sell"
        rest = (sentence[3] or sentence[5] or "").strip()
        if not rest and (
            more := re.search(r"(short|to open|to close|to cover|opening|closing)\b", word)
        ):
            rest = {"opening": "to open", "closing": "to close"}.get(more[1], more[1])
        return EXACT.get(f"{verb} {rest}".strip()) or EXACT[verb]
    if bool(bought := _EAST_BUY.search(word)) != bool(_EAST_SELL.search(word)):
        return Side(1, 1) if bought else Side(-1, -1)
    if korean := _KOREAN.fullmatch(word):
        fill = 1 if korean["verb"] == "매수" else -1
        what = korean["what"].strip()
        return _of_repayment(what, fill) if korean["repaid"] else _of_korean(what, fill)
    if named := _VERB.match(word):
        return _of_end(EXACT[named[1]], word[named.end() :])
    if signed := re.fullmatch(r"([+-])\s*\d[\d,.]*\s*@.+", word):
        return EXACT[signed[1]]
    if of_order := _OF_ORDER.fullmatch(word):
        return EXACT["buy" if "bid" in (of_order[1], of_order[2]) else "sell"]
    glued = _GLUE.sub(" ", word)
    verbs = set(re.findall(r"\b(buy|sell)\b", glued))
    if len(verbs) == 1 and not re.search(r"\b(long|short)\b", glued):
        return EXACT[verbs.pop()]
    return _of_two_words(word)


def _of_end(side: Side | Event, rest: str) -> Side | Event:
    """The side with whether it opens or closes, as the words behind it say: `Vente ouverture`."""
    opens, closes = bool(_OF_OPENING.search(rest)), bool(_OF_CLOSING.search(rest))
    if not isinstance(side, Side) or opens == closes:
        return side
    return Side(side.fill, side.fill if opens else -side.fill, opens)


def _of_korean(what: str, fill: int) -> Side:
    """`해외주식매수` buys, `공매도` sells short, `청산매도` ends what was bought.

    >>> _of_korean("해외주식", 1), _of_korean("공", -1)
    (Side(fill=1, position=1, opens=None), Side(fill=-1, position=-1, opens=True))
    """
    if what in ("전", "환") or re.search("청산|상환", what):
        return Side(fill, -fill, False)
    return (
        Side(fill, fill, True) if fill < 0 and what.endswith(("공", "대주")) else Side(fill, fill)
    )


def _of_repayment(what: str, fill: int) -> Side | None:
    """`공매도상환` buys back what was sold short, `신용매도상환` sells what was bought on credit;
    None where a purchase on credit is repaid, which may be by a sale or in cash.

    >>> _of_repayment("공", -1), _of_repayment("신용", -1), _of_repayment("신용", 1)
    (Side(fill=1, position=-1, opens=False), Side(fill=-1, position=1, opens=False), None)
    """
    if what.endswith(("공", "대주")):
        return Side(1, -1, False)
    return Side(-1, 1, False) if fill < 0 else None if what else Side(1, -1, False)


def _of_two_words(word: str) -> Side | None:
    """`Close Long`, `entry_short`, `多頭進場`: the position's direction, and opened or closed."""
    glued = _GLUE.sub(" ", word)
    east = bool(re.search(r"[\u3040-\u9fff\uac00-\ud7a3]", word))
    edge = "" if east else r"\b"
    if re.search(r"\b(long|short) term\b", glued):
        return None
    long_, short = re.search(edge + _LONG + edge, glued), re.search(edge + _SHORT + edge, glued)
    if bool(long_) == bool(short):
        return None
    position = 1 if long_ else -1
    opens, closes = re.search(edge + _OPEN + edge, glued), re.search(edge + _CLOSE + edge, glued)
    if bool(opens) != bool(closes):
        return Side(position if opens else -position, position, bool(opens))
    first = glued.split(" ")[0]
    return Side(position, position) if first in (*EXACT, "go") or east else None


def opens_or_closes(text: str) -> bool | None:
    """Whether a fill opens (also where it closes first: `C;O`) or closes, by a column of its own;
    None where that says neither.

    >>> (
    ...     opens_or_closes("TO OPEN"), opens_or_closes("C;Ep"), opens_or_closes("C;O"),
    ...     opens_or_closes("P"),
    ... )
    (True, False, True, None)
    """
    words = {word for word in re.split(r"[\W_]+", text.strip().lower()) if word}
    glued = text.strip()
    if glued.startswith(("开", "開", "平", "新規", "決済", "返済")):
        return glued.startswith(("开", "開", "新規"))
    if words & {"o", "open", "opening", "opened", "opentrade", "entry", "in", "inout"}:
        return True
    return (
        False if words & {"c", "close", "closing", "closed", "closetrade", "exit", "out"} else None
    )


def is_no_trade(text: str) -> bool:
    """Whether the words name what is no trade: a dividend, a deposit, a fee.

    >>> (
    ...     is_no_trade("Qualified Dividend"), is_no_trade("CDIV"), is_no_trade("Buy"),
    ...     is_no_trade("ACH"),
    ... )
    (True, True, False, True)
    """
    return bool(_NO_TRADE.search(text.strip().lower().replace("_", " ").replace(".", "")))
