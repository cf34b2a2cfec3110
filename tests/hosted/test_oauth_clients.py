"""OAuth clients as objects of their own, and codes that integrators got themselves."""

import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from hosted.house import ADA, BEN, SHOP, House, come_back, decide, told
from uuid_utils.compat import uuid7

from service.store.api_keys import create_key
from service.store.projects import create_project

pytestmark = pytest.mark.anyio

OWN = f"{SHOP}/own"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


async def test_a_client_from_birth_to_end(house: House) -> None:
    made = await house.register("google")
    assert made | {"callback_url": None, "id": None, "client_id": None} == {
        "id": None,
        "provider": "google",
        "client_id": None,
        "tenant_id": None,
        "redirect_urls": [SHOP],
        "callback_url": None,
        "connections": 0,
        "error_code": None,
        "error_message": None,
        "version": 1,
        "created_at": "2026-03-02T09:00:00Z",
        "updated_at": "2026-03-02T09:00:00Z",
    }
    place = f"/oauth_clients/{made['id']}"
    assert (await house.api.get(place)).json() == made
    again = await house.api.post("/oauth_clients", json={"provider": "google", **house.app_of("google")})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    stale = await house.api.patch(place, json={"redirect_urls": []}, headers={"if-match": '"7"'})
    assert stale.status_code == 412
    changed = await house.api.patch(place, json={"redirect_urls": [OWN]}, headers={"if-match": '"1"'})
    assert (changed.status_code, changed.json()["redirect_urls"], changed.json()["version"]) == (200, [OWN], 2)
    assert changed.headers["etag"] == '"2"'
    assert (await house.api.get("/connect/google/url", params={"redirect_url": SHOP})).status_code == 422
    assert (await house.api.delete(place, headers={"if-match": '"1"'})).status_code == 412
    assert (await house.api.delete(place)).status_code == 204
    assert (await house.api.get(place)).status_code == 404
    without = await house.api.get("/connect/google/url")
    assert (without.status_code, "POST /oauth_clients" in without.json()["detail"]) == (409, True)


async def test_a_list_of_clients(house: House) -> None:
    made = [(await house.register(provider))["id"] for provider in ("zoom", "google", "microsoft")]
    page = (await house.api.get("/oauth_clients", params={"limit": 2})).json()
    rest = (await house.api.get("/oauth_clients", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [each["id"] for each in page["data"] + rest["data"]] == made
    assert rest["next_cursor"] is None
    outlook = (await house.api.get("/oauth_clients", params={"provider": "outlook"})).json()["data"]
    assert [(each["provider"], each["tenant_id"]) for each in outlook] == [("microsoft", "common")]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        pytest.param({"provider": "caldav"}, "provider", id="provider"),
        pytest.param({"client_secret": ""}, "client_secret", id="secret"),
        pytest.param({"tenant_id": "common"}, "tenant_id", id="tenant of Google"),
        pytest.param({"redirect_urls": ["http://shop.test/x"]}, "redirect_urls[0]", id="no TLS"),
        pytest.param({"redirect_urls": [SHOP, "https://shop.test/#x"]}, "redirect_urls[1]", id="fragment"),
        pytest.param({"redirect_urls": ["https://a\\@evil.test"]}, "redirect_urls[0]", id="backslash"),
        pytest.param({"redirect_urls": ["https://u@shop.test"]}, "redirect_urls[0]", id="user"),
        pytest.param({"redirect_urls": ["myapp://done"]}, "redirect_urls[0]", id="scheme"),
        pytest.param({"redirect_urls": ["/done"]}, "redirect_urls[0]", id="relative"),
        pytest.param({"surprise": 1}, "surprise", id="unknown field"),
    ],
)
async def test_what_cannot_be_registered(house: House, given: dict[str, Any], field: str) -> None:
    body = {"provider": "google", "client_id": "a", "client_secret": "b", "redirect_urls": ["http://127.0.0.1:3000/x"]}
    answer = await house.api.post("/oauth_clients", json=body | given)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert (await house.api.post("/oauth_clients", json=body)).status_code == 201


async def test_a_client_of_another_project_is_none(house: House, clock: Any) -> None:
    made = await house.register("google")
    from_elsewhere = await strangers_key(house, clock)
    async with httpx.AsyncClient(
        transport=house.streets, base_url=house.api.base_url, headers={"authorization": f"Bearer {from_elsewhere}"}
    ) as stranger:
        place = f"/oauth_clients/{made['id']}"
        statuses = [
            (await stranger.get(place)).status_code,
            (await stranger.patch(place, json={"redirect_urls": []})).status_code,
            (await stranger.delete(place)).status_code,
            (await stranger.get("/connect/google/url", params={"oauth_client_id": made["id"]})).status_code,
        ]
        assert statuses == [404, 404, 404, 422]
        assert (await stranger.get("/oauth_clients")).json()["data"] == []


async def strangers_key(house: House, clock: Any) -> str:
    async with house.database.write() as conn:
        return await create_key(conn, await create_project(conn, "stranger", clock()), "admin", clock())


async def test_a_client_is_not_deleted_under_its_connections(house: House, browser: httpx.AsyncClient) -> None:
    made = await house.register("google")
    connection = told(await decide(browser, await house.url("google", redirect_url=SHOP)))["connection_id"]
    refused = await house.api.delete(f"/oauth_clients/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await house.api.get(f"/oauth_clients/{made['id']}")).json()["connections"] == 1
    assert (await house.api.delete(f"/connections/{connection}")).status_code == 204
    # A registered client stays without connections.
    assert (await house.api.get(f"/oauth_clients/{made['id']}")).json()["connections"] == 0
    assert (await house.api.delete(f"/oauth_clients/{made['id']}")).status_code == 204


async def test_a_new_secret_is_tried_at_once(house: House, browser: httpx.AsyncClient) -> None:
    made = await house.register("google")
    connection = told(await decide(browser, await house.url("google", redirect_url=SHOP)))["connection_id"]
    listing = f"/connections/{connection}/calendars"
    asked = house.google.read_counters()["token"]
    assert (await house.api.get(listing)).status_code == 200
    assert house.google.read_counters()["token"] == asked  # with the access token that the code gave
    place = f"/oauth_clients/{made['id']}"
    assert (await house.api.patch(place, json={"client_secret": "wrong"})).status_code == 200
    refused = await house.api.get(listing)
    assert (refused.status_code, refused.json()["code"]) == (422, "client_rejected")
    assert (await house.api.get(place)).json()["error_code"] == "client_rejected"
    right = house.app_of("google")["client_secret"]
    mended = await house.api.patch(place, json={"client_secret": right})
    assert mended.json()["error_code"] is None
    assert (await house.api.get(listing)).status_code == 200


async def test_the_newest_client_signs_in_unless_one_is_named(house: House, clock: Any) -> None:
    first = await house.register("google")
    clock.advance(1)
    second = {"client_id": "second", "client_secret": "x"}
    await house.api.post("/oauth_clients", json={"provider": "google", **second})
    assert "client_id=second" in await house.url("google")
    assert first["client_id"] in await house.url("google", oauth_client_id=first["id"])
    unknown = await house.api.get("/connect/google/url", params={"oauth_client_id": str(uuid7())})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "oauth_client_id")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/connect/caldav/url", 404, id="provider without a consent page"),
        pytest.param("/connect/nobody", 404, id="unknown provider"),
        pytest.param("/connect/outlook/url", 200, id="spelling"),
        pytest.param("/connect/google/url?access=all", 422, id="access"),
        pytest.param("/connect/google/url?connection_id=x", 422, id="connection"),
        pytest.param("/connect/google/url?scopes=%22", 422, id="scopes"),
        pytest.param(f"/connect/google/url?connection_id={uuid7()}", 422, id="unknown connection"),
    ],
)
async def test_what_can_be_asked_for(house: House, path: str, status: int) -> None:
    for provider in ("google", "microsoft"):
        await house.register(provider)
    answer = await house.api.get(path)
    assert answer.status_code == status, answer.text
    assert (await house.api.get(path, headers={"authorization": "Bearer x"})).status_code == 401


def own_page(house: House, provider: str, **more: str) -> str:
    """A consent page as an integrator asks for it itself."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": house.app_of(provider)["client_id"],
        "redirect_uri": OWN,
        "response_type": "code",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "state": "mine",
        **more,
    }
    pages = {
        "google": "https://google.test/o/oauth2/v2/auth",
        "microsoft": "https://microsoft.test/common/oauth2/v2.0/authorize",
        "zoom": "https://zoom.test/oauth/authorize",
    }
    scopes = {
        "google": "https://www.googleapis.com/auth/calendar openid email",
        "microsoft": "Calendars.Read User.Read offline_access",
        "zoom": "",
    }
    offline = {"access_type": "offline", "prompt": "consent"} if provider == "google" else {}
    return f"{pages[provider]}?{urlencode({'scope': scopes[provider], **offline, **query})}"


async def own_code(house: House, browser: httpx.AsyncClient, provider: str, email: str = ADA, **more: str) -> str:
    back = await come_back(browser, own_page(house, provider, **more), email)
    return parse_qs(urlsplit(back).query)["code"][0]


@pytest.mark.parametrize("provider", ["google", "microsoft", "zoom"])
async def test_a_code_of_an_own_callback_page(house: House, browser: httpx.AsyncClient, provider: str) -> None:
    await house.register(provider)
    place = f"/connect/{provider}/exchange"
    body = {"redirect_uri": OWN, "code_verifier": VERIFIER, "user_id": "u-9"}
    code = await own_code(house, browser, provider)
    made = await house.api.post(place, json={"code": code, **body})
    assert made.status_code == 201, made.text
    assert (made.json()["email"], made.json()["user_id"], made.json()["status"]) == (ADA, "u-9", "active")
    again = await house.api.post(place, json={"code": await own_code(house, browser, provider), **body})
    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    replayed = await house.api.post(place, json={"code": code, **body})
    assert (replayed.status_code, replayed.json()["code"]) == (422, "credentials_rejected")
    assert [each["field"] for each in replayed.json()["errors"]] == ["code"]
    assert code not in replayed.text
    other = await house.api.post(
        place, json={"code": await own_code(house, browser, provider, BEN), "connection_id": made.json()["id"], **body}
    )
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "connection_id")
    assert len(await house.connections()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"code_verifier": "A" * 43}, "credentials_rejected", id="another verifier"),
        pytest.param({"code_verifier": None}, "credentials_rejected", id="no verifier"),
        pytest.param({"redirect_uri": f"{OWN}/"}, "credentials_rejected", id="another redirect_uri"),
        pytest.param({"code": "made-up"}, "credentials_rejected", id="no code"),
    ],
)
@pytest.mark.parametrize("provider", ["google", "microsoft", "zoom"])
async def test_codes_that_are_not_taken(
    house: House, browser: httpx.AsyncClient, provider: str, change: dict[str, Any], code: str
) -> None:
    await house.register(provider)
    given = {"code": await own_code(house, browser, provider), "redirect_uri": OWN, "code_verifier": VERIFIER} | change
    answer = await house.api.post(f"/connect/{provider}/exchange", json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert await house.connections() == []


async def test_what_an_own_page_has_to_ask_for(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    body = {"redirect_uri": OWN, "code_verifier": VERIFIER}
    scopes = {"scope": "openid email"}
    answer = await house.api.post(
        "/connect/google/exchange", json={"code": await own_code(house, browser, "google", **scopes), **body}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "insufficient_scope")
    house.google.revoke_consent(ADA)
    online = await own_code(house, browser, "google", access_type="online")
    answer = await house.api.post("/connect/google/exchange", json={"code": online, **body})
    assert (answer.status_code, "offline" in answer.json()["detail"]) == (422, True)
    house.google.add_fault("token_500", endpoint="token")
    code = await own_code(house, browser, "google")
    answer = await house.api.post("/connect/google/exchange", json={"code": code, **body})
    assert (answer.status_code, answer.json()["code"]) == (503, "provider_unavailable")


async def test_a_grant_that_goes_on_keeps_its_refresh_token(house: House, browser: httpx.AsyncClient) -> None:
    """Google gives a refresh token once, unless it is asked for consent again."""
    await house.register("google")
    connection = told(await decide(browser, await house.url("google", redirect_url=SHOP)))["connection_id"]
    code = await own_code(house, browser, "google", prompt="select_account")
    answer = await house.api.post(
        "/connect/google/exchange", json={"code": code, "redirect_uri": OWN, "code_verifier": VERIFIER}
    )
    assert (answer.status_code, answer.json()["id"]) == (200, connection)
    house.google.expire_access_tokens()
    assert (await house.api.get(f"/connections/{connection}/calendars")).status_code == 200


async def test_an_exchange_may_be_repeated_with_its_key(house: House, browser: httpx.AsyncClient) -> None:
    await house.register("google")
    body = {"code": await own_code(house, browser, "google"), "redirect_uri": OWN, "code_verifier": VERIFIER}
    headers = {"idempotency-key": "once"}
    first = await house.api.post("/connect/google/exchange", json=body, headers=headers)
    again = await house.api.post("/connect/google/exchange", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.headers["idempotency-replayed"], again.content) == ("true", first.content)


async def test_acts_are_in_the_audit_log(house: House, browser: httpx.AsyncClient) -> None:
    made = await house.register("google")
    connection = told(await decide(browser, await house.url("google", redirect_url=SHOP, user_id="u-1")))[
        "connection_id"
    ]
    await decide(browser, await house.url("google", redirect_url=SHOP, user_id="u-1"))
    await house.api.patch(f"/oauth_clients/{made['id']}", json={"redirect_urls": []})
    log = (await house.api.get("/audit")).json()["data"]
    found = [(each["action"], each["actor"]["kind"], each["actor"]["id"]) for each in reversed(log)]
    key = found[-1][2]
    assert [each for each in found if each[0].startswith(("client.", "connection."))] == [
        ("client.registered", "api_key", key),
        ("connection.created", "user", "u-1"),
        ("connection.renewed", "user", "u-1"),
        ("client.changed", "api_key", key),
    ]
    assert log[0]["details"] == {"fields": ["redirect_urls"]}
    assert connection in {each["object"]["id"] for each in log}
