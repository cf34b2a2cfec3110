"""A provider and a receiver that cost the measured process nothing: every answer is prepared once, in a process apart.

    GET  /calendar/v3/calendars/{id}/events              the whole window: 200 events, gzip
    GET  /calendar/v3/calendars/{id}/events?syncToken=   nothing new, or now and then one event that moved
    POST /hook                                           a receiver of webhooks: 200, nothing more

`tell` asks the process for its counts and, where an id leads from an answer to a webhook, for the time between the two.
"""

import argparse
import asyncio
import contextlib
import gzip
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic, time
from typing import Any, Final

import msgspec

EVENTS: Final = 200
VARIANTS: Final = 8
MOVES: Final = 64

_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LETTERS: Final = str.maketrans("0123456789", "abcdefghij")
"""Google's codes are of letters alone."""
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Told(msgspec.Struct):
    """What the process counted since it was last asked.

    `delays` are seconds from an answer with news to its webhook, `starts` the moments (seconds of the epoch) at which each
    `meeting.starting` came.
    """

    listings: int = 0
    deltas: int = 0
    changed: int = 0
    hooks: int = 0
    delays: list[float] = []
    starts: list[float] = []


class Provider:
    """The process, as the benchmark sees it; `change_every` is how many unchanged answers one with news comes after."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = f"{self.url}/calendar/v3"
        self.hook_url = f"{self.url}/hook"

    def tell(self, change_every: int = 0) -> Told:
        """What happened since the last time; from now on each `change_every`-th delta has news (0: none has)."""
        with urllib.request.urlopen(f"{self.url}/told?{change_every}") as answer:  # noqa: S310  (our own)
            return msgspec.json.decode(answer.read(), type=Told)


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """A provider in a process of its own."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield Provider(int(process.stdout.readline()))
    finally:
        process.stdin.close()  # it ends with us, however we end
        process.wait(10)
        process.stdout.close()


def event(number: int, starts_at: datetime) -> dict[str, Any]:
    """A row of Google's as `fields=` leaves it: a meeting with a link, eight guests and half a page of text."""
    guests = [
        {"email": f"guest{number}.{who}@example.com", "displayName": f"Guest {who}", "responseStatus": "needsAction"}
        for who in range(7)
    ]
    me = {"email": "owner@example.com", "self": True, "organizer": True, "responseStatus": "accepted"}
    ends_at = starts_at + timedelta(minutes=30)
    link = f"https://meet.google.com/abc-defg-{str(number % 1000).zfill(3).translate(_LETTERS)}"
    return {
        "id": f"event{number:06d}abcdefghij",
        "status": "confirmed",
        "iCalUID": f"event{number:06d}abcdefghij@google.com",
        "htmlLink": f"https://www.google.com/calendar/event?eid={_prose(number, 48).replace(' ', 'x')}",
        "summary": f"Planning number {number}",
        "description": f"Agenda of meeting {number}: {_prose(number, 300)}",
        "location": "Room 4, second floor",
        "start": {"dateTime": starts_at.isoformat().replace("+00:00", "Z"), "timeZone": "Europe/Berlin"},
        "end": {"dateTime": ends_at.isoformat().replace("+00:00", "Z"), "timeZone": "Europe/Berlin"},
        "organizer": {"email": "owner@example.com", "self": True},
        "attendees": [me, *guests],
        "eventType": "default",
        "hangoutLink": link,
        "conferenceData": {"entryPoints": [{"entryPointType": "video", "uri": link}]},
    }


def _prose(number: int, letters: int) -> str:
    """Text that packs about as well as what people write: the same for the same number."""
    return "".join(random.Random(number).choices("etaoinshrdlucmfw     ", k=letters))


def listing(variant: int, now: datetime) -> dict[str, Any]:
    """A whole window: 200 events over the next four weeks."""
    start = now.replace(minute=0, second=0, microsecond=0)
    items = [
        event(variant * 1000 + place, start + timedelta(hours=1 + place * 3, minutes=variant))
        for place in range(EVENTS)
    ]
    return {"timeZone": "Europe/Berlin", "nextSyncToken": "token-0", "items": items}


def delta(move: int | None, now: datetime) -> dict[str, Any]:
    """What came since: nothing, or one event that is now at another time."""
    moved = [] if move is None else [event(999_999, now.replace(microsecond=0) + timedelta(days=2, minutes=move))]
    return {"timeZone": "Europe/Berlin", "nextSyncToken": f"token-{move or 0}", "items": moved}


def _answer(body: bytes, *, packed: bool = True) -> bytes:
    content = gzip.compress(body, 6) if packed else body
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=UTF-8\r\nServer: ESF\r\nVary: Origin\r\n"
    return head + encoding + b"Content-Length: %d\r\n\r\n" % len(content) + content


class _Answers:
    """Everything that is ever answered, as the bytes that go out."""

    def __init__(self, now: datetime) -> None:
        encode = msgspec.json.encode
        self.listings = [_answer(encode(listing(variant, now))) for variant in range(VARIANTS)]
        self.unchanged = _answer(encode(delta(None, now)))
        self.moves = [_answer(encode(delta(move, now))) for move in range(MOVES)]
        self.taken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.told = Told()
        self.change_every = 0
        self.sent: dict[bytes, float] = {}
        self.moved = count()

    def of(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"POST"):
            self._took(body)
            return self.taken
        line = head[: head.index(b"\r\n")]
        if b"/told?" in line:
            return self._tell(int(line.split()[1].partition(b"?")[2]))
        if b"syncToken=" not in line:
            self.told.listings += 1
            return self.listings[self.told.listings % VARIANTS]
        self.told.deltas += 1
        if not self.change_every or self.told.deltas % self.change_every:
            return self.unchanged
        self.told.changed += 1
        found = _ID.search(line)
        assert found is not None
        self.sent[found[0]] = monotonic()
        return self.moves[next(self.moved) % MOVES]

    def _took(self, body: bytes) -> None:
        self.told.hooks += 1
        if body.startswith(b'{"type":"meeting.starting"'):
            self.told.starts.append(time())
            return
        for found in _ID.findall(body):
            if sent := self.sent.pop(found, None):
                self.told.delays.append(monotonic() - sent)

    def _tell(self, change_every: int) -> bytes:
        told, self.told, self.change_every = self.told, Told(), change_every
        self.sent.clear()
        return _answer(msgspec.json.encode(told), packed=False)


class _Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, and nothing of it that a client here does not use."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers
        self._received = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, length = self._received[: end + 2], 0
            if head.startswith(b"POST") and (found := _LENGTH.search(head)):
                length = int(found[1])
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._transport.write(self._answers.of(head, body))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    answers = _Answers(datetime.now(UTC))
    server = await loop.create_server(lambda: _Connection(answers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _main() -> None:
    import uvloop  # noqa: PLC0415  (the process that starts this one has no use for it)

    argparse.ArgumentParser(description=__doc__).parse_args()
    uvloop.run(_serve())


if __name__ == "__main__":
    _main()
