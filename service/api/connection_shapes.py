"""What clients say of connections, and what they are shown of them: shapes, none of which has a place for a secret."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.api.bodies import Body
from service.api.endpoint_shapes import Nothing
from service.api.views import SyncView, sync_view
from service.core.connection import EventDefaults, EventPrivacy, Settings, ZoomSettings, read_settings
from service.flows import connect
from service.providers.protocol import RawCalendar
from service.store.connection_standing import judged
from service.store.connection_views import Pictured
from service.store.tables import Found

RawId = Annotated[str, Meta(min_length=1, max_length=1024)]
RawIds = Annotated[list[RawId], Meta(max_length=250)]
Minutes = Annotated[int, Meta(ge=1, le=1440)]
Reminders = Annotated[list[Annotated[int, Meta(ge=0, le=40320)]], Meta(max_length=5)]
Visibility = Literal["default", "public", "private", "confidential"]
Direction = Literal["inbound", "outbound", "both"]
Recording = Literal["none", "local", "cloud"]
StatusName = Literal["active", "token_expired", "error", "disconnected"]


class EventDefaultsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What new events get that say nothing of it; `reminders` are minutes before the start."""

    visibility: Visibility | UnsetType | None = UNSET
    reminders: Reminders | UnsetType | None = UNSET


class EventPrivacyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is shown at the provider of events that are written here."""

    show_title: bool | UnsetType | None = UNSET
    show_description: bool | UnsetType | None = UNSET
    show_attendees: bool | UnsetType | None = UNSET
    show_location: bool | UnsetType | None = UNSET


class ZoomSettingsChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How meetings at Zoom are made; `null` is what the account does by itself."""

    join_before_host: bool | UnsetType | None = UNSET
    mute_upon_entry: bool | UnsetType | None = UNSET
    waiting_room: bool | UnsetType | None = UNSET
    auto_recording: Recording | UnsetType | None = UNSET


class ConnectionChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a connection to change; what is not there stays, and `null` brings a setting back to its default.

    Calendars are named by the provider's ids (`GET /connections/{id}/calendars`), or `primary`. A calendar that comes to
    `selected_calendars` is connected, as by `POST /calendars`; one that goes is let go, as by `DELETE /calendars/{id}`.
    """

    primary_calendar: RawId | UnsetType | None = UNSET
    selected_calendars: RawIds | UnsetType | None = UNSET
    busy_calendars: RawIds | UnsetType | None = UNSET
    block_busy_time: bool | UnsetType | None = UNSET
    validate_availability: bool | UnsetType | None = UNSET
    cancel_if_declined_or_deleted: bool | UnsetType | None = UNSET
    disable_attendee_notification: bool | UnsetType | None = UNSET
    sync_buffers_to_calendar: bool | UnsetType | None = UNSET
    sync_direction: Direction | UnsetType | None = UNSET
    sync_frequency: Minutes | UnsetType | None = UNSET
    event_defaults: EventDefaultsChange | UnsetType | None = UNSET
    event_privacy: EventPrivacyChange | UnsetType | None = UNSET
    zoom_settings: ZoomSettingsChange | UnsetType | None = UNSET

    def patch(self, expected_version: int | None) -> connect.ConnectionPatch:
        """As the flow takes it."""
        given: dict[str, Any] = msgspec.to_builtins(self)
        selected = given.pop("selected_calendars", UNSET)
        return connect.ConnectionPatch(settings=given, selected_calendars=selected, expected_version=expected_version)


CHANGE: Final = Body[ConnectionChange](
    ConnectionChange,
    examples={
        "calendars": {"selected_calendars": ["ana@example.com", "team@group.calendar.google.com"]},
        "pace": {"sync_frequency": 15},
        "writing": {"sync_direction": "both", "event_defaults": {"reminders": [10]}},
    },
)


class ConnectionResync(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether to list everything again instead of only what changed."""

    full_sync: bool = False


RESYNC: Final = Body[ConnectionResync](ConnectionResync, when_empty=ConnectionResync(), example={"full_sync": False})


NOTHING: Final = Body[Nothing](Nothing, example={}, when_empty=Nothing())


class ConnectedCalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar of a connection, as `GET /calendars/{id}` shows it whole."""

    id: UUID
    raw_calendar_id: str
    name: str
    status: str


class SettingsView(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of a connection with the value that counts.

    `primary_calendar` is null where it is the account's own primary calendar and that is not kept in step;
    `sync_frequency` is null where calgate decides.
    """

    primary_calendar: str | None
    selected_calendars: list[str]
    busy_calendars: list[str]
    block_busy_time: bool
    validate_availability: bool
    cancel_if_declined_or_deleted: bool
    disable_attendee_notification: bool
    sync_buffers_to_calendar: bool
    sync_direction: str
    sync_frequency: int | None
    event_defaults: EventDefaults
    event_privacy: EventPrivacy
    zoom_settings: ZoomSettings


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """A user's account at a provider. `status` is `active`, `token_expired` (the user has to sign in again), `error` or `disconnected`.

    `user_id` is the integrator's own name of its user. `access` is what the user lets you do, `read` or `write`: of an OAuth
    account what `scopes` have granted. Null and empty where the credentials came by `POST /calendars`. Where it is `read`,
    nothing is written (422 `insufficient_scope`).
    """

    id: UUID
    provider: str
    email: str | None
    user_id: str | None
    status: str
    is_primary: bool
    calendars: list[ConnectedCalendarView]
    last_sync_at: datetime | None
    error_code: str | None
    error_message: str | None
    settings: SettingsView
    access: str | None
    scopes: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class ConnectedView(msgspec.Struct, frozen=True):
    """Whether a user is connected: one of its connections at least needs nothing of the user."""

    connected: bool
    connections: list[ConnectionView]


class AccountCalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """A calendar as the provider lists it; `selected` ones are kept in step."""

    id: str
    name: str
    is_primary: bool
    can_edit: bool
    selected: bool
    color: str | None
    time_zone: str | None


class ConnectedCalendarSyncView(SyncView, frozen=True, kw_only=True):
    """How the synchronisation of one of a connection's calendars stands."""

    calendar_id: UUID
    raw_calendar_id: str


class ConnectionSyncView(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection's synchronisation stands: the calendars', and of them together the newest read and the next.

    While it is `rate_limited` at least one calendar waits because the provider, or our share of its quota, wants a pause.
    """

    status: str
    last_sync_at: datetime | None
    last_attempt_at: datetime | None
    next_sync_at: datetime | None
    error_code: str | None
    error_message: str | None
    rate_limited: bool
    rate_limit_resets_at: datetime | None
    calendars: list[ConnectedCalendarSyncView]


def connection_view(found: Pictured) -> ConnectionView:
    """A stored connection as it is shown."""
    row, mine = found.row, found.calendars
    health = judged(row, mine)
    return ConnectionView(
        id=row.id,
        provider=row.provider,
        email=row.email,
        user_id=row.user_id,
        status=health.status,
        is_primary=row.is_primary,
        calendars=[
            ConnectedCalendarView(
                id=one.id,
                raw_calendar_id=one.raw_calendar_id,
                name=one.name or one.calendar_name,
                status=one.status,
            )
            for one in mine
        ],
        last_sync_at=_latest(one.last_synced_at for one in mine),
        error_code=health.error_code,
        error_message=health.error_message,
        settings=_settings_view(read_settings(row.settings), mine),
        access=row.access,
        scopes=row.scopes,
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def calendar_views(found: Pictured, listed: Sequence[RawCalendar]) -> list[AccountCalendarView]:
    """The provider's calendars of a connection as they are shown."""
    selected = {one.raw_calendar_id for one in found.calendars}
    return [
        AccountCalendarView(
            id=raw.id,
            name=raw.name,
            is_primary=raw.is_primary,
            can_edit=connect.may_edit(raw),
            selected=raw.id in selected,
            color=raw.color,
            time_zone=raw.time_zone,
        )
        for raw in listed
    ]


def connection_sync_view(found: Pictured, set_aside: dict[UUID, int], now: datetime) -> ConnectionSyncView:
    """How a stored connection's synchronisation stands."""
    health = judged(found.row, found.calendars)
    shown = [
        ConnectedCalendarSyncView(
            calendar_id=one.id,
            raw_calendar_id=one.raw_calendar_id,
            **msgspec.structs.asdict(sync_view(one, set_aside.get(one.id, 0), now)),
        )
        for one in found.calendars
    ]
    resets = _latest(one.rate_limited_until for one in shown)
    return ConnectionSyncView(
        status=health.status,
        last_sync_at=_latest(one.last_synced_at for one in shown),
        last_attempt_at=_latest(one.last_attempt_at for one in shown),
        next_sync_at=min((one.next_sync_at for one in shown if one.next_sync_at is not None), default=None),
        error_code=health.error_code,
        error_message=health.error_message,
        rate_limited=resets is not None and resets > now,
        rate_limit_resets_at=resets if resets is not None and resets > now else None,
        calendars=shown,
    )


def _settings_view(settings: Settings, mine: Sequence[Found]) -> SettingsView:
    selected = [one.raw_calendar_id for one in mine]
    primary = next((one.raw_calendar_id for one in mine if one.is_primary), None)
    own = {name: getattr(settings, name) for name in SettingsView.__struct_fields__ if hasattr(settings, name)}
    chosen = {
        "primary_calendar": settings.primary_calendar or primary,
        "busy_calendars": selected if settings.busy_calendars is None else settings.busy_calendars,
        "selected_calendars": selected,
    }
    return SettingsView(**own | chosen)


def _latest(moments: Any) -> datetime | None:
    found: datetime | None = max((moment for moment in moments if moment is not None), default=None)
    return found
