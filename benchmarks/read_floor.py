"""The floor of `read.py`: a bare ASGI application, the raw driver, the same question, the same answer.

To be run as a program: URL PORT PROJECT FROM UNTIL.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg  # type: ignore[import-untyped]
import msgspec
import uvicorn

HALF = """
SELECT * FROM (SELECT starts_at, meeting_key, body, calendar_id, EXISTS (SELECT 1 FROM events o
    WHERE o.project_id = {project} AND o.meeting_key = e.meeting_key AND o.is_meeting IS {yes} AND o.id <> e.id) AS shared
  FROM events e WHERE project_id = {project} AND is_meeting IS {yes} AND starts_at < {until} AND ends_at > {start}
  AND {part} AND response_status IS DISTINCT FROM 'declined' AND NOT EXISTS (SELECT 1 FROM events o
    WHERE o.project_id = {project} AND o.meeting_key = e.meeting_key AND o.is_meeting IS {yes}
    AND (o.rank, o.id) < (e.rank, e.id))
  ORDER BY starts_at, meeting_key LIMIT 101) AS half
"""
LEADS = f"""
SELECT b.meeting_key, b.body, b.shared, c.status, c.email FROM (
  {HALF.replace("{part}", "is_long IS {yes} AND starts_at < {recent}")}
  UNION ALL
  {HALF.replace("{part}", "starts_at >= {recent}")}
) AS b JOIN calendars c ON c.id = b.calendar_id ORDER BY b.starts_at, b.meeting_key LIMIT 101
"""  # noqa: S608  (both halves are above)


class Copy(msgspec.Struct, gc=False):
    """One copy of a meeting."""

    event_id: Any
    calendar_id: Any
    calendar_status: str
    email: str | None
    response_status: str | None


class Lead(msgspec.Struct, gc=False):
    """The part of an event that the answer repeats."""

    id: msgspec.Raw
    calendar_id: msgspec.Raw
    meeting: msgspec.Raw
    starts_at: msgspec.Raw
    title: msgspec.Raw
    response_status: str | None


class Shown(msgspec.Struct, gc=False):
    """One row of the answer."""

    meeting_key: str
    meeting: msgspec.Raw
    starts_at: msgspec.Raw
    title: msgspec.Raw
    lead: msgspec.Raw
    copies: list[Copy]


class Answer(msgspec.Struct, gc=False):
    """The answer."""

    data: list[Shown]


decode = msgspec.json.Decoder(Lead).decode
encode = msgspec.json.Encoder().encode


def answer(leads: list[Any]) -> bytes:
    """The rows as one JSON."""
    shown = []
    for key, body, _shared, status, email in leads:
        raw = body.encode()
        lead = decode(raw)
        copy = Copy(lead.id, lead.calendar_id, status, email, lead.response_status)
        shown.append(Shown(key, lead.meeting, lead.starts_at, lead.title, msgspec.Raw(raw), [copy]))
    return encode(Answer(shown))


def sqlite_reader(url: str, project: str, start: datetime, until: datetime) -> Callable[[], Awaitable[bytes]]:
    """Questions by sqlite3, on the event loop."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    form = "%Y-%m-%d %H:%M:%S.%f"
    recent = start - timedelta(hours=2)
    given = {"project": project, "recent": recent.strftime(form), "start": start.strftime(form)}
    given["until"] = until.strftime(form)
    first = LEADS.format(yes=1, **{name: f":{name}" for name in given}).replace("IS DISTINCT FROM", "IS NOT")

    async def read() -> bytes:
        return answer(connection.execute(first, given).fetchall()[:100])

    return read


def postgresql_reader(url: str, project: str, start: datetime, until: datetime) -> Callable[[], Awaitable[bytes]]:
    """Questions by asyncpg, over a few connections."""
    recent = start - timedelta(hours=2)
    first = LEADS.format(yes="true", project="$1", recent="$2", start="$3", until="$4")
    opening: list[asyncio.Task[Any]] = []

    async def read() -> bytes:
        if not opening:
            opening.append(asyncio.create_task(asyncpg.create_pool(url, min_size=8, max_size=8)._async__init__()))
        pool = await opening[0]
        async with pool.acquire() as connection:
            return answer((await connection.fetch(first, UUID(project), recent, start, until))[:100])

    return read


def application(read: Callable[[], Awaitable[bytes]]) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """Every path answers the same."""

    async def answer_request(_scope: Any, _receive: Any, send: Any) -> None:
        body = await read()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer_request


if __name__ == "__main__":
    url, port, project, start, until = sys.argv[1:]
    make = sqlite_reader if url.startswith("sqlite") else postgresql_reader
    read = make(url, project, datetime.fromisoformat(start), datetime.fromisoformat(until))
    uvicorn.run(application(read), port=int(port), log_level="critical", access_log=False, lifespan="off")
