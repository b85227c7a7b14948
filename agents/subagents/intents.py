"""What a callee does with a question besides answering it. Word lists, English and Chinese.

They know set phrases only; whatever they miss counts as an answer that could not be read.
"""

import re

WRONG_NUMBER = "wrong_number"
NEVER = "never_again"
REFUSAL = "refusal"
BUSY = "busy"
ANGRY = "angry"
WHO = "who"
UNKNOWN = "unknown"
CONFUSED = "confused"
GOODBYE = "goodbye"

# In this order: who is angry about a wrong number has a wrong number.
_PHRASES = {
    # Of "not again today" only the day is meant.
    NEVER: r"\b(don't|do not|never|not to) (ever )?(call|phone|ring)"
    r"( (me|us|here|back|this number))?( ever)? (again|any ?more)\b"
    r"(?! (today|tonight|tomorrow|before|until|this|so|at|on|in)\b)|"
    r"\bnever (call|phone|ring) (me|us|here|this number)\b|\bstop (calling|phoning|ringing)\b|"
    r"\b(take|remove|delete) (me|us|(this|my|our) number) (off|from)\b|do[- ]not[- ]call list|"
    r"(不要|别|不许|不准)再(给我|给我们)?打|以后(都)?(不要|别)(给我|给我们)?打",
    WRONG_NUMBER: r"wrong number|no such (shop|place|restaurant|person)|nobody (here )?by that|"
    r"this is not the|you('ve| have) (got|reached|dialled|dialed) the wrong|打错|没有这个人",
    ANGRY: r"leave (me|us) alone|how dare|ridiculous|sick of|waste of time|fed up|"
    r"are you kidding|damn|what the hell|烦死|滚|太过分",
    REFUSAL: r"(can't|cannot|can not|won't|will not|not going to|not allowed to|rather not|"
    r"don't want to) (tell|say|give|share|answer|discuss|talk)|none of your business|"
    r"no comment|not interested|why should i|(that's|that is) confidential|"
    r"i('d| would) rather not|不方便说|不能告诉|不想说|无可奉告|没兴趣",
    BUSY: r"(call|try|ring) (me |us |again |back )*(later|again|tomorrow|back)|i'm (very )?busy|"
    r"(not|bad) (a good )?time|in a meeting|在忙|晚点再|待会再|一会儿再打",
    WHO: r"who('s| is| are) (this|you|calling|speaking)|are you a (robot|machine|bot|computer)|"
    r"is this a (robot|machine|recording)|哪位|你是谁|机器人",
    UNKNOWN: r"(don't|do not|couldn't|can't really) know|no idea|not sure|hard to say|"
    r"couldn't say|it depends|不知道|不清楚|说不好|看情况",
    CONFUSED: r"^(what|pardon|sorry|huh|excuse me|come again)\b[^.!]{0,20}\?|say that again|repeat|"
    r"didn't (catch|get|hear)|什么意思|再说一遍|没听清",
    GOODBYE: r"^(ok(ay)?[,.! ]*)?(bye|goodbye|good bye|see you)\b|再见|拜拜",
}
_INTENTS = {name: re.compile(words, re.IGNORECASE) for name, words in _PHRASES.items()}


def of(text: str) -> str:
    """Return the intent of a callee's words, "" for an answer."""
    text = text.strip().replace("’", "'")
    return next((name for name, words in _INTENTS.items() if words.search(text)), "")
