"""A conversation as the agent's next turn sees it: lines of the prompt, and what was agreed to."""

from django.db.models import Max, Q

from agents.confirming import Call, says_yes
from agents.prompting import LINES_SHOWN, Line
from dialogues.models import Event, EventKind, Role, Turn, asks_for_answer
from dialogues.senses.looking import arguments_of, heard, in_words

COLLEAGUE = "colleague"  # the name under which the prompt tells what a person did
SUMMARISED = Q(ended_handover__summary__gt="")  # a hand-back with words for the agent


def as_line(event: Event) -> Line:
    """Return one stored event as a line of the prompt; staff speak as the agent does.

    What a sub-agent brought reads as what a tool answered, and so does what a colleague did.
    """
    if event.kind == EventKind.CONTROL:
        did = {"did": event.ended_handover.summary}
        return Line("tool", name=COLLEAGUE, result=did)
    if said := heard(event):
        return Line("customer", said)
    if event.kind in (EventKind.ACTION, EventKind.JOB):
        data = event.data
        return Line("tool", name=data["name"], arguments=arguments_of(event), result=data["result"])
    speaker = "customer" if event.role == Role.CUSTOMER else "agent"
    return Line(speaker, in_words(event), is_staff=event.role == Role.STAFF)


def told() -> Q:
    """Match the events that a prompt tells of, whoever they are from."""
    return Q(kind__in=[EventKind.MESSAGE, EventKind.ACTION]) | SUMMARISED


def lines_for(turn: Turn) -> list[Line]:
    """Return the dialogue as the turn's prompt shows it, oldest first, what it answers last.

    What came of this turn itself is left out: answered a second time, after a crash, it
    must see what it saw first. A message that came while another turn ran stands after
    that turn's reply, though its number is lower.
    """
    earlier = Turn.objects.before(turn).last()
    # What the agent said without a turn of ours is history that came with the conversation.
    came = turn.conversation.events.filter(role=Role.AGENT, turn=None, seq__lt=turn.asked_seq)
    history_seq = came.aggregate(seq=Max("seq"))["seq"] or 0
    answered_seq = max(history_seq, earlier.asked_seq if earlier else 0)
    others = (
        Event.objects.filter(
            Q(seq__lte=turn.asked_seq) | Q(turn__asked_seq__lt=turn.asked_seq),
            conversation=turn.conversation,
        )
        .filter(asks_for_answer() | told())
        .select_related("ended_handover")
    )
    asked = asks_for_answer() & Q(seq__gt=answered_seq)
    before = others.exclude(asked).order_by("-seq")[:LINES_SHOWN]
    shown = [*reversed(before), *others.filter(asked).order_by("seq")]
    return [as_line(event) for event in shown[-LINES_SHOWN:]]


def confirmed_by(turn: Turn) -> Call | None:
    """Return the call that the turn before asked about, if what the customer wrote is a yes.

    Not where a person has spoken since: then the yes may be an answer to that person.
    """
    before = Turn.objects.before(turn).last()
    pending = before.output.get("pending") if before else None
    if before is None or not pending or before.fence != turn.fence:
        return None
    said = turn.conversation.events.filter(
        kind=EventKind.MESSAGE,
        role=Role.CUSTOMER,
        seq__gt=before.asked_seq,
        seq__lte=turn.asked_seq,
    )
    texts = list(said.values_list("text", flat=True))
    return Call(**pending) if texts and all(map(says_yes, texts)) else None
