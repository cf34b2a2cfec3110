"""Users let an integrator in: from the consent page's address to a connection, at every provider."""

import ipaddress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hosted.house import ADA, BEN, SHOP, House, come_back, decide, open_house, state_of, told

pytestmark = pytest.mark.anyio

EVERYBODY = [pytest.param(name, id=name) for name in ("google", "microsoft", "zoom")]
CALENDARS = EVERYBODY[:2]


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_a_user_lets_us_in(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    await house.register(provider)
    url = await house.url(provider, redirect_url=SHOP, state="shop's own", user_id="u-1", set_as_primary="true")
    arrived = told(await decide(browser, url))
    assert arrived == {
        "success": "true",
        "provider": provider,
        "connection_id": arrived["connection_id"],
        "state": "shop's own",
    }
    (connection,) = await house.connections(user_id="u-1")
    assert connection["id"] == arrived["connection_id"]
    assert (connection["email"], connection["status"], connection["is_primary"]) == (ADA, "active", provider != "zoom")
    assert connection["access"] == ("write" if provider == "zoom" else "read"), "Zoom's app has settings of its own"
    assert len(connection["calendars"]) == (0 if provider == "zoom" else 1)
    calendars = (await house.api.get("/calendars")).json()["data"]
    assert [(each["email"], each["status"], each["is_primary"]) for each in calendars] == (
        [] if provider == "zoom" else [(ADA, "syncing", True)]
    )


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_what_is_asked_for(house: House, provider: str) -> None:
    client = await house.register(provider)
    answer = await house.api.get(f"/connect/{provider}/url", params={"access": "write"})
    body = answer.json()
    asked = {name: values[0] for name, values in parse_qs(urlsplit(body["auth_url"]).query).items()}
    assert (body["provider"], body["expires_at"]) == (provider, "2026-03-02T09:10:00Z")
    assert asked["client_id"] == client["client_id"]
    assert asked["redirect_uri"] == client["callback_url"] == f"https://calgate.test/connect/{provider}/callback"
    assert (asked["response_type"], asked["code_challenge_method"], len(asked["code_challenge"])) == (
        "code",
        "S256",
        43,
    )
    own: dict[str, dict[str, str]] = {
        "google": {
            "access_type": "offline",
            "prompt": "consent",
            "scope": "https://www.googleapis.com/auth/calendar openid email",
        },
        "microsoft": {
            "prompt": "select_account",
            "response_mode": "query",
            "scope": "https://graph.microsoft.com/Calendars.ReadWrite https://graph.microsoft.com/User.Read offline_access",
        },
        "zoom": {},
    }
    common = {"client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "state"}
    assert {name: value for name, value in asked.items() if name not in common} == own[provider]


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_who_does_not_want_to(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    await house.register(provider)
    url = await house.url(provider, redirect_url=SHOP, state="s")
    arrived = told(await decide(browser, url, decision="deny"))
    assert arrived["error"] == "true"
    assert (arrived["provider"], arrived["code"], arrived["state"]) == (provider, "access_denied", "s")
    assert "not given" in arrived["message"]
    assert await house.connections() == []


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_an_account_that_comes_again_is_the_same_connection(
    house: House, browser: httpx.AsyncClient, provider: str
) -> None:
    await house.register(provider)
    first = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))
    again = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))
    other = told(await decide(browser, await house.url(provider, redirect_url=SHOP), BEN))
    assert first["connection_id"] == again["connection_id"] != other["connection_id"]
    assert len(await house.connections()) == 2


@pytest.mark.parametrize("provider", CALENDARS)
async def test_a_calendar_that_was_posted_is_of_the_same_connection(
    house: House, browser: httpx.AsyncClient, provider: str
) -> None:
    world: Any = house.google if provider == "google" else house.microsoft
    given = world.connect(ADA)
    posted = {"provider": provider, **{name: given[name] for name in ("client_id", "client_secret", "refresh_token")}}
    calendar = (await house.api.post("/calendars", json=posted)).json()
    client = await house.register(provider)
    assert client["connections"] == 1
    (before,) = await house.connections()
    arrived = told(await decide(browser, await house.url(provider, redirect_url=SHOP, user_id="u")))
    (after,) = await house.connections()
    assert before["id"] == after["id"] == arrived["connection_id"]
    assert [each["id"] for each in after["calendars"]] == [calendar["id"]]
    # It stays now, when its calendar goes.
    assert (await house.api.delete(f"/calendars/{calendar['id']}")).status_code == 204
    (left,) = await house.connections()
    assert (left["id"], left["calendars"], left["user_id"]) == (before["id"], [], "u")


async def test_a_page_of_ours_without_an_address_to_go_to(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    page = await decide(browser, await house.url("google"))
    assert page.status_code == 200
    assert str(page.url).startswith("https://calgate.test/connect/google/callback")
    assert ADA in page.text
    assert "Connected" in page.text
    refused = await decide(browser, await house.url("google"), decision="deny")
    assert refused.status_code == 400
    for each in (page, refused):
        assert each.headers["content-type"].startswith("text/html")
        assert each.headers["cache-control"] == "no-store"
        assert each.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in each.headers["content-security-policy"]


async def test_a_user_who_unticks_the_calendar(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    url = await house.url("google", redirect_url=SHOP)
    arrived = told(await decide(browser, url, untick="auth/calendar"))
    assert (arrived["code"], arrived["error"]) == ("insufficient_scope", "true")
    assert await house.connections() == []


async def test_less_than_writing_is_not_enough_to_write(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    scopes = "https://www.googleapis.com/auth/calendar.readonly,https://www.googleapis.com/auth/calendar.events"
    url = await house.url("google", redirect_url=SHOP, access="write", scopes=scopes)
    assert told(await decide(browser, url, untick="calendar.events"))["code"] == "insufficient_scope"
    arrived = told(await decide(browser, await house.url("google", redirect_url=SHOP, access="write", scopes=scopes)))
    (connection,) = await house.connections()
    assert arrived["connection_id"] == connection["id"]
    assert set(scopes.split(",")) < set(connection["scopes"])


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_signing_in_again_is_for_the_same_account(
    house: House, browser: httpx.AsyncClient, provider: str
) -> None:
    await house.register(provider)
    mine = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))["connection_id"]
    url = await house.url(provider, redirect_url=SHOP, connection_id=mine)
    if provider != "zoom":
        assert parse_qs(urlsplit(url).query)["login_hint"] == [ADA]
    wrong = told(await decide(browser, url, BEN))
    assert (wrong["code"], "another account" in wrong["message"]) == ("token_failed", True)
    assert len(await house.connections()) == 1
    right = told(await decide(browser, await house.url(provider, redirect_url=SHOP, connection_id=mine)))
    assert right["connection_id"] == mine


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_a_provider_that_is_down(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    worlds: dict[str, Any] = {"google": house.google, "microsoft": house.microsoft, "zoom": house.zoom}
    await house.register(provider)
    callback = await come_back(browser, await house.url(provider, redirect_url=SHOP))
    worlds[provider].add_fault("lost_answer", endpoint="token", times=None)
    assert told(await browser.get(callback))["code"] == "server_error"
    worlds[provider].clear_faults()
    # The code is used up by the answer that was lost: the user begins again, and nothing stands in the way.
    arrived = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))
    assert arrived["success"] == "true"


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_a_code_that_the_provider_does_not_take(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    await house.register(provider)
    callback = await come_back(browser, await house.url(provider, redirect_url=SHOP))
    arrived = await browser.get(str(httpx.URL(callback).copy_merge_params({"code": "made-up"})))
    assert told(arrived)["code"] == "token_failed"


@pytest.mark.parametrize("provider", EVERYBODY)
async def test_a_client_secret_that_is_wrong(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    client = await house.register(provider, client_secret="wrong")
    arrived = told(await decide(browser, await house.url(provider, redirect_url=SHOP)))
    assert arrived["code"] == "token_failed"
    right = house.app_of(provider)["client_secret"]
    changed = await house.api.patch(f"/oauth_clients/{client['id']}", json={"client_secret": right})
    assert changed.status_code == 200
    assert told(await decide(browser, await house.url(provider, redirect_url=SHOP)))["success"] == "true"


async def test_a_code_that_comes_too_late(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    house.google.set(code_seconds=60)
    callback = await come_back(browser, await house.url("google", redirect_url=SHOP))
    house.google.advance(61)
    assert told(await browser.get(callback))["code"] == "token_failed"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param("access_denied", "access_denied", id="denied"),
        pytest.param("invalid_scope", "invalid_scope", id="scope"),
        pytest.param("server_error", "server_error", id="outage"),
        pytest.param("temporarily_unavailable", "server_error", id="for the moment"),
        pytest.param("<script>alert(1)</script>", "unknown", id="markup"),
        pytest.param("", "unknown", id="empty"),
    ],
)
async def test_errors_of_the_consent_page(house: House, browser: httpx.AsyncClient, error: str, code: str) -> None:
    await house.register("google")
    state = state_of(await house.url("google", redirect_url=SHOP))
    query = {"state": state, "error": error, "error_description": "<b>call +1 555</b>"}
    answer = await browser.get("https://calgate.test/connect/google/callback", params=query)
    arrived = told(answer)
    assert arrived["code"] == code
    assert "555" not in str(answer.url)
    assert "script" not in str(answer.url)


async def test_users_have_one_primary_connection(house: House, browser: httpx.AsyncClient) -> None:
    for provider in ("google", "microsoft"):
        await house.register(provider)

    async def connect(provider: str, email: str, **query: Any) -> str:
        url = await house.url(provider, redirect_url=SHOP, **query)
        return told(await decide(browser, url, email))["connection_id"]

    async def primary(user: str) -> list[str]:
        return [each["id"] for each in await house.connections(user_id=user) if each["is_primary"]]

    first = await connect("google", ADA, user_id="ada")
    assert await primary("ada") == [first]
    second = await connect("microsoft", ADA, user_id="ada")
    assert await primary("ada") == [first]
    await connect("microsoft", ADA, user_id="ada", set_as_primary="true")
    assert await primary("ada") == [second]
    third = await connect("google", BEN, user_id="ben")
    assert (await primary("ada"), await primary("ben")) == ([second], [third])


async def test_the_world_is_told(usual_url: str, clock: Any) -> None:
    loopback = (ipaddress.ip_network("127.0.0.0/8"),)
    async with open_house(usual_url, clock, allow_networks=loopback) as house, house.browser() as browser:
        hook = {"url": "http://127.0.0.1:9/", "event_types": ["calendar.*", "integration.*"]}
        assert (await house.api.post("/webhooks/endpoints", json=hook)).status_code == 201
        for provider in ("google", "zoom"):
            await house.register(provider)
            for _ in range(2):
                told(await decide(browser, await house.url(provider, redirect_url=SHOP, user_id="u")))
        messages = (await house.api.get("/webhooks/messages")).json()["data"]
        # Of Google's account the world hears that all is well when its calendar has been read.
        assert sorted(each["type"] for each in messages) == ["calendar.created", "integration.synced"]


async def test_no_address_on_the_way_is_kept_or_passed_on(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    arrived = await decide(browser, await house.url("google", redirect_url=SHOP))
    way = [each for each in arrived.history if each.url.host == "calgate.test"]
    begun = await house.api.get("/connect/google", params={"redirect_url": SHOP})
    refused = await browser.get("https://calgate.test/connect/google/callback?state=x&code=y")
    assert [each.status_code for each in (*way, begun, refused)] == [303, 302, 400]
    for each in (*way, begun, refused):
        assert (each.headers["cache-control"], each.headers["referrer-policy"]) == ("no-store", "no-referrer")


async def test_an_app_of_one_tenant(house: House, browser: httpx.AsyncClient) -> None:
    tenant = house.microsoft.accounts[ADA].tenant
    house.microsoft.set_client(house.app_of("microsoft")["client_id"], audience=tenant)
    anybodys = await house.register("microsoft")
    refused = await browser.get(await house.url("microsoft", oauth_client_id=anybodys["id"]))
    assert (refused.status_code, "AADSTS50194" in refused.text) == (400, True)
    own = await house.register("microsoft", tenant_id=tenant)
    assert (own["tenant_id"], own["id"] != anybodys["id"]) == (tenant, True)
    url = await house.url("microsoft", redirect_url=SHOP, oauth_client_id=own["id"])
    assert urlsplit(url).path == f"/{tenant}/oauth2/v2.0/authorize"
    assert told(await decide(browser, url))["success"] == "true"


async def test_a_connection_moves_to_the_client_that_it_is_signed_in_by(
    house: House, browser: httpx.AsyncClient
) -> None:
    given = house.google.connect(ADA)
    elsewhere = house.google.add_client("other", "other secret")
    posted = {"provider": "google", **elsewhere, "refresh_token": house.google.grant(ADA, "other")}
    del posted["project"]
    calendar = (await house.api.post("/calendars", json=posted)).json()
    del house.google.clients["other"]
    client = await house.register("google")
    assert client["client_id"] == given["client_id"]
    (connection,) = await house.connections()
    url = await house.url("google", redirect_url=SHOP, connection_id=connection["id"])
    assert told(await decide(browser, url))["connection_id"] == connection["id"]
    assert (await house.api.get(f"/oauth_clients/{client['id']}")).json()["connections"] == 1
    assert (await house.api.get(f"/calendars/{calendar['id']}")).json()["status"] == "syncing"
    assert (await house.api.get(f"/connections/{connection['id']}/calendars")).status_code == 200
