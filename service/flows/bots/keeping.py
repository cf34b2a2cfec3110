"""Keeping bots in step with their meetings, and launching them to the moment.

    the next look ──► an alarm for its moment ──► claim, read, decide, write, outbox (one transaction) ──► deliver

What dies in the middle has said and done nothing, and is looked at again.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.flows.bots.decided import Decided, News, decide_meeting
from service.flows.gateway import Gateway
from service.store import bot_plans, bot_runners, bots
from service.store.bots import Looked
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from webhooks import outbox
from webhooks.message import Dispatch, Notice

AT_ONCE: Final = 100
"""Meetings looked at in one transaction: some tens of milliseconds, for which the others wait."""

SOON: Final = timedelta(seconds=2)
"""What is due within this gets an alarm of its own; the rest is found by looking every second."""

_log = logging.getLogger(__name__)


class Keeper:
    """Looks at the meetings of every project that have a bot. One per process; `run_due` is never to run twice at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._closing = False
        self._alarm: asyncio.TimerHandle | None = None

    async def run_due(self) -> int:
        """Look at what is due, and set an alarm for what will be in a moment; how many meetings were looked at.

        Raises DatabaseUnavailable.
        """
        looked = 0
        while not self._closing:
            async with self._gateway.database.look() as conn:
                next_look = await bots.next_look(conn)
            if next_look is None or next_look > self._gateway.clock():
                self._wake_at(next_look)
                break
            count = await self._look_patiently()
            looked += count
            if not count:
                break  # others hold what is due, and go on
        return looked

    def drain(self) -> None:
        """Begin nothing more; the transaction that is being written ends by itself."""
        self._closing = True
        if self._alarm is not None:
            self._alarm.cancel()

    async def _look_patiently(self) -> int:
        try:
            return await self._look()
        except DatabaseUnavailable:
            # Perhaps no more than a lost race for a lock, which the next try wins.
            return await self._look()

    async def _look(self) -> int:
        gateway = self._gateway
        async with gateway.database.write() as conn:
            now = gateway.clock()
            looked = await bots.claim_looks(conn, now, AT_ONCE)
            dispatches = await settle_looks(gateway, conn, looked, now) if looked.meetings else []
        if gateway.deliverer is not None:
            gateway.deliverer.submit(dispatches)
        return len(looked.meetings)

    def _wake_at(self, moment: datetime | None) -> None:
        """Look again at the moment instead of at the next tick, which may be a second late."""
        if self._alarm is not None:
            self._alarm.cancel()
        if moment is None or self._closing:
            return
        pause = moment - self._gateway.clock()
        if pause < SOON:
            rouse = self._gateway.wake.rouse
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, pause.total_seconds()), rouse, "bots")


async def settle_looks(gateway: Gateway, conn: AsyncConnection, looked: Looked, now: datetime) -> list[Dispatch]:
    """Decide about meetings that this transaction holds, and write it; what is to be sent after the commit."""
    handed = await bot_runners.handed(conn, [project for project, _ in looked.meetings])
    decided = {
        meeting: decide_meeting(
            meeting,
            looked.copies[meeting],
            looked.plans[meeting],
            looked.bots[meeting],
            is_handed=meeting[0] in handed,
            now=now,
        )
        for meeting in looked.meetings
    }
    parts = decided.values()
    await bots.write(conn, [row for part in parts for row in part.new], [row for part in parts for row in part.changed])
    await bots.set_looks(conn, {meeting: part.look_at for meeting, part in decided.items()})
    notices = await _notices(gateway, conn, parts, now)
    lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
    dispatches = await outbox.put(conn, notices, now=now, lease=lease) if notices else []
    if lease is None and notices:
        gateway.wake.after(conn, "deliver")
    if any(part.asks for part in parts):
        gateway.wake.after(conn, "bot runners")
    return dispatches


async def _notices(gateway: Gateway, conn: AsyncConnection, parts: Iterable[Decided], now: datetime) -> list[Notice]:
    news = [each for part in parts for each in part.news]
    # A plan that was dropped counts no more, and its bots are still told of with its config.
    missing = sorted({each.bot["plan_id"] for each in news if each.plan is None})
    dropped = {row.id: row for row in await bot_plans.by_ids(conn, missing)} if missing else {}
    return [notice_of(gateway, each._replace(plan=each.plan or dropped.get(each.bot["plan_id"])), now) for each in news]


def notice_of(gateway: Gateway, news: News, now: datetime) -> Notice:
    """One bot's news as a webhook: the data of `bot.planned` and its siblings."""
    bot, copy = news.bot, news.copy
    calendar_id = copy.calendar_id if copy is not None else None
    return Notice(bot["project_id"], f"bot.{news.notice}", bot_data(gateway, news), now, calendar_id)


def bot_data(gateway: Gateway, news: News) -> dict[str, Any]:
    """A bot as `core.announcements.BotNotice`, its event as the bytes that are stored."""
    bot, copy = news.bot, news.copy
    config: dict[str, Any] = {}
    if news.plan is not None:
        try:
            config = bot_plans.opened(gateway.cipher, news.plan)
        except Unreadable:
            # A bot without its config is better than none at the meeting.
            _log.error("bot plan %s: no key of the ring opens its config", news.plan.id)
    return {
        "bot_id": bot["id"],
        "meeting_key": bot["meeting_key"],
        "meeting_url": bot["meeting_url"],
        "platform": bot["platform"],
        "starts_at": bot["starts_at"],
        "config": config,
        "event": msgspec.Raw(copy.body.encode()) if copy is not None else None,
        "reason": bot["reason"],
    }
