"""Passages of a rule that speak to a machine, or hide from a reader. Knows nothing of Django.

A rule's text goes into a model's prompt. These patterns find what has no business in one;
they are a hint for the people who read it, and never block. What they find was chosen on
public collections of prompt injections (Giskard, garak, BIPIA).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

MOST_FLAGS = 8  # of one text; by then it is clear
SHOWN = 80  # characters of a passage

_WORD = r"\W+(?:\w+\W+){0,4}?"  # up to four words between two
PATTERNS = {
    "HTML or script": r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|<!--|javascript:|\bon\w+\s*=\s*[\"']",
    "Markdown that loads an image": r"!\[[^\]]*\]\(\s*(?:https?:|data:|<)",
    "Template or shell code": r"\{\{.{1,200}?\}\}|\{%.{1,200}?%\}|\$\(.{1,200}?\)|"
    r"\bimport os\b|\bos\.system\b|"
    r"\bsubprocess\.|\b(?:eval|exec)\(|['\"];?\s*(?:or\s+1\s*=\s*1|drop\s+table|insert\s+into|"
    r"shutdown)\b|;\s*drop\s+table\b|\bunion\s+select\b",
    "Mark of a role in a prompt": r"(?:^|\n)[ \t]*(?:#+[ \t]*)?"
    r"(?:system|assistant|user|human|developer|ai)\s*(?:prompt|message|instruction)?\s*:|<\|[a-z_]+\|>|\[/?(?:INST|SYS|SYSTEM)\]|"
    r"<</?SYS>>|\[\s*(?:system|admin)\b[^\]]*\]|(?<!#)#{2,}\s*(?:instructions?|system)\b",
    "Orders to a model": rf"\b(?:ignore|disregard|forget|override|bypass|neglect){_WORD}"
    r"(?:instructions?|prompts?|rules?|guidelines|directions|everything|above|previous|"
    r"restrictions|filters?|programming|directives?)\b"
    rf"|\b(?:reveal|print|repeat|show|output|display|leak|tell me|give me|what(?:'s| is| are))"
    rf"{_WORD}(?:system (?:prompt|message|configuration)|"
    r"(?:your|starting|initial|hidden|original|secret|above|previous) "
    r"(?:instructions?|prompt|text|words))\b"
    r"|\bsystem[ _]prompt\b|\b(?:your|my) (?:initial |starting )?instructions are\b"
    r"|\b(?:your|my) initial instructions\b|\bstop everything\b|\bnew instructions?\s*:"
    r"|\b(?:developer|god|dan|jailbreak|debug) mode\b"
    r"|\bdo anything now\b|\bjailbr(?:eak|oken)\b"
    r"|\b(?:modify|enhance|integrate|scramble|misspell|anagram|render|encode)\b[^.\n]{0,90}"
    r"\byour (?:answer|reply|response|message)\b",
    "Another role for a model": r"\byou are (?:now|no longer|going to)\b|\bfrom now on,? you\b|"
    rf"\b(?:pretend|act|roleplay|role-play|behave|respond|answer){_WORD}as (?:an?|if|though)\b|"
    r"\b(?:pretend|act as) (?:to be|you|an? )|\b(?:AI|language|chatbot|evil) "
    r"(?:model|confidant|assistant|bot)\b|\b(?:un(?:filtered|restricted|censored)|amoral)\b",
    "Orders to a model, in Chinese": r"忽略.{0,12}(?:指令|提示|规则|要求)"
    r"|无视.{0,12}(?:指令|提示|规则|要求)|"
    r"系统提示词?|你现在是|从现在开始,?你",
}
COMPILED = {label: re.compile(pattern, re.IGNORECASE) for label, pattern in PATTERNS.items()}
HIDDEN = "Invisible or direction-changing characters"
ENCODED = "A long stretch of encoded text"
_BLOB = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}|(?:[0-9a-fA-F]{2}[\s:]?){40,}|(?:\\x[0-9a-f]{2}){8,}")
# Joiners that Persian, Indic scripts and emoji need.
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Flag:
    """A suspicious passage: what it looks like, and the words."""

    label: str
    passage: str


def flags(text: str) -> list[Flag]:
    """Return what in a text looks addressed to a machine, in no more than MOST_FLAGS."""
    return list(islice(_found(text), MOST_FLAGS))


def _found(text: str) -> Iterator[Flag]:
    if hidden := sorted({char for char in text if _is_hidden(char)}):
        names = (unicodedata.name(char, f"U+{ord(char):04X}") for char in hidden)
        yield Flag(HIDDEN, ", ".join(names)[:SHOWN])
    # Full-width and other look-alike letters read as what they look like.
    plain = "".join(char for char in unicodedata.normalize("NFKC", text) if not _is_hidden(char))
    for label, pattern in COMPILED.items():
        if match := pattern.search(plain):
            yield Flag(label, match[0].strip()[:SHOWN])
    if match := _BLOB.search(plain):
        yield Flag(ENCODED, match[0][:SHOWN])


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) == "Cf" and char not in _JOINERS
