"""What attackers do to a sign-in: states, redirects, codes and pages that are not what they seem."""

import asyncio
import logging
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from hosted.house import ADA, BEN, GATEWAY, SHOP, House, come_back, decide, open_house, state_of, told

pytestmark = pytest.mark.anyio

CALLBACK = f"{GATEWAY}/connect/google/callback"


def exchanges(house: House) -> int:
    """How often Google's token endpoint was asked."""
    return house.google.read_counters().get("token", 0)


def is_nowhere(answer: httpx.Response, said: str) -> None:
    """A page of ours, and nobody is sent anywhere."""
    assert answer.status_code == 400
    assert not answer.history
    assert "location" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text


def swapped(url: str, **query: str | None) -> str:
    """An address with other parameters; None takes one away."""
    given = dict(parse_qsl(urlsplit(url).query)) | query
    kept = {name: value for name, value in given.items() if value is not None}
    return str(httpx.URL(url).copy_with(query=str(httpx.QueryParams(kept)).encode()))


def forged(state: str) -> str:
    """The same state with another last but one letter in its proof."""
    return state[:-2] + ("A" if state[-2] != "A" else "B") + state[-1]


async def test_a_state_that_nobody_gave_out(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    state = state_of(callback)
    random, _, proof = state.partition(".")
    for other in (forged(state), random, f"{random}.", f".{proof}", f"{'A' * 43}.{proof}", "x", "é" * 20, "a" * 300):
        is_nowhere(await browser.get(swapped(callback, state=other)), "start connecting again")
    is_nowhere(await browser.get(swapped(callback, state=None)), "missing a part")
    is_nowhere(await browser.get(swapped(callback, state="")), "missing a part")
    is_nowhere(await browser.get(f"{callback}&state={state}"), "start connecting again")
    is_nowhere(await browser.get(f"{CALLBACK}?{'&'.join(['a=1'] * 60)}"), "missing a part")
    assert exchanges(house) == 0
    assert told(await browser.get(callback))["success"] == "true"


async def test_a_state_is_good_for_one_provider(house: House, browser: httpx.AsyncClient) -> None:
    for provider in ("google", "microsoft"):
        await house.register(provider)
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    is_nowhere(await browser.get(callback.replace("/google/", "/microsoft/")), "start connecting again")
    assert told(await browser.get(callback))["success"] == "true"


async def test_a_state_of_another_installation(
    house: House, browser: httpx.AsyncClient, usual_url: str, sqlite_url: str, postgresql_url: str, clock: Any
) -> None:
    await house.register("google")
    theirs = postgresql_url if usual_url == sqlite_url else sqlite_url
    async with open_house(theirs, clock) as other, other.browser() as there:
        await other.register("google")
        callback = await come_back(there, await other.url("google", redirect_url=SHOP))
    is_nowhere(await browser.get(callback), "start connecting again")
    assert exchanges(house) == 0


async def test_a_state_is_over_after_ten_minutes(house: House, browser: httpx.AsyncClient, clock: Any) -> None:
    await house.register("google")
    house.google.set(code_seconds=10_000)
    early = await come_back(browser, await house.url("google", redirect_url=SHOP))
    late = await come_back(browser, await house.url("google", redirect_url=SHOP))
    clock.advance(599)
    assert told(await browser.get(early))["success"] == "true"
    clock.advance(2)
    is_nowhere(await browser.get(late), "start connecting again")
    assert exchanges(house) == 1


async def test_a_state_is_good_once(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    assert told(await browser.get(callback))["success"] == "true"
    is_nowhere(await browser.get(callback), "start connecting again")
    denied = f"{CALLBACK}?state={state_of(await house.url('google', redirect_url=SHOP))}&error=access_denied"
    assert told(await browser.get(denied))["code"] == "access_denied"
    is_nowhere(await browser.get(denied), "start connecting again")
    assert exchanges(house) == 1


async def test_one_of_many_who_bring_a_state_at_once_gets_in(house: House) -> None:
    await house.register("google")
    async with house.browser() as browser:
        callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    async with httpx.AsyncClient(transport=house.streets) as client:
        answers = await asyncio.gather(*(client.get(callback) for _ in range(100)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 99
    assert exchanges(house) == 1


async def test_a_walk_belongs_to_the_browser_that_began_it(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    begun = await house.api.get("/connect/google", params={"redirect_url": SHOP})
    assert begun.status_code == 302
    (cookie,) = begun.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-calgate_browser=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= {part.strip() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()
    name, _, value = cookie.partition(";")[0].partition("=")
    callback = await come_back(browser, begun.headers["location"])
    is_nowhere(await browser.get(callback), "another browser")
    for wrong in ("A" * 43, "", value[:-1], f"{value}x"):
        is_nowhere(await browser.get(callback, headers={"cookie": f"{name}={wrong}"}), "another browser")
    assert exchanges(house) == 0
    arrived = await browser.get(callback, headers={"cookie": f"{name}={value}"})
    assert told(arrived)["success"] == "true"


async def test_a_browser_keeps_its_mark_for_another_tab(house: House) -> None:
    await house.register("google")
    query = {"redirect_url": SHOP}
    async with httpx.AsyncClient(
        transport=house.streets, base_url=GATEWAY, headers=house.api.headers, follow_redirects=True
    ) as browser:
        first = (await browser.get("/connect/google", params=query, follow_redirects=False)).headers["location"]
        second = (await browser.get("/connect/google", params=query, follow_redirects=False)).headers["location"]
        assert told(await decide(browser, first))["success"] == "true"
        assert told(await decide(browser, second, BEN))["success"] == "true"


REDIRECTS = [
    pytest.param("https://shop.test.evil.io/connected", id="longer host"),
    pytest.param("https://shop.test@evil.io/connected", id="user"),
    pytest.param("https://shop.test\\@evil.io/connected", id="backslash"),
    pytest.param("//shop.test/connected", id="no scheme"),
    pytest.param("\thttps://shop.test/connected", id="tab"),
    pytest.param(" https://shop.test/connected", id="space"),
    pytest.param("https://shop.test/%63onnected", id="escaped"),
    pytest.param("https://SHOP.test/connected", id="case of the host"),
    pytest.param("https://shop.test/Connected", id="case of the path"),
    pytest.param("https://shop.test/connected/", id="slash"),
    pytest.param("https://shop.test/connected?x=1", id="query"),
    pytest.param("https://shop.test/connected#x", id="fragment"),
    pytest.param("https://shop.test:443/connected", id="port"),
    pytest.param("http://shop.test/connected", id="no TLS"),
    pytest.param("https://shop.test/connected/../x", id="dots"),
    pytest.param("https://shop.test/connected\r\nset-cookie: a=b", id="new line"),
    pytest.param("javascript:alert(1)", id="script"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("target", REDIRECTS)
async def test_a_redirect_that_is_not_on_the_list(house: House, target: str) -> None:
    await house.register("google")
    for path in ("/connect/google/url", "/connect/google"):
        answer = await house.api.get(path, params={"redirect_url": target})
        assert answer.status_code == 422, path
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers
        assert [each["field"] for each in answer.json()["errors"]] == ["redirect_url"]
        assert not target or target not in answer.text


async def test_a_redirect_keeps_the_query_that_it_has(house: House, browser: httpx.AsyncClient) -> None:
    target = f"{SHOP}?shop=1&success=false"
    await house.register("google", redirect_urls=[target])
    arrived = await decide(browser, await house.url("google", redirect_url=target, state="a&b=c ö"))
    query = parse_qs(urlsplit(str(arrived.url)).query)
    assert (query["shop"], query["success"], query["state"]) == (["1"], ["false", "true"], ["a&b=c ö"])


async def test_markup_in_what_a_provider_says(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    house.google.add_account("<b>@example.com")
    markup = "<script>alert(1)</script>"
    for query in (
        {"state": state_of(await house.url("google")), "error": markup, "error_description": markup},
        {"state": markup, "error": markup},
        {"error": markup},
    ):
        page = await browser.get(CALLBACK, params=query)
        assert page.status_code == 400
        assert "<script>alert" not in page.text
    page = await decide(browser, await house.url("google"), "<b>@example.com")
    assert "&lt;b&gt;@example.com" in page.text


async def test_a_code_that_was_used_already(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    used = parse_qs(urlsplit(callback).query)["code"][0]
    assert told(await browser.get(callback))["success"] == "true"
    another = await come_back(browser, await house.url("google", redirect_url=SHOP), BEN)
    assert told(await browser.get(swapped(another, code=used)))["code"] == "token_failed"
    assert len(await house.connections()) == 1


async def test_a_code_that_was_given_to_somebody_else(house: House, browser: httpx.AsyncClient) -> None:
    """Whoever slips another's code into a walk of his own lacks its PKCE verifier."""
    await house.register("google")
    mine = await come_back(browser, await house.url("google", redirect_url=SHOP))
    code = parse_qs(urlsplit(mine).query)["code"][0]
    other = await come_back(browser, await house.url("google", redirect_url=SHOP), BEN)
    assert told(await browser.get(swapped(other, code=code)))["code"] == "token_failed"
    assert await house.connections() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"code": None}, "no_code", id="none"),
        pytest.param({"code": ""}, "no_code", id="empty"),
        pytest.param({"code": "a b"}, "no_code", id="with a space"),
        pytest.param({"code": "x" * 5000}, "no_code", id="huge"),
        pytest.param({"iss": "https://evil.test"}, "unknown", id="another issuer"),
        pytest.param({"iss": "https://google.test.evil.io"}, "unknown", id="an issuer that looks right"),
    ],
)
async def test_what_is_wrong_with_an_answer(
    house: House, browser: httpx.AsyncClient, change: dict[str, str | None], code: str
) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    assert told(await browser.get(swapped(callback, **change)))["code"] == code
    assert exchanges(house) == 0


async def test_a_code_that_comes_twice(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    assert told(await browser.get(f"{callback}&code=another"))["code"] == "no_code"
    assert exchanges(house) == 0


async def test_a_look_does_not_use_a_state_up(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    look = await browser.head(callback)
    assert (look.status_code, exchanges(house)) == (405, 0)
    assert told(await browser.get(callback))["success"] == "true"


TOKEN_ANSWERS = [
    pytest.param({"preset": "html_200"}, "server_error", id="html"),
    pytest.param({"preset": "huge_page"}, "server_error", id="ten megabytes"),
    pytest.param(
        {"preset": "custom", "status": 200, "body": {"access_token": "a", "expires_in": -1}},
        "server_error",
        id="no more",
    ),
    pytest.param({"preset": "custom", "status": 200, "body": {}}, "server_error", id="nothing"),
    pytest.param({"preset": "custom", "status": 200, "body": {"access_token": "a b"}}, "server_error", id="no token"),
    pytest.param({"preset": "token_500"}, "server_error", id="500"),
    pytest.param({"preset": "token_429"}, "server_error", id="429"),
    pytest.param({"preset": "invalid_grant"}, "token_failed", id="invalid_grant"),
    pytest.param({"preset": "invalid_client"}, "token_failed", id="invalid_client"),
    pytest.param({"preset": "admin_policy_enforced"}, "insufficient_scope", id="policy"),
]


@pytest.mark.parametrize(("fault", "code"), TOKEN_ANSWERS)
async def test_answers_of_the_token_endpoint(
    house: House, browser: httpx.AsyncClient, fault: dict[str, Any], code: str
) -> None:
    await house.register("google")
    kept = told(await decide(browser, await house.url("google", redirect_url=SHOP)))["connection_id"]
    house.google.add_fault(**fault, endpoint="token", times=None)
    assert told(await decide(browser, await house.url("google", redirect_url=SHOP)))["code"] == code
    house.google.clear_faults()
    # Whatever came: the tokens that were there before are there still.
    assert [(each["id"], each["status"]) for each in await house.connections()] == [(kept, "active")]
    assert (await house.api.get(f"/connections/{kept}/calendars")).status_code == 200


ACCOUNT_ANSWERS = [
    pytest.param("google", "calendarList.list", "scope_403", "insufficient_scope", id="Google: scope"),
    pytest.param("google", "calendarList.list", "backend_503", "server_error", id="Google: outage"),
    pytest.param("google", "calendarList.list", "rate_limit_429", "server_error", id="Google: too much"),
    pytest.param("google", "calendarList.list", "unauthorized_401", "server_error", id="Google: token not taken"),
    pytest.param("google", "calendarList.list", "api_disabled_403", "token_failed", id="Google: API off"),
    pytest.param("google", "calendarList.list", "hang", "server_error", id="Google: silence"),
    pytest.param("zoom", "users.me", "scope_400", "insufficient_scope", id="Zoom: scope"),
    pytest.param("zoom", "users.me", "scope_401", "insufficient_scope", id="Zoom: no scopes"),
    pytest.param("zoom", "users.me", "unauthorized_401", "server_error", id="Zoom: token not taken"),
    pytest.param("zoom", "users.me", "qps_429", "server_error", id="Zoom: too much"),
    pytest.param("zoom", "users.me", "error_500", "server_error", id="Zoom: outage"),
    pytest.param("zoom", "users.me", "html_200", "server_error", id="Zoom: html"),
    pytest.param("zoom", "users.me", "user_404", "token_failed", id="Zoom: no user"),
]


@pytest.mark.parametrize(("provider", "endpoint", "preset", "code"), ACCOUNT_ANSWERS)
async def test_answers_of_the_account(
    house: House, browser: httpx.AsyncClient, provider: str, endpoint: str, preset: str, code: str
) -> None:
    await house.register(provider)
    world: Any = house.google if provider == "google" else house.zoom
    world.add_fault(preset, endpoint=endpoint, times=None)
    arrived = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))
    assert (arrived["code"], await house.connections()) == (code, [])


async def test_nothing_secret_is_in_logs_answers_and_rows(
    house: House, browser: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = await house.register("google")
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    query = {name: values[0] for name, values in parse_qs(urlsplit(callback).query).items()}
    arrived = await browser.get(callback)
    assert told(arrived)["success"] == "true"
    (grant,) = house.google.grants
    secrets = [query["code"], query["state"], house.app_of("google")["client_secret"], *grant.refresh_tokens]
    secrets += list(house.google.access_tokens)
    ours = [record for record in caplog.records if record.name.split(".")[0] in {"calgate", "service"}]
    assert any("/connect/{provider}/callback" in record.getMessage() for record in ours)
    written = "".join(f"{record.getMessage()} {record.__dict__}" for record in ours) + str(arrived.url)
    written += (await house.api.get("/connections")).text + (await house.api.get(f"/oauth_clients/{client['id']}")).text
    written += (await house.api.get("/audit")).text
    assert [secret for secret in secrets if secret in written] == []


async def test_without_a_public_address_loopback_alone_will_do(usual_url: str, clock: Any) -> None:
    async with open_house(usual_url, clock, public_url=None) as house:
        await house.register("google")
        async with house.browser() as browser:
            url = await house.url("google", redirect_url=SHOP)
            assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["http://127.0.0.1:8420/connect/google/callback"]
            assert told(await decide(browser, url, ADA))["success"] == "true"
        for host in ("calgate.test", "127.0.0.1.evil.io", "127.0.0.1@evil.io", "[::1"):
            refused = await house.api.get("/connect/google/url", headers={"host": host})
            assert refused.status_code == 409, host
            assert "CALGATE_PUBLIC_URL" in refused.json()["detail"]
