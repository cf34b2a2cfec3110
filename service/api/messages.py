"""Routes of webhook messages: what was sent, to whom, and every attempt."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from service.api.auth import ApiRequest
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, json_page
from service.api.problems import not_found
from service.api.views import (
    AttemptView,
    MessageView,
    MessageWithPayload,
    attempt_view,
    message_view,
    message_with_payload,
)
from service.flows.gateway import Gateway
from webhooks import history
from webhooks.history import Delivery


@get(
    "/webhooks/messages",
    operation_id="listMessages",
    summary="List what was sent, newest first",
    tags=["Webhooks"],
    responses={200: ResponseSpec(Page[MessageView], description="A page", generate_examples=False)},
)
async def list_messages(
    request: ApiRequest,
    gateway: Injected[Gateway],
    kind: Annotated[str | None, QueryParameter(name="type", description="The event type.", max_length=64)] = None,
    calendar_id: Annotated[UUID | None, QueryParameter(description="About this calendar.")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "messages")
    before = cursors.read(cursor, UUID)
    async with gateway.database.read() as conn:
        found = await history.page(conn, project_id, type=kind, calendar_id=calendar_id, before=before, limit=limit + 1)
        shown = found[:limit]
        deliveries = await history.message_deliveries(conn, project_id, [message.id for message in shown])
    by_message: dict[UUID, list[Delivery]] = {}
    for delivery in deliveries:
        by_message.setdefault(delivery.message_id, []).append(delivery)
    rows = [msgspec.json.encode(message_view(message, by_message.get(message.id, []))) for message in shown]
    return json_page(rows, cursors.write(shown[-1].id) if len(found) > limit else None)


@get(
    "/webhooks/messages/{message_id:uuid}",
    operation_id="getMessage",
    summary="Show a message with its payload",
    tags=["Webhooks"],
)
async def show(
    message_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[MessageWithPayload]:
    async with gateway.database.read() as conn:
        found = await history.message(conn, request.auth.project_id, message_id)
    if found is None:
        raise not_found()
    return Response(message_with_payload(*found))


@get(
    "/webhooks/messages/{message_id:uuid}/attempts",
    operation_id="listAttempts",
    summary="List every attempt to deliver a message, oldest first",
    tags=["Webhooks"],
    responses={200: ResponseSpec(Page[AttemptView], description="A page", generate_examples=False)},
)
async def list_attempts(
    message_id: FromPath[UUID],
    request: ApiRequest,
    gateway: Injected[Gateway],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, f"attempts of {message_id}")
    after = cursors.read(cursor, UUID)
    async with gateway.database.read() as conn:
        found = await history.message_attempts(conn, project_id, message_id)
        if not found and await history.message(conn, project_id, message_id) is None:
            raise not_found()
    # A message has some ten attempts for each endpoint, kept together: the page is cut here.
    start = next((index for index, attempt in enumerate(found, 1) if attempt.id == after), 0)
    shown = found[start : start + limit]
    rows = [msgspec.json.encode(attempt_view(attempt)) for attempt in shown]
    return json_page(rows, cursors.write(shown[-1].id) if len(found) > start + limit else None)


ROUTES: Final = [list_messages, show, list_attempts]
