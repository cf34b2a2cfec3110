"""One round of reading: the provider's pages against what the store knows, down to a decision; nothing is written."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from service.core import sync
from service.core.decision import Decision, decide
from service.core.schedule import Window, window_at, window_stretch
from service.core.sync import Cursor, Item, Round
from service.errors import (
    AccessRejected,
    CalendarGone,
    CursorExpired,
    GrantRejected,
    RequestRefused,
    Throttled,
    TransientFault,
)
from service.flows.gateway import Gateway
from service.flows.sync_calendar.examination import examine
from service.providers.look_ups import on_behalf_of
from service.providers.protocol import Access, Provider
from service.store import events, examinations
from service.store.tables import Found

TOKENS_TRIED: Final = 3
"""The one that we hold, the one that another process has stored since, and one that is certainly fresh."""

FEW_ROWS: Final = 1000
"""A delta with more rows than this is compared with everything the calendar has, which is then the cheaper question."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a round found: the decision, where the next round goes on, and for how long to leave the provider alone."""

    decision: Decision
    cursor: Cursor
    time_zone: str | None
    rest: timedelta | None = None


async def read_calendar(gateway: Gateway, row: Found, now: datetime) -> Reading:
    """Read a claimed calendar and decide what changed. Raises service.errors.ProviderError.

    An access token that the provider refuses is replaced; a sync token that it refuses is dropped once.
    """
    refused, last = None, AccessRejected("")
    for _ in range(TOKENS_TRIED):
        granted = await gateway.tokens.access(row.connection_id, now, rejected=refused)
        try:
            return await _with_access(gateway, row, now, granted.token, granted.client_key, granted.user_key)
        except AccessRejected as error:
            refused, last = granted.token, error
    if last.needs_sign_in:
        raise GrantRejected(last.reason)
    raise TransientFault(f"a fresh access token was refused: {last.reason}")


async def _with_access(
    gateway: Gateway, row: Found, now: datetime, token: str, client_key: str, user_key: str
) -> Reading:
    provider = gateway.providers[row.provider]
    async with gateway.slots_for(row.provider).borrow() as http:
        access = Access(
            http=http,
            token=token,
            client_key=client_key,
            user_key=user_key,
            quotas=gateway.quotas,
            email=row.email,
        )
        try:
            with on_behalf_of(row.project_id):
                return await _read(gateway, provider, access, row, now)
        except Throttled as error:
            # The others who share the quota should hear it from us, not each from the provider.
            if error.retry_at is not None and error.scope != "own":
                key = client_key if error.scope == "client" else user_key
                gateway.quotas.penalise(error.scope, key, error.retry_at)
            raise
        except CalendarGone as error:
            # A provider having a bad minute says "not found" too; its list of calendars has the last word.
            if any(listed.id == row.raw_calendar_id for listed in await provider.calendars(access)):
                raise TransientFault(f"the calendar is listed, but: {error.reason}") from error
            raise


async def _read(gateway: Gateway, provider: Provider, access: Access, row: Found, now: datetime) -> Reading:
    cursor = sync.stored_cursor(row.cursor)
    cause = "initial" if row.last_synced_at is None else row.due_cause
    try:
        return await _read_round(gateway, provider, access, row, now, cursor, cause)
    except CursorExpired:
        if cursor is None:
            raise TransientFault("the provider refuses the sync token of its own full listing") from None
    return await _read_round(gateway, provider, access, row, now, None, "resync")


async def _read_round(
    gateway: Gateway,
    provider: Provider,
    access: Access,
    row: Found,
    now: datetime,
    cursor: Cursor | None,
    cause: str,
) -> Reading:
    progress, token, zone = await _list(provider, access, row, now, cursor)
    if cursor is not None and zone != row.time_zone:
        # All-day events lie elsewhere now, also those that the delta does not mention.
        progress, token, zone = await _list(provider, access, row, now, None, zone)
        cause = "resync"
    await _list_stretch(provider, access, row, now, cursor, progress, zone)
    await _list_series(gateway, provider, access, row, progress, zone)
    decision = await _decide(gateway, row, now, progress, cause)
    covered = progress.stretch or progress.window
    start = progress.window.start
    return Reading(
        decision=decision,
        cursor=Cursor(token=token, window_start=start, window_end=max(covered.end, progress.window.end)),
        time_zone=zone,
        rest=progress.rest,
    )


async def _list(
    provider: Provider, access: Access, row: Found, now: datetime, cursor: Cursor | None, zone: str | None = None
) -> tuple[Round, str, str | None]:
    window = window_at(now, row.horizon_days)
    if cursor is not None:
        window = Window(window.start, min(cursor.window_end, window.end))
    progress = Round(window=window, full=cursor is None)
    zone = zone or row.time_zone
    token: str | None = None
    pages = provider.pages(
        access,
        row.raw_calendar_id,
        token=cursor.token if cursor else None,
        window=window,
        time_zone=zone,
        rules=examinations.rules_of(row),
    )
    async for page in pages:
        sync.absorb(progress, page)
        token, zone = page.token, page.time_zone or zone
    if token is None:
        raise TransientFault("the listing ended without a sync token")
    return progress, token, zone


async def _list_stretch(
    provider: Provider,
    access: Access,
    row: Found,
    now: datetime,
    cursor: Cursor | None,
    progress: Round,
    zone: str | None,
) -> None:
    """List what came into the window since it was last listed."""
    if cursor is None or progress.is_unsure:
        return
    stretch = window_stretch(cursor.window_end, now, row.horizon_days)
    if stretch is None:
        return
    listing = provider.stretch(
        access, row.raw_calendar_id, window=stretch, time_zone=zone, rules=examinations.rules_of(row)
    )
    sync.absorb_stretch(progress, stretch, [item async for item in listing])


async def _list_series(
    gateway: Gateway, provider: Provider, access: Access, row: Found, progress: Round, zone: str | None
) -> None:
    if progress.full or not (progress.rows or progress.unsettled):
        return
    async with gateway.database.look() as conn:
        known = await events.known_series(
            conn, row.id, progress.rows, gone=sync.removed_ids(progress), touched=progress.touched
        )
    rules = examinations.rules_of(row)
    for series_id in sync.unsettled_series(progress, known):
        listing = provider.series(
            access, row.raw_calendar_id, series_id, window=progress.window, time_zone=zone, rules=rules
        )
        try:
            items: list[Item] = [item async for item in listing]
        except RequestRefused as error:
            # It may have become a single event meanwhile; a full listing is right whatever it is.
            raise CursorExpired(f"series cannot be listed: {error.reason}") from error
        if sync.contradicts(progress, series_id, items):
            raise TransientFault("a series is said to be gone, and to have occurrences")
        sync.absorb_series(progress, series_id, items)


async def _decide(gateway: Gateway, row: Found, now: datetime, progress: Round, cause: str) -> Decision:
    if row.last_synced_at is None:
        # Nothing of this calendar was ever written: a round is written as a whole.
        found = sync.compare(progress, {})
        return decide(found, {}, cause=cause, now=now, ids=new_ids())
    progress.reexamined = await examine(gateway, row)
    listed = progress.rows or progress.series or progress.reexamined
    if not listed and not progress.full and progress.stretch is None:
        return Decision()
    named = progress.rows.keys() | progress.series.keys() | progress.reexamined.keys()
    wanted = None if progress.full or progress.stretch or len(named) > FEW_ROWS else named
    async with gateway.database.read() as conn:
        known = await events.known(conn, row.id, rows=wanted, series=progress.series)
        set_aside = await events.quarantined(conn, row.id)
        found = sync.compare(progress, known, set_aside)
        stored = await events.stored(conn, found.needs)
    return decide(found, stored, cause=cause, now=now, ids=new_ids(), entered=progress.entered)


def new_ids() -> Iterator[UUID]:
    """Fresh ids for ever, rising with time."""
    while True:
        yield uuid7()
