"""MCP servers for tests: real ones, by the SDK, on a loopback port in a thread."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn


@contextmanager
def served(app):
    """Yield the address of an ASGI application while it runs."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_level="critical", lifespan="on", loop="asyncio")
    server = uvicorn.Server(config)
    # A thread that is not the main one gets no signals, which suits tests.
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(5)
        listener.close()


@contextmanager
def mcp_server(*tools, **options):
    """Yield (address, server); `tools` are functions, or (function, options of add_tool)."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("test", log_level="CRITICAL")
    for tool in tools:
        function, extra = tool if isinstance(tool, tuple) else (tool, {})
        server.add_tool(function, **extra)
    app = server.streamable_http_app(
        stateless_http=True, json_response=options.pop("json_response", True)
    )
    with served(app) as url:
        yield url, server
