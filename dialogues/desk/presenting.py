"""What the pages of the desk show, as plain rows for the templates."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet

from dialogues.desk import drafting, queueing, waiting
from dialogues.models import (
    CannedReply,
    Channel,
    Conversation,
    Draft,
    DraftKind,
    Event,
    EventKind,
    FollowUp,
    Handover,
    name_of,
)
from dialogues.presenting import Entry
from dialogues.senses.sniffing import TAKEN
from wowconsole.roles import CAPABILITIES

MINE, WAITING, ALL = "mine", "waiting", "all"
VIEWS = {MINE: "Mine", WAITING: "Waiting", ALL: "All open"}
NOTHING = {  # view → (title, text) of the empty list
    MINE: ("You hold no conversation", "Take one from those that wait."),
    WAITING: ("Nobody waits for a person", "Who asks for one appears here within seconds."),
    ALL: ("No chat is open", "Each chat appears here until it ends. Start one yourself."),
}
LAST_SAID = Q(kind=EventKind.MESSAGE)


@dataclass(slots=True)
class Row:
    """A conversation of the inbox."""

    conversation: Conversation
    handover: Handover | None = None
    place: int | None = None  # in the queue, from 1
    last: Event | None = None  # the newest message
    broken: list[FollowUp] = field(default_factory=list)  # promises that came due unkept
    unanswered_since: datetime | None = None  # whose holder owes a next word for too long


def inbox(user: User, view: str) -> QuerySet[Conversation]:
    """Return the conversations of one view, most urgent first."""
    chats = Conversation.objects.visible_to(user).filter(channel=Channel.CHAT, closed_at=None)
    chats = chats.select_related("scene")
    if view == ALL:
        return chats
    holder = {"handovers__holder": user} if view == MINE else {"handovers__holder__isnull": True}
    found = chats.filter(handovers__ended_at__isnull=True, handovers__isnull=False, **holder)
    return found.order_by(F("handovers__asked_at").asc(), "pk")


def rows(conversations: Sequence[Conversation]) -> list[Row]:
    """Add what the inbox shows of a page of conversations, in a few queries for all of them."""
    found = {conversation.pk: Row(conversation) for conversation in conversations}
    open_ones = Handover.objects.open().filter(conversation__in=found)
    handovers = list(open_ones.select_related("holder", "conversation__scene"))
    places = queueing.places(handovers)
    for handover in handovers:
        row = found[handover.conversation_id]
        row.handover, row.place = handover, places.get(handover.pk)
    messages = Event.objects.filter(LAST_SAID, conversation__in=found)
    for event in messages.order_by("conversation_id", "-seq").distinct("conversation_id"):
        found[event.conversation_id].last = event
    for promise in FollowUp.objects.broken().filter(conversation__in=found):
        found[promise.conversation_id].broken.append(promise)
    for key, wait in waiting.waits(handovers).items():
        found[key].unanswered_since = wait.since if wait.is_late else None
    return list(found.values())


def following(user: User, after: Conversation | None = None) -> Conversation | None:
    """Return the conversation that should be looked at next: who has waited longest."""
    waiting = inbox(user, WAITING)
    if after is not None:
        waiting = waiting.exclude(pk=after.pk)
    return waiting.first()


@dataclass(slots=True)
class Said:
    """One line of the live transcript."""

    event: Event
    text: str
    side: str  # "customer", "agent", "staff" or "system"
    told: list[tuple[str, str]] = field(default_factory=list)  # what a tool or a job brought


def said(conversation: Conversation) -> list[Said]:
    return [_said(event) for event in conversation.events.all()]


def _said(event: Event) -> Said:
    if event.kind == EventKind.MESSAGE:
        return Said(event, event.text, event.role)
    entry = Entry(event)
    if event.kind == EventKind.ACTION:
        outcome = "failed" if entry.failed else "done"
        if entry.is_unknown:
            outcome = "under way"
        return Said(event, f"{event.data['name']}: {outcome}", "system", _told(event))
    return Said(event, entry.note, "system", _told(event))


def _told(event: Event) -> list[tuple[str, str]]:
    result = event.data.get("result") or {}
    return [(name.replace("_", " "), _in_words(value)) for name, value in result.items()]


def _in_words(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name}: {_in_words(each)}" for name, each in value.items())
        case list():
            return ", ".join(map(_in_words, value))
    return "–" if value is None else str(value)


def stamp(conversation: Conversation) -> str:
    """Return a text that changes whenever the live part of the page would."""
    holder = conversation.handovers.open().values_list("holder", "answered_at").first()
    broken = conversation.follow_ups.broken().count()
    return f"{conversation.last_seq}-{conversation.fence}-{holder}-{broken}".replace(" ", "")


def live(conversation: Conversation, user: User) -> dict[str, Any]:
    """Return what changes while the page is open: the transcript and who has control."""
    open_ones = conversation.handovers.open().select_related("holder", "conversation")
    handover = open_ones.first()
    return {
        "conversation": conversation,
        "said": said(conversation),
        "broken": conversation.follow_ups.broken(),
        "handover": handover,
        "place": queueing.places([handover]).get(handover.pk) if handover else None,
        "is_mine": bool(handover and handover.holder == user),
        "holder": name_of(handover.holder) if handover and handover.holder else "",
        "stamp": stamp(conversation),
        "held": _held(conversation, handover),
    }


def _held(conversation: Conversation, handover: Handover | None) -> str:
    """Return a text that changes whenever what people may do would."""
    holder = handover.holder_id if handover else None
    return f"{'closed' if conversation.closed_at else conversation.control}-{holder}"


def controls(conversation: Conversation, user: User) -> dict[str, Any]:
    """Return what people need to hand the conversation on."""
    drafts = [newest_draft(conversation, user, kind) for kind in DraftKind.values]
    return {
        "colleagues": colleagues(conversation),
        "drafts": {draft.kind: draft for draft in drafts if draft},
        "summary": drafting.summary_from_log(conversation),
    }


def page(conversation: Conversation, user: User) -> dict[str, Any]:
    """Return all that the page of one conversation shows."""
    shown = live(conversation, user) | controls(conversation, user)
    if any(line.event.data.get("attachments") for line in shown["said"]):
        shown["evidence"] = conversation.attachments.exclude(evidence=None)
    return shown | {
        "notes": conversation.notes.select_related("author"),
        "canned": canned(conversation),
        "form_id": uuid4(),  # sent twice, it is one answer
        "staff_seq": max(
            (line.event.seq for line in shown["said"] if line.side == "staff"), default=0
        ),
        "accepted": ",".join(sort.content_type.partition(";")[0] for sort in TAKEN),
        "handovers": conversation.handovers.exclude(summary="").select_related("holder"),
    }


def newest_draft(conversation: Conversation, user: User, kind: str) -> Draft | None:
    """Return the user's newest draft, as long as nothing was said since and it is not used."""
    drafts = conversation.drafts.filter(kind=kind, job__by=user).select_related("job__by")
    newest = drafts.first()
    if newest is None or newest.use or newest.after_seq < _spoken(conversation):
        return None
    return newest


def _spoken(conversation: Conversation) -> int:
    newest = conversation.events.filter(LAST_SAID).values_list("seq", flat=True).last()
    return newest or 0


def canned(conversation: Conversation) -> list[CannedReply]:
    """Return what may be inserted here; a scene's own words hide those of every scene."""
    own_last = reversed(CannedReply.objects.of_scene(conversation.scene))
    shown = {reply.shortcut: reply for reply in own_last}
    return [shown[shortcut] for shortcut in sorted(shown)]


def colleagues(conversation: Conversation) -> Iterable[User]:
    """Return who may be given the conversation."""
    answering = [role for role, may in CAPABILITIES.items() if "dialogues.reply" in may]
    people = User.objects.filter(is_active=True)
    everywhere = Q(is_superuser=True) | Q(groups__name="admin")
    if conversation.scene_id is None:
        return people.filter(everywhere | Q(groups__name__in=answering)).distinct()
    here = Q(groups__name__in=answering, scenes=conversation.scene_id)
    return people.filter(everywhere | here).distinct().order_by("username")
