"""Simulated callees of several tempers: for trying the calling agent without a telephone.

They answer from a sheet of facts that the agent never sees, and are the same for the same
seed. They know what is asked by the longer words of a question alone, as in a noisy shop.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qs

from agents.subagents import GaveUp, Work
from agents.subagents.cards import Card, Fact
from agents.subagents.transports import FACTORIES, LocalTransport, Opened

SCHEME = "simulated"
PATIENCE_SECONDS = 0.5  # beyond their pace; silence comes quickly where nobody really thinks
SLOWEST_SECONDS = 10.0


class Temper(StrEnum):
    COOPERATIVE = "cooperative"
    TERSE = "terse"
    EVASIVE = "evasive"
    ANGRY = "angry"
    WRONG_NUMBER = "wrong_number"
    NO_ANSWER = "no_answer"
    TALKATIVE = "talkative"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sheet: the fact, and how this callee puts it."""

    fact: Fact
    answer: str

    @property
    def cues(self) -> set[str]:
        return set(re.findall(r"[a-z]{4,}|[\u4e00-\u9fff]", self.fact.question.lower()))


def make_sheet(facts: Sequence[Fact], seed: int, language: str = "en") -> list[Entry]:
    """Make up what a callee knows: an answer of the right kind for every fact."""
    dice = random.Random(f"sheet {seed}")  # noqa: S311 (not a secret)
    return [Entry(fact, _answer(fact, dice, language)) for fact in facts]


def _answer(fact: Fact, dice: random.Random, language: str) -> str:
    if fact.kind == "choice":
        return dice.choice(fact.choices)
    return dice.choice(ANSWERS[language][fact.kind])


ANSWERS = {
    "en": {
        "yes_no": ["Yes, we can", "Yes, no problem", "No, sorry"],
        "number": ["3", "5", "12"],
        "duration": ["10 minutes", "25 minutes", "40 minutes"],
        "money": ["$5", "$12.50", "$20"],
        "date": ["tomorrow", "Friday", "3 December"],
        "time": ["6 pm", "19:30", "7 pm"],
        "text": ["The oven broke down this morning", "The driver took the wrong bag"],
    },
    "zh": {
        "yes_no": ["可以的", "没问题", "不行"],
        "number": ["3", "5", "12"],
        "duration": ["10分钟", "25分钟", "40分钟"],
        "money": ["5元", "12元", "20元"],
        "date": ["明天", "后天", "12月3日"],
        "time": ["下午6点", "19:30", "晚上7点"],
        "text": ["早上烤箱坏了", "骑手拿错了袋子"],
    },
}
PHRASES = {
    "en": {
        "hello": "Yes, speaking.",
        "right": "Yes, that's right.",
        "bye": "Bye.",
        "more": "Anything else?",
        "evade": "Well, it depends.",
        "anger": "How dare you call now, we are sick of this!",
        "give_in": "Fine. {}. Are we done?",
        "wrong": "Sorry, you have the wrong number.",
        "chat": "Oh hello, lovely to hear from you. What a day, the whole street is closed.",
        "ramble": "You know, my sister asked the same. {}, I would say. And how are you?",
    },
    "zh": {
        "hello": "是的,请说。",
        "right": "对的。",
        "bye": "再见。",
        "more": "还有别的吗?",
        "evade": "这个要看情况。",
        "anger": "烦死了,太过分了!",
        "give_in": "行吧,{}。",
        "wrong": "您打错了。",
        "chat": "哎呀您好,今天街上都封路了。",
        "ramble": "刚才也有人问呢,{},差不多。您最近好吗?",
    },
}


@dataclass(slots=True)
class SimulatedCallee:
    """One callee; `answer` depends only on temper, seed and what was said before."""

    temper: Temper
    seed: int
    sheet: list[Entry]
    language: str = "en"
    heard: int = 0
    asked: dict[str, int] = field(default_factory=dict)

    def opens(self) -> Opened:
        return Opened.NO_ANSWER if self.temper == Temper.NO_ANSWER else Opened.ANSWERED

    def answer(self, said: str) -> str | None:
        """Return what they say to that, "" for silence, None when they hang up."""
        self.heard += 1
        says = PHRASES[self.language]
        if self.temper == Temper.WRONG_NUMBER:
            return says["wrong"]
        if re.search(r"\bgoodbye\b|再见", said, re.IGNORECASE):
            return None
        if re.search(r"to be sure|确认", said):
            return says["right"]
        entry = self._asked(said)
        if entry is None:
            return says["chat"] if self.temper == Temper.TALKATIVE else says["hello"]
        return self._tell(entry, says)

    def _tell(self, entry: Entry, says: dict[str, str]) -> str:
        times = self.asked.get(entry.fact.name, 0)
        first = not self.asked
        self.asked[entry.fact.name] = times + 1
        match self.temper:
            case Temper.EVASIVE if not times:
                return says["evade"]
            case Temper.ANGRY:
                return says["anger"] if first else says["give_in"].format(entry.answer)
            case Temper.TALKATIVE:
                return says["ramble"].format(entry.answer)
            case Temper.COOPERATIVE:
                return f"{entry.answer}. {says['more']}" if times else f"{entry.answer}."
        return entry.answer

    def _asked(self, said: str) -> Entry | None:
        """Return what is asked for: the line of the sheet that shares most words with it."""
        if not re.search(r"[?？]", said):
            return None
        words = said.lower()
        counts = [(sum(cue in words for cue in entry.cues), entry) for entry in self.sheet]
        best, entry = max(counts, key=lambda pair: pair[0])
        return entry if best and best * 2 >= len(entry.cues) else None


def callee_for(card: Card, address: str) -> SimulatedCallee:
    """Return the callee that an address asks for: "simulated:terse?seed=3".

    Raises:
        GaveUp: no such temper.
    """
    temper, _, query = address.partition(":")[2].partition("?")
    seed = parse_qs(query).get("seed", ["0"])[0]
    if temper not in set(Temper) or not seed.isdecimal():
        raise GaveUp(f"Nobody simulated is {temper}.")
    sheet = make_sheet(card.facts, int(seed), card.language)
    return SimulatedCallee(Temper(temper), int(seed), sheet, card.language)


def pace_of(address: str) -> float:
    """Return the seconds that a callee thinks before answering: "simulated:terse?pace=2"."""
    pace = parse_qs(address.partition("?")[2]).get("pace", ["0"])[0]
    return min(float(pace), SLOWEST_SECONDS) if re.fullmatch(r"\d+(\.\d+)?", pace) else 0.0


def _line_to(work: Work, card: Card) -> LocalTransport:
    callee, pace = callee_for(card, card.address), pace_of(card.address)
    return LocalTransport(callee, work.lines, patience=PATIENCE_SECONDS + pace, pace=pace)


FACTORIES[SCHEME] = _line_to
