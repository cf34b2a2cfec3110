"""Whether there is time for an event, where its connection says that this is to be looked at first."""

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from service.core.availability import day_window
from service.core.drafts import Draft, Patch
from service.core.schedule import Window
from service.errors import GatewayError
from service.flows.writing.busy_times import Selection, select, times
from service.flows.writing.opening import Opened, decode
from service.flows.writing.scene import Scene
from service.store import event_writes, events, managed_events


async def check_time(scene: Scene, opened: Opened) -> None:
    """Raises GatewayError 409 when the calendars that block this user's time are busy then, or nobody knows.

    Of a series the first occurrence is looked at. A wish that came earlier and is still on its way counts as busy.
    """
    if not scene.settings.validate_availability:
        return
    window = _window(scene, opened)
    if window is None:
        return
    gateway, row = scene.gateway, scene.calendar
    asked = await select(gateway, row.project_id, Selection(connection_ids=[row.connection_id]))
    found = await times(gateway, asked, window, but=await _own(scene, opened))
    if found.unknown:
        detail = (
            f"The connection validates availability, and nobody knows about the calendars {', '.join(found.unknown)}."
        )
        raise GatewayError(409, "conflict", detail)
    if found.busy or (asked.calendars and await _is_wished(scene, opened, window)):
        start = found.busy[0].starts_at if found.busy else window.start
        detail = f"The time is taken from {start:%Y-%m-%dT%H:%M:%SZ} on; the connection validates availability."
        raise GatewayError(409, "conflict", detail)


def _window(scene: Scene, opened: Opened) -> Window | None:
    """The time that a wish takes up with its buffers; None where it takes none."""
    job = opened.job
    wanted: Draft | Patch | None = job.draft if job.draft is not None else job.patch
    if wanted is None or wanted.is_busy is False:
        return None
    if isinstance(wanted.starts_at, datetime) and isinstance(wanted.ends_at, datetime):
        before, after = timedelta(minutes=job.buffer_before or 0), timedelta(minutes=job.buffer_after or 0)
        start, end = wanted.starts_at - before, wanted.ends_at + after
        return Window(start, end) if end > start else None
    if wanted.start_date and wanted.end_date:
        zone = ZoneInfo(scene.calendar.time_zone or "UTC")
        first, last = day_window(wanted.start_date, zone), day_window(wanted.end_date - timedelta(days=1), zone)
        return Window(first.start, last.end)
    return None


async def _own(scene: Scene, opened: Opened) -> list[UUID]:
    """The event that a change is about, and its buffers: they are in nobody's way."""
    if opened.row.kind == "create":
        return []
    async with scene.gateway.database.read() as conn:
        managed = await managed_events.of_event(conn, scene.calendar.id, opened.job.provider_event_id)
        ids = [each["id"] for each in managed.buffers] if managed is not None else []
        known = await events.known(conn, scene.calendar.id, rows=ids) if ids else {}
        return [opened.row.event_id, *(each.id for each in known.values())]


async def _is_wished(scene: Scene, opened: Opened, window: Window) -> bool:
    """Whether somebody who came earlier is about to take this time."""
    async with scene.gateway.database.read() as conn:
        rows = await event_writes.earlier(conn, opened.row)
    for row in rows:
        draft = decode(event_writes.opened(scene.gateway.cipher, row)).draft
        if draft is None or not draft.is_busy or draft.starts_at is None or draft.ends_at is None:
            continue
        if window.overlaps(draft.starts_at, draft.ends_at):
            return True
    return False
