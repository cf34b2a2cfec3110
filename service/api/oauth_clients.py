"""Routes of OAuth clients: the integrator's own apps, by which users are signed in."""

from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from service.api.auth import ApiRequest
from service.api.authorship import author
from service.api.bodies import Body
from service.api.browsers import own_url
from service.api.credentials import SPELLINGS, spelled
from service.api.idempotency import once
from service.api.injection import Injected
from service.api.paging import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, entity_tag, json_page
from service.api.preconditions import expected_version
from service.api.problems import invalid_fields, not_found
from service.core.credentials import Identifier, Secret, Tenant
from service.core.hosted import LONGEST_URL, callback_address, fault_of_redirect
from service.errors import FieldProblem
from service.flows.connect import clients
from service.flows.gateway import Gateway
from service.store import oauth_clients
from service.store.tables import Found

RedirectUrl = Annotated[str, Meta(min_length=1, max_length=LONGEST_URL)]
RedirectUrls = Annotated[list[RedirectUrl], Meta(max_length=50)]
ANY_TENANT: Final = "common"


class NewOAuthClient(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app as its provider knows it. `tenant_id` is Microsoft's (`common` when it is left out).

    `redirect_urls` are where users may be sent back to, compared letter for letter: https, or http on loopback.
    """

    provider: Literal["google", "microsoft", "zoom"]
    client_id: Identifier
    client_secret: Secret
    tenant_id: Tenant | None = None
    redirect_urls: RedirectUrls = []

    def __post_init__(self) -> None:
        if self.tenant_id is not None and self.provider != "microsoft":
            raise ValueError("`tenant_id` is Microsoft's alone")

    def __repr__(self) -> str:
        return f"NewOAuthClient(provider={self.provider!r}, client_id={self.client_id!r}, client_secret=***)"


class OAuthClientChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is left out stays."""

    client_secret: Secret | UnsetType = UNSET
    redirect_urls: RedirectUrls | UnsetType = UNSET

    def __repr__(self) -> str:
        return "OAuthClientChange(***)"


class OAuthClientView(msgspec.Struct, frozen=True, kw_only=True):
    """A registered OAuth client, without its secret.

    `callback_url` is what the provider has to know as redirect URI (null while the gateway does not know its public
    address); `connections` how many accounts use the client. `error_code` is `client_rejected` while the provider refuses it.
    """

    id: UUID
    provider: str
    client_id: str
    tenant_id: str | None
    redirect_urls: list[str]
    callback_url: str | None
    connections: int
    error_code: str | None
    error_message: str | None
    version: int
    created_at: datetime
    updated_at: datetime


NEW: Final = Body[NewOAuthClient](
    NewOAuthClient,
    example={
        "provider": "google",
        "client_id": "1234567890-abc.apps.googleusercontent.com",
        "client_secret": "GOCSPX-secret",
        "redirect_urls": ["https://app.example.com/connected"],
    },
    spellings=SPELLINGS,
)
CHANGE: Final = Body[OAuthClientChange](OAuthClientChange, example={"client_secret": "GOCSPX-another-secret"})


@post(
    "/oauth_clients",
    operation_id="registerOAuthClient",
    summary="Register an OAuth client",
    description="The app by which users are signed in (`GET /connect/{provider}/url`). One that is known from "
    "`POST /calendars` keeps its id, and takes this secret. 409 when it is registered already.",
    tags=["Connecting"],
    opt={"body": NEW},
)
async def register(request: ApiRequest, gateway: Injected[Gateway]) -> Response[OAuthClientView]:
    body = await NEW.read(request)
    _check(body.redirect_urls)
    new = clients.NewClient(
        provider=body.provider,
        client_id=body.client_id,
        client_secret=body.client_secret,
        tenant=(body.tenant_id or ANY_TENANT) if body.provider == "microsoft" else "",
        redirect_urls=list(dict.fromkeys(body.redirect_urls)),
    )

    async def work(object_id: UUID) -> Response[OAuthClientView]:
        row = await clients.register(gateway, request.auth.project_id, new, object_id, author(request))
        return _answer(request, gateway, row, status=201)

    return await once(gateway, request, work)


@get(
    "/oauth_clients",
    operation_id="listOAuthClients",
    summary="List registered OAuth clients",
    tags=["Connecting"],
    responses={200: ResponseSpec(Page[OAuthClientView], description="A page", generate_examples=False)},
)
async def list_clients(
    request: ApiRequest,
    gateway: Injected[Gateway],
    provider: Annotated[
        str | None, QueryParameter(description="`google`, `microsoft` or `zoom`.", max_length=64)
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response[bytes]:
    project_id = request.auth.project_id
    cursors = Cursors(gateway.cipher, project_id, "oauth_clients")
    after = cursors.read(cursor, UUID)
    async with gateway.database.read() as conn:
        rows = await oauth_clients.listed(conn, project_id, spelled(provider), after, limit + 1)
    place = own_url(request, gateway)
    shown = [msgspec.json.encode(client_view(row, place)) for row in rows[:limit]]
    return json_page(shown, cursors.write(rows[limit - 1].id) if len(rows) > limit else None)


@get(
    "/oauth_clients/{client_id:uuid}",
    operation_id="getOAuthClient",
    summary="Show a registered OAuth client",
    tags=["Connecting"],
)
async def show(client_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> Response[OAuthClientView]:
    async with gateway.database.read() as conn:
        row = await oauth_clients.one(conn, request.auth.project_id, client_id)
    if row is None:
        raise not_found()
    return _answer(request, gateway, row)


@patch(
    "/oauth_clients/{client_id:uuid}",
    operation_id="changeOAuthClient",
    summary="Give an OAuth client another secret or other redirect URLs",
    description="With a secret, every connection that uses the client is checked with it at once; calendars that waited for "
    "a right one go on.",
    tags=["Connecting"],
    opt={"body": CHANGE, "conditional": True},
)
async def change(
    client_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]
) -> Response[OAuthClientView]:
    body = await CHANGE.read(request)
    urls = None if body.redirect_urls is UNSET else list(dict.fromkeys(body.redirect_urls))
    _check(urls or [])
    wish = clients.ClientPatch(
        client_secret=None if body.client_secret is UNSET else body.client_secret,
        redirect_urls=urls,
        expected_version=expected_version(request),
    )
    row = await clients.change(gateway, request.auth.project_id, client_id, wish, author(request))
    return _answer(request, gateway, row)


@delete(
    "/oauth_clients/{client_id:uuid}",
    operation_id="deleteOAuthClient",
    summary="Let an OAuth client go",
    description="Forgets its secret. 409 while connections use it.",
    tags=["Connecting"],
    opt={"conditional": True, "statuses": (409,)},
)
async def remove(client_id: FromPath[UUID], request: ApiRequest, gateway: Injected[Gateway]) -> None:
    await clients.remove(gateway, request.auth.project_id, client_id, expected_version(request), author(request))


def client_view(row: Found, own_url: str | None) -> OAuthClientView:
    """A row of `store.oauth_clients` as the API shows it; `own_url` is where browsers reach this gateway."""
    refused = row.rejected_reason is not None
    return OAuthClientView(
        id=row.id,
        provider=row.provider,
        client_id=row.client_id,
        tenant_id=row.tenant or None,
        redirect_urls=row.redirect_urls,
        callback_url=None if own_url is None else callback_address(own_url, row.provider),
        connections=row.connections,
        error_code="client_rejected" if refused else None,
        error_message="The provider refuses this client: PATCH it with the secret that it has now."
        if refused
        else None,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _check(urls: list[str]) -> None:
    """Raises GatewayError 422, naming each address that users cannot be sent to."""
    found = [
        FieldProblem(f"redirect_urls[{number}]", fault)
        for number, url in enumerate(urls)
        if (fault := fault_of_redirect(url)) is not None
    ]
    if found:
        raise invalid_fields(found)


def _answer(request: ApiRequest, gateway: Gateway, row: Found, *, status: int = 200) -> Response[OAuthClientView]:
    return Response(client_view(row, own_url(request, gateway)), status_code=status, headers=entity_tag(row.version))


ROUTES: Final = [register, list_clients, show, change, remove]
