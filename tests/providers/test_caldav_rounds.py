"""Rounds over a calendar, as the servers that are in use answer them: Cyrus, sabre, Xandikos, iCloud, and worse ones."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from caldav_server import Asked, ScriptedServer, calendar, data, event, multistatus, refusal, response, row
from contracts.provider_contract import NOW, WINDOW, ZONE
from forked_expander import ForkedExpander
from loopback import serve_script
from radicale_server import LOOPBACK

from service.core.credentials import CaldavCredentials
from service.core.schedule import Window
from service.core.sync import Listed, Malformed, Page, Removed, row_id
from service.errors import CalendarGone, CursorExpired, GrantRejected, ProviderError, RequestRefused, TransientFault
from service.providers.caldav import rounds, session
from service.providers.caldav.client import CaldavCalendar
from service.providers.guarded_http import Slots
from service.providers.protocol import Access

pytestmark = pytest.mark.anyio

SYNC = "<d:supported-report-set><d:supported-report><d:report><d:sync-collection/></d:report></d:supported-report></d:supported-report-set>"
NO_SYNC = "<d:supported-report-set><d:supported-report><d:report><c:calendar-query/></d:report></d:supported-report></d:supported-report-set>"
CTAG = "<s:getctag>{}</s:getctag>"
ETAG = '<d:getetag>"1"</d:getetag>'


class Shelf:
    """A calendar of some resources at /c/, and the ways to ask for it that the test takes away again."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server
        self.resources: dict[str, str] = {}
        self.about = SYNC
        self.token = "t1"
        self.changed: list[str] = []
        self.ways: dict[str, Callable[[Asked], bytes]] = {}
        server.answers["/c/"] = self.answer

    def put(self, number: int, **more: Any) -> str:
        path = f"/c/{number}.ics"
        self.resources[path] = data(number, **more)
        self.server.answers[f"GET {path}"] = lambda _: response(event(number, **more).encode(), 200)
        return path

    def answer(self, asked: Asked) -> bytes:
        assert asked.headers["content-type"] == "application/xml; charset=utf-8"
        assert "limit>" not in asked.body
        assert "expand" not in asked.body
        kind = next(
            kind
            for kind in ("sync-collection", "multiget", "RRULE", "time-range", "getetag", "resourcetype")
            if kind in asked.body
        )
        return self.ways.get(kind, getattr(self, f"answer_{kind.replace('-', '_')}"))(asked)

    def answer_resourcetype(self, _: Asked) -> bytes:
        return multistatus(row("/c/", calendar("C", self.about)))

    def answer_getetag(self, _: Asked) -> bytes:
        return multistatus(row("/c/", ETAG), *(row(path, ETAG) for path in self.resources))

    answer_RRULE = answer_time_range = answer_getetag  # noqa: N815

    def answer_sync_collection(self, asked: Asked) -> bytes:
        paths = list(self.resources) if "<D:sync-token></D:sync-token>" in asked.body else self.changed
        rows = (row(path, ETAG) if path in self.resources else row(path, status="404") for path in paths)
        return multistatus(*rows, token=self.token)

    def answer_multiget(self, asked: Asked) -> bytes:
        paths = wanted(asked)
        return multistatus(
            *(row(path, self.resources[path]) if path in self.resources else row(path, status="404") for path in paths)
        )


def wanted(asked: Asked) -> list[str]:
    return re.findall("<D:href>(.*?)</D:href>", asked.body)


class Desk:
    def __init__(self, shelf: Shelf, provider: CaldavCalendar, access: Access, url: str) -> None:
        self.shelf = shelf
        self.server = shelf.server
        self.provider = provider
        self.access = access
        self.raw_id = f"{url}/c/"
        self.now = NOW
        provider.clock = lambda: self.now

    async def pages(self, token: str | None = None) -> list[Page]:
        self.server.asked.clear()
        listing = self.provider.pages(self.access, self.raw_id, token=token, window=WINDOW, time_zone=ZONE)
        return [page async for page in listing]

    async def round(self, token: str | None = None) -> tuple[list[str], list[str], str]:
        """Ids of what is listed, of what is removed, and the next token."""
        pages = await self.pages(token)
        items = [item for page in pages for item in page.items]
        return ids(items, Listed), ids(items, Removed), pages[-1].token or ""

    async def stretch(self) -> list[str]:
        listing = self.provider.stretch(self.access, self.raw_id, window=WINDOW, time_zone=ZONE)
        return ids([item async for item in listing], Listed)


def ids(items: list[Any], kind: type) -> list[str]:
    return sorted(row_id(item) for item in items if isinstance(item, kind))


@pytest.fixture
async def desk(anyio_backend):
    server = ScriptedServer()
    slots = Slots(1, LOOPBACK)
    async with ForkedExpander(size=1) as expander, serve_script(server.answer) as served, slots.borrow() as http:
        login = CaldavCredentials(server_url=served.url, username="ada", password="opensesame")
        access = Access(http=http, token=login.secret, client_key="", user_key="")
        yield Desk(Shelf(server), CaldavCalendar(expander, LOOPBACK), access, served.url)
    await slots.aclose()


async def test_a_report_that_goes_on_in_507(desk: Desk):
    """Cyrus, and sabre's deltas (RFC 6578, section 3.6): the collection's own row says that there is more."""
    one, two = desk.shelf.put(1), desk.shelf.put(2)
    tokens = []

    def paged(asked: Asked) -> bytes:
        tokens.append(re.findall("<D:sync-token>(.*?)</D:sync-token>", asked.body)[0])
        if tokens[-1] == "":
            return multistatus(row("/c/", status="507"), row(one, ETAG), token="half")
        return multistatus(row("/c/", ETAG), row(two, ETAG), token="all")

    desk.shelf.ways["sync-collection"] = paged
    listed, _, token = await desk.round()
    assert listed == [one, two]
    assert tokens == ["", "half"]
    assert msgspec.json.decode(token)["mark"] == "all"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(multistatus(row("/c/", status="507"), token="same"), TransientFault, id="pages-without-end"),
        pytest.param(multistatus(row("/c/1.ics", ETAG)), TransientFault, id="no-token"),
        pytest.param(response(b"<html>", 200, content_type="text/html"), TransientFault, id="a-login-page"),
        pytest.param(response(b"", 401), GrantRejected, id="a-refused-password"),
        pytest.param(response(b"", 404), CalendarGone, id="gone"),
        pytest.param(refusal(403, "d:need-privileges"), RequestRefused, id="not-shared"),
        pytest.param(response(b"", 503), TransientFault, id="unavailable"),
        pytest.param(response(b"", 423), TransientFault, id="locked"),
    ],
)
async def test_a_report_that_is_none(desk: Desk, answer: bytes, error: type[ProviderError]):
    _, _, token = await desk.round()
    desk.shelf.ways["sync-collection"] = lambda _: answer
    with pytest.raises(error):
        await desk.pages(token)


@pytest.mark.parametrize("status", [400, 403, 409, 410, 412, 500])
async def test_a_token_that_is_not_known_any_more(desk: Desk, status: int):
    _, _, token = await desk.round()
    desk.shelf.ways["sync-collection"] = lambda _: refusal(status, "d:valid-sync-token")
    with pytest.raises(CursorExpired):
        await desk.pages(token)


@pytest.mark.parametrize("left_out", [True, False])
async def test_what_a_multiget_does_not_find_is_gone(desk: Desk, left_out: bool):
    """Radicale, Xandikos and Cyrus answer 404; sabre says nothing of it at all."""
    one, two = desk.shelf.put(1), "/c/2.ics"
    _, _, token = await desk.round()
    desk.shelf.changed = [one, two]
    desk.shelf.ways["sync-collection"] = lambda _: multistatus(row(one, ETAG), row(two, ETAG), token="t2")
    if left_out:
        desk.shelf.ways["multiget"] = lambda _: multistatus(row(one, desk.shelf.resources[one]))
    pages = await desk.pages(token)
    items = [item for page in pages for item in page.items]
    assert (ids(items, Listed), ids(items, Removed)) == ([one], [two])
    assert sorted(whole for page in pages for whole in page.whole) == [one, two]


async def test_a_multiget_that_answers_nothing_at_all_proves_nothing_gone(desk: Desk):
    one, two = desk.shelf.put(1), desk.shelf.put(2)
    desk.shelf.ways["multiget"] = lambda _: multistatus()
    assert (await desk.round())[0] == [one, two]
    assert desk.server.methods[-2:] == ["GET", "GET"]


async def test_a_row_in_trouble_is_asked_for_again_by_itself(desk: Desk):
    one, two = desk.shelf.put(1), desk.shelf.put(2)
    desk.shelf.ways["multiget"] = lambda _: multistatus(row(one, status="500"), row(two, desk.shelf.resources[two]))
    assert (await desk.round())[0] == [one, two]
    assert [(each.method, each.path) for each in desk.server.asked if each.method == "GET"] == [("GET", one)]
    desk.server.answers[f"GET {one}"] = response(b"", 500)
    with pytest.raises(TransientFault):
        await desk.pages()
    desk.server.answers[f"GET {one}"] = response(b"<html>", 200, content_type="text/html")
    with pytest.raises(TransientFault):
        await desk.pages()
    desk.server.answers[f"GET {one}"] = response(b"", 404)
    assert (await desk.round())[:2] == ([two], [one])


async def test_one_resource_that_cannot_be_had_costs_no_other(desk: Desk):
    one, two, three = desk.shelf.put(1), desk.shelf.put(2), desk.shelf.put(3)
    rows = [row(one, status="403"), row(two, desk.shelf.resources[two])]
    rows.append(row(three, "<c:calendar-data>BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:3</c:calendar-data>"))
    _, _, token = await desk.round()
    desk.shelf.changed = [one, two, three]
    desk.shelf.ways["multiget"] = lambda _: multistatus(*rows)
    pages = await desk.pages(token)
    bad = [item for page in pages for item in page.items if isinstance(item, Malformed)]
    assert sorted((item.provider_event_id, item.reason) for item in bad) == [
        (one, "http_403"),
        (three, "not a whole calendar"),
    ]
    assert [whole for page in pages for whole in page.whole] == [two]


@pytest.mark.parametrize(
    "answer", [response(b"", 507), refusal(403, "d:number-of-matches-within-limits"), response(b"", 413)]
)
async def test_too_much_at_once_is_asked_for_in_halves(desk: Desk, answer: bytes):
    paths = [desk.shelf.put(number) for number in range(1, 8)]

    def strict(asked: Asked) -> bytes:
        return answer if len(wanted(asked)) > 2 or paths[2] in wanted(asked) else desk.shelf.answer_multiget(asked)

    desk.shelf.ways["multiget"] = strict
    pages = await desk.pages()
    items = [item for page in pages for item in page.items]
    assert ids(items, Listed) == [path for path in paths if path != paths[2]]
    assert ids(items, Malformed) == [paths[2]]


async def test_an_answer_without_end_is_asked_for_in_halves(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    paths = [desk.shelf.put(number, more="DESCRIPTION:" + "x" * 3000 + "\n") for number in range(1, 5)]
    monkeypatch.setattr(session, "LARGEST_PAGE", 8_000)
    assert (await desk.round())[0] == paths


async def test_a_server_without_multiget(desk: Desk):
    one, two = desk.shelf.put(1), desk.shelf.put(2)
    desk.shelf.ways["multiget"] = lambda _: response(b"", 501)
    assert (await desk.round())[0] == [one, two]


@pytest.mark.parametrize(
    "answer", [response(b"", 405), response(b"", 501), refusal(403, "d:supported-report"), response(b"", 507)]
)
async def test_a_report_that_is_taken_away_is_done_without_and_that_is_remembered(desk: Desk, answer: bytes):
    one = desk.shelf.put(1)
    desk.shelf.about = SYNC + CTAG.format("c1")
    _, _, token = await desk.round()
    desk.shelf.ways["sync-collection"] = lambda _: answer
    pages = await desk.pages(token)
    assert all(page.is_listing for page in pages)
    assert ids([item for page in pages for item in page.items], Listed) == [one]
    token = pages[-1].token or ""
    assert (await desk.round(token))[:2] == ([], [])
    assert desk.server.methods == ["PROPFIND"]


async def test_by_ctag(desk: Desk):
    one, two = desk.shelf.put(1), desk.shelf.put(2)
    desk.shelf.about = NO_SYNC + CTAG.format("c1")
    listed, _, token = await desk.round()
    assert listed == [one, two]
    assert (await desk.round(token))[:2] == ([], [])
    assert desk.server.methods == ["PROPFIND"]
    del desk.shelf.resources[one]
    desk.shelf.about = NO_SYNC + CTAG.format("c2")
    pages = await desk.pages(token)
    assert all(page.is_listing and not page.whole for page in pages)
    assert ids([item for page in pages for item in page.items], Listed) == [two]
    assert (await desk.round(pages[-1].token))[:2] == ([], [])


async def test_by_the_etags_of_the_window(desk: Desk):
    one = desk.shelf.put(1)
    desk.shelf.about = NO_SYNC
    listed, _, token = await desk.round()
    assert listed == [one]
    assert (await desk.round(token))[:2] == ([], [])
    assert desk.server.methods == ["REPORT"]
    two = desk.shelf.put(2)
    pages = await desk.pages(token)
    assert all(page.is_listing for page in pages)
    assert ids([item for page in pages for item in page.items], Listed) == [one, two]


async def test_the_window_is_listed_again_in_any_case(desk: Desk):
    """sabre takes a token from the future, and says for ever that nothing changed."""
    desk.shelf.put(1)
    _, _, token = await desk.round()
    two = desk.shelf.put(2)
    desk.now += timedelta(hours=5)
    assert (await desk.round(token))[:2] == ([], [])
    desk.now += timedelta(hours=2, minutes=1)
    pages = await desk.pages(token)
    assert all(page.is_listing for page in pages)
    assert two in ids([item for page in pages for item in page.items], Listed)
    assert msgspec.json.decode(pages[-1].token or "", type=rounds.Token).listed_at == desk.now


async def test_hrefs_are_the_same_however_they_are_spelt(desk: Desk):
    """Radicale escapes the @ and iCloud names a host, in some answers and not in others."""
    at = "/c/a@b 1.ics"
    desk.shelf.ways["sync-collection"] = lambda _: multistatus(row("/c/a%40b%201.ics", ETAG), token="t1")
    desk.shelf.ways["multiget"] = lambda _: multistatus(row("https://p42-caldav.icloud.com:443/c/a@b%201.ics", data(1)))
    listed, _, token = await desk.round()
    assert listed == [at.replace(" ", "%20")]
    desk.shelf.ways["sync-collection"] = lambda _: multistatus(row("/c/a@b%201.ics", status="404"), token="t2")
    assert (await desk.round(token))[1] == listed


async def test_a_calendar_that_has_become_something_else(desk: Desk):
    desk.shelf.ways["resourcetype"] = lambda _: multistatus(row("/c/", calendar("C", kind="")))
    with pytest.raises(CalendarGone):
        await desk.pages()
    desk.shelf.ways["resourcetype"] = lambda _: multistatus(row("/c/", status="404"))
    with pytest.raises(CalendarGone):
        await desk.pages()


class TestManyResources:
    @pytest.fixture
    def few(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Five resources where three count as many: one in the window, one that repeats, three that are neither."""
        monkeypatch.setattr(rounds, "FETCHED_WHOLE", 3)
        paths = [desk.shelf.put(1), desk.shelf.put(2, more="RRULE:FREQ=DAILY;COUNT=2\n")]
        paths += [desk.shelf.put(number) for number in (3, 4, 5)]
        desk.shelf.ways["time-range"] = lambda _: multistatus(row(paths[0], ETAG))
        desk.shelf.ways["RRULE"] = lambda _: multistatus(row(paths[1], ETAG))
        return paths

    def fetched(self, desk: Desk) -> list[str]:
        return sorted(href for each in desk.server.asked if "multiget" in each.body for href in wanted(each))

    async def test_what_lies_in_the_window_or_repeats_is_fetched(self, desk: Desk, few: list[str]):
        listed, _, _ = await desk.round()
        assert self.fetched(desk) == few[:2]
        assert listed == [few[0], f"{few[1]}#20260303T100000Z", f"{few[1]}#20260304T100000Z"]
        (asked,) = [each for each in desk.server.asked if "time-range" in each.body]
        assert 'start="20260227T000000Z" end="20260404T000000Z"' in asked.body
        assert asked.headers["depth"] == "1"

    @pytest.mark.parametrize("kind", ["RRULE", "time-range"])
    async def test_a_filter_that_is_refused(self, desk: Desk, few: list[str], kind: str):
        desk.shelf.ways[kind] = lambda _: refusal(403, "c:supported-filter")
        await desk.pages()
        assert self.fetched(desk) == few

    async def test_more_matches_than_the_server_allows(self, desk: Desk, few: list[str]):
        spans = []

        def strict(asked: Asked) -> bytes:
            start, end = (datetime.fromisoformat(text) for text in re.findall(r'(?:start|end)="(\w+)"', asked.body))
            spans.append((end - start).days)
            return multistatus(row(few[0], ETAG)) if spans[-1] < 15 else response(b"", 507)

        desk.shelf.ways["time-range"] = strict
        await desk.pages()
        assert self.fetched(desk) == few[:2]
        assert (spans[0], len(spans)) == (36, 7)

    async def test_a_collection_that_cannot_be_listed_at_all(self, desk: Desk, few: list[str]):
        desk.shelf.ways["sync-collection"] = lambda _: response(b"", 507)
        desk.shelf.ways["getetag"] = lambda _: multistatus(row("/c/", status="507"))
        desk.shelf.about = SYNC + CTAG.format("c1")
        await desk.pages()
        assert self.fetched(desk) == few[:2]


async def test_a_stretch_has_what_lies_in_it_and_all_that_repeats(desk: Desk):
    one, two = desk.shelf.put(1), desk.shelf.put(2, more="RRULE:FREQ=DAILY;COUNT=1\n")
    desk.shelf.ways["time-range"] = lambda _: multistatus(row(one, ETAG))
    desk.shelf.ways["RRULE"] = lambda _: multistatus(row(two, ETAG))
    assert await desk.stretch() == [one, f"{two}#20260303T100000Z"]
    desk.shelf.ways["RRULE"] = lambda _: refusal(403, "c:supported-filter")
    assert await desk.stretch() == [one, f"{two}#20260303T100000Z"]


async def test_a_resource_with_two_uids(desk: Desk):
    path = desk.shelf.put(1)
    more = event(2, more="RRULE:FREQ=DAILY;COUNT=2\n").partition("VERSION:2.0\n")[2]
    both = event(1).replace("END:VCALENDAR\n", more)
    _, _, token = await desk.round()
    desk.shelf.changed = [path]
    desk.shelf.resources[path] = f"<c:calendar-data>{both}</c:calendar-data>"
    pages = await desk.pages(token)
    other = f"{path}~event-2@example.com"
    assert [whole for page in pages for whole in page.whole] == [path, other]
    assert ids([item for page in pages for item in page.items], Listed) == [
        path,
        f"{other}#20260303T100000Z",
        f"{other}#20260304T100000Z",
    ]


async def test_the_zone_of_the_calendar_is_told_by_a_listing(desk: Desk):
    desk.shelf.about = SYNC + "<c:calendar-timezone-id>America/New_York</c:calendar-timezone-id>"
    path = desk.shelf.put(1)
    desk.shelf.resources[path] = desk.shelf.resources[path].replace("T100000Z", "T100000")
    pages = await desk.pages()
    (listed,) = [item for page in pages for item in page.items if isinstance(item, Listed)]
    assert pages[-1].time_zone == "America/New_York"
    assert listed.event.starts_at == NOW.replace(day=3, hour=15)
    assert all(page.time_zone is None for page in await desk.pages(pages[-1].token))


async def test_one_series_is_one_resource(desk: Desk):
    path = desk.shelf.put(1, more="RRULE:FREQ=DAILY;COUNT=2\n")
    window = Window(WINDOW.start, WINDOW.end)
    listing = desk.provider.series(desk.access, desk.raw_id, path, window=window, time_zone=ZONE)
    assert len([item async for item in listing]) == 2
    assert desk.server.methods == ["GET"]
