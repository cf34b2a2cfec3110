"""The fake providers as the stage needs them: how one is connected, what it pushes, and what a perfect consumer has of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import httpx
from discovery import JudgedTransport

from service.core.credentials import Credentials, GoogleCredentials, MicrosoftCredentials
from service.core.event import EventView
from service.core.schedule import Window
from simulator.google.world import World
from simulator.microsoft.world import MicrosoftWorld
from simulator.wire import WorldTransport

Seen = tuple[Any, ...]
"""The part of an event that must be in the store: start, end, title, link, attendees and their answers."""

GOOGLE, MICROSOFT = "http://google.test", "http://microsoft.test"
RESPONSES = {"tentativelyAccepted": "tentative", "none": "needsAction", "notResponded": "needsAction"}


class Cast(Protocol):
    """A world, its provider's name, and the words that are its own."""

    name: str
    tenant: str
    world: Any

    @property
    def urls(self) -> Mapping[str, str]: ...

    def transport(self) -> httpx.AsyncBaseTransport: ...
    def credentials(self, given: Mapping[str, str]) -> Credentials: ...
    def rotate(self, email: str, *, rotates: bool) -> None: ...
    def request(self, push: Any) -> tuple[dict[str, str], bytes, UUID | None]: ...
    def truth(self, calendar: str, window: Window) -> list[dict[str, Any]]: ...
    def seen(self, row: Mapping[str, Any]) -> Seen: ...


class GoogleCast:
    """Google, whose every request and answer is judged by its discovery document unless `judged` is False."""

    name = "google"
    tenant = ""

    def __init__(self, world: World, *, judged: bool) -> None:
        self.world = world
        self.judged = judged
        self.urls = {"google_api_url": f"{GOOGLE}/calendar/v3", "google_token_url": f"{GOOGLE}/token"}
        self.judges: list[JudgedTransport] = []

    def transport(self) -> httpx.AsyncBaseTransport:
        if not self.judged:
            return WorldTransport(self.world)
        self.judges.append(JudgedTransport(WorldTransport(self.world)))
        return self.judges[-1]

    def credentials(self, given: Mapping[str, str]) -> GoogleCredentials:
        return GoogleCredentials(**{name: given[name] for name in ("client_id", "client_secret", "refresh_token")})

    def rotate(self, email: str, *, rotates: bool) -> None:
        self.world.set_account(email, rotates_refresh_tokens=rotates)

    def request(self, push: Any) -> tuple[dict[str, str], bytes, UUID | None]:
        """Headers, body and the channel on the path."""
        lower = {name.lower(): value for name, value in push.headers.items()}
        return lower, b"", UUID(lower["x-goog-channel-id"])

    def truth(self, calendar: str, window: Window) -> list[dict[str, Any]]:
        return self.world.read_truth(calendar, window.start.isoformat(), window.end.isoformat())

    def seen(self, row: Mapping[str, Any]) -> Seen:
        entries = row.get("conferenceData", {}).get("entryPoints", [])
        video = next((entry["uri"] for entry in entries if entry["entryPointType"] == "video"), None)
        start, end = (
            each["date"] if "date" in each else datetime.fromisoformat(each["dateTime"])
            for each in (row["start"], row["end"])
        )
        answers = sorted((who["email"], who.get("responseStatus")) for who in row.get("attendees", []))
        return start, end, row.get("summary"), video or row.get("hangoutLink"), answers


class MicrosoftCast:
    """Microsoft; notification URLs are not asked, for nobody listens at them."""

    name = "microsoft"
    tenant = "common"

    def __init__(self, world: MicrosoftWorld) -> None:
        self.world = world
        self.urls = {"microsoft_graph_url": f"{MICROSOFT}/v1.0", "microsoft_login_url": MICROSOFT}
        world.set(validation=False)

    def transport(self) -> httpx.AsyncBaseTransport:
        return WorldTransport(self.world)

    def credentials(self, given: Mapping[str, str]) -> MicrosoftCredentials:
        named = {name: given[name] for name in ("client_id", "client_secret", "refresh_token")}
        return MicrosoftCredentials(**named, tenant_id=given["tenant"])

    def rotate(self, email: str, *, rotates: bool) -> None:
        """A new refresh token comes in any case; with `rotates` the old one is worth nothing from then on."""
        if rotates:
            self.world.set(rotation="strict")

    def request(self, push: Any) -> tuple[dict[str, str], bytes, UUID | None]:
        return dict(push.headers), push.body, None

    def truth(self, calendar: str, window: Window) -> list[dict[str, Any]]:
        """Without what its organizer has cancelled: that stays in the mailbox, and nobody meets."""
        rows = self.world.read_truth(calendar, window.start.isoformat(), window.end.isoformat())
        return [row for row in rows if not row["isCancelled"]]

    def seen(self, row: Mapping[str, Any]) -> Seen:
        if row["isAllDay"]:
            start, end = (row[name]["dateTime"][:10] for name in ("start", "end"))
        else:
            start, end = (datetime.fromisoformat(row[name]["dateTime"][:19] + "Z") for name in ("start", "end"))
        answers = sorted(
            (who["emailAddress"]["address"], RESPONSES.get(answer := who["status"]["response"], answer))
            for who in row["attendees"]
        )
        return start, end, row["subject"], (row["onlineMeeting"] or {}).get("joinUrl"), answers


def cast_of(world: World | MicrosoftWorld, *, judged: bool) -> Cast:
    """The cast of a world."""
    return MicrosoftCast(world) if isinstance(world, MicrosoftWorld) else GoogleCast(world, judged=judged)


def kept(event: EventView) -> Seen:
    """An event of the store in the shape of `Cast.seen`."""
    return (
        str(event.start_date) if event.is_all_day else event.starts_at,
        str(event.end_date) if event.is_all_day else event.ends_at,
        event.title,
        event.meeting.url if event.meeting else None,
        sorted((who.email, who.response_status) for who in event.attendees),
    )
