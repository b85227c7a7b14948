"""One ASGI application for pages, API and sockets."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wowconsole.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")  # a web process serves many at once

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the routes below, which import models

from channels.routing import ProtocolTypeRouter, URLRouter

from dialogues.routing import websocket_urlpatterns

# The chat socket is opened by a token, never by a cookie, so it may come from any page:
# checking the origin would only keep out apps and embedded windows.
application = ProtocolTypeRouter({"http": http, "websocket": URLRouter(websocket_urlpatterns)})
