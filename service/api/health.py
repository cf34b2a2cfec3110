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

from service.api.auth import PUBLIC
from service.api.draining import Draining
from service.api.injection import Injected
from service.flows.gateway import Gateway
from service.observability import METRICS
from service.store import keyring, leases, migrations, readiness
from service.store.database import DatabaseUnavailable
from webhooks import history

FRESH_SECONDS: Final = 1.0
LATEST: Final = timedelta(minutes=5)
"""Work that has been due for longer than this is not being done."""


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
        self._turn = asyncio.Lock()
        self._looked_at = -math.inf
        self._reasons: list[str] = []

    async def reasons(self) -> list[str]:
        """Why requests should not be sent here; empty when they may."""
        if self._draining.is_begun:
            return ["draining: this process is about to end"]
        async with self._turn:
            if self._clock() - self._looked_at >= FRESH_SECONDS:
                self._reasons = await self._look()
                self._looked_at = self._clock()
        return self._reasons

    async def _look(self) -> list[str]:
        gateway = self._gateway
        try:
            if not await migrations.is_current(gateway.database):
                return ["database: its tables are not of this version; run `calgate migrate`"]
            async with gateway.database.write() as conn:
                await readiness.try_to_write(conn)
                opens = await keyring.is_proved(conn, gateway.cipher)
            now = gateway.clock()
            async with gateway.database.read() as conn:
                due = {"sync": await leases.oldest_due(conn, now), "delivery": await history.oldest_due(conn, now)}
        except (DatabaseUnavailable, DBAPIError):
            return ["database: it cannot be reached, or not be written"]
        found = [] if opens else ["key ring: CALGATE_SECRET_KEYS does not open this database"]
        late = {work: since for work, since in due.items() if since is not None and now - since > LATEST}
        return found + [
            f"{work}: the oldest has been due since {since:%Y-%m-%dT%H:%M:%SZ}" for work, since in late.items()
        ]


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
    description="The database can be written and is of this version, the key ring opens it, and neither a sync nor a delivery "
    "has been due for over five minutes. 503 with the reasons otherwise, and from the signal to stop on.",
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
