"""Many users at once, and what else happens meanwhile: one connection for each account, one primary one for each user."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hosted.house import ADA, BEN, SHOP, House, come_back, open_house, told

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(database_url: str, clock: Any) -> AsyncIterator[House]:
    async with open_house(database_url, clock) as house:
        yield house


async def walks(house: House, *whose: tuple[str, dict[str, str]]) -> list[str]:
    """Callbacks of walks that are all at their end."""
    async with house.browser() as browser:
        return [
            await come_back(browser, await house.url("google", redirect_url=SHOP, **query), email)
            for email, query in whose
        ]


async def arrive(house: House, callbacks: list[str]) -> list[dict[str, str]]:
    async with httpx.AsyncClient(transport=house.streets, follow_redirects=True) as browsers:
        return [told(answer) for answer in await asyncio.gather(*(browsers.get(each) for each in callbacks))]


async def test_one_account_many_times_at_once_is_one_connection(house: House) -> None:
    await house.register("google")
    arrived = await arrive(house, await walks(house, *[(ADA, {})] * 8))
    (connection,) = await house.connections()
    assert {each.get("connection_id") for each in arrived} == {connection["id"]}
    assert len(connection["calendars"]) == 1
    assert len((await house.api.get("/calendars")).json()["data"]) == 1
    # Whichever wrote last, the tokens that are stored belong together.
    house.google.expire_access_tokens()
    assert (await house.api.get(f"/connections/{connection['id']}/calendars")).status_code == 200


async def test_a_user_with_many_accounts_has_one_primary_connection(house: House) -> None:
    await house.register("google")
    mails = [f"{number}@example.com" for number in range(6)]
    for email in mails:
        house.google.add_account(email)
    for wish in ({"user_id": "u"}, {"user_id": "u", "set_as_primary": "true"}):
        arrived = await arrive(house, await walks(house, *((email, wish) for email in mails)))
        assert [each.get("success") for each in arrived] == ["true"] * 6
        connections = await house.connections(user_id="u")
        assert (len(connections), sum(each["is_primary"] for each in connections)) == (6, 1)


async def test_a_secret_that_changes_meanwhile_is_not_overwritten(house: House) -> None:
    client = await house.register("google")
    callbacks = await walks(house, (ADA, {}), (BEN, {}), (ADA, {}))
    place = f"/oauth_clients/{client['id']}"
    changed, *arrived = await asyncio.gather(
        house.api.patch(place, json={"client_secret": "a new one"}), *(arrive(house, [each]) for each in callbacks)
    )
    assert changed.status_code == 200
    assert all(told_of[0].get("code") in {None, "token_failed"} for told_of in arrived)
    # The provider has it too, and whoever comes now is let in with it.
    house.google.set_client(client["client_id"], client_secret="a new one")
    (after,) = await arrive(house, await walks(house, (BEN, {})))
    assert after["success"] == "true"


async def test_a_client_is_deleted_or_used_and_never_both(house: House) -> None:
    for _ in range(5):
        client = await house.register("google")
        callbacks = await walks(house, (ADA, {}))
        deleted, arrived = await asyncio.gather(
            house.api.delete(f"/oauth_clients/{client['id']}"), arrive(house, callbacks)
        )
        connections = await house.connections()
        if deleted.status_code == 204:
            assert (arrived[0].get("code"), connections) == ("token_failed", [])
        else:
            assert (deleted.status_code, arrived[0]["success"], len(connections)) == (409, "true", 1)
            assert (await house.api.delete(f"/connections/{connections[0]['id']}")).status_code == 204
            assert (await house.api.delete(f"/oauth_clients/{client['id']}")).status_code == 204
