"""Where a word ends in text that sets no spaces: 订单GW1003到哪里了 names GW1003.

To `\\w` and `\\b` of Python's `re` an ideograph is a letter like any other.
"""

import re

# Thai and Lao; from CJK radicals over kana and ideographs to Hangul, whose particles follow at
# once; later ideographs.
UNSPACED = r"\u0e00-\u0eff\u2e80-\ud7ff\U00020000-\U0003ffff"
WORD = rf"[^\W{UNSPACED}]"  # what `\w` is, where words have spaces between them
LETTER = rf"[^\W_{UNSPACED}]"
_UNSPACED = re.compile(f"[{UNSPACED}]")


def count_words(text: str) -> float:
    """Return about how many words a text has; of letters that set no spaces two make one."""
    return len(_UNSPACED.sub(" ", text).split()) + len(_UNSPACED.findall(text)) / 2
