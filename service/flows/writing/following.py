"""What becomes of our events at their provider: followed, set right, or cancelled, as the connection's settings say.

a sync finds an event of ours changed ──► look_at ──Follower: judge──► nothing, or a wish that is carried out like any other
"""

import asyncio
import logging
from collections import Counter
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid4

import msgspec

from service.core.event import decode_event
from service.core.managed import Adopt, Cancel, Gone, Nothing, Verdict, WriteBack, judge
from service.core.sync import Removed
from service.errors import EventGone, GatewayError, ProviderError
from service.flows.gateway import Gateway
from service.flows.writing import carrying
from service.flows.writing.opening import Opened, begin, give_up, put_off
from service.flows.writing.reaching import reach
from service.flows.writing.refusals import FAULTS
from service.flows.writing.scene import Job, Scene, set_scene
from service.flows.writing.settling import decode_draft, encode_draft, recall
from service.providers.writing import Target
from service.store import events, managed_events
from service.store.cipher import Unreadable
from service.store.database import DatabaseUnavailable
from service.store.tables import Found

LEASE: Final = timedelta(seconds=90)
RENEW_SECONDS: Final = 30.0
LATER: Final = timedelta(minutes=5)
AT_ONCE: Final = 16

_log = logging.getLogger(__name__)


class _Place(NamedTuple):
    """Whose event is being looked at."""

    project_id: UUID
    connection_id: UUID


class Follower:
    """Looks at events of ours in every project, of each connection at one at a time: a server that hangs holds up its own.

    One per process; `run_due` is never to run twice at once.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._closing = False
        self._looking: dict[asyncio.Task[None], _Place] = {}

    async def run_due(self) -> int:
        """Begin to look at what was found changed; how many looks were begun. Raises DatabaseUnavailable."""
        gateway, begun = self._gateway, 0
        while not self._closing and (room := AT_ONCE - len(self._looking)) > 0:
            async with gateway.database.look() as conn:
                next_look = await managed_events.next_look(conn)
            now = gateway.clock()
            if next_look is None or next_look > now:
                break
            held = list(self._looking.values())
            async with gateway.database.write() as conn:
                claimed = await managed_events.claim(
                    conn,
                    now=now,
                    until=now + LEASE,
                    owner=uuid4(),
                    most=room,
                    held=Counter(each.project_id for each in held),
                    busy=[each.connection_id for each in held],
                )
            for row, connection_id in claimed:
                task = asyncio.create_task(self._hold(row), name=f"managed event {row.event_id}")
                self._looking[task] = _Place(row.project_id, connection_id)
                task.add_done_callback(self._done)
            begun += len(claimed)
            if not claimed:
                break
        return begun

    async def idle(self) -> None:
        """Wait until nothing is being looked at."""
        while self._looking:
            await asyncio.wait(list(self._looking))

    async def drain(self, grace: float) -> None:
        """Begin no more looks; what is in hand has so many seconds, and is found by its lease afterwards."""
        self._closing = True
        if self._looking:
            await asyncio.wait(list(self._looking), timeout=grace)
        left = list(self._looking)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._looking[task]
        if task.cancelled():
            return
        if (error := task.exception()) is None:
            self._gateway.wake.rouse("managed")  # its connection's next, if there is one
        elif isinstance(error, DatabaseUnavailable):
            _log.warning("%s: the database is away; it is looked at again when its lease has run out", task.get_name())
        else:
            _log.error("%s: broke off", task.get_name(), exc_info=error)

    async def _hold(self, row: Found) -> None:
        """Look, and keep the lease meanwhile, however long the provider takes."""
        keeping = asyncio.create_task(self._keep(row), name=f"lease of managed event {row.event_id}")
        try:
            await self._look(row)
        finally:
            keeping.cancel()

    async def _keep(self, row: Found) -> None:
        is_ours = True
        while is_ours:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with self._gateway.database.write() as conn:
                    is_ours = await managed_events.renew(conn, row, self._gateway.clock() + LEASE)
            except DatabaseUnavailable:
                continue  # perhaps it is back before the lease runs out

    async def _look(self, row: Found) -> None:
        again = None
        try:
            await self._decide(row)
        except DatabaseUnavailable:
            raise
        except (GatewayError, ProviderError, Unreadable) as error:
            # The calendar is away, or read only by now; what its user mends brings another change, or a look later.
            _log.info("managed event %s: %s", row.event_id, error)
            again = self._gateway.clock() + LATER
        except Exception:  # noqa: BLE001 - one event must not keep the others from being looked at
            _log.exception("managed event %s: could not be looked at by a fault of calgate's", row.event_id)
            again = self._gateway.clock() + LATER
        async with self._gateway.database.write() as conn:
            await managed_events.looked_at(conn, row, again)

    async def _decide(self, row: Found) -> None:
        gateway = self._gateway
        async with gateway.database.read() as conn:
            shown = await managed_events.shown_as(conn, row)
        is_series = row.series_id is not None
        if shown is None:
            scene = await set_scene(gateway, row.project_id, row.calendar_id)
            if scene.settings.sync_direction != "inbound" and await _is_gone(scene, row):
                await self._obey(scene, row, Gone(), b"")
        elif is_series and shown.series_id is not None:
            return  # of a series the provider's word stands, as long as any of it is left
        elif shown.id != row.event_id or is_series != (shown.series_id is not None):
            await self._turn(row, shown)
        elif shown.fingerprint != row.written:
            scene = await set_scene(gateway, row.project_id, row.calendar_id)
            draft = recall(scene, row)
            given = carrying.given_to_provider(scene, draft, row.call_url)
            event = decode_event(events.view(shown))
            verdict = judge(draft, event, scene.settings, given=given, write_backs=row.attempts)
            await self._obey(scene, row, verdict, shown.fingerprint)

    async def _turn(self, row: Found, shown: Found) -> None:
        """What was one event is a series by now, or the other way round: it is followed as what it is, whatever wins else."""
        gateway = self._gateway
        draft = decode_draft(managed_events.opened(gateway.cipher, row))
        if shown.series_id is None:
            draft = msgspec.structs.replace(draft, recurrence=[])
        async with gateway.database.write() as conn:
            await managed_events.turn(conn, gateway.cipher, row, shown, encode_draft(draft), gateway.clock())
        _log.info("managed event %s: is %s by now", row.event_id, shown.id)

    async def _obey(self, scene: Scene, row: Found, verdict: Verdict, print_: bytes) -> None:
        about = Job(
            provider_event_id=row.provider_event_id,
            series_id=row.series_id,
            is_series=row.series_id is not None,
            fingerprint=print_.hex() or None,
        )
        match verdict:
            case Nothing():
                await self._accept(row, print_)
            case Cancel() | Gone():
                # What is another by now at the provider, perhaps a whole series, is not removed.
                is_gone = isinstance(verdict, Gone)
                job = msgspec.structs.replace(about, is_news=True, is_gone=is_gone, strict=not is_gone)
                await self._carry(
                    scene, await begin(self._gateway, scene.calendar, "remove", job, event_id=row.event_id)
                )
            case WriteBack(patch=patch):
                # Who wanted no mail of it wants none now; else the connection decides.
                notify = None if patch.notify else False
                job = msgspec.structs.replace(about, patch=patch, notify=notify, is_news=True)
                await self._carry(
                    scene, await begin(self._gateway, scene.calendar, "change", job, event_id=row.event_id)
                )
            case Adopt(draft=draft):
                job = msgspec.structs.replace(about, draft=draft)
                await self._carry(
                    scene, await begin(self._gateway, scene.calendar, "follow", job, event_id=row.event_id)
                )
        if not isinstance(verdict, Nothing):
            _log.info("managed event %s: %s", row.event_id, type(verdict).__name__)

    async def _accept(self, row: Found, print_: bytes) -> None:
        async with self._gateway.database.write() as conn:
            await managed_events.change(
                conn, self._gateway.cipher, row, {"written": print_, "updated_at": self._gateway.clock()}
            )

    async def _carry(self, scene: Scene, opened: Opened) -> None:
        work = {"remove": carrying.remove, "change": carrying.change, "follow": carrying.follow}[opened.row.kind]
        try:
            await work(scene, opened)
        except FAULTS as error:
            await put_off(self._gateway, opened, "pending", timedelta(seconds=5), error.reason)
        except ProviderError as error:
            _log.warning("managed event %s: the provider refuses (%s)", opened.row.event_id, error.reason)
            await give_up(self._gateway, opened, error.reason)
        except GatewayError as error:
            _log.warning("managed event %s: %s", opened.row.event_id, error.detail)
            await give_up(self._gateway, opened, error.detail)


async def _is_gone(scene: Scene, row: Found) -> bool:
    """Whether the provider itself says so, of an event that the store has no trace of. Raises service.errors.ProviderError.

    It may as well have become a series whose occurrences lie far away, or be back by now.
    """
    target = Target(provider_event_id=row.provider_event_id, is_series=True)
    try:
        there = await reach(
            scene.gateway, scene.calendar, lambda access: scene.writer.read(access, scene.place, target)
        )
    except EventGone:
        return True
    return there.series_id is None and (there.item is None or isinstance(there.item, Removed))
