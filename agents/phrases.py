"""What code itself says to customers, in the language they write in: English or Chinese.

Rules, questions and templates of tools are the business's own words, and a model finds its own;
what is left stands where it is said, once in each language.
"""

import re
from collections.abc import Sequence
from typing import Self

IDEOGRAPHS_A_WORD = 1.5  # a Chinese word has one or two
_IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")  # Japanese has ideographs, too
_WORD = re.compile(r"[^\W\d_\u2e80-\U0003ffff]{2,}(?![\w-]*\d)")  # GW1003 is of no language


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

    A number, an emoji or one word ("OK") tells nothing, and a name in the other script little.
    """
    for text in reversed(said):
        ideographs = 0 if _KANA.search(text) else len(_IDEOGRAPH.findall(text))
        words = len(_WORD.findall(text))
        if ideographs or words > 1:
            return ideographs / IDEOGRAPHS_A_WORD >= words
    return False
