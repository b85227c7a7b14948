"""What a reply may take up of a customer's figures, without agreeing to them.

"You wrote that it took 2 hours" takes up; "Yes, delivery costs $2" agrees, and "you may return it
within 365 days" states terms: these need another source than the customer.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from agents.clauses import clauses, sentences
from agents.sources import Source
from agents.summing import Figures
from knowledge.quantities import Quantity

# What the customer said or did, in so many words.
_YOURS = re.compile(
    r"\b(you|customer)('d|'ve|'re)?( (have|had|did|would|were|are|just|also))*"
    r" (sa(y|id)|writ\w+|wrote|told|tell|mention\w*|describ\w+|report\w*|ask\w*|order\w*|bought"
    r"|paid|want\w*|like|wait\w*|received|got|sent|gave|mean|charged|wish\w*)\b"
    r"|\b(photo|picture|image|screenshot|receipt|invoice|file|document)s? (shows?|says?|reads?)\b"
    r"|您(说|想|要|提到|写|买|订|点|付|等|有|反映|希望|申请|收到)|(照片|图片|截图|小票)(上|显示)",
    re.IGNORECASE,
)
_HEARD = re.compile(
    r"\b(sorry|apolog\w+|thank\w*|understand|see|noted?|hear|regret|too long|far too"
    r"|have an?|enjoy)\b"
    r"|抱歉|对不起|谢谢|感谢|了解|明白|看到|收到|记下|确实",
    re.IGNORECASE,
)
_AGREES = re.compile(
    r"^\W*(yes|yeah|yep|right|correct|agreed|exactly|indeed|true|deal|absolutely|certainly)\b"
    r"|\b(agreed?|that's (right|correct|true)|that is (right|correct|true)|you('re| are) right"
    r"|(as|like) you (say|said|wrote))\b|^\W*[对是](的|[,，。]|$)|没错|正确|同意",
    re.IGNORECASE,
)
# What such a sentence says of us: prices, what is allowed, what will be.
_TERMS = re.compile(
    r"\b(costs?|price[ds]?|fees?|worth|takes?|valid|within|can|may|could|will|must|free"
    r"|discount|off|returns?|policy|opens?|clos(e|es|ed)|guarantee\w*|deliver(y|ed|s)? (is|costs?)"
    r"|you (have|get)|we (take|accept|offer|allow|deliver|charge|give))\b(?!')|'ll\b"
    r"|\b(is|are|be|'s) (only |just |about )?[$€£¥]|可以|能|内|有效|价|费|元|折|退",
    re.IGNORECASE,
)


# The customer's case, of which something is told: "for 3 miles it is …", "a $12 order would …".
_CASE = re.compile(r"^\W*(and |so |but )?(for|from|with) (about |your |only )?$", re.IGNORECASE)
_SINCE = re.compile(r"\W*(from|since) \w+\W*$", re.IGNORECASE)
_CASE_OF = re.compile(r" (order|basket|cart|purchase)\b", re.IGNORECASE)


class Echo:
    """Which figures of a sentence may be the customer's own."""

    def __init__(self, text: str, said: Sequence[Source]) -> None:
        self._text, self._said = text, list(said)
        self._clauses = list(clauses(text))
        self._starts = [start for start, _, _ in self._clauses]
        self.is_asked = any(is_asked for *_, is_asked in self._clauses)
        yours = [bool(_YOURS.search(clause)) for _, clause, _ in self._clauses]
        heard = any(yours) or bool(_HEARD.search(text))
        agrees = bool(_AGREES.search(text))
        no_terms = [not _TERMS.search(clause) for _, clause, _ in self._clauses]
        self._may_name = [not agrees and (yours[at] or no_terms[at]) for at in range(len(yours))]
        self._takes_up = [may and (yours[at] or heard) for at, may in enumerate(self._may_name)]

    def sources_at(self, quantity: Quantity) -> list[Source]:
        """Return the customer's words, if the figure at its place only takes them up."""
        place = bisect_right(self._starts, quantity.start) - 1
        is_asked = self._clauses[place][2]
        # A bare number is mostly a name, of an order or a house.
        is_named = quantity.kind == "number" and self._may_name[place]
        may = is_asked or is_named or self._takes_up[place] or self._is_case(quantity, place)
        return self._said if may else []

    def _is_case(self, quantity: Quantity, place: int) -> bool:
        before = self._text[self._starts[place] : quantity.start]
        stands_first = quantity.kind == "measure" and _CASE.search(before)
        return bool(stands_first or _CASE_OF.match(self._text, quantity.end))

    @property
    def sources_of_days(self) -> list[Source]:
        since = any(_SINCE.match(clause) for _, clause, _ in self._clauses)
        return self._said if since or any(self._takes_up) else []

    @cached_property
    def counts(self) -> list[Figures]:
        """How many the customer wants of something: what these cost may follow from a price."""
        return [
            Figures([term for term in each.figures.terms if term.kind == "number"])
            for each in self._said
        ]


def stated(text: str) -> str:
    """Return of the agent's own words what did not take up the customer's."""
    return " ".join(sentence for sentence in sentences(text) if not _takes_up_in(sentence))


def _takes_up_in(sentence: str) -> bool:
    asked = any(is_asked for *_, is_asked in clauses(sentence))
    return asked or bool(_YOURS.search(sentence) or _HEARD.search(sentence))
