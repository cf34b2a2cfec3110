"""CalDAV against the provider contract: over real sockets, to Radicale, with faults written between the two."""

from asyncio import StreamWriter
from datetime import timedelta
from pathlib import Path

import pytest
from contracts.provider_contract import NOW, ZONE, Peer, ProviderContract, read_pages
from forked_expander import ForkedExpander
from providers.loopback import response
from radicale_server import LOOPBACK, PASSWORD, USER, Hand, RadicaleServer, drop_sync_tokens, serve_radicale

from service.core.credentials import CaldavCredentials, OAuthClient
from service.errors import GrantRejected
from service.providers.caldav.client import CaldavCalendar
from service.providers.guarded_http import Slots
from service.providers.protocol import Access
from service.providers.vevent.expansion import Expander

HOME = f"/{USER}/"


class CaldavPeer(Hand):
    listed_zone = ZONE
    greetings = 0
    push = None
    push_address = ""

    def __init__(self, server: RadicaleServer, folder: Path, expander: Expander) -> None:
        super().__init__(server, f"{HOME}work/")
        self.storage = folder
        self.calendar_id = server.add_calendar(self.folder, "Work")
        self.unwatchable_id = server.add_calendar(f"{HOME}zoo/", "Zoo")
        self.unknown_id = f"{HOME}work/neverheardof.ics"
        self.provider = CaldavCalendar(expander, LOOPBACK, clock=lambda: NOW)
        credentials = CaldavCredentials(server_url=server.url, username=USER, password=PASSWORD)
        self.client: OAuthClient = credentials.client
        self.refresh_token = credentials.secret
        self.access: Access

    async def let_in(self, http) -> None:
        grant = await self.provider.refresh(http, self.client, self.refresh_token, NOW)
        self.access = Access(http=http, token=grant.access_token, client_key="client", user_key="user")

    def add_malformed(self, event_id: str) -> None:
        event = self.component({"uid": event_id, "lines": []}, "bad", ["DTSTART:20260303T101112Z"])
        self.server.put(f"{self.folder}{event_id}.ics", event)
        self.server.rewritten[b"20260303T101112Z"] = b"tomorrow"

    def make_pages_small(self) -> None:
        self.provider._chunk = 4

    def forget_cursors(self) -> None:
        drop_sync_tokens(self.storage)
        # Of a calendar that is as it was Radicale knows the token all the same.
        self.add("far away", NOW + timedelta(days=400))

    def remove_calendar(self) -> None:
        self.server.done("DELETE", self.folder)

    def revoke_grant(self) -> None:
        self.server.users.write_text(f"{USER}:other\n")

    def break_down(self, how: str) -> None:
        def fault(method: str, path: str, body: bytes, writer: StreamWriter) -> bool:
            whole = response(b"<multistatus xmlns='DAV:'><sync-token>x</sync-token></multistatus>", 207)
            if how == "error":
                writer.write(response(b"<html>", 502, content_type="text/html"))
            elif how == "garbage":
                writer.write(response(b"\0\1\2 multistatus", 207))
            elif how == "truncated":
                writer.write(whole[:-20])
                writer.close()
            else:
                writer.close()
            return True

        self.server.faults.append(fault)

    def throttle(self, seconds: int) -> None:
        def fault(method: str, path: str, body: bytes, writer: StreamWriter) -> bool:
            writer.write(response(b"", 429, retry_after=str(seconds)))
            return True

        self.server.faults.append(fault)


@pytest.fixture
async def peer(anyio_backend, tmp_path):
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1) as expander, serve_radicale(tmp_path) as server, slots.borrow() as http:
        peer = CaldavPeer(server, tmp_path, expander)
        await peer.let_in(http)
        yield peer
    await slots.aclose()


class TestCaldav(ProviderContract):
    async def test_a_stale_access_token_is_not_a_dead_grant(self, peer: Peer):
        """A password does not go stale: one that is refused is refused, and never tried again by itself."""
        peer.revoke_grant()
        peer.server.asked.clear()
        with pytest.raises(GrantRejected):
            await read_pages(peer)
        with pytest.raises(GrantRejected):
            await peer.provider.calendars(peer.access)
        assert len(peer.server.asked) <= 3
