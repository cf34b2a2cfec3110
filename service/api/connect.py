"""Routes of the hosted flow: the consent page's address, the way back from it, and codes that integrators got themselves."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Meta

from service.api.auth import PUBLIC, ApiRequest
from service.api.authorship import author
from service.api.bodies import Body
from service.api.browsers import browser_of, marked_browser, own_url, visitor
from service.api.connect_pages import result_page
from service.api.connection_shapes import ConnectionView, connection_view
from service.api.credentials import spelled
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import entity_tag
from service.api.problems import by_status, invalid, not_found
from service.core.authorization import read_scopes
from service.core.hosted import LONGEST_CODE, LONGEST_URL, Wish, redirect_back
from service.flows.connect import hosted
from service.flows.gateway import Gateway
from service.store import connection_views

MOST_PARAMETERS: Final = 50

RedirectUrl = Annotated[
    str | None,
    QueryParameter(
        description="Where the user goes then; one of the client's `redirect_urls`, letter for letter. Without it the user "
        "sees a page of ours.",
        max_length=LONGEST_URL,
    ),
]
Scopes = Annotated[
    str | None,
    QueryParameter(
        description="Scopes between spaces or commas, asked for in the place of those that `access` stands for.",
        max_length=4096,
    ),
]
UserId = Annotated[str | None, QueryParameter(description="Your own id of the user.", min_length=1, max_length=255)]
Access = Annotated[
    Literal["read", "write"] | None,
    QueryParameter(
        description="What you want to do with the calendars: `read` by default, and with `connection_id` what that "
        "connection has."
    ),
]
ConnectionId = Annotated[
    UUID | None,
    QueryParameter(description="The connection to be signed in to again; another account than its own is refused."),
]
AsPrimary = Annotated[bool, QueryParameter(description="Whether this becomes the user's primary connection.")]
EchoedState = Annotated[
    str | None, QueryParameter(name="state", description="Given back to `redirect_url` as it is.", max_length=2048)
]
ClientId = Annotated[
    UUID | None,
    QueryParameter(description="The registered OAuth client (`id`) to sign the user in by; the newest by default."),
]
_NEEDS_WRITE: Final = {"scope": "write", "statuses": (409,)}


class NewCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code from a consent page, and the `redirect_uri` and PKCE verifier that the page was asked with."""

    code: Annotated[str, Meta(min_length=1, max_length=LONGEST_CODE)]
    redirect_uri: Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)]
    code_verifier: Annotated[str, Meta(min_length=43, max_length=128)] | None = None
    user_id: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    access: Literal["read", "write"] | None = None
    connection_id: UUID | None = None
    set_as_primary: bool = False
    oauth_client_id: UUID | None = None

    def __repr__(self) -> str:
        return "NewCode(***)"


CODE: Final = Body[NewCode](
    NewCode,
    example={
        "code": "4/0AeanS0Z",
        "redirect_uri": "https://app.example.com/oauth/callback",
        "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        "user_id": "user-17",
    },
)


class AuthUrlView(msgspec.Struct, frozen=True):
    """The address of the provider's consent page: good once, until then."""

    auth_url: str
    provider: str
    expires_at: datetime


async def wish_of(
    redirect_url: RedirectUrl = None,
    scopes: Scopes = None,
    user_id: UserId = None,
    access: Access = None,
    connection_id: ConnectionId = None,
    set_as_primary: AsPrimary = False,
    state_: EchoedState = None,
) -> Wish:
    """What the routes that begin a walk have in common in their query."""
    return Wish(
        redirect_url=redirect_url,
        scopes=_scopes(scopes),
        user_id=user_id,
        access=access,
        connection_id=connection_id,
        set_as_primary=set_as_primary,
        state=state_,
    )


@get(
    "/connect/{provider:str}/url",
    operation_id="getConnectUrl",
    summary="Get the address where a user lets you in",
    description="Send the user's browser there: `google`, `microsoft` or `zoom` asks for the permission, and sends the browser "
    "to our callback. The first browser that comes back takes the address.",
    tags=["Connecting"],
    opt=_NEEDS_WRITE,
)
async def show_url(
    provider: FromPath[str],
    request: ApiRequest,
    gateway: Injected[Gateway],
    wish: Injected[Wish],
    oauth_client_id: ClientId = None,
) -> Response[AuthUrlView]:
    begun = await hosted.begin(
        gateway,
        request.auth.project_id,
        spelled(provider) or "",
        wish,
        own_url=own_url(request, gateway),
        oauth_client_id=oauth_client_id,
    )
    return Response(AuthUrlView(begun.auth_url, begun.provider, begun.expires_at))


@get(
    "/connect/{provider:str}",
    operation_id="redirectToConnectUrl",
    summary="Go to the address where a user lets you in",
    description="As `GET /connect/{provider}/url`, and redirects there. The browser gets a cookie, and no other browser can "
    "come back from there.",
    tags=["Connecting"],
    status_code=302,
    opt=_NEEDS_WRITE,
    responses={302: ResponseSpec(None, description="To the provider", generate_examples=False)},
)
async def redirect_to_url(
    provider: FromPath[str],
    request: ApiRequest,
    gateway: Injected[Gateway],
    wish: Injected[Wish],
    oauth_client_id: ClientId = None,
) -> Response[None]:
    return await send_to_provider(request, gateway, request.auth.project_id, provider, wish, oauth_client_id)


async def send_to_provider(
    request: Request[Any, Any, Any],
    gateway: Gateway,
    project_id: UUID,
    provider: str,
    wish: Wish,
    oauth_client_id: UUID | None = None,
) -> Response[None]:
    """A redirect to the consent page, which only this browser can come back from. Raises as `hosted.begin`."""
    browser, cookie = marked_browser(request, gateway)
    begun = await hosted.begin(
        gateway,
        project_id,
        spelled(provider) or "",
        wish,
        own_url=own_url(request, gateway),
        browser=browser,
        oauth_client_id=oauth_client_id,
    )
    return Response(None, status_code=302, headers={"location": begun.auth_url}, cookies=[cookie])


@get(
    "/connect/{provider:str}/callback",
    operation_id="finishConnecting",
    summary="Where providers send browsers back to",
    description="Exchanges the code, makes or renews the connection, and redirects to `redirect_url` with "
    "`success=true&provider=&connection_id=&state=`, or `error=true&provider=&code=&message=&state=`. `code` is one of "
    "`access_denied`, `no_code`, `missing_state`, `invalid_state`, `invalid_scope`, `token_failed`, `insufficient_scope`, "
    "`server_error`, `unknown`. With a state that is forged, used, over or another browser's nobody is redirected: 400 and a "
    "page that says so.",
    tags=["Connecting"],
    media_type="text/html",
    opt={**PUBLIC, "statuses": (404,)},
    responses={
        303: ResponseSpec(None, description="To the integrator", generate_examples=False),
        400: ResponseSpec(str, description="A page: why nothing was connected", media_type="text/html"),
    },
)
async def finish(provider: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]) -> Response[Any]:
    if request.scope["state"].get("is_head"):
        # Somebody looks whether the address is there: that must not use the state up.
        raise by_status(405, {"allow": "GET"})
    outcome = await hosted.finish(
        gateway,
        spelled(provider) or "",
        _query(request),
        browser=browser_of(request, gateway),
        by=visitor(request),
    )
    wish = outcome.wish
    if wish is not None and wish.redirect_url is not None and not wish.popup:
        return Response(None, status_code=303, headers={"location": redirect_back(wish.redirect_url, outcome)})
    return result_page(outcome)


@post(
    "/connect/{provider:str}/exchange",
    operation_id="exchangeCode",
    summary="Connect the account behind a code that you got yourself",
    description="For integrators with a callback page of their own: the code, and what the consent page was asked with. Ask "
    "there for offline access. 201 with a new connection, 200 with one that is renewed.",
    tags=["Connecting"],
    opt={"body": CODE},
    responses={200: ResponseSpec(ConnectionView, description="It was connected already", generate_examples=False)},
)
async def exchange(
    provider: FromPath[str], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[ConnectionView]:
    body = await CODE.read(request)
    given = hosted.GivenCode(code=body.code, redirect_uri=body.redirect_uri, code_verifier=body.code_verifier)
    wish = Wish(
        user_id=body.user_id,
        access=body.access,
        connection_id=body.connection_id,
        set_as_primary=body.set_as_primary,
    )
    project_id = request.auth.project_id

    async def work(_object_id: UUID) -> Response[ConnectionView]:
        arrived = await hosted.exchange(
            gateway, project_id, spelled(provider) or "", given, wish, author(request), body.oauth_client_id
        )
        async with gateway.database.read() as conn:
            found = await connection_views.picture(conn, project_id, arrived.connection_id)
        if found is None:
            raise not_found()  # let go in this very moment
        shown = connection_view(found)
        return Response(shown, status_code=201 if arrived.is_new else 200, headers=entity_tag(shown.version))

    return await once(gateway, request, work)


def _query(request: Request[Any, Any, Any]) -> list[tuple[str, str]]:
    """The parameters in order, each as often as it came: what the framework makes of them has lost that."""
    raw = request.scope["query_string"].decode("latin-1")
    try:
        return parse_qsl(raw, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        return []


def _scopes(given: str | None) -> list[str]:
    found = read_scopes(given or "")
    if found is None:
        raise invalid("scopes", "has what cannot be a scope, or too many of them")
    return found


ROUTES: Final = [show_url, redirect_to_url, finish, exchange]
