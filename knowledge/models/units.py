"""Scenes, and the atomic rules that agents may act on: their texts, history and hooks."""

from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q
from django.urls import reverse
from django.utils import timezone

from wowconsole.roles import AnyUser, sees_every_scene

EXPIRES_SOON = timedelta(days=7)
TITLE_LENGTH = 200
TEXT_LENGTH = 4000  # a rule longer than this is several rules


class SceneQuerySet(models.QuerySet["Scene"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the scenes a staff member works in; admins and auditors see all."""
        return self if sees_every_scene(user) else self.filter(members__pk=user.pk)

    def hidden_from(self, user: AnyUser) -> Self:
        """Keep the scenes that `visible_to` leaves out."""
        return self.none() if sees_every_scene(user) else self.exclude(members__pk=user.pk)


class Scene(models.Model):
    """A business line. It scopes units, tools, conversations and staff."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    members = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="scenes", blank=True)

    objects = SceneQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class UnitStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class Risk(models.TextChoices):
    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class Validity(models.TextChoices):
    """When a rule counts, seen from now."""

    EXPIRING = "expiring", "Ends within 7 days"
    EXPIRED = "expired", "Ended"
    NOT_YET = "not-yet", "Not valid yet"
    NOW = "now", "Valid now"


class UnitQuerySet(models.QuerySet["KnowledgeUnit"]):
    def visible_to(self, user: AnyUser) -> Self:
        """Keep the units of the user's scenes."""
        if sees_every_scene(user):
            return self
        return self.filter(scene__members__pk=user.pk)

    def with_validity(self, validity: str) -> Self:
        """Keep rules whose time is over, not yet come, or over soon; archived ones never."""
        now = timezone.now()
        bounds = {
            Validity.EXPIRED: {"valid_until__lte": now},
            Validity.EXPIRING: {"valid_until__gt": now, "valid_until__lte": now + EXPIRES_SOON},
            Validity.NOT_YET: {"valid_from__gt": now},
        }[Validity(validity)]
        live = Q(**{f"live__{name}": moment for name, moment in bounds.items()})
        draft = Q(**{f"latest__{name}": moment for name, moment in bounds.items()})
        return self.exclude(status=UnitStatus.ARCHIVED).filter(
            live | (Q(live__isnull=True) & draft)
        )

    def with_latest(self) -> Self:
        """Fetch what a list shows of each unit, in one query."""
        return self.select_related("scene", "latest", "live", "owner")

    def locked(self) -> Self:
        """Lock the units in order of keys, so that two batches never wait for each other.

        Then fetch them. One statement would join revisions before it waits for a lock, and
        miss those that whoever held it has made live.
        """
        units = self.order_by("pk")
        list(units.select_related(None).select_for_update(of=("self",)).only("pk"))
        return units


class KnowledgeUnit(models.Model):
    """One rule: a condition and the answer or action that follows from it.

    The row is the rule's identity; its text lives in revisions. `latest` is what an
    author last saved, `live` what agents may use now; they differ while an edit waits
    to be published. Staff and models name a unit by its primary key, "rule 112".
    """

    scene = models.ForeignKey(Scene, on_delete=models.PROTECT, related_name="units")
    external_id = models.CharField(max_length=120, null=True, blank=True)  # noqa: DJ001
    # ^ null, not "", where another system has no name for it: unique only among names
    status = models.CharField(max_length=10, choices=UnitStatus, default=UnitStatus.DRAFT)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="units"
    )
    # Null only inside the transaction that creates the unit: the revision needs its key.
    latest = models.ForeignKey(
        "Revision", on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    live = models.ForeignKey(
        "Revision", on_delete=models.PROTECT, null=True, related_name="+", editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)  # for the list

    objects = UnitQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                name="unit_status_known", condition=Q(status__in=UnitStatus.values)
            ),
            models.CheckConstraint(
                name="unit_live_when_published",
                condition=Q(status=UnitStatus.PUBLISHED, live__isnull=False)
                | (~Q(status=UnitStatus.PUBLISHED) & Q(live__isnull=True)),
            ),
            models.UniqueConstraint(
                name="unit_external_id_unique_in_scene",
                fields=["scene", "external_id"],
                violation_error_message="This scene already has a unit with that external id.",
            ),
        ]
        indexes = [models.Index(name="unit_newest", fields=["-updated_at", "-id"])]

    def __str__(self) -> str:
        return f"#{self.pk} {self.latest.title if self.latest else ''}"

    def get_absolute_url(self) -> str:
        return reverse("knowledge:unit-detail", args=[self.pk])

    @property
    def has_unpublished_edit(self) -> bool:
        return self.live_id is not None and self.live_id != self.latest_id

    @property
    def current(self) -> "Revision | None":
        """What agents use; where they use nothing, what was last saved."""
        return self.live or self.latest


class Revision(models.Model):
    """The text of a unit as it was saved once. Rows never change (a trigger sees to it)."""

    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.CASCADE, related_name="revisions")
    number = models.PositiveIntegerField()  # 1, 2, 3… within the unit
    title = models.CharField(max_length=TITLE_LENGTH)
    condition = models.TextField(max_length=TEXT_LENGTH)
    content = models.TextField("answer or action", max_length=TEXT_LENGTH)
    questions = ArrayField(
        models.CharField(max_length=500), default=list, blank=True, verbose_name="other wordings"
    )
    priority = models.SmallIntegerField(default=0)  # breaks ties in retrieval; higher wins
    risk = models.CharField(max_length=6, choices=Risk, default=Risk.LOW)
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=300, blank=True)
    # Whom the rule is for; an empty list means everybody. A customer of whom the channel,
    # segment or region is not known is not answered by a rule that is limited by it.
    channels = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    segments = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    regions = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="revisions"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(name="revision_number_unique", fields=["unit", "number"]),
            models.CheckConstraint(name="revision_risk_known", condition=Q(risk__in=Risk.values)),
            models.CheckConstraint(
                name="revision_valid_until_after_from",
                condition=Q(valid_from__isnull=True)
                | Q(valid_until__isnull=True)
                | Q(valid_until__gt=F("valid_from")),
                violation_error_message="The rule must end after it begins.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.title} (revision {self.number})"

    @property
    def validity(self) -> Validity:
        now = timezone.now()
        if self.valid_until and self.valid_until <= now:
            return Validity.EXPIRED
        if self.valid_from and self.valid_from > now:
            return Validity.NOT_YET
        is_soon = self.valid_until and self.valid_until <= now + EXPIRES_SOON
        return Validity.EXPIRING if is_soon else Validity.NOW


class Publication(models.Model):
    """The ledger of what was live when: a unit's revision went live, or nothing did.

    Rows are only added. `revision` is null where a unit was archived. `override_reason` is
    set where an approver passed over a check (four eyes, a proven contradiction): the audit.
    """

    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.CASCADE, related_name="publications")
    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, null=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField(default=timezone.now)
    override_reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(
                name="publication_overrides", fields=["-id"], condition=~Q(override_reason="")
            )
        ]

    def __str__(self) -> str:
        return f"{self.unit_id} at {self.at:%Y-%m-%d %H:%M:%S}"


class HookKind(models.TextChoices):
    TITLE = "title", "Title"
    CONDITION = "condition", "Condition"
    QUESTION = "question", "Other wording"
    CONTENT = "content", "Answer"


class Words(Func):
    """The words of a text as Postgres searches them; of Chinese, each pair of neighbours.

    Chinese has no spaces, and pairs of characters are its customary index terms (Nie et al.
    2000, "On the use of words and n-grams for Chinese information retrieval"). Even and odd
    pairs are set apart in two passes.
    """

    sql = (
        "to_tsvector('english', regexp_replace({text}, '([㐀-鿿]{{2}})', ' \\1 ', 'g') || ' ' || "
        "regexp_replace(regexp_replace({text}, '(^|[^㐀-鿿]+)[㐀-鿿]?', ' ', 'g'), "
        "'([㐀-鿿]{{2}})', ' \\1 ', 'g'))"
    )
    template = sql.format(text="%(expressions)s")
    output_field = SearchVectorField()

    def as_sql(self, *args: Any, **options: Any) -> tuple[str, tuple[str | int, ...]]:
        sql, parameters = super().as_sql(*args, **options)
        return sql, (*parameters, *parameters)  # the text stands in it twice


class Hook(models.Model):
    """A text by which a published revision is found: by meaning and by words.

    Hooks exist for live revisions only and are written with their vectors (`HookVector`) in
    the publishing transaction, so that whoever sees the unit published also finds it.
    """

    unit = models.ForeignKey(KnowledgeUnit, on_delete=models.CASCADE, related_name="hooks")
    kind = models.CharField(max_length=10, choices=HookKind)
    text = models.TextField()
    words = models.GeneratedField(
        expression=Words("text"),
        output_field=SearchVectorField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.CheckConstraint(name="hook_kind_known", condition=Q(kind__in=HookKind.values))
        ]
        indexes = [
            # A list of pending entries (fastupdate) would be read through by every search.
            GinIndex(name="hook_words", fields=["words"], fastupdate=False),
            # Codes, which stemming knows nothing of.
            GinIndex(
                name="hook_trigrams",
                fields=["text"],
                opclasses=["gin_trgm_ops"],
                fastupdate=False,
            ),
        ]

    def __str__(self) -> str:
        return self.text


class VocabularyWord(models.Model):
    """A word that stands in some hook: what a misspelt one is compared with.

    Comparing with words instead of texts keeps that quick in a large base. A word stays when
    its last hook goes; its stem then finds nothing.
    """

    word = models.CharField(max_length=30, unique=True)  # lower case, a to z
    stem = models.CharField(max_length=30)  # as in Hook.words

    class Meta:
        indexes = [
            models.Index(name="vocabulary_stem", fields=["stem"]),
            GinIndex(name="vocabulary_trigrams", fields=["word"], opclasses=["gin_trgm_ops"]),
        ]

    def __str__(self) -> str:
        return self.word
