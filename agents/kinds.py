"""By what words promises are known: a refund, compensation, a call, a cancellation and the like."""

import re

KINDS = {
    "refund": r"refund|reimburs|money back|pay(ing)? you back|退款|退钱|退还|返还",
    "compensation": r"compensat|voucher|coupon|discount|gift card|free of charge|goodwill|\bcredit"
    r"|\bwaive|赔偿|补偿|赔付|优惠券|代金券|红包|减免|免单",
    "call": r"call(s|ing)? you|call(ed)? back|callback|phone you|ring you"
    r"|回电|致电|打电话给您|给您打电话",
    "cancellation": r"cancel|取消",
    "replacement": r"replace|reship|re-send|resend|new one|exchang|换货|补发|重发|重新发",
    "guarantee": r"guarantee|\bi promise|we promise|保证|承诺|包赔",
}
KIND_WORDS = {name: re.compile(words, re.IGNORECASE) for name, words in KINDS.items()}
# What agents say for the same besides; of customers' words these would be too wide.
_SAID_FOR = {
    "refund": r"\b(your|the|all) money\b|\b(pay|paid|paying|cash|price|amount|cent) (\w+ )?back\b"
    r"|\b(price|amount|sum) (\w+ ){0,2}goes back\b|\brevers\w+ (the|your) charge\b"
    r"|\b(the|your) charge (will |is going to )?(disappears?|vanish\w*|goes away)\b"
    r"|退[给到至您]|全额退|原路(返回|退)|退.{0,3}钱|钱.{0,3}退|返现",
    "compensation": r"\bon the house\b|\bno (extra )?(charge|cost)\b|\bhalf (off|price)\b"
    r"|\bfree for life\b|\b(won't|will not|not) be charged\b"
    r"|\b(won't|will not|don't|do not|needn't|need not) (have to |need to )?pay\b"
    r"|\bwe('ll| will)? (cover|pay for|take over) (the|all|your)\b|\bpay nothing\b"
    r"|送您|打?[一二三四五六七八九\d.]+折|免(配送|运|邮|服务|手续)费|包邮",
    "call": r"\b(reach out to|get back to|be in touch with|contact|(?<!the )(?<!an )e-?mail) you\b"
    r"|\bwill phone\b|联系您",
    "replacement": r"\b(send|bring|make|get|give|cook|ship)\w* (you )?(another|a new|a fresh) "
    r"(?!courier|driver|rider|colleague|person|link|code|e-?mail|message|password|number|photo)"
    r"|\b(another|a new|a fresh) (\w+ ){1,3}is being\b",
}
CLAIMED = {
    name: re.compile("|".join(filter(None, (words, _SAID_FOR.get(name)))), re.IGNORECASE)
    for name, words in KINDS.items()
}
CLAIMED["gift"] = re.compile(
    r"\b(is|are|be|comes?|completely|entirely) (all |now )?free\b(?! (to|until)\b)"
    r"|\bis on (us|me)\b|免费|我们请客|不收您?钱",
    re.IGNORECASE,
)
# By what sources name the same: "Plus gives free delivery" says that delivery is free.
NAMED = CLAIMED | {
    "gift": re.compile(rf"{CLAIMED['gift'].pattern}|\bfree\b|\bno (extra )?(charge|cost)", re.I)
}
# What the customer wants, or what the talk is about, is named and not promised.
TAKES_UP = re.compile(
    r"\b(you|customer)('d| would|'re| are|'ve| have)? (\w+ )?"
    r"(want|like|wish|ask|need|request|mean)\w*\b"
    r"|\b(regarding|concerning|about (your|the|this|that|a)|question|help (you )?with|whether|if)\b"
    r"|\b(trouble|problem|issue|delay|wait|mix-?up|confusion|error|mistake|difficulty)s? "
    r"(\w+ )?(with|of|on|for|in|around) (your|the|this|that|a) (\w+ )?$"
    r"|\bsorry (for|about) (your|the|this|that) (\w+ )?$"
    r"|^\W*(in order )?to (\w+ ){0,2}$"
    r"|您(想|要|说|希望|申请)|关于|是否|如果|若|[能可]否|([能可])不\S",
    re.IGNORECASE,
)
# "Your refund question", "the refund policy": no refund is promised by naming them.
ABOUT = re.compile(
    r"^\w{0,6} (question|request|enquir|inquir|case|issue|problem|ticket|polic|rule|form|page)"
    r"\w*\b|^[的]?(问题|政策|规则|申请)",
    re.IGNORECASE,
)
# What we are able to do is no promise that we do it: "I can look up, cancel and refund orders."
CAN = re.compile(
    r"^\W*(here,? |yes,? )?(i|we)( can|'m able to| am able to)( also| help( you)?( with| to)?)?\b"
    r"(?!.*\b(you|your|it|its|this|that|them|the)\b)|^\W*我(们)?(可以|能)(?!.*[您这那])",
    re.IGNORECASE,
)
