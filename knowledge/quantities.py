"""Numbers with their units in English and Chinese text. Knows nothing of Django.

It knows no number words beyond "nine thousand", no fractions but "half", and no sums.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

MONTH, YEAR = 30.4375, 365.25  # days, on average: "1 month" and "30 days" are one promise
YEAR_STEP = 500  # more than any day of a year counts; a date without a year is below it
CALENDAR_TOLERANCE = 0.04  # share by which a span in months may differ from one in days

SECONDS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs", "秒", "秒钟"), 1.0),
    **dict.fromkeys(("minute", "minutes", "min", "mins", "分钟"), 60.0),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "小时", "个小时", "钟头"), 3600.0),
    **dict.fromkeys(("day", "days", "天", "日"), 86400.0),
    **dict.fromkeys(("week", "weeks", "周", "星期", "个星期"), 7 * 86400.0),
    **dict.fromkeys(("month", "months", "个月"), MONTH * 86400),
    **dict.fromkeys(("year", "years", "年"), YEAR * 86400),
}
WORKING = {
    **dict.fromkeys(("business days", "business day", "working days", "working day"), 86400.0),
    **dict.fromkeys(("工作日", "个工作日"), 86400.0),
    **dict.fromkeys(("business hours", "business hour"), 3600.0),
}
CALENDAR = {"month", "months", "个月", "year", "years", "年"}
CURRENCIES = {
    **dict.fromkeys(("$", "us$", "usd", "dollar", "dollars", "bucks", "美元", "美金"), "USD"),
    **dict.fromkeys(("€", "eur", "euro", "euros", "欧元"), "EUR"),
    **dict.fromkeys(("£", "gbp", "pound", "pounds", "英镑"), "GBP"),
    **dict.fromkeys(("¥", "￥", "cny", "rmb", "yuan", "元", "块", "块钱", "人民币"), "CNY"),
    **dict.fromkeys(("jpy", "yen", "円", "日元"), "JPY"),
}
PERCENT = ("%", "percent", "per cent")
MEASURES = {
    **dict.fromkeys(("mile", "miles", "英里"), "mile"),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers", "公里"), "km"),
    **dict.fromkeys(("metre", "metres", "meter", "meters", "米"), "metre"),
    **dict.fromkeys(("kg", "kilogram", "kilograms", "公斤", "千克"), "kg"),
    **dict.fromkeys(("gram", "grams", "克"), "gram"),
    **dict.fromkeys(("lb", "lbs"), "lb"),
    **dict.fromkeys(("mb", "gb"), "byte"),
}
MONTH_NAMES = """
    january/jan february/feb march/mar april/apr may june/jun july/jul august/aug
    september/sep/sept october/oct november/nov december/dec
"""
MONTHS = {
    name: number
    for number, names in enumerate(MONTH_NAMES.split(), start=1)
    for name in names.split("/")
}
NUMBER_NAMES = """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen
"""
TENS_NAMES = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS, TENS = NUMBER_NAMES.split(), TENS_NAMES.split()
LARGE = {"hundred": 100, "thousand": 1000}
PLAIN_WORDS: dict[str, float] = {
    **{word: number for number, word in enumerate(NUMBER_WORDS, start=1)},
    **{word: 10 * number for number, word in enumerate(TENS, start=2)},
}
ENGLISH: dict[str, float] = {
    **PLAIN_WORDS,
    **{
        f"{ten}{between}{word}": PLAIN_WORDS[ten] + PLAIN_WORDS[word]
        for ten in TENS
        for between in "- "
        for word in NUMBER_WORDS[:9]
    },
    **{
        f"{word} {large}": factor * PLAIN_WORDS.get(word, 1)
        for word in ("a", *NUMBER_WORDS[:9])
        for large, factor in LARGE.items()
    },
    "a": 1,
    "an": 1,
    "half": 0.5,
}
CHINESE = {sign: float(number) for number, sign in enumerate("零一二三四五六七八九")}
CHINESE |= {"两": 2, "半": 0.5}
CHINESE_LARGE = {"十": 10, "百": 100, "千": 1000}
CLASSIFIERS = "笔件个次张份单项条台部套只盒袋箱瓶"  # words between a number and what is counted


def _any_of(names: Iterable[str]) -> str:
    """Return a pattern of the names, the longest first."""
    words = sorted(names, key=len, reverse=True)
    return "|".join(
        re.escape(word) + (r"\b" if word[-1].isascii() and word[-1].isalpha() else "")
        for word in words
    )


_DIGITS = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
# "1.299,50" and "16,40" where money is spoken of: elsewhere a comma parts two numbers.
_COMMA = r"\d{1,3}(?:[. ]\d{3}){1,3},\d\d(?!\d)|\d{1,7},\d\d(?!\d)"
_CHINESE_WORDS = "[零一二两三四五六七八九十百千万半]"
_ENGLISH_WORDS = _any_of(ENGLISH)
_WORDS = rf"\b(?:half an?\b|{_ENGLISH_WORDS})|{_CHINESE_WORDS}{{1,9}}"
_UNITS = {**SECONDS, **WORKING, **CURRENCIES, **MEASURES, **dict.fromkeys(PERCENT)}
_SPOKEN = [name for name in _UNITS if name[0].isalpha()]
_SYMBOLS = [name for name in CURRENCIES if len(name) < 4 and name not in {"元", "块"}]
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
_DAY = r"(?:[12]\d|3[01]|0?[1-9])"  # of a month: "50 may" is no date
FOUND = re.compile(
    rf"(?P<iso>\b\d{{4}}-(?:1[0-2]|0?[1-9])-{_DAY}\b)"
    rf"|(?P<day_first>\b{_DAY}(?:st|nd|rd|th)? (?:{_MONTH})\b(?:,? \d{{4}}\b)?)"
    rf"|(?P<month_first>\b(?:{_MONTH}) {_DAY}(?:st|nd|rd|th)?\b(?:,? \d{{4}}\b)?)"
    rf"|(?P<chinese_date>(?:\d{{4}}年)?(?:1[0-2]|0?[1-9])月{_DAY}[日号])"
    r"|(?P<clock>\b\d\d?(?::\d\d)?\s?[ap]\.?m\b\.?|\b\d\d?:\d\d\b|\bnoon\b|\bmidnight\b"
    r"|(?:上午|下午|晚上)?\d\d?[点:]\d{0,2})"
    rf"|(?P<symbol>{_any_of(_SYMBOLS)})\s?(?P<amount>{_COMMA}|{_DIGITS})"
    rf"|百分之(?P<share>{_DIGITS}|{_WORDS})"
    rf"|(?<!\d)(?<!\d[.,])(?P<comma>{_COMMA})\s?(?P<comma_unit>{_any_of(CURRENCIES)})"
    rf"|(?P<number>{_DIGITS})[\s-]?(?P<unit>{_any_of(_UNITS)})"
    rf"|(?P<word>{_WORDS})[\s-]?(?P<word_unit>{_any_of(_SPOKEN)})"
    rf"|(?P<bare>{_DIGITS})",
    re.IGNORECASE,
)
# "One" and "a" count nothing in particular, nor do "two-factor", "第二个" and "four digits".
_COUNTED = re.compile(
    rf"(?<![\w-])(?!one\b|an?\b|half\b|a )(?P<word>{_ENGLISH_WORDS})(?![\w-])"
    r"(?! (?:digit|letter|character|number|step|question|matter|topic)s?\b| of (?:you|us|them)\b)"
    rf"|(?<!第)(?<!{_CHINESE_WORDS})(?P<sign>(?!一[{CLASSIFIERS}]){_CHINESE_WORDS}{{1,9}})"
    rf"(?=[{CLASSIFIERS}])",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s?(?:to|or|and|-|–|~|至|到)\s?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it stands in a text.

    `kind` is duration, money, percent, measure, time, date or number; `value` is in the
    kind's smallest unit (seconds, minutes of the day, days by 31 a month and YEAR_STEP a
    year); `unit` sets apart what does not compare ("USD", "working"). `start` and `end` are
    positions in the text that `plain` returns.
    """

    kind: str
    value: float
    unit: str
    text: str
    start: int
    end: int


def plain(text: str) -> str:
    """Return the text with full-width digits, signs and typographic quotes made plain.

    Less the characters that nobody sees: one inside a word would hide it.
    """
    text = unicodedata.normalize("NFKC", text).replace("’", "'")
    if text.isascii():  # none of them is; most texts are
        return text
    return "".join(sign for sign in text if unicodedata.category(sign) != "Cf")


def quantities(text: str) -> list[Quantity]:
    """Return the quantities of a text that went through `plain`, in reading order."""
    found = [_read(match) for match in FOUND.finditer(text)]
    return list(_with_units_of_ranges(text, found))


def counts(text: str, read: Iterable[Quantity]) -> Iterator[Quantity]:
    """Yield the number words of a text that carry no unit ("two refunds", "三件"), from two on.

    `read` are its quantities, which are not counted again.
    """
    taken = {place for item in read for place in range(item.start, item.end)}
    for match in _COUNTED.finditer(text):
        if match.start() not in taken:
            value = _number(match.group())
            yield Quantity("number", value, "", match.group(), match.start(), match.end())


def same(left: Quantity, right: Quantity) -> bool:
    """Say whether two quantities of one kind promise the same."""
    if left.unit != right.unit:
        if {left.unit, right.unit} != {"", "calendar"}:
            return False
        return abs(left.value - right.value) <= CALENDAR_TOLERANCE * max(left.value, right.value)
    if left.kind == "date" and min(left.value, right.value) < YEAR_STEP:
        return left.value % YEAR_STEP == right.value % YEAR_STEP
    return left.value == right.value


def _with_units_of_ranges(text: str, found: list[Quantity]) -> Iterator[Quantity]:
    """Give the 3 of "3 to 5 days" its unit."""
    for here, after in zip(found, [*found[1:], None], strict=False):
        between = text[here.end : after.start] if after else ""
        if here.kind == "number" and after and _RANGE.fullmatch(between):
            factor = _factor(after)
            yield replace(here, kind=after.kind, unit=after.unit, value=here.value * factor)
        else:
            yield here


def _factor(quantity: Quantity) -> float:
    if quantity.kind != "duration":
        return 1.0
    unit = re.sub(r"^[\d.,\s-]+", "", quantity.text.lower())
    return SECONDS.get(unit) or WORKING.get(unit) or 1.0


def _read(match: re.Match[str]) -> Quantity:
    kind, value, unit = _meaning(match)
    return Quantity(kind, value, unit, match.group().strip(), match.start(), match.end())


def _meaning(match: re.Match[str]) -> tuple[str, float, str]:
    parts = match.groupdict()
    if parts["clock"]:
        return "time", _minutes(parts["clock"].lower()), ""
    if date := parts["iso"] or parts["day_first"] or parts["month_first"] or parts["chinese_date"]:
        return "date", _day(date.lower()), ""
    if parts["symbol"]:
        return "money", _number(parts["amount"]), CURRENCIES[parts["symbol"].lower()]
    if parts["share"]:
        return "percent", _number(parts["share"]), ""
    if parts["bare"]:
        return "number", _number(parts["bare"]), ""
    number = _number(parts["comma"] or parts["number"] or parts["word"])
    return _measured(number, (parts["comma_unit"] or parts["unit"] or parts["word_unit"]).lower())


def _measured(number: float, unit: str) -> tuple[str, float, str]:
    if unit in PERCENT:
        return "percent", number, ""
    if unit in CURRENCIES:
        return "money", number, CURRENCIES[unit]
    if unit in MEASURES:
        return "measure", number, MEASURES[unit]
    if unit in WORKING:
        return "duration", number * WORKING[unit], "working"
    return "duration", number * SECONDS[unit], "calendar" if unit in CALENDAR else ""


def _number(text: str) -> float:
    text = text.lower().removesuffix(" a").removesuffix(" an")
    if text[0].isdigit() and text[0].isascii():
        if re.fullmatch(_COMMA, text):
            text = re.sub(r"[. ]", "", text).replace(",", ".")
        return float(text.replace(",", ""))
    return ENGLISH[text] if text in ENGLISH else _chinese(text)


def _chinese(text: str) -> float:
    total, digit = 0.0, 0.0
    for sign in text:
        if sign == "万":
            total, digit = 10_000 * (total + digit or 1), 0.0
        elif sign in CHINESE_LARGE:
            total += (digit or 1) * CHINESE_LARGE[sign]
            digit = 0.0
        else:
            digit = CHINESE[sign]
    return total + digit


def _minutes(text: str) -> float:
    if text in {"noon", "midnight"}:
        return 720.0 if text == "noon" else 1440.0
    hours, minutes = [int(number) for number in [*re.findall(r"\d+", text), "0"][:2]]
    late = "p" in text or text.startswith(("下午", "晚上"))
    early = "a" in text or text.startswith("上午")
    hours = hours % 12 + 12 * late if late or early else hours
    return float(60 * hours + minutes)


def _day(text: str) -> float:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    year = next((number for number in numbers if number > 31), 0)
    month, *day = [number for number in numbers if number <= 31]
    if name := re.search(_MONTH, text):
        month, day = MONTHS[name.group()], [month]
    return float(YEAR_STEP * year + 31 * month + day[0])
