"""Who is mailed by what is written: as the request says, else the connection, and never in vain."""

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
