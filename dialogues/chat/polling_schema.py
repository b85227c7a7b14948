"""What the OpenAPI document says of the long poll, which is no view and so not found by itself."""

from typing import Any

SESSION = "/api/chat/sessions/{id}/"
_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_OBJECT = {"application/json": {"schema": {"type": "object", "additionalProperties": {}}}}
_COMMON = {"tags": ["chat"], "security": [{"chatSession": []}]}


def add(result: dict[str, Any], **context: Any) -> dict[str, Any]:
    """Add its two addresses; a postprocessing hook of drf-spectacular."""
    schemes = result.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["chatSession"] = {
        "type": "http",
        "scheme": "bearer",
        "description": "The token that opened the chat.",
    }
    result["paths"][f"{SESSION}events/"] = {"get": _events()}
    result["paths"][f"{SESSION}frames/"] = {"post": _frames()}
    return result


def _number(name: str, text: str) -> dict[str, Any]:
    schema = {"type": "integer", "minimum": 0, "default": 0}
    return {"name": name, "in": "query", "description": text, "schema": schema}


def _events() -> dict[str, Any]:
    return {
        **_COMMON,
        "operationId": "chat_sessions_events_retrieve",
        "description": "What is newer than an event, or what comes within `wait` seconds: the "
        "events of the chat socket, but for the pieces of a reply being written. A status of the "
        "agent and its message name their `turn`. Of a tool's result an `action` has the fields "
        "that the tool's template names, or why there is none (`error`).",
        "parameters": [
            _ID,
            _number("after", "seq of the last event you have"),
            _number("wait", "seconds to wait for news, 25 at most"),
        ],
        "responses": {
            "200": {"description": "{events, after}", "content": _OBJECT},
            "404": {"description": "No such session, or another token."},
        },
    }


def _frames() -> dict[str, Any]:
    return {
        **_COMMON,
        "operationId": "chat_sessions_frames_create",
        "description": "One frame, as the chat socket takes it; answered as the socket answers.",
        "parameters": [_ID],
        "requestBody": {"required": True, "content": _OBJECT},
        "responses": {
            "200": {"description": "ack, identified, or nothing", "content": _OBJECT},
            "404": {"description": "No such session, or another token."},
            "422": {"description": "error {code, detail}; also as 403, 409 and 429"},
        },
    }
