"""Who acts by a request, as the audit log is told."""

import ipaddress
from typing import Any
from uuid import UUID

from litestar import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import ApiRequest
from service.api.problems import request_id
from service.core.audit import Actor, Author
from service.flows.gateway import Gateway
from service.store import audit
from webhooks.desk import Deed, Desk


def author(request: ApiRequest) -> Author:
    """The key behind a request, the request's id, and the client's address as far as proxies are trusted to tell it."""
    return Author(
        actor=Actor("api_key", str(request.auth.key_id)),
        request_id=request_id(request.scope),
        address=address_of(request),
    )


def desk(request: ApiRequest, gateway: Gateway) -> Desk:
    """The desk of endpoints and messages, for somebody whose acts are written into the audit log."""
    by = author(request)

    async def record(conn: AsyncConnection, project_id: UUID, deed: Deed) -> None:
        act = by.did(deed.action, deed.object_id, fields=list(deed.fields))
        await audit.append(conn, project_id, act, gateway.clock())

    return gateway.desk.telling(record)


def address_of(request: Request[Any, Any, Any]) -> str | None:
    """The client's address; None for a socket without one, and for what a proxy has made of it."""
    client = request.scope["client"]
    try:
        return str(ipaddress.ip_address(client[0])) if client else None
    except ValueError:
        return None
