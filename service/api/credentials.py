"""What users send to connect a calendar: the credentials of each provider, and the settings beside them.

The bodies of POST are one union for all providers, told apart by `provider`. PATCH knows its calendar, so there the
fields alone say what is given, and `renewed_credentials` says which of them do not belong.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from service.api.bodies import Body
from service.api.link_choices import LinkPreference, MeetingHosts, check_hosts
from service.api.problems import invalid, invalid_fields
from service.core.credentials import (
    KINDS,
    Address,
    CaldavCredentials,
    Credentials,
    GoogleCredentials,
    IcsCredentials,
    Identifier,
    MicrosoftCredentials,
    Secret,
    Tenant,
)
from service.errors import FieldProblem
from service.flows.connect import NewSecret

LARGEST_METADATA: Final = 4096
SPELLINGS: Final = {"outlook": "microsoft"}
"""Names of providers that others use, and ours for them."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Horizon = Annotated[int, Meta(ge=1, le=365)]
Metadata = dict[Annotated[str, Meta(min_length=1, max_length=255)], Any]


class LookGoogle(GoogleCredentials, frozen=True, kw_only=True, tag="google", forbid_unknown_fields=True):
    """A Google account, to list its calendars."""


class LookMicrosoft(MicrosoftCredentials, frozen=True, kw_only=True, tag="microsoft", forbid_unknown_fields=True):
    """A Microsoft account, to list its calendars. `outlook` is understood as well."""


class LookCaldav(CaldavCredentials, frozen=True, kw_only=True, tag="caldav", forbid_unknown_fields=True):
    """An account of a CalDAV server, to list its calendars."""


class LookIcs(IcsCredentials, frozen=True, kw_only=True, tag="ics", forbid_unknown_fields=True):
    """A feed, which is one calendar."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a calendar while it is connected; each default is the project's, or the installation's."""

    raw_calendar_id: Annotated[str, Meta(min_length=1, max_length=1024)] | None = None
    name: Name | None = None
    metadata: Metadata | None = None
    horizon_days: Horizon | None = None
    link_preference: LinkPreference | None = None
    meeting_hosts: MeetingHosts | None = None

    def __post_init__(self) -> None:
        _check_metadata(self.metadata)
        check_hosts(self.meeting_hosts)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(raw_calendar_id={self.raw_calendar_id!r}, name={self.name!r})"


# msgspec cannot make one class of two with fields: these have the wish, and the fields of the credentials anew.
class ConnectGoogle(Wish, frozen=True, kw_only=True, tag_field="provider", tag="google"):
    """A Google calendar to connect; without `raw_calendar_id` the account's primary one."""

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret


class ConnectMicrosoft(Wish, frozen=True, kw_only=True, tag_field="provider", tag="microsoft"):
    """A Microsoft calendar to connect; without `raw_calendar_id` the account's default one. `outlook` is understood as well.

    `tenant_id` is `common`, `organizations`, `consumers`, or the directory of a single-tenant app.
    """

    client_id: Identifier
    client_secret: Secret
    refresh_token: Secret
    tenant_id: Tenant = "common"


class ConnectCaldav(Wish, frozen=True, kw_only=True, tag_field="provider", tag="caldav"):
    """A calendar of a CalDAV server to connect; without `raw_calendar_id` the account's default, or first, one.

    The password is best one that was made for this app alone; Apple and Fastmail take no other.
    """

    server_url: Address
    username: Identifier
    password: Secret


class ConnectIcs(Wish, frozen=True, kw_only=True, tag_field="provider", tag="ics"):
    """A feed in iCal format to connect; its address is kept as a secret and never shown again."""

    url: Address


class CalendarChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials or settings of a calendar to change; what is not there stays.

    Credentials are those of `POST /calendars` for the calendar's provider, all of them, or a lone `refresh_token` (for the
    OAuth client that the calendar has), `password` (for its server and username) or `url` (the feed's new address);
    `provider` may be left out, and cannot change. `null` brings a setting back to its default, which for
    `link_preference` and `meeting_hosts` is what the project decides.
    """

    provider: Literal["google", "microsoft", "caldav", "ics"] | UnsetType = UNSET
    client_id: Identifier | UnsetType = UNSET
    client_secret: Secret | UnsetType = UNSET
    refresh_token: Secret | UnsetType = UNSET
    tenant_id: Tenant | UnsetType = UNSET
    server_url: Address | UnsetType = UNSET
    username: Identifier | UnsetType = UNSET
    password: Secret | UnsetType = UNSET
    url: Address | UnsetType = UNSET
    name: Name | UnsetType | None = UNSET
    metadata: Metadata | UnsetType | None = UNSET
    horizon_days: Horizon | UnsetType | None = UNSET
    link_preference: LinkPreference | UnsetType | None = UNSET
    meeting_hosts: MeetingHosts | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        _check_metadata(self.metadata)
        check_hosts(self.meeting_hosts)

    @property
    def given(self) -> dict[str, str]:
        """The fields of credentials that are there."""
        return {name: value for name in _SECRETS_AND_NAMES if (value := getattr(self, name)) is not UNSET}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, horizon_days={self.horizon_days!r})"


_SECRETS_AND_NAMES: Final = tuple(dict.fromkeys(name for kind in KINDS.values() for name in kind.__struct_fields__))

Look = LookGoogle | LookMicrosoft | LookCaldav | LookIcs
Connect = ConnectGoogle | ConnectMicrosoft | ConnectCaldav | ConnectIcs

_LOOKS: Final[dict[str, dict[str, Any]]] = {
    "google": {
        "provider": "google",
        "client_id": "123456789012-abc.apps.googleusercontent.com",
        "client_secret": "the OAuth client's secret",
        "refresh_token": "the user's refresh token",
    },
    "microsoft": {
        "provider": "microsoft",
        "client_id": "6731de76-14a6-49ae-97bc-6eba6914391e",
        "client_secret": "the value of the app registration's secret",
        "tenant_id": "common",
        "refresh_token": "the user's refresh token",
    },
    "caldav": {
        "provider": "caldav",
        "server_url": "https://caldav.icloud.com",
        "username": "ana@example.com",
        "password": "an app-specific password",
    },
    "ics": {"provider": "ics", "url": "https://calendars.example.com/feeds/ana.ics?key=secret"},
}
_ADDED: Final = {"name": "Ana's calendar", "metadata": {"user": "42"}}

LOOK: Final = Body[Look](Look, examples=_LOOKS, spellings=SPELLINGS)
CONNECT: Final = Body[Connect](
    Connect, examples={name: look | _ADDED for name, look in _LOOKS.items()}, spellings=SPELLINGS
)
CHANGE: Final = Body[CalendarChange](
    CalendarChange,
    examples={
        "settings": {"name": "Ana's calendar", "horizon_days": 60},
        "refresh_token": {"refresh_token": "the user's new refresh token"},
        "password": {"password": "a new app-specific password"},
        "url": {"url": "https://calendars.example.com/feeds/ana.ics?key=new"},
    },
    spellings=SPELLINGS,
)


def stated_credentials(body: Look | Connect) -> Credentials:
    """The credentials in a body, without what stands beside them."""
    kind = KINDS[str(body.__struct_config__.tag)]
    return kind(**{name: getattr(body, name) for name in kind.__struct_fields__})


def renewed_credentials(change: CalendarChange, provider: str) -> Credentials | NewSecret | None:
    """What a change gives to a calendar of this provider: all its credentials, their secret alone, or none.

    Raises GatewayError 422, naming each field that another provider has, or that is missing.
    """
    if change.provider is not UNSET and change.provider != provider:
        raise invalid("provider", f"the calendar is of provider {provider}")
    kind, given = KINDS[provider], change.given
    if foreign := [name for name in given if name not in kind.__struct_fields__]:
        raise invalid_fields(FieldProblem(name, f"is not a field of provider {provider}") for name in foreign)
    if not given:
        return None
    if list(given) == [kind.renewable]:
        return NewSecret(given[kind.renewable])
    required = (field.name for field in msgspec.structs.fields(kind) if field.required)
    if missing := [name for name in required if name not in given]:
        raise invalid_fields(FieldProblem(name, f"is required with {_listed(list(given))}") for name in missing)
    return kind(**given)


def spelled(provider: str | None) -> str | None:
    """A provider's name as we have it."""
    return SPELLINGS.get(provider, provider) if provider is not None else None


def _listed(names: Sequence[str]) -> str:
    return " and ".join(names)


def _check_metadata(metadata: Metadata | UnsetType | None) -> None:
    if metadata and len(msgspec.json.encode(metadata)) > LARGEST_METADATA:
        raise ValueError(f"`metadata` is larger than {LARGEST_METADATA} bytes of JSON")
