"""A connect link, and who connects what by it, are in the audit log; neither the link nor an address of a feed is."""

from typing import Any

import httpx
import pytest
from hosted.house import House

pytestmark = pytest.mark.anyio

FEED = "https://feeds.test/canary.ics"
CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nX-WR-CALNAME:Team\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    "DTSTAMP:20260301T000000Z\r\nDTSTART:20260303T090000Z\r\nDTEND:20260303T100000Z\r\nSUMMARY:One\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


async def feed(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/calendar")]})
    await send({"type": "http.response.body", "body": CALENDAR.encode()})


async def test_links_and_what_is_connected_by_them(house: House, browser: httpx.AsyncClient) -> None:
    house.streets.hosts["feeds.test"] = httpx.ASGITransport(feed)
    answer = await house.api.post("/connect/links", json={"user_id": "u-7"})
    assert answer.status_code == 201, answer.text
    url = answer.json()["url"]
    for _ in range(2):
        assert (await browser.post(f"{url}/ics", data={"url": FEED})).status_code == 200
    shown = await house.api.get("/audit")
    log = [each for each in reversed(shown.json()["data"]) if each["action"].startswith(("connect", "calendar."))]
    by_user = ("user", "u-7")
    assert [(each["action"], each["actor"]["kind"], each["actor"]["id"]) for each in log] == [
        ("connect_link.created", "api_key", log[0]["actor"]["id"]),
        ("connection.created", *by_user),
        ("calendar.created", *by_user),
        ("connection.renewed", *by_user),
        ("calendar.reconnected", *by_user),
    ]
    for secret in (url.rpartition("/")[2], "canary.ics"):
        assert secret not in shown.text
