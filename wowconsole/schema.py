"""What the OpenAPI document says about API keys."""

from typing import Any, ClassVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "wowconsole.apikeys.ApiKeyAuthentication"
    name = "apiKey"
    priority: ClassVar[int] = 1

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}
