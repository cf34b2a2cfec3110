"""The route that says which link of an event is its meeting, and what else was there, without keeping anything."""

import asyncio
from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Response, post

from service.api.auth import ApiRequest
from service.api.bodies import Body
from service.api.idempotency import once
from service.api.injection import Injected
from service.core.meeting_links.evidence import LinkRules
from service.core.meeting_links.finding import Explanation, explain
from service.flows.gateway import Gateway
from service.providers.link_sources import Source, collect
from service.store import projects


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event as its `source` gives it.

    For `google` and `microsoft` that is the JSON of their APIs, for `ics` a map of decoded properties or
    `{"raw": "BEGIN:VEVENT..."}`, and for `text` `{"text": "..."}`.
    """

    source: Source
    event: dict[str, Any]


QUESTION: Final = Body[Question](
    Question,
    example={
        "source": "google",
        "event": {
            "summary": "Weekly review",
            "location": "Room 4.12",
            "description": "Join: <a href='https://us02web.zoom.us/j/81234567890?pwd=FaKe.1'>Zoom</a>",
        },
    },
)


@post(
    "/meeting_links/explain",
    operation_id="explainMeetingLinks",
    summary="Say which link of an event is its meeting",
    description="The way into the call by the rules of the project, and `alternatives`, the best first; nulls where there "
    "is none, and a `hint` where something looks like one and is not. Nothing is kept, and nothing is fetched. A field of "
    "the event that has a wrong type counts as absent.",
    status_code=200,
    tags=["Meetings"],
    opt={"body": QUESTION, "scope": "read"},
)
async def explain_links(request: ApiRequest, gateway: Injected[Gateway]) -> Response[Explanation]:
    question = await QUESTION.read(request)

    async def work(_object_id: UUID) -> Response[Explanation]:
        async with gateway.database.read() as conn:
            rules = await projects.link_rules(conn, request.auth.project_id)
        # A megabyte of hostile HTML takes a tenth of a second, for which other requests need not wait.
        return Response(await asyncio.to_thread(_explain, question, rules))

    return await once(gateway, request, work)


def _explain(question: Question, rules: LinkRules) -> Explanation:
    return explain(collect(question.source, question.event), rules)


ROUTES: Final = [explain_links]
