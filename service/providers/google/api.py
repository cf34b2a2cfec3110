"""Asking the Calendar API: what every request carries, and how ids become paths."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from service.errors import CalendarGone
from service.observability import METRICS
from service.providers.exchange import Answer, ask
from service.providers.protocol import Access

HEADERS: Final = {"accept-encoding": "gzip", "user-agent": "calgate (gzip)"}
"""Google compresses only when both say gzip (guides/performance)."""


class CalendarApi:
    """The Calendar API at one address; `clock` answers the present moment (UTC), against which a Retry-After is reckoned."""

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._url = url.rstrip("/")

    async def call(
        self,
        access: Access,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        if_match: str | None = None,
    ) -> Answer:
        """One request and its answer, of any status. `path` is escaped already, `if_match` the etag that must hold."""
        await access.take_turn(self.clock)
        outcome = "no_answer"
        condition = {"if-match": if_match} if if_match else {}
        try:
            answer = await ask(
                access.http,
                method,
                self._url + path,
                params={"prettyPrint": "false", **(params or {})},
                headers={**HEADERS, **condition, "authorization": f"Bearer {access.token}"},
                json=json,
            )
            outcome = "ok" if answer.is_good else str(answer.status)
        finally:
            METRICS.called("google", outcome)
        return answer


def events_path(raw_calendar_id: str) -> str:
    """The path of a calendar's events."""
    return f"/calendars/{segment(raw_calendar_id)}/events"


def segment(identifier: str) -> str:
    """An id as a part of a path. Raises CalendarGone for what would lead to another resource."""
    # "." and ".." cannot be escaped in a path.
    if identifier in {"", ".", ".."}:
        raise CalendarGone("not an id")
    return quote(identifier, safe="")
