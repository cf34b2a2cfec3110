"""A CalDAV server that answers what a test has written down for it, and remembers what it was asked."""

import base64
from asyncio import StreamWriter
from collections.abc import Callable
from typing import NamedTuple
from xml.sax.saxutils import escape

from loopback import response

SPACES = (
    'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav" xmlns:s="http://calendarserver.org/ns/" '
    'xmlns:a="http://apple.com/ns/ical/" xmlns:n="http://nextcloud.com/ns"'
)
BASIC = "Basic " + base64.b64encode(b"ada:opensesame").decode()


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: str


Answering = bytes | Callable[[Asked], bytes]


class ScriptedServer:
    """`answers` by method and path, or by path alone; a list is used up one by one, its last for ever. Else 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answering | list[Answering]] = {}
        self.asked: list[Asked] = []

    async def answer(self, request: bytes, writer: StreamWriter) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        asked = Asked(method, path, headers, body.decode())
        self.asked.append(asked)
        found = self.answers.get(f"{method} {path}", self.answers.get(path, response(b"", 404)))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        writer.write(found(asked) if callable(found) else found)

    @property
    def methods(self) -> list[str]:
        return [each.method for each in self.asked]


def row(href: str, properties: str = "", status: str = "") -> str:
    found = f"<d:propstat><d:prop>{properties}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
    whole = f"<d:status>HTTP/1.1 {status} X</d:status>" if status else found
    return f"<d:response><d:href>{escape(href)}</d:href>{whole}</d:response>"


def multistatus(*rows: str, token: str | None = None) -> bytes:
    told = f"<d:sync-token>{token}</d:sync-token>" if token else ""
    body = f'<?xml version="1.0"?><d:multistatus {SPACES}>{"".join(rows)}{told}</d:multistatus>'
    return response(body.encode(), 207, content_type="application/xml")


def refusal(status: int, condition: str) -> bytes:
    return response(f"<d:error {SPACES}><{condition}/></d:error>".encode(), status)


def redirect(status: int, target: str) -> bytes:
    return response(b"", status, location=target)


def calendar(name: str, extra: str = "", kind: str = "<c:calendar/>") -> str:
    return f"<d:resourcetype><d:collection/>{kind}</d:resourcetype><d:displayname>{name}</d:displayname>{extra}"


def event(number: int, *, day: int = 3, more: str = "") -> str:
    return (
        f"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:event-{number}@example.com\nDTSTAMP:20260301T000000Z\n"
        f"DTSTART:202603{day:02}T100000Z\nDTEND:202603{day:02}T110000Z\nSUMMARY:event {number}\n{more}END:VEVENT\nEND:VCALENDAR\n"
    )


def data(number: int, **more: str) -> str:
    return f'<d:getetag>"{number}"</d:getetag><c:calendar-data>{escape(event(number, **more))}</c:calendar-data>'
