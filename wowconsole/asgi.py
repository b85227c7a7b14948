"""One ASGI application for pages, API and sockets."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wowconsole.settings")
os.environ.setdefault("DATABASE_POOL_SIZE", "16")  # a web process serves many at once

from django.core.asgi import get_asgi_application

http = get_asgi_application()  # before the routes below, which import models

from channels.routing import ProtocolTypeRouter, URLRouter
from django.urls import URLPattern, re_path

from dialogues.routing import http_urlpatterns, websocket_urlpatterns
from wowconsole.threads import Threads

CHAT_THREADS = 8  # each holds a connection of the pool while it asks; pages take the others

chats = Threads(CHAT_THREADS)
polls = [URLPattern(poll.pattern, chats.serving(poll.callback)) for poll in http_urlpatterns]
# The chat socket is opened by a token, never by a cookie, so it may come from any page:
# checking the origin would only keep out apps and embedded windows.
application = ProtocolTypeRouter(
    {
        # Django's types know views alone; the router calls ASGI applications.
        "http": URLRouter([*polls, re_path("", http)]),  # type: ignore[arg-type]
        "websocket": chats.serving(URLRouter(websocket_urlpatterns)),
    }
)

# Each window keeps some hundred objects alive: to go through all of them again and again stops
# the process for a second at ten thousand windows. What is loaded by now never becomes garbage.
gc.collect()
gc.freeze()
gc.set_threshold(20_000, 20, 1_000_000)
