"""Fill an empty installation with the demo business."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from agents.cataloguing import save_tool
from agents.models import ModelVersion, Promotion, Release, Tool, WeightsKind
from agents.services import make_release, promote
from dialogues.desk.noting import note_questions
from dialogues.importing import import_rows
from dialogues.jobs.registering import register_tools
from dialogues.loop.gaps import look_everywhere
from dialogues.models import CallPlan, Conversation
from knowledge.importing import Import
from knowledge.models import KnowledgeUnit, Scene
from wowconsole.demo.content import read
from wowconsole.demo.desk import make_desk
from wowconsole.demo.labels import make_demo_set
from wowconsole.demo.logins import make_people
from wowconsole.demo.policies import make_policy
from wowconsole.demo.site import make_site
from wowconsole.models import DemoOrder

SCENES = {
    "delivery": "Food delivery",
    "refunds": "Refunds",
    "shops": "Local shops",
    "account": "Account and membership",
}
BASE_MODEL = "smollm2-135m"
STARTER = "starter"
WORDED = ("confirmation", "confirmation_zh", "occasions", "result_template", "result_template_zh")
OF_ITS_TOOL = ("occasions", "cost_per_call")  # of a call plan: the rest is the plan's
# Of three it cites one as if by chance; the first one found is right more often (`bench turn`).
RULES_READ = 1


class Command(BaseCommand):
    help = "Load the demo business: people, scenes, rules, orders, tools, dialogues, a release."

    def handle(self, *args: Any, **options: Any) -> None:
        """Each part is added only where it is missing, so a second run changes nothing."""
        with transaction.atomic():
            for slug, name in SCENES.items():
                Scene.objects.get_or_create(slug=slug, defaults={"name": name})
            people = make_people()
            load_orders()
            load_tools()
            load_plans()
            load_release(people["ml_engineer"])
            make_policy(people["approver"])
            make_desk(people["admin"])
            make_site(people["admin"])
        self._load_texts(people)

    def _load_texts(self, people: dict[str, User]) -> None:
        if not KnowledgeUnit.objects.exists():
            self.stdout.write("Demo: publishing the rules…")
            publish_rules(people)
            make_demo_set(people["operator"])
        if not Conversation.objects.exists():
            self.stdout.write("Demo: adding the dialogues…")
            scenes = {scene.slug: scene for scene in Scene.objects.all()}
            import_rows(
                [*read("dialogues.jsonl"), *read("unanswered.jsonl")],
                scene_of=lambda row: scenes[row["scene"]],
                by=people["reviewer"],
            )
            note_questions()
            look_everywhere()
        self.stdout.write(
            f"Demo: {KnowledgeUnit.objects.count()} rules, "
            f"{Conversation.objects.count()} dialogues, {DemoOrder.objects.count()} orders."
        )


def publish_rules(people: dict[str, User]) -> None:
    """Write the rules as the operator and publish them as the approver: four eyes."""
    scenes = {scene.slug: scene for scene in Scene.objects.all()}
    work = Import(author=people["operator"], scenes=scenes, publisher=people["approver"])
    refused = [line for line in work.run(enumerate(read("units.jsonl"), 1)) if line.error]
    if refused:
        raise CommandError(f"The demo's rules can't be published: {refused[0]}")


def load_orders() -> None:
    orders = [DemoOrder(order_id=order["order_id"], data=order) for order in read("orders.json")]
    DemoOrder.objects.bulk_create(orders, ignore_conflicts=True)


def load_tools() -> None:
    for tool in read("tools.json"):
        fields = {name: tool[name] for name in ("description", "method", "parameters")}
        fields |= {name: tool.get(name, "") for name in WORDED}
        fields |= {"url": f"/demo/shop/{tool['path']}", "token_setting": "DEMO_SHOP_TOKEN"}
        if not Tool.objects.filter(name=tool["name"]).exists():
            save_tool(tool=Tool(name=tool["name"], **fields), by=None, note="The demo's own")


def load_plans() -> None:
    """Add what the agent may call shops about, and put every sub-agent into the catalogue."""
    new = [plan for plan in read("plans.json") if not Tool.objects.filter(name=plan["name"])]
    for plan in read("plans.json"):
        fields = {name: value for name, value in plan.items() if name not in OF_ITS_TOOL}
        CallPlan.objects.get_or_create(name=plan["name"], defaults=fields)
    register_tools()
    for plan in new:
        tool = Tool.objects.get(name=plan["name"])
        for name in OF_ITS_TOOL:
            setattr(tool, name, plan[name])
        save_tool(tool=tool, by=None, note="The demo's own")


def load_release(by: User) -> None:
    """Register the base model and the shipped adapter, and make the latter live."""
    base, _ = ModelVersion.objects.get_or_create(
        name=BASE_MODEL,
        defaults={
            "kind": WeightsKind.BASE,
            "description": "SmolLM2-135M-Instruct as published",
        },
    )
    starter, _ = ModelVersion.objects.get_or_create(
        name=STARTER,
        defaults={
            "kind": WeightsKind.ADAPTER,
            "base": base,
            "folder": str(settings.STARTER_ADAPTER_DIR),
            "description": "Shipped adapter, trained on the demo content",
        },
    )
    if not Release.objects.exists():
        release = make_release(
            by=by,
            name="starter-1",
            version=starter,
            tools=[tool["name"] for tool in [*read("tools.json"), *read("plans.json")]],
            quote_rules=True,
            budget={"rules": RULES_READ},
        )
        if not Promotion.objects.exists():
            promote(release=release, by=by, reason="First start")
