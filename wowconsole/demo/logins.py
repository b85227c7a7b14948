"""The demo people: one login a role. Their password is printed: never on a public server."""

from django.contrib.auth.models import Group, User

from knowledge.models import Scene

PASSWORD = "greenway-demo"  # noqa: S105 (printed at start: it protects nothing)
PEOPLE = {
    "operator": "olivia",
    "reviewer": "ravi",
    "ml_engineer": "mei",
    "approver": "anton",
    "admin": "ada",
    "auditor": "ines",
}


def demo_logins() -> list[tuple[str, str, str]]:
    """Return (role, user, password) of the demo people that are there."""
    people = User.objects.filter(username__in=PEOPLE.values())
    there = set(people.values_list("username", flat=True))
    return [(role, name, PASSWORD) for role, name in PEOPLE.items() if name in there]


def make_people() -> dict[str, User]:
    """Add the demo people where they are missing; return them by role."""
    people = {}
    for role, name in PEOPLE.items():
        user, is_new = User.objects.get_or_create(
            username=name,
            defaults={
                "first_name": name.title(),
                "is_staff": role == "admin",
                "is_superuser": role == "admin",
            },
        )
        if is_new:
            user.set_password(PASSWORD)
            user.save(update_fields=["password"])
            user.groups.add(Group.objects.get(name=role))
            user.scenes.set(Scene.objects.all())
        people[role] = user
    return people
