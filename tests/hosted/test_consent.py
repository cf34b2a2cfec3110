"""What users were told when they connected is kept: who was told that nothing will be written finds nothing written."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
import pytest
from hosted.dav_house import FOLDER, LOGIN, DavHost
from hosted.house import GATEWAY, SHOP, House, come_back, decide, told
from hosted.walking import connect_by_form, link, onward, press, text_of
from radicale_server import RadicaleServer

pytestmark = pytest.mark.anyio
GOOGLE = "https://www.googleapis.com/auth/calendar"
TIMES = {"title": "Review", "starts_at": "2026-03-03T10:00:00Z", "ends_at": "2026-03-03T11:00:00Z"}


@pytest.fixture
def dav(house: House, tmp_path: Path) -> RadicaleServer:
    server = RadicaleServer(tmp_path)
    server.add_calendar(FOLDER, "Work")
    house.streets.hosts["dav.test"] = DavHost(server)
    return server


async def write(house: House, connection: dict[str, Any]) -> httpx.Response:
    return await house.api.post(f"/calendars/{connection['calendars'][0]['id']}/events", json=TIMES)


def written(dav: RadicaleServer) -> int:
    """How many events the server has."""
    _, _, body = dav.call("PROPFIND", FOLDER, b"", depth="1")
    return body.count(b".ics</")


@pytest.mark.parametrize(("access", "status", "events"), [(None, 422, 0), ("read", 422, 0), ("write", 201, 1)])
async def test_a_calendar_that_its_user_lets_be_read_is_not_written_to(
    house: House, browser: httpx.AsyncClient, dav: RadicaleServer, access: str | None, status: int, events: int
) -> None:
    url = await link(house, **({} if access is None else {"access": access}))
    connection = await connect_by_form(house, browser, url, "caldav", **LOGIN)
    assert connection["access"] == (access or "read")
    answer = await write(house, connection)
    assert (answer.status_code, written(dav)) == (status, events)
    if status == 422:
        assert answer.json()["code"] == "insufficient_scope"
        assert "access=write" in answer.json()["detail"]


async def test_what_was_written_is_left_alone_once_its_user_has_asked_for_that(
    house: House, browser: httpx.AsyncClient, dav: RadicaleServer
) -> None:
    connection = await connect_by_form(house, browser, await link(house, access="write"), "caldav", **LOGIN)
    event = (await write(house, connection)).json()
    again = await link(house, access="read", connection_id=connection["id"])
    connection = await connect_by_form(house, browser, again, "caldav", **LOGIN)
    assert connection["access"] == "read"
    path = f"/events/{event['id']}"
    assert (await house.api.patch(path, json={"title": "Other"})).status_code == 422
    assert (await house.api.delete(path)).status_code == 422
    assert written(dav) == 1


@pytest.mark.usefixtures("dav")
async def test_a_calendar_that_was_posted_is_written_to_as_ever(house: House) -> None:
    posted = await house.api.post("/calendars", json={"provider": "caldav", **LOGIN})
    assert posted.status_code == 201, posted.text
    (connection,) = await house.connections()
    assert connection["access"] is None
    assert (await write(house, connection)).status_code == 201


@pytest.mark.parametrize(
    ("wish", "access", "status"),
    [
        pytest.param({}, "read", 422, id="default"),
        pytest.param({"access": "write"}, "write", 201, id="write"),
        pytest.param({"scopes": GOOGLE}, "write", 201, id="a-writing-scope"),
        pytest.param({"scopes": f"{GOOGLE}.events {GOOGLE}.readonly"}, "write", 201, id="events"),
        pytest.param({"scopes": f"{GOOGLE}.readonly", "access": "write"}, "read", 422, id="only-a-reading-scope"),
    ],
)
async def test_access_is_what_was_granted(
    house: House, browser: httpx.AsyncClient, wish: dict[str, str], access: str, status: int
) -> None:
    await house.register("google")
    told(await decide(browser, await house.url("google", redirect_url=SHOP, **wish)))
    (connection,) = await house.connections()
    assert connection["access"] == access
    assert (await write(house, connection)).status_code == status


async def test_a_grant_from_before_does_not_break_what_our_page_has_said(
    house: House, browser: httpx.AsyncClient
) -> None:
    await house.register("microsoft")
    told(await decide(browser, await house.url("microsoft", redirect_url=SHOP, access="write")))
    page = await browser.get(url := await link(house, redirect_url=SHOP))
    assert "changes nothing in your calendar" in text_of(page)
    told(await decide(browser, onward(await press(browser, f"{url}/microsoft"))))
    (connection,) = await house.connections()
    assert connection["access"] == "read"
    assert (await write(house, connection)).status_code == 422


@pytest.mark.parametrize(
    "again", [pytest.param("url", id="url"), pytest.param("links", id="link"), pytest.param("exchange", id="exchange")]
)
async def test_signing_in_again_keeps_the_access(house: House, browser: httpx.AsyncClient, again: str) -> None:
    await house.register("google")
    told(await decide(browser, await house.url("google", redirect_url=SHOP, access="write")))
    (connection,) = await house.connections()
    wish = {"redirect_url": SHOP, "connection_id": connection["id"]}
    if again == "url":
        told(await decide(browser, await house.url("google", **wish)))
    elif again == "links":
        url = await link(house, **wish)
        assert "It may also write events" in text_of(await browser.get(url))
        told(await decide(browser, onward(await press(browser, f"{url}/google"))))
    else:
        own = f"{SHOP}/own"
        asked = (await house.url("google", access="write")).replace(
            quote(GATEWAY + "/connect/google/callback", ""), quote(own, "")
        )
        asked = re.sub("&code_challenge[^&]*", "", asked)
        code = dict(parse_qsl(urlsplit(await come_back(browser, asked)).query))["code"]
        given = {"code": code, "redirect_uri": own, "connection_id": connection["id"]}
        answer = await house.api.post("/connect/google/exchange", json=given)
        assert answer.status_code == 200, answer.text
    (renewed,) = await house.connections()
    assert (renewed["access"], (await write(house, renewed)).status_code) == ("write", 201)


async def test_a_feed_is_read_whatever_was_asked_for(house: House, browser: httpx.AsyncClient) -> None:
    async def feed(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/calendar")]})
        body = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nEND:VCALENDAR\r\n"
        await send({"type": "http.response.body", "body": body})

    house.streets.hosts["feeds.test"] = httpx.ASGITransport(feed)
    url = await link(house, access="write")
    connection = await connect_by_form(house, browser, url, "ics", url="https://feeds.test/a.ics")
    assert connection["access"] == "read"
    assert "read only" in text_of(await browser.get(f"{url}/ics"))


@pytest.mark.parametrize(
    ("access", "says", "says_not"),
    [
        ("read", ["changes nothing in your calendar", "With Zoom: it makes calls"], ["write events"]),
        ("write", ["may also write events", "(ICS) is only read", "With Zoom: it makes calls"], ["changes nothing"]),
    ],
)
async def test_the_page_says_what_each_account_is_for(
    house: House, browser: httpx.AsyncClient, access: str, says: list[str], says_not: list[str]
) -> None:
    await house.register("zoom")
    page = text_of(await browser.get(await link(house, access=access)))
    assert [each for each in says if each not in page] == []
    assert [each for each in says_not if each in page] == []
