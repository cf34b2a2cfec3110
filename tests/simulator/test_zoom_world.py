"""The fake Zoom: its consent page, its lists, its control API, and how it stands beside the others on one port."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from simulator.control import ZOOM_OPERATIONS
from simulator.google.world import World
from simulator.server import introduce, serve
from simulator.zoom.world import ZoomWorld, seeded_zoom

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADA, GRACE = "ada@example.com", "grace@example.com"
HOME = "http://127.0.0.1:9/back?keep=1"


@pytest.fixture
def zoom() -> ZoomWorld:
    return seeded_zoom(3, lambda: NOW)


@pytest.fixture
async def client(anyio_backend, zoom):
    async with serve(zoom) as url, httpx.AsyncClient(base_url=url) as client:
        yield client


def asked(**more: str) -> dict[str, str]:
    return {"response_type": "code", "client_id": "demo-3-zoom", "redirect_uri": HOME, "state": "<s>&", **more}


async def authorise(client: httpx.AsyncClient, zoom: ZoomWorld, email: str = ADA) -> None:
    known = next(each for each in zoom.credentials() if each["email"] == email)
    form = {"grant_type": "refresh_token", "refresh_token": known["refresh_token"]}
    answer = await client.post("/oauth/token", data=form, auth=(known["client_id"], known["client_secret"]))
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"


@pytest.mark.anyio
async def test_the_page_asks_and_its_form_leads_back(client: httpx.AsyncClient) -> None:
    page = await client.get("/oauth/authorize", params=asked(code_challenge="c", code_challenge_method="plain"))
    assert page.status_code == 200
    assert [name in page.text for name in (ADA, GRACE, "Demo", "Allow", "Deny", "meeting:write", "&lt;s&gt;&amp;")] == [
        True
    ] * 7
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', page.text))
    fields["state"] = "<s>&"
    fields["redirect_uri"] = HOME
    answer = await client.post("/oauth/authorize", data={**fields, "account": GRACE, "decision": "allow"})
    assert answer.status_code == 302
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (back["state"], back["keep"]) == (["<s>&"], ["1"])
    form = {"grant_type": "authorization_code", "code": back["code"][0], "redirect_uri": HOME, "code_verifier": "c"}
    token = await client.post("/oauth/token", data=form, auth=("demo-3-zoom", "demo-zoom-secret-3"))
    me = await client.get("/v2/users/me", headers={"authorization": f"Bearer {token.json()['access_token']}"})
    assert me.json()["email"] == GRACE


@pytest.mark.anyio
@pytest.mark.parametrize(
    "decision", [{"decision": "deny", "account": ADA}, {"decision": "allow", "account": "nobody"}, {}]
)
async def test_who_denies_is_sent_back_without_a_code(client: httpx.AsyncClient, decision: dict) -> None:
    answer = await client.post("/oauth/authorize", params=asked(), data=decision)
    back = parse_qs(urlsplit(answer.headers["location"]).query)
    assert (answer.status_code, back["error"], "code" in back) == (302, ["access_denied"], False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrong", [{"client_id": "x"}, {"redirect_uri": "https://evil.example"}, {"response_type": "token"}]
)
async def test_a_request_of_strangers_is_sent_nowhere(client: httpx.AsyncClient, zoom: ZoomWorld, wrong: dict) -> None:
    zoom.set_client("demo-3-zoom", redirect_uris=[HOME])
    for method in ("GET", "POST"):
        answer = await client.request(method, "/oauth/authorize", params=asked(**wrong))
        assert (answer.status_code, "location" in answer.headers) == (400, False)


@pytest.mark.anyio
async def test_lists_have_pages_and_kinds(client: httpx.AsyncClient, zoom: ZoomWorld) -> None:
    await authorise(client, zoom)
    for hours in (-5, 1, 2, 3):
        zoom.add_meeting(ADA, f"at {hours}", f"{NOW + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}")
    zoom.add_meeting(GRACE, "not hers")
    body = {"topic": "no time", "type": 3, "agenda": "a" * 300}
    made = (await client.post("/v2/users/me/meetings", json=body)).json()
    assert "start_time" not in made
    assert made["start_url"].startswith("https://")

    async def titles(kind: str) -> list[str]:
        found, token = [], ""
        while True:
            query = {"type": kind, "page_size": 2, "next_page_token": token}
            page = (await client.get("/v2/users/me/meetings", params=query)).json()
            found += [each["topic"] for each in page["meetings"]]
            assert all(len(each["agenda"]) <= 250 and "password" not in each for each in page["meetings"])
            token = page["next_page_token"]
            if not token:
                return found

    assert await titles("upcoming") == ["at 1", "at 2", "at 3"]
    assert sorted(await titles("scheduled")) == ["at -5", "at 1", "at 2", "at 3", "no time"]
    assert await titles("previous_meetings") == ["at -5"]


@pytest.mark.anyio
async def test_shares_of_requests_run_out_as_at_zoom(client: httpx.AsyncClient, zoom: ZoomWorld) -> None:
    await authorise(client, zoom)
    zoom.set(writes_per_day=1, per_second=3)
    body = {"topic": "x", "start_time": "2026-03-02T10:00:00Z"}
    assert (await client.post("/v2/users/me/meetings", json=body)).status_code == 201
    daily = await client.post("/v2/users/me/meetings", json=body)
    assert (daily.status_code, daily.headers["x-ratelimit-type"]) == (429, "Daily-limit")
    assert daily.headers["retry-after"] == "2026-03-03T00:00:00Z"
    assert (await client.get("/v2/users/me")).status_code == 200
    momentary = await client.get("/v2/users/me")
    assert (momentary.status_code, momentary.headers["x-ratelimit-type"]) == (429, "QPS")
    zoom.advance(86_400)
    await authorise(client, zoom)
    assert (await client.post("/v2/users/me/meetings", json=body)).status_code == 201


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v2/users/me/meetings", {"topic": "x" * 201}, 400, 300),
        ("POST", "/v2/users/me/meetings", {"settings": {"auto_recording": "tape"}}, 400, 300),
        ("POST", "/v2/users/me/meetings", {"start_time": "tomorrow"}, 400, 300),
        ("GET", "/v2/meetings/1", None, 404, 3001),
        ("DELETE", "/v2/meetings/abc", None, 404, 3001),
        ("GET", "/v2/rooms", None, 404, 2300),
    ],
)
async def test_refusals(client, zoom, method: str, path: str, body: dict | None, status: int, code: int) -> None:
    await authorise(client, zoom)
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.anyio
async def test_tokens_without_a_scope_or_a_life(client: httpx.AsyncClient, zoom: ZoomWorld) -> None:
    zoom.grant(ADA, "demo-3-zoom", ["user:read"])
    await authorise(client, zoom)
    assert (await client.get("/v2/users/me/meetings")).json()["code"] == 4711
    zoom.advance(3600)
    assert ((await client.get("/v2/users/me")).status_code, (await client.get("/v2/users/me")).json()["code"]) == (
        401,
        124,
    )


@pytest.mark.anyio
async def test_it_is_scripted_over_http_and_stands_beside_the_others(zoom: ZoomWorld) -> None:
    google = World(lambda: NOW, seed=1)
    async with serve(google, zoom=zoom) as url, httpx.AsyncClient(base_url=url) as client:
        listed = (await client.get("/simulator/zoom")).json()["operations"]
        assert [each["name"] for each in listed] == list(ZOOM_OPERATIONS)
        made = await client.post("/simulator/zoom/add_meeting", json={"email": ADA, "topic": "Scripted"})
        assert made.json()["result"]["topic"] == "Scripted"
        assert len((await client.get("/simulator/zoom/read_meetings")).json()["result"]) == 1
        assert (await client.post("/simulator/zoom/add_fault", json={"preset": "no"})).status_code == 400
        assert (await client.post("/simulator/zoom/reset")).status_code == 200
        assert zoom.meetings == {}
        assert (await client.get("/simulator")).json()["operations"][0]["name"] == "add_client"
        assert (await client.post("/token", data={})).status_code == 400
    told = introduce(google, "http://127.0.0.1:1", None, zoom)
    assert "CALGATE_ZOOM_API_URL=http://127.0.0.1:1/v2\n" in told
    assert "CALGATE_ZOOM_TOKEN_URL=http://127.0.0.1:1/oauth/token\n" in told
    assert "CALGATE_ZOOM_AUTH_URL=http://127.0.0.1:1/oauth/authorize\n" in told
