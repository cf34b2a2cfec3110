"""Everything that a flow needs of the world, made once by `service.app` and handed down."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from service.providers.guarded_http import Slots
from service.providers.login import Login
from service.providers.protocol import Provider, PushReader
from service.providers.quotas import Quotas
from service.providers.rotations import Rotations
from service.providers.tokens import Tokens
from service.providers.turnstile import Turnstile
from service.providers.writing import BusyReader, QuickAdder, Writer
from service.providers.zoom.meetings import ZoomMeetings
from service.settings import Settings
from service.store.cipher import Cipher
from service.store.database import Database
from service.store.wake import Wake
from webhooks.delivery import Deliverer
from webhooks.desk import Desk

ADMITTED_AT_ONCE: Final = 24
"""Users who connect at once: however slow the servers that they name, the syncs keep the clients that they need."""

WRITTEN_AT_ONCE: Final = 4
"""Calls that write to one account at once: more is more than Exchange takes of one mailbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of a running gateway.

    `slots` lends clients for the providers that the operator has chosen, `guarded_slots` for those that users name.
    `clock` answers the present moment (UTC), `draw` a random number in [0, 1). `deliverer` is None in a process that
    sends no webhooks, `desk` is where users' wishes about endpoints and messages go. `sharers` counts the calendars of each OAuth client, with push (True) and without: they share its
    budget of requests, and housekeeping counts them anew. `lead_seconds` are the lead times of projects as they were
    when last seen, the default of those that are not in it; `turnstile` lets in those who write to an account; `writers`, `quick_adders` and `busy_readers` are what providers
    can do beside being read, `zoom` makes meetings there, `logins` where users sign in; `rotations` the refresh tokens that came for somebody who
    was only looking; `admitting` lets in those who connect, so many at once.
    """

    settings: Settings
    database: Database
    cipher: Cipher
    providers: Mapping[str, Provider]
    push_readers: Mapping[str, PushReader]
    tokens: Tokens
    slots: Slots
    guarded_slots: Slots
    quotas: Quotas
    wake: Wake
    clock: Callable[[], datetime]
    draw: Callable[[], float]
    desk: Desk
    deliverer: Deliverer | None = None
    writers: Mapping[str, Writer] = field(default_factory=dict)
    quick_adders: Mapping[str, QuickAdder] = field(default_factory=dict)
    busy_readers: Mapping[str, BusyReader] = field(default_factory=dict)
    zoom: ZoomMeetings = field(default_factory=ZoomMeetings)
    logins: Mapping[str, Login] = field(default_factory=dict)
    sharers: dict[tuple[UUID, bool], int] = field(default_factory=dict)
    lead_seconds: dict[UUID, tuple[int, ...]] = field(default_factory=dict)
    rotations: Rotations = field(default_factory=Rotations)
    turnstile: Turnstile = field(default_factory=lambda: Turnstile(WRITTEN_AT_ONCE))
    admitting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ADMITTED_AT_ONCE))

    def slots_for(self, provider: str) -> Slots:
        """The clients that a provider of this name may be called with."""
        known = self.providers.get(provider)
        return self.guarded_slots if known is not None and known.is_guarded else self.slots
