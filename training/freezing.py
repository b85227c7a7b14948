"""Freezing drafts as a data set: which rows, on which side of the fence, under which hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from training.building import Draft
from training.models import Dataset, DatasetForm, Example, Split
from wowconsole.errors import Invalid, Refused

# A trainer refuses a set with one row of more tokens than its max_length (768 by default):
# our prompts were measured to take 3.2 characters a token or more.
LONGEST_EXAMPLE = 2400  # characters of prompt and answer
ONE_BUILD_AT_A_TIME = 7_206_411  # key of the advisory lock; any number nobody else uses


class NothingToBuild(Invalid):
    code = "dataset_empty"


class NameTaken(Refused):
    code = "name_taken"


@transaction.atomic
def freeze(
    drafts: Sequence[Draft], *, by: User, name: str, form: str, recipe: dict[str, Any]
) -> Dataset:
    with connection.cursor() as cursor:  # or two builds could split one origin differently
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_BUILD_AT_A_TIME])
    if Dataset.objects.filter(name=name).exists():
        raise NameTaken(f"There is a data set named “{name}”. Choose another name.")
    splits = splits_of({draft.origin for draft in drafts}, recipe["held_out_share"])
    if Split.TRAIN not in splits.values():
        raise NothingToBuild(_what_to_do(form, bool(drafts)))
    content = [[splits[draft.origin], draft.origin, draft.data] for draft in drafts]
    sha256 = hashlib.sha256(canonical(content).encode()).hexdigest()
    dataset = Dataset(name=name, form=form, recipe=recipe, sha256=sha256, created_by=by)
    dataset.full_clean()
    dataset.save()
    Example.objects.bulk_create(
        (_example(dataset, position, draft, splits) for position, draft in enumerate(drafts)),
        batch_size=500,
    )
    return dataset


def _example(dataset: Dataset, position: int, draft: Draft, splits: Mapping[str, str]) -> Example:
    return Example(
        dataset=dataset,
        position=position,
        split=splits[draft.origin],
        origin=draft.origin,
        turn_id=draft.turn_id,
        revision_id=draft.revision_id,
        data=draft.data,
    )


def splits_of(origins: set[str], held_out_share: float) -> dict[str, str]:
    """Put each origin on its side of the fence: where it stands already, or by its hash.

    The new ones fill up the share that is to be held out, in the order of their hashes.
    """
    known = Example.objects.filter(origin__in=origins)
    splits = dict(known.values_list("origin", "split").distinct())
    fresh = sorted(origins - splits.keys(), key=_hash)
    held = list(splits.values()).count(Split.HELD_OUT)
    missing = max(0, round(held_out_share * len(origins)) - held)
    splits |= dict.fromkeys(fresh[:missing], Split.HELD_OUT)
    return splits | dict.fromkeys(fresh[missing:], Split.TRAIN)


def _hash(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def usable(drafts: Iterable[Draft]) -> tuple[list[Draft], int]:
    """Return each row once, without those a trainer would refuse, and how many are left out."""
    kept: dict[str, Draft] = {}
    left_out = 0
    for draft in drafts:
        text = canonical(draft.data)
        if text in kept or _length(draft) > LONGEST_EXAMPLE:
            left_out += 1
        else:
            kept[text] = draft
    return list(kept.values()), left_out


def canonical(data: object) -> str:
    """Return the one JSON text of a value, for hashing."""
    return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _length(draft: Draft) -> int:
    prompt = sum(len(message["content"]) for message in draft.data["prompt"])
    answers = [draft.data.get(part) for part in ("completion", "chosen", "rejected")]
    return prompt + max(len(answer[0]["content"]) for answer in answers if answer)


def _what_to_do(form: str, has_rows: bool) -> str:
    if has_rows:
        return (
            "Every row comes from a conversation or rule that another set holds out. "
            "Judge or import more, or hold out less."
        )
    if form == DatasetForm.PREFERENCE:
        return "There are no pairs yet: mark replies bad and rewrite them, then build again."
    return (
        "There is nothing to learn from yet: mark replies good, import dialogues, "
        "or publish rules with other wordings, then build again."
    )
