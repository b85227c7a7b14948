"""Where a reply sends the customer: web and mail addresses need a source.

A model makes up addresses that look right, and a customer may have planted one. So an address is
said only if a rule that is cited, a tool's result or staff gives it; a mail address also where the
customer wrote it. Telephone numbers are figures, which agents/promising.py looks at.

A web address has a scheme, begins with "www.", is an IP address or ends in a top-level domain. A
host's name in Chinese letters is seen only with one of the first two.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from tldextract import TLDExtract

from agents.sources import Grounds, Source
from knowledge.quantities import plain

_FILES = {"md", "mov", "py", "sh", "zip"}  # an ending of files before it is one of hosts
_NO_WORDS = {"Com", "Net", "Org"}  # no sentence begins so: "soon.It" lacks a space

_LETTER = r"[^\W\u2e80-\U0010ffff]"  # or a digit; beside Chinese ones an address may stand
_PART = r"(?:[^\s<>\"')\]*`,;!?。、]|[,;!?](?=[!-~]))"
_REST = rf"(?::\d+)?(?:/{_PART}*|[?#](?=[!-~]){_PART}*)?"
_WEB = re.compile(
    rf"(?<!{_LETTER})(?<![@.-])(?:[a-z][a-z0-9+.-]*://{_PART}+|www\.{_PART}+"
    rf"|\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?!{_LETTER}|-|\.\w){_REST}"
    rf"|(?P<host>(?:(?:{_LETTER}|-)+\.)+(?:{_LETTER}|-)+)(?![\w.+-]*@)(?P<rest>{_REST}))",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]+@(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE | re.ASCII)
_END = ".,;:!?"


def names_any(text: str) -> bool:
    """Say whether there is an address in a text, with a source or without."""
    text = plain(text)
    return bool(next(_web(text), "") or _MAIL.search(text))


def unsourced(reply: str, grounds: Grounds) -> list[str]:
    """Return the addresses of a reply that nothing gives; each as it stands there."""
    reply = plain(reply)
    web = _missing(_web(reply), grounds.firm)
    mail = _missing(_MAIL.findall(reply), [*grounds.firm, *grounds.said])
    return list(dict.fromkeys([*web, *mail]))


def _web(text: str) -> Iterator[str]:
    for found in _WEB.finditer(text):
        host, rest = found["host"], found["rest"]
        if not host:
            yield found[0]
        elif known := _known(host, is_bare=not rest):
            yield found[0] if known == host else known


def _known(host: str, *, is_bare: bool) -> str:
    """Return the host up to its top-level domain: behind it a sentence may follow without space."""
    labels = host.split(".")
    for length in range(len(labels), 1, -1):
        last = labels[length - 1]
        is_word = last.istitle() and last not in _NO_WORDS
        if last.lower() in _domains() and not (is_bare and (is_word or last.lower() in _FILES)):
            return ".".join(labels[:length])
    return ""


@cache
def _domains() -> frozenset[str]:
    """Return the top-level domains of the public suffix list that comes with tldextract."""
    suffixes = TLDExtract(suffix_list_urls=(), cache_dir=None).tlds  # nothing is fetched
    return frozenset(suffix.rpartition(".")[2] for suffix in suffixes)


def _missing(addresses: Iterable[str], sources: Iterable[Source]) -> Iterator[str]:
    known = _folded(" ".join(source.text for source in sources))
    for address in addresses:
        said = address.rstrip(_END)
        whole = rf"(?<!{_LETTER})(?<![.-]){re.escape(_folded(said))}(?!{_LETTER}|-)"
        if not re.search(whole, known):
            yield said


def _folded(text: str) -> str:
    return text.lower().replace("_", " ")  # as results stand in sources
