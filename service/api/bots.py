"""Routes of bots: planned for an event or a series, and the project's runner that launches them."""

import re
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath
from msgspec import Meta

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.bodies import Body
from service.api.injection import Injected
from service.api.paging import entity_tag
from service.api.preconditions import expected_version
from service.api.problems import invalid, not_found
from service.core.bots import LONGEST_LEAD, MOST_CONFIG_BYTES
from service.flows.bots import planning, runner
from service.flows.bots.planning import BotPlan, PlanWish
from service.flows.gateway import Gateway
from service.providers.addresses import Policy
from service.providers.guarded_http import resolve_and_judge
from service.store import bot_runners
from service.store.tables import Found

MOST_HEADERS: Final = 20
VENDOR_KEY: Final = "x-meeting-baas-api-key"
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]{0,4094}[\x21-\x7e])?")
OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "idempotency-key", "upgrade", "te"}
)
"""Headers that a runner's request has anyway, or that would change where it goes and how it is read."""


class BotWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bot to be planned. `config` is any object, handed to your runner as it is.

    It is launched `join_lead_seconds` before its meeting starts. With `deduplicate` all plans for copies of one real
    meeting make one bot, by the oldest of them.
    """

    config: dict[str, Any]
    join_lead_seconds: Annotated[int, Meta(ge=0, le=LONGEST_LEAD)] = 60
    deduplicate: bool = True

    def __post_init__(self) -> None:
        if len(msgspec.json.encode(self.config)) > MOST_CONFIG_BYTES:
            raise ValueError(f"`config` has more than {MOST_CONFIG_BYTES} bytes")


class RunnerWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who launches bots: the webhook `bot.launch`, an HTTP API of yours at `url`, or Meeting BaaS.

    `headers` go with every request, and are kept as secrets; Meeting BaaS wants `x-meeting-baas-api-key`.
    """

    kind: Literal["webhook", "http", "meeting_baas"]
    url: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    headers: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.kind == "http" and self.url is None:
            raise ValueError("`url` is required for a runner of this kind")
        if self.kind == "webhook" and (self.url is not None or self.headers):
            raise ValueError("`kind` is webhook: `POST /webhooks/endpoints` says where it is sent")
        if self.kind == "meeting_baas" and VENDOR_KEY not in {name.lower() for name in self.headers}:
            raise ValueError(f"`headers` needs {VENDOR_KEY}: without it the vendor launches nothing")
        if len(self.headers) > MOST_HEADERS:
            raise ValueError(f"`headers` has more than {MOST_HEADERS} names")
        if len({name.lower() for name in self.headers}) != len(self.headers):
            raise ValueError("`headers` has a name twice")


class RunnerView(msgspec.Struct, frozen=True, kw_only=True):
    """A project's runner; of its headers the names alone are shown."""

    kind: str
    url: str | None
    header_names: list[str]
    version: int


WISH: Final = Body[BotWish](BotWish, example={"config": {"bot_name": "Notes"}, "join_lead_seconds": 60})
RUNNER: Final = Body[RunnerWish](
    RunnerWish,
    example={"kind": "http", "url": "https://bots.example.com/launch", "headers": {"authorization": "Bearer ..."}},
)
_EITHER: Final = {201: ResponseSpec(BotPlan, description="Planned", generate_examples=False)}


@put(
    "/events/{event_id:uuid}/bot",
    operation_id="planEventBot",
    summary="Plan a bot for an event",
    description="201 for a new plan, 200 for one that is replaced. The bot follows the event, and is launched once for the "
    "meeting, on however many calendars it is. Without a link, or declined, it is `waiting`, with the reason. 409 for an event "
    "that is over or cancelled.",
    tags=["Bots"],
    opt={"body": WISH, "conditional": True, "statuses": (409,)},
    responses=_EITHER,
)
async def plan_event(event_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[BotPlan]:
    wish = await _wish(request)
    version = expected_version(request)
    plan, is_new = await planning.plan_event(gateway, request.auth.project_id, event_id, wish, expected_version=version)
    return Response(plan, status_code=201 if is_new else 200, headers=entity_tag(plan.version))


@put(
    "/series/{series_id:str}/bot",
    operation_id="planSeriesBot",
    summary="Plan bots for a series",
    description="Every occurrence has a bot, also those that come into the window later. An event's own plan goes before.",
    tags=["Bots"],
    opt={"body": WISH, "conditional": True, "statuses": (409,)},
    responses=_EITHER,
)
async def plan_series(series_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[BotPlan]:
    wish = await _wish(request)
    version = expected_version(request)
    plan, is_new = await planning.plan_series(
        gateway, request.auth.project_id, series_id, wish, expected_version=version
    )
    return Response(plan, status_code=201 if is_new else 200, headers=entity_tag(plan.version))


@get(
    "/events/{event_id:uuid}/bot",
    operation_id="getEventBot",
    summary="Show the plan of an event's bot",
    description="The event's own plan, else that of its series; 404 where it is to have none.",
    tags=["Bots"],
)
async def show_event(event_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[BotPlan]:
    return _shown(await planning.show_event(gateway, request.auth.project_id, event_id))


@get("/series/{series_id:str}/bot", operation_id="getSeriesBot", summary="Show the plan of a series", tags=["Bots"])
async def show_series(series_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[BotPlan]:
    return _shown(await planning.show_series(gateway, request.auth.project_id, series_id))


@delete(
    "/events/{event_id:uuid}/bot",
    operation_id="dropEventBot",
    summary="Have no bot for an event",
    description="Also where its series has one. A bot that was launched already is announced by `bot.cancelled`.",
    tags=["Bots"],
    opt={"conditional": True},
)
async def drop_event(event_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    version = expected_version(request)
    if not await planning.drop_event(gateway, request.auth.project_id, event_id, expected_version=version):
        raise not_found()


@delete(
    "/series/{series_id:str}/bot",
    operation_id="dropSeriesBot",
    summary="Have no bots for a series",
    description="Events with plans of their own keep theirs.",
    tags=["Bots"],
    opt={"conditional": True},
)
async def drop_series(series_id: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    version = expected_version(request)
    if not await planning.drop_series(gateway, request.auth.project_id, series_id, expected_version=version):
        raise not_found()


@put(
    "/bot_runner",
    operation_id="putBotRunner",
    summary="Say who launches bots",
    description="`webhook` is the default: `bot.launch` is sent to your endpoints. `http` POSTs the same data to `url`, with the "
    "bot's id as Idempotency-Key, until it is accepted or the meeting is over. `meeting_baas` creates a bot there with the plan's "
    "`config`.",
    tags=["Bots"],
    opt={"body": RUNNER, "scope": "admin"},
)
async def put_runner(request: ApiRequest, gateway: Injected[Gateway], policy: Injected[Policy]) -> Response[RunnerView]:
    wish = await RUNNER.read(request)
    _check_headers(wish)
    if wish.url is not None:
        await resolve_and_judge(wish.url, policy, "webhook")
    row = await runner.name(gateway, request.auth.project_id, wish.kind, wish.url, wish.headers, author(request))
    return Response(_runner_view(row), headers=entity_tag(row.version))


@get("/bot_runner", operation_id="getBotRunner", summary="Show who launches bots", tags=["Bots"])
async def show_runner(request: ApiRequest, gateway: Injected[Gateway]) -> RunnerView:
    async with gateway.database.read() as conn:
        row = await bot_runners.find(conn, request.auth.project_id)
    return _runner_view(row) if row is not None else RunnerView(kind="webhook", url=None, header_names=[], version=0)


@delete(
    "/bot_runner",
    operation_id="removeBotRunner",
    summary="Let the webhook launch bots again",
    description="404 where it does.",
    tags=["Bots"],
    opt={"scope": "admin", "statuses": (404,)},
)
async def remove_runner(request: ApiRequest, gateway: Injected[Gateway]) -> None:
    if not await runner.remove(gateway, request.auth.project_id, author(request)):
        raise not_found()


async def _wish(request: ApiRequest) -> PlanWish:
    wish = await WISH.read(request)
    return PlanWish(config=wish.config, join_lead_seconds=wish.join_lead_seconds, deduplicate=wish.deduplicate)


def _shown(plan: BotPlan | None) -> Response[BotPlan]:
    if plan is None:
        raise not_found()
    return Response(plan, headers=entity_tag(plan.version))


def _check_headers(wish: RunnerWish) -> None:
    for name, value in wish.headers.items():
        if not HEADER_NAME.fullmatch(name) or name.lower() in OURS:
            raise invalid("headers", "has a name that cannot be sent along")
        if not HEADER_VALUE.fullmatch(value):
            raise invalid("headers", "has a value that is empty, not ASCII, or over 4,096 bytes")


def _runner_view(row: Found) -> RunnerView:
    return RunnerView(kind=row.kind, url=row.url, header_names=row.header_names, version=row.version)


ROUTES: Final = [
    plan_event,
    plan_series,
    show_event,
    show_series,
    drop_event,
    drop_series,
    put_runner,
    show_runner,
    remove_runner,
]
