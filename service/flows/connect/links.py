"""Connect links: an address for a user, behind which accounts are connected without the integrator's help.

POST /connect/links ──make──► url ──the user's browser──► open_link ──► a provider's consent page (`hosted`)
                                                            └──► a form with a login or an address ──► `connect_login`
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from service.core.audit import Actor, Author
from service.core.credentials import CaldavCredentials, IcsCredentials
from service.core.hosted import HOSTED, Reach, Wish, is_allowed
from service.errors import FieldProblem, GatewayError
from service.flows.connect.admission import admit, provider_of
from service.flows.connect.news import deliver
from service.flows.connect.placing import hold_project, join
from service.flows.connect.welcome import Arrived, OtherAccount, prefer, receive
from service.flows.gateway import Gateway
from service.store import audit, connect_links, connection_settings
from service.store.connect_links import Link

LIFETIME: Final = timedelta(hours=1)
MOST_FORMS: Final = 30
"""Forms that may be sent by one link: enough for slips, too few to try passwords."""

FORMS: Final = ("caldav", "ics")
"""What users connect without being sent anywhere."""


class Made(msgspec.Struct, frozen=True):
    """A link's token, and until when it is good."""

    token: str
    expires_at: datetime


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A link that a user has followed, and what may be connected by it.

    `providers` are those that the user is sent to, `forms` those of `FORMS` that may be filled in.
    """

    link: Link
    providers: list[str]
    forms: list[str]

    @property
    def wish(self) -> Wish:
        """What is wanted of the user."""
        return msgspec.structs.replace(self.link.wish, link_id=self.link.id)


async def make(gateway: Gateway, project_id: UUID, wish: Wish, link_id: UUID, by: Author) -> Made:
    """Make a link. Raises GatewayError 422 for an address that no registered client of the project allows, or no connection."""
    now = gateway.clock()
    async with gateway.database.write() as conn:
        allowed = await connect_links.allowed(conn, project_id)
        if wish.redirect_url is not None and not is_allowed(wish.redirect_url, allowed):
            wrong = FieldProblem("redirect_url", "is not one of a registered client's redirect_urls, letter for letter")
            raise GatewayError(422, "validation_failed", "Users are not sent to this redirect_url.", errors=[wrong])
        renewed = None
        if wish.connection_id is not None:
            renewed = await connection_settings.one(conn, project_id, wish.connection_id)
            if renewed is None:
                wrong = FieldProblem("connection_id", "names no connection")
                raise GatewayError(422, "validation_failed", "There is no such connection.", errors=[wrong])
        wish = wish.resolved(None if renewed is None else renewed.access)
        token = await connect_links.add(conn, link_id, project_id, wish, now, now + LIFETIME)
        await audit.append(conn, project_id, by.did("connect_link.created", link_id), now)
    return Made(token, now + LIFETIME)


async def open_link(gateway: Gateway, token: str) -> Opened | None:
    """What a link is good for; None when it is over or none of ours, or its connection or its way back is gone."""
    if len(token) != connect_links.LENGTH:
        return None
    async with gateway.database.read() as conn:
        link = await connect_links.find(conn, token, gateway.clock())
        if link is None:
            return None
        registered = await connect_links.registered(conn, link.project_id)
        allowed = [url for urls in registered.values() for url in urls]
        if link.wish.redirect_url is not None and not is_allowed(link.wish.redirect_url, allowed):
            return None
        offered: list[str] = [*(name for name in HOSTED if name in registered and name in gateway.logins), *FORMS]
        if link.wish.connection_id is not None:
            renewed = await connection_settings.one(conn, link.project_id, link.wish.connection_id)
            if renewed is None:
                return None
            offered = [name for name in offered if name == renewed.provider]
    return Opened(
        link=link,
        providers=[name for name in offered if name in HOSTED],
        forms=[name for name in offered if name in FORMS],
    )


async def count(gateway: Gateway, opened: Opened) -> None:
    """Count a form that was sent. Raises GatewayError 429 after too many."""
    async with gateway.database.write() as conn:
        if not await connect_links.count(conn, opened.link.id, MOST_FORMS):
            raise GatewayError(429, "rate_limited", "This link was tried too often: ask for a new one.")


async def connect_login(
    gateway: Gateway, opened: Opened, credentials: CaldavCredentials | IcsCredentials, by: Author
) -> Arrived:
    """Connect the account behind a login or an address that a user has typed. Raises GatewayError, 429 after too many."""
    link, wish, now = opened.link, opened.link.wish, gateway.clock()
    await count(gateway, opened)
    admission = await admit(gateway, credentials, now)
    by = msgspec.structs.replace(by, actor=Actor("user", wish.user_id or by.actor.id))
    provider = provider_of(credentials)
    access: Reach = wish.reach if provider in gateway.writers else "read"
    renews = None if gateway.providers[provider].keeps_account else wish.connection_id
    async with gateway.database.write() as conn:
        await hold_project(gateway, conn, link.project_id)
        joined = await join(gateway, conn, link.project_id, credentials.client, provider, admission, now, renews=renews)
        try:
            dispatches = await receive(gateway, conn, joined, admission, wish, access, [], by, now)
        except OtherAccount as error:
            raise GatewayError(422, "credentials_rejected", error.said) from error
    deliver(gateway, dispatches)
    gateway.tokens.forget(joined.connection_id)
    if wish.set_as_primary:
        await prefer(gateway, link.project_id, joined.connection_id, now)
    return Arrived(connection_id=joined.connection_id, email=admission.account.email, is_new=joined.is_new)
