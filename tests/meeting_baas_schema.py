"""Meeting BaaS's published answers, v1.1 and v2.0.0 of its OpenAPI documents, restated as types that refuse any other field.

What the documents require has no default here; what they leave open may be missing. Formats are checked where they say one.
"""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

_UUID = (
    r"^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
    r"|0{8}-0{4}-0{4}-0{4}-0{12}|f{8}-f{4}-f{4}-f{4}-f{12})$"
)
Uuid = Annotated[str, Meta(pattern=_UUID)]
Moment = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?Z$")]
Int32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Platform = Literal["google", "microsoft"]
Status = Literal["active", "error", "revoked", "permission_denied"]
EventStatus = Literal["confirmed", "cancelled", "tentative"]
Kind = Literal["one_off", "recurring"]
MeetingPlatform = Literal["zoom", "meet", "teams"]


class Strict(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An object with no other fields."""


class CalendarV1(Strict):
    uuid: Uuid
    name: str
    email: str
    google_id: str
    resource_id: str | UnsetType | None = UNSET


class CreateCalendarV1(Strict):
    calendar: CalendarV1


class CalendarListEntryV1(Strict):
    id: str
    email: str
    is_primary: bool


class ListRawV1(Strict):
    calendars: list[CalendarListEntryV1]


class AttendeeV1(Strict):
    email: str
    name: str | UnsetType | None = UNSET


class BotParamV1(Strict):
    bot_name: str
    extra: Any
    transcription_custom_parameters: Any
    webhook_url: str
    bot_image: str | UnsetType | None = UNSET
    deduplication_key: str | UnsetType | None = UNSET
    enter_message: str | UnsetType | None = UNSET
    noone_joined_timeout: Int32 | UnsetType | None = UNSET
    recording_mode: Literal["speaker_view", "gallery_view", "audio_only"] | UnsetType | None = UNSET
    speech_to_text_api_key: str | UnsetType | None = UNSET
    speech_to_text_provider: Literal["Gladia", "Runpod", "Default"] | UnsetType | None = UNSET
    streaming_audio_frequency: Literal["16khz", "24khz"] | UnsetType | None = UNSET
    streaming_input: str | UnsetType | None = UNSET
    streaming_output: str | UnsetType | None = UNSET
    waiting_room_timeout: Int32 | UnsetType | None = UNSET
    zoom_access_token_url: str | UnsetType | None = UNSET
    zoom_obf_token: str | UnsetType | None = UNSET
    zoom_obf_token_url: str | UnsetType | None = UNSET
    zoom_obf_token_user_id: str | UnsetType | None = UNSET
    zoom_sdk_id: str | UnsetType | None = UNSET
    zoom_sdk_pwd: str | UnsetType | None = UNSET


class EventV1(Strict):
    attendees: list[AttendeeV1]
    calendar_uuid: Uuid
    deleted: bool
    end_time: Moment
    google_id: str
    is_organizer: bool
    is_recurring: bool
    last_updated_at: Moment
    meeting_url: str
    name: str
    raw: dict[str, Any]
    start_time: Moment
    uuid: Uuid
    bot_param: BotParamV1 | UnsetType | None = UNSET
    recurring_event_id: str | UnsetType | None = UNSET


class ListEventsV1(Strict):
    data: list[EventV1]
    next: str | UnsetType | None = UNSET


class ResyncAllV1(Strict):
    synced_calendars: list[Uuid]
    errors: list[tuple[Uuid, str]]


class RefusalV1(Strict):
    """Not published; what is sent in its place, which has the `error` that the guides show."""

    error: str
    code: str
    status_code: int = msgspec.field(name="statusCode")
    message: str
    details: str | None


class RawCalendar(Strict):
    id: str
    name: str
    email: str
    is_primary: bool


class Created(Strict):
    calendar_id: Uuid
    calendar_platform: Platform
    account_email: str
    status: Status
    created_at: Moment


class Updated(Strict):
    calendar_id: Uuid
    calendar_platform: Platform
    account_email: str
    status: Status
    updated_at: Moment


class CalendarItem(Strict):
    calendar_id: Uuid
    calendar_platform: Platform
    account_email: str
    status: Status
    synced_at: Moment | None
    created_at: Moment


class CalendarDetails(Strict):
    calendar_id: Uuid
    calendar_platform: Platform
    account_email: str
    status: Status
    status_message: str | None
    subscription_id: str | None
    subscription_expires_at: Moment | None
    synced_at: Moment | None
    sync_status: Literal["success", "failed", "partial"] | None
    sync_error: str | None
    provider_metadata: dict[str, Any] | None
    created_at: Moment
    updated_at: Moment


class Message(Strict):
    message: str


class Resubscribed(Strict):
    calendar_id: Uuid
    resubscribed_at: Moment


class SeriesEvent(Strict):
    event_id: Uuid
    title: str
    start_time: Moment
    end_time: Moment
    status: EventStatus
    is_exception: bool
    meeting_url: str | None
    meeting_platform: MeetingPlatform | None
    calendar_id: Uuid
    bot_scheduled: bool
    created_at: Moment


class EventItem(SeriesEvent):
    series_id: Uuid
    event_type: Kind


class Series(Strict):
    series_id: Uuid
    event_type: Kind
    calendar_id: Uuid
    created_at: Moment
    events: list[SeriesEvent]


class Attendee(Strict):
    email: str
    name: str | None
    response_status: Literal["accepted", "declined", "tentative", "needsAction"]
    organizer: bool | UnsetType = UNSET
    self: bool | UnsetType = UNSET


class EventDetails(Strict):
    event_id: Uuid
    series_id: Uuid
    event_type: Kind
    title: str
    description: str | None
    location: str | None
    start_time: Moment
    end_time: Moment
    timezone: str | None
    is_all_day: bool
    status: EventStatus
    organizer_email: str | None
    organizer_name: str | None
    attendees: list[Attendee] | None
    meeting_url: str | None
    meeting_platform: MeetingPlatform | None
    calendar_id: Uuid
    calendar_platform: Platform
    bot_scheduled: bool
    raw_payload: dict[str, Any] | None
    created_at: Moment
    updated_at: Moment


class EventRef(Strict):
    event_id: Uuid


class EventFault(Strict):
    event_id: Uuid
    code: str
    message: str
    details: str | None


class _Success(Strict):
    success: bool

    def __post_init__(self) -> None:
        if self.success is not True:
            raise ValueError("success is not true")


class OfMessage(_Success):
    data: Message


class OfCreated(_Success):
    data: Created


class OfUpdated(_Success):
    data: Updated


class OfDetails(_Success):
    data: CalendarDetails


class OfResubscribed(_Success):
    data: Resubscribed


class OfEvent(_Success):
    data: EventDetails


class OfRawCalendars(_Success):
    data: list[RawCalendar]


class _List(_Success):
    cursor: str | None
    prev_cursor: str | None


class OfCalendars(_List):
    data: list[CalendarItem]


class OfEvents(_List):
    data: list[EventItem]


class OfSeries(_List):
    data: list[Series]


class OfBatch(_Success):
    data: list[EventRef]
    errors: list[EventFault]


class Refusal(Strict):
    """An error of v2. The document's 400 has no `details`; they are there all the same, as in every other error."""

    success: bool
    error: str
    code: str
    status_code: Annotated[int, Meta(ge=400, lt=600)] = msgspec.field(name="statusCode")
    message: str
    details: str | None
    retry_after: int | UnsetType = msgspec.field(default=UNSET, name="retryAfter")

    def __post_init__(self) -> None:
        if self.success is not False or not re.fullmatch(r"FST_ERR_[A-Z_]+", self.code):
            raise ValueError("not an error of v2")


SUCCESSES: Final[dict[tuple[str, str], tuple[int, Any]]] = {
    ("POST", "/calendars/raw"): (200, ListRawV1),
    ("GET", "/calendars/raw"): (200, ListRawV1),
    ("GET", "/raw_calendars"): (200, ListRawV1),
    ("POST", "/calendars"): (200, CreateCalendarV1),
    ("GET", "/calendars"): (200, list[CalendarV1]),
    ("GET", "/calendars/{id}"): (200, CalendarV1),
    ("PATCH", "/calendars/{id}"): (200, CreateCalendarV1),
    ("DELETE", "/calendars/{id}"): (200, None),
    ("POST", "/calendars/resync_all"): (200, ResyncAllV1),
    ("GET", "/calendars/{id}/events"): (200, ListEventsV1),
    ("GET", "/calendars/{id}/events/{id}"): (200, EventV1),
    ("POST", "/calendars/{id}/events/{id}/record"): (200, list[EventV1]),
    ("PATCH", "/calendars/{id}/events/{id}/record"): (200, list[EventV1]),
    ("DELETE", "/calendars/{id}/events/{id}/record"): (200, list[EventV1]),
    ("GET", "/calendar_events"): (200, ListEventsV1),
    ("GET", "/calendar_events/{id}"): (200, EventV1),
    ("POST", "/calendar_events/{id}/bot"): (200, list[EventV1]),
    ("PATCH", "/calendar_events/{id}/bot"): (200, list[EventV1]),
    ("DELETE", "/calendar_events/{id}/bot"): (200, list[EventV1]),
    ("GET", "/bots/webhooks/calendar"): (200, Any),
    ("POST", "/v2/calendars/list-raw"): (200, OfRawCalendars),
    ("POST", "/v2/calendars"): (201, OfCreated),
    ("GET", "/v2/calendars"): (200, OfCalendars),
    ("GET", "/v2/calendars/{id}"): (200, OfDetails),
    ("PATCH", "/v2/calendars/{id}"): (200, OfUpdated),
    ("DELETE", "/v2/calendars/{id}"): (200, OfMessage),
    ("POST", "/v2/calendars/{id}/sync"): (200, OfMessage),
    ("POST", "/v2/calendars/{id}/resubscribe"): (200, OfResubscribed),
    ("GET", "/v2/calendars/{id}/events"): (200, OfEvents),
    ("GET", "/v2/calendars/{id}/series"): (200, OfSeries),
    ("GET", "/v2/calendars/{id}/events/{id}"): (200, OfEvent),
    ("POST", "/v2/calendars/{id}/bots"): (201, OfBatch),
    ("PATCH", "/v2/calendars/{id}/bots"): (200, OfBatch),
    ("DELETE", "/v2/calendars/{id}/bots"): (200, OfBatch),
}
"""By method and path below `/meeting-baas`, the aliases too: the status of success, and what is then answered."""

_IDS: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def judge(method: str, path: str, status: int, body: bytes) -> Any:
    """The answer of a route under `/meeting-baas`, which must be what is published for it: the decoded value.

    Raises AssertionError, or msgspec.ValidationError with the place that is wrong.
    """
    plain = _IDS.sub("{id}", path.removeprefix("/meeting-baas").partition("?")[0]).rstrip("/")
    if status >= 400:
        kind: Any = Refusal if f"{plain}/".startswith("/v2/") else RefusalV1
        refusal = msgspec.json.decode(body, type=kind)
        assert refusal.status_code == status
        return refusal
    expected, shape = SUCCESSES[method, plain]
    assert status == expected, (method, plain, status)
    if shape is None:
        assert body == b""
        return None
    return msgspec.json.decode(body, type=shape)
