"""Meetings at Zoom (developers.zoom.us/docs/api/meetings) for events in calendars that are not Zoom's.

Zoom has no key against repeats: each meeting carries a marker of ours in its agenda, and where nobody knows whether one
was made, the lists are searched for it. A series has one meeting without a fixed time: its link is good for every
occurrence, wherever that moves, and none has to be followed at Zoom. `start_url`, with which whoever has it is the host,
is not read.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import msgspec

from service.core.connection import ZoomSettings
from service.core.drafts import Draft
from service.errors import EventGone, RequestRefused, TransientFault
from service.observability import METRICS
from service.providers.exchange import Answer, ask
from service.providers.protocol import Access
from service.providers.vevent.zones import recognise
from service.providers.zoom.answers import is_momentary, judge

API_URL: Final = "https://api.zoom.us/v2"
DEADLINE: Final = 20.0
LARGEST_ANSWER: Final = 4 * 1024 * 1024
PAGE_SIZE: Final = 300
MOST_PAGES: Final = 20
LONGEST_TOPIC: Final = 200
LONGEST_DURATION: Final = 24 * 60
QPS_WAIT: Final = 1.2
"""Seconds before the one repeat of a request for which only this second's share was used up."""

LISTS: Final = ("upcoming", "scheduled")
"""Where a meeting may be listed: one without a fixed time is none of those that are coming up."""

SCHEDULED: Final = 2
WITHOUT_TIME: Final = 3


class Meeting(msgspec.Struct, frozen=True, kw_only=True):
    """A meeting as Zoom made it. `overridden` names the settings that are not as was asked, by the account's policy."""

    id: str
    join_url: str
    passcode: str | None = None
    overridden: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Meeting(id={self.id!r})"


class _Row(msgspec.Struct, gc=False):
    """What is read of a meeting, and no more."""

    id: int | str = ""
    join_url: str | None = None
    password: str | None = None
    agenda: str | None = None
    created_at: str | None = None
    settings: dict[str, Any] | None = None


class _Page(msgspec.Struct, gc=False):
    meetings: list[_Row] = []
    next_page_token: str | None = None


_row: Final = msgspec.json.Decoder(_Row)
_page: Final = msgspec.json.Decoder(_Page)


class ZoomMeetings:
    """The meetings of the user whose access it is. `clock` answers the present moment (UTC).

    Every call raises AccessRejected, ScopeMissing, GrantRejected (the user is gone), Throttled (a user's share of a day
    is a hundred meetings made or changed), RequestRefused and TransientFault.
    """

    def __init__(
        self,
        api_url: str = API_URL,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: float = QPS_WAIT,
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._clock = clock
        self._wait = wait

    async def create(
        self, access: Access, draft: Draft, *, key: str, settings: ZoomSettings, is_first: bool = False
    ) -> Meeting:
        """A meeting for an event, once for each `key` (a UUID in hex), however often it is asked for.

        `is_first` says that nobody has asked with this key before, which saves a look. After TransientFault nobody knows
        whether it was made: the same call again finds that out.
        """
        found = None if is_first else await self.find(access, key)
        if found is not None:
            return found
        body = {**_body(draft, settings), "agenda": _marker(key)}
        try:
            answer = await self._call(access, "POST", "/users/me/meetings", body)
        except TransientFault:
            answer = None
        if answer is None or answer.status >= 500:
            found = await self.find(access, key)
            if found is not None:
                return found
            if answer is None:
                # It may yet be made: whoever comes again looks again.
                raise TransientFault("zoom: no answer")
            answer = await self._call(access, "POST", "/users/me/meetings", body)
        return _read_meeting(self._good(answer), settings)

    async def change(self, access: Access, meeting_id: str, draft: Draft, *, settings: ZoomSettings) -> None:
        """Make a meeting as the event now is. Raises EventGone when there is none any more."""
        self._good(await self._call(access, "PATCH", _path(meeting_id), _body(draft, settings)))

    async def remove(self, access: Access, meeting_id: str) -> None:
        """Delete a meeting, without mail from Zoom; one that is gone already is a success."""
        query = urlencode({"schedule_for_reminder": "false", "cancel_meeting_reminder": "false"})
        try:
            self._good(await self._call(access, "DELETE", f"{_path(meeting_id)}?{query}"))
        except EventGone:
            return

    async def withdraw(self, access: Access, *, key: str) -> None:
        """See to it that what `create` may have made with this key is gone."""
        async for row in self._marked(access, key):
            await self.remove(access, str(row.id))

    async def find(self, access: Access, key: str) -> Meeting | None:
        """The meeting that was made with a key, the first where it has come to several."""
        rows = [row async for row in self._marked(access, key)]
        if not rows:
            return None
        first = min(rows, key=lambda row: (row.created_at or "", str(row.id)))
        # A list leaves out the passcode, and some fields of it.
        return await self.read(access, str(first.id))

    async def read(self, access: Access, meeting_id: str) -> Meeting:
        """Raises EventGone."""
        answer = await self._call(access, "GET", _path(meeting_id))
        return _read_meeting(self._good(answer), ZoomSettings())

    async def _marked(self, access: Access, key: str) -> AsyncIterator[_Row]:
        seen: set[str] = set()
        for kind in LISTS:
            token = ""
            for _ in range(MOST_PAGES):
                query = urlencode({"type": kind, "page_size": PAGE_SIZE, "next_page_token": token})
                page = _decoded(_page, self._good(await self._call(access, "GET", f"/users/me/meetings?{query}")))
                for row in page.meetings:
                    # A list cuts an agenda off after 250 characters.
                    if str(row.id) not in seen and _marker(key) in (row.agenda or ""):
                        seen.add(str(row.id))
                        yield row
                token = page.next_page_token or ""
                if not token:
                    break
            else:
                raise TransientFault("zoom: the pages do not end")

    async def _call(self, access: Access, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        answer = await self._send(access, method, path, body)
        if is_momentary(answer):
            await asyncio.sleep(self._wait)
            answer = await self._send(access, method, path, body)
        return answer

    async def _send(self, access: Access, method: str, path: str, body: dict[str, Any] | None) -> Answer:
        await access.take_turn(self._clock)
        outcome = "no_answer"
        try:
            answer = await ask(
                access.http,
                method,
                f"{self._api_url}{path}",
                headers={"authorization": f"Bearer {access.token}"},
                json=body,
                limit=LARGEST_ANSWER,
                deadline=DEADLINE,
            )
            outcome = "ok" if answer.is_good else str(answer.status)
        finally:
            METRICS.called("zoom", outcome)
        return answer

    def _good(self, answer: Answer) -> Answer:
        if not answer.is_good:
            raise judge(answer, self._clock())
        return answer


def _body(draft: Draft, settings: ZoomSettings) -> dict[str, Any]:
    """A meeting as Zoom writes it: its start on the wall clock of the event's zone, its length in minutes."""
    wished = {name: value for name, value in msgspec.structs.asdict(settings).items() if value is not None}
    topic = " ".join((draft.title or "").split())[:LONGEST_TOPIC] or "Meeting"
    body: dict[str, Any] = {"topic": topic, **({"settings": wished} if wished else {})}
    if draft.recurrence:
        return {**body, "type": WITHOUT_TIME}
    zone = recognise(draft.time_zone) if draft.time_zone else None
    start, end = draft.starts_at, draft.ends_at
    if start is None and draft.start_date is not None:
        first, last = draft.start_date, draft.end_date or draft.start_date
        start = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone) if zone else UTC)
        end = datetime(last.year, last.month, last.day, tzinfo=start.tzinfo)
    if start is None:
        raise RequestRefused("a meeting without a start")
    minutes = math.ceil(((end or start) - start).total_seconds() / 60)
    body |= {"type": SCHEDULED, "duration": min(max(minutes, 1), LONGEST_DURATION)}
    if zone is None:
        return {**body, "start_time": f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return {**body, "start_time": f"{start.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M:%S}", "timezone": zone}


def _read_meeting(answer: Answer, wished: ZoomSettings) -> Meeting:
    row = _decoded(_row, answer)
    if not str(row.id) or not row.join_url:
        raise TransientFault("zoom: a meeting without a link")
    settings = row.settings or {}
    asked = {name: value for name, value in msgspec.structs.asdict(wished).items() if value is not None}
    overridden = tuple(sorted(name for name, value in asked.items() if name in settings and settings[name] != value))
    return Meeting(id=str(row.id), join_url=row.join_url, passcode=row.password or None, overridden=overridden)


def _decoded(decoder: "msgspec.json.Decoder[Any]", answer: Answer) -> Any:
    try:
        return decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransientFault("zoom: the answer cannot be read") from None


def _path(meeting_id: str) -> str:
    return f"/meetings/{quote(meeting_id, safe='')}"


def _marker(key: str) -> str:
    return f"calgate:{key}"
