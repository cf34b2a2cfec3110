"""Handing launches to an HTTP API of bots: one request at a time for each, tried until the meeting is over.

launching ──claim: a lease──► one request (no transaction) ──settle, under the lease──► launched, failed, or later
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from service.core import bot_runner
from service.core.bot_runner import Question
from service.core.bots import BotStatus, Notice
from service.errors import TransientFault
from service.flows.bots.decided import News
from service.flows.bots.keeping import bot_data, notice_of
from service.flows.gateway import Gateway
from service.providers.exchange import Answer, ask, retry_after
from service.providers.look_ups import on_behalf_of
from service.store import bot_plans, bot_runners, bots
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from service.store.tables import Found
from webhooks import outbox
from webhooks.message import Dispatch

AT_ONCE: Final = 32
DEADLINE: Final = 15.0
LEASE: Final = timedelta(seconds=30)
MOST_BYTES: Final = 64 * 1024
KEPT_CHARACTERS: Final = 1000
SOON: Final = 2.0

_log = logging.getLogger(__name__)


class Launcher:
    """Asks runners for every project. One per process; `run_due` is never to run twice at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._owner = uuid4()
        self._closing = False
        self._alarm: asyncio.TimerHandle | None = None
        self._asking: set[asyncio.Task[None]] = set()

    async def run_due(self) -> int:
        """Begin to ask what is due, and set an alarm for what will be in a moment; how many requests were begun.

        Raises DatabaseUnavailable.
        """
        begun = 0
        gateway = self._gateway
        while not self._closing and (room := AT_ONCE - len(self._asking)) > 0:
            async with gateway.database.look() as conn:
                next_try = await bot_runners.next_try(conn)
            if next_try is None or next_try > gateway.clock():
                self._wake_at(next_try)
                break
            async with gateway.database.write() as conn:
                claimed = await bot_runners.claim(conn, now=gateway.clock(), owner=self._owner, lease=LEASE, most=room)
            for row in claimed:
                task = asyncio.create_task(self._ask(row), name=f"bot {row.id}")
                self._asking.add(task)
                task.add_done_callback(self._done)
            begun += len(claimed)
            if not claimed:
                break
        return begun

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        while self._asking:
            await asyncio.wait(self._asking)

    async def drain(self, grace: float) -> None:
        """Begin nothing more; what is in flight has `grace` seconds to end, and is found by its lease afterwards."""
        self._closing = True
        if self._alarm is not None:
            self._alarm.cancel()
        if self._asking:
            _, late = await asyncio.wait(self._asking, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("asking a bot runner broke off; it is asked again when the lease has run out", exc_info=error)
        if not self._closing:
            self._gateway.wake.rouse("bot runners")

    def _wake_at(self, moment: datetime | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if moment is None or self._closing:
            return
        pause = (moment - self._gateway.clock()).total_seconds()
        if pause < SOON:
            rouse = self._gateway.wake.rouse
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, pause), rouse, "bot runners")

    async def _ask(self, row: Found) -> None:
        gateway = self._gateway
        async with gateway.database.read() as conn:
            runner = await bot_runners.find(conn, row.project_id)
            looked = await bots.read(conn, [(row.project_id, row.meeting_key)])
            plan = next(iter(await bot_plans.by_ids(conn, [row.plan_id])), None)
        copies = looked.copies[row.project_id, row.meeting_key]
        copy = next((each for each in copies if each.id == row.event_id), next(iter(copies), None))
        question, fault = self._question(row, runner, plan, copy)
        asked = _name_of(runner) if question is not None and runner is not None else None
        answer = None
        if question is not None:
            with on_behalf_of(row.project_id):
                answer, fault = await self._send(question)
        try:
            dispatches = await self._settle(row, plan, copy, answer, fault, asked)
        except DatabaseUnavailable:
            # The lease runs out, and the same question is asked again under the same key.
            _log.warning("bot %s: what the runner answered could not be written", row.id)
            return
        if gateway.deliverer is not None:
            gateway.deliverer.submit(dispatches)

    def _question(
        self, row: Found, runner: Found | None, plan: Found | None, copy: Found | None
    ) -> tuple[Question | None, str | None]:
        """What to ask, or why nothing can be asked."""
        if runner is None or runner.kind == bot_runners.WEBHOOK:
            return None, None
        try:
            headers = bot_runners.headers_of(self._gateway.cipher, runner)
        except Unreadable:
            return None, "credential_unreadable: PUT the bot runner again"
        if row.withdraws:
            if row.runner_name != _name_of(runner):
                return None, None  # another runner launched it: what it calls its bots means nothing to this one
            return bot_runner.withdrawal(runner.kind, runner.url, headers, row.external_id or ""), None
        data = bot_data(self._gateway, News(Notice.LAUNCH, row._asdict(), plan, copy))
        return bot_runner.launch(runner.kind, runner.url, headers, data), None

    async def _send(self, question: Question) -> tuple[Answer | None, str | None]:
        try:
            async with self._gateway.guarded_slots.borrow() as http:
                answer = await ask(
                    http,
                    question.method,
                    question.url,
                    headers=question.headers,
                    json=question.body,
                    limit=MOST_BYTES,
                    deadline=DEADLINE,
                )
        except TransientFault as fault:
            return None, fault.reason
        return answer, None

    async def _settle(
        self,
        row: Found,
        plan: Found | None,
        copy: Found | None,
        answer: Answer | None,
        fault: str | None,
        asked: str | None,
    ) -> list[Dispatch]:
        gateway = self._gateway
        async with gateway.database.write() as conn:
            now = gateway.clock()
            # First, as whoever looks holds the look before he writes the bot.
            if await bots.look_soon(conn, [(row.project_id, row.meeting_key)], now):
                gateway.wake.after(conn, "bots")
            values = self._values(row, answer, fault, asked, now)
            written = await bot_runners.settle(conn, row.id, self._owner, {**values, "updated_at": now})
            if written is None:
                return []
            if values.get("status") != BotStatus.FAILED.value:
                return []
            news = News(Notice.FAILED, written._asdict(), plan, copy)
            return await self._tell(conn, news, now)

    async def _tell(self, conn: AsyncConnection, news: News, now: datetime) -> list[Dispatch]:
        gateway = self._gateway
        lease = gateway.deliverer.lease(now) if gateway.deliverer is not None else None
        if lease is None:
            gateway.wake.after(conn, "deliver")
        return await outbox.put(conn, [notice_of(gateway, news, now)], now=now, lease=lease)

    def _values(
        self, row: Found, answer: Answer | None, fault: str | None, asked: str | None, now: datetime
    ) -> Mapping[str, Any]:
        """What an answer changes of a bot."""
        attempt, status = row.attempts + 1, answer.status if answer is not None else None
        jitter = self._gateway.draw()
        if row.withdraws and asked is None and fault is None:
            _log.warning(
                "bot %s: its runner is not the project's any more, and is not told that it is to leave", row.id
            )
            return {"next_try_at": None, "withdraws": False}
        if row.withdraws:
            again = bot_runner.judge_withdrawal(status, attempt=attempt, now=now, jitter=jitter)
            return {"attempts": attempt, "next_try_at": again, "withdraws": again is not None}
        if answer is None and fault is None:
            # The webhook is the runner again: the keeper launches by it.
            return {"status": BotStatus.PLANNED.value, "next_try_at": None, "attempts": attempt}
        outcome = bot_runner.judge_launch(
            status,
            attempt=attempt,
            retry_after=_asked_pause(answer, now),
            fault=fault,
            ends_at=row.ends_at,
            now=now,
            jitter=jitter,
        )
        values = {
            "status": outcome.status.value,
            "reason": outcome.reason,
            "next_try_at": outcome.retry_at,
            "attempts": attempt,
            "answer": _head(answer),
        }
        if outcome.status is BotStatus.LAUNCHED and answer is not None:
            values |= {
                "launched_at": now,
                "external_id": bot_runner.external_id(answer.body),
                "runner_name": asked,
            }
        return values


def _name_of(runner: Found) -> str:
    """What tells a runner from another: its address, or its kind where that has one of its own."""
    found: str = runner.url or runner.kind
    return found


def _asked_pause(answer: Answer | None, now: datetime) -> timedelta | None:
    asked = retry_after(answer.headers, now) if answer is not None else None
    return asked - now if asked is not None else None


def _head(answer: Answer | None) -> str | None:
    if answer is None:
        return None
    return answer.body[: 4 * KEPT_CHARACTERS].decode(errors="replace").replace("\0", "")[:KEPT_CHARACTERS]
