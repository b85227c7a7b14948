"""Numbers of payment cards, which nobody may keep: only their last four digits are stored.

PCI DSS v4.0 (3.4, 3.5) asks that such a number can't be read where it is stored, and no rule or
tool needs it. A number counts as one if it begins as one of the large schemes' do, has a length
of theirs, and its check digit is right (ISO/IEC 7812-1, Luhn): of other numbers one in ten has that
digit by chance, of those that are written in groups of four hardly any is something else. Numbers
in a web address's path, of bank accounts (IBAN), after a + and within a code stay.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

LONGEST = 19  # digits of a card
SHOWN = 4  # digits; PCI DSS permits them
LEAST = 4  # digits of each group but the last, where more is between than one space or hyphen
# Visa, Mastercard, American Express, Discover, JCB, UnionPay, Diners Club.
_SCHEMES = re.compile(
    r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|(2131|1800)\d{11}|3(0[0-5]|[689]\d)\d{11}|6(011|5\d\d|4[4-9]\d)\d{12}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_UNSEEN = "\u00ad\u180e\u200b-\u200f\u2060\ufeff"  # soft hyphen, zero-width spaces, marks
_DASHES = r"\-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_GROUP = re.compile(rf"\d(?:[{_UNSEEN}]*\d)*")
_RUN = re.compile(
    rf"(?<![\d+])(?<!\d[A-Za-z]){_GROUP.pattern}"
    rf"(?:[\s{_UNSEEN}{_DASHES}.\u00b7\uff0e_/\uff0f()]{{1,3}}{_GROUP.pattern})*"
)
_KEPT = re.compile(
    r"https?://[!-\"$->@-~]+"  # to its query
    r"|(?P<iban>\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b)"
)


def masked(text: str) -> str:
    """Return the text with the numbers of payment cards cut to "•••• 1234"."""
    parts, start = [], 0
    for kept in _KEPT.finditer(text):
        if not kept["iban"] or _is_account(kept["iban"]):
            parts += [_cut(text[start : kept.start()]), kept[0]]
            start = kept.end()
    return "".join([*parts, _cut(text[start:])])


def _is_account(iban: str) -> bool:
    """ISO 13616: the country and check digits put last, letters as 10 to 35, modulo 97 it is 1."""
    signs = iban.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])) % 97 == 1


def _cut(text: str) -> str:
    return _RUN.sub(lambda run: _without_cards(run[0]), text)


def _without_cards(run: str) -> str:
    """Cut the cards of a run; other numbers may stand before, between and behind them."""
    groups = list(_GROUP.finditer(run))
    kept, start, first = [], 0, 0
    while first < len(groups):
        digits, length = _card(run, groups[first : first + LONGEST])
        if length:
            kept += [run[start : groups[first].start()], f"•••• {digits[-SHOWN:]}"]
            start = groups[first + length - 1].end()
        first += length or 1
    return "".join([*kept, run[start:]])


def _card(run: str, groups: Sequence[re.Match[str]]) -> tuple[str, int]:
    """Return the longest card that begins with the first group, and in how many it stands."""
    digits, card, length = "", "", 0
    for place, group in enumerate(groups, 1):
        digits += _plain(group[0])
        if len(digits) > LONGEST:
            break
        if _SCHEMES.fullmatch(digits) and _is_checked(digits) and _is_one(run, groups[:place]):
            card, length = digits, place
    return card, length


def _is_one(run: str, groups: Sequence[re.Match[str]]) -> bool:
    """Say whether the groups are written as one number: dates and amounts side by side are none."""
    between = {run[left.end() : right.start()] for left, right in pairwise(groups)}
    return between <= {" ", "-"} or all(len(_plain(each[0])) >= LEAST for each in groups[:-1])


def _plain(digits: str) -> str:
    return "".join(str(int(sign)) for sign in digits if sign.isdecimal())  # full-width ones too


def _is_checked(digits: str) -> bool:
    """Luhn: from the right, every second digit is doubled and its own digits are added up."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(n // 10 + n % 10 for n in doubled) % 10 == 0
