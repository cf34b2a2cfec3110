"""The demo's story of one meeting: found behind a wrapped link, shared, moved, announced and cancelled."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from service.commands.listening import on_signal, until_signal
from service.commands.session import DONE, CommandFailed
from service.demo.cast import LINK, PARTIES, TITLE, WRITTEN, Person
from service.demo.integrator import Integrator
from service.demo.invitation import invite
from service.demo.receiver import Received
from service.demo.screen import Screen, shown
from service.demo.stage import Stage, staged

LONGEST: Final = 28.0
WITHIN: Final = "2d"
"""The simulated week has a meeting on each day, in office hours: two days show one also on an evening."""

SOON: Final = "2h"

LEAD_SECONDS: Final = 60
STARTS_IN: Final = timedelta(seconds=LEAD_SECONDS + 5)
"""Long enough for both calendars to be read before the announcement is due."""


async def tell(provider: str, *, keep: bool) -> int:
    """Tell it from beginning to end. Raises CommandFailed when something that had to happen did not."""
    began = time.monotonic()
    screen = Screen()
    me = asyncio.current_task()
    with on_signal(me.cancel if me else str):
        try:
            async with asyncio.timeout(LONGEST) as limit, AsyncExitStack() as stack:
                screen.step(f"Start a gateway, {PARTIES[provider]} and a webhook receiver on this machine")
                with screen.waiting("starting"):
                    stage = await stack.enter_async_context(staged(provider))
                integrator = await stack.enter_async_context(Integrator(stage, screen))
                story = Story(stage, screen, integrator)
                await story.tell()
                screen.end(
                    f"All of it in {time.monotonic() - began:.0f} seconds: {story.webhooks_shown} webhooks, "
                    "and every signature was right."
                )
                if keep:
                    limit.reschedule(None)
                    story.invite()
                    await until_signal()
        except TimeoutError:
            raise CommandFailed(f"the demo did not end within {LONGEST:.0f} seconds") from None
    return DONE


class Story:
    """The steps, as an integrator would take them: with HTTP requests and a receiver, and nothing else."""

    def __init__(self, stage: Stage, screen: Screen, integrator: Integrator) -> None:
        self._stage = stage
        self._screen = screen
        self._ask = integrator.ask
        self._webhook = integrator.webhook
        self._until_pushed = integrator.until_pushed
        self._cast = stage.cast
        self._ada, self._grace = (person.email for person in stage.cast.people)
        self._calendars: dict[str, str] = {}
        """Whose calendar each is that is connected, by its id."""
        self.webhooks_shown = 0

    async def tell(self) -> None:
        """Everything, in order."""
        stage, screen, cast = self._stage, self._screen, self._cast
        screen.say(f"gateway   {stage.gateway_url}  (SQLite, in a temporary folder)")
        screen.say(f"{cast.label:<9} {cast.url}  ({cast.kind}, with the calendars of {self._ada} and {self._grace})")
        screen.say(f"receiver  {stage.receiver.url}  (believes only what the standardwebhooks library verifies)")
        await self._subscribe()
        screen.step(f"Connect {self._ada}'s calendar {cast.given}")
        await self._connect(cast.people[0])
        await self._show_meetings(WITHIN)
        await self._invite_both()
        await self._connect_the_guest()
        await self._move_and_announce()
        await self._cancel()

    def invite(self) -> None:
        """Say what to try while everything keeps running."""
        calendar_id = next(iter(self._calendars))
        created = (news.data for news in self._stage.receiver.verified if news.type == "event.created")
        event_id = next(data["event"]["id"] for data in created if _is_ours(data))
        invite(self._screen, self._stage, calendar_id=calendar_id, event_id=event_id)

    async def _subscribe(self) -> None:
        self._screen.step("Ask for webhooks")
        families = ["calendar.*", "event.*", "meeting.*"]
        endpoint = await self._ask(
            "POST", "/webhooks/endpoints", {"url": self._stage.receiver.url, "event_types": families}
        )
        self._stage.receiver.secret = endpoint["secret"]
        self._screen.done(f"POST /webhooks/endpoints: {', '.join(families)}, signed with a secret of their own")
        await self._ask("PATCH", "/project", {"starting_lead_seconds": [LEAD_SECONDS]})
        self._screen.done(f"PATCH /project: announce each meeting {LEAD_SECONDS} seconds before it starts")

    async def _connect(self, person: Person) -> None:
        began = asyncio.get_running_loop().time()
        calendar = await self._ask("POST", "/calendars", {"provider": self._cast.provider, **person.credentials})
        calendar_id = calendar["id"]
        self._calendars[calendar_id] = person.email
        self._screen.done(f"POST /calendars: {calendar['calendar_name']}, status {calendar['status']}")

        def is_its(data: dict[str, Any]) -> bool:
            return bool(data["calendar_id"] == calendar_id)

        await self._webhook("calendar.created", is_its)
        await self._webhook("calendar.active", is_its)
        await self._webhook("calendar.sync_events", lambda data: is_its(data) and data["initial"])
        self._show_webhooks(began)
        if self._cast.hears == "push":
            await self._until_pushed(calendar_id)
        self._screen.done(self._cast.how)

    async def _invite_both(self) -> None:
        screen = self._screen
        screen.step(f"{self._cast.host} invites {self._ada} and {self._grace}: {TITLE}")
        screen.say("The only link is in the description, and Outlook's mail filter has wrapped it:")
        for line in WRITTEN:
            screen.say(f"  {line}")
        await self._see("event.created", self._cast.add())
        meeting = await self._show_ours()
        if meeting["meeting_url"] != LINK:
            raise CommandFailed(f"the wrapped link was read as {meeting['meeting_url']!r}")
        read = ", ".join(f"{name} {meeting[name]}" for name in ("meeting_url", "platform", "meeting_id", "passcode"))
        screen.done(f"unwrapped, and nothing fetched for it: {read}")

    async def _connect_the_guest(self) -> None:
        self._screen.step(f"Connect {self._grace}'s calendar too, where the same meeting is")
        await self._connect(self._cast.people[1])
        meeting = await self._show_ours()
        if len(meeting["copies"]) != len(self._calendars):
            raise CommandFailed(f"GET /meetings knows {len(meeting['copies'])} copies of {TITLE!r}")
        self._screen.done("one meeting is one row with one meeting_key, and gets one bot:")
        self._screen.copies(meeting, self._calendars)

    async def _move_and_announce(self) -> None:
        screen = self._screen
        screen.step(f"It is moved up, to start in {STARTS_IN.seconds} seconds")
        starts_at = (datetime.now(UTC) + STARTS_IN).replace(microsecond=0)
        began = asyncio.get_running_loop().time()
        await self._see("event.updated", self._cast.move(starts_at))
        await self._show_ours()
        screen.step(f"{LEAD_SECONDS} seconds before it starts, the gateway says so")
        news = await self._webhook("meeting.starting", _is_ours)
        self._show_webhooks(began)
        left = (starts_at - datetime.now(UTC)).total_seconds() + asyncio.get_running_loop().time() - news.arrived
        screen.done(
            f"{left:.1f} seconds before the start, and once, although it is on {len(self._calendars)} calendars"
        )

    async def _cancel(self) -> None:
        self._screen.step("It is cancelled")
        await self._see("event.cancelled", self._cast.cancel())
        if await self._show_meetings(SOON) is not None:
            raise CommandFailed(f"GET /meetings still has {TITLE!r}")
        announced = [news for news in self._stage.receiver.verified if news.type == "meeting.starting"]
        if (times := sum(_is_ours(news.data) for news in announced)) != 1:
            raise CommandFailed(f"the start of {TITLE!r} was announced {times} times")

    async def _see(self, event_type: str, change: Coroutine[Any, Any, None]) -> None:
        """Change something at the provider; show the webhooks that come of it, for each calendar that is connected."""
        began = asyncio.get_running_loop().time()
        await change
        if self._cast.hears == "resync":
            for calendar_id, email in self._calendars.items():
                await self._ask("POST", f"/calendars/{calendar_id}/resync")
                self._screen.done(f"POST /calendars/{calendar_id}/resync: {email}'s calendar is due at once")
        for calendar_id in self._calendars:
            await self._reached(event_type, calendar_id)
        self._show_webhooks(began)

    async def _reached(self, event_type: str, calendar_id: str) -> None:
        """Wait for a change of one calendar's copy of the meeting, and for the notice of the sync that found it."""

        def is_its(data: dict[str, Any]) -> bool:
            return bool(data["calendar_id"] == calendar_id)

        news = await self._webhook(event_type, lambda data: is_its(data) and _is_ours(data))
        seq = news.data["seq"]
        await self._webhook(
            "calendar.sync_events", lambda data: is_its(data) and data["first_seq"] <= seq <= data["last_seq"]
        )

    def _show_webhooks(self, began: float) -> None:
        """Show every webhook that came since the last time."""
        for news in self._stage.receiver.verified[self.webhooks_shown :]:
            self.webhooks_shown += 1
            self._screen.webhook(news.type, in_words(news, self._calendars), max(0.0, news.arrived - began))
            if news.type.startswith("event."):
                self._screen.changes(news.data["fields"])

    async def _show_ours(self) -> dict[str, Any]:
        """Show the meetings that are coming soon; the row of the story's."""
        meeting = await self._show_meetings(SOON)
        if meeting is None:
            raise CommandFailed(f"GET /meetings misses {TITLE!r}")
        return meeting

    async def _show_meetings(self, within: str) -> dict[str, Any] | None:
        """Show what a bot scheduler now gets; the row of the story's meeting, where there is one."""
        path = f"/meetings?within={within}"
        rows: list[dict[str, Any]] = (await self._ask("GET", path))["data"]
        self._screen.meetings(f"GET {path}", rows, TITLE)
        return next((row for row in rows if row["title"] == TITLE), None)


def _is_ours(data: dict[str, Any]) -> bool:
    # Exchange writes "Canceled:" before the title of a meeting that is.
    return TITLE in (data["event"]["title"] or "")


def in_words(news: Received, calendars: Mapping[str, str]) -> str:
    """What a webhook says, on one line; `calendars` says whose each is, by its id."""
    data = news.data
    if news.type == "meeting.starting":
        return f"{data['event']['title']} starts {shown(data['starts_at'])}, {data['meeting_url']}"
    whose = calendars.get(data["calendar_id"], "")
    if news.type.startswith("event."):
        return f"{data['event']['title']}, {whose} (a bot should: {data['action']})"
    if news.type == "calendar.sync_events":
        counts = ", ".join(f"{count} {kind}" for kind, count in data["counts"].items() if count)
        return f"{whose}, {counts}{', in one webhook' if data['initial'] else ''}"
    previous = data["previous_status"]
    return f"{whose}, {previous} -> {data['status']}" if previous else f"{whose}, status {data['status']}"
