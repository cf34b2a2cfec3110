"""Who is mailed by what is written: as the request says, else the connection, and never in vain."""

from typing import Any

import httpx
import pytest
from api.desk import Desk, id_of, open_desk
from api.sites import MARY, CaldavSite, GoogleSite, MicrosoftSite, Site
from flows.stage import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
def stage(site: Site) -> Stage:
    return site.stage


@pytest.fixture
async def desk(call: httpx.AsyncClient, site: Site) -> Desk:
    if isinstance(site, CaldavSite):
        # Radicale mails nobody; as a server with RFC 6638 it tells guests of whatever becomes of their events.
        site.server.rewritten_headers["DAV"] = "{}, calendar-auto-schedule"
    return await open_desk(call, site)


BEN = "ben@example.com"


def guests(event: dict[str, Any]) -> list[str]:
    """Who is invited, beside whoever invites."""
    return [each["email"] for each in event["attendees"] if not (each["organizer"] or each["self"])]


def is_silent(site: Site) -> bool:
    """Whether the provider can be told to mail nobody of a change."""
    return not isinstance(site, MicrosoftSite | CaldavSite)


async def test_a_request_outweighs_what_the_connection_says_of_mail(desk: Desk) -> None:
    invited = await desk.write()
    await desk.set(disable_attendee_notification=True)
    if is_silent(desk.site):
        await desk.change(invited, title="Silent")
    else:
        refused = await desk.change(invited, 422, title="Silent")
        assert "disable_attendee_notification" in refused["detail"]
        refused = await desk.call.delete(f"/events/{invited['id']}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "notify")
    assert (await desk.change(invited, title="Told", notify=True))["title"] == "Told"
    assert (await desk.call.delete(f"/events/{invited['id']}?notify=true")).status_code == 204
    if isinstance(desk.site, GoogleSite):
        assert desk.site.cancellations() == [MARY]


async def test_an_event_is_made_with_mail_where_its_request_asks_for_it(desk: Desk) -> None:
    await desk.set(disable_attendee_notification=True)
    if isinstance(desk.site, MicrosoftSite):
        assert "disable_attendee_notification" in (await desk.write(422))["detail"]
    else:
        await desk.write(title="Silent")
    loud = await desk.write(title="Loud", notify=True)
    if isinstance(desk.site, CaldavSite):
        assert "SCHEDULE-AGENT" not in desk.site.text(id_of(loud))
    elif isinstance(desk.site, GoogleSite):
        mails = desk.site.world.read_mails()
        assert [(mail["to"], mail["event"]) for mail in mails] == [(MARY, id_of(loud))]


async def test_what_every_guest_has_declined_is_called_off_with_mail_where_it_cannot_be_in_silence(desk: Desk) -> None:
    event = await desk.write()
    await desk.set(disable_attendee_notification=True, cancel_if_declined_or_deleted=True)
    desk.site.decline(id_of(event), MARY)
    await desk.settle()
    assert (await desk.listed(), desk.site.ids()) == ([], [])
    assert "event.cancelled" in await desk.news()
    if is_silent(desk.site):
        assert desk.site.cancellations() == []


async def test_hiding_guests_later_calls_nobody_off(desk: Desk) -> None:
    event = await desk.write()
    await desk.set(event_privacy={"show_attendees": False})
    for wish in ([MARY, BEN], [MARY]):
        changed = await desk.change(event, attendees=[{"email": email} for email in wish])
        assert guests(changed) == [MARY]
    assert desk.site.cancellations() == []
    if is_silent(desk.site):
        assert [mail["kind"] for mail in desk.site.world.read_mails(MARY)] == ["invitation"]
    await desk.rest()
    assert guests(await desk.change(event, attendees=[{"email": BEN}])) == []


async def test_what_is_set_right_calls_no_guest_off_who_is_hidden_by_now(desk: Desk) -> None:
    event = await desk.write()
    await desk.set(event_privacy={"show_attendees": False}, sync_direction="outbound")
    await desk.change(event, attendees=[{"email": MARY}, {"email": BEN}])
    desk.site.rename(id_of(event), "Theirs")
    await desk.settle()
    (event,) = await desk.listed()
    assert (event["title"], guests(event)) == ("Review", [MARY])
    assert desk.site.cancellations() == []


async def test_an_event_of_which_only_those_are_left_who_have_declined_is_called_off(desk: Desk) -> None:
    event = await desk.write(attendees=[{"email": MARY}, {"email": BEN}])
    await desk.set(cancel_if_declined_or_deleted=True)
    desk.site.decline(id_of(event), MARY)
    await desk.settle()
    assert len(await desk.listed()) == 1
    await desk.change(event, attendees=[{"email": MARY}])
    await desk.follow()
    assert (await desk.listed(), desk.site.ids()) == ([], [])
    assert "event.cancelled" in await desk.news()
