"""Two rules side by side: do they say the same, or the opposite? Knows nothing of Django.

Plain rules, so they prove only what can be read off the words: the same situation, a
sentence that is otherwise the same, and in it another number of the same kind, a "not" more
or less, or a word against its opposite. A paraphrase is suspected at best.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from knowledge.quantities import Quantity, plain, quantities, same

# Shares of common words (Dice) from which texts count as alike; measured on the demo's rules
# and on 688 rules of ABCD, see tests/knowledge/test_comparing.py.
SAME_SENTENCE = 0.85
ALIKE_SENTENCE = 0.6
ALIKE_SITUATION = 0.6
DUPLICATE = 0.8
# Cosine of two whole rules by multilingual-e5-small from which they are about one matter.
CLOSE = 0.945
MOST_SENTENCES = 80  # of a text that are paired, in a hundredth of a second; rules have few

NEGATIONS = {"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without"}
CHINESE_NEGATIONS = re.compile(r"不|没有|没|无需|无|勿|禁止|别|未")
PAIRS = """
    may/must include/exclude allow/forbid accept/refuse accept/reject
    before/after above/below over/under more/less free/charge free/paid most/least
    possible/impossible required/optional refundable/nonrefundable yes/no allow/prohibit
    available/unavailable valid/invalid open/closed earlier/later minimum/maximum
    automatically/manually full/partial 可以/禁止 必须/可以 支持/拒绝 免费/收费
"""
# Words by which no two situations or promises differ.
IDLE_WORDS = """
    a an the of to in on for and or is are be been was were will would it its this that they them
    their you your we our us i my he she his her at by as when if then there here please also so
    do does did has have had customer ask want about how what which who need like wish
    always
"""
IDLE = frozenset(IDLE_WORDS.split())
_SAME_WORD = {"can": "may", "could": "may", "might": "may", "shall": "must", "cannot": "not"}
_CONTRACTED = ((r"\bcan't\b|\bcannot\b", "may not"), (r"\bwon't\b", "not"), (r"n't\b", " not"))
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|[\u4e00-\u9fff]+|#")
_SENTENCES = re.compile(r"(?<=[.!?;])(?<![ap]\.m\.)\s+|(?<=[。！？；!?;])|\n+")


def _stem(word: str) -> str:
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return (word.removesuffix(ending) + instead).removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word


OPPOSITES: dict[str, set[str]] = {}
for _one, _other in (map(_stem, pair.split("/")) for pair in PAIRS.split()):
    OPPOSITES.setdefault(_one, set()).add(_other)
    OPPOSITES.setdefault(_other, set()).add(_one)


@dataclass(frozen=True, slots=True)
class Rule:
    condition: str
    content: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is between two rules, with the two sentences that show it.

    `kind` is contradiction, duplicate or overlap; `similarity` the share of common words, 0
    to 1, or the cosine that was given where it is higher.
    """

    kind: str
    proven: bool
    reason: str
    left: str
    right: str
    similarity: float


@dataclass(frozen=True)
class Sentence:
    """A sentence taken apart: its words but for idle ones, its numbers, how often it says no."""

    text: str
    order: tuple[str, ...]
    words: Counter[str]
    numbers: tuple[Quantity, ...]
    negations: int


def compare(left: Rule, right: Rule, *, cosine: float | None = None) -> Finding | None:
    """Return the gravest thing between two rules, or None.

    Args:
        cosine: of the vectors of the two whole rules, where they are known.
    """
    here, there = read(left.condition), read(right.condition)
    shared = dice(here.words, there.words)
    one_case = not _differs(here, there)
    same_situation = one_case and here.words == there.words
    alike = one_case and (shared >= ALIKE_SITUATION or (cosine or 0) >= CLOSE)
    if not alike:
        return None
    closeness = max(shared, cosine or 0)
    clashes = list(_clashes(left.content, right.content))
    clashes = [clash for clash in clashes if not _names_apart(here, there, clash)]
    if clashes:
        return _contradiction(clashes, closeness, same_situation=same_situation)
    if finding := _duplicate(left.content, right.content, closeness):
        return finding
    if same_situation or (shared >= DUPLICATE and _contains(here.words, there.words)):
        reason = "Both apply to the same situation; which answer is given is left to chance."
        return Finding("overlap", False, reason, left.content, right.content, closeness)
    return None


@lru_cache(maxsize=4096)
def read(text: str) -> Sentence:
    """Take one sentence, or a condition, apart."""
    text = plain(text).strip()
    numbers = tuple(quantities(text))
    words = text.lower()
    for number in reversed(numbers):
        words = f"{words[: number.start]} # {words[number.end :]}"
    for pattern, replacement in _CONTRACTED:
        words = re.sub(pattern, replacement, words)
    negations = len(CHINESE_NEGATIONS.findall(words))
    parts = _WORD.findall(CHINESE_NEGATIONS.sub("", words))
    negations += sum(part in NEGATIONS for part in parts)
    kept = tuple(word for part in parts for word in _stems(part))
    if negations:  # "may not" and "must not" say the same
        kept = tuple("may" if word == "must" else word for word in kept)
    return Sentence(text, kept, Counter(kept), numbers, negations)


def sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCES.split(plain(text)) if part.strip()]


def dice(left: Counter[str], right: Counter[str]) -> float:
    """Return the share of words in common, 0 to 1."""
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 0.0


def _stems(part: str) -> Iterator[str]:
    """Yield the words of a stretch of text: stems of English, pairs of Chinese signs."""
    if part == "#":
        yield part
    elif not part.isascii():
        yield from ([part] if len(part) == 1 else map("".join, pairwise(part)))
    elif part not in IDLE and part not in NEGATIONS:
        stem = _SAME_WORD.get(part) or _stem(part)
        if stem not in IDLE:
            yield stem


def _differs(left: Sentence, right: Sentence) -> str:
    """Return what two sentences promise differently, in words; empty: nothing we can tell."""
    if numbers := _numbers_apart(left, right):
        return "; ".join(f"“{a.text}” against “{b.text}”" for a, b in numbers)
    if (left.negations - right.negations) % 2:
        return "one says yes, the other no"
    return " against ".join(f"“{word}”" for word in _opposites(left, right))


def _opposites(left: Sentence, right: Sentence) -> list[str]:
    """Return a word of the left sentence and its opposite in the right, or nothing."""
    mine, other = left.words - right.words, right.words - left.words
    for word in mine:
        for opposite in OPPOSITES.get(word, ()):
            if opposite in other:
                return [word, opposite]
    return []


def _numbers_apart(left: Sentence, right: Sentence) -> list[tuple[Quantity, Quantity]]:
    """Pair the numbers of one kind that differ: by place if the words are the same ones."""
    a, b = left.numbers, right.numbers
    if left.order == right.order and [one.kind for one in a] == [one.kind for one in b]:
        return [(one, two) for one, two in zip(a, b, strict=True) if not same(one, two)]
    pairs, other = [], _lacking(b, a)
    for one in _lacking(a, b):
        if two := next((two for two in other if two.kind == one.kind), None):
            other.remove(two)
            pairs.append((one, two))
    return pairs


def _lacking(mine: Sequence[Quantity], other: Sequence[Quantity]) -> list[Quantity]:
    """Return which of my numbers the other side lacks."""
    return [a for a in mine if not any(a.kind == b.kind and same(a, b) for b in other)]


@dataclass(frozen=True)
class _Clash:
    """Two sentences that promise different things; `near`: they differ in nothing else."""

    left: Sentence
    right: Sentence
    reason: str
    near: bool


def _clashes(left: str, right: str) -> Iterator[_Clash]:
    for a, b, shared in _aligned(left, right):
        reason = _differs(a, b) if shared >= ALIKE_SENTENCE else ""
        if reason:
            yield _Clash(a, b, reason, _nothing_else(a, b))


def _names_apart(here: Sentence, there: Sentence, clash: _Clash) -> bool:
    """Say whether the sentences name what sets the conditions apart: silver and bronze members."""
    return bool(
        (here.words - there.words) & (clash.left.words - clash.right.words)
        and (there.words - here.words) & (clash.right.words - clash.left.words)
    )


def _aligned(left: str, right: str) -> Iterator[tuple[Sentence, Sentence, float]]:
    """Pair the sentences of two texts, most alike first; what is equal on both is left out."""
    mine, other = (sentences(text)[:MOST_SENTENCES] for text in (left, right))
    here = [read(text) for text in mine if text not in other]
    there = [read(text) for text in other if text not in mine]
    pairs = sorted(
        ((dice(a.words, b.words), i, j) for i, a in enumerate(here) for j, b in enumerate(there)),
        reverse=True,
    )
    taken: tuple[set[int], set[int]] = (set(), set())
    for shared, i, j in pairs:
        if shared and i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            yield here[i], there[j], shared


def _contains(left: Counter[str], right: Counter[str]) -> bool:
    """Say whether the words of one text are all in the other: nothing was exchanged."""
    return not (left - right and right - left)


def _nothing_else(left: Sentence, right: Sentence) -> bool:
    """Say whether two sentences are the same but for numbers, a "not" or one opposite."""
    exchanged = _opposites(left, right)
    mine, other = left.words - Counter(exchanged[:1]), right.words - Counter(exchanged[1:])
    return dice(mine, other) >= SAME_SENTENCE and _contains(mine, other)


def _contradiction(clashes: list[_Clash], closeness: float, *, same_situation: bool) -> Finding:
    first = max(clashes, key=lambda clash: clash.near)
    proven = same_situation and first.near
    texts = (first.left.text, first.right.text)
    return Finding("contradiction", proven, first.reason, *texts, closeness)


def _duplicate(left: str, right: str, closeness: float) -> Finding | None:
    mine, other = read(left), read(right)
    shared = dice(mine.words, other.words)
    if shared < DUPLICATE or _differs(mine, other):
        return None
    equal = SequenceMatcher(None, mine.text.split(), other.text.split()).ratio() == 1.0
    reason = "The answers are the same" if equal else f"{shared:.0%} of the words are the same"
    return Finding("duplicate", equal and closeness >= 1, reason + ".", left, right, closeness)
