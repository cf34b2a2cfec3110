"""Routes of webhook messages: what was sent, to whom, every attempt; and sending one again."""

from typing import Annotated, Final
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter

from service.api.auth import ApiRequest
from service.api.authorship import desk
from service.api.bodies import Body
from service.api.endpoint_shapes import Resending
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, json_page, moment
from service.api.paging import Moment as TimeText
from service.api.problems import invalid
from service.api.webhook_refusals import told_as_problems
from service.api.webhook_views import (
    AttemptView,
    MessageView,
    MessageWithPayload,
    RedeliveryView,
    attempt_view,
    message_view,
    message_with_payload,
)
from service.flows.gateway import Gateway
from webhooks.desk import Selection
from webhooks.message import DeliveryState

RESENDING: Final = Body[Resending](
    Resending, example={"endpoint_id": "0199f3a2-7a10-7f3e-b1d4-6c8e0a9f5b22"}, when_empty=Resending()
)


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
    endpoint_id: Annotated[UUID | None, QueryParameter(description="For this endpoint.")] = None,
    standing: Annotated[
        str | None,
        QueryParameter(
            name="state", description=f"The `status` of a delivery: {', '.join(DeliveryState)}.", max_length=16
        ),
    ] = None,
    since: TimeText = None,
    until: TimeText = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    if standing is not None and standing not in set(DeliveryState):
        raise invalid("state", f"accepts {', '.join(DeliveryState)}")
    cursors = Cursors(gateway.cipher, project_id, "messages")
    wanted = Selection(
        type=kind,
        calendar_id=calendar_id,
        endpoint_id=endpoint_id,
        state=standing,
        since=moment(since, "since"),
        until=moment(until, "until"),
        before=cursors.read(cursor, UUID),
        limit=limit + 1,
    )
    with told_as_problems():
        found = await gateway.desk.messages(project_id, wanted)
    shown = found[:limit]
    rows = [msgspec.json.encode(message_view(*one)) for one in shown]
    return json_page(rows, cursors.write(shown[-1][0].id) if len(found) > limit else None)


@get(
    "/webhooks/messages/{message_id:uuid}",
    operation_id="getMessage",
    summary="Show a message with its payload",
    tags=["Webhooks"],
)
async def show(
    message_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[MessageWithPayload]:
    with told_as_problems():
        return Response(message_with_payload(*await gateway.desk.message(request.auth.project_id, message_id)))


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
    with told_as_problems():
        found = await gateway.desk.attempts(project_id, message_id)
    # A message has some ten attempts for each endpoint, kept together: the page is cut here.
    start = next((index for index, attempt in enumerate(found, 1) if attempt.id == after), 0)
    shown = found[start : start + limit]
    rows = [msgspec.json.encode(attempt_view(attempt)) for attempt in shown]
    return json_page(rows, cursors.write(shown[-1].id) if len(found) > start + limit else None)


@post(
    "/webhooks/messages/{message_id:uuid}/resend",
    status_code=202,
    operation_id="resendMessage",
    summary="Send a message again",
    description="To one of the endpoints that it was for, or to all of them: same id, same bytes, a new round of retries, "
    "behind what is new; of an endpoint with `ordering: fifo`, past those that wait for their turn. 409 when none of them can be sent to.",
    tags=["Webhooks"],
    opt={"body": RESENDING},
)
async def resend(
    message_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[RedeliveryView]:
    body = await RESENDING.read(request)

    async def work(_object_id: UUID) -> Response[RedeliveryView]:
        with told_as_problems():
            count = await desk(request, gateway).resend(
                request.auth.project_id, message_id, endpoint_id=body.endpoint_id, now=gateway.clock()
            )
        return Response(RedeliveryView(count), status_code=202)

    return await once(gateway, request, work)


ROUTES: Final = [list_messages, show, list_attempts, resend]
