"""Who acts at the provider in the demo: two people with calendars, and a host who invites them, moves the meeting and cancels it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

PARTIES: Final = {
    "google": "a simulated Google",
    "microsoft": "a simulated Microsoft",
    "caldav": "a CalDAV server",
    "ics": "a publisher of feeds",
}
"""By provider; Radicale is the last two."""

TITLE: Final = "Customer kick-off"
LINK: Final = "https://zoom.us/j/81234567890"
WRITTEN: Final = (
    f"Join Zoom: https://eur02.safelinks.protection.outlook.com/?url={quote(LINK, safe='')}&data=05%7C02&reserved=0",
    "Passcode: 482913",
)
"""What a mail filter leaves of an invitation."""

AHEAD: Final = timedelta(minutes=45)
LENGTH: Final = timedelta(minutes=30)
"""When the meeting starts at first, and how long it takes."""

SURPRISE: Final = "Surprise"


class Person(NamedTuple):
    """Whose calendar is connected, and what `POST /calendars` takes for it besides the provider."""

    email: str
    credentials: Mapping[str, str]


@dataclass(kw_only=True)
class Cast(ABC):
    """Everything that differs between providers; the first of the people accepts the invitation, the second is a guest.

    `label` and `kind` say what listens at `url`; `settings` are the gateway's. `hears` is how it learns of a change:
    it is told (`push`), looks again (`poll`), or looks when it is asked to (`resync`); `how` says so to the audience.
    """

    provider: str
    label: str
    kind: str
    url: str
    settings: Mapping[str, str]
    people: tuple[Person, Person]
    host: str
    given: str
    """What a calendar is connected with, in words."""

    hears: Literal["push", "poll", "resync"]
    how: str

    @abstractmethod
    async def add(self) -> None:
        """The host invites both, to a meeting in AHEAD whose only link is in WRITTEN."""

    @abstractmethod
    async def move(self, starts_at: datetime) -> None:
        """The host moves it."""

    @abstractmethod
    async def cancel(self) -> None:
        """The host cancels it, which both calendars see."""

    @abstractmethod
    def invitation(self) -> list[str]:
        """Shell lines that put a meeting called SURPRISE into the first calendar, and show what else can be done."""
