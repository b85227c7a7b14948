"""What a program may send to `/v1/chat/completions`: the OpenAI API's fields, text alone."""

from typing import Any

from rest_framework import serializers

from dialogues.appending import LONGEST_MESSAGE, shows

MOST_MESSAGES = 100
SPEAKERS = {"user": "customer", "assistant": "agent"}
TOOL = "tool"  # of the program's own: what it told is no part of the talk


class PartSerializer(serializers.Serializer[Any]):
    type = serializers.ChoiceField(["text"])
    text = serializers.CharField()


class ContentField(serializers.Field[str, Any, Any, Any]):
    """A text, or a list of text parts; may be empty."""

    def to_internal_value(self, data: Any) -> str:
        if isinstance(data, list):
            parts = PartSerializer(data=data, many=True)
            parts.is_valid(raise_exception=True)
            data = " ".join(part["text"] for part in parts.validated_data)
        return str(serializers.CharField(allow_blank=True).run_validation(data))

    def to_representation(self, value: Any) -> Any:
        return value


class MessageSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(
        [*SPEAKERS, TOOL],
        error_messages={
            "invalid_choice": "Roles are user, assistant, tool; a release has its own instructions."
        },
    )
    content = ContentField(allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        content = attrs["content"] or ""
        can_be_said = shows(content) and len(content) <= LONGEST_MESSAGE
        if attrs["role"] == "user" and not can_be_said:
            limit = f"A message of the user has 1 to {LONGEST_MESSAGE} characters."
            raise serializers.ValidationError({"content": [limit]})
        return attrs


class CompletionRequest(serializers.Serializer[Any]):
    model = serializers.CharField(max_length=80)
    messages = MessageSerializer(many=True)
    stream = serializers.BooleanField(default=False, allow_null=True)
    stream_options = serializers.DictField(required=False, allow_null=True)  # {"include_usage"}
    user = serializers.CharField(max_length=120, default="", allow_null=True, allow_blank=True)
    metadata = serializers.DictField(  # {"scene"} or {"conversation"}
        child=serializers.CharField(allow_blank=True), default=dict, allow_null=True
    )

    def validate_messages(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Leave out the program's own tools: what they told, and calls without a word."""
        if len(messages) > MOST_MESSAGES:
            raise serializers.ValidationError(f"At most {MOST_MESSAGES} messages.")
        if not messages or messages[-1]["role"] != "user":
            raise serializers.ValidationError("The last message is the user's.")
        return [row for row in messages if row["role"] in SPEAKERS and row["content"]]
