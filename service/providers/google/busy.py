"""When people are busy, as freeBusy.query tells it: also of calendars whose events we may not read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from service.core.schedule import Window
from service.errors import RequestRefused, TransientFault
from service.providers.google.answers import judge
from service.providers.google.api import CalendarApi
from service.providers.lenient import UNREADABLE
from service.providers.protocol import Access
from service.providers.writing import Busy, merge_busy

AT_ONCE: Final = 50
"""Calendars in one question; of more Google refuses the rest."""

SHORTEST: Final = timedelta(days=1)
"""A range that is refused as too long is halved, until it is as short as this."""


class _Stretch(msgspec.Struct, gc=False):
    start: str
    end: str


class _Schedule(msgspec.Struct, gc=False):
    busy: list[_Stretch] | None = None
    errors: list[msgspec.Raw] | None = None


class _Answer(msgspec.Struct, gc=False):
    calendars: dict[str, _Schedule] | None = None


_answer: Final = msgspec.json.Decoder(_Answer)


class GoogleBusy:
    """freeBusy.query (api/v3/reference/freebusy/query), fifty calendars at a time."""

    def __init__(self, api: CalendarApi) -> None:
        self._api = api

    async def busy(
        self, access: Access, raw_calendar_ids: Sequence[str], window: Window
    ) -> Mapping[str, list[Busy] | None]:
        """By calendar, merged stretches of busy time in `window`; None for a calendar with an error, or that is missing.

        Google leaves out what is transparent, was declined, or says where somebody works.
        """
        found: dict[str, list[Busy] | None] = {}
        wanted = list(dict.fromkeys(raw_calendar_ids))
        for start in range(0, len(wanted), AT_ONCE):
            found |= await self._ask(access, wanted[start : start + AT_ONCE], window)
        return found

    async def _ask(self, access: Access, wanted: Sequence[str], window: Window) -> dict[str, list[Busy] | None]:
        body = {
            "timeMin": window.start.astimezone(UTC).isoformat(),
            "timeMax": window.end.astimezone(UTC).isoformat(),
            "items": [{"id": each} for each in wanted],
        }
        answer = await self._api.call(access, "POST", "/freeBusy", json=body)
        if not answer.is_good:
            error = judge(answer.status, answer.headers, answer.body, self._api.clock())
            if isinstance(error, RequestRefused) and error.reason == "timeRangeTooLong":
                return await self._ask_halves(access, wanted, window, error)
            raise error
        try:
            schedules = _answer.decode(answer.body).calendars or {}
        except UNREADABLE:
            raise TransientFault("the busy times cannot be read") from None
        return {each: _read(schedules.get(each)) for each in wanted}

    async def _ask_halves(
        self, access: Access, wanted: Sequence[str], window: Window, error: RequestRefused
    ) -> dict[str, list[Busy] | None]:
        length = window.end - window.start
        if length <= SHORTEST:
            raise error
        middle = window.start + length / 2
        first = await self._ask(access, wanted, Window(window.start, middle))
        second = await self._ask(access, wanted, Window(middle, window.end))
        joined: dict[str, list[Busy] | None] = {}
        for each in wanted:
            one, other = first[each], second[each]
            joined[each] = None if one is None or other is None else merge_busy([*one, *other])
        return joined


def _read(schedule: _Schedule | None) -> list[Busy] | None:
    """A calendar with an error is unknown, whatever stands beside the error: never free."""
    if schedule is None or schedule.errors or schedule.busy is None:
        return None
    try:
        stretches = [Busy(_instant(each.start), _instant(each.end)) for each in schedule.busy]
    except (ValueError, OverflowError):
        return None
    return merge_busy(stretches)


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)
