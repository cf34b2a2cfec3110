"""Routes for those who run the gateway: is it alive, may it be sent requests, and its metrics."""

import asyncio
import math
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec
from litestar import Response, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Meta
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.api.auth import PUBLIC
from service.api.draining import Draining
from service.api.injection import Injected
from service.flows.gateway import Gateway
from service.observability import METRICS
from service.store import keyring, leases, migrations, readiness, workers
from service.store.database import DatabaseUnavailable
from webhooks import lateness

FRESH_SECONDS: Final = 1.0
LATEST: Final = timedelta(minutes=5)
"""Work that has been due for longer than this is not being done."""

SILENCE: Final = timedelta(seconds=45)
"""Workers say every ten seconds that they live."""

PATIENCE: Final = 4.0
"""Seconds within which a database has to take a write."""


class Live(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["live"] = "live"


class Readiness(msgspec.Struct, frozen=True):
    """Whether requests may be sent here; `reasons` says why not."""

    status: Literal["ready", "not_ready"]
    reasons: Annotated[list[str], Meta(description="Empty when ready.")]


class Probe:
    """Looks whether this process can do its work, at most once a second however often it is asked."""

    def __init__(self, gateway: Gateway, draining: Draining, clock: Callable[[], float] = time.monotonic) -> None:
        self._gateway = gateway
        self._draining = draining
        self._clock = clock
        self._began_at = clock()
        self._turn = asyncio.Lock()
        self._looked_at = -math.inf
        self._reasons: list[str] = []

    async def reasons(self) -> list[str]:
        """Why requests should not be sent here; empty when they may. Each says what is wrong, and what to do."""
        if self._draining.is_begun:
            return ["draining: this process is about to end; nothing to do"]
        async with self._turn:
            if self._clock() - self._looked_at >= FRESH_SECONDS:
                self._reasons = await self._look()
                self._looked_at = self._clock()
        return self._reasons

    async def _look(self) -> list[str]:
        database = self._gateway.database
        try:
            async with asyncio.timeout(PATIENCE):
                if not await migrations.is_current(database):
                    return ["database: its tables are not of this version; run `calgate migrate`"]
                async with database.write() as conn:
                    await readiness.try_to_write(conn)
                    opens = await keyring.is_proved(conn, self._gateway.cipher)
                async with database.read() as conn:
                    found = [*_judge_clock(await readiness.clock_offset(conn)), *await self._late(conn)]
        except TimeoutError:
            return [f"database: it took no write within {PATIENCE:.0f} s; look at its load, its locks and its disk"]
        except (DatabaseUnavailable, DBAPIError) as error:
            if getattr(error, "is_full", False):
                return ["disk: the database's is full; make room, nothing else is needed"]
            return ["database: it cannot be reached, or not be written; start it, or look at its rights and its disk"]
        if not opens:
            found.insert(0, "key ring: CALGATE_SECRET_KEYS does not open this database; set the ring that sealed it")
        return found + _judge_room(readiness.room_left(database))

    async def _late(self, conn: AsyncConnection) -> list[str]:
        """Work that nobody does."""
        now = self._gateway.clock()
        found = []
        seen = await workers.last_seen(conn)
        is_new = self._clock() - self._began_at < SILENCE.total_seconds()
        if (seen is None or now - seen > SILENCE) and not is_new:
            since = f"since {seen:%Y-%m-%dT%H:%M:%SZ}" if seen else "ever"
            found.append(
                f"worker: none was heard of {since}; start `calgate serve --role worker`, or look at the log of the one "
                "that hangs"
            )
        due = {"sync": await leases.oldest_due(conn, now), "delivery": await lateness.stalled_since(conn, now)}
        for work, moment in due.items():
            if moment is not None and now - moment > LATEST:
                found.append(
                    f"{work}: the oldest has been due since {moment:%Y-%m-%dT%H:%M:%SZ}; see `calgate_syncs_total` and "
                    "`calgate_deliveries_total`, and start more workers if they are busy"
                )
        return found


def _judge_clock(ahead: timedelta) -> list[str]:
    if abs(ahead) <= readiness.CLOCK_TOLERANCE:
        return []
    return [f"clock: this machine is {ahead.total_seconds():+.1f} s off the database's; let both keep time by NTP"]


def _judge_room(left: int | None) -> list[str]:
    if left is None or left >= readiness.LEAST_ROOM:
        return []
    return [f"disk: {left // 2**20} MiB are left beside the database; make room before it is full"]


@get(
    "/health/live",
    operation_id="getLiveness",
    summary="Tell that the process answers",
    tags=["Operations"],
    opt=PUBLIC,
    sync_to_thread=False,
)
def live() -> Live:
    return Live()


@get(
    "/health/ready",
    operation_id="getReadiness",
    summary="Tell whether requests may be sent here",
    description="The database can be written and is of this version, has room and the same time, the key ring opens it, some "
    "process claims work, and neither a sync nor a delivery has been due for over five minutes. 503 with the reasons otherwise, "
    "each with what to do, and from the signal to stop on.",
    tags=["Operations"],
    opt=PUBLIC,
    responses={503: ResponseSpec(Readiness, description="Not ready", generate_examples=False)},
)
async def ready(probe: Injected[Probe]) -> Response[Readiness]:
    if reasons := await probe.reasons():
        return Response(Readiness("not_ready", reasons), status_code=503, headers={"retry-after": "5"})
    return Response(Readiness("ready", []))


@get(
    "/metrics",
    operation_id="getMetrics",
    summary="Show metrics in the text format of Prometheus",
    description="Needs no key, as monitoring systems have none, and says nothing about any project; keep it behind the proxy "
    "where that is too much.",
    tags=["Operations"],
    opt=PUBLIC,
    media_type="text/plain",
    sync_to_thread=False,
)
def metrics() -> Response[bytes]:
    text, kind = METRICS.exposition()
    # The framework names the charset of every text itself.
    return Response(text, media_type=kind.removesuffix("; charset=utf-8"))


ROUTES: Final = [live, ready, metrics]
