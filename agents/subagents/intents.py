"""What a callee does with a question besides answering it. Word lists, English and Chinese.

They know set phrases only; whatever they miss counts as an answer that could not be read. What
binds us most, never to call again, is known in a few more languages.
"""

import re

WRONG_NUMBER = "wrong_number"
NEVER = "never_again"
UNWANTED = "unwanted"
REFUSAL = "refusal"
BUSY = "busy"
WAIT = "wait"
ANGRY = "angry"
WHO = "who"
UNKNOWN = "unknown"
CONFUSED = "confused"
LANGUAGE = "another_language"
GOODBYE = "goodbye"

# Beside these somebody may name a figure: "20 minutes, damn it", "no need to call back, 5 pm".
BESIDE_FIGURES = (ANGRY, UNWANTED, GOODBYE)
DELAYS = (BUSY, WAIT)  # a figure may be of the delay, as in "call back in 10 minutes"

_CALL = r"(call|phone|ring|telephone|contact|text|message|dial)(ing)?"
_US = r"(me|us|here|this number|our number|again|ever|any ?more)"
_MUST_NOT = (
    r"\b(don't|do not|must not|mustn't|should not|shouldn't|never|not to|stop|quit|"
    r"don't want you to)( you| please| ever| again)*"
)
_NEED_NOT = r"\b(no need to|need not|needn't|(don't|do not) (need|have) to)"
# Of "not again today" only the day is meant.
_DAYS = "today|tonight|tomorrow|now|before|until|till|while|during|this|so|at|on|in"
_FOR_GOOD = rf"(?! ({_US}|back|{_DAYS})\b)"
_ZH_DO_NOT = r"(不要|不用|不必|别|勿|不许|不准|不想)"
_ZH_CALL = r"(打(?=了|来|过来|电话|这|给|扰|$|[,.!。])|来电|致电|联系|骚扰|打扰)"

# In this order: who is angry about a wrong number has a wrong number.
_PHRASES = {
    NEVER: rf"{_MUST_NOT} {_CALL}( {_US})+\b{_FOR_GOOD}|"
    r"\b(stop|quit|no more|not want any more) (these |your )?(calls|calling|phoning|ringing)\b|"
    r"n[o']t (want|wish) to be (called|phoned|contacted)\b|\byou not to (call|phone|ring)\b|"
    r"\bunsubscribe\b|"
    r"\b(take|remove|delete) (me|us|(this|my|our) number) (off|from)\b|do[- ]not[- ]call list|"
    rf"(?<!今天)(?<!现在)(?<!明天){_ZH_DO_NOT}(再|老|一直)?(给我们?|跟我们?|和我们?)?{_ZH_CALL}|"
    r"\bno (me |nos )?(vuelvan?|vuelvas) a llamar|\bno (me|nos) llam\w+ m[aá]s|\bdejen? de llamar|"
    r"\bne (m'|nous |me )?(r?appele[zr]|téléphonez) (plus|jamais)|\barrêtez d'appeler|"
    r"\b(nie|nicht) (wieder|mehr)( hier| bei uns)? anrufen|\bkeine anrufe mehr|"
    r"\brufen sie( hier| uns| mich| bei uns)* (nie|nicht) (wieder|mehr)( hier)? an\b",
    # "The driver had the wrong number" is about somebody else.
    WRONG_NUMBER: r"^(?!.*\b(customer|driver|courier|rider|he|she|they)\b).*wrong number|"
    r"no such (shop|place|restaurant|person)|nobody (here )?by that|\bmisdial|"
    r"this is not the (right )?(shop|place|restaurant|person|number|company)|"
    r"you('ve| have) (got|reached|dialled|dialed|come to) the wrong|"
    r"\byou (want|need|mean)\b.*\b(next door|down the (road|street))|"
    r"打错(?!字)|找错|没有这个人|没有这家|不是(这|那)(家|个)店|我们不是.{1,8}店",
    # "No need to call back": in doubt nobody is called again, and people decide.
    UNWANTED: rf"({_MUST_NOT}|{_NEED_NOT}) {_CALL}( {_US}| back|\s*($|[,.!;]))|"
    rf"{_ZH_DO_NOT}.{{0,4}}{_ZH_CALL}",
    ANGRY: r"leave (me|us) alone|how dare|ridiculous|sick of|waste of time|fed up|"
    r"are you kidding|damn|what the hell|烦死|滚|太过分",
    REFUSAL: r"(can't|cannot|can not|won't|will not|not going to|not allowed to|rather not|"
    r"don't want to) (tell|say|give|share|answer|discuss|talk)|none of your business|"
    r"no comment|not interested|why should i|(that's|that is) confidential|"
    r"i('d| would) rather not|不方便说|不能告诉|不想说|无可奉告|没兴趣",
    BUSY: r"(call|try|ring) (me |us |again |back )*(later|again|tomorrow|back)|"
    r"i'm (very |a bit )?busy|not a (good|great) time|(a )?bad time|in a meeting|"
    r"在忙|晚点再|待会再|一会儿?再(打|说)|回头再(打|说)",
    WAIT: r"(one|just a|wait a|a) (moment|second|sec)\b(?! ago)|(one|a) minute,? please|"
    r"(just|wait) a minute|\b(hold|hang) on\b|^(please )?wait\b|bear with me|"
    r"let me (just )?(check|see|ask|look|think|find)|(i'll|i will) (check|ask|go and|find out)|"
    r"give me (just )?(a|an|one|two|five|ten|\d+) (moment|minute|second|sec)|be right (back|with)|"
    r"稍等|等一下|等一会|等等|等下|我(先|去)?(看看|看一下|查一下|问一下|问问)",
    WHO: r"who('s| is| are) (this|you|calling|speaking)|are you a (robot|machine|bot|computer)|"
    r"is this a (robot|machine|recording)|哪位|你是谁|机器人",
    UNKNOWN: r"(don't|do not|couldn't|can't really) know|no idea|not sure|hard to say|"
    r"couldn't say|it depends|不知道|不清楚|不确定|不一定|说不好|看情况",
    CONFUSED: r"^(what|pardon|sorry|huh|excuse me|come again)\b[^.!]{0,20}\?|say that again|"
    r"(can|could) you repeat|repeat that|(can't|cannot|can not|can hardly|couldn't) hear|speak up|"
    r"i (didn't|don't|couldn't) (quite )?(catch|get|hear|understand)|"
    r"什么意思|再说一遍|没听清|听不清|听不见|听不到",
    LANGUAGE: r"\bno (hablo|entiendo)|\bje ne (parle|comprends)|"
    r"\bich (spreche|verstehe) (kein|nicht)|\bnon (parlo|capisco)|\bnão (falo|entendo)|"
    r"\b(don't|not|no) (speak )?(any )?english\b|"
    r"听不懂|不会(说|讲)?(英|中)(语|文)",
    GOODBYE: r"^(ok(ay)?[,.! ]*)?(bye|goodbye|good bye|see you)\b|再见|拜拜",
}
_INTENTS = {name: re.compile(words, re.IGNORECASE) for name, words in _PHRASES.items()}


def of(text: str) -> str:
    """Return the intent of a callee's words, "" for an answer."""
    text = text.strip().replace("’", "'")
    return next((name for name, words in _INTENTS.items() if words.search(text)), "")


def begins_with_no(text: str) -> bool:
    return re.match(r"\s*((no(?! problem| worries)|nope|nah)\b|不是)", text, re.I) is not None


def denies(text: str, name: str) -> bool:
    """Say whether somebody says that they are not of this name, or that nobody there is."""
    text, name = text.replace("’", "'"), re.escape(name)
    denied = (
        rf"\b(not|isn't|aren't) (the |called |from )?{name}\b(?!'s)|"
        rf"\b(there's|there is|there are|have|know) no {name}\b|\bno {name} here\b|"
        rf"{name} is (next door|down the|the (shop|place) next)|(不是|没有|不叫){name}"
    )
    return re.search(denied, text, re.IGNORECASE) is not None
