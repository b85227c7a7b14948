"""Asking a judge model, where one is configured (JUDGE_URL, JUDGE_MODEL).

What is judged is data that customers and authors wrote: it goes into the prompt as JSON
strings, and only an answer that fits the schema is taken.
"""

import json
from typing import Any, cast

import jsonschema
from django.conf import settings
from django.template.loader import render_to_string
from openai import OpenAI, OpenAIError

from agents.cleaning import storable

TIMEOUT_SECONDS = 60
MOST_TOKENS = 400


class JudgeUnavailable(Exception):
    """No judge is configured, it can't be reached, or its answer fits no schema."""


def is_configured() -> bool:
    return bool(settings.JUDGE_URL and settings.JUDGE_MODEL)


def ask(template: str, question: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return the judge's answer, an object that fits `schema`.

    Args:
        template: instructions for the judge, a file below templates/agents/judges/.
        question: what it judges; shown to it as one JSON object, never as instructions.

    Raises:
        JudgeUnavailable: try again later, or leave it to a person.
    """
    if not is_configured():
        raise JudgeUnavailable("No judge is configured; set JUDGE_URL and JUDGE_MODEL.")
    messages = [
        {"role": "system", "content": render_to_string(f"agents/judges/{template}")},
        {"role": "user", "content": json.dumps(question, ensure_ascii=False)},
    ]
    try:
        answer = storable(json.loads(_complete(messages, schema)))
        jsonschema.validate(answer, schema)
    except (OpenAIError, ValueError, jsonschema.ValidationError) as error:
        raise JudgeUnavailable(str(error)[:300]) from error
    return dict(answer)


def _complete(messages: list[dict[str, str]], schema: dict[str, Any]) -> str:
    wrapped = {"name": "verdict", "schema": schema, "strict": True}
    with OpenAI(
        base_url=settings.JUDGE_URL,
        api_key=settings.JUDGE_API_KEY,
        timeout=TIMEOUT_SECONDS,
        max_retries=1,
    ) as client:
        answer = client.chat.completions.create(
            model=settings.JUDGE_MODEL,
            messages=cast(Any, messages),
            temperature=0,
            max_tokens=MOST_TOKENS,
            response_format=cast(Any, {"type": "json_schema", "json_schema": wrapped}),
        )
    return answer.choices[0].message.content or "" if answer.choices else ""
