"""One ASGI application for pages, API and sockets."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wowconsole.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")  # a web process serves many at once

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the routes below, which import models

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator

from dialogues.routing import websocket_urlpatterns

application = ProtocolTypeRouter(
    {
        "http": http,
        "websocket": AllowedHostsOriginValidator(
            AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
        ),
    }
)
