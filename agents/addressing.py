"""Where a reply sends the customer: web and mail addresses need a source.

A model makes up addresses that look right, and a customer may have planted one. So an address is
said only if a rule that is cited, a tool's result or staff gives it; a mail address also where the
customer wrote it. Telephone numbers are figures, which agents/promising.py looks at.
"""

import re
from collections.abc import Iterable, Iterator

from agents.promising import Grounds, Source
from knowledge.quantities import plain

_WEB = re.compile(
    r"https?://[^\s<>\"')\]，。；、！？]+"
    r"|(?<![@\w.-])(?:[a-z0-9-]+\.)+(?:com|org|net|info|io|app|shop|cn|de|uk|eu|ru|me|co)\b"
    r"(?:/[^\s<>\"')\]，。；、！？]*)?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE | re.ASCII)
_END = ".,;:!?"


def unsourced(reply: str, grounds: Grounds) -> list[str]:
    """Return the addresses of a reply that nothing gives; each as it stands there."""
    reply = plain(reply)
    web = _missing(_WEB, reply, grounds.firm)
    mail = _missing(_MAIL, reply, [*grounds.firm, *grounds.said])
    return list(dict.fromkeys([*web, *mail]))


def _missing(pattern: re.Pattern[str], reply: str, sources: Iterable[Source]) -> Iterator[str]:
    known = " ".join(source.text for source in sources).lower()
    for match in pattern.finditer(reply):
        address = match[0].rstrip(_END)
        if not re.search(rf"(?<![\w.-]){re.escape(address.lower())}(?![\w-])", known):
            yield address
