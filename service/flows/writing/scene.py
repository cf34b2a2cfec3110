"""What a write is about: the calendar, the settings of its connection, who writes there, and the wish itself."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from service.core.connection import Settings, read_settings
from service.core.drafts import Draft, Patch
from service.core.lifecycle import State
from service.errors import GatewayError
from service.flows.gateway import Gateway
from service.providers.writing import Place, Writer
from service.store import busy_times, calendars, connection_settings, examinations
from service.store.tables import Found


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A wish, whole, as it is kept until it is carried out.

    To create: `draft`, or `text` for a sentence. To change: `patch`. To change or remove: the event by
    `provider_event_id`, or with `is_series` its whole series; `strict` only if it is still what its author has seen of it, at
    `version` here. `occurrence_starts_at` is when the occurrence will begin by which a series was meant. What nobody
    has asked for at this moment `is_news`: an event set right, or cancelled for its guests. To follow what somebody has
    changed at the provider: `draft` is what the event says from now on. `fingerprint` (hex) is what an event was known by
    that was judged to be set right, cancelled or followed. An event that `is_gone` from the provider need not be removed there.
    `notify` is whether guests get mail, None where the connection decides that.
    """

    draft: Draft | None = None
    text: str | None = None
    patch: Patch | None = None
    version: int | None = None
    occurrence_starts_at: datetime | None = None
    provider_event_id: str = ""
    series_id: str | None = None
    fingerprint: str | None = None
    is_series: bool = False
    strict: bool = False
    notify: bool | None = None
    is_news: bool = False
    is_gone: bool = False
    buffer_before: int | None = None
    buffer_after: int | None = None


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Where a write takes place. `calendar` is its row; `hold` keeps the wish that is carried out there ours."""

    gateway: Gateway
    calendar: Found
    settings: Settings
    place: Place
    writer: Writer
    hold: Callable[[], Awaitable[None]] | None = None


_READ_ONLY: Final = "A calendar of provider {} can only be read."
_INBOUND: Final = "The connection's sync_direction is inbound: nothing is written to its calendars."
_NOT_SELECTED: Final = "The connection's primary_calendar is not kept in step: put it into selected_calendars (PATCH /connections/ID) first."
_NOT_GRANTED: Final = (
    "Its user has connected this calendar to be read only: have the user connect again with access=write "
    "(POST /connect/links, or GET /connect/PROVIDER/url, with the connection_id)."
)
_LOST: Final = "The calendar is disconnected: PATCH it with new credentials first."


async def set_scene(gateway: Gateway, project_id: UUID, calendar_id: UUID) -> Scene:
    """Raises GatewayError: 404 for an unknown calendar, 409 for one that cannot be written to, 422 where its user let us read only."""
    async with gateway.database.read() as conn:
        row = await calendars.one(conn, project_id, calendar_id)
        if row is None:
            raise GatewayError(404, "not_found", "There is no such calendar.")
        connection = await connection_settings.one(conn, project_id, row.connection_id)
    writer = gateway.writers.get(row.provider)
    if writer is None:
        raise GatewayError(409, "conflict", _READ_ONLY.format(row.provider))
    if row.status == State.DISCONNECTED:
        raise GatewayError(409, "conflict", _LOST)
    if connection is None:
        raise GatewayError(404, "not_found", "There is no such calendar.")  # let go in this very moment
    _check_consent(connection)
    settings = read_settings(connection.settings)
    place = Place(raw_calendar_id=row.raw_calendar_id, time_zone=row.time_zone, rules=examinations.rules_of(row))
    return Scene(gateway=gateway, calendar=row, settings=settings, place=place, writer=writer)


def _check_consent(connection: Found) -> None:
    """Raises GatewayError 422 where the user who has connected the account was told that nothing will be written."""
    if connection.access == "read":
        raise GatewayError(422, "insufficient_scope", _NOT_GRANTED)


async def primary_calendar(gateway: Gateway, project_id: UUID, connection_id: UUID) -> Found:
    """The calendar of a connection that new events go to. Raises GatewayError 404, and 409 where it is not selected."""
    async with gateway.database.read() as conn:
        owners = await busy_times.connections(conn, project_id, [connection_id], None)
        if not owners:
            raise GatewayError(404, "not_found", "There is no such connection.")
        rows = await busy_times.calendars_of(conn, [connection_id])
    wanted = read_settings(owners[0].settings).primary_calendar
    for row in rows:
        if row.raw_calendar_id == wanted or (wanted is None and row.is_primary):
            return row
    raise GatewayError(409, "conflict", _NOT_SELECTED)


def notifies(scene: Scene, job: Job) -> bool:
    """Whether guests get mail of a wish: as it says itself, else as the connection does."""
    return job.notify if job.notify is not None else not scene.settings.disable_attendee_notification


def check_direction(scene: Scene) -> None:
    """Raises GatewayError 409 where the connection is only to be read."""
    if scene.settings.sync_direction == "inbound":
        raise GatewayError(409, "conflict", _INBOUND)
