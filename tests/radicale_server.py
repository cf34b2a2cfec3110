"""Radicale, a real CalDAV server, on loopback, and a hand that writes into its calendars as other clients do."""

import base64
import contextlib
import io
import sys
import threading
from asyncio import StreamWriter, to_thread
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from providers.loopback import response, serve_script
from radicale import config
from radicale.app import Application

from service.providers.addresses import Policy

LOOPBACK = Policy(allow_networks=(ip_network("127.0.0.0/8"),))
USER, PASSWORD = "ada@example.com", "opensesame"
PARIS = "BEGIN:VTIMEZONE\r\nTZID:Europe/Paris\r\nBEGIN:STANDARD\r\nDTSTART:19701025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\nDTSTART:19700329T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE"

Answer = tuple[int, dict[str, str], bytes]
Fault = Callable[[str, str, bytes, StreamWriter], bool]
"""Of method, path and body; True when it has written the answer, or will not."""


class RadicaleServer:
    """One server with one user; `faults` see each request first, `asked` is what came over the network, `rewritten` what answers say instead."""

    def __init__(self, folder: Path) -> None:
        users = folder / "users"
        users.write_text(f"{USER}:{PASSWORD}\n")
        settings = {
            "auth": {"type": "htpasswd", "htpasswd_filename": str(users), "htpasswd_encryption": "plain", "delay": "0"},
            "storage": {"filesystem_folder": str(folder / "collections"), "_filesystem_fsync": "False"},
            "logging": {"level": "critical"},
        }
        configuration = config.load()
        configuration.update(settings, "test", privileged=True)
        self._app = Application(configuration)
        self._lock = threading.Lock()
        self.users = users
        self.url = ""
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, str]] = []
        self.rewritten: dict[bytes, bytes] = {}
        self.rewritten_headers: dict[str, str | None] = {}

    def call(self, method: str, path: str, body: bytes = b"", *, login: bool = True, **headers: str) -> Answer:
        """One request within the process; the answer whatever its status."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SCRIPT_NAME": "",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            key = name.upper().replace("-", "_")
            environ[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        if login and "HTTP_AUTHORIZATION" not in environ:
            token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            environ["HTTP_AUTHORIZATION"] = f"Basic {token}"
        told: list[Any] = []
        with self._lock:
            parts = self._app(environ, lambda status, given, _=None: told.extend([status, given]))
            return int(told[0][:3]), dict(told[1]), b"".join(parts)

    def done(self, method: str, path: str, body: str = "", **headers: str) -> Answer:
        """The same of a request that must succeed."""
        answer = self.call(method, path, body.encode(), **headers)
        assert answer[0] < 300, answer
        return answer

    def add_calendar(self, path: str, name: str, *, time_zone: str | None = PARIS, components: str = "VEVENT") -> str:
        """A calendar at this path: its address."""
        zone = f"<C:calendar-timezone>BEGIN:VCALENDAR\r\n{time_zone}\r\nEND:VCALENDAR</C:calendar-timezone>"
        self.done(
            "MKCALENDAR",
            path,
            f"""<?xml version="1.0"?><C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
            <D:displayname>{name}</D:displayname>{zone if time_zone else ""}
            <C:supported-calendar-component-set><C:comp name="{components}"/></C:supported-calendar-component-set>
            </D:prop></D:set></C:mkcalendar>""",
        )
        return f"{self.url}{path}"

    def put(self, path: str, *events: str) -> None:
        body = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//tests//EN", *events, "END:VCALENDAR", ""])
        self.done("PUT", path, body, content_type="text/calendar")

    async def answer(self, request: bytes, writer: StreamWriter) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split(" ")
        self.asked.append((method, path))
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if any(fault(method, path, body, writer) for fault in self.faults):
            return
        status, told, answered = await to_thread(self.call, method, unquote(path), body, login=False, **headers)
        for was, becomes in self.rewritten.items():
            answered = answered.replace(was, becomes)
        for name, becomes_header in self.rewritten_headers.items():
            if name in told:
                told[name] = (becomes_header or "").replace("{}", told[name])
        told = {
            name.replace("-", "_"): value for name, value in told.items() if name.lower() != "content-length" and value
        }
        writer.write(response(answered, status, **told))


@asynccontextmanager
async def serve_radicale(folder: Path) -> AsyncIterator[RadicaleServer]:
    server = RadicaleServer(folder)
    async with serve_script(server.answer) as served:
        server.url = served.url
        yield server


def stamp(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


class Hand:
    """Writes events as a client does: a series is one resource with its overrides."""

    def __init__(self, server: RadicaleServer, folder: str) -> None:
        self.server = server
        self.folder = folder
        self.kept: dict[str, dict[str, Any]] = {}
        self.count = 0

    def add(self, title: str, start: datetime, minutes: int = 60, **more: Any) -> str:
        self.count += 1
        path = f"{self.folder}{self.count}.ics"
        self.kept[path] = {
            "uid": f"event-{self.count}-of-{self.folder.strip('/').replace('/', '-')}@example.com",
            "title": title,
            "start": start,
            "end": start + timedelta(minutes=minutes),
            "rule": None,
            "out": [],
            "changed": {},
            "lines": [],
            **more,
        }
        self.save(path)
        return path

    def add_days(self, title: str, first: date, last: date) -> str:
        return self.add(title, datetime(1, 1, 1, tzinfo=UTC), days=(first, last))

    def add_series(self, title: str, start: datetime, count: int, freq: str = "WEEKLY") -> str:
        return self.add(title, start, rule=f"FREQ={freq};COUNT={count}")

    def rename(self, event_id: str, title: str) -> None:
        event, slot = self.find(event_id)
        if slot is None:
            event["title"] = title
        else:
            event["changed"].setdefault(slot, {})["title"] = title
        self.save(event_id)

    def move(self, event_id: str, minutes: int) -> None:
        event, slot = self.find(event_id)
        by = timedelta(minutes=minutes)
        if slot is None:
            event["start"] += by
            event["end"] += by
            event["changed"], event["out"] = {}, []
        else:
            event["changed"].setdefault(slot, {})["start"] = datetime.strptime(slot, "%Y%m%dT%H%M%S%z") + by
        self.save(event_id)

    def cancel(self, event_id: str) -> None:
        event, slot = self.find(event_id)
        if slot is None:
            self.server.done("DELETE", event_id)
            del self.kept[event_id]
        else:
            event["changed"].pop(slot, None)
            event["out"].append(slot)
            self.save(event_id)

    def find(self, event_id: str) -> tuple[dict[str, Any], str | None]:
        path, _, slot = event_id.partition("#")
        return self.kept[path], slot or None

    def save(self, event_id: str) -> None:
        path = event_id.partition("#")[0]
        self.server.put(path, *self.written(self.kept[path]))

    def written(self, event: dict[str, Any]) -> list[str]:
        if days := event.get("days"):
            times = [f"DTSTART;VALUE=DATE:{days[0]:%Y%m%d}", f"DTEND;VALUE=DATE:{days[1]:%Y%m%d}"]
        else:
            times = [f"DTSTART:{stamp(event['start'])}", f"DTEND:{stamp(event['end'])}"]
        rules = [f"RRULE:{event['rule']}"] if event["rule"] else []
        rules += [f"EXDATE:{slot}" for slot in event["out"]]
        written = [self.component(event, event["title"], [*times, *rules])]
        for slot, changed in event["changed"].items():
            start = changed.get("start") or datetime.strptime(slot, "%Y%m%dT%H%M%S%z")
            end = start + (event["end"] - event["start"])
            times = [f"RECURRENCE-ID:{slot}", f"DTSTART:{stamp(start)}", f"DTEND:{stamp(end)}"]
            written.append(self.component(event, changed.get("title") or event["title"], times))
        return written

    def component(self, event: dict[str, Any], title: str, lines: list[str]) -> str:
        named = [f"UID:{event['uid']}", "DTSTAMP:20260302T090000Z", f"SUMMARY:{title}"]
        return "\r\n".join(["BEGIN:VEVENT", *named, *lines, *event["lines"], "END:VEVENT"])


def drop_sync_tokens(folder: Path) -> None:
    """As a server does whose history is swept."""
    for cache in folder.rglob(".Radicale.cache"):
        for token in cache.glob("sync-token/*"):
            with contextlib.suppress(FileNotFoundError):
                token.unlink()
