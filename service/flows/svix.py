"""What a Svix server needs to know of this gateway; to be imported only where one is set, because its client takes 0.3 s."""

import logging
from typing import Final, NamedTuple

from service.core.catalogue import CATALOGUE, schema_of
from service.settings import Settings
from service.store.database import Database
from webhooks.ports import Clients, Clock
from webhooks.relay import rows
from webhooks.relay.remote import KnownType, Remote
from webhooks.relay.sender import RelaySender

log: Final = logging.getLogger(__name__)

SLOTS: Final = 80
"""Clients for calls of the server: for those of all deliveries at once, and some of requests."""


class Svix(NamedTuple):
    """The server, and what hands messages over to it."""

    remote: Remote
    sender: RelaySender


def open_remote(settings: Settings, clients: Clients, *, deadline: float = 15.0) -> Remote:
    """The server of the settings, which have its token; nobody is called yet. `deadline` is seconds for one call."""
    known = [
        KnownType(each.name, each.description, schema_of(each), dict(each.example), each.on_request)
        for each in CATALOGUE
    ]
    return Remote(clients, settings.svix_token or "", settings.svix_server_url, known, deadline=deadline)


async def turn_on(database: Database, settings: Settings, clients: Clients, clock: Clock) -> Svix:
    """Have all news go to the server from here on. Raises DatabaseUnavailable; the server may be away."""
    async with database.write() as conn:
        is_new = await rows.turn_on(conn, now=clock())
        resting = await rows.resting(conn)
    if is_new:
        log.info("webhooks are handed over to Svix from now on")
    if resting:
        log.warning("%d endpoints of this database get nothing new while webhooks are handed over to Svix", resting)
    remote = open_remote(settings, clients)
    return Svix(remote, RelaySender(remote, clock, retention_days=settings.retention_days))
