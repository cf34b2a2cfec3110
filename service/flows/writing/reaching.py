"""Calls to a provider in somebody's name, tried again as long as the caller has patience."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from service.errors import AccessRejected, GrantRejected, Throttled, TransientFault
from service.flows.gateway import Gateway
from service.providers.protocol import Access
from service.store.tables import Found

T = TypeVar("T")

PATIENCE: Final = 25.0
"""For so many seconds somebody who writes is kept waiting."""

ONE_TRY: Final = 6.0
"""A provider that has not answered a write for so long has lost it, or its answer; both are found out by asking again."""

TOKENS_TRIED: Final = 3
PAUSES: Final = (0.1, 0.3, 0.7, 1.5, 3.0)


class Account(NamedTuple):
    """In whose name a call is made; a calendar's row has the same."""

    connection_id: UUID
    provider: str
    email: str | None


async def reach(
    gateway: Gateway,
    account: Account | Found,
    call: Callable[[Access], Awaitable[T]],
    *,
    patience: float | None = None,
) -> T:
    """What the call answers, repeated after faults that say nothing. Raises service.errors.ProviderError.

    `account` may be a calendar's row. The call has to be one that may be repeated.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + (PATIENCE if patience is None else patience)
    tried = 0
    async with gateway.turnstile.entered(account.connection_id):
        while True:
            try:
                async with asyncio.timeout(max(0.1, min(ONE_TRY, end - loop.time()))):
                    return await _once(gateway, account, call)
            except TimeoutError:
                fault: TransientFault | Throttled = TransientFault("timeout")
            except (TransientFault, Throttled) as error:
                fault = error
            pause = _pause(gateway, fault, tried)
            if loop.time() + pause >= end:
                raise fault
            tried += 1
            await asyncio.sleep(pause)


def _pause(gateway: Gateway, fault: TransientFault | Throttled, tried: int) -> float:
    if fault.retry_at is not None:
        return max(0.05, (fault.retry_at - gateway.clock()) / timedelta(seconds=1))
    return PAUSES[min(tried, len(PAUSES) - 1)] * (1 + gateway.draw())


async def _once(gateway: Gateway, account: Account | Found, call: Callable[[Access], Awaitable[T]]) -> T:
    refused, last = None, AccessRejected("")
    for _ in range(TOKENS_TRIED):
        granted = await gateway.tokens.access(account.connection_id, gateway.clock(), rejected=refused)
        async with gateway.slots_for(account.provider).borrow() as http:
            access = Access(
                http=http,
                token=granted.token,
                client_key=granted.client_key,
                user_key=granted.user_key,
                quotas=gateway.quotas,
                email=account.email,
            )
            try:
                return await call(access)
            except AccessRejected as error:
                refused, last = granted.token, error
            except Throttled as error:
                if error.retry_at is not None and error.scope != "own":
                    key = granted.client_key if error.scope == "client" else granted.user_key
                    gateway.quotas.penalise(error.scope, key, error.retry_at)
                raise
    if last.needs_sign_in:
        raise GrantRejected(last.reason)
    raise TransientFault(f"a fresh access token was refused: {last.reason}")
