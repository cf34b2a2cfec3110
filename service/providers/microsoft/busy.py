"""When the owner of a mailbox is busy, as getSchedule tells it: also where we may not read events."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from service.core.schedule import Window
from service.errors import RequestRefused, ScopeMissing, TransientFault
from service.providers.lenient import UNREADABLE
from service.providers.microsoft.answers import judge
from service.providers.microsoft.graph import Graph
from service.providers.microsoft.zones import iana_name
from service.providers.protocol import Access
from service.providers.writing import Busy, merge_busy

LONGEST: Final = timedelta(days=60)
"""Exchange refuses more than 62 days in one question."""

AT_ONCE: Final = 20
"""Addresses in one question."""

_FREE: Final = frozenset({"free", "workingElsewhere"})
"""As the events themselves are read: who may be tentative is busy."""


class _Moment(msgspec.Struct, gc=False, rename="camel"):
    date_time: str
    time_zone: str | None = None


class _Item(msgspec.Struct, gc=False):
    start: _Moment
    end: _Moment
    status: str | None = None


class _Schedule(msgspec.Struct, gc=False, rename="camel"):
    schedule_id: str | None = None
    schedule_items: list[_Item] | None = None
    error: Any = None


class _Answer(msgspec.Struct, gc=False):
    value: list[_Schedule] | None = None


class _Mailbox(msgspec.Struct, gc=False):
    id: str | None = None


_answer: Final = msgspec.json.Decoder(_Answer)
_mailbox: Final = msgspec.json.Decoder(_Mailbox)


class MicrosoftBusy:
    """getSchedule (graph/api/calendar-getschedule): it knows mailboxes, by address, and not their further calendars."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def busy(
        self, access: Access, raw_calendar_ids: Sequence[str], window: Window
    ) -> Mapping[str, list[Busy] | None]:
        """By calendar, merged stretches of busy time in `window`, or None.

        An id is the default calendar's of this account, or anybody's address. None for every other calendar, for an
        address with an error, and for all of them in a personal account, which has no schedules.
        """
        found: dict[str, list[Busy] | None] = dict.fromkeys(raw_calendar_ids)
        addresses = await self._addresses(access, found)
        wanted = list(dict.fromkeys(addresses.values()))
        schedules: dict[str, list[Busy] | None] = {}
        for start in range(0, len(wanted), AT_ONCE):
            schedules |= await self._ask_all(access, wanted[start : start + AT_ONCE], window)
        return found | {each: schedules[address] for each, address in addresses.items()}

    async def _addresses(self, access: Access, wanted: Mapping[str, object]) -> dict[str, str]:
        addresses = {each: each for each in wanted if "@" in each}
        others = wanted.keys() - addresses.keys()
        if others and access.email:
            answer = await self._graph.get(access, self._graph.url("/me/calendar", {"$select": "id"}))
            try:
                default = _mailbox.decode(answer.body).id
            except UNREADABLE:
                raise TransientFault("the calendar cannot be read") from None
            addresses |= {each: access.email for each in others if each == default}
        return addresses

    async def _ask_all(self, access: Access, addresses: Sequence[str], window: Window) -> dict[str, list[Busy] | None]:
        """The schedules of addresses, asked for in stretches that Exchange takes; unknown in one is unknown."""
        gathered: dict[str, list[Busy] | None] = {each: [] for each in addresses}
        start = window.start
        while start < window.end:
            end = min(start + LONGEST, window.end)
            found = await self._ask(access, addresses, Window(start, end))
            for each in addresses:
                one, other = gathered[each], found[each]
                gathered[each] = None if one is None or other is None else merge_busy([*one, *other])
            start = end
        return gathered

    async def _ask(self, access: Access, addresses: Sequence[str], window: Window) -> dict[str, list[Busy] | None]:
        body = {
            "schedules": list(addresses),
            "startTime": {"dateTime": _wall(window.start), "timeZone": "UTC"},
            "endTime": {"dateTime": _wall(window.end), "timeZone": "UTC"},
        }
        answer = await self._graph.call(access, "POST", self._graph.url("/me/calendar/getSchedule"), json=body)
        if not answer.is_good:
            error = judge(answer.status, answer.headers, answer.body, self._graph.clock())
            if isinstance(error, RequestRefused | ScopeMissing):
                # Reading events asks for more than this does; who is refused here has a personal account.
                return dict.fromkeys(addresses)
            raise error
        try:
            rows = _answer.decode(answer.body).value or []
        except UNREADABLE:
            raise TransientFault("the schedules cannot be read") from None
        read = {(row.schedule_id or "").lower(): _read(row) for row in rows}
        return {each: read.get(each.lower()) for each in addresses}


def _read(row: _Schedule) -> list[Busy] | None:
    if row.error or row.schedule_items is None:
        return None
    try:
        items = [item for item in row.schedule_items if item.status not in _FREE]
        return merge_busy([Busy(_instant(item.start), _instant(item.end)) for item in items])
    except (ValueError, OverflowError):
        return None


def _wall(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat()


def _instant(moment: _Moment) -> datetime:
    whole = moment.date_time.partition(".")[0].rstrip("Z")
    at = datetime.fromisoformat(whole)
    zone = ZoneInfo(iana_name(moment.time_zone) or "UTC")
    return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
