"""The least an ASGI server can do with a socket: what the chat's is measured beside."""

from typing import Any


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send every text frame back."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        frame = await receive()
        if frame["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": frame.get("text", "")})
