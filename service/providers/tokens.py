"""Access tokens for connections: kept in memory, refreshed once however many ask, stored before they are used.

    access ──► in memory and fresh? ──► the connection's one flight ──► store: a fresh token? ──► the refresh lease
                                                                                                        │
    used ◄── saved, compare-and-set ◄── the provider's token endpoint ◄── read again: still needed? ◄───┘

Within a process all who ask for one connection share one flight; between processes the store's lease keeps all but one
waiting. A flight is not cancelled with those who wait for it: a rotated refresh token that is not stored is lost.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID, uuid4

import httpx
import msgspec

from service.core.credentials import OAuthClient, StoredTokens, TokenGrant
from service.errors import ClientRejected, GrantRejected, Throttled, TransientFault
from service.providers.guarded_http import Slots

MOST_HELD: Final = 10_000
LEASE: Final = timedelta(seconds=60)
"""Twice the longest that a token endpoint is waited for."""

CLIENT_RECHECK: Final = timedelta(minutes=15)
MOST_TRIES: Final = 3
STILL_GOOD: Final = timedelta(seconds=30)
PAIRING: Final = frozenset({"unauthorized_client"})
"""Reasons that speak of one refresh token under this client: the client's other connections are not at fault."""


class AccessToken(msgspec.Struct, frozen=True, kw_only=True):
    """An access token, and the quotas that its calls count against."""

    token: str
    client_key: str
    user_key: str

    def __repr__(self) -> str:
        return f"AccessToken(user_key={self.user_key!r})"


class TokenStore(Protocol):
    """Where tokens are kept, shared by every process."""

    async def load(self, connection_id: UUID) -> StoredTokens | None:
        """The tokens as committed now; None when the connection is gone."""
        ...

    async def lease(self, connection_id: UUID, owner: UUID, now: datetime, until: datetime) -> bool:
        """Take the right to refresh, unless another owner has it beyond `now`."""
        ...

    async def save(self, connection_id: UUID, version: int, grant: TokenGrant, now: datetime) -> bool:
        """Replace the tokens of `version` and end the lease; False, with nothing written, when they are newer.

        The stored refresh token stays when `grant.refresh_token` is None.
        """
        ...

    async def release(self, connection_id: UUID, owner: UUID) -> None:
        """End the lease, if it is the owner's."""
        ...

    async def client_rejected(self, connection_id: UUID, reason: str, until: datetime) -> None:
        """Remember that the connection's OAuth client is refused, for all its connections."""
        ...

    async def client_accepted(self, connection_id: UUID) -> None:
        """Forget that it was."""
        ...


class Refresher(Protocol):
    """The part of a provider that is needed here."""

    async def refresh(
        self, http: httpx.AsyncClient, client: OAuthClient, refresh_token: str, now: datetime
    ) -> TokenGrant: ...


class _Held(msgspec.Struct, frozen=True):
    access: AccessToken
    refresh_at: datetime


class _Want(msgspec.Struct, frozen=True):
    """What one flight is for; `early` spreads the refreshes of connections that were made together."""

    connection_id: UUID
    now: datetime
    rejected: str | None

    @property
    def early(self) -> timedelta:
        return timedelta(seconds=60 + self.connection_id.int % 241)

    def is_met_by(self, stored: StoredTokens) -> bool:
        return self._lasts(stored, self.early)

    def is_nearly_met_by(self, stored: StoredTokens) -> bool:
        return self._lasts(stored, STILL_GOOD)

    def _lasts(self, stored: StoredTokens, rest: timedelta) -> bool:
        if stored.access_token is None or stored.access_expires_at is None or stored.access_token == self.rejected:
            return False
        return stored.access_expires_at - rest > self.now


class Tokens:
    """Hands out access tokens.

    `slots` must not be the set whose slots its callers hold while they ask. Another process's refresh is waited for
    `patience` seconds, looking every `pause`.
    """

    def __init__(
        self,
        store: TokenStore,
        refreshers: Mapping[str, Refresher],
        slots: Slots,
        *,
        patience: float = 10.0,
        pause: float = 0.1,
    ) -> None:
        self._store = store
        self._refreshers = refreshers
        self._slots = slots
        self._patience = patience
        self._pause = pause
        self._held: OrderedDict[UUID, _Held] = OrderedDict()
        self._flights: dict[UUID, asyncio.Task[AccessToken]] = {}
        self._airborne: set[asyncio.Task[AccessToken]] = set()

    async def access(self, connection_id: UUID, now: datetime, *, rejected: str | None = None) -> AccessToken:
        """A token good for a minute and more; without SQL while one is held.

        `rejected` is the access token that a 401 came for: another one is then got, refreshed only if it is still the
        current one. Raises what the provider's `refresh` does.
        """
        for _ in range(2):
            held = self._held.get(connection_id)
            if held is not None and now < held.refresh_at and held.access.token != rejected:
                self._held.move_to_end(connection_id)
                return held.access
            access = await self._join_flight(_Want(connection_id, now, rejected))
            if access.token != rejected:
                return access
            # The flight had begun for somebody who did not know of the 401.
        raise TransientFault("the provider refuses a token that it has just given")

    def forget(self, connection_id: UUID) -> None:
        """Drop what is held, because the connection's credentials were replaced or the connection deleted."""
        self._held.pop(connection_id, None)
        self._flights.pop(connection_id, None)

    async def drain(self) -> None:
        """Wait for the refreshes in flight, before the store is closed."""
        while self._airborne:
            await asyncio.wait(self._airborne)

    async def _join_flight(self, want: _Want) -> AccessToken:
        flight = self._flights.get(want.connection_id)
        if flight is None:
            flight = asyncio.create_task(self._fly(want))
            self._flights[want.connection_id] = flight
            self._airborne.add(flight)
            flight.add_done_callback(lambda done: self._land(want.connection_id, done))
        return await asyncio.shield(flight)

    def _land(self, connection_id: UUID, flight: asyncio.Task[AccessToken]) -> None:
        self._airborne.discard(flight)
        if self._flights.get(connection_id) is flight:
            del self._flights[connection_id]
        if not flight.cancelled():
            flight.exception()  # its passengers may all have been cancelled: the failure is then nobody's

    async def _fly(self, want: _Want) -> AccessToken:
        owner = uuid4()
        stored, leased = await self._take_turn(want, owner)
        if not leased:
            return self._hold_stored(want, stored)
        is_saved = False
        try:
            stored, grant = await self._refresh(want)
            is_saved = grant is not None
            return self._hold_stored(want, stored) if grant is None else self._hold_grant(want, stored, grant)
        except (TransientFault, Throttled):
            if want.is_nearly_met_by(stored):
                # The token endpoint has a bad minute, and the old token is good for longer than that.
                return self._hold(want, stored, want.now + STILL_GOOD)
            raise
        finally:
            if not is_saved:
                await self._store.release(want.connection_id, owner)

    async def _take_turn(self, want: _Want, owner: UUID) -> tuple[StoredTokens, bool]:
        """Wait for the lease (True) or for a good token that another process has stored meanwhile (False)."""
        clock = asyncio.get_running_loop().time
        began, pause = clock(), self._pause
        while True:
            stored = await self._load(want.connection_id)
            if want.is_met_by(stored):
                return stored, False
            if stored.client_rejected_until is not None and stored.client_rejected_until > want.now:
                raise ClientRejected(stored.client_rejected_reason or "client_rejected")
            waited = clock() - began
            now = want.now + timedelta(seconds=waited)
            if await self._store.lease(want.connection_id, owner, now, now + LEASE):
                return stored, True
            if waited >= self._patience:
                raise TransientFault("another process is refreshing the token")
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _refresh(self, want: _Want) -> tuple[StoredTokens, TokenGrant | None]:
        """The grant that was got and saved, or None when the store has a good token by now."""
        rejection: GrantRejected | None = None
        sent = ""
        for _ in range(MOST_TRIES):
            stored = await self._load(want.connection_id)
            if want.is_met_by(stored):
                return stored, None
            if rejection is not None and stored.refresh_token == sent:
                raise rejection
            sent = stored.refresh_token
            try:
                grant = await self._ask(want, stored)
            except GrantRejected as error:
                # Perhaps only this token is dead, because somebody has just rotated or replaced it: look again.
                rejection = error
                continue
            if await self._store.save(want.connection_id, stored.version, grant, want.now):
                if stored.client_rejected_until is not None:
                    await self._store.client_accepted(want.connection_id)
                return stored, grant
            rejection = None
        raise rejection or TransientFault("the stored tokens keep changing")

    async def _ask(self, want: _Want, stored: StoredTokens) -> TokenGrant:
        async with self._slots.borrow() as http:
            try:
                return await self._refreshers[stored.provider].refresh(
                    http, stored.client, stored.refresh_token, want.now
                )
            except ClientRejected as error:
                if error.reason not in PAIRING:
                    await self._store.client_rejected(want.connection_id, error.reason, want.now + CLIENT_RECHECK)
                raise

    async def _load(self, connection_id: UUID) -> StoredTokens:
        stored = await self._store.load(connection_id)
        if stored is None:
            raise TransientFault("the connection is gone")
        return stored

    def _hold_grant(self, want: _Want, stored: StoredTokens, grant: TokenGrant) -> AccessToken:
        fresh = msgspec.structs.replace(stored, access_token=grant.access_token, access_expires_at=grant.expires_at)
        # A token that lives for a minute is still used for half of it.
        half_life = want.now + (grant.expires_at - want.now) / 2
        return self._hold(want, fresh, max(grant.expires_at - want.early, half_life))

    def _hold_stored(self, want: _Want, stored: StoredTokens) -> AccessToken:
        return self._hold(want, stored, (stored.access_expires_at or want.now) - want.early)

    def _hold(self, want: _Want, stored: StoredTokens, refresh_at: datetime) -> AccessToken:
        access = AccessToken(token=stored.access_token or "", client_key=stored.client_key, user_key=stored.user_key)
        if self._flights.get(want.connection_id) is asyncio.current_task():
            self._held[want.connection_id] = _Held(access, refresh_at)
            self._held.move_to_end(want.connection_id)
            if len(self._held) > MOST_HELD:
                self._held.popitem(last=False)
        return access
