"""A customer's no to being told things unasked, in words: set phrases, said and nothing else.

It is no model's to hear: what stands beside other words ("stop sending me cold food") is left to
the agent. Bare words ("STOP", 退订) count right after an unasked message alone, for elsewhere they
may be about anything; whole sentences of messages also later, to who was told something unasked.
"""

import re
from collections.abc import Sequence

from agents.actions import REPLY, DialogueAction
from agents.phrases import Phrase
from dialogues.models import (
    Conversation,
    EventKind,
    Outcome,
    ProactiveDecision,
    Role,
    Turn,
)
from dialogues.proactive import policies
from dialogues.proactive.customers import at_site

DONE = Phrase(
    "You will get no more messages that you did not ask for; I answer whenever you write.",
    zh="好的，以后不会再主动给您发送消息；您随时可以写信息给我。",
)

_NEWS = (
    r"(?:(?:any|these|those|this|that|such|the|your|all|more|of|other|further|kinds?|sorts?|unasked"
    r"|unasked-for|unsolicited|unwanted|proactive|automatic|automated) )*"
    r"(?:messages?|news|notifications?|updates?|alerts?|texts?|notices?)"
    r"(?: like (?:this|that|these))?"
)
_ABOUT = (
    r"(?: (?:about|on|for) (?:(?:my|this|that|these|the) )?(?:orders?|deliver(?:y|ies)|it|them"
    r"|this|that|purchases?))?"
)
# Each word one way only: two ways to read one multiply.
_END = r"(?: (?:again|any ?more|ever|at all|now|unasked|here|please|in (?:the )?future))*"
_WANTS = (
    rf"(?:please )?(?:do not|don't|never|stop|quit) (?:ever )?(?:send|sending) (?:me|us) {_NEWS}"
    rf"|(?:please )?(?:do not|don't|never) (?:message|text|notify) (?:me|us)(?: unasked)?"
    r"|(?:please )?(?:stop|quit) (?:messaging|texting|notifying|spamming)(?: (?:me|us))?"
    rf"|(?:please )?stop (?:with )?{_NEWS}"
    rf"|(?:please )?no (?:more|further|such|unasked|unsolicited|unwanted) {_NEWS}"
    rf"|(?:i|we) (?:do not|don't|never) (?:want|need|wish)(?: to (?:get|receive|see|have|hear))?"
    rf"(?: to be sent)? {_NEWS}"
    rf"|(?:please )?(?:unsubscribe|opt) (?:me )?(?:out )?(?:from|of) {_NEWS}"
    rf"|(?:please )?(?:turn|switch) off {_NEWS}"
)
_WANTS_ZH = (
    r"(?:请|麻烦)?(?:你们?|您)?(?:以后)?(?:别|不要|请勿|勿|不用|停止)(?:再)?(?:主动)?(?:给|向)?我?们?"
    r"(?:再)?(?:主动)?(?:发送?|推送?)(?:任何|这样的?|这种|这类|此类|这些)?(?:消息|信息|短信|通知|提醒)"
    r"|(?:我)?(?:以后)?(?:不想|不要|不愿|不需要)(?:再)?(?:收到?|接收|看到)?"
    r"(?:任何|这样的?|这种|这类|此类|这些)(?:消息|信息|短信|通知|提醒|推送)"
    r"|(?:请|我要|帮我)?(?:退订|关闭|取消)(?:所有|全部|这些|此类|这类)?(?:消息|信息|短信|通知|提醒|推送)"
)
_BARE = (
    r"(?:please )?(?:stop(?: all)?|unsubscribe(?: me)?|opt(?: me)? out|leave me alone"
    r"|(?:stop sending|do not send|don't send) (?:me )?(?:this|these|that|those))"
)
_BARE_ZH = (
    r"(?:我要|请|帮我)?(?:退订|取消订阅)|td|(?:请)?(?:别|不要)再?发了?"
    r"|(?:请)?(?:别|不要|勿)(?:再)?打扰(?:我)?|勿扰"
)
_COURTEOUS = r"please|thanks|thank you|thank you very much|ok|okay|hello|hi|谢谢|好的|你好|您好|请"
_BETWEEN = re.compile(r"[.,!;。，！；～~\n]| and ")
_WHOLE = re.compile(rf"(?:{_WANTS}){_ABOUT}{_END}|(?:{_WANTS_ZH})(?:了|啦|吧)*", re.IGNORECASE)
_SHORT = re.compile(rf"(?:{_BARE}){_END}|(?:{_BARE_ZH})(?:了|啦|吧)*", re.IGNORECASE)
_COURTESY = re.compile(_COURTEOUS, re.IGNORECASE)


def answer_for(turn: Turn, said: Sequence[str]) -> DialogueAction | None:
    """Opt out who says so, and nothing else, and confirm it; None: the agent answers."""
    text = "\n".join(said)
    if not declines(text, is_reply=True):
        return None
    chat = turn.conversation
    is_reply = _replies_to_news(turn)
    if not declines(text, is_reply=is_reply) or not (is_reply or _was_told(chat)):
        return None
    policies.opt_out(chat)
    return DialogueAction(REPLY, chat.say(DONE), "The customer wants no unasked messages")


def declines(text: str, *, is_reply: bool) -> bool:
    """Say whether a text says that no unasked messages are wanted, and nothing else.

    Args:
        is_reply: to an unasked message, so that a bare "stop" is to that.
    """
    parts = [" ".join(part.split()) for part in _BETWEEN.split(text.replace("’", "'"))]
    told = [part for part in parts if part and not _COURTESY.fullmatch(part)]
    wanted = (_WHOLE, _SHORT) if is_reply else (_WHOLE,)
    return bool(told) and all(any(each.fullmatch(part) for each in wanted) for part in told)


def _replies_to_news(turn: Turn) -> bool:
    """Say whether the last words to the customer were unasked, and no question of ours is open."""
    if turn.earlier is not None and "pending" in turn.earlier.output:
        return False
    words = turn.conversation.events.filter(kind=EventKind.MESSAGE, seq__lt=turn.asked_seq)
    last = words.exclude(role=Role.CUSTOMER).last()
    return last is not None and "proactive" in last.data


def _was_told(chat: Conversation) -> bool:
    """Say whether the customer was ever told something unasked."""
    if chat.events.filter(data__has_key="proactive").exists():
        return True
    told = ProactiveDecision.objects.filter(
        at_site(chat.site_id, "event__site"), customer_ref=chat.customer_ref, outcome=Outcome.SENT
    )
    return bool(chat.customer_ref) and told.exists()
