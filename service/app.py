"""The composition root: makes every part of a gateway, puts them together, and takes them apart in the reverse order.

database ── cipher ── wake ── HTTP slots ── tokens, deliverer ── the gateway ── routes, jobs
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, MutableMapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from service.api.draining import Draining
from service.api.routes import create_api, webhook_policy
from service.core.meeting_baas.notices import SIGNATURE_PREFIXES
from service.flows.gateway import Gateway
from service.flows.sent_keys import vouch_by
from service.jobs import GRACE, Jobs, Workers, ticks_of_everybody, ticks_of_worker
from service.observability import METRICS, AccessLog
from service.providers.addresses import Policy
from service.providers.guarded_http import Slots, TransportFactory, open_transport
from service.providers.quotas import Quotas
from service.providers.registry import ZOOM, make_hands, make_logins, make_providers, make_push_readers
from service.providers.tokens import Refresher, Tokens
from service.providers.vevent.expansion import Expander
from service.providers.zoom.meetings import ZoomMeetings
from service.providers.zoom.tokens import ZoomTokens
from service.settings import Settings, version
from service.store import keyring, restores
from service.store.cipher import Cipher
from service.store.connections import ConnectionTokens
from service.store.database import Database, DatabaseUnavailable
from service.store.wake import Wake
from webhooks.delivery import Deliverer
from webhooks.desk import Desk
from webhooks.local_desk import LocalDesk
from webhooks.relay import rows
from webhooks.settings import DeliverySettings

if TYPE_CHECKING:
    from service.flows.svix import Svix

log: Final = logging.getLogger(__name__)

Role = Literal["all", "api", "worker"]
Clock = Callable[[], datetime]
Connect = Callable[[str], Database]

SPARE_SLOTS: Final = 40
"""Provider clients beyond those of the syncs: for connecting, listing and push channels."""

TOKEN_SLOTS: Final = 16
DELIVERY_GRACE: Final = 3.0
"""Of the time to stop in, what the deliverer has for itself after the syncs ended and announced their news."""


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class App:
    """A gateway as an ASGI application: entered before it is served, drained at the signal to stop, left at the end.

    Entering raises KeyRingError and DatabaseUnavailable; the database has to be at this program's version.
    """

    def __init__(
        self,
        settings: Settings,
        role: Role,
        clock: Clock,
        draw: Callable[[], float],
        transport: TransportFactory,
        connect: Connect,
    ) -> None:
        self._settings = settings
        self._role = role
        self._clock = clock
        self._draw = draw
        self._transport = transport
        self._connect = connect
        self._draining = Draining()
        self._policy = webhook_policy(settings)
        self._stack = AsyncExitStack()
        self._work: _Work | None = None
        self._ending: _Work | None = None
        self._asgi: Callable[..., Any] | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if self._asgi is None:
            raise RuntimeError("the gateway is not open: `async with create_app(settings) as app`")
        await self._asgi(scope, receive, send)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            gateway = await self._open_gateway(stack)
            api = create_api(gateway, self._draining, policy=self._policy)
            await stack.enter_async_context(api.lifespan())
            self._asgi = AccessLog(api)
            self._work = _Work(gateway, self._role)
            self._work.start()
            # Last in, first out: the work ends before what it works with is closed.
            stack.push_async_callback(self.drain)
            self._stack = stack.pop_all()
        METRICS.show_version(version)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asgi = None
        await self._stack.aclose()

    async def drain(self, grace: float = GRACE) -> None:
        """Stop working, while requests are still answered; may be called twice.

        Readiness turns 503, claiming stops, what is in flight has `grace` seconds to end, leases are given back.
        """
        self._draining.begin()
        if self._work is not None:
            self._ending, self._work = self._work, None
            await self._ending.drain(grace)

    async def hurry(self) -> None:
        """Have a stop that was begun end at once: what still runs is broken off, its leases are given back."""
        if self._ending is not None:
            await self._ending.hurry()

    async def _open_gateway(self, stack: AsyncExitStack) -> Gateway:
        settings = self._settings
        database = await stack.enter_async_context(self._connect(settings.database_url))
        unlocked = await keyring.unlock(database, settings.secret_keys)
        if unlocked.made_key_file:
            log.warning(
                "made the key file %s.key: without it the stored secrets are lost, so back it up", database.path
            )
        await self._carry_on(database)
        wake = await stack.enter_async_context(Wake(database))
        slots = self._slots(stack, settings.sync_concurrency + SPARE_SLOTS)
        guarded_slots = self._slots(stack, settings.sync_concurrency + SPARE_SLOTS, self._policy)
        providers = make_providers(
            google_api_url=settings.google_api_url,
            google_token_url=settings.google_token_url,
            microsoft_graph_url=settings.microsoft_graph_url,
            microsoft_login_url=settings.microsoft_login_url,
            clock=self._clock,
            policy=self._policy,
            expander=await stack.enter_async_context(Expander()),
        )
        hands = make_hands(providers)
        # Tokens are refreshed by those who hold a slot, so that they need slots of their own.
        refreshers: dict[str, Refresher] = {**providers, ZOOM: ZoomTokens(settings.zoom_token_url)}
        tokens = Tokens(ConnectionTokens(database, unlocked.cipher), refreshers, self._slots(stack, TOKEN_SLOTS))
        stack.push_async_callback(tokens.drain)
        svix = await self._open_svix(stack, database)
        deliverer = None if self._role == "api" else self._make_deliverer(stack, database, unlocked.cipher, svix)
        return Gateway(
            settings=settings,
            database=database,
            cipher=unlocked.cipher,
            providers=providers,
            push_readers=make_push_readers(),
            tokens=tokens,
            slots=slots,
            guarded_slots=guarded_slots,
            quotas=Quotas(),
            wake=wake,
            clock=self._clock,
            draw=self._draw,
            desk=_open_desk(database, unlocked.cipher, deliverer, wake, svix),
            deliverer=deliverer,
            writers=hands.writers,
            quick_adders=hands.quick_adders,
            busy_readers=hands.busy_readers,
            zoom=ZoomMeetings(settings.zoom_api_url, clock=self._clock),
            logins=make_logins(settings),
        )

    async def _carry_on(self, database: Database) -> None:
        """Where the database is a copy that nobody has worked with yet, see that nothing is given out twice."""
        async with database.write() as conn:
            copied_at = await restores.claim_copy(conn)
            if copied_at is not None:
                await restores.carry_on(conn, self._clock())
                log.warning(
                    "this database is a copy from %s: every calendar is read anew", f"{copied_at:%Y-%m-%dT%H:%M:%SZ}"
                )

    async def _open_svix(self, stack: AsyncExitStack, database: Database) -> "Svix | None":
        """The Svix server that webhooks are handed over to; None where this gateway sends them itself."""
        if self._settings.svix_token is None:
            async with database.write() as conn:
                if await rows.turn_off(conn, now=self._clock()):
                    log.warning("CALGATE_SVIX_TOKEN is gone: webhooks go to the endpoints of this database again")
            return None
        from service.flows.svix import SLOTS, turn_on  # noqa: PLC0415  start-up: its client takes 0.3 s and 30 MiB

        return await turn_on(database, self._settings, self._slots(stack, SLOTS), self._clock)

    def _make_deliverer(
        self, stack: AsyncExitStack, database: Database, cipher: Cipher, svix: "Svix | None"
    ) -> Deliverer:
        # Our own tick looks for what is due; the deliverer's is only the net below it.
        bounds = DeliverySettings(user_agent=f"calgate/{version}", tick=30, prefixes=SIGNATURE_PREFIXES)
        clients = self._slots(stack, bounds.slots, self._policy)
        relay = svix.sender if svix is not None else None
        return Deliverer(
            database,
            clients,
            cipher,
            self._clock,
            bounds,
            observe=METRICS.delivered,
            jitter=self._draw,
            relay=relay,
            vouch=vouch_by(database),
        )

    def _slots(self, stack: AsyncExitStack, size: int, guard: Policy | None = None) -> Slots:
        slots = Slots(size, guard, self._transport)
        stack.push_async_callback(slots.aclose)
        return slots


def create_app(
    settings: Settings,
    *,
    role: Role = "all",
    clock: Clock = utc_now,
    draw: Callable[[], float] = random.random,
    transport: TransportFactory = open_transport,
    connect: Connect = Database.connect,
) -> App:
    """A gateway, not yet open; nothing is dialled, opened or started before it is entered.

    What comes from outside is an argument: the time, chance (a number in [0, 1)), how requests go out, and how the
    database at a URL is opened. A simulation gives all four.
    """
    return App(settings, role, clock, draw, transport, connect)


def _open_desk(
    database: Database, cipher: Cipher, deliverer: Deliverer | None, wake: Wake, svix: "Svix | None"
) -> Desk:
    if svix is None:
        return LocalDesk(database, cipher, deliverer, announce=wake.after)
    from webhooks.relay.desk import SvixDesk  # noqa: PLC0415  start-up: with the client of Svix

    return SvixDesk(database, svix.remote, deliverer, announce=wake.after)


class _Work:
    """What a process does by itself, according to its role."""

    def __init__(self, gateway: Gateway, role: Role) -> None:
        deliverer = gateway.deliverer
        self._deliverer = deliverer
        self._workers: Workers | None = None
        if role == "api" or deliverer is None:
            ticks = ticks_of_everybody(gateway)
        else:
            self._workers = Workers.of(gateway)
            ticks = ticks_of_worker(gateway, self._workers, deliverer)
        self._jobs = Jobs(ticks, gateway.wake.listen)
        self._delivery: asyncio.Task[None] | None = None
        self._end = 0.0

    def start(self) -> None:
        if self._deliverer is not None:
            self._delivery = asyncio.create_task(self._deliverer.run(), name="webhooks")
        self._jobs.start()

    async def drain(self, grace: float) -> None:
        self._end = time.monotonic() + grace
        until_delivery = max(0.0, grace - DELIVERY_GRACE)
        workers = [self._workers.drain(until_delivery)] if self._workers is not None else []
        try:
            await asyncio.gather(self._jobs.drain(until_delivery), *workers)
        except DatabaseUnavailable:
            log.warning("the database is away: leases cannot be given back, and run out by themselves")
        if self._deliverer is not None and self._delivery is not None:
            await self._deliverer.drain(max(1.0, self._end - time.monotonic()))
            await self._delivery

    async def hurry(self) -> None:
        self._end = time.monotonic()
        try:
            await (self._workers.drain(0) if self._workers is not None else asyncio.sleep(0))
        except DatabaseUnavailable:
            log.warning("the database is away: leases cannot be given back, and run out by themselves")
