"""A fact's value in words: as it is read back to the callee and shown to staff."""

from datetime import date
from typing import Any

_UNITS = {
    "en": {"day": 86400, "hour": 3600, "minute": 60, "second": 1},
    "zh": {"天": 86400, "小时": 3600, "分钟": 60, "秒": 1},
}
_CURRENCIES = {
    "en": {"USD": "dollars", "EUR": "euros", "GBP": "pounds", "CNY": "yuan"},
    "zh": {"USD": "美元", "EUR": "欧元", "GBP": "英镑", "CNY": "元"},
}
_TRUTH = {"en": {True: "yes", False: "no"}, "zh": {True: "是", False: "不是"}}


def in_words(kind: str, value: Any, language: str = "en") -> str:
    """Say a value as its kind of fact is said: 5400 seconds are "1 hour 30 minutes"."""
    match kind, value:
        case "yes_no", bool():
            return _TRUTH[language][value]
        case "duration", int() | float():
            return _duration(float(value), language)
        case "money", {"amount": amount, "currency": currency}:
            amount = amount if amount == int(amount) else f"{amount:.2f}"
            return f"{amount} {_CURRENCIES[language].get(currency, currency)}".strip()
        case "date", str():
            day = date.fromisoformat(value)
            return f"{day.day} {day:%B %Y}" if language == "en" else f"{day:%Y-%m-%d}"
    return str(value).rstrip(".。!！ ")


def _duration(seconds: float, language: str) -> str:
    words = []
    for unit, length in _UNITS[language].items():
        count, seconds = divmod(seconds, length)
        if count:
            plural = "s" if language == "en" and count != 1 else ""
            words.append(f"{count:.0f}{' ' if language == 'en' else ''}{unit}{plural}")
    return (" " if language == "en" else "").join(words) or "0"
