"""Whether there is time for an event, where its connection says that this is to be looked at first.

Two wishes that come at once are told apart by `created_at`, which is the order in which they have held their connection: the
later one finds the earlier one on its way, or in the store.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.core.availability import day_window, takes_time
from service.core.drafts import Draft, patched
from service.core.event import Event
from service.core.schedule import Window
from service.errors import GatewayError
from service.flows.writing.busy_times import Own, Selection, select, times
from service.flows.writing.opening import Opened, decode
from service.flows.writing.scene import Job, Scene
from service.flows.writing.sentences import wanted
from service.store import event_writes, events, managed_events
from service.store.tables import Found


class _Taken(msgspec.Struct, frozen=True):
    """When something is, and the minutes that are kept free before and after it."""

    draft: Draft
    before: int
    after: int

    def window(self, zone: str | None) -> Window | None:
        """The time that it takes up, in a calendar of this zone; None where it takes none."""
        draft = self.draft
        if not draft.is_busy:
            return None
        if draft.starts_at is not None and draft.ends_at is not None:
            start = draft.starts_at - timedelta(minutes=self.before)
            end = draft.ends_at + timedelta(minutes=self.after)
            return Window(start, end) if end > start else None
        if draft.start_date is not None and draft.end_date is not None:
            days = ZoneInfo(zone or "UTC")
            last = day_window(draft.end_date - timedelta(days=1), days)
            return Window(day_window(draft.start_date, days).start, last.end)
        return None


async def check_time(scene: Scene, opened: Opened) -> None:
    """Raises GatewayError 409 when the calendars that block this user's time are busy then, or nobody knows.

    Of a series the first occurrence is looked at. A wish that came earlier and is still on its way counts as busy. A change
    that takes up no more time than the event did is not looked at.
    """
    if not scene.settings.validate_availability:
        return
    gateway, row = scene.gateway, scene.calendar
    window = await _window(scene, opened.row, opened.job)
    if window is None:
        return
    asked = await select(gateway, row.project_id, Selection(connection_ids=[row.connection_id]))
    # Wishes first: one that is settled meanwhile is in the store by the time that this is read.
    start = await _wished(scene, opened, asked.calendars, window)
    if start is None:
        found = await times(gateway, asked, window, own=await _own(scene, opened))
        if found.unknown:
            detail = f"The connection validates availability, and nobody knows about the calendars {', '.join(found.unknown)}."
            raise GatewayError(409, "conflict", detail)
        start = found.busy[0].starts_at if found.busy else None
    if start is not None:
        detail = f"The time is taken from {start:%Y-%m-%dT%H:%M:%SZ} on; the connection validates availability."
        raise GatewayError(409, "conflict", detail)


async def _window(scene: Scene, row: Found, job: Job) -> Window | None:
    """The time that a wish takes up beyond what its event did; None where that is none."""
    zone = scene.calendar.time_zone
    if row.kind == "create":
        draft = await wanted(scene, job, row.created_at)
        # A sentence that its provider reads says when it is once it is there.
        return _Taken(draft or Draft(is_busy=False), job.buffer_before or 0, job.buffer_after or 0).window(zone)
    if row.kind != "change" or job.patch is None:
        return None
    async with scene.gateway.database.read() as conn:
        before = await _as_it_is(conn, row, job)
    if before is None:
        return None
    after = _Taken(
        patched(before.draft, job.patch),
        before.before if job.buffer_before is None else job.buffer_before,
        before.after if job.buffer_after is None else job.buffer_after,
    )
    old, new = before.window(zone), after.window(zone)
    if old is not None and new is not None and old.start <= new.start and new.end <= old.end:
        return None
    return new


async def _as_it_is(conn: AsyncConnection, row: Found, job: Job) -> _Taken | None:
    """The time of an event that a change is about; None for one that is gone."""
    event = (await events.stored(conn, [row.event_id])).get(row.event_id)
    if event is None:
        return None
    managed = await managed_events.of_event(conn, row.calendar_id, job.provider_event_id)
    return _Taken(_timed(event), managed.buffer_before if managed else 0, managed.buffer_after if managed else 0)


def _timed(event: Event) -> Draft:
    """An event as far as its time goes."""
    return Draft(
        starts_at=None if event.is_all_day else event.starts_at,
        ends_at=None if event.is_all_day else event.ends_at,
        start_date=event.start_date,
        end_date=event.end_date,
        is_busy=takes_time(event),
    )


async def _own(scene: Scene, opened: Opened) -> Own:
    """The event that a change is about, or its series, and its buffers: they are in nobody's way."""
    row, job = scene.calendar, opened.job
    if opened.row.kind == "create":
        return Own(calendar_id=row.id)
    async with scene.gateway.database.read() as conn:
        managed = await managed_events.of_event(conn, row.id, job.provider_event_id)
        names: set[str] = {job.provider_event_id, *(each["id"] for each in (managed.buffers if managed else ()))}
        known = await events.known(conn, row.id, rows=names, series=[job.provider_event_id] if job.is_series else [])
    return Own(
        calendar_id=row.id,
        event_ids=frozenset({opened.row.event_id, *(each.id for each in known.values())}),
        provider_ids=frozenset(names),
    )


async def _wished(scene: Scene, opened: Opened, calendars: Sequence[Found], window: Window) -> datetime | None:
    """When the time begins that somebody who came earlier is about to take, in a calendar that blocks time."""
    rows_of = {each.id: each for each in calendars}
    if not rows_of:
        return None
    async with scene.gateway.database.read() as conn:
        rows = await event_writes.earlier(conn, opened.row, list(rows_of))
    for row in rows:
        if row.event_id == opened.row.event_id:
            continue
        job = decode(event_writes.opened(scene.gateway.cipher, row))
        theirs = msgspec.structs.replace(scene, calendar=rows_of[row.calendar_id])
        try:
            taken = await _window(theirs, row, job)
        except GatewayError:
            continue  # a sentence without a time
        if taken is not None and window.overlaps(taken.start, taken.end):
            return taken.start
    return None
