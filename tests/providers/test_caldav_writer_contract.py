"""CalDAV against the contract of writers: over real sockets, to Radicale."""

import re
from asyncio import StreamWriter
from collections.abc import Callable

import pytest
from contracts.provider_contract import NOW
from contracts.race_contract import RaceContract
from contracts.series_contract import SeriesContract
from contracts.writer_contract import WriterContract
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import LOOPBACK, PASSWORD, USER, RadicaleServer, serve_radicale

from service.core.credentials import CaldavCredentials
from service.providers.caldav.client import CaldavCalendar
from service.providers.caldav.writing import CaldavWriter
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.vevent.expansion import Expander

FOLDER = f"/{USER}/work/"


class CaldavWriterPeer:
    """Radicale sends no mail, and one user may write wherever he may read."""

    read_only_id = None
    conference = None
    foreign_conference = "google_meet"
    always_mails = False
    tells = False
    has_scopes = False

    def __init__(self, server: RadicaleServer, expander: Expander, http) -> None:
        self.server = server
        self.calendar_id = server.add_calendar(FOLDER, "Work")
        self.provider = CaldavCalendar(expander, LOOPBACK, clock=lambda: NOW)
        self.writer = CaldavWriter(expander, LOOPBACK, clock=lambda: NOW)
        credentials = CaldavCredentials(server_url=server.url, username=USER, password=PASSWORD)
        self.access = Access(http=http, token=credentials.secret, client_key="client", user_key="user", email=USER)

    def count(self) -> int:
        return self.server.done("PROPFIND", FOLDER, depth="1")[2].count(b".ics</href>")

    def told(self) -> list[tuple[str, str]]:
        return []

    def reminders(self, event_id: str) -> list[int]:
        return [int(minutes) for minutes in re.findall(r"TRIGGER:-PT(\d+)M", self.text(event_id))]

    def rename(self, event_id: str, title: str) -> None:
        self.replace(event_id, r"SUMMARY:.*", f"SUMMARY:{title}")

    def erase(self, event_id: str) -> None:
        self.server.done("DELETE", event_id)

    def answer(self, event_id: str, email: str) -> None:
        self.replace(event_id, rf"PARTSTAT=NEEDS-ACTION(.*:mailto:{re.escape(email)})", r"PARTSTAT=ACCEPTED\1")

    def lose_answer(self) -> None:
        self.spoil_write(is_carried_out=True)

    def refuse_once(self) -> None:
        self.spoil_write(is_carried_out=False)

    def remove_calendar(self) -> None:
        self.server.done("DELETE", FOLDER)

    def before_write(self, act: Callable[[], None]) -> None:
        def fault(method: str, path: str, body: bytes, writer: StreamWriter) -> bool:
            if method in {"PUT", "DELETE"}:
                self.server.faults.remove(fault)
                act()
            return False

        self.server.faults.append(fault)

    def text(self, event_id: str) -> str:
        return self.server.done("GET", event_id)[2].decode().replace("\r\n ", "")

    def replace(self, event_id: str, pattern: str, by: str) -> None:
        text, count = re.subn(pattern, by, self.text(event_id))
        assert count == 1
        self.server.done("PUT", event_id, text, content_type="text/calendar")

    def spoil_write(self, *, is_carried_out: bool) -> None:
        def fault(method: str, path: str, body: bytes, writer: StreamWriter) -> bool:
            if method not in {"PUT", "DELETE"}:
                return False
            self.server.faults.remove(fault)
            if is_carried_out:
                more = {"content_type": "text/calendar"} if method == "PUT" else {}
                self.server.done(method, path.replace("%40", "@"), body.decode(), **more)
                writer.close()
            else:
                writer.write(response(b"", 503))
            return True

        self.server.faults.append(fault)


@pytest.fixture
async def peer(anyio_backend, tmp_path):
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1) as expander, serve_radicale(tmp_path) as server, slots.borrow() as http:
        yield CaldavWriterPeer(server, expander, http)
    await slots.aclose()


class TestCaldavWrites(WriterContract):
    pass


class TestCaldavSeries(SeriesContract):
    pass


class TestCaldavRaces(RaceContract):
    pass
