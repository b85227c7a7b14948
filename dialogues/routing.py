"""What is served beside Django's views: sockets, and requests that wait."""

from django.urls import path, re_path

from dialogues.chat import polling
from dialogues.chat.consumers import ChatConsumer, nothing_there

# Django's types know views alone; the router calls what stands here as ASGI applications.
websocket_urlpatterns = [
    path("ws/chat/<uuid:conversation_id>/", ChatConsumer.as_asgi()),
    re_path("", nothing_there),  # type: ignore[arg-type]
]
SESSION = "api/chat/sessions/<uuid:conversation_id>/"
http_urlpatterns = [
    path(f"{SESSION}events/", polling.events),  # type: ignore[arg-type]
    path(f"{SESSION}frames/", polling.take_frame),  # type: ignore[arg-type]
]
