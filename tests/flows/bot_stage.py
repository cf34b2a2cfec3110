"""Bots on the stage: plans made as by the routes, looks taken when somebody says so, and what was announced of them."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import httpx
from flows.stage import Stage

from service.flows.bots import Keeper, Launcher, planning, runner
from service.flows.bots.planning import BotPlan, PlanWish
from service.providers.guarded_http import Slots

ADA, GRACE, LIN = "ada@example.com", "grace@example.com", "lin@example.com"


@dataclass
class BotRunner(httpx.AsyncBaseTransport):
    """An HTTP API of bots: remembers every request, answers from `answers` and then with 201; may die on the way."""

    answers: list[Any] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    launched: dict[str, int] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 201
        if isinstance(answer, Exception):
            raise answer
        key = request.headers.get("idempotency-key", "")
        if request.method == "POST" and answer < 300:
            self.launched[key] = self.launched.get(key, 0) + 1
        body = b'{"data": {"id": "theirs-%d"}}' % len(self.launched)
        return httpx.Response(answer, stream=httpx.ByteStream(body), request=request)


class BotStage:
    """A stage with a keeper and a launcher of its own; `told` is what was announced since it was last asked."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.transport = BotRunner()
        slots = Slots(4, None, transport_factory=lambda *_: self.transport)
        self.slots = slots
        self.gateway = replace(stage.gateway, guarded_slots=slots)
        self.keeper = Keeper(self.gateway)
        self.launcher = Launcher(self.gateway)
        self.heard = 0

    async def aclose(self) -> None:
        self.keeper.drain()
        await self.launcher.drain(1)
        await self.slots.aclose()

    async def meeting(self, email: str = ADA, in_minutes: float = 60, **event: Any) -> tuple[UUID, str]:
        """A calendar, read, with one meeting in it."""
        self.stage.world.connect(email)
        row = self.stage.world.add_meeting(email, "Review", in_minutes=in_minutes, **event)
        calendar_id = await self.stage.connect(email)
        await self.stage.sync()
        return calendar_id, row["id"]

    async def event_id(self, calendar_id: UUID) -> UUID:
        (event,) = [event for event in await self.stage.events(calendar_id) if event.title == "Review"]
        return event.id

    async def plan(self, event_id: UUID, config: Any = None, **wish: Any) -> BotPlan:
        asked = PlanWish(config={"bot_name": "Notes"} if config is None else config, **wish)
        plan, _ = await planning.plan_event(self.gateway, self.stage.project, event_id, asked)
        return plan

    async def plan_series(self, series_id: str, config: Any = None, **wish: Any) -> BotPlan:
        asked = PlanWish(config={"bot_name": "Notes"} if config is None else config, **wish)
        plan, _ = await planning.plan_series(self.gateway, self.stage.project, series_id, asked)
        return plan

    async def drop(self, event_id: UUID) -> bool:
        return await planning.drop_event(self.gateway, self.stage.project, event_id)

    async def shown(self, event_id: UUID) -> BotPlan | None:
        return await planning.show_event(self.gateway, self.stage.project, event_id)

    async def name_runner(self, kind: str = "http", url: str = "https://bots.example.com/launch") -> None:
        await runner.name(self.gateway, self.stage.project, kind, url, {"authorization": "Bearer canary"})

    async def keep(self) -> None:
        """Look at what is due, and hand over what is to be."""
        await self.keeper.run_due()
        await self.launcher.run_due()
        await self.launcher.idle()
        await self.keeper.run_due()

    async def told(self) -> list[tuple[str, str | None]]:
        """What was announced since this was last asked: the last word of the type, and the reason."""
        await self.keep()
        return [(kind.removeprefix("bot."), data["reason"]) for kind, data in await self.news()]

    async def news(self) -> list[tuple[str, Any]]:
        every = [(kind, data) for kind, data in await self.stage.messages() if kind.startswith("bot.")]
        news, self.heard = every[self.heard :], len(every)
        return news
