"""Times in the words of other languages than English: months, halves of the day, and days with
words between their numbers, as English ones.

May touch: nothing.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from app.sources.figures import in_ascii

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_NAMES = {
    "jan": (
        "janv janvier januar januari enero ene gen gennaio ian янв января oca ocak sty"
        " stycznia styczeń led tammi"
    ),
    "feb": (
        "févr fév février februar februari febrero fev fevereiro febbraio фев февраля"
        " şub şubat lut lutego luty úno helmi"
    ),
    "mar": ("mär mrz märz mars marzo março maart mrt мар марта mart marca marzec márc bře maalis"),
    "apr": ("avr avril abril abr aprile апр апреля nis nisan kwi kwietnia kwiecień ápr dub huhti"),
    "may": "mai mei mayo maio maggio mag maj мая май mayıs máj maja kvě touko",
    "jun": (
        "juin juni junio junho giugno giu июн июня haz haziran cze czerwca czerwiec"
        " jún iun čvn kesä"
    ),
    "jul": (
        "juil juillet juli julio julho luglio lug июл июля tem temmuz lip lipca lipiec"
        " júl iul čvc heinä"
    ),
    "aug": ("août agosto ago авг августа ağu ağustos sie sierpnia sierpień augustus agu srp elo"),
    "sep": (
        "sept septembre septiembre setembro settembre set сен сент сентября eyl eylül"
        " wrz września szept zář syys"
    ),
    "oct": (
        "okt oktober octobre octubre outubro ottobre ott out окт октября eki ekim paź"
        " października říj loka"
    ),
    "nov": ("novembre noviembre novembro ноя нояб ноября kas kasım lis listopada listopad marras"),
    "dec": (
        "dez dezember déc décembre dic diciembre dezembro dicembre des desember дек"
        " декабря ara aralık gru grudnia grudzień pro joulu"
    ),
}
_MORE_NAMES = {
    "jan": "január tammikuuta січня ιανουαρίου ιαν siječnja januara",
    "feb": "február helmikuuta лютого φεβρουαρίου φεβ veljače februara",
    "mar": "március maaliskuuta березня μαρτίου μαρ ožujka marta",
    "apr": "április huhtikuuta квітня απριλίου απρ travnja aprila",
    "may": "május toukokuuta травня μαΐου μαΐ μαϊ svibnja maja",
    "jun": "június kesäkuuta червня ιουνίου ιουν lipnja juna",
    "jul": "július heinäkuuta липня ιουλίου ιουλ srpnja jula",
    "aug": "augusztus elokuuta серпня αυγούστου αυγ kolovoza avgusta",
    "sep": "szeptember syyskuuta вересня σεπτεμβρίου σεπ rujna septembra",
    "oct": "október lokakuuta жовтня οκτωβρίου οκτ oktobra",
    "nov": "november marraskuuta листопада νοεμβρίου νοε studenoga novembra",
    "dec": "joulukuuta грудня δεκεμβρίου δεκ prosinca decembra",
}
_FOREIGN = {
    word: month
    for names in (_NAMES, _MORE_NAMES)
    for month, words in names.items()
    for word in words.split()
}
"""Names of months in the languages of exports, and their short forms."""
_THAI = {
    "ม.ค.": "jan", "ก.พ.": "feb", "มี.ค.": "mar", "เม.ย.": "apr", "พ.ค.": "may", "มิ.ย.": "jun",
    "ก.ค.": "jul", "ส.ค.": "aug", "ก.ย.": "sep", "ต.ค.": "oct", "พ.ย.": "nov", "ธ.ค.": "dec",
    "มกราคม": "jan", "กุมภาพันธ์": "feb", "มีนาคม": "mar", "เมษายน": "apr", "พฤษภาคม": "may",
    "มิถุนายน": "jun", "กรกฎาคม": "jul", "สิงหาคม": "aug", "กันยายน": "sep", "ตุลาคม": "oct",
    "พฤศจิกายน": "nov", "ธันวาคม": "dec",
}  # fmt: skip
_CLOCK = r" ?(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)"
_HALVES_BEFORE = (
    (re.compile("(?:上午|早上|凌晨|午前|오전)" + _CLOCK), "am"),
    (re.compile("(?:下午|晚上|中午|午後|오후)" + _CLOCK), "pm"),
)
_HALVES_BEHIND = (
    (re.compile(r" ?(?:ÖÖ|π\.?μ\.?|ص)$"), "am"),
    (re.compile(r" ?(?:ÖS|μ\.?μ\.?|م)$"), "pm"),
)
"""Words for the halves of the day, in Chinese, Japanese, Korean, Turkish, Greek and Arabic."""
_SPACED_HALF = re.compile(r"(?<=\d)\s?([ap])\.\s?m\.$", re.IGNORECASE)
_THAI_MONTH = re.compile("|".join(re.escape(name) for name in sorted(_THAI, key=len, reverse=True)))
THAI_YEARS = range(55, 70)
"""Years of two digits that are counted as in Thailand: none of 2055 and later is over."""
_ERA = re.compile(
    r"(令和|平成|[RH]) ?\.?(\d{1,2}|元)(?:年|[./-]) ?(\d{1,2})(?:月|[./-]) ?(\d{1,2})日?"
)
_BEFORE_ERA = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}
"""The year before each of Japan's eras."""
_EAST_WEEKDAY = re.compile(r" ?[(（][月火水木金土日월화수목금토일一二三四五六][)）]")
_WEEKDAY = re.compile(
    r"(mo|di|mi|do|fr|sa|so|mon?tag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag"
    r"|lun|mar|mer|jeu|ven|sam|dim|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
    r"|mié|mie|jue|vie|sáb|sab|dom|seg|ter|qua|qui|sex|gio|ma|wo|vr|za|zo"
    r"|пн|вт|ср|чт|пт|сб|вс|pon|wt|śr|czw|pt|sob|ndz?|niedz|pzt|sal|çar|per|cum|cmt|paz)"
    r"\.?,?\s+(?=\d{1,4}[./-]|\d{1,2}\.? (?!at\b)[^\W\d])",
    re.IGNORECASE,
)
"""Days of the week before a day, in other languages than English."""
_TO_CLOCK = re.compile(
    r"(?<=\d\d)\.?,?\s+(?:à|um|klo|kl\.?|alle|ore|a las|às|o|ob|u)\s+(?=\d{1,2} ?[:.hu]\d\d)"
    r"|\s+uhr$",
    re.IGNORECASE,
)
"""Words between a day and a time of day, and behind it."""
_HOURS = re.compile(r"(?<=\s)(\d{1,2}) ?[hu] ?(\d{2})(?: ?min)?$")
_DOTTED_CLOCK = re.compile(r"(?<=\d{4}) \d{1,2}\.\d{2}(\.\d{2})?$")
"""Times of day as in French and Dutch, and as in Finnish: `15h30`, `15.30`."""
_DAY_OF = re.compile(r"^(\d{1,2}) de ([^\W\d_]+)\.? del? (\d{4})")
_YEAR_FIRST = re.compile(r"^(\d{4})\. ([^\W\d_]{3,12})\.? (\d{1,2})\.?")
"""Days as in Spanish and Portuguese, and as in Hungarian."""
_EAST_DAY = re.compile(r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]")


def month_of(name: str) -> int:
    """The month that a name or its short form means, 0 where it means none.

    >>> month_of("März"), month_of("Sept"), month_of("июня"), month_of("soon")
    (3, 9, 6, 0)
    """
    word = name.lower()
    short = _FOREIGN.get(word, word)[:3]
    return MONTHS.index(short) + 1 if short in MONTHS else 0


def is_persian(year: int) -> bool:
    """Whether a year of four digits is counted as in Iran: those of Islam's lunar calendar that lie
    in the same centuries were over before there were exports."""
    return 1379 <= year <= 1415


def from_persian(year: int, month: int, day: int) -> tuple[int, int, int]:
    """The day of Iran's calendar as (year, month, day) of ours; month 0 if there is no such day.

    >>> from_persian(1402, 12, 14), from_persian(1403, 1, 1), from_persian(1399, 12, 30)
    ((2024, 3, 4), (2024, 3, 20), (2021, 3, 20))
    >>> from_persian(1402, 12, 30)
    (1402, 0, 30)
    """
    leap = (25 * year + 11) % 33 < 8
    if not 1 <= month <= 12 or not 1 <= day <= (
        31 if month < 7 else 30 if month < 12 or leap else 29
    ):
        return year, 0, day
    before = sum(365 + ((25 * y + 11) % 33 < 8) for y in range(1379, year))
    days = before + (month - 1) * 30 + min(month - 1, 6) + day - 1
    found = date(2000, 3, 20) + timedelta(days=days)
    return found.year, found.month, found.day


def in_english(cell: str) -> str:
    """The cell with English words for months and halves of the day, or numbers alone.

    >>> in_english("4 มี.ค. 67"), in_english("2024/3/4 下午 01:15"), in_english("2024年3月4日 10:00")
    ('4 mar 67', '2024/3/4 01:15 pm', '2024-3-4 10:00')
    >>> in_english("4/3/2024 9:05:00 p. m."), in_english("Mo., 4. März 2024")
    ('4/3/2024 9:05:00 pm', '4. März 2024')
    >>> in_english("4 mars 2024 à 9h05"), in_english("4.3.2024 klo 15.30")
    ('4 mars 2024 9:05', '4.3.2024 15:30')
    >>> in_english("4 de marzo de 2024 10:00"), in_english("2024. március 4. 10:00")
    ('4 marzo 2024 10:00', '4 március 2024 10:00')
    >>> in_english("R6.03.04"), in_english("平成元年3月4日"), in_english("2024/03/04(月) 10:00")
    ('2024-03-04', '1989-3-4', '2024/03/04 10:00')
    """
    cell = _TO_CLOCK.sub(" ", cell) if _TO_CLOCK.search(cell) else cell
    cell = _HOURS.sub(r"\1:\2", cell) if cell[-1:].isalnum() else cell
    cell = _DOTTED_CLOCK.sub(lambda found: found[0].replace(".", ":"), cell)
    cell = _DAY_OF.sub(r"\1 \2 \3", cell) if " d" in cell else _YEAR_FIRST.sub(r"\3 \2 \1", cell)
    cell = _WEEKDAY.sub("", cell, count=1) if _WEEKDAY.match(cell) else cell
    if era := _ERA.match(cell):
        year = 1 if era[2] == "元" else int(era[2])
        cell = f"{_BEFORE_ERA[era[1]] + year}-{era[3]}-{era[4]}{cell[era.end() :]}"
    if not cell.isascii():
        cell = _EAST_WEEKDAY.sub("", in_ascii(cell))
        cell = _EAST_DAY.sub(r"\1-\2-\3", cell)
        cell = _THAI_MONTH.sub(lambda name: _THAI[name[0]], cell)
        for pattern, half in _HALVES_BEFORE:
            cell = pattern.sub(rf"\1 {half}", cell)
        for pattern, half in _HALVES_BEHIND:
            cell = pattern.sub(f" {half}", cell)
    return _SPACED_HALF.sub(r" \1m", cell)
