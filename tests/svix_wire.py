"""Svix's API as its server publishes it (openapi.json of svix-server 1.100), restated: paths, statuses, fields and bounds.

What the fake is asked and what it answers is held to this. Fields that only the hosted service has say so.
"""

from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[a-zA-Z0-9\-_.]+$")]
Channel = Annotated[str, Meta(max_length=128, pattern=r"^[a-zA-Z0-9\-_.]+$")]
Url = Annotated[str, Meta(min_length=1, max_length=65536, pattern=r"^https?://")]
Rate = Annotated[int, Meta(ge=1, le=65535)]
Secret = Annotated[str, Meta(pattern=r"^(whsec_)?[a-zA-Z0-9+/=]{32,100}$")]
Metadata = dict[str, str]
Types = Annotated[list[Name], Meta(min_length=1)]
Status = Annotated[int, Meta(ge=0, le=3)]


class Asked(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """What a client sends; a field that is not there is another thing than null."""


class Answered(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What the server sends."""


class ApplicationIn(Asked):
    name: Annotated[str, Meta(min_length=1)]
    uid: Name | None = None
    metadata: Metadata = {}
    throttle_rate: Rate | None = None


class ApplicationOut(Answered):
    id: str
    name: str
    metadata: Metadata
    created_at: datetime
    updated_at: datetime
    uid: Name | None = None


class MessageIn(Asked):
    event_type: Name
    payload: dict[str, Any]
    event_id: Name | None = None
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=5)] | None = None
    application: ApplicationIn | None = None
    payload_retention_period: Annotated[int, Meta(ge=5, le=90)] = 90


class MessageOut(Answered):
    id: str
    event_type: str
    payload: dict[str, Any]
    timestamp: datetime
    event_id: str | None = None
    channels: list[Channel] | None = None


class EndpointIn(Asked):
    url: Url
    description: str = ""
    uid: Name | None = None
    disabled: bool = False
    event_types: Types | None = None
    channels: Annotated[list[Channel], Meta(min_length=1, max_length=10)] | None = None
    throttle_rate: Rate | None = None
    secret: Secret | None = None
    metadata: Metadata = {}


class EndpointPatch(Asked):
    url: Url | UnsetType = UNSET
    description: str | UnsetType = UNSET
    uid: Name | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET
    event_types: Types | UnsetType | None = UNSET
    channels: Annotated[list[Channel], Meta(max_length=10)] | UnsetType | None = UNSET
    throttle_rate: Annotated[int, Meta(ge=0, le=65535)] | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class _Endpoint(Answered):
    id: str
    url: str
    description: str
    created_at: datetime
    updated_at: datetime
    uid: str | None = None
    disabled: bool = False
    event_types: list[str] | None = None
    channels: list[str] | None = None
    throttle_rate: int | None = None


class EndpointOut(_Endpoint, kw_only=True):
    metadata: Metadata


class MessageEndpointOut(_Endpoint, kw_only=True):
    status: Status
    status_text: str
    next_attempt: datetime | None = None


class EndpointMessageOut(MessageOut, kw_only=True):
    status: Status
    status_text: str
    next_attempt: datetime | None = None


class EndpointSecretOut(Answered):
    key: Secret


class EndpointSecretRotateIn(Asked):
    key: Secret | None = None
    grace_period_seconds: Annotated[int, Meta(ge=0, le=604800)] | None = 86400


class EndpointStats(Answered):
    success: int
    pending: int
    sending: int
    fail: int
    canceled: int


class EventExampleIn(Asked):
    event_type: Name


class RecoverIn(Asked):
    since: datetime
    until: datetime | None = None


class RecoverOut(Answered):
    id: str
    status: str
    task: str
    updated_at: datetime


class MessageAttemptOut(Answered):
    id: str
    msg_id: str
    endpoint_id: str
    url: str
    response: str
    response_status_code: int
    response_duration_ms: int
    status: Status
    status_text: str
    trigger_type: Annotated[int, Meta(ge=0, le=1)]
    timestamp: datetime


class EventTypeUpdate(Asked):
    description: str
    archived: bool = False
    deprecated: bool = False
    schemas: dict[str, dict[str, Any]] | None = None


class EventTypeOut(Answered):
    name: str
    description: str
    deprecated: bool
    archived: bool
    created_at: datetime
    updated_at: datetime
    schemas: dict[str, Any] | None = None


class AppPortalAccessIn(Asked):
    application: ApplicationIn | None = None
    expiry: Annotated[int, Meta(ge=3600, le=604800)] | None = None  # of the hosted service alone


class AppPortalAccessOut(Answered):
    url: str
    token: str


class Listed(Answered):
    data: list[Any]
    done: bool
    iterator: str | None = None
    prev_iterator: str | None = None


class Nothing(Answered):
    """`{}`."""


class Operation(NamedTuple):
    """What one request may say and is answered; `item` is what a list lists."""

    asked: type[Asked] | None
    statuses: tuple[int, ...]
    answered: type[Answered] | None
    item: type[Answered] | None = None
    query: frozenset[str] = frozenset()


# The client sends the last four also to servers of one's own, which do not look at them.
_PAGE = frozenset({"limit", "iterator", "order"})
_HOSTED = frozenset({"tag", "expanded_statuses", "with_msg"})
_ATTEMPTS = _PAGE | _HOSTED | {"status", "channel", "before", "after", "with_content", "event_types", "endpoint_id"}
_APP = "/api/v1/app/{app}"
_ENDPOINT = _APP + "/endpoint/{endpoint}"
_MESSAGE = _APP + "/msg/{msg}"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("POST", "/api/v1/app"): Operation(ApplicationIn, (200, 201), ApplicationOut, query=frozenset({"get_if_exists"})),
    ("GET", _APP + "/endpoint"): Operation(None, (200,), Listed, EndpointOut, _PAGE),
    ("POST", _APP + "/endpoint"): Operation(EndpointIn, (201,), EndpointOut),
    ("GET", _ENDPOINT): Operation(None, (200,), EndpointOut),
    ("PATCH", _ENDPOINT): Operation(EndpointPatch, (200,), EndpointOut),
    ("DELETE", _ENDPOINT): Operation(None, (204,), None),
    ("GET", _ENDPOINT + "/secret"): Operation(None, (200,), EndpointSecretOut),
    ("POST", _ENDPOINT + "/secret/rotate"): Operation(EndpointSecretRotateIn, (204,), None),
    ("GET", _ENDPOINT + "/stats"): Operation(None, (200,), EndpointStats, query=frozenset({"since", "until"})),
    ("POST", _ENDPOINT + "/send-example"): Operation(EventExampleIn, (200,), MessageOut),
    ("POST", _ENDPOINT + "/recover"): Operation(RecoverIn, (202,), RecoverOut),
    ("GET", _ENDPOINT + "/msg"): Operation(None, (200,), Listed, EndpointMessageOut, _ATTEMPTS),
    ("POST", _APP + "/msg"): Operation(MessageIn, (202,), MessageOut, query=frozenset({"with_content"})),
    ("GET", _MESSAGE): Operation(None, (200,), MessageOut, query=frozenset({"with_content"})),
    ("GET", _MESSAGE + "/endpoint"): Operation(None, (200,), Listed, MessageEndpointOut, _PAGE),
    ("GET", _APP + "/attempt/msg/{msg}"): Operation(None, (200,), Listed, MessageAttemptOut, _ATTEMPTS),
    ("POST", _MESSAGE + "/endpoint/{endpoint}/resend"): Operation(None, (202,), Nothing),
    ("POST", "/api/v1/auth/app-portal-access/{app}"): Operation(AppPortalAccessIn, (200,), AppPortalAccessOut),
    ("GET", "/api/v1/event-type"): Operation(
        None, (200,), Listed, EventTypeOut, _PAGE | {"include_archived", "with_content"}
    ),
    ("PUT", "/api/v1/event-type/{name}"): Operation(EventTypeUpdate, (200, 201), EventTypeOut),
}
