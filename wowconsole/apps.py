from django.apps import AppConfig


class WowconsoleConfig(AppConfig):
    name = "wowconsole"

    def ready(self) -> None:
        from wowconsole import schema  # noqa: F401  # registers itself with drf-spectacular
