"""Wishes that were left behind: by a process that died in the middle, or by a provider that was away."""

import asyncio
import logging
from datetime import timedelta
from typing import Final
from uuid import uuid4

import msgspec

from service.core.drafts import TIMES, Patch, given
from service.errors import GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing import calls, carrying
from service.flows.writing.foreign import Superseded
from service.flows.writing.opening import LEASE, Opened, Overtaken, decode, give_up, put_off, reopen
from service.flows.writing.refusals import FAULTS
from service.flows.writing.scene import Job, Scene, check_direction, set_scene
from service.store import event_writes, managed_events
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from service.store.tables import Found

AT_ONCE: Final = 8
MOST_PAUSE: Final = timedelta(minutes=10)
FORGOTTEN: Final = timedelta(minutes=15)
"""A wish whose author was told that it failed, and has not come again for so long, is taken back."""

_WORK: Final = {
    "create": carrying.create,
    "change": carrying.change,
    "remove": carrying.remove,
    "follow": carrying.follow,
}
_log = logging.getLogger(__name__)


class Resumer:
    """Goes on with wishes of every project. One per process; `run_due` is never to run twice at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._closing = False
        self._running: set[asyncio.Task[None]] = set()

    async def run_due(self) -> int:
        """Take up what nobody works on; how many. Raises DatabaseUnavailable."""
        gateway = self._gateway
        async with gateway.database.look() as conn:
            next_due = await event_writes.next_due(conn)
        now = gateway.clock()
        room = AT_ONCE - len(self._running)
        if self._closing or room <= 0 or next_due is None or next_due > now:
            return 0
        async with gateway.database.write() as conn:
            rows = await event_writes.claim(conn, now=now, until=now + LEASE, owner=uuid4(), most=room)
        for row in rows:
            task = asyncio.create_task(self._run(row), name=f"write {row.id}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return len(rows)

    async def idle(self) -> None:
        """Wait until nothing is being gone on with."""
        while self._running:
            await asyncio.wait(list(self._running))

    async def drain(self, grace: float) -> None:
        """Begin nothing more; what runs has so many seconds to end in, and is left to the next process then."""
        self._closing = True
        if self._running:
            await asyncio.wait(list(self._running), timeout=grace)
        left = list(self._running)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(self, row: Found) -> None:
        try:
            await self._go_on(row)
        except DatabaseUnavailable:
            _log.warning("write %s: the database is away; it is gone on with later", row.id)
        except Exception:  # noqa: BLE001 - the edge of a task: nobody else would ever hear of it
            _log.exception("write %s: failed by a fault of calgate's; it is gone on with later", row.id)

    async def _go_on(self, row: Found) -> None:
        gateway = self._gateway
        try:
            job = decode(event_writes.opened(gateway.cipher, row))
        except Unreadable:
            _log.error("write %s: no key of the ring opens it", row.id)
            return
        opened = await reopen(gateway, row, job)
        if opened is None:
            return
        try:
            scene = await set_scene(gateway, row.project_id, row.calendar_id)
        except GatewayError as error:
            await give_up(gateway, opened, error.detail)
            return
        await self._carry(scene, opened)

    async def _carry(self, scene: Scene, opened: Opened) -> None:
        gateway, row = self._gateway, opened.row
        is_forgotten = row.request_key is not None and gateway.clock() - row.created_at > FORGOTTEN and row.attempts > 0
        state = "undoing" if row.state == "undoing" or (is_forgotten and row.kind == "create") else "pending"
        try:
            if state == "undoing":
                await carrying.undo(scene, opened)
                await give_up(gateway, opened, row.reason or "undone")
            else:
                if row.kind != "follow":  # which looks at the direction itself, and writes nothing
                    check_direction(scene)
                asked = await _still_asked(gateway, opened)
                await _WORK[row.kind](scene, msgspec.structs.replace(opened, job=asked))
        except FAULTS as error:
            pause = min(MOST_PAUSE, timedelta(seconds=5 * 2 ** min(row.attempts, 8)))
            await put_off(gateway, opened, state, pause, error.reason)
        except Overtaken:
            _log.info("write %s: somebody else goes on with it", row.id)
        except (ProviderError, GatewayError) as error:
            await self._end(scene, opened, state, error)

    async def _end(self, scene: Scene, opened: Opened, state: str, error: ProviderError | GatewayError) -> None:
        """It has come to nothing: what it may have made goes, and what was judged is judged anew where that was outdated."""
        gateway, row, job = self._gateway, opened.row, opened.job
        _log.warning("write %s: %s", row.id, error)
        if isinstance(error, Superseded) and (job.is_news or row.kind == "follow"):
            async with gateway.database.write() as conn:
                managed = await managed_events.of_event(conn, scene.calendar.id, job.provider_event_id)
                if managed is not None:
                    await managed_events.change(conn, gateway.cipher, managed, {"look_at": gateway.clock()})
                    gateway.wake.after(conn, "managed")
        has_call = job.patch is not None and job.patch.conference == calls.ZOOM
        # Of what was tried before nobody knows how much was made.
        if state == "pending" and (row.kind == "create" or has_call or opened.progress.has_made):
            await put_off(gateway, opened, "undoing", timedelta(0), str(error))
        else:
            await give_up(gateway, opened, str(error))


async def _still_asked(gateway: Gateway, opened: Opened) -> Job:
    """What later wishes for the same event have left of this one: the later word on a field stands. Raises Superseded."""
    job, kind = opened.job, opened.row.kind
    if kind == "create":
        return job
    async with gateway.database.read() as conn:
        rows = await event_writes.later(conn, opened.row)
    for row in rows:
        each = _job_of(gateway, row)
        if each is None or (each.provider_event_id, each.is_series) != (job.provider_event_id, job.is_series):
            continue
        if kind != "change" or job.is_news or each.patch is None:
            raise Superseded("superseded")
        if not each.is_news:  # that is an older word, given again
            job = _without(job, each, each.patch)
    return job


def _without(job: Job, later: Job, patch: Patch) -> Job:
    """A change without what a later one says. Raises Superseded when nothing is left of it."""
    said = given(patch).keys() | (set(TIMES) if patch.moves else set())
    left = {name: value for name, value in given(job.patch or Patch()).items() if name not in said}
    before = job.buffer_before if later.buffer_before is None else None
    after = job.buffer_after if later.buffer_after is None else None
    if not left and before is None and after is None:
        raise Superseded("superseded")
    rest = Patch(**left, notify=job.patch.notify if job.patch is not None else True)
    return msgspec.structs.replace(job, patch=rest, buffer_before=before, buffer_after=after)


def _job_of(gateway: Gateway, row: Found) -> Job | None:
    try:
        return decode(event_writes.opened(gateway.cipher, row))
    except Unreadable:
        return None
