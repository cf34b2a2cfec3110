"""Connect links: the pages that a user walks through, and what an attacker makes of them."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from hosted.house import ADA, SHOP, House, decide, told

from service.flows.connect.links import MOST_FORMS

pytestmark = pytest.mark.anyio
ORIGIN = "https://shop.test"
FEED = "https://feeds.test/secret.ics"
CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nX-WR-CALNAME:Team\r\nBEGIN:VEVENT\r\nUID:1\r\n"
    "DTSTAMP:20260301T000000Z\r\nDTSTART:20260303T090000Z\r\nDTEND:20260303T100000Z\r\nSUMMARY:One\r\n"
    "END:VEVENT\r\nEND:VCALENDAR\r\n"
)


async def feed(scope: Any, _receive: Any, send: Any) -> None:
    """A server with one feed."""
    is_there = scope["path"] == "/secret.ics"
    headers = [(b"content-type", b"text/calendar")]
    await send({"type": "http.response.start", "status": 200 if is_there else 404, "headers": headers})
    await send({"type": "http.response.body", "body": CALENDAR.encode() if is_there else b""})


@pytest.fixture
def feeds(house: House) -> None:
    house.streets.hosts["feeds.test"] = httpx.ASGITransport(feed)


async def link(house: House, **wish: Any) -> str:
    answer = await house.api.post("/connect/links", json=wish)
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    assert url.startswith("https://calgate.test/connect/links/")
    return url


async def press(browser: httpx.AsyncClient, page: str, **fields: str) -> httpx.Response:
    """Send a form of a page."""
    return await browser.post(page, data=fields or {"popup": ""})


def onward(answer: httpx.Response) -> str:
    """Where a page that answers a form goes on to by itself; a redirect would be held against its policy."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'<meta http-equiv="refresh" content="0; url=([^"]+)">', answer.text)
    assert found is not None, answer.text
    return unescape(found[1])


def text_of(answer: httpx.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]+>", " ", answer.text, flags=re.DOTALL))


@pytest.mark.parametrize("provider", ["google", "microsoft"])
async def test_a_user_chooses_a_provider_and_comes_back(house: House, browser: httpx.AsyncClient, provider: str):
    await house.register(provider)
    url = await link(house, redirect_url=SHOP, state="mine", user_id="u-1", access="write")
    page = await browser.get(url)
    assert page.status_code == 200
    assert "write events into your calendar" in text_of(page)
    assert f'id="choose-{provider}"' in page.text
    sent = await press(browser, f"{url}/{provider}")
    arrived = told(await decide(browser, onward(sent)))
    assert (arrived["success"], arrived["provider"], arrived["state"]) == ("true", provider, "mine")
    (connection,) = await house.connections(user_id="u-1")
    assert (connection["id"], connection["access"]) == (arrived["connection_id"], "write")


async def test_only_what_is_registered_can_be_chosen(house: House, browser: httpx.AsyncClient):
    await house.register("google")
    url = await link(house)
    page = await browser.get(url)
    shown = set(re.findall(r'id="choose-(\w+)"', page.text))
    assert shown == {"google", "apple", "caldav", "ics"}
    assert (await press(browser, f"{url}/microsoft")).status_code == 404


@pytest.mark.usefixtures("feeds")
@pytest.mark.parametrize(("kind", "shown"), [("google", {"google"}), ("ics", {"ics"})])
async def test_who_signs_in_again_chooses_what_it_was(
    house: House, browser: httpx.AsyncClient, kind: str, shown: set[str]
):
    await house.register("google")
    await house.register("microsoft")
    url = await link(house)
    if kind == "ics":
        await press(browser, f"{url}/ics", url=FEED)
    else:
        await decide(browser, onward(await press(browser, f"{url}/{kind}")))
    (connection,) = await house.connections()
    again = await link(house, connection_id=connection["id"])
    page = await browser.get(again)
    assert set(re.findall(r'id="choose-(\w+)"', page.text)) == shown
    assert "your choices stay" in text_of(page)
    for other in {"microsoft", "caldav", "apple", "google", "ics"} - shown:
        assert (await press(browser, f"{again}/{other}", url=FEED)).status_code == 404
    assert (await browser.get(f"{again}/caldav")).status_code == 404
    assert (await house.api.delete(f"/connections/{connection['id']}")).status_code == 204
    assert (await browser.get(again)).status_code == 404


@pytest.mark.usefixtures("feeds")
async def test_the_address_of_a_calendar_is_connected_by_a_form(house: House, browser: httpx.AsyncClient):
    url = await link(house, user_id="u-2")
    form = await browser.get(f"{url}/ics")
    assert "secret address" in text_of(form)
    done = await press(browser, f"{url}/ics", url=FEED)
    assert done.status_code == 200, done.text
    assert 'data-success="true"' in done.text
    (connection,) = await house.connections(user_id="u-2")
    assert (connection["provider"], connection["is_primary"]) == ("ics", True)
    assert [each["name"] for each in connection["calendars"]] == ["Team"]
    again = await press(browser, f"{url}/ics", url=FEED)
    assert again.status_code == 200
    assert [each["id"] for each in await house.connections()] == [connection["id"]]


@pytest.mark.usefixtures("feeds")
async def test_a_form_sends_its_user_on(house: House, browser: httpx.AsyncClient):
    await house.register("google")
    url = await link(house, redirect_url=SHOP, state="s")
    arrived = told(await browser.get(onward(await press(browser, f"{url}/ics", url=FEED))))
    assert (arrived["success"], arrived["provider"], arrived["state"]) == ("true", "ics", "s")


@pytest.mark.usefixtures("feeds")
async def test_a_slip_is_told_beside_the_form_and_a_secret_is_not_repeated(house: House, browser: httpx.AsyncClient):
    url = await link(house)
    answer = await press(browser, f"{url}/ics", url="https://feeds.test/wrong.ics?key=hush-hush")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "hush-hush" not in answer.text
    empty = await press(browser, f"{url}/caldav", server_url="https://dav.test", username="ada<b>", password="")
    assert "Fill in every field" in empty.text
    assert "ada&lt;b&gt;" in empty.text
    assert await house.connections() == []


@pytest.mark.parametrize("popup", ["1", ""])
@pytest.mark.usefixtures("feeds")
async def test_a_popup_tells_its_opener_and_nobody_else(house: House, browser: httpx.AsyncClient, popup: str):
    url = await link(house, origin=ORIGIN, state="</script><b>")
    done = await press(browser, f"{url}/ics", url=FEED, popup=popup)
    assert done.status_code == 200
    assert ("postMessage" in done.text) is (popup == "1")
    assert "</script><b>" not in done.text
    if popup:
        assert f'"origin":"{ORIGIN}"' in done.text


async def test_a_popup_at_a_provider_tells_its_opener(house: House, browser: httpx.AsyncClient):
    await house.register("google")
    url = await link(house, origin=ORIGIN, redirect_url=SHOP)
    sent = await press(browser, f"{url}/google", popup="1")
    done = await decide(browser, onward(sent), ADA)
    assert str(done.url).startswith("https://calgate.test/connect/google/callback")
    assert '"success":true' in done.text
    assert "postMessage" in done.text


async def test_another_browser_cannot_finish_what_this_one_began(house: House, browser: httpx.AsyncClient):
    await house.register("google")
    url = await link(house)
    sent = await press(browser, f"{url}/google")
    async with house.browser() as other:
        stolen = await decide(other, onward(sent), "ben@example.com")
    assert stolen.status_code == 400
    assert await house.connections() == []


async def test_a_link_is_over_after_an_hour(house: House, browser: httpx.AsyncClient, clock: Any):
    url = await link(house)
    clock.advance(3599)
    assert (await browser.get(url)).status_code == 200
    clock.advance(2)
    for answer in (await browser.get(url), await browser.get(f"{url}/ics"), await press(browser, f"{url}/ics")):
        assert answer.status_code == 404
        assert "ask whoever gave it to you" in text_of(answer)


@pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "..%2f..", "url", "a" * 5000])
async def test_a_link_that_was_guessed_is_over(house: House, browser: httpx.AsyncClient, token: str):
    answer = await browser.get(f"https://calgate.test/connect/links/{token}")
    assert answer.status_code in {404, 405}


@pytest.mark.usefixtures("feeds")
async def test_a_link_is_no_way_to_try_passwords(house: House, browser: httpx.AsyncClient):
    url = await link(house)
    for number in range(MOST_FORMS):
        answer = await press(browser, f"{url}/ics", url=f"https://feeds.test/{number}.ics")
        assert answer.status_code == 422
    assert (await press(browser, f"{url}/ics", url=FEED)).status_code == 429
    assert await house.connections() == []


async def test_pages_let_nothing_run_and_nobody_frame_them(house: House, browser: httpx.AsyncClient):
    await house.register("google")
    url = await link(house, redirect_url=SHOP)
    for page in (await browser.get(url), await browser.get(f"{url}/apple"), await browser.get(f"{url}/caldav")):
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "form-action 'self';" in policy
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "<script" not in page.text
        nonces = set(re.findall(r'nonce="([^"]+)"', page.text))
        assert len(nonces) == 1
        assert f"'nonce-{nonces.pop()}'" in policy
        assert 'lang="en"' in page.text
        labelled = re.findall(r'<label for="(\w+)"', page.text)
        assert labelled == list(re.findall(r'<input id="(\w+)"', page.text))


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        pytest.param({"redirect_url": "https://evil.test/"}, "redirect_url", id="a-stranger"),
        pytest.param({"redirect_url": f"{SHOP}/"}, "redirect_url", id="one-letter-more"),
        pytest.param({"origin": "https://shop.test/path"}, "origin", id="no-origin"),
        pytest.param({"origin": "*"}, "origin", id="everybody"),
        pytest.param({"origin": "http://shop.test"}, "origin", id="in-the-clear"),
        pytest.param({"provider": "google"}, "provider", id="unknown-field"),
        pytest.param({"connection_id": str(UUID(int=7))}, "connection_id", id="no-such-connection"),
    ],
)
async def test_a_link_that_would_lead_astray(house: House, wish: dict[str, str], field: str):
    await house.register("google")
    answer = await house.api.post("/connect/links", json=wish)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]


async def test_a_body_that_is_no_form(house: House, browser: httpx.AsyncClient):
    url = await link(house)
    assert (await browser.post(f"{url}/ics", json={"url": FEED})).status_code == 415
    large = await browser.post(f"{url}/ics", data={"url": "x" * 20_000})
    assert large.status_code == 413
    assert urlsplit(url).path in f"/connect/links/{url.rsplit('/', 1)[1]}"
