"""Ada's connection and her calendar at Google, as those use them who change settings and write events."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from flows.stage import Stage

from service.flows.writing import Follower, Resumer

ADA = "ada@example.com"
GUEST = "guest@example.com"


class Office:
    """Ada's connection, her calendar at Google, and the gateway's own work."""

    def __init__(self, call: httpx.AsyncClient, stage: Stage, calendar: str) -> None:
        self.call, self.stage, self.calendar = call, stage, calendar
        self.follower, self.resumer = Follower(stage.gateway), Resumer(stage.gateway)

    async def set(self, **settings: Any) -> None:
        (connection,) = (await self.call.get("/connections")).json()["data"]
        answer = await self.call.patch(f"/connections/{connection['id']}", json=settings)
        assert answer.status_code == 200, answer.text

    def at(self, hours: float) -> str:
        moment: datetime = self.stage.clock() + timedelta(hours=hours)
        return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")

    async def write(self, status: int = 201, **more: Any) -> dict[str, Any]:
        wish = {"title": "Review", "starts_at": self.at(5), "ends_at": self.at(6), **more}
        answer = await self.call.post(f"/calendars/{self.calendar}/events", json=wish)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def say(self, text: str, status: int = 201) -> dict[str, Any]:
        answer = await self.call.post(f"/calendars/{self.calendar}/events/quick_add", json={"text": text})
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def change(self, event: dict[str, Any], status: int = 200, **fields: Any) -> dict[str, Any]:
        answer = await self.call.patch(f"/events/{event['id']}", json=fields)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def show(self, event: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call.get(f"/events/{event['id']}")).json()
        return found

    async def settle(self) -> None:
        """Let a sync find what was changed, and what follows from it be done."""
        for _ in range(3):
            self.stage.clock.advance(600)
            await self.stage.sync()
            while await self.follower.run_due():
                await self.follower.idle()
            await self.resumer.run_due()
            await self.resumer.idle()

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["summary"]: row for row in self.stage.world.read_truth(ADA)}

    async def told(self) -> list[tuple[str, str]]:
        changes = (await self.call.get("/changes")).json()["data"]
        return [(each["kind"], each["cause"]) for each in changes]


def moment(row: dict[str, Any], end: str = "start") -> datetime:
    return datetime.fromisoformat(row[end]["dateTime"])
