"""When somebody is busy: from the store where it knows, from the provider where it does not, and else unknown."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from service.core.availability import Busy, Free, merged, takes_time
from service.core.connection import read_settings
from service.core.lifecycle import State
from service.core.schedule import Window
from service.core.sync import Listed, stored_cursor
from service.errors import GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing.reaching import Account, reach
from service.providers.protocol import Access
from service.store import busy_times, examinations
from service.store.tables import Found

PATIENCE: Final = 8.0
MOST_CALENDARS: Final = 500
"""More are not asked about at once: each may be a question to its provider."""

MOST_BUFFER: Final = timedelta(hours=12)
MOST_EVENTS: Final = 50_000
"""A busy person has some thousand in the longest stretch; of each a few columns are read."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Whose time is asked about: calendars, all of a connection's, all of a user's; nothing: all of the project's."""

    calendar_ids: Sequence[UUID] = ()
    connection_ids: Sequence[UUID] = ()
    user_id: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nobody in particular is asked about."""
        return not self.calendar_ids and not self.connection_ids and self.user_id is None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a selection comes to: calendars of the store, and those of the provider's that nobody has connected.

    `is_nobody` where the project has none of either: nothing is known then, and not that somebody is free.
    """

    calendars: Sequence[Found]
    foreign: Sequence[tuple[Account, str]] = ()
    is_nobody: bool = False


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Busy stretches by start, and the calendars of which nobody knows."""

    busy: list[Busy]
    unknown: list[str]


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one calendar that are in nobody's way: by id, and by the provider's ids of them or of their series."""

    calendar_id: UUID
    event_ids: frozenset[UUID] = frozenset()
    provider_ids: frozenset[str] = frozenset()


async def select(gateway: Gateway, project_id: UUID, wanted: Selection) -> Asked:
    """Find the calendars.

    Raises GatewayError 404 for one that the project does not have, and for a connection or a user of whom no calendar is
    known; 422 for too many.
    """
    async with gateway.database.read() as conn:
        named = await busy_times.calendars(conn, project_id, wanted.calendar_ids) if wanted.calendar_ids else []
        if len(named) != len(set(wanted.calendar_ids)):
            raise GatewayError(404, "not_found", "There is no such calendar.")
        owners: Sequence[Found] = []
        if wanted.is_empty:
            owners = await busy_times.all_connections(conn, project_id, MOST_CALENDARS + 1)
        elif wanted.connection_ids or wanted.user_id is not None:
            owners = await busy_times.connections(conn, project_id, wanted.connection_ids, wanted.user_id)
        if set(wanted.connection_ids) - {row.id for row in owners}:
            raise GatewayError(404, "not_found", "There is no such connection.")
        _check_count(len(owners))
        theirs = await busy_times.calendars_of(conn, [row.id for row in owners], MOST_CALENDARS + 1) if owners else []
    _check_count(len(theirs))
    _check_known(wanted, owners, theirs)
    found = {row.id: row for row in named}
    foreign: list[tuple[Account, str]] = []
    for owner in owners:
        mine, missing = _blocking(owner, theirs)
        found |= {row.id: row for row in mine}
        account = Account(connection_id=owner.id, provider=owner.provider, email=owner.email)
        foreign += [(account, raw_id) for raw_id in missing]
    _check_count(len(found) + len(foreign))
    return Asked(calendars=list(found.values()), foreign=foreign, is_nobody=wanted.is_empty and not owners)


async def times(gateway: Gateway, asked: Asked, window: Window, *, own: Own | None = None) -> Times:
    """When the calendars' owners are busy, as far as anybody knows; `own` events are left out."""
    now = gateway.clock()
    known = [row for row in asked.calendars if is_known(row, window, now)]
    questions: dict[Account, dict[str, str]] = {}
    rows: dict[tuple[UUID, str], Found] = {}
    for row in asked.calendars:
        if row not in known:
            account = Account(connection_id=row.connection_id, provider=row.provider, email=row.email)
            questions.setdefault(account, {})[row.raw_calendar_id] = str(row.id)
            rows[row.connection_id, row.raw_calendar_id] = row
    for account, raw_id in asked.foreign:
        questions.setdefault(account, {})[raw_id] = raw_id
    ours = own.event_ids if own is not None else frozenset()
    busy = await _stored(gateway, [row.id for row in known], window, ours)
    answers = await asyncio.gather(
        *(_ask(gateway, account, list(ids), window, rows, own) for account, ids in questions.items())
    )
    unknown: list[str] = []
    for (_, ids), answer in zip(questions.items(), answers, strict=True):
        for raw_id, shown_as in ids.items():
            stretches = answer.get(raw_id)
            if stretches is None:
                unknown.append(shown_as)
            else:
                busy += [Busy(starts_at=a, ends_at=b, calendar_id=shown_as) for a, b in stretches]
    # No provider knows what is kept free around the events that were written here.
    told = [row.id for row in rows.values() if str(row.id) not in unknown]
    busy += await _stored(gateway, told, window, ours, buffered=True)
    return Times(busy=_joined(busy, window), unknown=sorted(unknown))


def _check_count(count: int) -> None:
    """Raises GatewayError 422 where more is asked about than one answer is given for."""
    if count > MOST_CALENDARS:
        detail = f"This asks about more than {MOST_CALENDARS} calendars: name fewer calendar_ids or connection_ids, or one user_id."
        raise GatewayError(422, "validation_failed", detail)


def _check_known(wanted: Selection, owners: Sequence[Found], calendars: Sequence[Found]) -> None:
    """Raises GatewayError 404 where somebody is asked about of whom we have no calendar: nobody knows whether he is free."""
    with_calendars = {row.connection_id for row in calendars}
    known = {row.id for row in owners if row.id in with_calendars or read_settings(row.settings).busy_calendars}
    if set(wanted.connection_ids) - known:
        raise GatewayError(
            404, "not_found", "A connection that is asked about has no calendars: put some into selected_calendars."
        )
    if wanted.user_id is not None and not any(row.id in known for row in owners if row.user_id == wanted.user_id):
        raise GatewayError(
            404, "not_found", "No calendar of this user is connected: nobody knows when the user is free."
        )


def _blocking(owner: Found, calendars: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Those of a connection's calendars that block its user's time: in the store, and by their id at the provider."""
    settings = read_settings(owner.settings)
    if not settings.block_busy_time:
        return [], []
    mine = [row for row in calendars if row.connection_id == owner.id]
    if settings.busy_calendars is None:
        return mine, []
    named = set(settings.busy_calendars)
    there = [row for row in mine if row.raw_calendar_id in named]
    return there, sorted(named - {row.raw_calendar_id for row in there})


def is_known(row: Found, window: Window, now: datetime) -> bool:
    """Whether the store equals the provider in this stretch: read lately enough, and within what was really read."""
    if row.last_synced_at is None or row.status == State.DISCONNECTED or row.stale_at is None or row.stale_at <= now:
        return False
    # An account that has lost its grant is read by nobody, whenever its calendars find out.
    if row.connection_error_code is not None:
        return False
    # The horizon of today may be a wish that no read has followed yet.
    cursor = stored_cursor(row.cursor)
    return cursor is not None and cursor.window_start <= window.start and window.end <= cursor.window_end


async def _stored(
    gateway: Gateway, ids: Sequence[UUID], window: Window, but: frozenset[UUID], *, buffered: bool = False
) -> list[Busy]:
    """Events of the store that take up time, and the buffers around them; of those alone that are `buffered`, the buffers."""
    if not ids:
        return []
    around = Window(window.start - MOST_BUFFER, window.end + MOST_BUFFER)
    rows = await events_in(gateway, ids, around, buffered=buffered)
    names = {each: str(each) for each in ids}
    found = []
    for row in rows:
        if row.id not in but:
            before, after = timedelta(minutes=row.buffer_before or 0), timedelta(minutes=row.buffer_after or 0)
            start, end = row.starts_at - before, row.ends_at + after
            sides = [(start, row.starts_at), (row.ends_at, end)] if buffered else [(start, end)]
            found += [Busy(starts_at=a, ends_at=b, calendar_id=names[row.calendar_id]) for a, b in sides]
    return found


async def events_in(
    gateway: Gateway, ids: Sequence[UUID], window: Window, *, buffered: bool = False
) -> Sequence[Found]:
    """What takes up time in these calendars, as `store.busy_times.events` says. Raises GatewayError 422 for too much."""
    async with gateway.database.read() as conn:
        rows = await busy_times.events(conn, ids, window.start, window.end, MOST_EVENTS + 1, buffered=buffered)
    if len(rows) > MOST_EVENTS:
        detail = f"More than {MOST_EVENTS} events lie in this time: ask about a shorter one, or about fewer calendars."
        raise GatewayError(422, "validation_failed", detail)
    return rows


async def _ask(
    gateway: Gateway,
    account: Account,
    ids: list[str],
    window: Window,
    rows: dict[tuple[UUID, str], Found],
    own: Own | None,
) -> dict[str, list[tuple[datetime, datetime]] | None]:
    """What the provider says of calendars; None for those of which it does not."""
    found: dict[str, list[tuple[datetime, datetime]] | None] = dict.fromkeys(ids)
    left_out = {raw_id: _left_out(rows.get((account.connection_id, raw_id)), own) for raw_id in ids}
    reader = gateway.busy_readers.get(account.provider)
    asked = [raw_id for raw_id in ids if not left_out[raw_id]]
    if reader is not None and asked:
        try:
            told = await reach(gateway, account, lambda access: reader.busy(access, asked, window), patience=PATIENCE)
            found |= {
                raw_id: [(each.starts_at, each.ends_at) for each in stretches]
                for raw_id, stretches in told.items()
                if stretches is not None
            }
        except ProviderError:
            pass  # the events themselves may still be read
    for raw_id in [each for each in ids if found[each] is None]:
        row = rows.get((account.connection_id, raw_id))
        found[raw_id] = await _listed(gateway, account, raw_id, window, row, left_out[raw_id])
    return found


def _left_out(row: Found | None, own: Own | None) -> frozenset[str]:
    """What is not to be counted of a calendar; busy time without names would count it."""
    return own.provider_ids if own is not None and row is not None and row.id == own.calendar_id else frozenset()


async def _listed(
    gateway: Gateway, account: Account, raw_id: str, window: Window, row: Found | None, left_out: frozenset[str]
) -> list[tuple[datetime, datetime]] | None:
    """The busy time of a calendar, out of its events as they are now; None when they cannot be read."""
    provider = gateway.providers.get(account.provider)
    if provider is None:
        return None
    zone = row.time_zone if row is not None else None
    rules = examinations.rules_of(row) if row is not None else None

    async def read(access: Access) -> list[tuple[datetime, datetime]]:
        given = {} if rules is None else {"rules": rules}
        listing = provider.stretch(access, raw_id, window=window, time_zone=zone, **given)
        return [
            (item.event.starts_at, item.event.ends_at)
            async for item in listing
            if isinstance(item, Listed)
            and takes_time(item.event)
            and not left_out & {item.event.provider_event_id, item.event.series_id}
        ]

    try:
        return await reach(gateway, account, read, patience=PATIENCE)
    except ProviderError:
        return None


def _joined(busy: Iterable[Busy], window: Window) -> list[Busy]:
    """By calendar, in stretches that neither overlap nor touch, as far as they lie in the window."""
    by_calendar: dict[str, list[Free]] = {}
    for each in busy:
        if window.overlaps(each.starts_at, each.ends_at):
            stretch = Free(starts_at=max(each.starts_at, window.start), ends_at=min(each.ends_at, window.end))
            by_calendar.setdefault(each.calendar_id, []).append(stretch)
    found = [
        Busy(starts_at=each.starts_at, ends_at=each.ends_at, calendar_id=calendar_id)
        for calendar_id, stretches in by_calendar.items()
        for each in merged(stretches)
    ]
    return sorted(found, key=lambda each: (each.starts_at, each.calendar_id))
