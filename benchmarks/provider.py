"""A provider and a receiver that cost the measured process nothing: every answer is prepared once, in a process apart.

    GET  /calendar/v3/calendars/{id}/events              the whole window: 200 events, gzip
    GET  /calendar/v3/calendars/{id}/events?syncToken=   nothing new, or now and then one event that moved
    GET  /v1.0/me/calendars/{id}/calendarView/delta      the same of Microsoft's: a page of 200, or nothing new
    PROPFIND, REPORT /dav/{id}/                          a CalDAV server that can sync-collection
    GET  /feed/{id}.ics                                  a feed; 304 to whoever names its etag
    POST /hook                                           a receiver of webhooks: 200, nothing more
    POST /hang                                           another, which takes everything and never answers

`tell` asks the process for its counts and, where an id leads from an answer to a webhook, for the time between the two.
"""

import argparse
import asyncio
import contextlib
import gzip
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from time import monotonic, time
from typing import Any, Final

import google_answers
import graph_answers
import icalendar_answers
import msgspec

VARIANTS: Final = 8
MOVES: Final = 64

_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HREF: Final = re.compile(rb"<D:href>([^<]*)")
_SENT: Final = re.compile(rb'"sent":([0-9.]+)')
_RECEIVES: Final = {b"/hook", b"/hang"}
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Told(msgspec.Struct):
    """What the process counted since it was last asked: `calls` to it as a provider, of them listings and unchanged deltas.

    `delays` are seconds from an answer with news to its webhook, or from the moment (of the monotonic clock, which all
    processes share) that a body names as `sent`; `starts` the moments (seconds of the epoch) at which each
    `meeting.starting` came.
    """

    calls: int = 0
    listings: int = 0
    deltas: int = 0
    changed: int = 0
    hooks: int = 0
    hung: int = 0
    delays: list[float] = []
    starts: list[float] = []


class Provider:
    """The process, as the benchmark sees it; `change_every` is how many unchanged answers one with news comes after."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.api_url = f"{self.url}/calendar/v3"
        self.graph_url = f"{self.url}/v1.0"
        self.hook_url = f"{self.url}/hook"
        self.hang_url = f"{self.url}/hang"

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


def _answer(body: bytes, *, packed: bool = True, kind: str = "application/json", status: str = "200 OK") -> bytes:
    content = gzip.compress(body, 6) if packed else body
    encoding = b"Content-Encoding: gzip\r\n" if packed else b""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}; charset=UTF-8\r\nServer: ESF\r\nVary: Origin\r\n".encode()
    return head + encoding + b"Content-Length: %d\r\n\r\n" % len(content) + content


class _Google:
    """Its listings and deltas; now and then a delta has news."""

    def __init__(self, now: datetime) -> None:
        encode = msgspec.json.encode
        self.listings = [_answer(encode(google_answers.listing(variant, now))) for variant in range(VARIANTS)]
        self.unchanged = _answer(encode(google_answers.delta(None, now)))
        self.moves = [_answer(encode(google_answers.delta(move, now))) for move in range(MOVES)]


class _Graph:
    """Its listings and deltas."""

    def __init__(self, now: datetime, url: str) -> None:
        encode, link = msgspec.json.encode, f"{url}/v1.0/me/calendars/work/calendarView/delta?$deltatoken=token-0"
        self.listings = [_answer(encode(graph_answers.listing(variant, now, link))) for variant in range(VARIANTS)]
        self.unchanged = _answer(encode(graph_answers.unchanged(link)))


class _Dav:
    """Its reports, and the properties of a collection."""

    def __init__(self, now: datetime) -> None:
        self.about = _multistatus(icalendar_answers.about())
        self.listings = [_multistatus(icalendar_answers.changes(variant)) for variant in range(VARIANTS)]
        self.unchanged = _multistatus(icalendar_answers.changes(None))
        self.resources = {
            href: _multistatus(body)
            for variant in range(VARIANTS)
            for href, body in icalendar_answers.resources(variant, now).items()
        }


def _multistatus(body: bytes) -> bytes:
    return _answer(body, packed=False, kind="application/xml", status="207 Multi-Status")


def _feed(text: bytes) -> bytes:
    answer = _answer(text, packed=False, kind="text/calendar")
    return answer.replace(b"Server: ESF", b'Server: ESF\r\nETag: "1"', 1)


class _Answers:
    """Everything that is ever answered, as the bytes that go out."""

    def __init__(self, now: datetime, url: str) -> None:
        self.google = _Google(now)
        self.graph = _Graph(now, url)
        self.dav = _Dav(now)
        self.feeds = [_feed(icalendar_answers.feed(variant, now)) for variant in range(VARIANTS)]
        self.same_feed = b'HTTP/1.1 304 Not Modified\r\nServer: ESF\r\nETag: "1"\r\n\r\n'
        self.taken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.told = Told()
        self.change_every = 0
        self.sent: dict[bytes, float] = {}
        self.moved = count()

    def of(self, head: bytes, body: bytes) -> bytes:
        line = head[: head.index(b"\r\n")]
        if b"/told?" in line:
            return self._tell(int(line.split()[1].partition(b"?")[2]))
        path = line.split(b" ", 2)[1]
        if path in _RECEIVES:
            return self._took(body) if path == b"/hook" else self._kept(body)
        self.told.calls += 1
        if path.startswith(b"/v1.0/"):
            return self._unchanged(self.graph) if b"deltatoken=" in path else self._listed(self.graph)
        if path.startswith(b"/dav/"):
            return self._of_dav(head, body)
        if path.startswith(b"/feed/"):
            return self._of_feed(head)
        return self._of_google(line)

    def _of_google(self, line: bytes) -> bytes:
        if b"syncToken=" not in line:
            return self._listed(self.google)
        answer = self._unchanged(self.google)
        if not self.change_every or self.told.deltas % self.change_every:
            return answer
        self.told.changed += 1
        found = _ID.search(line)
        assert found is not None
        self.sent[found[0]] = monotonic()
        return self.google.moves[next(self.moved) % MOVES]

    def _of_dav(self, head: bytes, body: bytes) -> bytes:
        if head.startswith(b"PROPFIND"):
            return self.dav.about
        if b"sync-collection" in body:
            return self._unchanged(self.dav) if b"token-0" in body else self._listed(self.dav)
        found = _HREF.search(body)
        assert found is not None
        return self.dav.resources[found[1]]

    def _of_feed(self, head: bytes) -> bytes:
        if b"if-none-match" in head.lower():
            self.told.deltas += 1
            return self.same_feed
        self.told.listings += 1
        return self.feeds[self.told.listings % VARIANTS]

    def _listed(self, answers: _Google | _Graph | _Dav) -> bytes:
        self.told.listings += 1
        return answers.listings[self.told.listings % VARIANTS]

    def _unchanged(self, answers: _Google | _Graph | _Dav) -> bytes:
        self.told.deltas += 1
        return answers.unchanged

    def _took(self, body: bytes) -> bytes:
        self.told.hooks += 1
        if body.startswith(b'{"type":"meeting.starting"'):
            self.told.starts.append(time())
        elif said := _SENT.search(body):
            self.told.delays.append(monotonic() - float(said[1]))
        else:
            for found in _ID.findall(body):
                if sent := self.sent.pop(found, None):
                    self.told.delays.append(monotonic() - sent)
        return self.taken

    def _kept(self, _: bytes) -> bytes:
        self.told.hung += 1
        return b""

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
            if not head.startswith(b"GET") and (found := _LENGTH.search(head)):
                length = int(found[1])
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._transport.write(self._answers.of(head, body))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    answers = _Answers(datetime.now(UTC), f"http://127.0.0.1:{port}")
    await loop.create_server(lambda: _Connection(answers), sock=listening)
    print(port, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def _main() -> None:
    import uvloop  # noqa: PLC0415  (the process that starts this one has no use for it)

    argparse.ArgumentParser(description=__doc__).parse_args()
    uvloop.run(_serve())


if __name__ == "__main__":
    _main()
