"""The integrator's side of a calendar of any kind that can be written to, and what the gateway does by itself."""

from typing import Any

import httpx
from api.sites import EVENT, Site

from service.flows.writing import Follower, Resumer


class Desk:
    """The integrator's side of a calendar, and the gateway's own work."""

    def __init__(self, call: httpx.AsyncClient, site: Site, calendar: str) -> None:
        self.call, self.site, self.stage, self.calendar = call, site, site.stage, calendar

    async def settle(self) -> None:
        """Let syncs find what was changed, and what follows from it be done."""
        for _ in range(3):
            self.stage.clock.advance(600)
            await self.stage.sync()
            await self.follow()

    async def follow(self) -> None:
        """Do what follows from what syncs have found."""
        follower, resumer = Follower(self.stage.gateway), Resumer(self.stage.gateway)
        while await follower.run_due():
            await follower.idle()
        await resumer.run_due()
        await resumer.idle()

    async def set(self, **settings: Any) -> None:
        (connection,) = (await self.call.get("/connections")).json()["data"]
        answer = await self.call.patch(f"/connections/{connection['id']}", json=settings)
        assert answer.status_code == 200, answer.text

    async def write(self, status: int = 201, **more: Any) -> dict[str, Any]:
        answer = await self.call.post(f"/calendars/{self.calendar}/events", json={**EVENT, **more})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def change(self, event: dict[str, Any], status: int = 200, *, whole: bool = False, **fields: Any) -> Any:
        query = "?series=true" if whole else ""
        answer = await self.call.patch(f"/events/{event['id']}{query}", json=fields)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def listed(self) -> list[dict[str, Any]]:
        """The live events of the store."""
        query = {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "status": "confirmed"}
        return (await self.call.get("/events", params=query)).json()["data"]

    async def changes(self) -> list[tuple[str, str]]:
        rows = (await self.call.get("/changes")).json()["data"]
        return [(row["kind"], row["cause"]) for row in rows]

    async def news(self) -> list[str]:
        """What was sent about single events."""
        return [kind for kind, _ in await self.stage.messages() if kind.startswith("event.")]

    async def rest(self) -> None:
        """Nothing was called off, nothing echoes, and what is ours is still followed."""
        before, there = await self.stage.last_seq(), self.site.ids()
        await self.settle()
        assert await self.stage.last_seq() == before
        assert self.site.ids() == there
        assert self.site.cancellations() == []


def id_of(event: dict[str, Any]) -> str:
    """The provider's id of an event, or of its series as a whole."""
    return event["series_id"] or event["provider_event_id"]


async def open_desk(call: httpx.AsyncClient, site: Site) -> Desk:
    """The calendar of a site, connected, with somebody who is told of each event."""
    answer = await call.post("/calendars", json=site.account())
    assert answer.status_code == 201, answer.text
    await site.stage.sync()
    await site.stage.subscribe("event.*")
    return Desk(call, site, answer.json()["id"])
