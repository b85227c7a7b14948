"""What decides which rules are found: settings, vectors of each embedder, and how well it works."""

import uuid
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from pgvector.django import VectorField

from knowledge.models.jobs import Job
from knowledge.models.units import Hook, KnowledgeUnit, Scene
from wowconsole.roles import AnyUser, sees_every_scene


class RetrievalSettings(models.Model):
    """One version of the thresholds; the newest row is in use. Rows never change (trigger).

    What each threshold means, and where its default was measured: knowledge/searching.py.
    """

    min_similarity = models.FloatField(default=0.85)  # cosine of the best hook, -1 to 1
    min_companion = models.FloatField(default=0.81)  # of further rules, once one has passed
    far_behind = models.FloatField(default=0.03)  # cosine behind the best, still shown
    min_coverage = models.FloatField(default=0.6)  # share of the question's words in one hook
    min_matched_words = models.PositiveSmallIntegerField(default=3)
    rrf_k = models.PositiveSmallIntegerField(default=60)
    rules_shown = models.PositiveSmallIntegerField(default=3)
    comment = models.CharField(max_length=200, blank=True)
    # Null: what the project ships.
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "retrieval settings"
        constraints = [
            models.CheckConstraint(
                name="retrieval_similarities_are_cosines",
                condition=Q(min_similarity__range=(-1, 1), min_companion__range=(-1, 1)),
            ),
            models.CheckConstraint(
                name="retrieval_coverage_is_a_share", condition=Q(min_coverage__range=(0, 1))
            ),
            models.CheckConstraint(
                name="retrieval_shows_1_to_10_rules", condition=Q(rules_shown__range=(1, 10))
            ),
        ]

    def __str__(self) -> str:
        return f"Version {self.pk}"


class IndexState(models.TextChoices):
    BUILDING = "building", "Being built"
    READY = "ready", "Ready"
    LIVE = "live", "In use"
    RETIRED = "retired", "Retired"


KEPT_UP = (IndexState.READY, IndexState.LIVE)


class EmbeddingIndex(models.Model):
    """The vectors of every hook by one embedding model.

    At most one is live. Publishing writes into all that are live, ready or being built, so
    that a switch, and the switch back, are one row each and at once. A retired one is only
    a name in the history of evaluations.
    """

    name = models.CharField(max_length=80, unique=True)
    embedder = models.CharField(max_length=20)  # a kind that knowledge/embedding.py knows
    # Of the embedder: {"model", "url", "query_prefix", "passage_prefix"}, as it needs.
    options = models.JSONField(default=dict, blank=True)
    dimensions = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=8, choices=IndexState, default=IndexState.BUILDING)
    job = models.OneToOneField(Job, on_delete=models.PROTECT, null=True)  # null: shipped so
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    live_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "embedding indexes"
        constraints = [
            models.CheckConstraint(
                name="index_state_known", condition=Q(state__in=IndexState.values)
            ),
            models.CheckConstraint(
                name="index_dimensions_fit_hnsw", condition=Q(dimensions__range=(1, 2000))
            ),
            models.UniqueConstraint(
                name="index_one_live", fields=["state"], condition=Q(state=IndexState.LIVE)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class HookVector(models.Model):
    """The vector of one hook in one index, in a narrow table of its own.

    `scene_id` repeats the unit's, so that a search in one scene filters without a join. Each
    index has its own HNSW graph over its rows (knowledge/graphs.py makes it).
    """

    index = models.ForeignKey(EmbeddingIndex, on_delete=models.CASCADE, related_name="vectors")
    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="vectors")
    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.CASCADE, related_name="+")
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, related_name="+")
    embedding = VectorField()  # of as many dimensions as its index says, unit length

    class Meta:
        constraints = [models.UniqueConstraint(name="hook_vector_once", fields=["index", "hook"])]

    def __str__(self) -> str:
        return f"{self.hook_id} in {self.index_id}"


class LabelledSetQuerySet(models.QuerySet["LabelledSet"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the sets of the user's scenes.

        A set of no scene holds customers' questions of several: it is seen by who works in the
        scenes of all its rules, and by who made it.
        """
        if sees_every_scene(user):
            return self
        scenes = Scene.objects.visible_to(user).order_by()
        elsewhere = LabelledQuery.relevant.through.objects.filter(
            ~Q(knowledgeunit__scene__in=scenes), labelledquery__labelled_set=OuterRef("pk")
        )
        general = Q(scene__isnull=True) & (~Exists(elsewhere) | Q(by=user.pk))
        return self.filter(general | Q(scene__in=scenes))


class LabelledSet(models.Model):
    """Questions of which somebody said which rules answer them: what retrieval is measured on."""

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    name = models.CharField(max_length=80, unique=True)
    # Where it is asked; null: in every scene.
    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, null=True, blank=True)
    source = models.CharField(max_length=300, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = LabelledSetQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class LabelledQuery(models.Model):
    """A question and the rules that answer it; none means that nothing should be found."""

    labelled_set = models.ForeignKey(LabelledSet, on_delete=models.CASCADE, related_name="queries")
    external_id = models.CharField(max_length=120)
    text = models.TextField()
    relevant = models.ManyToManyField(KnowledgeUnit, related_name="+", blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                name="labelled_query_once", fields=["labelled_set", "external_id"]
            )
        ]

    def __str__(self) -> str:
        return self.text[:80]


class RetrievalEvaluation(models.Model):
    """How one index with one version of the settings did on one labelled set.

    `metrics` has hit_at_1, hit_at_3, hit_at_5, mrr, ndcg_at_10 over the answerable questions
    and false_finds over the others, each {"share", "low", "high", "count"}; it is empty until
    the job is done. `misses` names the questions that went wrong: [{"query": text, "found":
    [unit ids], "relevant": [unit ids]}].
    """

    public_id = models.UUIDField(default=uuid.uuid4, editable=False, unique=True)
    labelled_set = models.ForeignKey(
        LabelledSet, on_delete=models.CASCADE, related_name="evaluations"
    )
    index = models.ForeignKey(EmbeddingIndex, on_delete=models.PROTECT, related_name="evaluations")
    settings = models.ForeignKey(RetrievalSettings, on_delete=models.PROTECT)
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="evaluation")
    metrics = models.JSONField(default=dict)
    misses = models.JSONField(default=list)
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.labelled_set} by {self.index}"
