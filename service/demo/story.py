"""The demo's story: connect a calendar, then add, move and cancel a meeting, and see each reach the integrator."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Self

import httpx

from service.commands.listening import on_signal, until_signal
from service.commands.session import DONE, CommandFailed
from service.demo.receiver import Received
from service.demo.screen import Screen
from service.demo.stage import Stage, staged

LONGEST: Final = 28.0
PATIENCE: Final = 10.0
PAUSE: Final = 0.1
WITHIN: Final = "2d"
"""The simulated week has a meeting on each day, in office hours: two days show one also on an evening."""

TITLE: Final = "Kick-off with a new customer"


async def tell(*, keep: bool) -> int:
    """Tell it from beginning to end. Raises CommandFailed when something that had to happen did not."""
    began = time.monotonic()
    screen = Screen()
    me = asyncio.current_task()
    with on_signal(me.cancel if me else str):
        try:
            async with asyncio.timeout(LONGEST) as limit, AsyncExitStack() as stack:
                screen.step("Start a gateway, a simulated Google and a webhook receiver on this machine")
                with screen.waiting("starting"):
                    stage = await stack.enter_async_context(staged())
                async with Story(stage, screen) as story:
                    await story.tell()
                screen.end(
                    f"All of it in {time.monotonic() - began:.0f} seconds: {story.webhooks_shown} webhooks, "
                    "and every signature was right."
                )
                if keep:
                    limit.reschedule(None)
                    invite(stage, story, screen)
                    await until_signal()
        except TimeoutError:
            raise CommandFailed(f"the demo did not end within {LONGEST:.0f} seconds") from None
    return DONE


class Story:
    """The steps, as an integrator would take them: with HTTP requests and a receiver, and nothing else."""

    def __init__(self, stage: Stage, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._me: dict[str, Any] = stage.world.credentials()[0]
        self.email: str = self._me["email"]
        self.calendar_id = ""
        self.webhooks_shown = 0
        headers = {"authorization": f"Bearer {stage.api_key}"}
        self._http = httpx.AsyncClient(base_url=stage.gateway_url, headers=headers, timeout=PATIENCE, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def tell(self) -> None:
        """Everything, in order."""
        stage, screen = self._stage, self._screen
        screen.say(f"gateway   {stage.gateway_url}  (SQLite, in a temporary folder)")
        screen.say(f"Google    {stage.simulator_url}  (simulated, with {self.email}'s calendar)")
        screen.say(f"receiver  {stage.receiver.url}  (believes only what the standardwebhooks library verifies)")
        await self._subscribe()
        await self._connect()
        await self._add_move_and_cancel()

    async def _subscribe(self) -> None:
        self._screen.step("Ask for webhooks")
        wish = {"url": self._stage.receiver.url, "event_types": ["calendar.*", "event.*"]}
        endpoint = await self._ask("POST", "/webhooks/endpoints", wish)
        self._stage.receiver.secret = endpoint["secret"]
        self._screen.done("POST /webhooks/endpoints: calendar.* and event.*, signed with a secret of their own")

    async def _connect(self) -> None:
        screen = self._screen
        screen.step(f"Connect {self.email}'s calendar with an OAuth client and a refresh token")
        began = asyncio.get_running_loop().time()
        credentials = {name: self._me[name] for name in ("client_id", "client_secret", "refresh_token")}
        calendar = await self._ask("POST", "/calendars", {"provider": "google", **credentials})
        self.calendar_id = calendar["id"]
        screen.done(f"POST /calendars: {calendar['calendar_name']}, status {calendar['status']}")
        await self._webhook("calendar.created", self._is_mine)
        await self._webhook("calendar.active", self._is_mine)
        await self._webhook("calendar.sync_events", lambda data: self._is_mine(data) and data["initial"])
        self._show_webhooks(began)
        with screen.waiting("Google opens a push channel"):
            await self._until_pushed()
        screen.done("Google pushes: the gateway hears of a change at once and need not poll")
        await self._show_meetings("")

    async def _add_move_and_cancel(self) -> None:
        world, email = self._stage.world, self.email
        self._screen.step(f"Somebody puts a meeting into the calendar: {TITLE}")
        event_id = ""

        def add() -> None:
            nonlocal event_id
            event_id = world.add_meeting(email, TITLE, in_minutes=45)["id"]

        await self._see("event.created", add)
        self._screen.step("It is moved by an hour")
        await self._see("event.updated", lambda: world.move_event(email, event_id, by_minutes=60))
        self._screen.step("It is cancelled")
        await self._see("event.cancelled", lambda: world.cancel_event(email, event_id))

    async def _see(self, event_type: str, change: Callable[[], object]) -> None:
        """Change something at Google; show the webhook that comes of it, and what a bot scheduler now gets."""
        began = asyncio.get_running_loop().time()
        change()
        news = await self._webhook(event_type, lambda data: data["event"]["title"] == TITLE)
        seq = news.data["seq"]
        await self._webhook("calendar.sync_events", lambda data: data["first_seq"] <= seq <= data["last_seq"])
        self._show_webhooks(began)
        await self._show_meetings(TITLE, is_there=event_type != "event.cancelled")

    def _show_webhooks(self, began: float) -> None:
        """Show every webhook that came since the last time."""
        for news in self._stage.receiver.verified[self.webhooks_shown :]:
            self.webhooks_shown += 1
            self._screen.webhook(news.type, in_words(news), news.arrived - began)
            if news.type.startswith("event."):
                self._screen.changes(news.data["fields"])

    async def _show_meetings(self, marked: str, *, is_there: bool = False) -> None:
        answer = await self._ask("GET", f"/meetings?within={WITHIN}")
        rows = answer["data"]
        if is_there != any(row["title"] == marked for row in rows):
            raise CommandFailed(f"GET /meetings {'misses' if is_there else 'still has'} {marked!r}")
        self._screen.meetings(f"GET /meetings?within={WITHIN}", rows, marked)

    async def _until_pushed(self) -> None:
        for _ in range(int(PATIENCE / PAUSE)):
            if (await self._ask("GET", f"/calendars/{self.calendar_id}/sync"))["push"]["enabled"]:
                return
            await asyncio.sleep(PAUSE)
        raise CommandFailed(f"the simulated Google was not asked to push within {PATIENCE:.0f} seconds")

    async def _webhook(self, event_type: str, matches: Callable[[dict[str, Any]], bool]) -> Received:
        try:
            with self._screen.waiting(f"waiting for the webhook {event_type}"):
                return await self._stage.receiver.wait_for(event_type, matches, PATIENCE)
        except TimeoutError:
            refused = self._stage.receiver.refused
            hint = f"; {refused} came whose signature was wrong" if refused else ""
            raise CommandFailed(f"the webhook {event_type} did not come within {PATIENCE:.0f} seconds{hint}") from None

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise CommandFailed(f"{method} {path}: {type(error).__name__}") from error
        if response.is_error:
            raise CommandFailed(f"{method} {path} answered {response.status_code}: {response.text[:300]}")
        answer: dict[str, Any] = response.json()
        return answer

    def _is_mine(self, data: dict[str, Any]) -> bool:
        return bool(data["calendar_id"] == self.calendar_id)


def in_words(news: Received) -> str:
    """What a webhook says, on one line."""
    data = news.data
    if news.type.startswith("event."):
        return f"{data['event']['title']} (a bot should: {data['action']})"
    if news.type == "calendar.sync_events":
        counts = ", ".join(f"{count} {kind}" for kind, count in data["counts"].items() if count)
        return f"{counts}, in one webhook" if data["initial"] else counts
    previous = data["previous_status"]
    return f"{previous} -> {data['status']}" if previous else f"status {data['status']}"


def invite(stage: Stage, story: Story, screen: Screen) -> None:
    """What to try while everything keeps running."""
    key = f"-H 'Authorization: Bearer {stage.api_key}'"
    change = f"curl -s -X POST {stage.simulator_url}/simulator"
    screen.step("Everything goes on until you press Ctrl-C; try")
    screen.say(f"open {stage.gateway_url}/docs   API key {stage.api_key}")
    for line in (
        f"curl -s {key} '{stage.gateway_url}/meetings?within=2d'",
        f"curl -s {key} {stage.gateway_url}/calendars/{story.calendar_id}/sync",
        f"curl -s {key} '{stage.gateway_url}/changes?after=0&limit=3'",
        f"curl -s {key} {stage.gateway_url}/webhooks/messages",
        f'{change}/add_meeting -d \'{{"calendar_id":"{story.email}","summary":"Surprise","in_minutes":10}}\'',
        f"curl -s {stage.simulator_url}/simulator",
    ):
        screen.say(line)
