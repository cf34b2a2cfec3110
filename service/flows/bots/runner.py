"""Naming a project's runner, and letting the webhook be it again."""

from collections.abc import Mapping
from uuid import UUID

from service.core.audit import GATEWAY, Author
from service.flows.gateway import Gateway
from service.store import audit, bot_runners
from service.store.tables import Found


async def name(
    gateway: Gateway,
    project_id: UUID,
    kind: str,
    url: str | None,
    headers: Mapping[str, str],
    by: Author = GATEWAY,
) -> Found:
    """Have bots launched by an HTTP API, or by the webhook: the runner's row. Those that are due are handed over, too."""
    async with gateway.database.write() as conn:
        now = gateway.clock()
        row, _ = await bot_runners.put(conn, gateway.cipher, project_id, kind=kind, url=url, headers=headers, now=now)
        await audit.append(conn, project_id, by.did("bot_runner.set", project_id, runner=kind), now)
    return row


async def remove(gateway: Gateway, project_id: UUID, by: Author = GATEWAY) -> bool:
    """Let the webhook launch bots; False when it did."""
    async with gateway.database.write() as conn:
        removed = await bot_runners.remove(conn, project_id)
        if removed:
            await audit.append(conn, project_id, by.did("bot_runner.removed", project_id), gateway.clock())
    return removed
