"""What a connection of each provider holds: its secret, the id of its calendar, and where a first sync has left it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

import httpx
import icalendar_answers
import msgspec
from bare_google import GoogleFloor
from bare_graph import GraphFloor
from bare_icalendar import CaldavFloor, IcsFloor
from provider import Provider

from service.core.credentials import CaldavCredentials
from service.providers.caldav import rounds
from service.providers.ics.address import fingerprint
from service.providers.ics.fetching import Validators
from service.providers.ics.state import State, write_state
from service.providers.ics.text import body_print, read_feed
from service.providers.microsoft import delta

PROVIDERS: Final = ("google", "microsoft", "caldav", "ics")
NAMES: Final = {"google": "Google", "microsoft": "Microsoft", "caldav": "CalDAV", "ics": "ICS"}
Floor = GoogleFloor | GraphFloor | CaldavFloor | IcsFloor


class Kind(NamedTuple):
    """A provider, and of a connection (by its id) the secret and the token after a first sync."""

    provider: str
    raw_calendar_id: Callable[[UUID], str]
    secret: Callable[[UUID], str]
    token: Callable[[UUID, datetime], str]


def _bearer(_: UUID) -> str:
    return f"ya29.{'x' * 200}"


GOOGLE: Final = Kind("google", lambda mine: f"{mine}@example.com", _bearer, lambda *_: "token-0")


def kind_of(provider: str, server: Provider) -> Kind:
    """The accounts of a provider whose server is the prepared one."""
    if provider == "microsoft":
        link = f"{server.graph_url}/me/calendars/work/calendarView/delta?$deltatoken=token-0"
        return Kind(
            provider,
            str,
            _bearer,
            lambda _, now: delta.Token(link, now - timedelta(days=1), now + timedelta(days=37)).after(link),
        )
    if provider == "caldav":
        login = CaldavCredentials(server_url=f"{server.url}/dav/", username="owner", password="secret").secret
        return Kind(
            provider,
            lambda mine: f"{server.url}/dav/{mine}/",
            lambda _: login,
            lambda _, now: msgspec.json.encode(rounds.Token("sync", "token-0", now)).decode(),
        )
    if provider == "ics":
        return _feeds(server)
    return GOOGLE


def _feeds(server: Provider) -> Kind:
    def address(mine: UUID) -> str:
        return f"{server.url}/feed/{mine}.ics"

    body = icalendar_answers.feed(0, datetime.now(UTC))
    prints = read_feed(body).prints

    def token(mine: UUID, now: datetime) -> str:
        state = State(
            validators=Validators(fingerprint(httpx.URL(address(mine))), '"1"'),
            body=body_print(body),
            prints=prints,
            expand_at=int(now.timestamp()) + 86_400,
            rest=300,
        )
        return write_state(state)

    return Kind("ics", lambda _: "feed", address, token)


def floor_of(provider: str, server: Provider) -> Floor:
    """What asks the prepared server barely."""
    floors: dict[str, type[Floor]] = {
        "google": GoogleFloor,
        "microsoft": GraphFloor,
        "caldav": CaldavFloor,
        "ics": IcsFloor,
    }
    return floors[provider](server)
