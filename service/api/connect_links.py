"""Connect links: made for a user, and the pages behind them, which need no key but the link itself."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import Meta

from service.api.auth import PUBLIC, ApiRequest
from service.api.authorship import author
from service.api.bodies import Body, read_bytes
from service.api.browsers import own_url, visitor
from service.api.connect import send_to_provider
from service.api.connect_pages import NAMES, Field, gone_page, onward_page, page, result_page
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.problems import invalid
from service.core.credentials import CaldavCredentials, IcsCredentials
from service.core.hosted import HOSTED, LONGEST_URL, Outcome, Wish, fault_of_redirect, origin_of, redirect_back
from service.errors import GatewayError
from service.flows.connect import links
from service.flows.connect.links import Opened
from service.flows.gateway import Gateway
from service.store import projects

ICLOUD: Final = "https://caldav.icloud.com"
MOST_FORM_BYTES: Final = 16_384

_LINES: Final = {
    "apple": [
        "Apple lets apps in by a password of their own.",
        "Make one at account.apple.com: Sign-In and Security, App-Specific Passwords.",
        "Your Apple password itself is not needed here, and would not work.",
    ],
    "caldav": [
        "The address of your calendar server, and a login to it.",
        "If your server can make app passwords, make one for this.",
    ],
    "ics": [
        "The secret address of a calendar, as Google, Outlook and others give it. It often ends in .ics.",
        "It is read only, every few minutes: what you change shows here somewhat later.",
    ],
}
_CHOICES: Final = {
    "apple": "Apple iCloud",
    "caldav": "Another calendar server (CalDAV)",
    "ics": "The address of a calendar (ICS)",
}
_HEADINGS: Final = {
    "apple": "Connect Apple iCloud",
    "caldav": "Connect a calendar server",
    "ics": "Connect the address of a calendar",
}


class NewLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A link for one of your users.

    `access` is `read` by default, and with `connection_id` what that connection has.
    `redirect_url` is where the user goes then, with the parameters of the callback; without it the user sees a page of ours.
    `origin` is that of your page which opens the link as a popup (`?popup=1`): to it alone the outcome is posted.
    """

    user_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    access: Literal["read", "write"] | None = None
    redirect_url: Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)] | None = None
    state: Annotated[str, Meta(max_length=2048)] | None = None
    origin: Annotated[str, Meta(min_length=1, max_length=300)] | None = None
    connection_id: UUID | None = None
    set_as_primary: bool = False


class LinkView(msgspec.Struct, frozen=True):
    """The link, which is shown here only, and until when it is good."""

    url: str
    expires_at: datetime


LINK: Final = Body[NewLink](
    NewLink,
    example={
        "user_id": "user-17",
        "redirect_url": "https://app.example.com/connected",
        "origin": "https://app.example.com",
    },
    when_empty=NewLink(),
)


@post(
    "/connect/links",
    operation_id="createConnectLink",
    summary="Make a link by which a user connects an account",
    description="Valid for one hour. It opens a page where the user chooses Google, Microsoft (those that you have registered "
    "an OAuth client of), Zoom, Apple, a CalDAV server or an ICS address, and reads what is asked for. Open it as a page, or as a "
    "popup with `?popup=1`: the outcome is then posted to `origin`.",
    tags=["Connecting"],
    opt={"body": LINK, "statuses": (409,)},
)
async def create(request: ApiRequest, gateway: Injected[Gateway]) -> Response[LinkView]:
    body = await LINK.read(request)
    own = own_url(request, gateway)
    if own is None:
        detail = "Users follow the link to this gateway: set CALGATE_PUBLIC_URL to where browsers reach it."
        raise GatewayError(409, "conflict", detail)
    if body.origin is not None and (fault_of_redirect(body.origin) or origin_of(body.origin) != body.origin):
        raise invalid("origin", "is not an origin such as https://app.example.com")
    wish = Wish(
        redirect_url=body.redirect_url,
        state=body.state,
        user_id=body.user_id,
        access=body.access,
        connection_id=body.connection_id,
        set_as_primary=body.set_as_primary,
        origin=body.origin,
    )

    async def work(object_id: UUID) -> Response[LinkView]:
        made = await links.make(gateway, request.auth.project_id, wish, object_id, author(request))
        return Response(LinkView(f"{own}/connect/links/{made.token}", made.expires_at), status_code=201)

    return await once(gateway, request, work)


@get("/connect/links/{token:str}", opt=PUBLIC, media_type="text/html")
async def choose(token: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[str]:
    opened = await links.open_link(gateway, token)
    if opened is None:
        return gone_page()
    return page(
        "choose.html",
        project=await _project_name(gateway, opened),
        providers=[(name, NAMES[name]) for name in opened.providers],
        forms=[(kind, _CHOICES[kind]) for kind in _forms(opened)],
        renews=opened.wish.connection_id is not None,
        kinds=(kinds := [*opened.providers, *_forms(opened)]),
        thing="Zoom account" if kinds == ["zoom"] else "calendar",
        writes=opened.wish.reach == "write",
        base=_base(request, gateway, token),
        popup=_popup(request.query_params.get("popup")),
    )


@get("/connect/links/{token:str}/{kind:str}", opt=PUBLIC, media_type="text/html")
async def show_form(
    token: FromPath[str], kind: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[str]:
    opened = await links.open_link(gateway, token)
    if opened is None or kind not in _forms(opened):
        return gone_page()
    return _form(_base(request, gateway, token), kind, {"popup": request.query_params.get("popup") or ""})


@post("/connect/links/{token:str}/{kind:str}", opt=PUBLIC, media_type="text/html")
async def connect(
    token: FromPath[str], kind: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[Any]:
    given = await _read_form(request)
    opened = await links.open_link(gateway, token)
    if opened is None or kind not in {*opened.providers, *_forms(opened)}:
        return gone_page()
    wish = opened.wish
    if _popup(given.get("popup")) and wish.origin is not None:
        wish = msgspec.structs.replace(wish, popup=True)
    if kind in HOSTED:
        return await _send(request, gateway, opened, kind, wish)
    try:
        credentials = _credentials(kind, given)
        arrived = await links.connect_login(gateway, opened, credentials, visitor(request))
    except GatewayError as error:
        return _form(_base(request, gateway, token), kind, given, error)
    outcome = Outcome(
        provider="ics" if kind == "ics" else "caldav",
        wish=wish,
        connection_id=arrived.connection_id,
        email=arrived.email,
        is_new=arrived.is_new,
    )
    if wish.redirect_url is not None and not wish.popup:
        return onward_page(redirect_back(wish.redirect_url, outcome), urlsplit(wish.redirect_url).netloc)
    return result_page(outcome)


async def _send(request: ApiRequest, gateway: Gateway, opened: Opened, provider: str, wish: Wish) -> Response[Any]:
    """To the provider's consent page, by a client of which the link's `redirect_url` need not be one."""
    try:
        await links.count(gateway, opened)
        sent = await send_to_provider(request, gateway, opened.link.project_id, provider, wish)
    except GatewayError as error:
        outcome = Outcome(provider=provider, code="unknown", said=error.detail)
        return result_page(outcome)
    onward = onward_page(sent.headers["location"], NAMES[provider])
    onward.cookies = sent.cookies
    return onward


def _base(request: ApiRequest, gateway: Gateway, token: str) -> str:
    """The path of a link's pages, as browsers see it: a proxy may have taken a prefix off."""
    return f"{urlsplit(own_url(request, gateway) or '').path}/connect/links/{token}"


def _form(
    base: str,
    kind: str,
    given: dict[str, str],
    error: GatewayError | None = None,
) -> Response[str]:
    return page(
        "login.html",
        status=error.status if error is not None else 200,
        heading=_HEADINGS[kind],
        lines=_LINES[kind],
        fields=_fields(kind, given),
        problem=error.detail if error is not None else None,
        kind=kind,
        base=base,
        popup=_popup(given.get("popup")),
    )


def _forms(opened: Opened) -> list[str]:
    """The kinds of forms that a link has."""
    return [kind for kind in _CHOICES if ("ics" if kind == "ics" else "caldav") in opened.forms]


def _fields(kind: str, given: dict[str, str]) -> list[Field]:
    """The inputs of a form, with what was typed, but for secrets; the first that is empty has the focus."""
    if kind == "ics":
        return [Field(name="url", label="Address", type="url", focused=True)]
    user = "Apple ID (your e-mail address)" if kind == "apple" else "User name"
    password = "App-specific password" if kind == "apple" else "Password"
    fields = [
        Field(name="server_url", label="Server", type="url", value=given.get("server_url", "")),
        Field(name="username", label=user, value=given.get("username", ""), autocomplete="username"),
        Field(name="password", label=password, type="password"),
    ][kind == "apple" :]
    first = next(each for each in fields if not each.value)
    return [msgspec.structs.replace(each, focused=each is first) for each in fields]


def _credentials(kind: str, given: dict[str, str]) -> CaldavCredentials | IcsCredentials:
    names = {"ics": ("url",), "apple": ("username", "password")}.get(kind, ("server_url", "username", "password"))
    for name in names:
        if not 0 < len(given.get(name, "").strip()) <= LONGEST_URL:
            raise GatewayError(422, "validation_failed", "Fill in every field.")
    if kind == "ics":
        return IcsCredentials(url=given["url"].strip())
    return CaldavCredentials(
        server_url=ICLOUD if kind == "apple" else given["server_url"].strip(),
        username=given["username"].strip(),
        password=given["password"],
    )


async def _read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of a form, each once. Raises GatewayError 413, 415 and 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await read_bytes(request)
    if raw and kind != "application/x-www-form-urlencoded":
        raise GatewayError(415, "unsupported_media_type", "This is a form: application/x-www-form-urlencoded.")
    if len(raw) > MOST_FORM_BYTES:
        raise GatewayError(413, "body_too_large", "The form is too large.")
    try:
        fields = parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise GatewayError(400, "malformed_body", "The form cannot be read.") from None
    return {name: value.replace("\0", "") for name, value in fields}


def _popup(given: str | None) -> str:
    return "1" if given == "1" else ""


async def _project_name(gateway: Gateway, opened: Opened) -> str:
    async with gateway.database.read() as conn:
        row = await projects.settings(conn, opened.link.project_id)
    name: str = row.name
    return name


ROUTES: Final = [create]
PAGES: Final = [choose, show_form, connect]
"""For browsers: not part of the documented API."""
