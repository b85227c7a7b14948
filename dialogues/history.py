"""A conversation as the agent's next turn sees it: lines of the prompt, and what was agreed to."""

import re
from collections.abc import Sequence
from dataclasses import replace

from django.db.models import Case, Q, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Greatest

from agents.confirming import LEFT, Call, says_no, says_yes
from agents.prompting import LINES_SHOWN, Line, Rule
from agents.turning import rule_of
from dialogues.models import (
    Channel,
    Event,
    EventKind,
    Handover,
    Role,
    SubagentState,
    SummarySource,
    Turn,
    TurnUnit,
    brings_news,
)
from dialogues.senses.looking import SENSES, arguments_of, heard, in_words, is_evidence

QUESTION = re.compile(r"[?？吗]")
QUOTED = re.compile(r"“[^”]*”")  # what somebody else was asked: a call tells its questions so
COLLEAGUE = "colleague"  # the name under which the prompt tells what a person did
CUSTOMER_SAID = "Customer: "  # before the customer's words, in a summary from the log
# A job that somebody ended, which is no news: who did knows. Not one that looks at a file.
CANCELLED = Q(
    ~Q(data__name__in=list(SENSES.values())),
    kind=EventKind.JOB,
    data__state=SubagentState.CANCELLED,
    data__has_key="arguments",
)
SUMMARISED = Q(ended_handover__summary__gt="")  # a hand-back with words for the agent


def as_line(event: Event) -> Line:
    """Return one stored event as a line of the prompt; staff speak as the agent does.

    What a sub-agent brought reads as what a tool answered, and so does what a colleague did.
    """
    if event.kind == EventKind.CONTROL:
        handover = event.ended_handover
        did = {"did": handover.summary}
        heard_of = _is_hearsay(handover)
        return Line("tool", name=COLLEAGUE, result=did, is_summary=True, is_hearsay=heard_of)
    if said := heard(event):
        return Line("customer", said)
    if event.kind in (EventKind.ACTION, EventKind.JOB):
        data = event.data
        return Line(
            "tool",
            name=data["name"],
            arguments=arguments_of(event),
            result=data["result"] if "result" in data else {"error": data["detail"]},
            is_cancelled=data.get("state") == SubagentState.CANCELLED,
            is_customers=is_evidence(event),
            is_jobs=event.kind == EventKind.JOB and data["name"] not in SENSES.values(),
        )
    speaker = "customer" if event.role == Role.CUSTOMER else "agent"
    return Line(speaker, in_words(event), is_staff=event.role == Role.STAFF)


def _is_hearsay(handover: Handover) -> bool:
    """Say whether a summary tells what was said, and not in the words of the person who did it.

    A machine wrote it, or it quotes the customer: what customers claim would prove itself.
    """
    is_own = handover.summary_source == SummarySource.STAFF
    return not is_own or CUSTOMER_SAID in handover.summary


def told() -> Q:
    """Match the events that a prompt tells of, whoever they are from."""
    return Q(kind__in=[EventKind.MESSAGE, EventKind.ACTION]) | SUMMARISED


def lines_for(turn: Turn) -> list[Line]:
    """Return the dialogue as the turn's prompt shows it, oldest first, what it answers last.

    What came of this turn itself is left out: answered a second time, after a crash, it
    must see what it saw first. A message that came while another turn ran stands after
    that turn's reply, though its number is lower.
    """
    # What the agent said without a turn of ours is history that came with the conversation.
    came = turn.conversation.events.filter(role=Role.AGENT, turn=None, seq__lt=turn.asked_seq)
    history = came.order_by("-seq").values("seq")[:1]
    earlier_seq = turn.earlier.asked_seq if turn.earlier else 0
    answered = Greatest(Coalesce(Subquery(history), 0), earlier_seq)
    shown = (
        Event.objects.filter(
            Q(seq__lte=turn.asked_seq) | Q(turn__asked_seq__lt=turn.asked_seq),
            conversation=turn.conversation,
        )
        .filter(brings_news() | told() | CANCELLED)
        .annotate(is_asked=Case(When(brings_news(), then=Q(seq__gt=answered)), default=False))
        .select_related("ended_handover")
        .order_by("-is_asked", "-seq")[:LINES_SHOWN]
    )
    events = list(reversed(shown))
    lines = _with_news(events, earlier_seq)
    rules = _rested_on(events)
    return [
        replace(line, rules=tuple(rules.get(event.turn_id, ()))) if line.role == "agent" else line
        for event, line in zip(events, lines, strict=True)
    ]


def _rested_on(events: Sequence[Event]) -> dict[int | None, list[Rule]]:
    """Return by turn the rules that its reply cites, as they were then."""
    rules: dict[int | None, list[Rule]] = {}
    turns = {event.turn_id for event in events if event.role == Role.AGENT}
    cited = TurnUnit.objects.filter(turn__in=turns, cited=True).select_related("revision")
    for each in cited:
        rules.setdefault(each.turn_id, []).append(rule_of(each.revision))
    return rules


def _with_news(events: Sequence[Event], answered: int) -> list[Line]:
    """Return events as lines; what jobs brought is news until a turn or a person has spoken."""
    by_people = [event.seq for event in events if _is_by_person(event)]
    told, lines = max([answered, *by_people]), [as_line(event) for event in events]
    return [
        replace(line, is_news=line.is_jobs and not line.is_cancelled and event.seq > told)
        for event, line in zip(events, lines, strict=True)
    ]


def _is_by_person(event: Event) -> bool:
    """Say whether an event shows that a person has dealt with what came before it."""
    return event.role == Role.STAFF or (
        event.kind == EventKind.CONTROL and "owes" not in event.data
    )


def done_in(turn: Turn) -> list[Line]:
    """Return what calls told a process that died over this turn: none of them is made again."""
    if turn.attempts <= 1:
        return []
    made = turn.events.filter(kind=EventKind.ACTION)
    return [as_line(event) for event in made.order_by("seq")]


def is_retold(turn: Turn) -> bool:
    """Say whether a program retells the talk instead of naming its conversation.

    A question that it tells of was asked elsewhere: a yes here would be an answer to nothing.
    """
    conversation = turn.conversation
    if conversation.channel != Channel.API or turn.earlier is not None:
        return False
    return conversation.events.filter(role=Role.AGENT, turn=None).exists()


def answer_by(turn: Turn) -> tuple[Call, bool] | None:
    """Return the call that the customer was asked about and whether they agree, if they said so.

    That is where all they wrote after the question is a yes, or all of it a no. A yes with a file
    is none: what the file says is to be looked at before anything is done.

    The question stands while turns only tell what jobs brought. Not where the customer wrote
    while it was still being worded, or stopped what followed their yes; nor where a person has
    spoken since, or the agent has asked something else: then the yes may be an answer to that.
    """
    if turn.earlier is None:
        return None
    earlier = Turn.objects.before(turn)
    asking = earlier.filter(output__has_key="pending").last()
    if asking is None or asking.fence != turn.fence:
        return None
    messages = turn.conversation.events.filter(kind=EventKind.MESSAGE, seq__lte=turn.asked_seq)
    question = messages.filter(turn=asking, role=Role.AGENT).last()
    if question is None:
        return None  # all that this turn answers was written before it
    said = messages.filter(role=Role.CUSTOMER, seq__gt=asking.asked_seq)
    if said.filter(Q(seq__lt=question.seq) | Q(seq__lte=turn.earlier.asked_seq)).exists():
        return None  # it came before the question, or was answered with something else
    texts = list(said.values_list("text", flat=True))
    call = Call(**asking.output["pending"])
    brings_files = said.filter(data__has_key="attachments").exists()
    agreed = not brings_files and all(says_yes(text, call) for text in texts)
    declined = all(says_no(text, call) for text in texts)
    if not texts or agreed == declined or _is_void(question, messages):
        return None
    return call, agreed


def asked_about(turn: Turn) -> Call | None:
    """Return the call that the turn before asked about, or that was declined in it.

    Whatever became of that, the customer may still have it in mind: "no, I meant GW1002".
    """
    asking = turn.earlier
    if asking and asking.output.get("reply") in (LEFT, LEFT.zh):
        asking = asking.earlier
    if asking is None or asking.fence != turn.fence or "pending" not in asking.output:
        return None
    return Call(**asking.output["pending"])


def _is_void(question: Event, messages: QuerySet[Event]) -> bool:
    """Say whether the answer to a question was stopped, or the agent has put another since."""
    turns = Turn.objects.stopped().filter(conversation=question.conversation_id)
    if turns.filter(asked_seq__gt=question.seq).exists():
        return True
    newer = messages.filter(role=Role.AGENT, seq__gt=question.seq)
    texts = newer.values_list("text", flat=True)
    return any(QUESTION.search(QUOTED.sub("", text)) for text in texts)
