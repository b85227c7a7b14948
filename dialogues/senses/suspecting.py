"""Signs that a customer's picture or file was tampered with."""

from pgvector.django import HammingDistance

from dialogues.models import Attachment

NEAR_BITS = 20  # of 256 in which the looks of one picture differ after a new encoding
LEAST_MARKED, MOST_MARKED = 90, 166  # bits set in looks of photos; a page of text has fewer
EDITORS = (
    "photoshop", "gimp", "snapseed", "picsart", "canva", "meitu", "facetune", "pixelmator",
    "ilovepdf", "sejda", "smallpdf", "pdfescape", "pdffiller", "inkscape",
)  # fmt: skip


def signs_of(attachment: Attachment) -> list[str]:
    """Return why a picture or file may have been tampered with: hints for people, no proof."""
    traits = attachment.traits
    programs = sorted({str(traits.get(name, "")) for name in ("software", "creator", "producer")})
    edited = [name for name in programs if any(editor in name.lower() for editor in EDITORS)]
    signs = [f"It was saved by {name}." for name in edited]
    if "edited_at" in traits:
        when = traits.get("made_at", "it was taken")
        signs.append(f"It was changed after {when} ({traits['edited_at']}).")
    if additions := traits.get("additions"):
        signs.append(f"It was added to {additions} time(s) after it was first saved.")
    if hidden := traits.get("hidden"):
        signs.append(f"{hidden} of its words can't be seen on the page; they were left out.")
    if patch := traits.get("patch"):
        x, y, width, height = patch
        signs.append(
            f"A region of {width} × {height} pixels at {x}, {y} was saved less often than the rest."
        )
    if talks := sent_elsewhere(attachment):
        kind = attachment.get_kind_display().lower()
        signs.append(f"The same {kind} was sent in {talks} other conversation(s).")
    return signs


def sent_elsewhere(attachment: Attachment) -> int:
    """Count the conversations of others, or of nobody known, with this very picture.

    The same bytes, or pixels that look alike; pages of text all look alike and are compared
    by their bytes alone.
    """
    same = Attachment.objects.filter(sha256=attachment.sha256)
    look = str(attachment.look or "")
    if LEAST_MARKED <= look.count("1") <= MOST_MARKED:
        pictures = Attachment.objects.exclude(look=None)
        near = pictures.annotate(bits=HammingDistance("look", look)).filter(bits__lte=NEAR_BITS)
        same = same | Attachment.objects.filter(pk__in=near.values("pk"))
    same = same.filter(by=None).exclude(conversation=attachment.conversation_id)
    if owner := attachment.conversation.customer_ref:
        same = same.exclude(conversation__customer_ref=owner)
    return same.values("conversation").distinct().count()
