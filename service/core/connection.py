"""A user's connection to a provider: its settings, and how it stands, judged by how its calendars do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from service.core.lifecycle import State

ACTIVE: Final = "active"
TOKEN_EXPIRED: Final = "token_expired"  # noqa: S105 - a status
ERROR: Final = "error"
DISCONNECTED: Final = "disconnected"

STATUSES: Final = (ACTIVE, TOKEN_EXPIRED, ERROR, DISCONNECTED)
WITHOUT_CALENDARS: Final = frozenset({"zoom"})
"""Providers whose accounts make calls, and have no calendars."""

SIGN_IN_AGAIN: Final = frozenset({"credentials_rejected", "insufficient_scope"})
"""Error codes of calendars that the user can mend, by signing in again."""

NEWS: Final[Mapping[str, str]] = {
    ACTIVE: "integration.synced",
    TOKEN_EXPIRED: "integration.error",
    ERROR: "integration.error",
    DISCONNECTED: "integration.disconnected",
}
"""The type of webhook that tells of a connection's new status."""

DIRECTIONS: Final = ("inbound", "outbound", "both")
RECORDINGS: Final = ("none", "local", "cloud")


class EventDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What an event gets that says nothing of it; `reminders` are minutes before the start."""

    visibility: str | None = None
    reminders: list[int] | None = None


class EventPrivacy(msgspec.Struct, frozen=True, kw_only=True):
    """What the provider, and so everybody who sees the calendar there, is shown of events written here."""

    show_title: bool = True
    show_description: bool = True
    show_attendees: bool = True
    show_location: bool = True


class ZoomSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How meetings at Zoom are made; None is what the account does by itself. `auto_recording` is `none`, `local` or `cloud`."""

    join_before_host: bool | None = None
    mute_upon_entry: bool | None = None
    waiting_room: bool | None = None
    auto_recording: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a user wants of a connection; ids of calendars are the provider's (`raw_calendar_id`).

    `primary_calendar`: new events go there (None: the account's own primary). `selected_calendars` are kept in step, and
    are exactly the connection's calendars in the store. `busy_calendars` are looked at for conflicts (None: those that are
    selected); with `block_busy_time` off they block nothing. `validate_availability`: an event over a busy time is refused.
    `cancel_if_declined_or_deleted`: an event written here whose guest declines it, or who deletes it, is cancelled.
    `disable_attendee_notification`: no mail to guests, unless a request asks for it. `sync_buffers_to_calendar`: the time before
    and after an event is kept free by events of their own. `sync_direction` is `inbound` (the provider's word counts, nothing
    is written), `outbound` (ours counts: what somebody changes at the provider of an event written here is written back)
    or `both`. `sync_frequency`: at least so many minutes between two polls.
    """

    primary_calendar: str | None = None
    busy_calendars: list[str] | None = None
    block_busy_time: bool = True
    validate_availability: bool = False
    cancel_if_declined_or_deleted: bool = False
    disable_attendee_notification: bool = False
    sync_buffers_to_calendar: bool = False
    sync_direction: str = "both"
    sync_frequency: int | None = None
    event_defaults: EventDefaults = EventDefaults()
    event_privacy: EventPrivacy = EventPrivacy()
    zoom_settings: ZoomSettings = ZoomSettings()


class Trouble(NamedTuple):
    """What is wrong with an account or a calendar, as a code of the contract and in words that say what to do."""

    code: str | None
    message: str | None


NO_TROUBLE: Final = Trouble(None, None)


class Member(NamedTuple):
    """One of a connection's calendars, as far as its connection is judged by it."""

    status: str
    trouble: Trouble


class Health(msgspec.Struct, frozen=True):
    """How a connection stands, and why."""

    status: str
    error_code: str | None = None
    error_message: str | None = None


def status_of(calendars: Iterable[tuple[str, str | None]], own_error: str | None = None) -> str:
    """How a connection stands: `active`, `token_expired` (the user has to sign in again), `error` or `disconnected`.

    `calendars` are (status, error code) of each; `own_error` is the code of the account itself, which outweighs them. The
    worst calendar that speaks of the account decides: one calendar that was deleted is no matter of the connection.
    """
    found = list(calendars)
    codes = {code for _, code in found if code is not None} | ({own_error} if own_error else set())
    if codes & SIGN_IN_AGAIN:
        return TOKEN_EXPIRED
    if found and all(status == State.DISCONNECTED for status, _ in found):
        return DISCONNECTED
    if own_error or any(status == State.ERROR for status, _ in found):
        return ERROR
    return ACTIVE


def judge(members: Sequence[Member], own: Trouble = NO_TROUBLE) -> Health:
    """How a connection stands, with the trouble that made it so: the account's own first, then the first calendar's."""
    status = status_of(((each.status, each.trouble.code) for each in members), own.code)
    if status == ACTIVE:
        return Health(status)
    if status == TOKEN_EXPIRED:
        blamed = [each for each in (own, *(member.trouble for member in members)) if each.code in SIGN_IN_AGAIN]
    else:
        # Of a connection in error, what is past mending is not the reason.
        state = State.DISCONNECTED if status == DISCONNECTED else State.ERROR
        blamed = [own, *(each.trouble for each in members if each.status == state)]
    cause = next((each for each in blamed if each.code is not None), NO_TROUBLE)
    return Health(status, cause.code, cause.message)


def is_settled(members: Iterable[Member], status: str) -> bool:
    """Whether the world may be told of a status: that all is well only once every calendar has been read."""
    return status != ACTIVE or all(each.status != State.SYNCING for each in members)


def read_settings(stored: object) -> Settings:
    """Settings as they are stored; a field added since takes its default. Raises msgspec.ValidationError."""
    return msgspec.convert(stored, Settings)


def stored_settings(settings: Settings) -> dict[str, Any]:
    """Settings as they are stored: what differs from the defaults."""
    found: dict[str, Any] = msgspec.to_builtins(settings)
    return found


def changed_settings(settings: Settings, wish: Mapping[str, Any]) -> Settings:
    """Settings with what is wished for: None is the default, and an object changes those of its fields that it names."""
    defaults = Settings()
    values: dict[str, Any] = {}
    for name, value in wish.items():
        if value is None:
            values[name] = getattr(defaults, name)
        elif isinstance(value, Mapping):
            values[name] = _merged(getattr(settings, name), value)
        else:
            values[name] = value
    return msgspec.structs.replace(settings, **values)


def _merged(part: msgspec.Struct, wish: Mapping[str, Any]) -> msgspec.Struct:
    defaults = type(part)()
    values = {name: getattr(defaults, name) if value is None else value for name, value in wish.items()}
    return msgspec.structs.replace(part, **values)
