"""Rows for tests: one function a model, every field overridable, no randomness but in keys."""

from itertools import count

from django.contrib.auth.models import Group, User
from django.utils import timezone

from agents.actions import DialogueAction
from agents.models import ModelVersion, Promotion, Release, Tool, WeightsKind
from dialogues.models import Conversation, Event, EventKind, Role, Turn, TurnStatus
from knowledge import services
from knowledge.models import Scene

_numbers = count(1)


def make_scene(**fields):
    number = next(_numbers)
    return Scene.objects.create(**{"slug": f"scene-{number}", "name": f"Scene {number}", **fields})


def make_user(role=None, scenes=(), **fields):
    """A person without roles, unless one is given."""
    user = User.objects.create_user(**{"username": f"user-{next(_numbers)}", **fields})
    if role:
        # TransactionTestCase empties the table that a migration has filled.
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    user.scenes.set(scenes)
    return user


def make_unit(**fields):
    """A draft of an author who works in its scene."""
    scene = fields.pop("scene", None) or make_scene()
    author = fields.pop("author", None) or make_user("operator", [scene])
    fields = {
        "title": f"Rule {next(_numbers)}",
        "condition": "When a customer asks",
        "content": "Then this is the answer.",
        **fields,
    }
    return services.draft_unit(author=author, scene=scene, **fields)


def make_published_unit(**fields):
    """Published with its hooks, so search finds it."""
    unit = make_unit(**fields)
    return services.publish_unit(unit=unit, by=make_user("admin"))


def make_version(**fields):
    return ModelVersion.objects.create(
        **{"name": f"base-{next(_numbers)}", "kind": WeightsKind.BASE, **fields}
    )


def make_adapter(**fields):
    base = fields.pop("base", None) or make_version()
    return make_version(
        **{"name": f"adapter-{next(_numbers)}", "kind": WeightsKind.ADAPTER, "base": base, **fields}
    )


def make_tool(**fields):
    defaults = {
        "name": f"tool-{next(_numbers)}",
        "description": "does something",
        "method": "GET",
        "url": "/nowhere/{id}/",
        "parameters": {
            "type": "object",
            "properties": {"id": {"type": "string"}},
            "required": ["id"],
        },
    }
    return Tool.objects.create(**{**defaults, **fields})


def make_release(*, live=False, **fields):
    fields = {"name": f"release-{next(_numbers)}", **fields}
    by = fields.setdefault("created_by", make_user("ml_engineer"))
    if "version" not in fields:
        fields["version"] = make_version()
    release = Release.objects.create(**fields)
    if live:
        Promotion.objects.create(release=release, by=by)
    return release


def make_conversation(**fields):
    if "scene" not in fields:
        fields["scene"] = make_scene()
    return Conversation.objects.create(**{"customer": f"Customer {next(_numbers)}", **fields})


def say(conversation, text, role=Role.CUSTOMER, **fields):
    """Add a message to the log."""
    if role == Role.AGENT:
        fields.setdefault("fence", 0)
    return Event.objects.create(
        conversation=conversation, kind=EventKind.MESSAGE, role=role, text=text, **fields
    )


def make_turn(conversation=None, question="Where is it?", reply="On its way.", **fields):
    """A finished turn with question and reply in the log, as service stores it."""
    conversation = conversation or make_conversation()
    asked = say(conversation, question)
    action = DialogueAction("reply", reply)
    prompt = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": f"DIALOGUE\ncustomer: {question}"},
    ]
    step = {"messages": prompt, "output": action.as_json(), "action": action.as_dict()}
    numbers = ["engine_ms", "first_token_ms", "tool_ms", "prompt_tokens", "completion_tokens"]
    turn = Turn.objects.create(
        **{
            "conversation": conversation,
            "asked_seq": asked.seq,
            "status": TurnStatus.DONE,
            "finished_at": timezone.now(),
            "steps": [{**step, "result": None, **dict.fromkeys(numbers, 1)}],
            "output": action.as_dict(),
            "timings": {"total_ms": 1000.0, "search_ms": 10.0},
            **fields,
        }
    )
    say(conversation, reply, Role.AGENT, turn=turn)
    return turn
