"""What code itself says to customers, in the language they write in: English or Chinese.

Rules, questions and templates of tools are the business's own words, and a model finds its own;
what is left stands where it is said, once in each language.
"""

import re
from collections.abc import Sequence
from typing import Self

from agents.languages import has_english

# Signs of which Chinese sentences are made; a dish or a name alone may stand in any language.
_TELLING = re.compile(
    r"[我你您他她它们的了吗呢吧啊要想是在不没请给这那哪怎么就都也还很到把被退换]"
    r"|订单|人工|客服|谢谢|再见|取消|[早晚]上好"
)
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")  # Japanese has ideographs, too
_LATIN = r"[^\W\d_\u2e80-\U0003ffff]"
_WORD = re.compile(rf"(?<!{_LATIN}){_LATIN}{{2,}}+(?![\w-]*\d)")  # GW1003 is of no language
# Of ASCII signs alone: 退款/取消 is none.
_ADDRESS = re.compile(r"(?<![!-~])(?:[!-~]*[@/][!-~]*|www\.[!-~]*)")


class Phrase(str):
    """An English sentence that knows how it is said in Chinese (`zh`), with no other {places}."""

    __slots__ = ("zh",)
    zh: str

    def __new__(cls, english: str, zh: str) -> Self:
        phrase = super().__new__(cls, english)
        phrase.zh = zh
        return phrase

    def to(self, said: Sequence[str]) -> str:
        """Return it in the language of the customer who `said` this, oldest first."""
        return self.in_language("zh" if writes_chinese(said) else "en")

    def in_language(self, language: str) -> str:
        return self.zh if language == "zh" else str(self)


def writes_chinese(said: Sequence[str]) -> bool:
    """Say whether who `said` this, oldest first, writes Chinese, by the last message that tells.

    A number, an address, an emoji, a name or one word ("OK") tells nothing.
    """
    for text in map(_told_by, reversed(said)):
        if _TELLING.search(text):
            return True
        if is_english(text):
            return False
    return any(_IDEOGRAPH.search(text) and not _WORD.search(text) for text in map(_told_by, said))


def is_english(text: str) -> bool:
    """Say whether a text has two words or more, a common English one among them."""
    return len(_WORD.findall(text)) > 1 and has_english(text)


def _told_by(text: str) -> str:
    return "" if _KANA.search(text) else _ADDRESS.sub(" ", text)
