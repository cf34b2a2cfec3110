"""Zoom's token endpoint: rotation, codes, and each refusal told for what it is; to the fake Zoom over real sockets."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from service.core.credentials import OAuthClient
from service.errors import ClientRejected, GrantRejected, RequestRefused, Throttled, TransientFault
from service.providers.guarded_http import Slots
from service.providers.zoom.answers import asked_pause, judge_token
from service.providers.zoom.login import ZoomLogin
from service.providers.zoom.tokens import ZoomTokens
from simulator.server import serve
from simulator.zoom.world import ZoomWorld

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADA = "ada@example.com"
HOME = "https://app.example/back"


class Door:
    def __init__(self, world: ZoomWorld, url: str, http) -> None:
        self.world, self.http = world, http
        known = world.connect(ADA)
        self.client = OAuthClient(client_id=known["client_id"], client_secret=known["client_secret"])
        self.refresh_token = known["refresh_token"]
        self.tokens = ZoomTokens(f"{url}/oauth/token")
        self.login = ZoomLogin(f"{url}/oauth/authorize", f"{url}/oauth/token", f"{url}/v2")

    async def refresh(self, token: str | None = None, client: OAuthClient | None = None):
        return await self.tokens.refresh(self.http, client or self.client, token or self.refresh_token, NOW)

    async def exchange(self, code: str, verifier: str | None, redirect_uri: str = HOME):
        return await self.login.exchange(
            self.http, self.client, code, redirect_uri=redirect_uri, verifier=verifier, now=NOW
        )


@pytest.fixture
async def door(anyio_backend):
    world = ZoomWorld(lambda: NOW, seed=3)
    slots = Slots(1)
    async with serve(world) as url, slots.borrow() as http:
        yield Door(world, url, http)
    await slots.aclose()


@pytest.mark.anyio
async def test_each_refresh_gives_another_token_and_kills_the_old(door: Door) -> None:
    first = await door.refresh()
    assert first.expires_at == NOW + timedelta(hours=1)
    assert first.refresh_token not in {None, door.refresh_token}
    with pytest.raises(GrantRejected):
        await door.refresh()
    assert (await door.refresh(first.refresh_token)).refresh_token != first.refresh_token
    assert "meeting:write" in first.scopes


@pytest.mark.anyio
async def test_after_no_answer_the_old_token_is_tried_once(door: Door) -> None:
    door.world.add_fault("custom", endpoint="token", status=503, body={})
    with pytest.raises(TransientFault):
        await door.refresh()
    door.world.clear_faults()
    # It was carried out, and the answer is lost for good.
    door.world.add_fault("lost_answer", endpoint="token")
    with pytest.raises(GrantRejected):
        await door.refresh()
    assert door.world.counters["token"] == 3


REFUSALS = [
    pytest.param("invalid_grant", GrantRejected, id="invalid-token"),
    pytest.param("grant_4735", GrantRejected, id="4735"),
    pytest.param("grant_4741", GrantRejected, id="4741"),
    pytest.param("invalid_client", ClientRejected, id="invalid-client"),
    pytest.param("client_4702", ClientRejected, id="4702"),
    pytest.param("client_4717", ClientRejected, id="4717"),
    pytest.param("qps_429", Throttled, id="429"),
    pytest.param("error_502", TransientFault, id="502"),
    pytest.param("html_200", TransientFault, id="a-web-page"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("preset", "kind"), REFUSALS)
async def test_each_refusal_is_told_for_what_it_is(door: Door, preset: str, kind: type[Exception]) -> None:
    door.world.add_fault(preset, endpoint="token")
    with pytest.raises(kind) as caught:
        await door.refresh()
    assert type(caught.value) is kind
    assert door.refresh_token not in str(caught.value)
    await door.refresh()


@pytest.mark.anyio
async def test_the_wrong_secret_is_the_clients_fault(door: Door) -> None:
    with pytest.raises(ClientRejected):
        await door.refresh(client=OAuthClient(client_id=door.client.client_id, client_secret="wrong"))
    door.world.set_client(door.client.client_id, status="disabled")
    with pytest.raises(ClientRejected):
        await door.refresh()


@pytest.mark.anyio
async def test_a_code_is_good_once_for_whoever_has_the_verifier(door: Door) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

    def code() -> str:
        return door.world.consent(ADA, door.client.client_id, HOME, challenge)

    once = code()
    grant = await door.exchange(once, verifier)
    assert grant.refresh_token
    await door.refresh(grant.refresh_token)
    for given, proof, back in (
        (once, verifier, HOME),
        (code(), "w" * 43, HOME),
        (code(), None, HOME),
        (code(), verifier, f"{HOME}/"),
    ):
        with pytest.raises(GrantRejected):
            await door.exchange(given, proof, back)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param("2026-03-03T00:00:00Z", datetime(2026, 3, 3, tzinfo=UTC), id="iso"),
        pytest.param("2026-03-02T12:00:00+02:00", datetime(2026, 3, 2, 10, tzinfo=UTC), id="iso-with-offset"),
        pytest.param("2026-03-02T12:00:00", datetime(2026, 3, 2, 12, tzinfo=UTC), id="iso-without"),
        pytest.param("2036-03-02T12:00:00Z", NOW + timedelta(days=1), id="far-away"),
        pytest.param("2025-03-02T12:00:00Z", None, id="past"),
        pytest.param("17", NOW + timedelta(seconds=17), id="seconds"),
        pytest.param("Mon, 02 Mar 2026 09:00:30 GMT", NOW + timedelta(seconds=30), id="http-date"),
        pytest.param("soon", None, id="nonsense"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_how_long_zoom_wants_to_be_left_alone(given: str, expected: datetime | None) -> None:
    assert asked_pause({"retry-after": given}, NOW) == expected


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"code":"x"}', b'{"code":99999999999999}', b"[" * 10_000])
def test_what_cannot_be_read_is_nobodys_fault(body: bytes) -> None:
    with pytest.raises((TransientFault, RequestRefused)):
        judge_token(400, {}, body, NOW)
