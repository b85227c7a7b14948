"""Who a customer is: a site's own id of them. Two sites may have the same id of two people."""

from django.db import connection
from django.db.models import Q

from dialogues.models import Site
from wowconsole.errors import Invalid


class SiteNeeded(Invalid):
    code = "site_needed"


def meant_site() -> Site | None:
    """Return the site that is meant where none is named; None: none is registered.

    It is the only one, or of several the only one that is switched on.

    Raises:
        SiteNeeded: it could be one or another.
    """
    first = list(Site.objects.order_by("-is_active", "pk")[:2])
    if len(first) == 2 and first[0].is_active == first[1].is_active:
        raise SiteNeeded(
            "There are several sites, each with ids of its own. "
            "Name in “site”, by its slug, the one whose customer this is."
        )
    return first[0] if first else None


def hold(customer_ref: str) -> None:
    """Keep others who decide about a customer away until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [customer_ref])


def at_site(site_pk: int | None, path: str = "site") -> Q:
    """Match what belongs to a site's customers, by the path to the site of a row.

    What came before any site was registered is the first one's, until there is a second: then
    nobody knows whose it is.
    """
    theirs = Q(**{path: site_pk})
    is_alone = site_pk is not None and not Site.objects.exclude(pk=site_pk).exists()
    return theirs | Q(**{path: None}) if is_alone else theirs
