"""What belongs to any talk, whatever it is about: a greeting, a wish for a person, a farewell.

Seen by set phrases that are said and nothing else, so that no model is needed: a small one
answered "你好" by passing on to a colleague.
"""

import re
from collections.abc import Sequence

from agents.actions import CLARIFY, CLOSE, HANDOFF, REPLY, DialogueAction
from agents.clauses import DENIES
from agents.confirming import LEFT
from agents.finding import asks_for_one
from agents.phrases import Phrase
from agents.turning import Running

COLLEAGUE = Phrase("I'm passing you to a colleague.", zh="正在为您转接人工同事。")
WELCOME = Phrase("Hello! How can I help you?", zh="您好！请问有什么可以帮您？")
ANYTHING_ELSE = Phrase("What else can I do for you?", zh="还有什么可以帮您？")
GOODBYE = Phrase("Thank you for writing. Goodbye!", zh="感谢您的来信，再见！")
ON_IT = Phrase(
    "I'm still on it, and write to you here as soon as I know more.",
    zh="我还在处理，一有消息就在这里写给您。",
)
# What may be asked and left unanswered.
_OPEN = tuple(text for each in (WELCOME, ANYTHING_ELSE, LEFT) for text in (str(each), each.zh))
NEAR = 8  # characters before a wish in which a "don't" belongs to it
_PEOPLE = (
    r"(?:(?:real |live |actual )?(?:humans?(?: (?:being|agent|help|support))?|person|people|agent)"
    r"|representative|operator|(?<!my )(?<!our )colleague)\b(?!-)"
)
_PERSON = re.compile(
    rf"\b(?:(?:want|need|like|wish) to )?(?:talk|speak|chat)\b[^.?!,;]{{0,30}}\b{_PEOPLE}"
    r"|\b(?:connect|transfer|put|pass)(?: me)?(?: (?:to|with|through|over)){0,2}"
    rf" (?:an? |the )?{_PEOPLE}"
    # Who is wanted stands next to the wish, and nothing about them follows.
    r"|\b(?:want|need|like|(?:get|give) me)(?: to have)? (?:an? |the |some |any )?"
    rf"{_PEOPLE}"
    r"(?=\W*(?:$|[.?!,;]|(?:please|pls|now|right now|here|instead|asap|not|from your|on the line"
    r"|(?:to|who can|that can) (?:help|talk|speak|call))\b))"
    r"|^\W*(?:human|person|agent|operator|representative)(?: please)?\W*$"
    r"|(?:人工|真人)(?=$|\W|客服|服务|坐席|谢谢|吧|来|帮|处理|回答|在|吗|呢|啊|呀)",
    re.IGNORECASE,
)
# A farewell and nothing else: "Bye bye baby toy set missing" is a complaint.
_BYE = re.compile(
    r"(\W|\b(ok(ay)?|no|all ?right|great|perfect|fine|got it|thanks?|thank you|thx|ty|cheers"
    r"|so much|very much|a lot|then|for now|all|have a (nice|good) (day|one)|that's all|that is all"
    r"|see you( soon| later)?|good ?bye|bye|good ?night)(?!\w)"
    r"|再见|谢谢(您|你)?|感谢|辛苦(您|你)?了|拜拜|没有了|不用了|没事了|好的?)*",
    re.IGNORECASE,
)
_LEAVES = re.compile(
    r"\b(bye|good ?bye|good ?night|see you|that's all|that is all)\b|再见|拜拜", re.I
)
_THANKS = re.compile(
    r"\b(thanks?|thank you|thx|ty|cheers)\b|谢谢|感谢|辛苦|没有了|不用了|没事了", re.I
)
_ASKS = re.compile(r"[?？]")
_HELLO = (
    r"hi+|hello|hey+|hiya|greetings|good (?:morning|afternoon|evening|day)"
    r"|(?:is )?any(?:one|body) (?:there|here)|are you (?:there|here)"
)
_HELLO_ZH = (
    r"(?:[您你]|大家|(?:早上|上午|中午|下午|晚上))好[啊呀]?|早安|哈[喽啰]|嗨"
    r"|[您你]?在(?:吗|么|不在)|有人(?:在)?[吗么]|客服|亲"
)
# With who greets perhaps, and nothing else: "Hi, Maya here", not "hi, it's Broken".
_NAME = r"(?-i:[A-Z][a-z]+)"
_GREETS = re.compile(
    rf"(?:(?:{_HELLO})(?!\w)|{_HELLO_ZH})"
    rf"(?:[\s,.!?~，。！？～]+(?:(?:{_HELLO}|there|again|all|everyone|team)(?!\w)|{_HELLO_ZH})|{_HELLO_ZH})*"
    rf"(?:[\s,.!]+(?:my name is {_NAME}|(?:(?:it's|this is|i'm|i am) )?{_NAME} here))?"
    r"[\s,.!?~，。！？～👋😊🙂]*",
    re.IGNORECASE,
)


def asks_for_person(said: Sequence[str]) -> bool:
    """Say whether customers, with all these messages, ask for a person."""
    text = " ".join(said).replace("’", "'")
    person = _PERSON.search(text)
    return bool(person and not DENIES.search(text[max(person.start() - NEAR, 0) : person.end()]))


def of_the_talk(turn: Running, said: Sequence[str]) -> DialogueAction | None:
    """Return how the talk goes on where the customer says so: with a person, or not at all."""
    if asks_for_person(said):
        return DialogueAction(HANDOFF, turn.say(COLLEAGUE), "The customer asked for it")
    text = " ".join(said).replace("’", "'")
    if len(said) == 1 and _LEAVES.search(text) and takes_leave(text):
        return parting(turn, DialogueAction(CLOSE, turn.say(GOODBYE), "The customer takes leave"))
    return None


def takes_leave(text: str) -> bool:
    """Say whether a message is a farewell or thanks, and nothing else."""
    text = text.replace("’", "'")
    says_so = _LEAVES.search(text) or _THANKS.search(text)
    return bool(says_so and _BYE.fullmatch(text)) and not _ASKS.search(text)


def parting(turn: Running, close: DialogueAction) -> DialogueAction:
    """Return how a talk ends: not yet, where what was begun for it brings news here."""
    if not turn.context.at_work:
        return close
    return DialogueAction(REPLY, turn.say(ON_IT), "What was begun goes on")


def _is_open(text: str) -> bool:
    """Say whether a line of ours waits for an answer."""
    return asks_for_one(text) or bool(_ASKS.search(text) and not text.endswith(_OPEN))


def greets(said: Sequence[str]) -> bool:
    """Say whether messages greet and say nothing else."""
    return all(_GREETS.fullmatch(text.strip().replace("’", "'")) for text in said)


def greeted(turn: Running, said: Sequence[str]) -> DialogueAction | None:
    """Return a greeting to who greets and says nothing else, if no question of ours is open."""
    if not greets(said):
        return None
    told = [line for line in turn.lines if line.role == "agent"]
    if told and (told[-1].is_staff or _is_open(told[-1].text)):
        return None
    if turn.context.at_work:
        return DialogueAction(REPLY, turn.say(ON_IT), "What was begun goes on")
    return DialogueAction(CLARIFY, turn.say(WELCOME), "The customer greets")
