"""Signing in again: what was chosen stays as it was, whatever way the user comes."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hosted.dav_house import LOGIN, DavHost
from hosted.house import ADA, BEN, GATEWAY, SHOP, House, come_back, decide, open_house, told
from hosted.walking import connect_by_form, link, press, text_of
from radicale_server import USER, RadicaleServer

pytestmark = pytest.mark.anyio
FEED = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nEND:VCALENDAR\r\n"


@pytest.fixture
def dav(house: House, tmp_path: Path) -> RadicaleServer:
    server = RadicaleServer(tmp_path)
    for name in ("work", "team"):
        server.add_calendar(f"/{USER}/{name}/", name)
    house.streets.hosts["dav.test"] = DavHost(server)
    return server


@pytest.fixture
def feeds(house: House) -> set[str]:
    """Paths of a server of feeds; those that are taken away are 404."""
    there = {"/one.ics", "/two.ics"}

    async def feed(scope: Any, _receive: Any, send: Any) -> None:
        status = 200 if scope["path"] in there else 404
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/calendar")]})
        await send({"type": "http.response.body", "body": FEED if status == 200 else b""})

    house.streets.hosts["feeds.test"] = httpx.ASGITransport(feed)
    return there


async def selected(house: House, connection_id: str) -> set[str]:
    shown = (await house.api.get(f"/connections/{connection_id}")).json()
    return {one["raw_calendar_id"] for one in shown["calendars"]}


@pytest.mark.usefixtures("dav")
@pytest.mark.parametrize("by_id", [pytest.param(True, id="by its id"), pytest.param(False, id="by the account")])
async def test_a_form_leaves_the_choice_of_calendars_alone(
    house: House, browser: httpx.AsyncClient, by_id: bool
) -> None:
    connection = await connect_by_form(house, browser, await link(house), "caldav", **LOGIN)
    path = f"/connections/{connection['id']}"
    listed = (await house.api.get(f"{path}/calendars")).json()["data"]
    other = next(each["id"] for each in listed if not each["selected"])
    assert (await house.api.patch(path, json={"selected_calendars": [other]})).status_code == 200
    again = await link(house, **({"connection_id": connection["id"]} if by_id else {}))
    await connect_by_form(house, browser, again, "caldav", **LOGIN)
    assert await selected(house, connection["id"]) == {other}


@pytest.mark.usefixtures("dav")
@pytest.mark.parametrize("kind", ["caldav", "google"])
async def test_an_empty_choice_stays_empty_for_who_signs_in_again(
    house: House, browser: httpx.AsyncClient, kind: str
) -> None:
    await house.register("google")

    async def connect(**wish: Any) -> dict[str, Any]:
        if kind == "google":
            told(await decide(browser, await house.url("google", redirect_url=SHOP, **wish)))
            return (await house.connections())[-1]
        return await connect_by_form(house, browser, await link(house, **wish), "caldav", **LOGIN)

    connection = await connect()
    await house.api.patch(f"/connections/{connection['id']}", json={"selected_calendars": []})
    await connect(connection_id=connection["id"])
    assert await selected(house, connection["id"]) == set()
    await connect()
    assert len(await selected(house, connection["id"])) == 1, "who connects wants a calendar"


async def test_a_feed_moves_to_another_address(house: House, browser: httpx.AsyncClient, feeds: set[str]) -> None:
    first = await connect_by_form(house, browser, await link(house), "ics", url="https://feeds.test/one.ics")
    await house.api.patch(f"/connections/{first['id']}", json={"sync_frequency": 30})
    feeds.remove("/one.ics")
    again = await link(house, connection_id=first["id"])
    assert "the address that your calendar has now" in text_of(await browser.get(again))
    moved = await connect_by_form(house, browser, again, "ics", url="https://feeds.test/two.ics")
    assert [each["id"] for each in await house.connections()] == [first["id"]]
    assert (moved["calendars"][0]["id"], moved["calendars"][0]["status"]) == (first["calendars"][0]["id"], "syncing")
    assert moved["settings"]["sync_frequency"] == 30


@pytest.mark.usefixtures("feeds")
async def test_a_feed_does_not_move_to_another_connections_address(house: House, browser: httpx.AsyncClient) -> None:
    first = await connect_by_form(house, browser, await link(house), "ics", url="https://feeds.test/one.ics")
    await connect_by_form(house, browser, await link(house), "ics", url="https://feeds.test/two.ics")
    again = await link(house, connection_id=first["id"])
    refused = await press(browser, f"{again}/ics", url="https://feeds.test/two.ics")
    assert refused.status_code == 422
    assert "by another connection" in text_of(refused)
    assert len(await house.connections()) == 2


async def test_a_connection_that_was_deleted_meanwhile(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    told(await decide(browser, await house.url("google", redirect_url=SHOP)))
    (connection,) = await house.connections()
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP, connection_id=connection["id"]))
    other = await come_back(browser, await house.url("google", redirect_url=SHOP, connection_id=connection["id"]), BEN)
    assert (await house.api.delete(f"/connections/{connection['id']}")).status_code == 204
    for each in (callback, other):
        said = told(await browser.get(each))
        assert (said["code"], "has been deleted" in said["message"]) == ("token_failed", True)
    assert await house.connections() == []


@pytest.mark.parametrize("walk", ["state", "link", "link begun"])
async def test_an_address_that_is_taken_off_the_list_is_not_gone_to(
    house: House, browser: httpx.AsyncClient, walk: str
) -> None:
    client = await house.register("google")
    begun = None
    url = await link(house, redirect_url=SHOP)
    if walk == "state":
        begun = await come_back(browser, await house.url("google", redirect_url=SHOP))
    elif walk == "link begun":
        sent = await press(browser, f"{url}/google")
        page = sent.text.partition("0; url=")[2].partition('"')[0].replace("&amp;", "&")
        begun = await come_back(browser, page)
    path = f"/oauth_clients/{client['id']}"
    changed = await house.api.patch(path, json={"redirect_urls": ["https://shop.test/elsewhere"]})
    assert changed.status_code == 200, changed.text
    answer = await browser.get(url if begun is None else begun)
    assert (answer.status_code, str(answer.url).startswith(SHOP)) == (404 if begun is None else 400, False)
    assert SHOP not in answer.text
    assert await house.connections() == []


async def test_pages_are_told_to_be_html_once(house: House, browser: httpx.AsyncClient) -> None:
    answer = await browser.get(await link(house))
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("query", ["state=%00", "state=a&code=%00", "%00"])
async def test_browsers_are_answered_with_pages(house: House, browser: httpx.AsyncClient, query: str) -> None:
    answer = await browser.get(f"https://calgate.test/connect/google/callback?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")


async def test_who_has_zoom_alone_is_not_connected(house: House, browser: httpx.AsyncClient) -> None:
    async def connected(user_id: str) -> Any:
        return (await house.api.get(f"/connections/status?user_id={user_id}")).json()["connected"]

    for provider in ("zoom", "google"):
        await house.register(provider)
        assert await connected("z1") is False
        told(await decide(browser, await house.url(provider, redirect_url=SHOP, user_id="z1"), ADA))
    assert await connected("z1") is True
    unknown = await house.api.get("/connections/status?user_id=%00")
    assert (unknown.status_code, unknown.json()) == (200, {"connected": False, "connections": []})


async def test_forms_go_where_a_proxy_expects_them(sqlite_url: str, clock: Any) -> None:
    async with open_house(sqlite_url, clock, public_url=f"{GATEWAY}/calendars/v1") as house, house.browser() as browser:
        house.api.base_url = httpx.URL(GATEWAY)  # behind the proxy, which takes the prefix off
        await house.register("google")
        url = (await house.api.post("/connect/links", json={})).json()["url"]
        prefix, _, rest = url.partition("/connect/")
        assert prefix == f"{GATEWAY}/calendars/v1"
        for page in (f"/connect/{rest}", f"/connect/{rest}/caldav"):
            shown = (await browser.get(GATEWAY + page)).text
            addresses = re.findall(r'(?:action|href)="([^"]+)"', shown)
            assert addresses
            assert all(each.startswith(f"/calendars/v1/connect/{rest}") for each in addresses)
