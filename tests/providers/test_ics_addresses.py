"""Where a feed lies: which address is asked, where it leads, and that nobody is told of it."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from feed_server import PATH, SECRET, feed
from forked_expander import ForkedExpander
from ics_reader import NOW, PAGE, STANDUP, WEEK, Reader, open_reader, titles
from providers.loopback import response

from service.core.credentials import IcsCredentials
from service.errors import AddressRefused, GatewayError, ProviderError, RequestRefused, TransientFault
from service.observability import METRICS
from service.providers.addresses import Policy
from service.providers.ics.client import FEED, IcsFeed
from service.providers.protocol import Access

pytestmark = pytest.mark.anyio


@pytest.fixture
async def reader(anyio_backend: str) -> AsyncIterator[Reader]:
    async with open_reader() as reader:
        yield reader


class TestConnecting:
    async def test_the_calendar_of_a_feed(self, reader: Reader):
        reader.server.text = feed(STANDUP, name="Team\\, all of it")
        found = await reader.calendar()
        assert (found.id, found.name, found.time_zone, found.is_primary) == (
            FEED,
            "Team, all of it",
            "Europe/Paris",
            True,
        )
        assert len(reader.server.asked) == 1

    async def test_a_feed_without_a_name_has_its_hosts(self, reader: Reader):
        reader.server.text = feed(STANDUP, name="", zone=None)
        found = await reader.calendar()
        assert (found.name, found.time_zone) == ("127.0.0.1", None)

    async def test_the_newer_name_counts_and_a_zone_by_any_name(self, reader: Reader):
        reader.server.text = feed(STANDUP, zone="Romance Standard Time", lines=("NAME:Crew",))
        found = await reader.calendar()
        assert (found.name, found.time_zone) == ("Crew", "Europe/Paris")

    async def test_an_empty_feed_is_a_calendar(self, reader: Reader):
        reader.server.text = feed()
        assert (await reader.calendar()).name == "Team"
        assert (await reader.read()).items == []

    @pytest.mark.parametrize(
        ("body", "error"),
        [
            pytest.param(PAGE, RequestRefused, id="a web page is another address"),
            pytest.param(b'{"error": "no"}', RequestRefused, id="something else is another address"),
            pytest.param(b"", TransientFault, id="nothing is a bad moment"),
            pytest.param(feed(STANDUP)[:-30], TransientFault, id="a part is a bad moment"),
        ],
    )
    async def test_what_is_no_feed_cannot_be_connected(self, reader: Reader, body: bytes, error: type[ProviderError]):
        reader.server.text = body
        with pytest.raises(error):
            await reader.calendar()

    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("https://127.0.0.1/basic.ics", id="loopback"),
            pytest.param("webcal://169.254.169.254/basic.ics", id="metadata"),
            pytest.param("http://feeds.example.com:8080/basic.ics", id="an odd port"),
            pytest.param("https://ada:secret@feeds.example.com/basic.ics", id="with a password"),
            pytest.param("ftp://feeds.example.com/basic.ics", id="another scheme"),
            pytest.param("file:///etc/passwd", id="a file"),
            pytest.param("feeds.example.com/basic.ics", id="no scheme"),
        ],
    )
    async def test_an_address_that_is_forbidden(self, url: str):
        provider = IcsFeed(ForkedExpander(), Policy(), clock=lambda: NOW)
        async with httpx.AsyncClient() as http:
            with pytest.raises(GatewayError) as refused:
                await provider.calendars(Access(http=http, token=url, client_key="", user_key=""))
        assert refused.value.code == "blocked_url"
        assert "basic.ics" not in refused.value.detail

    async def test_one_address_is_one_account_however_it_is_written(self):
        provider = IcsFeed(ForkedExpander(), Policy(), clock=lambda: NOW)
        spellings = [
            "https://Feeds.example.com:443/a.ics?k=S",
            "webcal://feeds.example.com/a.ics?k=S",
            "WEBCALS://feeds.example.com/a.ics?k=S",
        ]
        others = ["https://feeds.example.com/a.ics?k=s", "http://feeds.example.com/a.ics?k=S"]
        async with httpx.AsyncClient() as http:
            accesses = [Access(http=http, token=url, client_key="", user_key="") for url in spellings + others]
            accounts = [await provider.account(access, []) for access in accesses]
        assert len({account.id for account in accounts[:3]}) == 1
        assert len({account.id for account in accounts}) == 3
        assert re.fullmatch(r"[0-9a-f]{64}", accounts[0].id)
        assert accounts[0].email is None


class TestRedirects:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_followed_and_never_remembered(self, reader: Reader, status: int):
        reader.server.validator = '"one"'
        reader.server.routes["/old.ics"] = lambda _: response(b"", status, location=PATH)
        reader.url = f"{reader.server.loopback.url}/old.ics"
        assert titles(await reader.read()) == ["Standup"]
        assert (await reader.read()).items == []
        assert [path for path, _ in reader.server.asked] == ["/old.ics", PATH, "/old.ics", PATH]
        # The validator is the last address's, and no other is told it.
        assert reader.server.conditions == [None, None, None, '"one"']

    async def test_five_redirects_and_no_more(self, reader: Reader):
        for number in range(7):
            to = PATH if number == 0 else f"/{number - 1}"
            reader.server.routes[f"/{number}"] = lambda _, to=to: response(b"", 302, location=to)
        reader.url = f"{reader.server.loopback.url}/4"
        assert titles(await reader.read()) == ["Standup"]
        reader.url = f"{reader.server.loopback.url}/5"
        with pytest.raises(TransientFault, match="more than 5 redirects"):
            await reader.read()

    async def test_another_feed_behind_the_redirect_is_another_feed(self, reader: Reader):
        reader.server.validator = '"1"'
        target = [PATH]
        reader.server.routes["/go"] = lambda _: response(b"", 302, location=target[0])
        reader.server.routes["/other.ics"] = lambda headers: (
            response(b"", 304) if headers["if-none-match"] == '"1"' else response(feed(*WEEK), etag='"1"')
        )
        reader.url = f"{reader.server.loopback.url}/go"
        await reader.read()
        target[0] = "/other.ics"
        assert len((await reader.read()).items) == 20

    @pytest.mark.parametrize(
        "location",
        [
            pytest.param("http://10.0.0.1/basic.ics", id="private"),
            pytest.param("http://169.254.169.254/latest/meta-data", id="metadata"),
            pytest.param("http://[::ffff:127.0.0.1]/", id="mapped"),
            pytest.param("http://2130706433/", id="a number"),
            pytest.param("file:///etc/passwd", id="a file"),
            pytest.param("gopher://127.0.0.1/", id="another scheme"),
            pytest.param("http://ada:secret@127.0.0.1/", id="with a password"),
        ],
    )
    async def test_a_redirect_is_judged_as_an_address_of_a_users(self, reader: Reader, location: str):
        reader.server.status = 302
        reader.server.headers["location"] = location
        with pytest.raises(AddressRefused, match="blocked_url"):
            await reader.read()
        with pytest.raises(GatewayError) as refused:
            await reader.calendar()
        assert (refused.value.status, refused.value.code) == (422, "blocked_url")
        assert {path for path, _ in reader.server.asked} == {PATH}

    @pytest.mark.parametrize("headers", [{}, {"location": "http://["}, {"location": "https://xn--/"}])
    async def test_a_redirect_to_nowhere(self, reader: Reader, headers: dict[str, str]):
        reader.server.status = 302
        reader.server.headers = headers
        with pytest.raises((TransientFault, AddressRefused)):
            await reader.read()

    async def test_no_cookie_and_no_login_is_ever_sent(self, reader: Reader):
        reader.server.routes["/old.ics"] = lambda _: response(b"", 302, location=PATH, set_cookie="a=b; Path=/")
        reader.server.headers["set_cookie"] = "c=d; Path=/"
        reader.url = f"{reader.server.loopback.url}/old.ics"
        await reader.read()
        await reader.read()
        for _, headers in reader.server.asked:
            assert not {name.lower() for name in headers} & {"cookie", "authorization", "referer"}


class TestSecrets:
    async def test_the_address_is_nowhere(self, reader: Reader, caplog):
        caplog.set_level("DEBUG", logger="service")
        reader.server.routes[f"/hop?key={SECRET}"] = lambda _: response(b"", 301, location=PATH)
        reader.url = f"{reader.server.loopback.url}/hop?key={SECRET}"
        told = [
            repr(reader.access),
            repr(await reader.calendar()),
            repr(await reader.provider.account(reader.access, [])),
        ]
        told += [repr(await reader.read()), str(reader.token), repr(IcsCredentials(url=reader.url))]
        for status in (401, 404, 400, 429, 500, 302):
            reader.server.status = status
            reader.server.headers["location"] = f"http://10.0.0.1/{SECRET}"
            for ask in (reader.read, reader.calendar, reader.stretch):
                with pytest.raises((ProviderError, GatewayError)) as caught:
                    await ask()
                told += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        told += [METRICS.exposition()[0].decode(), caplog.text]
        assert [text for text in told if SECRET in text or "hop" in text] == []
