"""What people do with the thresholds of the search: put others to use, go back."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from knowledge.models import RetrievalSettings
from wowconsole.errors import Refused

VERSIONED = (
    *("min_similarity", "min_companion", "far_behind", "min_coverage", "min_matched_words"),
    *("rrf_k", "rules_shown"),
)


class SettingsUnchanged(Refused):
    code = "settings_unchanged"


@transaction.atomic
def use_settings(*, settings: RetrievalSettings, by: User, comment: str) -> RetrievalSettings:
    """Search with these thresholds from now on, as a new version.

    Raises:
        SettingsUnchanged: they are in use already.
        ValidationError: a value is out of its range, or the comment is too long.
    """
    current = RetrievalSettings.objects.first() or RetrievalSettings()
    if _values(settings) == _values(current):
        raise SettingsUnchanged("These thresholds are in use already.")
    version = RetrievalSettings(**_values(settings), by=by, comment=comment)
    version.full_clean()
    version.save(force_insert=True)
    return version


def use_again(*, version: RetrievalSettings, by: User) -> RetrievalSettings:
    """Go back to an earlier version, as a new one; raises as `use_settings`."""
    comment = f"Version {version.pk} again. {version.comment}"[:200].strip()
    return use_settings(settings=version, by=by, comment=comment)


def _values(settings: RetrievalSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in VERSIONED}
