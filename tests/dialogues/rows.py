"""Rows that the tests of reviewing need, plainly made."""

from django.contrib.auth.models import Group, User
from django.utils import timezone

from dialogues.models import Conversation, Event, EventKind, Role, Turn, TurnStatus, TurnUnit
from knowledge.models import KnowledgeUnit, Revision, Scene


def make_person(name, role=None, scenes=()):
    user = User.objects.create_user(name, f"{name}@example.com", "pass-word-1")
    if role:
        user.groups.add(Group.objects.get(name=role))
    for scene in scenes:
        scene.members.add(user)
    return user


def make_rule(scene, owner, title="Late delivery", external_id=None):
    unit = KnowledgeUnit.objects.create(scene=scene, owner=owner, external_id=external_id)
    unit.latest = Revision.objects.create(
        unit=unit, number=1, title=title, condition="When late", content="$5 credit", author=owner
    )
    unit.save()
    return unit


def make_talk(scene=None, said="Where is my order?", reply="It is on its way.", **fields):
    conversation = Conversation.objects.create(scene=scene, **fields)
    return conversation, make_answered(conversation, said, reply)


def make_answered(conversation, said="Where is it?", reply="On its way.", rules=(), **fields):
    """Add a customer's message and the turn that answered it, citing the first rule."""
    conversation.refresh_from_db()
    log = {"conversation": conversation, "kind": EventKind.MESSAGE, "seq": 0}
    Event.objects.create(role=Role.CUSTOMER, text=said, **log)
    output = {
        "thought": "look",
        "knowledge": [rule.pk for rule in rules[:1]],
        "action": {"name": "reply", "arguments": {}},
        "reply": reply,
    }
    turn = Turn.objects.create(
        **{
            "conversation": conversation,
            "asked_seq": conversation.last_seq + 1,
            "status": TurnStatus.DONE,
            "finished_at": timezone.now(),
            "output": output,
            "timings": {"search_ms": 12.5, "engine_ms": 340.0, "total_ms": 361.2},
            "steps": [
                {
                    "messages": [{"role": "user", "content": f"customer: {said}"}],
                    "output": "{}",
                    "action": output,
                    "result": None,
                    "engine_ms": 340.0,
                }
            ],
            **fields,
        }
    )
    for rank, rule in enumerate(rules, start=1):
        TurnUnit.objects.create(
            turn=turn, unit=rule, revision=rule.latest, rank=rank, score=0.03, cited=rank == 1
        )
    Event.objects.create(role=Role.AGENT, fence=0, text=reply, turn=turn, **log)
    return turn


def make_scene_named(slug="delivery"):
    return Scene.objects.create(slug=slug, name=slug.title())
