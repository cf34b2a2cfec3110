"""A user's walk through a provider's consent page: begun for an integrator, finished when the browser comes back.

`begin` ──► auth_url ──► the provider ──► GET /connect/{provider}/callback ──► `finish` ──► Outcome
                                          POST /connect/{provider}/exchange ──► `exchange` ──► Arrived

    begun = await begin(gateway, project_id, "google", wish, own_url="https://calgate.example.com", browser=cookie)
    outcome = await finish(gateway, "google", query, browser=cookie, by=visitor(request))
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.audit import Actor, Author
from service.core.authorization import Asked, authorization_url, challenge_of, scopes_for
from service.core.blame import CODE_BLAMES
from service.core.hosted import (
    Denied,
    FailureCode,
    Malformed,
    Outcome,
    Wish,
    callback_address,
    is_allowed,
    read_callback,
)
from service.errors import (
    AccessRejected,
    ClientRejected,
    FieldProblem,
    GatewayError,
    GrantRejected,
    PolicyForbids,
    ProviderError,
    ScopeMissing,
    Throttled,
    TransientFault,
)
from service.flows.connect.admission import AskedCode, admit_code, raise_refusal
from service.flows.connect.welcome import Arrived, OtherAccount, welcome
from service.flows.gateway import Gateway
from service.providers.login import Login
from service.store import connect_links, connection_settings, oauth_clients, oauth_states
from service.store.database import DatabaseUnavailable
from service.store.oauth_clients import Opened
from service.store.oauth_states import Walk
from service.store.tables import Found

LIFETIME: Final = timedelta(minutes=10)
"""For so long a user may look at a consent page."""

VERIFIER_BYTES: Final = 48

_log = logging.getLogger(__name__)


class Begun(msgspec.Struct, frozen=True):
    """Where to send the user, and until when it is good."""

    auth_url: str
    provider: str
    expires_at: datetime


class GivenCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that an integrator has got at a callback page of its own, and what the consent page was asked with."""

    code: str
    redirect_uri: str
    code_verifier: str | None = None

    def __repr__(self) -> str:
        return "GivenCode(***)"


def login_of(gateway: Gateway, provider: str) -> Login:
    """How users are signed in at a provider. Raises GatewayError 404."""
    login = gateway.logins.get(provider)
    if login is None:
        detail = f"Users can be sent to {', '.join(gateway.logins)}; other accounts are connected by POST /calendars."
        raise GatewayError(404, "not_found", detail)
    return login


async def begin(
    gateway: Gateway,
    project_id: UUID,
    provider: str,
    wish: Wish,
    *,
    own_url: str | None,
    browser: str | None = None,
    oauth_client_id: UUID | None = None,
) -> Begun:
    """Make the address of the consent page; its state is good for ten minutes, once.

    `own_url` is where this gateway is reached by browsers (`core.hosted.own_address`). With `browser`, the cookie of the
    user's browser, no other browser can finish the walk; without it, whichever comes back first. Raises GatewayError: 404,
    409 when the installation or the project lacks what is needed, 422.
    """
    login, now = login_of(gateway, provider), gateway.clock()
    if own_url is None:
        detail = "Providers send browsers back to this gateway: set CALGATE_PUBLIC_URL to where browsers reach it."
        raise GatewayError(409, "conflict", detail)
    opened, renewed = await _choose_client(gateway, project_id, provider, wish, oauth_client_id)
    wish = wish.resolved(None if renewed is None else renewed.access)
    # That of a link is held against the lists of all clients when the link is opened.
    is_checked = wish.redirect_url is None or wish.link_id is not None
    if not is_checked and not is_allowed(wish.redirect_url or "", opened.redirect_urls):
        wrong = FieldProblem("redirect_url", "is not one of the client's redirect_urls, letter for letter")
        raise GatewayError(422, "validation_failed", "Users are not sent to this redirect_url.", errors=[wrong])
    wish = msgspec.structs.replace(
        wish,
        callback=callback_address(own_url, provider),
        scopes=scopes_for(provider, wish.reach, wish.scopes),
    )
    state, verifier = oauth_states.make_state(gateway.cipher, provider), secrets.token_urlsafe(VERIFIER_BYTES)
    asked = Asked(
        client_id=opened.client.client_id,
        redirect_uri=wish.callback,
        state=state,
        challenge=challenge_of(verifier),
        scopes=wish.scopes,
        hint=None if renewed is None else renewed.email,
    )
    walk = Walk(project_id, opened.id, provider, verifier, wish, browser)
    async with gateway.database.write() as conn:
        await oauth_states.add(conn, gateway.cipher, state, walk, now, now + LIFETIME)
    return Begun(authorization_url(provider, login.page(opened.client), asked), provider, now + LIFETIME)


async def finish(
    gateway: Gateway, provider: str, query: Sequence[tuple[str, str]], *, browser: str | None, by: Author
) -> Outcome:
    """What comes of a browser's return: the account is connected, or why it is not. Only an unknown provider is raised.

    Where the outcome has no `wish`, nobody knows where the user came from: show a page, and send nobody anywhere.
    """
    login, now = login_of(gateway, provider), gateway.clock()
    answer = read_callback(query, login.origin)
    if isinstance(answer, Malformed):
        return Outcome(provider=provider, code=answer.code)
    if not oauth_states.is_ours(gateway.cipher, provider, answer.state):
        return Outcome(provider=provider, code="invalid_state")
    try:
        async with gateway.database.write() as conn:
            walk = await oauth_states.take(conn, gateway.cipher, answer.state, provider, browser, now)
            if walk is not None and not await _may_return(gateway, conn, walk):
                walk = None
    except DatabaseUnavailable as error:
        _log.warning("a user could not be let in: %s", error)
        return Outcome(provider=provider, code="server_error")
    if walk is None:
        return Outcome(provider=provider, code="invalid_state")
    if isinstance(answer, Denied):
        return Outcome(provider=provider, code=answer.code, wish=walk.wish)
    return await _let_in(gateway, login, walk, answer.code, by, now)


async def _may_return(gateway: Gateway, conn: AsyncConnection, walk: Walk) -> bool:
    """Whether the user may still be sent where the walk was begun for: the list may be another one by now."""
    wanted = walk.wish.redirect_url
    if wanted is None:
        return True
    if walk.wish.link_id is not None:
        return is_allowed(wanted, await connect_links.allowed(conn, walk.project_id))
    client = await oauth_clients.of_project(conn, gateway.cipher, walk.project_id, walk.provider, walk.oauth_client_id)
    return client is None or is_allowed(wanted, client.redirect_urls)  # of a deleted client the integrator is told


async def exchange(
    gateway: Gateway,
    project_id: UUID,
    provider: str,
    given: GivenCode,
    wish: Wish,
    by: Author,
    oauth_client_id: UUID | None = None,
) -> Arrived:
    """Connect the account behind a code that the integrator has got itself. Raises GatewayError."""
    login, now = login_of(gateway, provider), gateway.clock()
    opened, renewed = await _choose_client(gateway, project_id, provider, wish, oauth_client_id)
    wish = wish.resolved(None if renewed is None else renewed.access)
    needed = scopes_for(provider, wish.reach, wish.scopes) if wish.scopes or wish.access == "write" else []
    asked = AskedCode(code=given.code, redirect_uri=given.redirect_uri, verifier=given.code_verifier, scopes=needed)
    try:
        admission, scopes = await admit_code(gateway, login, opened.client, asked, now)
        return await welcome(gateway, project_id, provider, opened, admission, scopes, wish, by, now)
    except OtherAccount as error:
        wrong = FieldProblem("connection_id", "other account")
        raise GatewayError(422, "credentials_rejected", error.said, errors=[wrong]) from error
    except ProviderError as error:
        raise_refusal(provider, error, now, CODE_BLAMES)


async def _choose_client(
    gateway: Gateway, project_id: UUID, provider: str, wish: Wish, wanted: UUID | None
) -> tuple[Opened, Found | None]:
    """The client to sign the user in by, and the connection that is to be signed in to again."""
    async with gateway.database.read() as conn:
        row = None
        if wish.connection_id is not None:
            row = await connection_settings.one(conn, project_id, wish.connection_id)
            if row is None or row.provider != provider:
                wrong = FieldProblem("connection_id", f"names no connection of provider {provider}")
                raise GatewayError(422, "validation_failed", "There is no such connection.", errors=[wrong])
        opened = None
        if row is not None and wanted is None:
            opened = await oauth_clients.of_project(conn, gateway.cipher, project_id, provider, row.oauth_client_id)
        if opened is None:
            opened = await oauth_clients.of_project(
                conn, gateway.cipher, project_id, provider, wanted, redirect_url=wish.redirect_url
            )
    if opened is None and wanted is not None:
        wrong = FieldProblem("oauth_client_id", f"names no registered client of provider {provider}")
        raise GatewayError(422, "validation_failed", "There is no such OAuth client.", errors=[wrong])
    if opened is None:
        detail = f"The project has no OAuth client of provider {provider}: register one with POST /oauth_clients."
        raise GatewayError(409, "conflict", detail)
    return opened, row


async def _let_in(gateway: Gateway, login: Login, walk: Walk, code: str, by: Author, now: datetime) -> Outcome:
    provider, wish = walk.provider, walk.wish
    by = msgspec.structs.replace(by, actor=Actor("user", wish.user_id or by.actor.id))
    try:
        opened = await _client_of(gateway, walk)
        asked = AskedCode(code=code, redirect_uri=wish.callback, verifier=walk.verifier, scopes=wish.scopes)
        admission, scopes = await admit_code(gateway, login, opened.client, asked, now)
        arrived = await welcome(gateway, walk.project_id, provider, opened, admission, scopes, wish, by, now)
    except OtherAccount as error:
        return Outcome(provider=provider, code="token_failed", wish=wish, said=error.said)
    except ProviderError as error:
        _log.info("a user could not be let in at %s: %s", provider, error.reason)
        return Outcome(provider=provider, code=_failure_of(error), wish=wish)
    except GatewayError as error:
        _log.info("a user could not be let in at %s: %s", provider, error.detail)
        return Outcome(provider=provider, code="unknown", wish=wish)
    except DatabaseUnavailable as error:
        _log.warning("a user could not be let in: %s", error)
        return Outcome(provider=provider, code="server_error", wish=wish)
    return Outcome(
        provider=provider,
        wish=wish,
        connection_id=arrived.connection_id,
        email=arrived.email,
        is_new=arrived.is_new,
    )


async def _client_of(gateway: Gateway, walk: Walk) -> Opened:
    async with gateway.database.read() as conn:
        opened = await oauth_clients.of_project(
            conn, gateway.cipher, walk.project_id, walk.provider, walk.oauth_client_id
        )
    if opened is None:
        raise ClientRejected("the client was deleted meanwhile")
    return opened


def _failure_of(error: ProviderError) -> FailureCode:
    match error:
        case ScopeMissing() | PolicyForbids():
            return "insufficient_scope"
        case GrantRejected() | ClientRejected():
            return "token_failed"
        case Throttled() | TransientFault() | AccessRejected():
            return "server_error"
        case _:
            return "unknown"
