"""What came of a rule: counted once per turn, with what nobody said shown as missing."""

from datetime import timedelta

from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from dialogues.charts import use_by_week
from dialogues.loop import effects
from dialogues.loop.forms import SORTS, EffectFilterForm
from dialogues.models import Case, Conversation, Judgement, Role, Turn, TurnUnit, Verdict
from knowledge.models import KnowledgeUnit, Lineage, Publication
from knowledge.services import archive_unit, publish_unit, revise_unit
from tests.factories import (
    make_conversation,
    make_published_unit,
    make_scene,
    make_turn,
    make_unit,
    make_user,
)


def use(unit, *, cited=True, days_ago=0, conversation=None, **fields):
    """A turn in which the unit was found."""
    turn = make_turn(
        conversation or make_conversation(scene=unit.scene),
        created_at=timezone.now() - timedelta(days=days_ago),
        **fields,
    )
    found_in(turn, unit, cited=cited)
    return turn


def found_in(turn, unit, *, cited=True):
    TurnUnit.objects.create(
        turn=turn, unit=unit, revision=unit.latest, rank=1, score=0.03, cited=cited
    )


def long_live(unit):
    """Have the unit's text go live long ago."""
    since = timezone.now() - timedelta(days=100)
    Publication.objects.create(unit=unit, revision=unit.live, by=unit.owner, at=since)


def judge(turn, source, verdict):
    issues = ["incorrect_solution"] if verdict == Verdict.BAD else []
    Judgement.objects.create(turn=turn, source=source, verdict=verdict, issue_types=issues)


class EffectTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene = make_scene()
        cls.person = make_user("operator", [cls.scene])
        cls.unit = make_published_unit(scene=cls.scene)

    def effect(self, **options):
        options = {"units": [self.unit.pk], **options}
        [effect] = effects.effects(visible_to=self.person, **options)
        return effect

    def test_a_rule_nobody_used_has_no_figures_rather_than_bad_ones(self):
        effect = self.effect()
        assert (effect.found, effect.cited, effect.rated, effect.handed) == (0, 0, 0, 0)
        assert effect.rating is None
        assert effect.handed_share is None
        assert effect.handed_percent == ""
        assert effect.last_used is None

    def test_found_and_cited_are_counted_by_turns(self):
        conversation = make_conversation(scene=self.scene)
        use(self.unit, conversation=conversation)
        use(self.unit, conversation=conversation)
        use(self.unit, cited=False)
        effect = self.effect()
        assert (effect.found, effect.cited, effect.conversations) == (3, 2, 1)

    def test_a_period_leaves_out_what_was_before(self):
        use(self.unit, days_ago=40)
        late = use(self.unit, days_ago=2)
        effect = self.effect(since=timezone.now() - timedelta(days=30))
        assert (effect.found, effect.last_used) == (1, late.created_at)
        assert self.effect().found == 2

    def test_likes_and_judgements_are_those_of_replies_that_cite_it(self):
        cited, found = use(self.unit), use(self.unit, cited=False)
        for turn in (cited, found):
            judge(turn, "customer", Verdict.GOOD)
            judge(turn, "reviewer", Verdict.BAD)
            Case.objects.create(turn=turn, label=Verdict.BAD, issue_types=["hallucination"])
        judge(cited, "customer", Verdict.BAD)
        effect = self.effect()
        assert (effect.likes, effect.dislikes, effect.good, effect.bad) == (1, 1, 0, 1)

    def test_a_mean_rating_says_how_many_rated(self):
        for rating in (5, 2, None):
            turn = use(self.unit)
            Conversation.objects.filter(pk=turn.conversation_id).update(rating=rating)
        effect = self.effect()
        assert (effect.rating, effect.rated, effect.conversations) == (3.5, 2, 3)

    def test_a_conversation_that_went_to_a_person_later_counts_as_handed(self):
        handed = {"action": {"name": "handoff", "arguments": {}}, "reply": "A colleague…"}
        later = make_conversation(scene=self.scene)
        use(self.unit, conversation=later)
        make_turn(later, output=handed)
        before = make_conversation(scene=self.scene)
        make_turn(before, output=handed)
        use(self.unit, conversation=before)
        queued = use(self.unit).conversation
        queued.events.create(kind="control", role=Role.SYSTEM, data={"state": "queued"})
        effect = self.effect()
        assert (effect.handed, effect.conversations) == (2, 3)
        low, high = effect.handed_between
        assert low < effect.handed_share < high
        assert effect.handed_percent == "67% (21% to 94%)"

    def test_what_a_merged_rule_did_counts_once(self):
        older, oldest = make_unit(scene=self.scene), make_unit(scene=self.scene)
        for source, target in ((oldest, older), (older, self.unit)):
            Lineage.objects.create(source=source, target=target, kind="merge", by=self.person)
        turn = use(older)
        found_in(turn, oldest, cited=False)
        found_in(turn, self.unit, cited=False)
        use(oldest)
        effect = self.effect()
        assert (effect.found, effect.cited) == (2, 2)
        assert effects.family(self.unit) == sorted([self.unit.pk, older.pk, oldest.pk])

    def test_only_a_rule_that_is_live_for_long_is_unused(self):
        assert not self.effect().unused
        long_live(self.unit)
        assert self.effect().unused
        use(self.unit, days_ago=91)
        assert self.effect().unused
        use(self.unit, cited=False, days_ago=89)
        assert not self.effect().unused
        draft = make_unit(scene=self.scene)
        assert not self.effect(units=[draft.pk]).unused

    def test_archived_rules_are_listed_no_more(self):
        archive_unit(unit=self.unit, by=self.person)
        assert effects.effects(visible_to=self.person) == []
        assert self.effect().unit_id == self.unit.pk

    def test_rules_of_other_scenes_are_left_out(self):
        make_published_unit()
        assert len(effects.effects(visible_to=self.person)) == 1
        assert len(effects.effects(visible_to=make_user("auditor"))) == 2

    def test_the_use_alone_and_the_unused_are_the_same_figures(self):
        use(self.unit)
        use(self.unit, cited=False)
        [quick] = effects.uses(visible_to=self.person)
        effect = self.effect()
        assert (quick.found, quick.cited, quick.last_used) == (2, 1, effect.last_used)
        assert effects.unused(visible_to=self.person) == []
        old = make_published_unit(scene=self.scene)
        long_live(old)
        assert effects.unused(visible_to=self.person) == [old.pk]

    def test_it_takes_two_queries(self):
        for _ in range(3):
            use(make_unit(scene=self.scene))
        self.effect()  # the user's roles are remembered
        with self.assertNumQueries(2):  # scenes; figures
            effects.effects(visible_to=self.person)

    def test_weeks_have_no_gaps(self):
        use(self.unit, days_ago=15)
        use(self.unit, cited=False)
        weeks = effects.by_week([self.unit.pk])
        assert 3 <= len(weeks) <= 4
        assert (weeks[0].found, weeks[0].cited) == (1, 1)
        assert (weeks[-1].found, weeks[-1].cited) == (1, 0)
        assert "found in 2 turns, cited in 1 of them" in use_by_week(weeks)
        assert use_by_week([]) == ""


class ProofTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.unit = make_published_unit(scene=make_scene())

    def test_the_first_citation_of_the_live_text_proves_it(self):
        use(self.unit, days_ago=1)  # as imported: held before the text went live
        use(self.unit, cited=False)
        first = use(self.unit)
        use(self.unit)
        proof = effects.proof_of(self.unit)
        assert proof.live_since == self.unit.publications.get().at
        assert proof.first_use.turn == first

    def test_a_new_text_has_to_prove_itself_anew(self):
        use(self.unit)
        author = make_user("admin")
        revise_unit(unit=self.unit, author=author, based_on=1, content="Another answer.")
        self.unit.refresh_from_db()
        publish_unit(unit=self.unit, by=author)
        self.unit.refresh_from_db()
        assert effects.proof_of(self.unit).first_use is None

    def test_a_draft_proves_nothing(self):
        assert effects.proof_of(make_unit()) is None


class EffectPageTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.scene, other = make_scene(), make_scene()
        cls.person = make_user("operator", [cls.scene, other])
        cls.units = [
            make_published_unit(scene=cls.scene, title=f"Rule {name}") for name in ("A", "B", "C")
        ]
        make_published_unit(scene=other, title="Elsewhere")
        make_published_unit(title="Secret")
        for number, unit in enumerate(cls.units, start=1):
            for _ in range(number):
                turn = use(unit)
            if number > 1:
                Conversation.objects.filter(pk=turn.conversation_id).update(rating=6 - number)
        cls.url = reverse("dialogues:effect-list")

    def setUp(self):
        self.client.force_login(self.person)

    def titles(self, **query):
        page = self.client.get(self.url, query)
        return [unit.latest.title for _, unit in page.context["rows"]]

    def test_the_most_cited_come_first_in_few_queries(self):
        # session, user, roles; scenes and use; scenes and figures; units; choices of scenes
        with self.assertNumQueries(9):
            page = self.client.get(self.url)
        titles = [unit.latest.title for _, unit in page.context["rows"]]
        assert titles == ["Rule C", "Rule B", "Rule A", "Elsewhere"]
        self.assertContains(page, 'aria-sort="descending"', count=1)

    def test_it_is_sorted_by_any_column_and_what_is_missing_comes_last(self):
        assert self.titles(sort="cited")[0] == "Elsewhere"
        assert self.titles(sort="-rating")[:2] == ["Rule B", "Rule C"]
        assert self.titles(sort="rating")[:2] == ["Rule C", "Rule B"]
        assert self.titles(sort="nonsense") == self.titles()
        for figure in SORTS:
            assert len(self.titles(sort=figure)) == 4

    def test_it_is_narrowed_by_scene_period_and_use(self):
        assert "Elsewhere" not in self.titles(scene=self.scene.slug)
        Turn.objects.update(created_at=timezone.now() - timedelta(days=60))
        page = self.client.get(self.url, {"period": "7"})
        assert {effect.found for effect, _ in page.context["rows"]} == {0}
        page = self.client.get(self.url, {"period": "90"})
        assert max(effect.found for effect, _ in page.context["rows"]) == 3
        assert self.titles(unused="on") == []
        for unit in KnowledgeUnit.objects.filter(scene__members=self.person):
            long_live(unit)
        assert self.titles(unused="on") == ["Elsewhere"]

    def test_a_period_that_is_not_known_is_the_usual_one(self):
        form = EffectFilterForm({"period": "3000"}, user=self.person)
        assert timezone.now() - form.since < timedelta(days=30, minutes=1)
        assert EffectFilterForm({"period": "all"}, user=self.person).since is None

    def test_htmx_gets_the_table_alone(self):
        page = self.client.get(self.url, headers={"HX-Request": "true"})
        self.assertNotContains(page, "<h1")

    def test_nobody_without_a_role_reads_it(self):
        self.client.force_login(make_user())
        assert self.client.get(self.url).status_code == 403
        self.client.logout()
        assert self.client.get(self.url).status_code == 302

    def test_the_box_tells_what_came_of_one_rule(self):
        url = reverse("dialogues:unit-effect", args=[self.units[2].pk])
        # session, user, roles; unit; scenes, figures; family, weeks; publication, first use
        with self.assertNumQueries(10):
            box = self.client.get(url, headers={"HX-Request": "true"})
        first = TurnUnit.objects.filter(unit=self.units[2]).first().turn
        self.assertContains(box, f"conversation #{first.conversation_id}</a>")
        self.assertContains(box, "<svg")
        self.assertContains(box, "1 of 3 rated")
        self.assertContains(self.client.get(url, {"period": "x"}), "<h1")

    def test_strangers_find_no_box(self):
        self.client.force_login(make_user("operator", [make_scene()]))
        url = reverse("dialogues:unit-effect", args=[self.units[0].pk])
        assert self.client.get(url).status_code == 404

    def test_the_api_gives_the_same_figures(self):
        answer = self.client.get("/api/knowledge-effect/", {"sort": "-cited", "limit": 2}).json()
        assert answer["count"] == 4
        assert [row["cited"] for row in answer["results"]] == [3, 2]
        row = answer["results"][0]
        assert (row["unit"], row["rating"], row["rated"]) == (self.units[2].pk, 3.0, 1)
        self.client.force_login(make_user())
        assert self.client.get("/api/knowledge-effect/").status_code == 403
