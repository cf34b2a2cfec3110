"""Writing to Google Calendar: events made once for each key, changed and removed, and sentences read by Google itself."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import msgspec
from msgspec import UNSET

from service.core.drafts import Draft, Patch
from service.core.event import Event
from service.errors import (
    CalendarGone,
    EventGone,
    Outdated,
    ProviderError,
    RequestRefused,
    ScopeMissing,
    TransientFault,
)
from service.providers.edits import is_made, move_of, moved
from service.providers.exchange import Answer
from service.providers.google.answers import judge_write
from service.providers.google.api import CalendarApi, events_path, segment
from service.providers.google.bodies import MEET, conference_body, draft_body, patch_body
from service.providers.google.moving import INSTANCE_FIELDS, moved_recurrence
from service.providers.google.reading import read_page
from service.providers.google.standing import Row, allowed_conferences, seen_of
from service.providers.google.wire import WRITTEN_FIELDS, WirePage
from service.providers.lenient import UNREADABLE
from service.providers.protocol import Access
from service.providers.writing import Place, Target, Written

WAITS: Final = (0.3, 0.5, 0.8, 1.0, 1.0)
"""Seconds between looks at a conference that Google is still making: less than four in all, as somebody is waiting."""

TIMES: Final = 3
"""How often a change is made anew because somebody wrote in between."""

REPEATED: Final = timedelta(seconds=5)
"""A sentence that was first asked for longer ago than this is looked for before it is sent (again)."""

MOST_ASKED: Final = 1000
"""Sentences that are remembered as asked for."""

MOST_PAGES: Final = 25
"""Of one series' occurrences."""

SKEW: Final = timedelta(minutes=1)
"""By how much Google's clock and ours may differ."""

_WORD: Final = re.compile(r"\w+")


class GoogleWriter:
    """The Calendar API as a place to write to. `waits` are the pauses before looks at a conference that is pending."""

    def __init__(self, api: CalendarApi, *, waits: Sequence[float] = WAITS) -> None:
        self._api = api
        self._waits = waits
        self._asked: dict[tuple[str, str, datetime], None] = {}

    async def create(self, access: Access, place: Place, draft: Draft, *, key: str) -> Written:
        """events.insert with the key as the id, so that a repeat is refused as a duplicate, and is then read.

        Raises EventGone where the event was made and deleted since: its id is taken for ever, and another key is needed.
        """
        place = await self._placed(access, place)
        body = draft_body(draft, place.time_zone, key)
        if draft.conference == MEET:
            await self._require_meet(access, place)
        path = events_path(place.raw_calendar_id)
        params = _params(notify=draft.notify, has_conference="conferenceData" in body)
        answer = await self._api.call(access, "POST", path, params=params, json=body)
        if answer.status == 409:
            error = self._judge(answer)
            if error.reason != "duplicate":
                raise error
            row = await self._get(access, place, key)
            if row.standing.mark != key:
                raise RequestRefused("an event of somebody else's has this id")
        else:
            row = Row(self._good(answer))
        return await self._settled(access, place, row, wants_conference=draft.conference == MEET)

    async def withdraw(self, access: Access, place: Place, draft: Draft, *, key: str) -> None:  # noqa: ARG002 - the key is enough
        """events.delete of the id that is the key; where nothing was made, there is nothing to delete."""
        await self._delete(access, place, key, notify=False)

    async def change(self, access: Access, place: Place, target: Target, patch: Patch, *, strict: bool) -> Written:
        """events.patch, upon the version that was just read. A change that is there already is not made twice."""
        place = await self._placed(access, place)
        for _ in range(TIMES):
            row = await self._get(access, place, target.provider_event_id)
            event = row.event(place)
            if strict and await self._is_made(access, place, target, patch, event):
                return await self._settled(access, place, row, wants_conference=patch.conference == MEET)
            if patch.conference == MEET and not row.standing.has_conference:
                await self._require_meet(access, place)
            body = patch_body(patch, event, row.standing.attendees or [], place.time_zone)
            body |= conference_body(patch, uuid4().hex, is_there=row.standing.has_conference)
            body |= await self._moved_series(access, place, row, patch)
            if not body:
                return await self._settled(access, place, row, wants_conference=False)
            path = f"{events_path(place.raw_calendar_id)}/{segment(target.provider_event_id)}"
            params = _params(notify=patch.notify, has_conference="conferenceData" in body)
            answer = await self._api.call(access, "PATCH", path, params=params, json=body, if_match=row.standing.etag)
            if answer.status != 412:
                row = Row(await self._found(access, place, answer))
                return await self._settled(access, place, row, wants_conference=patch.conference == MEET)
        raise Outdated("somebody else keeps writing this event")

    async def remove(self, access: Access, place: Place, target: Target, *, notify: bool, strict: bool) -> None:
        """events.delete; the guests of what is deleted without a mail keep it in their calendars, unless they are Google's."""
        if not strict:
            await self._delete(access, place, target.provider_event_id, notify=notify)
            return
        place = await self._placed(access, place)
        for _ in range(TIMES):
            try:
                row = await self._get(access, place, target.provider_event_id)
            except EventGone:
                return
            await self._is_made(access, place, target, Patch(), row.event(place))
            if row.standing.recurrence and not target.is_series:
                raise Outdated("the event is a series by now")
            etag = row.standing.etag
            if await self._delete(access, place, target.provider_event_id, notify=notify, if_match=etag):
                return
        raise Outdated("somebody else keeps writing this event")

    async def read(self, access: Access, place: Place, target: Target) -> Written:
        """events.get; of a series its master's id."""
        place = await self._placed(access, place)
        row = await self._get(access, place, target.provider_event_id)
        return row.written(place)

    async def quick_add(self, access: Access, place: Place, text: str, *, notify: bool, now: datetime) -> Written:
        """events.quickAdd, which reads the sentence in the calendar's zone and the account's language.

        It takes no id of ours. So when the answer is lost, and before a repeat (the same sentence with the same `now`,
        or a `now` that is some seconds past), we look for an event that was made here since, whose title has no word that
        the sentence lacks. Two calls with the same sentence within a minute may so become one event, if the answer to
        one of them is lost.
        """
        place = await self._placed(access, place)
        is_repeat = self._remember(place.raw_calendar_id, text, now) or self._api.clock() - now > REPEATED
        if is_repeat and (row := await self._look_for(access, place, text, now)):
            return row.written(place)
        path = f"{events_path(place.raw_calendar_id)}/quickAdd"
        params = {"text": text, **_params(notify=notify, has_conference=False)}
        try:
            row = Row(self._good(await self._api.call(access, "POST", path, params=params)))
        except TransientFault:
            found = await self._look_for(access, place, text, now)
            if found is None:
                raise
            row = found
        return row.written(place)

    async def _moved_series(self, access: Access, place: Place, row: Row, patch: Patch) -> dict[str, Any]:
        """What a patch that moves a whole series says of its recurrence, unless that is given anew."""
        lines = row.standing.recurrence
        if not lines or not patch.moves or patch.recurrence is not UNSET:
            return {}
        master = row.event(place)
        move = move_of(master, moved(master, patch, place.time_zone))
        if move.is_none:
            return {}
        rows = await self._instances(access, place, master.provider_event_id)
        return {"recurrence": moved_recurrence(lines, rows, move)}

    async def _instances(self, access: Access, place: Place, series_id: str) -> list[bytes]:
        """All occurrences of a series, those that were deleted, too (events.instances)."""
        path = f"{events_path(place.raw_calendar_id)}/{segment(series_id)}/instances"
        asked = {"showDeleted": "true", "maxResults": "2500", "fields": INSTANCE_FIELDS}
        rows: list[bytes] = []
        params = asked
        for _ in range(MOST_PAGES):
            answer = await self._api.call(access, "GET", path, params=params)
            page = self._page(await self._found(access, place, answer))
            rows += [bytes(each) for each in page.items or ()]
            if not page.next_page_token:
                return rows
            params = {**asked, "pageToken": page.next_page_token}
        raise TransientFault("the pages do not end")

    def _remember(self, raw_calendar_id: str, text: str, now: datetime) -> bool:
        """Whether this very sentence was asked for before."""
        asked = (raw_calendar_id, text, now)
        if asked in self._asked:
            return True
        self._asked[asked] = None
        if len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        return False

    async def _look_for(self, access: Access, place: Place, text: str, since: datetime) -> Row | None:
        """The event that a sentence has become, if it has."""
        earliest = since - SKEW
        params = {
            "updatedMin": earliest.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "showDeleted": "false",
            "maxResults": "250",
            "fields": f"items({WRITTEN_FIELDS})",
        }
        answer = await self._api.call(access, "GET", events_path(place.raw_calendar_id), params=params)
        words = set(_WORD.findall(text.casefold()))
        found = []
        for raw in self._page(self._good(answer)).items or ():
            row = Row(bytes(raw))
            title = set(_WORD.findall((row.standing.summary or "").casefold()))
            if row.standing.mark is None and title and title <= words and row.made_at >= earliest:
                found.append(row)
        return max(found, key=lambda row: row.made_at, default=None)

    async def _placed(self, access: Access, place: Place) -> Place:
        """The place with the calendar's zone, which decides when its days begin."""
        if place.time_zone is not None:
            return place
        params = {"maxResults": "1", "fields": "timeZone"}
        answer = await self._api.call(access, "GET", events_path(place.raw_calendar_id), params=params)
        return msgspec.structs.replace(place, time_zone=self._page(self._good(answer)).time_zone or "UTC")

    async def _require_meet(self, access: Access, place: Place) -> None:
        """Raise RequestRefused where the calendar has no Google Meet; who may not look finds out by trying."""
        path = f"/users/me/calendarList/{segment(place.raw_calendar_id)}"
        params = {"fields": "conferenceProperties(allowedConferenceSolutionTypes)"}
        answer = await self._api.call(access, "GET", path, params=params)
        if not answer.is_good:
            error = self._judge(answer)
            if isinstance(error, ScopeMissing | CalendarGone):
                return
            raise error
        allowed = allowed_conferences(answer.body)
        if allowed is not None and "hangoutsMeet" not in allowed:
            raise RequestRefused("this calendar does not offer Google Meet")

    async def _is_made(self, access: Access, place: Place, target: Target, patch: Patch, current: Event) -> bool:
        """Whether the patch was made already. Raises Outdated where the event is not what `target.raw` shows, and not that."""
        seen = seen_of(target, place)
        if seen is None:
            return False
        if seen.provider_event_id != current.provider_event_id:
            # Of a series the caller knows an occurrence: the series is as it was if that one is.
            try:
                current = (await self._get(access, place, seen.provider_event_id)).event(place)
            except EventGone:
                raise Outdated("the occurrence is gone") from None
        if seen == current:
            return False
        if patch != Patch() and is_made(seen, current, patch):
            return True
        raise Outdated("the event was changed since it was read")

    async def _get(self, access: Access, place: Place, event_id: str) -> Row:
        """The event as it stands. Raises EventGone for one that is cancelled, too."""
        path = f"{events_path(place.raw_calendar_id)}/{segment(event_id)}"
        answer = await self._api.call(access, "GET", path, params={"fields": WRITTEN_FIELDS})
        row = Row(await self._found(access, place, answer))
        if row.standing.status == "cancelled":
            raise EventGone("cancelled")
        return row

    async def _delete(
        self, access: Access, place: Place, event_id: str, *, notify: bool, if_match: str | None = None
    ) -> bool:
        """Whether it is gone now; False where the etag no longer holds."""
        path = f"{events_path(place.raw_calendar_id)}/{segment(event_id)}"
        params = {"sendUpdates": "all" if notify else "none"}
        answer = await self._api.call(access, "DELETE", path, params=params, if_match=if_match)
        if answer.status == 412 and if_match:
            return False
        if not answer.is_good and answer.status not in {404, 410}:
            raise self._judge(answer)
        return True

    async def _settled(self, access: Access, place: Place, row: Row, *, wants_conference: bool) -> Written:
        """What was written, with its conference once Google has made it, or the word that it has not."""
        for pause in self._waits if wants_conference else ():
            if row.standing.conference_status != "pending":
                break
            await asyncio.sleep(pause)
            row = await self._get(access, place, row.standing.id or "")
        written = row.written(place)
        if not wants_conference or (row.standing.has_conference and row.standing.conference_status != "pending"):
            return written
        state = "pending" if row.standing.conference_status == "pending" else "failed"
        return msgspec.structs.replace(written, conference=state)

    async def _found(self, access: Access, place: Place, answer: Answer) -> bytes:
        """The body of a good answer about one event; a 404 may be the event's or the calendar's, which are told apart."""
        if answer.is_good:
            return answer.body
        error = self._judge(answer)
        if not isinstance(error, CalendarGone):
            raise error
        params = {"maxResults": "1", "fields": "timeZone"}
        self._good(await self._api.call(access, "GET", events_path(place.raw_calendar_id), params=params))
        raise EventGone(error.reason)

    def _page(self, body: bytes) -> WirePage:
        try:
            return read_page(body)
        except (*UNREADABLE, ValueError):
            raise TransientFault("a page cannot be read") from None

    def _good(self, answer: Answer) -> bytes:
        if not answer.is_good:
            raise self._judge(answer)
        return answer.body

    def _judge(self, answer: Answer) -> ProviderError:
        return judge_write(answer.status, answer.headers, answer.body, self._api.clock())


def _params(*, notify: bool, has_conference: bool) -> dict[str, str]:
    # Without the version Google takes a conference for a slip, and says nothing (events.insert).
    version = {"conferenceDataVersion": "1"} if has_conference else {}
    return {"sendUpdates": "all" if notify else "none", "fields": WRITTEN_FIELDS, **version}
