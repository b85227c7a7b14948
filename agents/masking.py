"""Numbers of payment cards, which nobody may keep: only their last four digits are stored.

PCI DSS v4.0 (3.4, 3.5) asks that such a number can't be read where it is stored, and no rule or
tool needs it. A number counts as one if it begins as one of the large schemes' do, has a length
of theirs, and its check digit is right (ISO/IEC 7812-1, Luhn): of other numbers one in ten has that
digit by chance, of those that are written in groups of four hardly any is something else.
"""

import re
from collections.abc import Sequence

LONGEST = 19  # digits of a card
SHOWN = 4  # digits; PCI DSS permits them
# Visa, Mastercard, American Express, Discover, JCB, UnionPay, Diners Club.
_SCHEMES = re.compile(
    r"4(\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|(2131|1800)\d{11}|3(0[0-5]|[689]\d)\d{11}|6(011|5\d\d|4[4-9]\d)\d{12}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
# Groups of digits with a space or hyphen between, in no longer word and no address.
_RUN = re.compile(r"(?<![A-Za-z0-9_.,#/+-])\d+(?:[ -]\d+)*(?![A-Za-z0-9_])")
_GROUP = re.compile(r"\d+")


def masked(text: str) -> str:
    """Return the text with the numbers of payment cards cut to "•••• 1234"."""
    return _RUN.sub(lambda run: _without_cards(run[0]), text)


def _without_cards(run: str) -> str:
    """Cut the cards of a run; other numbers may stand before, between and behind them."""
    groups = list(_GROUP.finditer(run))
    kept, start, first = [], 0, 0
    while first < len(groups):
        digits, length = _card(groups[first : first + LONGEST])
        if length:
            kept += [run[start : groups[first].start()], f"•••• {digits[-SHOWN:]}"]
            start = groups[first + length - 1].end()
        first += length or 1
    return "".join([*kept, run[start:]])


def _card(groups: Sequence[re.Match[str]]) -> tuple[str, int]:
    """Return the longest card that begins with the first group, and in how many it stands."""
    digits, card, length = "", "", 0
    for place, group in enumerate(groups, 1):
        digits += _plain(group[0])
        if len(digits) > LONGEST:
            break
        if _SCHEMES.fullmatch(digits) and _is_checked(digits):
            card, length = digits, place
    return card, length


def _plain(digits: str) -> str:
    return "".join(str(int(sign)) for sign in digits)  # full-width ones too


def _is_checked(digits: str) -> bool:
    """Luhn: from the right, every second digit is doubled and its own digits are added up."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(n // 10 + n % 10 for n in doubled) % 10 == 0
