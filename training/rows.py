"""The rows of a training set: their shape, and their text as the engine will see it. No Django.

SFT row: {"prompt": [messages], "completion": [one assistant message]}.
DPO row: {"prompt": [messages], "chosen": [one assistant message], "rejected": [likewise]}.
"""

import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

Row = dict[str, Any]
Recipe = TypeVar("Recipe")


class JobRefused(ValueError):
    """The job can't be trained as it is; the message says which row or field, and why."""


def read_rows(path: Path, check: Callable[[Any], str]) -> list[tuple[str, Row]]:
    """Return a JSON-lines file's rows, each with its name; `check` says what is wrong with one.

    Raises:
        JobRefused: with the file and the row's number, counted from 1.
    """
    rows: list[tuple[str, Row]] = []
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise JobRefused(f"{path.name} can't be read: {error.strerror}.") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except ValueError:
            raise JobRefused(f"{path.name} row {number}: not JSON.") from None
        if wrong := check(row):
            raise JobRefused(f"{path.name} row {number}: {wrong}.")
        rows.append((f"{path.name} row {number}", row))
    if not rows:
        raise JobRefused(f"{path.name} has no rows.")
    return rows


def wrong_messages(row: Any, name: str) -> str:
    """Say what is wrong with the chat messages under `name`, "" if nothing."""
    messages = row.get(name) if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages:
        return f"{name!r} must be a list of messages"
    for message in messages:
        if not isinstance(message, dict) or not {"role", "content"} <= message.keys():
            return f"a message of {name!r} has no role or no content"
        if not isinstance(message["content"], str) or not message["content"].strip():
            return f"a message of {name!r} is empty"
    return ""


def wrong_answer(row: Any, name: str) -> str:
    """Say what is wrong with the one assistant message under `name`, "" if nothing."""
    if wrong := wrong_messages(row, name):
        return wrong
    if len(row[name]) != 1 or row[name][0]["role"] != "assistant":
        return f"{name!r} must be one message of the assistant"
    return ""


def render(tokenizer: Any, row: Row, answer: str) -> tuple[str, str]:
    """Return the prompt up to the assistant's turn, and the answer with its end of turn.

    These are the engine's bytes: it renders the same template and stops at the same token.
    The template's line end after the turn is left out, for the model never has to write it.
    """
    prompt = tokenizer.apply_chat_template(
        row["prompt"], tokenize=False, add_generation_prompt=True
    )
    return prompt, row[answer][0]["content"] + tokenizer.eos_token


def check_length(tokenizer: Any, prompt: str, answer: str, max_length: int, name: str) -> int:
    """Return the tokens of prompt and answer.

    Raises:
        JobRefused: there are more than `max_length` (a cut answer would teach to break off),
            or prompt and answer share a token, so that the engine would never see the prompt.
    """
    before, whole = tokenizer(prompt)["input_ids"], tokenizer(prompt + answer)["input_ids"]
    if len(whole) > max_length:
        raise JobRefused(f"{name}: {len(whole)} tokens, more than max_length {max_length}.")
    if whole[: len(before)] != before:
        raise JobRefused(f"{name}: the answer's first letters melt into the prompt's last token.")
    return len(whole)


def read_recipe(kind: type[Recipe], said: dict[str, Any]) -> Recipe:
    """Return `kind` with the fields of `said`; the others keep their defaults.

    Raises:
        JobRefused: a field is unknown, of another type than its default, or negative.
    """
    defaults: dict[str, Any] = {
        field.name: field.default
        for field in fields(kind)  # type: ignore[arg-type]  # a dataclass, by contract
    }
    for name, value in said.items():
        if name not in defaults:
            raise JobRefused(f"The recipe has no field {name!r}; it has {', '.join(defaults)}.")
        allowed = (int, float) if isinstance(defaults[name], float) else type(defaults[name])
        if not isinstance(value, allowed) or (not isinstance(value, str) and value < 0):
            raise JobRefused(f"The recipe's {name} can't be {value!r}.")
    return kind(**said)


def order(lengths: list[int], *, epochs: int, batch: int, seed: int) -> list[int]:
    """Return row numbers for all epochs, `batch` at a time of like length, otherwise shuffled.

    Like beside like saves padding. Fixed beforehand, because the Trainer's own grouping draws
    anew after a resume, and then shows some rows twice and others never.
    """
    shuffled: list[int] = []
    for epoch in range(epochs):
        draw = random.Random(f"{seed} {epoch}")  # noqa: S311  # an order, not a secret
        rows = draw.sample(range(len(lengths)), len(lengths))
        pool = 8 * batch  # small enough that a batch's rows still differ from epoch to epoch
        pools = [rows[start : start + pool] for start in range(0, len(rows), pool)]
        alike = [row for part in pools for row in sorted(part, key=lengths.__getitem__)]
        batches = [alike[start : start + batch] for start in range(0, len(alike), batch)]
        draw.shuffle(batches)
        shuffled += [row for rows in batches for row in rows]
    return shuffled


def put_in_order(trainer: Any, examples: list[Row], *, epochs: int) -> None:
    """Replace the trainer's rows, one epoch as given, by all epochs in `order`."""
    if len(trainer.train_dataset) != len(examples):
        raise JobRefused("The trainer dropped rows.")
    batch = trainer.args.per_device_train_batch_size
    lengths = [example["length"] for example in examples]
    chosen = order(lengths, epochs=epochs, batch=batch, seed=trainer.args.seed)
    trainer.train_dataset = trainer.train_dataset.select(chosen)
