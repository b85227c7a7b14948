"""Asking MCP servers what they offer, and holding back what is no longer as approved."""

from asgiref.sync import async_to_sync
from django.utils import timezone

from agents import mcp_calling, mcp_client
from agents.mcp_client import Definition
from agents.models import MCPServer, Tool
from agents.reaching import ForbiddenAddress


def list_all() -> int:
    """Ask every active server; return how many tools were held back. From beat."""
    return sum(list_server(server) for server in MCPServer.objects.filter(is_active=True))


def list_server(server: MCPServer) -> int:
    """Ask a server what it offers, and store that; return how many tools are held back now.

    An answer that does not come changes no tool: calls will say so themselves.
    """
    try:
        offers = async_to_sync(_ask)(server)
    except (mcp_client.ServerUnavailable, ForbiddenAddress) as error:
        MCPServer.objects.filter(pk=server.pk).update(error=str(error)[:300])
        server.refresh_from_db()
        return 0
    server.listing, server.listed_at, server.error = list(offers.values()), timezone.now(), ""
    server.save(update_fields=["listing", "listed_at", "error"])
    return sum(_compare(tool, server, offers) for tool in server.tools.all())


async def _ask(server: MCPServer) -> dict[str, Definition]:
    async with mcp_client.connected(mcp_calling.endpoint(server)) as client:
        return await mcp_client.listed(client)


def _compare(tool: Tool, server: MCPServer, offers: dict[str, Definition]) -> bool:
    """Hold a tool back, or let it go again; True: it is held back."""
    offered = offers.get(tool.remote_name)
    rows = Tool.objects.filter(pk=tool.pk)
    if offered == tool.approved and mcp_calling.is_pinned(tool, server):
        rows.update(held_at=None, offered=None)
        return False
    rows.update(held_at=tool.held_at or timezone.now(), offered=offered)
    return True
